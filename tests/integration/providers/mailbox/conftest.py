"""A utility whose mailbox lies at a real IMAP server, with a customer who is reached by mail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.bootstrap_providers import Addresses
from tests.imap_server import PASSWORD, USER, ImapServer, imap_server
from tests.integration.providers import published
from tests.integration.providers.mailbox.mails import SENDER, sql
from tests.integration.providers.stand_in import StandIn, running
from tests.integration.utility import Utility, make_utility
from tests.mail_server import Mailbox, mail_server


@pytest.fixture
def imap() -> Iterator[ImapServer]:
    with imap_server() as found:
        yield found


@pytest.fixture
def smtp() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def twilio() -> Iterator[StandIn]:
    with running(published.twilio()) as found:
        yield found


@pytest.fixture
def utility(
    imap: ImapServer, smtp: Mailbox, twilio: StandIn, database: str, tmp_path: Path
) -> Iterator[Utility]:
    """A customer who prefers e-mail, and has a telephone."""
    made = make_utility(
        database,
        tmp_path,
        addresses=Addresses(twilio=twilio.url),
        more_settings={
            "DEMO": "off",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp.port),
            "SMTP_SECURITY": "none",
            "MESSAGES_PER_MINUTE_EMAIL": "100000",
            "CUSTOMER_EMAIL_FROM": SENDER,
            "CUSTOMER_EMAIL_BOUNCES_TO": "bounces@mill.example",
            "IMAP_HOST": "127.0.0.1",
            "IMAP_PORT": str(imap.port),
            "IMAP_SECURITY": "none",
            "IMAP_USER": USER,
            "IMAP_PASSWORD": PASSWORD,
            "TWILIO_ACCOUNT_SID": published.TWILIO_ACCOUNT,
            "TWILIO_AUTH_TOKEN": published.TWILIO_TOKEN,
            "TWILIO_FROM": published.TWILIO_NUMBER,
        },
    )
    made.add_meter("M1")
    sql(database, "update public.customers set phone='+919876543210', email='leela@post.example'")
    made.services.database.set_customer_channels(
        actor="test", rows=[{"account_no": "A-M1", "preferred": "email"}]
    )
    yield made
    made.services.close()
