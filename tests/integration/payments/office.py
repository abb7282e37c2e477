"""A utility that takes payments at Stripe: bills, what Stripe tells of them, and the books."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import stripe

from services.bootstrap import build_services
from services.outbox.outbox import StepHandler
from services.payments.payment_received import PaymentReceived
from services.records.bills import Bill
from services.records.entries import NewReturn, ReturnOutcome
from services.records.ledger import PaymentReturn
from services.records.reconciliation import AppliedEvent
from services.settings import load_settings
from tests.integration.payments.told import Json
from tests.integration.utility import ADMIN, Utility, make_utility

SECRET = "whsec_of_the_tests"
_serials = count(1)


@dataclass
class Office:
    """Services with Stripe configured, over a database of their own."""

    utility: Utility

    @property
    def story(self) -> PaymentReceived:
        """The story that takes what Stripe tells."""
        story = self.utility.services.payment_received
        assert story is not None
        return story

    def bill(self) -> Bill:
        """An issued bill of ₹540.35 of a new customer."""
        serial = f"P{next(_serials)}"
        self.utility.add_meter(serial)
        bill = self.utility.submit(serial, 1117).bill
        assert bill is not None
        return bill

    def now(self, bill: Bill) -> Bill:
        """The bill as it is by now."""
        return self.utility.services.database.bill(bill.id)

    def tell(self, *events: Json) -> AppliedEvent:
        """Stripe tells these, in this order; what became of the last one."""
        now = self.utility.now
        return [self.story.apply(event=e, arrived_by="webhook", now=now) for e in events][-1]

    def balance(self, customer_id: str | None) -> int:
        """What the customer owes."""
        assert customer_id is not None
        return self.utility.services.database.account(customer_id).balance_minor

    def flags(self, answer: AppliedEvent) -> dict[str, str]:
        """What nobody has looked at of the answer's payment, with the details."""
        assert answer.payment_id is not None
        found = self.utility.services.database.payment_flags(payment_id=answer.payment_id)
        return {flag.reason: flag.detail for flag in found if flag.resolved_at is None}

    def returns(self, answer: AppliedEvent) -> list[tuple[str, int, str]]:
        """What went back of the answer's payment: kinds, amounts, and how it stands; sorted."""
        return sorted((r.kind, r.amount_minor, r.status) for r in self.rows_of(answer))

    def rows_of(self, answer: AppliedEvent) -> list[PaymentReturn]:
        assert answer.payment_id is not None
        return self.utility.services.database.returns(payment_id=answer.payment_id)

    def ask_refund(self, answer: AppliedEvent, minor: int) -> str:
        """Ask a refund of Stripe, which has not answered yet; its id."""
        row: Json = {"id": str(uuid4()), "payment_id": answer.payment_id, "kind": "refund"}
        row |= {"method": "stripe", "status": "pending", "reason": "asked for it"}
        row |= {"amount_minor": minor, "on_date": self.utility.today}
        return self.utility.services.database.record_return(
            actor=ADMIN.user, entry=NewReturn.model_validate(row)
        ).id

    def end_refund(self, return_id: str, status: str, provider_id: str | None) -> PaymentReturn:
        """Stripe's answer to a refund that we asked for."""
        return self.utility.services.database.end_return(
            actor=ADMIN.user,
            return_id=return_id,
            outcome=ReturnOutcome.model_validate({"status": status, "provider_id": provider_id}),
        )

    def assert_sound(self) -> None:
        """The ledger adds up."""
        assert self.utility.services.database.check_ledger().problems == ()


def open_office(
    dsn: str, folder: Path, *, step_handlers: Mapping[int, StepHandler] | None = None
) -> Office:
    """A utility with a tariff on an empty database, with Stripe configured."""
    made = make_utility(dsn, folder)
    made.services.close()
    environment = {"DATABASE_URL": dsn, "DATA_DIR": str(folder)}
    environment |= {"STRIPE_SECRET_KEY": "sk_test_ours", "STRIPE_WEBHOOK_SECRET": SECRET}
    services = build_services(load_settings(environment), step_handlers=step_handlers or {})
    return Office(Utility(services, made.now))


def signed(event: Json, *, at: float) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a delivery of the webhook."""
    body = json.dumps(event)
    made: Any = stripe.WebhookSignature.generate_signature_header(body, SECRET, int(at))
    return body.encode(), {"Stripe-Signature": made, "Content-Type": "application/json"}
