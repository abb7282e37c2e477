"""The embedded server's port and passwords, kept in a file that only its owner can read."""

import json
import os
import secrets
import socket
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
SUPERUSER = "supabase_admin"
OWNER = "postgres"


@dataclass(frozen=True)
class ServerAccess:
    """How to reach the server; a port of 0 is one not chosen yet."""

    port: int
    superuser_password: str
    owner_password: str

    def superuser_dsn(self, database: str) -> str:
        """The DSN of the superuser; the password is never shown to a server that is not ours."""
        dsn = _dsn(SUPERUSER, self.superuser_password, self.port, database)
        return f"{dsn}&require_auth=scram-sha-256&connect_timeout=5"

    def owner_dsn(self, database: str) -> str:
        """The DSN of the role that owns the databases and applies migrations."""
        return _dsn(OWNER, self.owner_password, self.port, database)

    def with_port(self, port: int) -> "ServerAccess":
        """The same passwords at another port."""
        return replace(self, port=port)

    def save(self, path: Path) -> None:
        """Write the file whole or not at all, then a copy of it, readable by the owner only.

        Raises OSError.
        """
        for target in (path, _copy_of(path)):
            _write_whole(target, json.dumps(asdict(self)))


def load_access(path: Path) -> ServerAccess | None:
    """The access that was saved, or None if there is none.

    A damaged file counts as its copy: only the port may differ, which is looked for again.
    Raises OSError or ValueError.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        return None
    except ValueError as damage:
        try:
            access = _read(_copy_of(path))
        except (FileNotFoundError, ValueError):
            raise ValueError(
                f"{path}, which holds the database's passwords, is damaged: it is cut off or was "
                "changed. Put it back from a backup of the data folder"
            ) from damage
        access.save(path)
        return access


def _read(path: Path) -> ServerAccess:
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    try:
        access = ServerAccess(**found)
    except TypeError as error:
        raise ValueError(f"{path} is not as it was written") from error
    words = (found["superuser_password"], found["owner_password"])
    if type(found["port"]) is not int or not all(isinstance(w, str) and w for w in words):
        raise ValueError(f"{path} is not as it was written")
    return access


def _copy_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.copy")


def _write_whole(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    # The new name is on the disk only once its folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def new_access() -> ServerAccess:
    """New passwords, and no port yet."""
    return ServerAccess(0, secrets.token_urlsafe(32), secrets.token_urlsafe(32))


def free_port(preferred: int) -> int:
    """The preferred port of this machine if nobody listens there, else a free one."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on this machine")


def _dsn(role: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{role}:{password}@{HOST}:{port}/{database}?sslmode=disable"
