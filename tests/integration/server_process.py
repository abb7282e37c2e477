"""Helps tests of the embedded server: other processes that use it, and the server's own."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psycopg

from services.database.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[2]

# What an app, or a command beside it, does with the data folder.
PROGRAM = """
import sys
from pathlib import Path
from services.database.embedded import EmbeddedPostgres
from services.database.embedded.locks import claim_app

folder = Path(sys.argv[1])
lock = claim_app(folder) if sys.argv[2] == "app" else None
server = EmbeddedPostgres(folder)
server.start()
print(server.database("billing"), flush=True)
sys.stdin.readline()
server.stop()
print("stopped", flush=True)
"""


class OtherProcess:
    """Another process on the data folder, an "app" or a "command", which waits once it started."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [python, "-c", PROGRAM, str(folder), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=environment,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            start_new_session=True,
        )

    def started(self) -> str:
        """Wait until it has started the server; the DSN, or what it said in vain."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if line.startswith("postgresql://"):
            return line
        raise AssertionError(line + self.process.stdout.read())

    def failure(self) -> str:
        """Wait until it gives up; what it said last."""
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode != 0, output
        return output.strip().splitlines()[-1]

    def stop(self) -> None:
        """Let it stop, and wait until it did."""
        output, _ = self.process.communicate("\n", timeout=60)
        assert output == "stopped\n"

    def end(self) -> None:
        """End it if it still lives, letting it stop what it started."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.communicate("\n", timeout=60)

    def kill(self, number: int, *, group: bool = False) -> None:
        """Send it, or its whole process group, a signal, and wait for its end."""
        command = ["kill", f"-{number}", "--", f"{'-' if group else ''}{self.process.pid}"]
        subprocess.run(command, check=True)
        self.process.communicate(timeout=60)


Start = Callable[..., OtherProcess]


def server_pid(server: EmbeddedPostgres) -> int:
    """The process of a started server."""
    return noted_pid(server.log_file.parent / "cluster")


def noted_pid(cluster: Path) -> int:
    """The process that the cluster's own note names."""
    return int((cluster / "postmaster.pid").read_text().split()[0])


def runs(pid: int) -> bool:
    """Whether the process lives; a zombie does not."""
    listing = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state = listing.stdout.strip()
    return bool(state) and not state.startswith("Z")


def wait_until(holds: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait for something to hold, or fail."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def all_gone(pids: Sequence[int]) -> bool:
    """Whether none of the processes lives."""
    return not any(runs(pid) for pid in pids)


def write(dsn: str, text: str) -> None:
    """Leave a note in a database."""
    with psycopg.connect(dsn) as connection:
        connection.execute("create table if not exists public.notes (text text)")
        connection.execute("insert into public.notes values (%s)", [text])


def read(dsn: str) -> str:
    """The notes that were left in a database."""
    with psycopg.connect(dsn) as connection:
        (text,) = connection.execute("select string_agg(text, ',') from public.notes").fetchone()  # type: ignore[misc]
    return str(text)


def superuser_dsn(server: EmbeddedPostgres, *, database: str = "postgres") -> str:
    """The DSN of a started server's superuser."""
    access = server._started()[1]
    return access.superuser_dsn(database)
