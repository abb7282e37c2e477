"""The embedded Postgres: the first process that needs it starts it, the last one stops it."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql

from services.database.embedded.access import (
    OWNER,
    ServerAccess,
    free_port,
    load_access,
    new_access,
)
from services.database.embedded.cluster import Cluster
from services.database.embedded.home import ServerHome, find_server_home
from services.database.embedded.locks import FileLock, FileLocksUnavailable, make_data_folder
from services.database.embedded.user import EmbeddedPostgresError
from services.database.schema.roles import prepare_roles
from services.database.transport import DatabaseError

START_SECONDS = 90.0
LOCK_SECONDS = 180.0
RETRY_SECONDS = 0.1
MAINTENANCE = "postgres"
REFUSED = "password authentication failed"
DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
OWNER_RIGHTS = "login nosuperuser createdb createrole replication bypassrls"


class EmbeddedPostgres:
    """A real Postgres server under a data folder, shared by the processes that work on it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._folder = self._data_dir / "postgres"
        self._access_file = self._folder / "access.json"
        self._users = FileLock(self._folder / "in-use.lock")
        self._running: tuple[ServerHome, ServerAccess] | None = None

    @property
    def log_file(self) -> Path:
        """The server's log. Raises EmbeddedPostgresError before start()."""
        return self._started()[0].log

    @property
    def programs(self) -> Path:
        """The folder of pg_dump and pg_restore. Raises EmbeddedPostgresError before start()."""
        return self._started()[0].programs

    def start(self) -> None:
        """Make sure that the server runs and is kept running for this process.

        Makes it at first, adopts a live one, restarts a dead one; may be called again at any time.
        Raises EmbeddedPostgresError.
        """
        with self._changing():
            already = self._users.held
            self._users.acquire(shared=True)
            home = None
            try:
                home = find_server_home(self._folder)
                self._running = home, self._bring_up(home)
            except BaseException:
                if not already:
                    self._let_go(home)
                raise

    def stop(self) -> None:
        """Let go of the server; it is stopped if no other process uses it.

        Harmless if not started. Raises EmbeddedPostgresError if it does not stop.
        """
        if not self._users.held or self._running is None:
            return
        with self._changing():
            home, _ = self._running
            self._running = None
            self._let_go(home)

    def database(self, name: str) -> str:
        """The DSN, for role postgres, of the database of this name; made if it is missing.

        It has Supabase's roles and default grants. Raises ValueError for a name that is not plain,
        EmbeddedPostgresError before start() or if the server fails.
        """
        if not DATABASE_NAME.fullmatch(name):
            raise ValueError(f"A database's name is small letters, digits and _, not {name!r}.")
        _, access = self._started()
        with self._changing():
            _make_database(access, name)
            prepare_roles(access.superuser_dsn(name), owner=OWNER)
        return access.owner_dsn(name)

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _started(self) -> tuple[ServerHome, ServerAccess]:
        if self._running is None:
            raise EmbeddedPostgresError("The embedded database has not been started.")
        return self._running

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Start and stop one at a time, over all processes."""
        if sys.platform == "win32":
            raise EmbeddedPostgresError(str(FileLocksUnavailable()))
        try:
            make_data_folder(self._data_dir)
            make_data_folder(self._folder)
            changes = FileLock(self._folder / "change.lock")
            with changes.exclusively(wait_seconds=LOCK_SECONDS):
                yield
        except (OSError, ValueError, psycopg.Error, DatabaseError) as error:
            raise EmbeddedPostgresError(
                f"The embedded database in {self._folder} cannot be used: {error}"
            ) from error

    def _let_go(self, home: ServerHome | None) -> None:
        """Halt the server if no other process holds on to it, and hold on to it no longer."""
        try:
            alone = self._users.acquire()
            if alone and home is not None and Cluster(home).pid() is not None:
                Cluster(home).halt()
        finally:
            self._users.release()

    def _bring_up(self, home: ServerHome) -> ServerAccess:
        """A server that answers us: found, or launched, with patience while an old one dies."""
        cluster = Cluster(home)
        access = self._access_to(cluster)
        deadline = time.monotonic() + START_SECONDS
        while (silence := _why_silent(access, home)) is not None:
            alive = cluster.pid() is not None
            if (alive and REFUSED in silence) or time.monotonic() > deadline:
                raise cluster.trouble(f"The database server does not let us in ({silence}).")
            if not alive:
                access = self._at_free_port(access)
                cluster.forget_stranger()
                if cluster.launch(access.port):
                    continue
            time.sleep(RETRY_SECONDS)
        _make_owner(access)
        return access

    def _at_free_port(self, access: ServerAccess) -> ServerAccess:
        """The port of last time if it is free, so that those who know it come back."""
        access = access.with_port(free_port(access.port))
        access.save(self._access_file)
        return access

    def _access_to(self, cluster: Cluster) -> ServerAccess:
        access = load_access(self._access_file)
        if access is None and cluster.exists:
            raise EmbeddedPostgresError(
                f"{self._access_file}, which holds the database's passwords, is missing. Put it "
                "back from a backup of the data folder."
            )
        if access is None:
            access = new_access()
            access.save(self._access_file)
        if cluster.exists:
            cluster.check_version()
        else:
            cluster.create(access)
        return access


def _why_silent(access: ServerAccess, home: ServerHome) -> str | None:
    """None if our server, over this very cluster, takes our password: a pid would prove nothing."""
    try:
        with psycopg.connect(access.superuser_dsn(MAINTENANCE)) as connection:
            row = connection.execute("show data_directory").fetchone()
    except psycopg.OperationalError as error:
        return str(error).strip()
    served = Path(row[0]) if row else None
    return None if served == home.cluster else f"the server at its port serves {served}"


def _make_owner(access: ServerAccess) -> None:
    """The role postgres, which is no superuser here, as on Supabase."""
    with psycopg.connect(access.superuser_dsn(MAINTENANCE)) as connection:
        if connection.execute("select to_regrole(%s)", [OWNER]).fetchone() == (None,):
            connection.execute(
                sql.SQL("create role {} {} password {}").format(
                    sql.Identifier(OWNER), sql.SQL(OWNER_RIGHTS), sql.Literal(access.owner_password)
                )
            )


def _make_database(access: ServerAccess, name: str) -> None:
    with psycopg.connect(access.superuser_dsn(MAINTENANCE), autocommit=True) as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", [name])
        if known.fetchone():
            return
        create = sql.SQL("create database {} owner {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(OWNER)))
