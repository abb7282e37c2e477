"""The embedded server: for us alone, shared, found after a kill, started again when spoilt."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.graph import Graph
from services.graph import embedded as embedded_module
from services.graph import jvm as jvm_module
from services.graph.bolt import Statement, StillStarting
from services.graph.embedded import EmbeddedGraph
from services.graph.jvm import PAGE_BYTES, Program
from services.integrations.http import RequestRejected, ServiceUnavailable
from tests.contract.graph.conftest import NewStory, step_8, sweep_now
from tests.contract.graph.network import clear, network, whole
from tests.contract.graph.servers import PATIENT_SECONDS, START_SECONDS, Elsewhere
from tests.contract.graph.test_passes import many
from tests.folders import enterable_folder
from tests.integration.server_process import ROOT, all_gone, runs, wait_until

NewGraph = Callable[[], Graph]

# What an app does with its graph; it ends when its standard input does.
APP = """
import sys
from pathlib import Path
from services.graph import Graph
from services.graph.embedded import EmbeddedGraph

server = EmbeddedGraph(Path(sys.argv[1]))
graph = Graph(server)
graph.await_start(seconds=120)
graph.project({"feeders": [{"id": "f1", "code": "F-1", "name": "North"}]})
print(server._jvm._pid(), flush=True)
sys.stdin.read()
graph.close()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of a graph that was not started yet."""
    for place in enterable_folder():
        # Java has to find its way there, too.
        yield place / "our dätä" / "graph" / "billing"


@pytest.fixture
def new_graph(folder: Path) -> Iterator[NewGraph]:
    """Call it for a graph over the folder, as another process would have one."""
    made: list[Graph] = []

    def make() -> Graph:
        made.append(Graph(EmbeddedGraph(folder), timeout_seconds=PATIENT_SECONDS))
        return made[-1]

    yield make
    for graph in made:
        graph.close()


def started(graph: Graph) -> int:
    """The process of its server, once that is ready."""
    graph.await_start(seconds=START_SECONDS)
    server = graph.server
    assert isinstance(server, EmbeddedGraph)
    pid = server._jvm._pid()
    assert pid is not None
    return pid


def app_on(folder: Path) -> tuple["subprocess.Popen[str]", int]:
    """Another process that works with the graph, and the process of the server."""
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert app.stdout is not None
    return app, int(app.stdout.readline())


def end(app: "subprocess.Popen[str]", how: int | None = None) -> None:
    """Let another process end, in good order or by a signal."""
    if how is not None:
        app.send_signal(how)
    app.communicate(timeout=60)


def test_it_is_for_us_alone(new_graph: NewGraph, folder: Path) -> None:
    graph = new_graph()
    pid = started(graph)
    server = graph.server
    assert isinstance(server, EmbeddedGraph)
    access = server._jvm.access()
    assert len(access.password) > 40
    for path in (folder, folder.parent, folder / "databases"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for name in ("access.json", "password", "server.arguments", "server.log", "server.pid"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    for port in (access.bolt_port, access.http_port):
        socket.create_connection(("127.0.0.1", port), 5).close()
    stranger = Elsewhere(server, password="arcadedb")
    with pytest.raises(RequestRejected, match="user name and password"):
        Graph(stranger).check()
    stranger.close()
    shown = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True
    ).stdout
    assert str(folder) in shown
    log = (folder / "server.log").read_text(encoding="utf-8", errors="replace")
    assert access.password not in shown + log
    if Path("/proc/self").exists():
        assert access.password.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        listening = _listening_on(pid)
        assert {access.bolt_port, access.http_port} == {port for _, port in listening}
        assert {address for address, _ in listening} == {"127.0.0.1"}


def _listening_on(pid: int) -> set[tuple[str, int]]:
    """What a process listens on, as (address, port)."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = str(link.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                # The last four bytes: 127.0.0.1, written as it lies in memory.
                ours = address[-8:] == "0100007F"
                found.add(("127.0.0.1" if ours else address, int(port, 16)))
    return found


def test_a_killed_server_comes_back_and_the_bill_gets_there(
    new_graph: NewGraph, new_story: NewStory
) -> None:
    graph = new_graph()
    pid = started(graph)
    utility = new_story(graph)
    utility.add_meter("M1")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not runs(pid))
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert step_8(utility, answer.bill.id)[0] in {"pending", "done"}
    assert started(graph) != pid
    sweep_now(utility)
    assert step_8(utility, answer.bill.id) == ("done", "with its meter, readings and tariff")
    assert answer.bill.id in {node["id"] for node in whole(graph)[0]}


