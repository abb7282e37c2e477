"""The embedded server as root, who may not run Postgres, and as an ordinary user."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from services.database.embedded import EmbeddedPostgres, EmbeddedPostgresError
from services.database.embedded import home as server_home
from tests.integration.server_process import (
    ROOT,
    Start,
    noted_pid,
    read,
    server_pid,
    write,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run it as somebody else")


@as_root
def test_as_root_the_server_runs_as_somebody_else(server: EmbeddedPostgres) -> None:
    server.start()
    owner = Path(f"/proc/{server_pid(server)}").stat().st_uid
    assert pwd.getpwuid(owner).pw_name in {"postgres", "nobody"}


@as_root
def test_as_root_a_folder_that_its_user_cannot_enter_is_no_obstacle(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots_home, place = data_folder / "root", data_folder / "place"
    roots_home.mkdir(mode=0o700)
    monkeypatch.setattr(server_home, "PLACES_FOR_ROOT", (place,))
    programs_seen_by_root_only(roots_home, monkeypatch)
    folder = roots_home / "clone" / "data"

    with EmbeddedPostgres(folder) as server:
        write(server.database("billing"), "kept")
        assert server.programs.is_relative_to(place)
        assert server.log_file.is_relative_to(place)
        noted = (folder / "postgres" / server_home.NOTE).read_text()
        assert str(server.log_file.parent) in noted
    with EmbeddedPostgres(folder) as server:
        assert read(server.database("billing")) == "kept"
        home = server.log_file.parent

    # A new data folder at the same path does not take over what the old one left there.
    shutil.rmtree(folder)
    with EmbeddedPostgres(folder) as server:
        assert server.log_file.parent == home.with_name(f"{home.name}-2")
        second = server.log_file.parent

    shutil.rmtree(second)
    with pytest.raises(EmbeddedPostgresError, match="that folder is gone"):
        EmbeddedPostgres(folder).start()


@as_root
def test_as_root_a_database_whose_folder_was_closed_is_not_replaced_by_an_empty_one(
    folder: Path, server: EmbeddedPostgres
) -> None:
    server.start()
    server.stop()
    folder.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="may not work"):
        server.start()
    folder.chmod(0o711)


@as_root
def test_as_root_no_place_at_all_is_said(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_folder.chmod(0o700)
    monkeypatch.setattr(server_home, "PLACES_FOR_ROOT", (data_folder / "place",))
    with pytest.raises(EmbeddedPostgresError, match="Set DATA_DIR"):
        EmbeddedPostgres(data_folder / "data").start()


@as_root
def test_as_root_a_place_that_somebody_else_made_is_not_used(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = data_folder / "theirs", data_folder / "ours"
    theirs.mkdir()
    os.chown(theirs, pwd.getpwnam("nobody").pw_uid, -1)
    (data_folder / "link").symlink_to(theirs)
    places = (theirs, data_folder / "link", ours)
    monkeypatch.setattr(server_home, "PLACES_FOR_ROOT", places)
    assert server_home._own_places() == [ours]


@as_root
def test_an_ordinary_user_runs_it_as_oneself(data_folder: Path, start: Start) -> None:
    nobody = pwd.getpwnam("nobody")
    environment = {
        "HOME": str(data_folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": python_path(),
    }
    python = python_for(nobody, environment)
    home = data_folder / "a 'quiet' home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    app = start(
        "app",
        folder=home / "data",
        python=python,
        environment=environment,
        user=nobody.pw_uid,
    )
    write(app.started(), "kept")
    cluster = home / "data/postgres/server/cluster"
    assert Path(f"/proc/{noted_pid(cluster)}").stat().st_uid == nobody.pw_uid
    assert cluster.stat().st_uid == nobody.pw_uid
    app.stop()

    # Root serves it later as the user that it belongs to.
    with EmbeddedPostgres(home / "data") as server:
        assert read(server.database("billing")) == "kept"
        assert Path(f"/proc/{server_pid(server)}").stat().st_uid == nobody.pw_uid


@as_root
def test_an_ordinary_user_is_told_that_a_folder_is_roots(
    start: Start, folder: Path, server: EmbeddedPostgres
) -> None:
    nobody = pwd.getpwnam("nobody")
    environment = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": python_path(),
    }
    python = python_for(nobody, environment)
    server.start()
    app = start("command", python=python, environment=environment, user=nobody.pw_uid)
    assert "cannot be used" in app.failure()


def programs_seen_by_root_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server's package be found in a folder of root's, as in a clone in root's home."""
    spec = importlib.util.find_spec(server_home.PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, folder / source.name)
    spec.submodule_search_locations[:] = [str(folder / package.name)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)


def python_path() -> str:
    return os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])


def python_for(user: pwd.struct_passwd, environment: dict[str, str]) -> str:
    """A Python of this version that the user can run with what is installed here, or a skip."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"]
    for candidate in candidates:
        try:
            done = subprocess.run(
                [candidate, "-c", "import psycopg_pool, services.database.embedded"],
                env=environment,
                cwd="/",
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    pytest.skip(f"none of {candidates} can be run by the user {user.pw_name} with our packages")
