"""The servers that a session of tests shares, each started when a test first asks for it."""

import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, NoReturn

import psycopg
import pytest
from psycopg import sql

from services.database.embedded import EmbeddedPostgres
from services.database.embedded.access import OWNER, SUPERUSER
from services.database.schema.migrations import apply_migrations
from services.settings import PROJECT_FOLDER
from tests.folders import enterable_folder
from tests.integration.server_process import server_pid, superuser_dsn

if TYPE_CHECKING:
    from tests.contract.graph.servers import Neo4j

MIGRATIONS = PROJECT_FOLDER / "supabase" / "migrations"
NewDatabase = Callable[[], str]


def _missing(what: str, reason: Exception) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"No {what} to test with: {reason}")
    pytest.skip(f"no {what}: {reason}")


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedPostgres]:
    """The embedded server of this test session; for tests that never stop or harm it."""
    for folder in enterable_folder():
        server = EmbeddedPostgres(folder)
        server.start()
        with psycopg.connect(superuser_dsn(server), autocommit=True) as connection:
            # It would visit hundreds of databases that live for a second.
            connection.execute("alter system set autovacuum = off")
            connection.execute("select pg_reload_conf()")
            _sign_in_fast(connection, server)
        yield server
        # Nobody needs its last checkpoint, which takes seconds after so many new databases.
        os.kill(server_pid(server), signal.SIGQUIT)
        server.stop()


def _sign_in_fast(connection: psycopg.Connection[Any], server: EmbeddedPostgres) -> None:
    """Hash the passwords once instead of 4,096 times: each test signs in several times."""
    access = server._started()[1]
    connection.execute("set scram_iterations = 1")
    for role, password in ((OWNER, access.owner_password), (SUPERUSER, access.superuser_password)):
        change = sql.SQL("alter role {} password {}")
        connection.execute(change.format(sql.Identifier(role), sql.Literal(password)))


class Databases:
    """Databases on one server, until their tests are over: in memory each takes 10 MB."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        # As its superuser: nobody else ends the workers of autovacuum.
        self._superuser = psycopg.connect(superuser_dsn(server), autocommit=True)
        self._numbers = itertools.count(1)
        self._made: set[str] = set()

    def empty(self) -> str:
        """The DSN of a new database with Supabase's roles and no schema."""
        return self._server.database(self._new_name("empty"))

    def copy(self, template: str) -> str:
        """The DSN of a copy of a database that nobody is connected to."""
        name, source = self._new_name("fresh"), _name(template)
        self._run("create database {} template {} owner {}", name, source, OWNER)
        return template.replace(f"/{source}?", f"/{name}?")

    def drop(self, dsn: str) -> None:
        """Drop a database, whoever is connected to it."""
        name = _name(dsn)
        self._run("drop database if exists {} with (force)", name)
        self._made.remove(name)

    def drop_all(self) -> None:
        """Drop all that are left."""
        for name in list(self._made):
            self.drop(f"/{name}?")

    def close(self) -> None:
        """Hang up on the server."""
        self._superuser.close()

    def _new_name(self, kind: str) -> str:
        name = f"{kind}_{next(self._numbers)}"
        self._made.add(name)
        return name

    def _run(self, statement: LiteralString, *names: str) -> None:
        self._superuser.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _name(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]


DATABASES = pytest.StashKey[Databases]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Drop what a file of tests made, once nothing in it needs it any more."""
    result = yield
    databases = item.config.stash.get(DATABASES, None)
    # After the last test the server is gone, and its databases with it.
    if databases is not None and nextitem is not None and nextitem.path != item.path:
        databases.drop_all()
    return result


@pytest.fixture(scope="session")
def databases(
    embedded_server: EmbeddedPostgres, pytestconfig: pytest.Config
) -> Iterator[Databases]:
    """What makes and drops databases; tests ask for one of the two makers."""
    made = Databases(embedded_server)
    pytestconfig.stash[DATABASES] = made
    yield made
    made.close()


@pytest.fixture(scope="session")
def empty_database(databases: Databases) -> NewDatabase:
    """Call it for the DSN of a new database with Supabase's roles and no schema."""
    return databases.empty


@pytest.fixture(scope="session")
def fresh_database(embedded_server: EmbeddedPostgres, databases: Databases) -> NewDatabase:
    """Call it for the DSN of a new database with all migrations applied, copied from a template."""
    template = embedded_server.database("migrated")
    apply_migrations(template, MIGRATIONS)
    with psycopg.connect(template, autocommit=True) as connection:
        # What the migrations left behind would be copied each time.
        connection.execute("vacuum full")
    return lambda: databases.copy(template)


@pytest.fixture
def database(fresh_database: NewDatabase, databases: Databases) -> Iterator[str]:
    """The DSN of a new database with all migrations applied, for one test."""
    dsn = fresh_database()
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="session")
def postgrest() -> Path:
    """The program PostgREST; without it the tests over REST are skipped, but never in CI."""
    # Imported here: most sessions need none of it.
    from tests.contract.supabase_project import NoPostgrest, find_postgrest  # noqa: PLC0415

    try:
        return find_postgrest()
    except NoPostgrest as reason:
        _missing("Supabase REST server", reason)


@pytest.fixture(scope="session")
def neo4j_server() -> Iterator["Neo4j"]:
    """A real Neo4j for the whole session; without one its tests are skipped, but never in CI."""
    # Imported here: most sessions need none of it.
    from tests.contract.graph.servers import NoNeo4j, find_neo4j, real_neo4j  # noqa: PLC0415

    try:
        program = find_neo4j()
    except NoNeo4j as reason:
        _missing("Neo4j", reason)
    with real_neo4j(program) as server:
        yield server


@pytest.fixture(scope="session")
def stripe_mock() -> Iterator[str | None]:
    """Where Stripe's own API description is checked; None without Go, but never in CI."""
    script = PROJECT_FOLDER / "scripts" / "get_stripe_mock.sh"
    found = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    if found.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no stripe-mock: {found.stderr}")
        yield None
        return
    program = found.stdout.strip()
    # With an address of its own for HTTPS too: the default is one that two runs would share.
    command = [program, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if "HTTP at address" in line)
        # What it says of each request must not fill the pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield f"http://127.0.0.1:{said.strip().rpartition(':')[2]}"
        process.terminate()
