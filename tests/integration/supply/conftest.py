"""A utility of each test's own, and its changes of supply."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.supply.supplied import Supplied
from tests.integration.utility import Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def at(utility: Utility) -> Supplied:
    return Supplied(utility)
