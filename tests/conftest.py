"""What holds for every test: long files first, and in the end a word on what was not tested."""

import gc
import os
import signal
from collections import Counter

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.folders import remove_leftovers

pytest_plugins = ("tests.servers",)

# Files run side by side: a long one that began last would keep everybody waiting.
LONGEST_FIRST = ("ui", "integration", "contract", "unit")
# They share a Neo4j, which takes long to start.
SHARING = ("tests/contract/graph/", "tests/integration/configured/")
# They share nothing: one by one they fill what is left of each worker's time.
ALONE = "tests/unit/"
# What has servers, processes, clocks or a browser beside it runs once more when it fails, as a busy
# machine may have been too slow for it. What was run again is listed in the summary as RERUN, for
# somebody to look into. What shares nothing must pass at once.
AGAIN = pytest.mark.flaky(reruns=1)
# Each has a database server of its own, and some have a browser.
MOST_WORKERS = 4

# A shell that runs this in the background lets it ignore Ctrl-C, and every program it starts would
# inherit that: the tests of a clean end need the signal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an example takes is the machine's to say, and no property of the code. What CI changes of
# Hypothesis stays.
settings.register_profile(
    "not_timed", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("not_timed")

# Of the 800,000 objects that the tests and what they import are made of, none is garbage: looking
# through them again and again takes a third of the time of collecting the tests.
gc.disable()


def pytest_collection_finish() -> None:
    """From now on only what the tests make is looked through."""
    gc.freeze()
    gc.enable()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Clear away what killed runs left; once, not in each process of a session."""
    if not hasattr(session.config, "workerinput"):
        remove_leftovers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest together first, and what needs no server last."""
    for item in items:
        if not item.nodeid.startswith(ALONE):
            item.add_marker(AGAIN)
    slow = {item.path for item in items if any(map(item.get_closest_marker, ("browser", "slow")))}
    items.sort(
        key=lambda item: (not item.nodeid.startswith(SHARING), item.path not in slow, _place(item))
    )


def _place(item: pytest.Item) -> int:
    return next((n for n, name in enumerate(LONGEST_FIRST) if name in item.path.parts), 0)


class SharingServers(LoadFileScheduling):  # type: ignore[misc]
    """The tests of a file stay together, and so do those that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(ALONE):
            return nodeid
        return SHARING[0] if nodeid.startswith(SHARING) else str(super()._split_scope(nodeid))


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: now and then a test waits for a clock or a browser."""
    return min((os.cpu_count() or 1) + 1, MOST_WORKERS)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharingServers:
    """Hand out the tests that run side by side in this way."""
    return SharingServers(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What people's tasks take in a browser, and what this machine lacks."""
    _show_walks(terminalreporter)
    _show_skipped(terminalreporter)


def _show_walks(terminalreporter: pytest.TerminalReporter) -> None:
    """Clicks, fields and seconds of each task; a test that failed shows those it came to."""
    lines = sorted(
        str(line)
        for kind in ("", "error")
        for report in terminalreporter.stats.get(kind, [])
        if getattr(report, "when", None) == "teardown"
        for name, line in report.user_properties
        if name == "walked"
    )
    if lines:
        terminalreporter.section("Tasks walked in a browser")
        terminalreporter.line(f"{'':<50} width clicks fields seconds")
        for line in lines:
            terminalreporter.line(line)


def _show_skipped(terminalreporter: pytest.TerminalReporter) -> None:
    """The reasons, each with the number of tests that were skipped for it."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section("Not tested on this machine", yellow=True)
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:4} tests skipped: {reason}")
