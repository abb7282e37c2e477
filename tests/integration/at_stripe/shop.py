"""A utility that takes payments at the Stripe of the tests."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from services.bootstrap_providers import Addresses
from services.container import Services
from services.database.service import DatabaseService
from services.payments.reconciliation import Reconciliation
from services.records.bills import Bill
from services.records.ledger import Payment, PaymentReturn
from tests.integration.at_stripe.stripe_server import SECRET, Stripe
from tests.integration.providers.published import STRIPE_KEY
from tests.integration.providers.stand_in import StandIn
from tests.integration.utility import ADMIN, Utility, make_utility


@dataclass
class Shop:
    """The utility, and the Stripe with its server."""

    utility: Utility
    stripe: Stripe
    server: StandIn
    dsn: str

    @property
    def services(self) -> Services:
        """All services of the utility."""
        return self.utility.services

    @property
    def database(self) -> DatabaseService:
        """What is kept."""
        return self.utility.services.database

    @property
    def reconciliation(self) -> Reconciliation:
        """The looks at Stripe."""
        assert self.services.reconciliation is not None
        return self.services.reconciliation

    def bill(self, serial: str = "M1") -> Bill:
        """A bill of ₹540.35 with its link, for a new meter."""
        self.utility.add_meter(serial)
        bill = self.utility.submit(serial, 1117).bill
        assert bill is not None
        return self.database.bill(bill.id)

    def take(self, payload: bytes, signature: str) -> int:
        """The webhook, without the HTTP before it; the status."""
        assert self.services.payment_received is not None
        self.services.payment_received.receive(
            payload=payload, signature=signature, now=datetime.now(UTC)
        )
        return 200

    def paid(self, serial: str = "M1", *, amount: int | None = None) -> tuple[Bill, Payment]:
        """A bill that was paid by its link, in full or in part, and told by the webhook."""
        bill = self.bill(serial)
        assert bill.payment_url is not None
        intent = self.stripe.pay(bill.payment_url, amount=amount)
        assert self.stripe.deliver(self.take) == [200]
        return self.database.bill(bill.id), self.payment_of(intent["id"])

    def payment_of(self, intent: str) -> Payment:
        """Our payment for one of Stripe's."""
        (found,) = self.database.payments(text=intent).items
        return found

    def refund(self, payment: Payment, amount: str | None = None, **how: Any) -> PaymentReturn:
        """An administrator refunds a payment through Stripe, or as told."""
        fields: dict[str, Any] = {"by_stripe": True, "method": "bank", "reference": ""}
        fields |= {"reason": "Asked for it", "principal": ADMIN, "now": datetime.now(UTC)}
        return self.services.refunds.refund(payment_id=payment.id, amount=amount, **(fields | how))

    def later(self) -> int:
        """Let all pauses of refunds be over, and take them up; how many were."""
        self.sql("update public.payment_returns set next_attempt_at = now() - interval '2 minutes'")
        return self.services.refunds.take_up(now=datetime.now(UTC))

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as the owner; its rows."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("select set_config('billing.actor', 'test', false)")
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def assert_sound(self) -> None:
        """The ledger adds up, and Stripe was asked nothing that it does not know."""
        assert self.database.check_ledger().problems == ()
        assert self.server.problems == []


def open_shop(dsn: str, data_dir: Path, stripe: Stripe, server: StandIn, **environ: str) -> Shop:
    """A shop over an empty database."""
    given = {"STRIPE_SECRET_KEY": STRIPE_KEY, "STRIPE_WEBHOOK_SECRET": SECRET}
    utility = make_utility(
        dsn,
        data_dir,
        more_settings=given | environ,
        addresses=Addresses(stripe=server.url, timeout_seconds=1),
    )
    return Shop(utility, stripe, server, dsn)
