"""The AI tests' servers and utilities."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from llmock.pytest_plugin import LLMock

from tests.integration.ai.advised import Advised
from tests.integration.ai.odd_server import OddServer

Advise = Callable[..., Advised]


@pytest.fixture
def advise(database: str, tmp_path: Path) -> Iterator[Advise]:
    """Call it with the address of an AI, and settings, for a utility that it advises."""
    made: list[Advised] = []

    def advise(url: str, **settings: str) -> Advised:
        made.append(Advised(database, tmp_path, url, **settings))
        return made[-1]

    yield advise
    for one in made:
        one.close()


@pytest.fixture
def advised(advise: Advise, llmock: LLMock) -> Advised:
    """A utility advised by llmock, with prices."""
    return advise(llmock.base_url(), AI_PRICE_INPUT="0.40", AI_PRICE_OUTPUT="1.60")


@pytest.fixture
def odd_server() -> Iterator[OddServer]:
    """A server whose answers the test scripts."""
    server = OddServer()
    yield server
    server.stop()
