"""A utility with autopay at the Stripe of the tests, customers with a page, and days that pass."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from services.autopay.signing_up import plans
from services.bootstrap_providers import Addresses
from services.database.service import DatabaseService
from services.jobs import autopay, overdue_marking, payment_reminders
from services.jobs.runs import JobContext
from services.quantities.period import start_of_day
from services.records.bills import Bill
from services.records.customers.autopay import AutopayOfCustomer, Charge, Mandate
from services.records.jobs import RunRef
from services.records.ledger import Payment
from tests.integration.at_stripe.autopay_server import OK, AutopayStripe
from tests.integration.at_stripe.stripe_server import SECRET
from tests.integration.providers.published import STRIPE_KEY
from tests.integration.providers.stand_in import StandIn
from tests.integration.utility import KSEB, Utility, make_utility
from tests.mail_server import Mailbox

WORK = {
    "autopay": autopay.run,
    "payment_reminders": payment_reminders.run,
    "overdue_marking": overdue_marking.run,
}


@dataclass
class AutopayTown:
    """The utility, its Stripe, and the mails that leave."""

    utility: Utility
    stripe: AutopayStripe
    dsn: str
    box: Mailbox | None = None

    @property
    def database(self) -> DatabaseService:
        """What is kept."""
        return self.utility.services.database

    def customer(self, serial: str, *, tariff: str = KSEB["code"]) -> str:
        """A meter with its customer, who is reached by e-mail; the customer's id."""
        self.utility.add_meter(serial, tariff=tariff)
        (row,) = self.sql(
            "update public.customers set email = %s where account_no = %s returning id",
            f"{serial.lower()}@post.example",
            f"A-{serial}",
        )
        return str(row[0])

    def second_meter(self, serial: str, *, of: str) -> None:
        """Another meter for the customer of a first one."""
        opened = self.utility.today - timedelta(days=31)
        row: dict[str, Any] = {"row": 1, "id": str(uuid4()), "opening_reading_id": str(uuid4())}
        row |= {"serial": serial, "account_no": f"A-{of}", "tariff_code": KSEB["code"]}
        row |= {"kind": "manual", "dials": 5, "multiplier_milli": 1000, "opening_wh": 1_000_000}
        zone = self.utility.services.settings.timezone
        row |= {
            "opened_on": opened.isoformat(),
            "opened_at": start_of_day(opened, zone).isoformat(),
        }
        answer = self.database.import_rows(what="meters", actor="test", rows=[row], dry_run=False)
        assert not answer.errors, answer

    def bill(self, serial: str, kwh: int = 1117) -> Bill:
        """A bill of ₹540.35 for a new meter's first month."""
        made = self.utility.submit(serial, kwh).bill
        assert made is not None
        return self.database.bill(made.id)

    def sign_up(
        self,
        customer: str,
        *,
        card: str = OK,
        limit: int | None = None,
        expires: str = "2040-12",
        currency: str = "INR",
    ) -> Mandate:
        """The customer sets autopay up, and comes back."""
        sign_up = self.utility.services.autopay.sign_up
        mandate_id = str(uuid4())
        url = sign_up.begin(
            mandate_id=mandate_id,
            customer_id=customer,
            currency=currency,
            consent="I agree.",
            limit_minor=limit,
            actor="customer:test",
            now=self.utility.now,
        )
        self.stripe.save_card(url.rpartition("/")[2], card=card, expires=expires)
        found = sign_up.came_back(customer_id=customer, now=self.utility.now).mandate
        assert found is not None
        assert (found.id, found.status) == (mandate_id, "active")
        return found

    def state(self, customer: str) -> AutopayOfCustomer:
        """How a customer's autopay stands."""
        return self.database.autopay.of_customer(customer)

    def charge(self, customer: str) -> Charge:
        """The customer's only charge."""
        (found,) = self.state(customer).charges
        return found

    def payments(self, customer: str) -> list[Payment]:
        """The customer's payments."""
        return list(self.database.payments(customer_id=customer).items)

    def go_to(self, day: date) -> None:
        """It is noon of another day."""
        moved = datetime.combine(day, self.utility.now.timetz()).replace(hour=6)
        self.utility.now = moved

    def run(self, job: str = "autopay") -> str:
        """Run a job of today; its summary."""
        return WORK[job](self.context(job))

    def context(self, job: str = "autopay") -> JobContext:
        """A run of today that was claimed."""
        _, run = self.database.claim_job_run(
            job=job,
            scheduled_on=self.utility.today,
            owner=str(uuid4()),
            lease_seconds=600,
            started_by="test",
        )
        if run.status != "running":
            self.sql("delete from public.job_runs where job = %s", job)
            return self.context(job)
        now = self.utility.now
        return JobContext(self.utility.services, run, now, lambda: now)

    def day(self, day: date) -> None:
        """A day with its jobs, in their order."""
        self.go_to(day)
        for job in WORK:
            self.run(job)

    def announced(self, serial: str = "M1", *, card: str = OK) -> tuple[str, Bill]:
        """A customer with a bill whose charge was announced; their id and the bill."""
        customer = self.customer(serial)
        self.sign_up(customer, card=card)
        bill = self.bill(serial)
        self.day(due(bill) - days(7))
        return customer, self.database.bill(bill.id)

    def until(self, last: date) -> None:
        """The days to come with their jobs, the last with them; what Stripe tells is heard."""
        while self.utility.today < last:
            self.day(self.utility.today + days(1))
            self.deliver()
            self.take_up_cards()

    def take_up_cards(self) -> None:
        """Stripe is asked to forget the cards that are to be forgotten."""
        self.sql("update public.autopay_mandates set look_at = now() where look_at is not null")
        self.utility.services.autopay.charging.take_up(now=self.utility.now)

    def saved_cards(self) -> int:
        """How many cards and accounts Stripe keeps for us."""
        return sum(one["customer"] is not None for one in self.stripe.methods.values())

    def ref(self) -> RunRef:
        """A run whose writes count."""
        return self.context().ref

    def take_up(self) -> int:
        """What was left is settled, once its lease is over."""
        self.sql("update public.autopay_attempts set look_at = now() where ended_at is null")
        self.sql("update public.autopay_mandates set look_at = now() where look_at is not null")
        return self.utility.services.autopay.charging.take_up(now=self.utility.now)

    def deliver(self) -> list[int]:
        """Stripe's events arrive."""
        return self.stripe.deliver(self._take)

    def plans(self) -> dict[str, Any]:
        """What may follow of a write."""
        return plans(self.utility.services.outbox)

    def _take(self, payload: bytes, signature: str) -> int:
        received = self.utility.services.payment_received
        assert received is not None
        received.receive(
            payload=payload,
            signature=signature,
            now=datetime.fromtimestamp(self.stripe.clock()).astimezone(),
        )
        return 200

    def kinds(self, bill_id: str) -> list[str]:
        """The occasions of a bill's messages that were owed, in order."""
        rows = self.sql(
            "select kind from public.outbox where bill_id = %s and kind <> 'balance_changed' "
            "order by created_at, kind",
            bill_id,
        )
        return [str(row[0]) for row in rows]

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as the owner; its rows."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("select set_config('billing.actor', 'test', false)")
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []


def open_town(
    dsn: str, folder: Path, stripe: AutopayStripe, server: StandIn, box: Mailbox | None = None
) -> AutopayTown:
    """A utility whose Stripe is at `server`; its mails go to `box`."""
    settings = {
        "DEMO": "off",
        "UTILITY_NAME": "Green Valley",
        "PUBLIC_URL": "https://bills.example",
        "STRIPE_SECRET_KEY": STRIPE_KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }
    if box is not None:
        settings |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(box.port), "SMTP_SECURITY": "none"}
        settings |= {"CUSTOMER_EMAIL_FROM": "billing@valley.example"}
        settings |= {"MESSAGES_PER_MINUTE_EMAIL": "100000"}
    utility = make_utility(
        dsn, folder, more_settings=settings, addresses=Addresses(stripe=server.url)
    )
    return AutopayTown(utility, stripe, dsn, box)


def due(bill: Bill) -> date:
    """A bill's due date."""
    assert bill.due_date is not None
    return bill.due_date


def days(count: int) -> timedelta:
    """So many days."""
    return timedelta(days=count)
