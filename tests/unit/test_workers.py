"""Work that is spread over processes: what it answers, and what happens when one of them dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from services.database.errors import RunTakenOver
from services.workers import MOST_LOSSES, Stopped, Workers, WorkersLost

NOT_STOPPED = threading.Event()


def built() -> int:
    """What each worker makes once: its own process id."""
    return os.getpid()


def doubled(built_in: int, task: int) -> tuple[int, int]:
    assert built_in == os.getpid()
    return task, 2 * task


def killed_once(_: int, task: tuple[Path, int]) -> int:
    mark, number = task
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def killed(_: int, __: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refused(_: int, __: int) -> None:
    raise RunTakenOver("EB006", "It was taken over.", detail="by another")


def slow(_: int, number: int) -> int:
    time.sleep(0.2)
    return number


def test_each_task_is_done_elsewhere_and_answered() -> None:
    found = dict(Workers(built, 2).results(doubled, range(20), stop=NOT_STOPPED))
    assert found == {number: 2 * number for number in range(20)}


def test_what_a_killed_worker_had_begun_is_done_again(tmp_path: Path) -> None:
    tasks = [(tmp_path / "mark", number) for number in range(8)]
    found = list(Workers(built, 2).results(killed_once, tasks, stop=NOT_STOPPED))
    # A result that was on its way when the worker died may come twice.
    assert set(found) == set(range(8))
    assert (tmp_path / "mark").exists()


def test_workers_that_die_each_time_end_the_work(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(WorkersLost):
        list(Workers(built, 1, None).results(killed, [1], stop=NOT_STOPPED))
    assert caplog.text.count("a worker process was lost") == MOST_LOSSES


def test_an_error_comes_as_it_was_raised() -> None:
    with pytest.raises(RunTakenOver) as raised:
        list(Workers(built, 2).results(refused, [1], stop=NOT_STOPPED))
    assert (raised.value.code, raised.value.detail) == ("EB006", "by another")


def test_workers_begin_while_a_page_stands_in_the_main_module_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ModuleType("__main__")
    page.__file__ = str(tmp_path / "page.py")
    Path(page.__file__).write_text("raise RuntimeError('A page that nobody opened is run.')")
    monkeypatch.setitem(sys.modules, "__main__", page)
    assert dict(Workers(built, 2).results(doubled, [1], stop=NOT_STOPPED)) == {1: 2}


def test_it_stops_between_two_tasks() -> None:
    stop = threading.Event()
    results = Workers(built, 2).results(slow, range(100), stop=stop)
    next(results)
    stop.set()
    began = time.monotonic()
    with pytest.raises(Stopped):
        list(results)
    assert time.monotonic() - began < 10


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    note = tmp_path / "pid"
    script = (
        "import threading, sys\nfrom functools import partial\nfrom pathlib import Path\n"
        "from services.workers import Workers\nfrom tests.unit.test_workers import built, noted\n"
        "if __name__ == '__main__':\n"
        "    work = partial(noted, Path(sys.argv[1]))\n"
        "    list(Workers(built, 1).results(work, [1], stop=threading.Event()))\n"
    )
    program = tmp_path / "program.py"
    program.write_text(script)
    with subprocess.Popen(
        [sys.executable, str(program), str(note)], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    ) as process:
        yield process, note
        process.kill()


def noted(note: Path, worker: int, _: int) -> None:
    note.with_suffix(".new").write_text(str(worker))
    note.with_suffix(".new").rename(note)
    time.sleep(60)


def test_no_worker_outlives_the_process_that_began_it(
    parent: tuple["subprocess.Popen[bytes]", Path],
) -> None:
    process, note = parent
    assert _within(30, note.exists)
    worker = int(note.read_text())
    process.kill()
    assert _within(10, partial(_is_gone, worker))


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _is_gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"
