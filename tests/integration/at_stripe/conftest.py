"""A utility and a Stripe that remembers, for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.at_stripe.shop import Shop, open_shop
from tests.integration.at_stripe.stripe_server import Stripe
from tests.integration.providers.conftest import links
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running

__all__ = ["links"]


@pytest.fixture
def stripe(links: Links) -> Stripe:
    """The account at Stripe."""
    return Stripe(links)


@pytest.fixture
def shop(stripe: Stripe, database: str, tmp_path: Path) -> Iterator[Shop]:
    """A shop; whatever a test did, its ledger adds up."""
    with running(stripe.server()) as server:
        made = open_shop(database, tmp_path, stripe, server)
        yield made
        made.assert_sound()
        made.services.close()
