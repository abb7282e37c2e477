"""The servers that the graph is tried on: our embedded one, and a real Neo4j; and odd ones."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neo4j import Driver, GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from services.database.embedded.access import free_port
from services.graph.bolt import ConfiguredServer, Server
from services.graph.driver import open_driver
from services.graph.embedded import EmbeddedGraph
from services.graph.graph import Graph
from services.settings import PROJECT_FOLDER
from tests.folders import enterable_folder

SCRIPT = PROJECT_FOLDER / "scripts" / "get_neo4j.sh"
START_SECONDS = 120.0
# For servers that have to share two slow cores with everything else that runs.
PATIENT_SECONDS = 60.0
USER, PASSWORD = "neo4j", "a-password-for-tests"


class NoNeo4j(Exception):
    """Neo4j could not be had on this machine."""


def find_neo4j() -> Path:
    """Its folder, fetched if it is not there yet. Raises NoNeo4j with the reason."""
    run = subprocess.run(["sh", str(SCRIPT)], capture_output=True, text=True, check=False)
    if run.returncode:
        raise NoNeo4j(run.stderr.strip() or "scripts/get_neo4j.sh failed.")
    return Path(run.stdout.strip().splitlines()[-1])


class Neo4j(ConfiguredServer):
    """A Neo4j on this machine."""

    def __init__(self, port: int, pid: int = 0) -> None:
        super().__init__(f"bolt://127.0.0.1:{port}", user=USER, password=PASSWORD)
        self.port, self.pid = port, pid


class Elsewhere:
    """The same server by another port, or with another password."""

    kind = "configured"
    trouble = ""

    def __init__(self, server: Server, *, port: int = 0, password: str = "") -> None:
        self.database = server.database
        if isinstance(server, EmbeddedGraph):
            access = server._jvm.access()
            self.port, self._user, self._password = access.bolt_port, "root", access.password
        else:
            assert isinstance(server, Neo4j)
            self.port, self._user, self._password = server.port, USER, PASSWORD
        self._port = port or self.port
        self._password = password or self._password
        self._driver: Driver | None = None

    def driver(self) -> Driver:
        """As in Server."""
        if self._driver is None:
            address = f"bolt://127.0.0.1:{self._port}"
            self._driver = open_driver(address, user=self._user, password=self._password)
        return self._driver

    def close(self) -> None:
        """As in Server."""
        if self._driver is not None:
            self._driver.close()


class Line:
    """A line to a port of this machine that can be cut, also in the middle of a talk."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._left: int | None = None
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *, after_bytes: int = 0) -> None:
        """Let so much through to the server, then nothing until it is mended."""
        self._left = after_bytes
        if not after_bytes:
            self._hang_up()

    def mend(self) -> None:
        """Let everything through again."""
        self._left = None

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()
        self._hang_up()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
                if self._left == 0:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._open += [near, far]
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(*ends, near), daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source is near and self._left is not None:
                    self._left = max(0, self._left - len(data))
                    if self._left == 0:
                        self._hang_up()
                        return
                to.sendall(data)
        with suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)

    def _hang_up(self) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def real_neo4j(program: Path) -> Iterator[Neo4j]:
    """A Neo4j with a password of ours, until the end."""
    port = free_port(0)
    for folder in enterable_folder():
        command = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in ("java.nio", "sun.nio.ch")]
        command += ["-cp", f"{program}/classes:{program}/lib/*", "Neo4jServer"]
        process = subprocess.Popen(
            [*command, str(folder), str(port)],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = Neo4j(port, process.pid)
        try:
            _set_password(process, f"bolt://127.0.0.1:{port}")
            yield server
        finally:
            server.close()
            process.kill()
            process.wait(timeout=30)


def _set_password(process: subprocess.Popen[bytes], uri: str) -> None:
    change = "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with GraphDatabase.driver(uri, auth=(USER, "neo4j")) as driver:
                with driver.session(database="system") as session:
                    session.run(change, password=PASSWORD).consume()
                return
        except (DriverError, Neo4jError, OSError):
            time.sleep(0.2)
    raise AssertionError("Neo4j did not start.")


@contextmanager
def embedded_graph() -> Iterator[EmbeddedGraph]:
    """The embedded server over a folder of its own, started, until the end."""
    for folder in enterable_folder():
        server = EmbeddedGraph(folder / "data" / "graph" / "test")
        try:
            Graph(server, timeout_seconds=PATIENT_SECONDS).await_start(seconds=START_SECONDS)
            yield server
        finally:
            server.close()


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that takes every connection and never says a word."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def keep() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=keep, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()
