"""The commands backup and restore: what they refuse, and that nothing is lost when they do."""

import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from dotenv import dotenv_values
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.backups import making
from services.backups.archive import Manifest, open_backup, write_manifest
from services.backups.restoring import restore_backup
from services.bootstrap import build_services
from services.bootstrap_database import MIGRATIONS
from services.database.dump import replacement
from services.database.dump.snapshot import sums_of
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import MIGRATIONS_LOCK
from services.database.schema.roles import prepare_roles
from services.identity.auth import NotSignedIn
from services.identity.permissions import Role
from services.jobs.by_hand import run_job
from services.people.users import LinkRefused
from services.settings import load_settings
from tests.disks import disk_of
from tests.integration.backups.conftest import Command, ask, content_of
from tests.integration.job_tools import at_once, tick_and_wait
from tests.integration.people.office import PASSWORD, open_office
from tests.integration.server_process import superuser_dsn
from tests.integration.utility import Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path / "data")
    made.add_meter("M1")
    made.submit("M1", 1117)
    yield made
    made.services.close()


@pytest.fixture
def backup(utility: Utility, database: str, command: Command, tmp_path: Path) -> Path:
    """A backup of a small utility."""
    assert utility.bills_of("M1")
    path = tmp_path / "a folder" / "b.zip"
    path.parent.mkdir()
    done = command("backup", path, DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    assert re.match(rf"{path}: \d+ tables, [\d,]+ rows, [\d.]+ [kM]B.\n", done.stdout)
    return path


CATALOGUE = (
    """select defaclrole::regrole::text, defaclnamespace::regnamespace::text, defaclobjtype,
              array(select a::text from unnest(defaclacl) a order by 1)
       from pg_default_acl order by 2, 3""",
    """select oid::regprocedure::text, proacl::text, proowner::regrole::text
        from pg_proc where pronamespace
           = any ('{public,private}'::regnamespace[]) order by 1""",
    """select oid::regclass::text, relacl::text, relrowsecurity, reloptions::text
        from pg_class where relnamespace
           = any ('{public,private}'::regnamespace[]) and relkind in ('r', 'v', 'S') order by 1""",
    "select nspname, nspacl::text from pg_namespace where nspname !~ '^pg_' order by 1",
    """select tgrelid::regclass::text, tgname, tgenabled from pg_trigger
       where not tgisinternal order by 1, 2""",
    """select conrelid::regclass::text, conname, contype, convalidated, condeferred
        from pg_constraint where connamespace
           = any ('{public,private}'::regnamespace[]) order by 1, 2""",
    "select extname, extnamespace::regnamespace::text from pg_extension order by 1",
)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- there and back ------------------------------------------------------------------------------


def test_all_comes_back_with_its_rights(
    backup: Path, database: str, target: str, command: Command
) -> None:
    done = command("restore", backup, DATABASE_URL=target)
    assert done.returncode == 0, done.stderr
    assert content_of(target) == content_of(database)
    for catalogue in CATALOGUE:
        assert ask(target, catalogue) == ask(database, catalogue)


def test_a_restore_lets_nobody_in_who_was_shut_out_since(
    database: str, target: str, tmp_path: Path
) -> None:
    """In an older backup they are still signed in, and their link to a password is unused."""
    office = open_office(database, tmp_path / "data")
    try:
        office.first_administrator()
        asha = office.user("asha")
        invited = office.invite("meera")
        browser, path = office.browser(), tmp_path / "b.zip"
        office.sign_in(browser, "asha")
        making.make_backup(database, path, demo=False)
        office.services.users.disable(asha, principal=office.boss, now=office.now)
        office.services.users.set_password(invited.code, PASSWORD, office.now)
    finally:
        office.services.close()
    restore_backup(path, target, migrations=MIGRATIONS, say=print)
    restored = open_office(target, tmp_path / "data")
    try:
        with pytest.raises(NotSignedIn):
            restored.who(browser)
        with pytest.raises(LinkRefused):
            restored.services.users.link(invited.code, restored.now)
        # A token that the backup has not seen is of the time before, too.
        token = restored.services.tokens.issue(
            "asha", Role.ENGINEER, office.now - timedelta(minutes=1), via="password"
        )
        with pytest.raises(NotSignedIn):
            restored.services.who(token, restored.now)
        restored.now += timedelta(minutes=2)
        assert restored.principal("boss").user == "boss"
    finally:
        restored.services.close()


def test_a_place_where_the_app_only_ran_is_empty(
    backup: Path, fresh_database: Callable[[], str], command: Command, tmp_path: Path
) -> None:
    place = fresh_database()
    settings = {"DATABASE_URL": place, "DATA_DIR": str(tmp_path / "other")}
    services = build_services(load_settings(settings), step_handlers={})
    try:
        scheduler = at_once(services)
        tick_and_wait(scheduler)
        run_job(services, "overdue_marking", datetime.now(UTC), "somebody")
        token = services.tokens.issue("admin-1", Role.ADMIN, datetime.now(UTC))
        assert services.who(token, datetime.now(UTC)).user == "admin-1"
    finally:
        services.close()
    done = command("restore", backup, **settings)
    assert done.returncode == 0, done.stderr


def test_another_role_may_own_what_is_restored(
    backup: Path, database: str, embedded_server: EmbeddedPostgres
) -> None:
    with psycopg.connect(superuser_dsn(embedded_server), autocommit=True) as server:
        server.execute("create role landlord login createdb createrole bypassrls password 'pass'")
        server.execute("grant service_role, anon, authenticated to landlord with admin option")
        server.execute("create database landlords owner landlord")
    of_superuser = superuser_dsn(embedded_server, database="landlords")
    prepare_roles(of_superuser, owner="landlord")
    own = make_conninfo(database, dbname="landlords", user="landlord", password="pass")
    try:
        restore_backup(backup, own, migrations=MIGRATIONS, say=print)
        assert content_of(own) == content_of(database)
        owners = "select distinct relowner::regrole::text from pg_class where relname = 'bills'"
        assert ask(own, owners) == [("landlord",)]
    finally:
        with psycopg.connect(superuser_dsn(embedded_server), autocommit=True) as server:
            server.execute("drop database landlords")


def test_work_goes_on_where_it_was(
    backup: Path, target: str, command: Command, tmp_path: Path
) -> None:
    command("restore", backup, DATABASE_URL=target)
    restored = make_utility(target, tmp_path / "data")
    try:
        restored.add_meter("M2")
        assert restored.submit("M2", 1117).bill is not None
        assert len(restored.bills_of("M1")) == 1
    finally:
        restored.services.close()


def test_the_file_is_for_its_owner_alone_and_holds_no_secret(backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with zipfile.ZipFile(backup) as bundle:
        assert not [name for name in bundle.namelist() if name.startswith("secrets/")]


@pytest.mark.usefixtures("utility")
def test_secrets_go_along_only_by_choice(
    database: str, target: str, command: Command, tmp_path: Path
) -> None:
    path, key = tmp_path / "b.zip", (tmp_path / "data" / "signing.key").read_bytes()
    secret = {"DATABASE_URL": database, "STRIPE_SECRET_KEY": "sk'1", "STRIPE_WEBHOOK_SECRET": "w"}
    done = command("backup", "--with-secrets", path, **secret)
    assert "in the clear" in done.stderr
    place = {"DATABASE_URL": target, "DATA_DIR": str(tmp_path / "other")}
    done = command("restore", path, **place)
    assert "--with-secrets restores them" in done.stderr
    assert "There is no signing.key" in done.stderr
    done = command("restore", "--replace", "--with-secrets", path, **place)
    assert done.returncode == 0, done.stderr
    assert "There is no signing.key" not in done.stderr
    restored = tmp_path / "other" / "signing.key"
    assert restored.read_bytes() == key
    assert stat.S_IMODE(restored.stat().st_mode) == 0o600
    settings = tmp_path / "other" / "settings-from-backup.env"
    assert secret.items() <= dotenv_values(settings).items()
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600


# -- what a backup refuses -----------------------------------------------------------------------


def test_another_backup_of_that_name_is_replaced_and_any_other_file_is_not(
    backup: Path, database: str, command: Command
) -> None:
    before = backup.read_bytes()
    assert command("backup", backup, DATABASE_URL=database).returncode == 0
    assert backup.read_bytes() != before
    letter = backup.with_name("letter.txt")
    letter.write_text("dear")
    done = command("backup", letter, DATABASE_URL=database)
    assert done.returncode == 1
    assert "exists and is no backup" in done.stderr
    assert letter.read_text() == "dear"


def test_a_place_that_is_not_there_or_a_folder_is_said(
    database: str, command: Command, tmp_path: Path
) -> None:
    done = command("backup", tmp_path / "nowhere" / "b.zip", DATABASE_URL=database)
    assert "nowhere does not exist" in done.stderr
    done = command("backup", tmp_path, DATABASE_URL=database)
    assert "is a folder" in done.stderr


def test_a_read_only_place_is_said(database: str, command: Command) -> None:
    # As root every folder may be written, but not this one.
    done = command("backup", "/proc/b.zip", DATABASE_URL=database)
    assert done.returncode == 1
    assert "/proc cannot be written" in done.stderr


@pytest.mark.parametrize("when", ["at first", "half-way"])
def test_a_full_disk_leaves_the_old_one_and_nothing_else(
    backup: Path,
    database: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    before, looks = backup.read_bytes(), []

    class Usage:
        @property
        def free(self) -> int:
            looks.append(1)
            return 0 if when == "at first" or len(looks) > 3 else making.LEFT_FREE_BYTES

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    done = command("backup", backup, DATABASE_URL=database)
    assert done.returncode == 1
    assert "not enough room" in done.stderr
    assert backup.read_bytes() == before
    assert left_in(backup.parent) == ["b.zip"]


def test_a_disk_that_really_is_full_leaves_the_old_one_and_nothing_else(
    backup: Path, database: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "LEFT_FREE_BYTES", 0)
    with disk_of(f"{backup.stat().st_size // 1024 + 300}k") as disk:
        path = disk / "b.zip"
        assert command("backup", path, DATABASE_URL=database).returncode == 0
        before = path.read_bytes()
        done = command("backup", path, DATABASE_URL=database)
        assert done.returncode == 1
        assert "not enough room" in done.stderr
        assert path.read_bytes() == before
        assert left_in(disk) == ["b.zip"]


def test_a_disk_that_reads_back_something_else_is_noticed(
    backup: Path, database: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(bundle: zipfile.ZipFile, manifest: Manifest) -> None:
        write_manifest(bundle, manifest)
        assert bundle.fp is not None
        bundle.fp.flush()
        with Path(str(bundle.filename)).open("r+b") as file:
            file.seek(5000)
            file.write(b"spoilt")

    monkeypatch.setattr(making, "write_manifest", spoil)
    done = command("backup", backup, DATABASE_URL=database)
    assert "reads back differently" in done.stderr
    assert left_in(backup.parent) == ["b.zip"]


def test_an_empty_database_is_no_backup(target: str, command: Command, tmp_path: Path) -> None:
    done = command("backup", tmp_path / "b.zip", DATABASE_URL=target)
    assert done.returncode == 1
    assert "nothing to back up" in done.stderr


def test_a_database_that_is_away_is_said_in_a_sentence(command: Command, tmp_path: Path) -> None:
    away = "postgresql://postgres:secret@127.0.0.1:1/nothing"
    done = command("backup", tmp_path / "b.zip", DATABASE_URL=away)
    assert done.returncode == 1
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("utility")
def test_a_backup_waits_for_a_migration_and_says_if_it_takes_too_long(
    database: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.database.dump.snapshot.LOCK_WAIT", "300ms")
    with psycopg.connect(database) as migrating:
        migrating.execute(f"select pg_advisory_xact_lock({MIGRATIONS_LOCK})".encode())
        done = command("backup", tmp_path / "b.zip", DATABASE_URL=database)
    assert done.returncode == 1
    assert "being brought up to date" in done.stderr
    assert command("backup", tmp_path / "b.zip", DATABASE_URL=database).returncode == 0


@pytest.mark.usefixtures("utility")
def test_a_server_that_is_newer_than_our_programs_is_said(
    database: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.database.dump.snapshot.major", lambda: 17)
    done = command("backup", tmp_path / "b.zip", DATABASE_URL=database)
    assert "runs Postgres 18" in done.stderr
    assert left_in(tmp_path) == ["data"]


def test_supabase_is_left_to_supabase(command: Command, tmp_path: Path) -> None:
    project = {"SUPABASE_URL": "https://a.example", "SUPABASE_SERVICE_KEY": "k"}
    for what in ("backup", "restore"):
        done = command(what, tmp_path / "b.zip", **project)
        assert done.returncode == 1
    assert "Supabase" in command("backup", tmp_path / "b.zip", **project).stderr


# -- what a restore refuses ----------------------------------------------------------------------


def test_a_database_with_data_is_replaced_only_on_demand_and_kept(
    backup: Path, utility: Utility, database: str, command: Command, tmp_path: Path
) -> None:
    utility.add_meter("M2")
    utility.services.close()
    before = content_of(database)
    done = command("restore", backup, DATABASE_URL=database)
    assert done.returncode == 1
    assert "There is data in this database already" in done.stderr
    assert content_of(database) == before

    done = command("restore", "--replace", backup, DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    assert content_of(database) != before
    [kept] = (tmp_path / "data" / "backups").glob("before-restore-*.zip")
    assert command("restore", "--replace", kept, DATABASE_URL=database).returncode == 0
    assert content_of(database) == before


@pytest.mark.usefixtures("utility")
def test_a_database_in_use_is_not_replaced(backup: Path, database: str, command: Command) -> None:
    before = sums_of(database)
    done = command("restore", "--replace", backup, DATABASE_URL=database)
    assert done.returncode == 1
    assert "The database is in use" in done.stderr
    assert sums_of(database) == before
    assert beside(database) == []


def test_a_backup_of_a_newer_version_is_refused_before_anything_is_made(
    backup: Path, database: str, target: str, command: Command
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into supabase_migrations.schema_migrations (version, name)"
            " values ('20991231000000', 'from_the_future')"
        )
    command("backup", backup, DATABASE_URL=database)
    done = command("restore", backup, DATABASE_URL=target)
    assert done.returncode == 1
    assert "newer than this one (its schema is 20991231000000" in done.stderr
    assert sums_of(target) == {}


@pytest.mark.usefixtures("utility")
def test_what_a_killed_restore_left_is_in_nobodys_way(
    backup: Path, target: str, database: str, command: Command
) -> None:
    name = conninfo_to_dict(target)["dbname"]
    with psycopg.connect(database, autocommit=True) as server:
        for left in ("restoring", "replaced"):
            server.execute(f'create database "{name}_{left}"'.encode())
    done = command("restore", backup, DATABASE_URL=target)
    assert done.returncode == 0, done.stderr
    assert beside(database) == []


def test_a_backup_of_the_demo_stays_with_the_demo(
    backup: Path, database: str, target: str, command: Command
) -> None:
    done = command("restore", backup, DATABASE_URL=target, DEMO="on")
    assert "Set DEMO=off" in done.stderr
    command("backup", backup, DATABASE_URL=database, DEMO="on")
    done = command("restore", backup, DATABASE_URL=target)
    assert "Restore it with DEMO=on" in done.stderr
    assert sums_of(target) == {}


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _spoilt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _stranger(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("../../outside", "x")


@pytest.mark.parametrize("harm", [_cut_off, _spoilt, _stranger, Path.unlink])
def test_a_harmed_backup_changes_nothing(
    backup: Path, target: str, command: Command, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    harm(backup)
    files = left_in(tmp_path)
    done = command("restore", backup, DATABASE_URL=target)
    assert done.returncode == 1
    assert str(backup) in done.stderr
    assert "Traceback" not in done.stderr
    assert sums_of(target) == {}
    assert beside(target) == []
    assert left_in(tmp_path) == files


def test_a_restore_that_fails_half_way_leaves_what_was_there(
    backup: Path,
    utility: Utility,
    database: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    utility.services.close()
    before = sums_of(database)
    monkeypatch.setattr(
        "services.backups.restoring.sums_of",
        lambda dsn: sums_of(dsn) | {"public.more": before["public.bills"]},
    )
    done = command("restore", "--replace", backup, DATABASE_URL=database)
    assert "not what went into it (public.more)" in done.stderr
    assert sums_of(database) == before
    assert beside(database) == []


def test_a_restore_whose_old_database_cannot_be_dropped_says_that_it_was_done(
    backup: Path,
    utility: Utility,
    database: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    utility.add_meter("M2")
    utility.services.close()
    before, run, drops = content_of(database), replacement._run, list[str]()

    def refuse(connection: psycopg.Connection[Any], statement: LiteralString, *names: str) -> None:
        if statement == "drop database {}":
            drops.append(names[0])
            raise psycopg.errors.InternalError("could not remove its files")
        run(connection, statement, *names)

    monkeypatch.setattr(replacement, "_run", refuse)
    done = command("restore", "--replace", backup, DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    assert f"it is on the server as the database {drops[0]}, and the next" in done.stderr
    assert "all as in the backup." in done.stdout
    assert "Nothing was restored" not in done.stderr
    assert content_of(database) != before
    monkeypatch.undo()
    assert beside(database) == [(drops[0],)]
    assert command("restore", "--replace", backup, DATABASE_URL=database).returncode == 0
    assert beside(database) == []


def test_a_connection_lost_as_the_databases_swap_is_not_told_as_nothing_restored(
    backup: Path,
    utility: Utility,
    database: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    utility.services.close()
    run = replacement._run

    def lose(connection: psycopg.Connection[Any], statement: LiteralString, *names: str) -> None:
        run(connection, statement, *names)
        if statement.startswith("alter database") and names[0].endswith("_restoring"):
            elsewhere = make_conninfo(database, dbname="template1")
            with psycopg.connect(elsewhere, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])

    monkeypatch.setattr(replacement, "_run", lose)
    done = command("restore", "--replace", backup, DATABASE_URL=database)
    assert done.returncode == 1
    assert "One of the two is there, whole" in done.stderr
    assert "Nothing was restored" not in done.stderr
    monkeypatch.undo()
    assert command("restore", "--replace", backup, DATABASE_URL=database).returncode == 0
    assert beside(database) == []


def beside(dsn: str) -> list[tuple[object, ...]]:
    """Databases that a restore makes on its way."""
    return ask(dsn, r"select datname from pg_database where datname ~ '_(restoring|replaced)$'")


@pytest.mark.usefixtures("utility")
def test_two_backups_at_once_are_both_whole(database: str, tmp_path: Path) -> None:
    same = [tmp_path / "same.zip", tmp_path / "same.zip", tmp_path / "other.zip"]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda path: making.make_backup(database, path, demo=False), same))
    assert len(made) == 3
    for path in set(same):
        with open_backup(path) as backup:
            backup.check()
    assert left_in(tmp_path) == ["data", "other.zip", "same.zip"]
