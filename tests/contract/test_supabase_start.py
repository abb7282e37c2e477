"""The system starts on a Supabase project whose schema is right, and says what to do otherwise."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from services.bootstrap import build_services
from services.bootstrap_database import MIGRATIONS
from services.database.embedded.access import free_port
from services.database.schema.migrations import (
    DatabaseNewerThanCode,
    MigrationError,
    apply_migrations,
    read_migrations,
)
from services.database.schema.schema_check import SchemaNotPushed
from services.database.transport import DatabaseError, TemporaryDatabaseError
from services.database.transports.supabase import RestTransport
from services.settings import Settings, SettingsError, load_settings
from tests.contract.conftest import NewProject
from tests.contract.supabase_project import SupabaseProject
from tests.servers import NewDatabase

FORGET = "delete from supabase_migrations.schema_migrations where version = %s"
ADD = "insert into supabase_migrations.schema_migrations (version) values (%s)"


def settings_of(project: SupabaseProject, folder: Path, *, key: str | None = None) -> Settings:
    environment = {"SUPABASE_URL": project.url, "DATA_DIR": str(folder)}
    environment["SUPABASE_SERVICE_KEY"] = key or project.service_key
    return load_settings(environment)


def execute(dsn: str, statement: str, *values: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode(), values)


def test_a_project_with_the_schema_is_used_and_nothing_local_is_started(
    fresh_database: NewDatabase, new_project: NewProject, tmp_path: Path
) -> None:
    project = new_project(fresh_database())
    services = build_services(settings_of(project, tmp_path))
    services.database.ping()
    assert not (tmp_path / "postgres").exists()
    assert project.service_key not in repr(services)
    services.close()
    with pytest.raises(DatabaseError, match="closed"):
        services.database.ping()


def test_a_project_without_the_schema_is_refused(
    empty_database: NewDatabase, new_project: NewProject, tmp_path: Path
) -> None:
    project = new_project(empty_database())
    with pytest.raises(SchemaNotPushed, match="supabase db push"):
        build_services(settings_of(project, tmp_path))


def test_a_project_with_the_schema_of_the_first_versions_is_refused(
    empty_database: NewDatabase, new_project: NewProject, tmp_path: Path
) -> None:
    dsn = empty_database()
    first = tmp_path / "first"
    first.mkdir()
    for path in sorted(MIGRATIONS.glob("20261101*.sql")):
        (first / path.name).write_text(path.read_text())
    apply_migrations(dsn, first)
    with pytest.raises(SchemaNotPushed, match="supabase db push"):
        build_services(settings_of(new_project(dsn), tmp_path))


def test_a_missing_migration_is_named(
    fresh_database: NewDatabase, new_project: NewProject, tmp_path: Path
) -> None:
    dsn = fresh_database()
    last = read_migrations(MIGRATIONS)[-1]
    execute(dsn, FORGET, last.version)
    with pytest.raises(SchemaNotPushed, match=f"{last.stem}.*supabase db push"):
        build_services(settings_of(new_project(dsn), tmp_path))


def test_a_newer_schema_than_this_program_is_refused(
    fresh_database: NewDatabase, new_project: NewProject, tmp_path: Path
) -> None:
    dsn = fresh_database()
    execute(dsn, ADD, "29990101000000")
    with pytest.raises(DatabaseNewerThanCode, match="29990101000000"):
        build_services(settings_of(new_project(dsn), tmp_path))


def test_a_wrong_key_or_address_is_told_in_a_sentence(
    fresh_database: NewDatabase, new_project: NewProject, tmp_path: Path
) -> None:
    project = new_project(fresh_database())
    with pytest.raises(DatabaseError, match="SUPABASE_SERVICE_KEY") as caught:
        build_services(settings_of(project, tmp_path, key=project.key("anon")))
    assert not isinstance(caught.value, MigrationError)
    with pytest.raises(SettingsError, match="SUPABASE_SERVICE_KEY"):
        build_services(settings_of(project, tmp_path, key="a key"))
    away = replace(project, url=f"http://127.0.0.1:{free_port(0)}")
    with pytest.raises(TemporaryDatabaseError, match="cannot be reached"):
        build_services(settings_of(away, tmp_path))


def test_rows_come_whole_from_a_server_that_gives_fewer_at_once(
    empty_database: NewDatabase, new_project: NewProject
) -> None:
    dsn = empty_database()
    execute(
        dsn,
        "create view public.many with (security_invoker = true) as"
        " select n from generate_series(1, 350) as n",
    )
    project = new_project(dsn, max_rows=100)
    transport = RestTransport(project.url, project.service_key)
    rows = transport.select("many", order=["n.desc"]).rows
    assert [row["n"] for row in rows] == list(range(350, 0, -1))
    assert len([line for line in project.gateway.asked if "/many?" in line]) == 5
    transport.close()
