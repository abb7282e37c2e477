"""What holds for every test: quick ones first, those with a browser last."""

import signal

import pytest

# A shell that runs this in the background lets it ignore Ctrl-C, and every program it starts would
# inherit that: the tests of a clean end need the signal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of tests/ui last: they are slow, and Playwright keeps an event loop running."""
    items.sort(key=lambda item: "ui" in item.path.parts)
