"""The embedded server's port and passwords, kept in a file that only its owner can read."""

import json
import os
import secrets
import socket
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

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
        """Write the file whole or not at all, readable by its owner only. Raises OSError."""
        descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)


def load_access(path: Path) -> ServerAccess | None:
    """The access that was saved, or None if there is none. Raises OSError or ValueError."""
    try:
        return ServerAccess(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except TypeError as error:
        raise ValueError(f"{path} is not as it was written") from error


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
