"""The migrations runner, on a real server, with small migrations of the tests' own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from services.database.schema.migrations import (
    DatabaseNewerThanCode,
    MigrationChanged,
    MigrationError,
    MigrationFailed,
    MigrationMisnamed,
    MigrationOutOfOrder,
    apply_migrations,
)
from services.database.transport import TemporaryDatabaseError

FIRST = "20250101000000_make_lamps"
SECOND = "20250102000000_light_lamps"
FIRST_SQL = """-- Lamps; and their names.
create table public.lamps (id int primary key, name text default ';');

create function public.lamp_count() returns bigint language plpgsql set search_path = '' as $$
begin
    return (select count(*) from public.lamps);
end
$$;
"""
SECOND_SQL = "insert into public.lamps values (1, '50% off; or not');\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, FIRST, FIRST_SQL)
    write(tmp_path, SECOND, SECOND_SQL)
    return tmp_path


@pytest.fixture
def dsn(empty_database: Callable[[], str]) -> str:
    return empty_database()


def test_migrations_are_applied_in_order_and_a_second_time_does_nothing(
    dsn: str, folder: Path
) -> None:
    assert apply_migrations(dsn, folder) == [FIRST, SECOND]
    assert apply_migrations(dsn, folder) == []
    assert ask(dsn, "select id, name from lamps") == [(1, "50% off; or not")]


def test_a_later_migration_is_applied_alone(dsn: str, folder: Path) -> None:
    apply_migrations(dsn, folder)
    write(folder, "20250103000000_more", "insert into public.lamps values (2)")
    assert apply_migrations(dsn, folder) == ["20250103000000_more"]


def test_history_is_the_table_of_the_supabase_cli(dsn: str, folder: Path) -> None:
    apply_migrations(dsn, folder)
    rows = ask(dsn, "select version, name from supabase_migrations.schema_migrations order by 1")
    assert rows == [("20250101000000", "make_lamps"), ("20250102000000", "light_lamps")]
    columns = ask(
        dsn,
        "select column_name, data_type, is_nullable from information_schema.columns"
        " where table_schema = 'supabase_migrations' order by ordinal_position",
    )
    assert columns == [
        ("version", "text", "NO"),
        ("statements", "ARRAY", "YES"),
        ("name", "text", "YES"),
    ]


def test_a_history_written_by_the_cli_statement_by_statement_is_understood(
    dsn: str, folder: Path
) -> None:
    apply_migrations(dsn, folder)
    table, function = FIRST_SQL.split("\n\n", 1)
    as_cli_splits = [table.rstrip(";"), function.rstrip().rstrip(";")]
    ask(
        dsn,
        "update supabase_migrations.schema_migrations set statements = %s where version = %s"
        " returning 1",
        [as_cli_splits, "20250101000000"],
    )
    assert apply_migrations(dsn, folder) == []


def test_four_processes_at_once_apply_each_migration_once(dsn: str, folder: Path) -> None:
    write(folder, SECOND, f"select pg_sleep(0.2); {SECOND_SQL}")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: apply_migrations(dsn, folder), range(4)))
    assert sorted(stem for stems in done for stem in stems) == [FIRST, SECOND]
    assert ask(dsn, "select count(*) from lamps") == [(1,)]


def test_a_broken_migration_leaves_nothing_and_names_its_line(dsn: str, folder: Path) -> None:
    write(folder, SECOND, "create table public.half (id int);\n\nselect nonsense;\n")
    with pytest.raises(MigrationFailed, match=rf"{SECOND}\.sql failed at line 3: .*nonsense"):
        apply_migrations(dsn, folder)
    assert ask(dsn, "select to_regclass('public.lamps') is null, to_regclass('public.half')") == [
        (False, None)
    ]
    write(folder, SECOND, SECOND_SQL)
    assert apply_migrations(dsn, folder) == [SECOND]


def test_an_upgrade_that_fails_half_way_is_undone_as_a_whole(dsn: str, folder: Path) -> None:
    (folder / f"{SECOND}.sql").unlink()
    apply_migrations(dsn, folder)
    write(folder, SECOND, SECOND_SQL)
    write(folder, "20250103000000_broken", "select nonsense;")
    with pytest.raises(MigrationFailed, match="the version before this one still works"):
        apply_migrations(dsn, folder)
    assert ask(dsn, "select count(*) from lamps") == [(0,)]
    (folder / "20250103000000_broken.sql").unlink()
    assert apply_migrations(dsn, folder) == [SECOND]


def test_checks_that_a_migration_leaves_open_do_not_stop_the_next(dsn: str, tmp_path: Path) -> None:
    table = """create table lamps (id int primary key, beside int
        references lamps deferrable initially deferred); insert into lamps values (1, 1);"""
    write(tmp_path, FIRST, "select 1;")
    apply_migrations(dsn, tmp_path)
    write(tmp_path, SECOND, table)
    write(tmp_path, "20250103000000_name", "alter table lamps add column name text;")
    assert apply_migrations(dsn, tmp_path) == [SECOND, "20250103000000_name"]
    write(tmp_path, "20250104000000_dark", "insert into lamps values (2, 3);")
    with pytest.raises(MigrationFailed, match="violates foreign key"):
        apply_migrations(dsn, tmp_path)


def test_settings_of_one_migration_do_not_reach_the_next(dsn: str, tmp_path: Path) -> None:
    write(tmp_path, FIRST, "select set_config('search_path', '', false);")
    write(tmp_path, SECOND, "create table lamps (id int);")
    assert apply_migrations(dsn, tmp_path) == [FIRST, SECOND]


def test_a_file_changed_after_it_was_applied_is_refused(dsn: str, folder: Path) -> None:
    apply_migrations(dsn, folder)
    write(folder, FIRST, FIRST_SQL.replace("lamp_count", "count_lamps"))
    with pytest.raises(MigrationChanged, match=FIRST):
        apply_migrations(dsn, folder)


def test_a_database_newer_than_the_code_is_refused(dsn: str, folder: Path) -> None:
    apply_migrations(dsn, folder)
    (folder / f"{SECOND}.sql").unlink()
    with pytest.raises(DatabaseNewerThanCode, match="20250102000000"):
        apply_migrations(dsn, folder)


def test_a_migration_dated_before_an_applied_one_is_refused(dsn: str, folder: Path) -> None:
    apply_migrations(dsn, folder)
    write(folder, "20250101120000_late", "select 1")
    with pytest.raises(MigrationOutOfOrder, match="20250101120000_late"):
        apply_migrations(dsn, folder)


@pytest.mark.parametrize("stem", ["1_short", "20250104000000", "add_lamps", "20250104000000-dash"])
def test_a_file_whose_name_gives_no_version_is_refused(dsn: str, folder: Path, stem: str) -> None:
    write(folder, stem, "select 1")
    with pytest.raises(MigrationMisnamed, match="14 digits"):
        apply_migrations(dsn, folder)
    assert ask(dsn, "select to_regclass('public.lamps')") == [(None,)]


def test_two_files_of_one_version_are_refused(dsn: str, folder: Path) -> None:
    write(folder, "20250102000000_other", "select 1")
    with pytest.raises(MigrationMisnamed, match="Two migrations"):
        apply_migrations(dsn, folder)


@pytest.mark.parametrize("word", ["begin;", "COMMIT;", "  rollback work ;"])
def test_a_migration_with_a_transaction_of_its_own_is_refused(
    dsn: str, folder: Path, word: str
) -> None:
    write(folder, SECOND, f"select 1;\n{word}\n")
    with pytest.raises(MigrationError, match="of its own"):
        apply_migrations(dsn, folder)


def test_a_missing_folder_is_refused(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="no folder"):
        apply_migrations(dsn, tmp_path / "nowhere")


def test_a_database_that_is_away_is_a_temporary_error(folder: Path) -> None:
    with pytest.raises(TemporaryDatabaseError):
        apply_migrations("postgresql://postgres@127.0.0.1:1/nothing", folder)


def test_fresh_databases_have_the_migrations_and_are_separate(
    fresh_database: Callable[[], str],
) -> None:
    one, other = fresh_database(), fresh_database()
    ask(one, "create table public.only_here () ; select 1")
    history = "select count(*) > 0 from supabase_migrations.schema_migrations"
    assert ask(other, history) == [(True,)]
    assert ask(other, "select to_regclass('public.only_here')") == [(None,)]


def write(folder: Path, stem: str, text: str) -> None:
    (folder / f"{stem}.sql").write_text(text, encoding="utf-8")


def ask(dsn: str, query: str, values: list[object] | None = None) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        cursor = connection.execute(query.encode(), values)
        while cursor.nextset():
            pass
        return cursor.fetchall()
