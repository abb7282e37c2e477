"""A town of customers with pages of their own, one a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.bootstrap_providers import Addresses
from tests.integration.customer_page.visitor import Town
from tests.integration.utility import make_utility
from tests.mail_server import Mailbox, mail_server


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def town(box: Mailbox, database: str, tmp_path: Path) -> Iterator[Town]:
    utility = make_utility(
        database,
        tmp_path,
        addresses=Addresses(),
        more_settings={
            "DEMO": "off",
            "UTILITY_NAME": "Green Valley",
            "PUBLIC_URL": "https://bills.example",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(box.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": "billing@valley.example",
            "MESSAGES_PER_MINUTE_EMAIL": "100000",
        },
    )
    yield Town(utility, box, database)
    utility.services.close()
