"""A benchmark's own database, on an embedded server that ends with it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from services.bootstrap import services_of_worker, wire
from services.bootstrap_database import MIGRATIONS
from services.container import Services
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.settings import Settings, load_settings
from services.workers import Workers
from tests.integration.server_process import superuser_dsn

NAME: Final = "bench"


@dataclass(frozen=True)
class OwnDatabase:
    """A database with the schema and nothing else, its server and its data folder."""

    folder: Path
    server: EmbeddedPostgres
    name: str
    dsn: str

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection[Any]]:
        """A superuser's connection that commits each statement."""
        dsn = superuser_dsn(self.server, database=self.name)
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield connection

    def settings(self, **environment: str) -> Settings:
        """Those of a system on it, with more from the environment."""
        of_it = {"DATABASE_URL": self.dsn, "DATA_DIR": str(self.folder)}
        return load_settings(of_it | environment)

    def services(self, *, workers: int = 1, **environment: str) -> Services:
        """What works on it, with so many worker processes; its `database` is closed by the caller.

        Nothing leaves it.
        """
        settings = self.settings(**environment)
        return replace(
            wire(settings, DatabaseService(DirectTransport(self.dsn))),
            workers=Workers(partial(services_of_worker, settings, self.dsn, ()), workers),
        )

    def copy(self, name: str) -> "OwnDatabase":
        """Another with the same content; nobody may be connected to this one."""
        owner = superuser_dsn(self.server)
        with psycopg.connect(owner, autocommit=True) as connection:
            # Copied by the write-ahead log, sequences would go back when the server is killed
            # before its next checkpoint: the log has them only from time to time.
            made = sql.SQL("create database {} template {} strategy file_copy")
            connection.execute(made.format(sql.Identifier(name), sql.Identifier(self.name)))
        return replace(self, name=name, dsn=self.server.database(name))


@contextmanager
def own_database(name: str = NAME) -> Iterator[OwnDatabase]:
    """A new one, for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix="billing-bench-") as path:
        folder = Path(path)
        # The server runs as another user when this runs as root.
        folder.chmod(0o711)
        with EmbeddedPostgres(folder) as server:
            made = OwnDatabase(folder, server, name, server.database(name))
            apply_migrations(made.dsn, MIGRATIONS)
            yield made


def server_seconds(connection: psycopg.Connection[Any]) -> float:
    """Seconds of processors of a connection's server, with its processes that ended (Linux)."""
    first = int(Path("/proc", str(connection.info.backend_pid), "stat").read_text().split()[3])
    found = 0.0
    for folder in Path("/proc").iterdir():
        try:
            text = (folder / "stat").read_text() if folder.name.isdigit() else ""
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if fields and int(folder.name) == first:
            found += sum(map(int, fields[11:15]))
        elif fields and int(fields[1]) == first:
            found += sum(map(int, fields[11:13]))
    return found / os.sysconf("SC_CLK_TCK")
