"""A Supabase project on this machine: PostgREST over the embedded Postgres, and its gateway."""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import requests
from jose import jwt
from psycopg import sql

from services.database.embedded.access import free_port
from services.database.embedded.user import server_user
from services.settings import PROJECT_FOLDER
from tests.contract.gateway import Gateway
from tests.folders import enterable_folder

SCRIPT = PROJECT_FOLDER / "scripts" / "get_postgrest.sh"
START_SECONDS = 30.0


class NoPostgrest(Exception):
    """PostgREST could not be had on this machine."""


@dataclass(frozen=True)
class SupabaseProject:
    """Where a project answers and what signs its keys."""

    url: str
    secret: str
    gateway: Gateway

    def key(self, role: str) -> str:
        """The project's key for a role, such as service_role or anon."""
        return str(jwt.encode({"iss": "supabase", "role": role}, self.secret, algorithm="HS256"))

    @property
    def service_key(self) -> str:
        """The secret key."""
        return self.key("service_role")


def find_postgrest() -> Path:
    """The program, fetched if it is not there yet. Raises NoPostgrest with the reason."""
    run = subprocess.run(["sh", str(SCRIPT)], capture_output=True, text=True, check=False)
    if run.returncode:
        raise NoPostgrest(run.stderr.strip() or "scripts/get_postgrest.sh failed.")
    return Path(run.stdout.strip())


@contextmanager
def supabase_project(program: Path, dsn: str, *, max_rows: int = 1000) -> Iterator[SupabaseProject]:
    """Serve a database of the embedded server over REST, as Supabase does, until the end."""
    secret = secrets.token_hex(32)
    with _program_anyone_can_run(program) as own_copy:
        environment = {
            "PGRST_DB_URI": _authenticator(dsn),
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_EXTRA_SEARCH_PATH": "public, extensions",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_MAX_ROWS": str(max_rows),
            "PGRST_JWT_SECRET": secret,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_LOG_LEVEL": "crit",
        }
        process, port = _started(own_copy, environment)
        try:
            gateway = Gateway(port)
            try:
                yield SupabaseProject(f"http://127.0.0.1:{gateway.port}", secret, gateway)
            finally:
                gateway.stop()
        finally:
            process.terminate()
            process.communicate(timeout=20)


@contextmanager
def _program_anyone_can_run(program: Path) -> Iterator[Path]:
    """A copy where an ordinary user can come to, which a clone in root's home is not."""
    for folder in enterable_folder():
        yield Path(shutil.copy(program, folder / program.name))


def _started(program: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[str], int]:
    """The program, ready, and its port: others, if somebody took one of them meanwhile."""
    for attempt in range(5):
        port, admin_port = free_port(0), free_port(0)
        ports = {"PGRST_SERVER_PORT": str(port), "PGRST_ADMIN_SERVER_PORT": str(admin_port)}
        process = _start(program, environment | ports)
        try:
            _wait_until_ready(process, admin_port)
        except AssertionError as error:
            if "resource busy" not in str(error) or attempt == 4:
                raise
        else:
            return process, port
    raise AssertionError("no free ports")


def _start(program: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    # Not as root, as whom nothing from outside should run.
    user = server_user(program.parent / "nobody's")
    return subprocess.Popen(
        [str(program)],
        cwd="/",
        env={"PATH": os.defpath, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=user.uid if user.switch else None,
        group=user.gid if user.switch else None,
        extra_groups=[] if user.switch else None,
    )


def _wait_until_ready(process: subprocess.Popen[str], admin_port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"PostgREST ended: {process.communicate()[0]}")
        try:
            if requests.get(f"http://127.0.0.1:{admin_port}/ready", timeout=2).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"PostgREST is not ready: {process.communicate()[0]}")


def _authenticator(dsn: str) -> str:
    """The DSN of the role that PostgREST signs in as; its password is new each time."""
    password = secrets.token_hex(16)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            sql.SQL("alter role authenticator password {}").format(sql.Literal(password))
        )
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"authenticator:{password}@{parts.hostname}:{parts.port}").geturl()
