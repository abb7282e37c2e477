"""The embedded server: started, stopped, killed and found again, shared, and what goes wrong."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from services.database.embedded import EmbeddedPostgres, EmbeddedPostgresError, cluster
from services.database.embedded.locks import DataFolderInUse, FileLock, claim_app
from tests.integration.server_process import (
    Start,
    all_gone,
    noted_pid,
    read,
    runs,
    server_pid,
    superuser_dsn,
    wait_until,
    write,
)

# Starting and stopping


def test_the_first_start_makes_a_database_and_a_later_one_finds_it(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = EmbeddedPostgres(data_folder)
    began = time.perf_counter()
    server.start()
    write(server.database("billing"), "kept")
    first = time.perf_counter() - began
    pid = server_pid(server)
    server.stop()
    assert not runs(pid)

    began = time.perf_counter()
    server.start()
    later = time.perf_counter() - began
    assert read(server.database("billing")) == "kept"
    server.stop()
    with capsys.disabled():
        sys.stdout.write(f" [first start {first:.2f} s, later start {later:.2f} s] ")
    assert first < 20
    assert later < 10


@pytest.mark.parametrize(
    ("lc_ctypes", "known"), [(cluster.LC_CTYPES, True), (("xx_XX.UTF-8", "C"), False)]
)
def test_letters_of_other_scripts_are_letters_wherever_the_machine_knows_them(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, lc_ctypes: tuple[str, ...], known: bool
) -> None:
    monkeypatch.setattr(cluster, "LC_CTYPES", lc_ctypes)
    with EmbeddedPostgres(data_folder) as server:
        dsn = superuser_dsn(server, database="billing")
        server.database("billing")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("create extension pg_trgm")
            found = connection.execute("select show_trgm('नायर') <> '{}'").fetchone()
    assert found == (known,)


def test_starting_and_stopping_twice_is_harmless(server: EmbeddedPostgres) -> None:
    server.start()
    pid = server_pid(server)
    server.start()
    assert server_pid(server) == pid
    server.stop()
    server.stop()
    assert not runs(pid)
    with pytest.raises(EmbeddedPostgresError, match="not been started"):
        server.database("billing")


def test_the_server_keeps_its_port_so_that_pools_find_it_again(server: EmbeddedPostgres) -> None:
    server.start()
    dsn = server.database("billing")
    server.stop()
    server.start()
    assert server.database("billing") == dsn


@pytest.mark.parametrize("name", ["", "Billing", "1st", "a b", 'a"b', "a" * 64])
def test_a_database_has_a_plain_name(embedded_server: EmbeddedPostgres, name: str) -> None:
    with pytest.raises(ValueError, match="small letters"):
        embedded_server.database(name)


# Killed


def test_after_kill_9_of_the_whole_server_nothing_committed_is_lost(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    dsn = server.database("billing")
    write(dsn, "committed")
    kill_now([server_pid(server), *children(dsn)])
    server.start()
    assert read(server.database("billing")) == "committed"


def test_after_kill_9_of_the_postmaster_alone_a_start_waits_for_its_children(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    dsn = server.database("billing")
    write(dsn, "committed")
    with psycopg.connect(dsn) as connection:
        child = connection.info.backend_pid
        os.kill(child, signal.SIGSTOP)
        kill_now([server_pid(server)])
        wake = threading.Timer(1.0, os.kill, [child, signal.SIGCONT])
        wake.start()
        server.start()
    assert wake.finished.is_set()
    assert read(server.database("billing")) == "committed"


def test_after_kill_9_of_the_app_its_lock_is_free_and_its_server_is_adopted(
    start: Start, folder: Path, server: EmbeddedPostgres
) -> None:
    app = start("app")
    write(app.started(), "kept")
    pid = noted_pid(folder / "postgres/server/cluster")
    app.kill(signal.SIGKILL)
    assert runs(pid)

    # The server that lives on holds none of the dead app's locks.
    claim_app(folder).release()
    in_use = FileLock(folder / "postgres/in-use.lock")
    assert in_use.acquire()
    in_use.release()

    server.start()
    assert server_pid(server) == pid
    assert read(server.database("billing")) == "kept"
    server.stop()
    assert not runs(pid)


def test_ctrl_c_in_the_apps_terminal_does_not_reach_the_server(
    start: Start, folder: Path, server: EmbeddedPostgres
) -> None:
    app = start("app")
    app.started()
    pid = noted_pid(folder / "postgres/server/cluster")
    app.kill(signal.SIGINT, group=True)
    time.sleep(0.3)
    assert runs(pid)
    server.start()
    assert server_pid(server) == pid


def test_a_pid_that_another_program_has_by_now_is_neither_believed_nor_harmed(
    folder: Path, server: EmbeddedPostgres
) -> None:
    server.start()
    write(server.database("billing"), "kept")
    cluster = folder / "postgres/server/cluster"
    note = (cluster / "postmaster.pid").read_text()
    server.stop()
    owner = cluster.stat()
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid, group=owner.st_gid) as stranger:
        lines = [str(stranger.pid), *note.splitlines()[1:]]
        (cluster / "postmaster.pid").write_text("\n".join(lines) + "\n")
        os.chown(cluster / "postmaster.pid", owner.st_uid, owner.st_gid)
        server.start()
        assert server_pid(server) != stranger.pid
        assert read(server.database("billing")) == "kept"
        server.stop()
        assert stranger.poll() is None
        stranger.terminate()


# Shared


def test_two_processes_starting_at_once_share_one_server_and_the_last_stops_it(
    start: Start,
    folder: Path,
) -> None:
    one, other = start("app"), start("command")
    assert one.started() == other.started()
    pid = noted_pid(folder / "postgres/server/cluster")
    one.stop()
    assert runs(pid)
    other.stop()
    assert not runs(pid)


def test_processes_starting_and_stopping_at_once_always_have_a_server(
    start: Start, folder: Path
) -> None:
    first = start("command")
    write(first.started(), "kept")
    others = [start("command") for _ in range(3)]
    first.stop()
    for other in others:
        assert read(other.started()) == "kept"
        other.stop()
    wait_until(lambda: not (folder / "postgres/server/cluster/postmaster.pid").exists())


def test_a_command_beside_an_app_leaves_the_apps_server_running(
    start: Start, folder: Path, server: EmbeddedPostgres
) -> None:
    with claim_app(folder):
        server.start()
        dsn = server.database("billing")
        command = start("command")
        write(command.started(), "by the command")
        command.stop()
        assert read(dsn) == "by the command"


def test_a_second_app_on_a_folder_is_refused_with_a_clear_sentence(
    start: Start,
    folder: Path,
) -> None:
    with claim_app(folder):
        with pytest.raises(DataFolderInUse):
            claim_app(folder)
        message = start("app").failure()
    assert str(folder) in message
    assert str(os.getpid()) in message
    assert "Stop that app first, or start this one with another DATA_DIR." in message
    claim_app(folder).release()


def test_a_copy_of_a_folder_gets_a_server_of_its_own(
    folder: Path, server: EmbeddedPostgres
) -> None:
    server.start()
    write(server.database("billing"), "original")
    server.stop()
    source, copy = folder / "postgres", folder / "copy"
    copy.mkdir()
    subprocess.run(["cp", "-a", str(source), str(copy)], check=True)
    server.start()
    with EmbeddedPostgres(copy) as other:
        assert server_pid(other) != server_pid(server)
        write(other.database("billing"), "copy")
        assert read(other.database("billing")) == "original,copy"
    assert read(server.database("billing")) == "original"


# What goes wrong is said


def test_a_server_that_cannot_start_shows_the_end_of_its_log(
    folder: Path, server: EmbeddedPostgres
) -> None:
    server.start()
    server.stop()
    (folder / "postgres/server/cluster/global/pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match=r"could not be started.*server\.log") as caught:
        server.start()
    assert "pg_control" in str(caught.value).split("The log ends with:")[1]
    in_use = FileLock(folder / "postgres/in-use.lock")
    assert in_use.acquire()
    in_use.release()


def test_lost_passwords_are_said(folder: Path, server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (folder / "postgres/access.json").unlink()
    with pytest.raises(EmbeddedPostgresError, match="passwords, is missing"):
        server.start()


def test_wrong_passwords_are_said_at_once(folder: Path, server: EmbeddedPostgres) -> None:
    server.start()
    path = folder / "postgres/access.json"
    right = path.read_text()
    path.write_text(json.dumps({**json.loads(right), "superuser_password": "wrong"}))
    with pytest.raises(EmbeddedPostgresError, match="does not let us in"):
        server.start()
    path.write_text(right)


def test_an_unfinished_first_start_is_begun_again(data_folder: Path) -> None:
    unfinished = data_folder / "postgres/server/initdb-unfinished/cluster"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_folder) as server:
        write(server.database("billing"), "works")
    assert not unfinished.parent.exists()


@pytest.mark.parametrize("sign", ['"', "$", "`", "\\", "\n"])
def test_a_path_that_a_shell_would_change_is_refused(data_folder: Path, sign: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match="Choose another folder"):
        EmbeddedPostgres(data_folder / f"a{sign}b").start()


def test_a_data_folder_that_cannot_be_made_is_said(data_folder: Path) -> None:
    (data_folder / "file").write_text("in the way")
    with pytest.raises(EmbeddedPostgresError, match="cannot be used"):
        EmbeddedPostgres(data_folder / "file").start()


def children(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [pid for (pid,) in connection.execute("select pid from pg_stat_activity")]


def kill_now(pids: list[int]) -> None:
    """The postmaster comes first: it must not have a chance to clean up after its children."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: all_gone(pids[:1]))
