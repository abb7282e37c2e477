"""A host is asked by a few at a time, and by nobody once it is down."""

import threading
import time
from collections.abc import Iterator

from services.jobs.asking import Circuit, HostQueue


class Host:
    """Answers a number with itself, and fails for some; counts how many ask at the same time."""

    def __init__(self, *failing: int, seconds: float = 0.01) -> None:
        self.failing = failing
        self.seconds = seconds
        self.asked: list[int] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def ask(self, number: int) -> int:
        with self._lock:
            self.asked.append(number)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self.seconds)
        with self._lock:
            self._at_once -= 1
        if number in self.failing:
            raise ValueError(str(number))
        return number


def queue_of(host: Host, *, most_in_a_row: int = 100, ahead: int = 8) -> HostQueue[int, int]:
    return HostQueue(host.ask, Circuit(most_in_a_row), threads=4, most_ahead=ahead)


def came_of(queue: HostQueue[int, int], things: Iterator[int]) -> dict[int, str]:
    """What came of each thing; the circuit is told as a job tells it."""
    found: dict[int, str] = {}
    for answered in queue.answers(things, tick_seconds=5):
        if answered is None:
            continue
        thing, future = answered
        if future is None:
            found[thing] = "not asked"
        elif future.exception():
            queue.circuit.failed()
            found[thing] = "failed"
        else:
            queue.circuit.answered()
            found[thing] = "answered"
    return found


def test_each_is_asked_once_by_no_more_than_may() -> None:
    host = Host(3, 7)
    found = came_of(queue_of(host), iter(range(40)))
    assert sorted(host.asked) == list(range(40))
    assert {thing for thing, what in found.items() if what == "failed"} == {3, 7}
    assert len(found) == 40
    assert 1 < host.most_at_once <= 4


def test_no_more_are_taken_from_the_list_than_may_be_ahead() -> None:
    taken: list[int] = []

    def things() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    answers = queue_of(Host(), ahead=6).answers(things(), tick_seconds=5)
    next(answers)
    assert len(taken) <= 6 + 4
    answers.close()


def test_a_host_that_is_down_is_left_alone_and_the_rest_is_said_not_to_be_asked() -> None:
    host = Host(*range(1000))
    found = came_of(queue_of(host, most_in_a_row=5), iter(range(200)))
    assert len(found) == 200
    assert len(host.asked) <= 5 + 8
    assert sum(what == "failed" for what in found.values()) == len(host.asked)
    assert found[199] == "not asked"


def test_an_answer_in_between_begins_the_row_anew() -> None:
    circuit = Circuit(2)
    for failed in (True, False, True, False):
        (circuit.failed if failed else circuit.answered)()
    assert not circuit.open
    circuit.failed()
    circuit.failed()
    circuit.answered()
    assert circuit.open


def test_while_nothing_comes_the_caller_gets_a_turn() -> None:
    answers = queue_of(Host(seconds=0.5)).answers(iter([1]), tick_seconds=0.05)
    assert next(answers) is None
    answers.close()


def test_whoever_stops_waits_for_nobody() -> None:
    began = time.monotonic()
    answers = queue_of(Host(seconds=2.0)).answers(iter(range(8)), tick_seconds=0.05)
    next(answers)
    answers.close()
    assert time.monotonic() - began < 1.5
