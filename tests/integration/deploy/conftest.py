"""Shared by the drills: one empty Debian for all of them, in whichever process they run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deploy.machine import DEBIAN


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of this run's, for what every process needs alike."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    yield folder
    # Made again by whoever still needs it.
    (folder / DEBIAN).unlink(missing_ok=True)
