"""The process of the embedded graph server: its program, its settings, found, launched, ended."""

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from services.database.embedded.access import HOST, free_port
from services.database.embedded.cluster import command_line
from services.database.embedded.memory import memory_bytes
from services.integrations.http import TIMEOUT_SECONDS

PACKAGE: Final = "arcadedb_embedded"
DATABASE: Final = "graph"
USER: Final = "root"
# The server copies and writes a page as a whole, and a bill changes some that lie anywhere. Of each
# page 8 kB are its table of records, however small it is.
PAGE_BYTES: Final = 16 << 10
END_SECONDS: Final = 10.0
LOG_SHOWN_LINES: Final = 3
# Writes its own process id before it becomes the server: one that lost its app is always found.
LAUNCHER: Final = 'echo $$ > "$0" && exec "$1" "@$2"'


class UnableToRunGraph(Exception):
    """The embedded graph server does not run here; the message says why, without paths."""


@dataclass(frozen=True)
class Access:
    """Where the server listens, and the password that it was made with."""

    bolt_port: int
    http_port: int
    password: str


@dataclass(frozen=True)
class Program:
    """The Java runtime and the server's jars that came with the package."""

    java: Path
    jars: Path


def find_program() -> Program:
    """The program; raises UnableToRunGraph where there is none for this system."""
    if sys.platform == "win32":
        raise UnableToRunGraph("The embedded graph runs on Linux and macOS.")
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UnableToRunGraph(
            "The package arcadedb-embedded is not installed, or there is none for this system. "
            "Install it, or set NEO4J_URI."
        )
    package = Path(spec.submodule_search_locations[0])
    program = Program(package / "jre" / "bin" / "java", package / "jars")
    if not os.access(program.java, os.X_OK):
        raise UnableToRunGraph("The package arcadedb-embedded came without its Java.")
    return program


class Jvm:
    """One server over one folder; callers hold the folder's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._access_file = folder / "access.json"
        self._pid_file = folder / "server.pid"
        self._arguments = folder / "server.arguments"
        self._log = folder / "server.log"
        self._child: subprocess.Popen[bytes] | None = None

    def access(self) -> Access:
        """The access of last time, or one with a new password and no ports yet."""
        try:
            return Access(**json.loads(self._access_file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return Access(0, 0, secrets.token_urlsafe(32))

    def launch(self, program: Program, password: str) -> Access:
        """Start the server on free ports; it is not ready yet. Raises OSError."""
        access = Access(free_port(0), free_port(0), password)
        _write_private(self._access_file, json.dumps(asdict(access)))
        _write_private(self._folder / "password", password)
        _write_private(self._arguments, "\n".join(self._settings(program, access)) + "\n")
        files = [str(self._pid_file), str(program.java), str(self._arguments)]
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._child = subprocess.Popen(  # noqa: S603  our own program
                ["/bin/sh", "-c", LAUNCHER, *files],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                # Our secrets are none of its business, nor is a Ctrl-C that is meant for us. UTF-8,
                # or Java does not find a folder whose name has other letters.
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                start_new_session=True,
                umask=0o077,
            )
        finally:
            os.close(descriptor)
        return access

    def alive(self) -> bool:
        """Whether the server of this folder runs, whoever started it."""
        return self._pid() is not None

    def end(self) -> None:
        """End the server: in good order, or by force when that takes too long."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self._pid()
            if pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + END_SECONDS
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.02)

    def last_words(self) -> str:
        """The end of the server's log, for our own log."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return " | ".join(lines[-LOG_SHOWN_LINES:])

    def _pid(self) -> int | None:
        if self._child is not None:
            # Asking takes away what is left of a child that ended.
            if self._child.poll() is None:
                return self._child.pid
            self._child = None
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(self._arguments) in command_line(pid) else None

    def _settings(self, program: Program, access: Access) -> list[str]:
        """Java's arguments; in a file, so that nobody reads them from the list of processes."""
        heap_mb = heap_megabytes(memory_bytes())
        arcadedb = {
            "bucketDefaultPageSize": PAGE_BYTES,
            "maxPageRAM": heap_mb // 2,
            "server.rootPath": self._folder,
            "server.logsDirectory": self._folder / "log",
            "server.rootPasswordPath": self._folder / "password",
            "server.defaultDatabases": f"{DATABASE}[{USER}]",
            "server.mode": "production",
            "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
            "bolt.host": HOST,
            "bolt.port": access.bolt_port,
            # The server cannot do without its HTTP interface; it asks for the password too.
            "server.httpIncomingHost": HOST,
            "server.httpIncomingPort": access.http_port,
            "server.httpWorkerThreads": 4,
            "serverMetrics": "false",
            "opencypher.loadCsv.allowFileUrls": "false",
            "opencypher.loadCsv.allowRemoteUrls": "false",
            # It does not honour the time limit that comes with a question over Bolt.
            "command.timeout": int(TIMEOUT_SECONDS * 1000),
        }
        java = [
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
        ]
        settings = [f"-Darcadedb.{name}={value}" for name, value in arcadedb.items()]
        arguments = [*java, *settings, "-cp", f"{program.jars}/*"]
        return [_quoted(text) for text in (*arguments, "com.arcadedb.server.ArcadeDBServer")]


def heap_megabytes(memory_bytes: int) -> int:
    """How much memory the server may take on a machine with so much, which others use as well.

    Without a limit Java takes a quarter of the machine.
    """
    return min(max(memory_bytes // 16 >> 20, 256), 1024)


def _quoted(text: str) -> str:
    """As Java reads a line of an argument file, where a path may hold spaces."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_private(path: Path, text: str) -> None:
    """Write a file for its owner's eyes only, whole or not at all."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
