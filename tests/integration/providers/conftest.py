"""Stripe, Discord and WhatsApp on loopback, and a utility that uses them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.bootstrap_providers import (
    Addresses,
    message_rates,
    message_steps,
    payment_links,
    payment_steps,
)
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.messages.delivery import Delivery
from services.messages.templates import TemplateWriter
from services.payments.stripe.payment_links import PaymentLinks
from services.settings import load_settings
from tests.integration.providers import published
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import StandIn, running
from tests.integration.utility import ACTOR, Utility, make_utility

SHORT_TIMEOUT = 0.6
UNLIMITED = dict.fromkeys(
    (
        "MESSAGES_PER_MINUTE_DISCORD",
        "MESSAGES_PER_MINUTE_DISCORD_CUSTOMERS",
        "MESSAGES_PER_MINUTE_WHATSAPP",
        "MESSAGES_PER_MINUTE_EMAIL",
        "MESSAGES_PER_MINUTE_SMS",
    ),
    "100000",
)


@pytest.fixture
def links(stripe_mock: str | None) -> Links:
    """The payment links at Stripe."""
    return Links(mock_url=stripe_mock)


@dataclass
class Providers:
    """The three services."""

    stripe: StandIn
    discord: StandIn
    whatsapp: StandIn


@pytest.fixture
def providers(links: Links) -> Iterator[Providers]:
    """All three, up and checking what they are asked."""
    with (
        running(published.stripe(links)) as stripe,
        running(published.discord()) as discord,
        running(published.whatsapp()) as whatsapp,
    ):
        yield Providers(stripe, discord, whatsapp)


@dataclass
class Office:
    """A utility with its services outside, and a look at what is kept."""

    utility: Utility
    database: DatabaseService
    links: PaymentLinks
    dsn: str
    delivery: Delivery

    def add_customer(self, serial: str = "M1", **channels: Any) -> None:
        """A meter and its customer; with a telephone, and reached on these channels."""
        self.utility.add_meter(serial)
        self.sql("update public.customers set phone = '+91 98765 43210'")
        if channels:
            rows = [{"account_no": f"A-{serial}", **channels}]
            self.database.set_customer_channels(actor=ACTOR, rows=rows)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as the owner; its rows."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("select set_config('billing.actor', 'test', false)")
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def later(self) -> None:
        """Let the pause of all open work be over, and take it up."""
        self.sql("update public.outbox set next_attempt_at = now() - interval '1 second'")
        self.utility.services.outbox.sweep()

    def outbox(self, bill_id: str) -> tuple[str, dict[int, tuple[str, str]]]:
        """How a bill's owed work stands: its status, and each step's with its detail."""
        (work,) = self.database.outbox_of(bill_id)
        steps: dict[int, tuple[str, str]] = {n: (s.status, s.detail) for n, s in work.steps.items()}
        return work.status, steps

    def log(self, bill_id: str) -> dict[str, Any]:
        """The messages of a bill by channel."""
        found = self.database.notifications(bill_id=bill_id).items
        return {sent.channel: sent for sent in found}


MakeOffice = Callable[..., Office]


@pytest.fixture
def make_office(providers: Providers, database: str, tmp_path: Path) -> Iterator[MakeOffice]:
    """Call it for an office; `without` names settings to leave empty, `rates` limits channels."""
    made: list[Office] = []

    def make(
        *,
        without: tuple[str, ...] = (),
        kept: type[DatabaseService] | None = None,
        rates: Mapping[str, str] | None = None,
    ) -> Office:
        environ = {
            "DATABASE_URL": database,
            "DATA_DIR": str(tmp_path),
            "STRIPE_SECRET_KEY": published.STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRET": "whsec_x",
            "DISCORD_WEBHOOK_URL": f"{providers.discord.url}{published.SHARED_PATH}",
            "WHATSAPP_TOKEN": published.WHATSAPP_TOKEN,
            "WHATSAPP_PHONE_NUMBER_ID": published.PHONE_ID,
            **UNLIMITED,
            **(rates or {}),
        }
        settings = load_settings({n: v for n, v in environ.items() if n not in without})
        addresses = Addresses(
            stripe=providers.stripe.url,
            whatsapp=providers.whatsapp.url,
            timeout_seconds=SHORT_TIMEOUT,
            check_webhook=str,
        )
        service = (kept or DatabaseService)(DirectTransport(database))
        links = payment_links(settings=settings, database=service, addresses=addresses)
        steps = payment_steps(links) | message_steps(
            settings=settings,
            database=service,
            writer=TemplateWriter(lambda: settings.utility_name),
            addresses=addresses,
        )
        utility = make_utility(database, tmp_path, step_handlers=steps)
        assert links is not None or "STRIPE_SECRET_KEY" in without
        delivery = Delivery(service, utility.services.outbox, message_rates(settings))
        office = Office(utility, service, links, database, delivery)  # type: ignore[arg-type]
        made.append(office)
        return made[-1]

    yield make
    for office in made:
        office.utility.services.close()
        office.database.close()


@pytest.fixture
def own_webhook(providers: Providers) -> str:
    """The address of a customer's webhook."""
    return f"{providers.discord.url}{published.OWN_PATH}"
