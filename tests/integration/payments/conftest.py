"""An office that takes payments at Stripe, one for each file of tests."""

from collections.abc import Iterator

import pytest

from tests.integration.payments.office import Office, open_office
from tests.servers import NewDatabase


@pytest.fixture(scope="module")
def shared_office(
    fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    made = open_office(fresh_database(), tmp_path_factory.mktemp("data"))
    yield made
    made.utility.services.close()


@pytest.fixture
def office(shared_office: Office) -> Iterator[Office]:
    """The office; whatever a test did, its ledger adds up."""
    yield shared_office
    shared_office.assert_sound()
