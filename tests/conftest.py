"""What holds for every test: quick ones first, those with a browser last."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of tests/ui last: they are slow, and Playwright keeps an event loop running."""
    items.sort(key=lambda item: "ui" in item.path.parts)