def test_a_pass_goes_on_after_its_server_was_killed_and_is_exact(
    new_graph: NewGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.graph.passes.PAGE", 10)
    graph = new_graph()
    started(graph)
    pages: list[int] = []
    killed: list[int] = []

    def go_on() -> None:
        pages.append(1)
        if len(pages) in {3, 8, 13}:
            # Where the next one starts quickly, the pass goes on with it at once.
            killed.append(started(graph))
            os.kill(killed[-1], signal.SIGKILL)
            wait_until(lambda: not runs(killed[-1]))

    for _ in range(5):
        try:
            graph.rebuild(many(), go_on=go_on)
            break
        except ServiceUnavailable:
            started(graph)
            # The turn of the one that was broken off is over in a minute.
            graph._bolt.write([Statement("MATCH (pass:Rebuild {id: 'pass'}) SET pass.owner = ''")])
    else:
        pytest.fail("The pass did not come to its end.")
    assert len(set(killed)) == 3
    broken_off = whole(graph)
    clear(graph)
    graph.rebuild(many())
    assert whole(graph) == broken_off


def test_its_pages_are_small_enough_to_be_changed_here_and_there(
    new_graph: NewGraph, folder: Path
) -> None:
    graph = new_graph()
    started(graph)
    graph.project(network())
    files = (folder / "databases" / "graph").glob("*.bucket")
    assert {int(path.name.split(".")[-3]) for path in files} == {PAGE_BYTES}


def test_a_server_is_shared_and_the_last_who_needs_it_stops_it(
    new_graph: NewGraph, folder: Path
) -> None:
    app, pid = app_on(folder)
    beside = new_graph()
    assert started(beside) == pid
    assert [node["id"] for node in whole(beside)[0]] == ["f1"]
    beside.close()
    assert runs(pid)
    with pytest.raises(ServiceUnavailable, match="has been stopped"):
        beside.check()
    # The app is killed: nothing stops its server, and whoever comes next works with it.
    end(app, signal.SIGKILL)
    assert runs(pid)
    after = new_graph()
    assert started(after) == pid
    assert [node["id"] for node in whole(after)[0]] == ["f1"]
    after.close()
    wait_until(lambda: all_gone([pid]))


def test_a_server_that_was_left_behind_and_hangs_is_ended(
    new_graph: NewGraph, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, pid = app_on(folder)
    end(app, signal.SIGKILL)
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(embedded_module, "ADOPTION_SECONDS", 1.0)
    monkeypatch.setattr(jvm_module, "END_SECONDS", 0.5)
    graph = new_graph()
    try:
        assert started(graph) != pid
        assert not runs(pid)
    finally:
        with_pid_gone(pid)


def with_pid_gone(pid: int) -> None:
    """Leave no stopped process behind when a test failed."""
    if runs(pid):
        os.kill(pid, signal.SIGKILL)


def test_over_a_spoilt_folder_whose_password_nobody_knows_it_begins_anew(
    new_graph: NewGraph, folder: Path
) -> None:
    graph = new_graph()
    started(graph)
    graph.project(network())
    graph.close()
    for path in (folder / "databases" / "graph").iterdir():
        path.write_bytes(b"\x00spoilt")
    (folder / "access.json").unlink()
    again = new_graph()
    started(again)
    assert whole(again) == ([], [])
    again.project(network())


def test_a_start_that_fails_costs_a_bill_nothing_and_is_not_tried_for_each(
    new_graph: NewGraph, new_story: NewStory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\necho out of luck\nexit 1\n")
    broken.chmod(0o755)
    tries: list[int] = []

    def find_broken() -> Program:
        tries.append(1)
        return Program(broken, tmp_path)

    monkeypatch.setattr(embedded_module, "find_program", find_broken)
    graph = new_graph()
    utility = new_story(graph)
    reason = "The embedded graph could not be started; its log says more."
    for serial in ("M1", "M2"):
        utility.add_meter(serial)
        answer = utility.submit(serial, 1117)
        assert answer.bill is not None
        assert step_8(utility, answer.bill.id) == ("pending", reason)
    assert graph.server.trouble == reason
    assert len(tries) == 1


def test_a_step_waits_only_a_moment_for_a_start(
    new_graph: NewGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "PATIENCE_SECONDS", 0.01)
    graph = new_graph()
    with pytest.raises(StillStarting, match="still starting"):
        graph.check()
    # Closed in the middle of its start, it leaves nothing behind.
    graph.close()
    server = graph.server
    assert isinstance(server, EmbeddedGraph)
    assert not server._jvm.alive()
