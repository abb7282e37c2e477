"""Charges that are due, such as fees: dunned with an account's bills, and alone where no bill is
overdue, once, and never so far that somebody is cut off."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.bootstrap_providers import Addresses
from services.languages.language import ENGLISH_LANGUAGE
from services.messages import discord, sms, whatsapp
from services.messages.templates import TemplateWriter, WriteMessage
from services.records.bills import Bill
from tests.integration.money.test_dunning_ladder import Nights
from tests.integration.utility import ADMIN, Utility, make_utility

# As many days as the account's bills are due after.
TERM = 15


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, addresses=Addresses())
    yield made
    made.services.close()


@pytest.fixture
def nights(utility: Utility) -> Nights:
    return Nights(utility)


def charge(nights: Nights, bill: Bill, amount: str = "250.00") -> None:
    """A fee of today on the account of a bill."""
    nights.utility.services.account_adjustments.adjust(
        entry_id=str(uuid4()),
        customer_id=bill.customer_id,
        body={"kind": "fee", "amount": amount, "note": "Meter was moved"},
        principal=ADMIN,
        now=nights.utility.now,
    )


def steps(nights: Nights, bill: Bill) -> list[str]:
    rows, _ = nights.database.dunning.history(customer_id=bill.customer_id, limit=100)
    return sorted((row.step for row in rows), key=["overdue", "demand+7", "notice+14"].index)


def after(nights: Nights, days: int, number: int = 1) -> None:
    """So many days go by, then the jobs of so many nights."""
    start = nights.utility.today + timedelta(days=days)
    for one in range(number):
        nights.run(start + timedelta(days=one))


def paid_with_a_fee(nights: Nights, amount: str = "250.00") -> Bill:
    """A bill that is paid, and a fee that is not."""
    bill = nights.bill("M1")
    nights.pay(bill, bill.total_minor)
    charge(nights, bill, amount)
    return bill


def test_charges_alone_are_dunned_once_up_to_the_demands(nights: Nights) -> None:
    bill = paid_with_a_fee(nights)
    after(nights, TERM)
    assert steps(nights, bill) == [], "they are due today"
    (due,), _ = nights.database.dunning.preview(
        part="ladder", today=nights.utility.today + timedelta(days=1), after=None, limit=10
    )
    assert (due.step, due.amount_minor, due.bills) == ("overdue", 25_000, 0)
    after(nights, 1, 2)
    assert steps(nights, bill) == ["overdue"]
    # Nor is a fee charged on a fee, nor anybody cut off for one.
    after(nights, 7, 40)
    assert steps(nights, bill) == ["overdue", "demand+7"]
    assert nights.database.account(bill.customer_id).balance_minor == 25_000
    works = [w for w in nights.database.outbox_of(bill.id) if w.kind == "charges_overdue"]
    assert len(works) == 2


def test_the_message_names_the_charges_and_not_the_bill(nights: Nights) -> None:
    bill = paid_with_a_fee(nights)
    after(nights, TERM + 1)
    (work,) = [w for w in nights.database.outbox_of(bill.id) if w.kind == "charges_overdue"]
    writing = WriteMessage(
        nights.database, TemplateWriter(lambda: "Mill"), lambda: nights.utility.today
    )
    facts = {"dunning": "overdue", "notice_days": "10", "occasion": work.occasion}
    bill = nights.database.bill(bill.id)
    said = writing(bill=bill, kind="charges_overdue", facts=facts).facts["text"]
    assert "₹250.00 of fees and other charges on your electricity account A-M1 was due on" in said
    assert bill.reference not in said
    today = writing.as_of_today(bill, facts, ENGLISH_LANGUAGE)
    for channel in (
        discord.as_text(discord.whole_bill(bill=bill, kind=work.kind, text="", facts=today)),
        discord.as_text(discord.shared_note(bill=bill, kind=work.kind, facts=today)),
        sms.text_of(bill, work.kind, today, sender="Mill"),
        whatsapp.TEMPLATES[work.kind].filled(whatsapp.parameters(bill, work.kind, today)),
    ):
        assert "₹250.00" in channel
        assert "₹0.00" not in channel
        assert bill.reference not in channel
    nights.pay(bill, 25_000)
    assert nights.why_unsaid(bill, work.kind, work.occasion) == "the charges are paid by now"


def test_charges_that_are_small_or_held_bring_nothing(nights: Nights) -> None:
    bill = paid_with_a_fee(nights, "99.00")
    after(nights, TERM + 1, 2)
    assert steps(nights, bill) == []
    charge(nights, bill, "99.00")
    nights.utility.services.dunning_holds.hold(
        hold_id=str(uuid4()),
        customer_id=bill.customer_id,
        reason="dispute",
        note="Asks why",
        principal=ADMIN,
        now=nights.utility.now,
    )
    after(nights, TERM + 1, 2)
    assert steps(nights, bill) == []


def test_beside_an_overdue_bill_charges_count_with_it(nights: Nights) -> None:
    bill = nights.bill("M1")
    charge(nights, bill)
    # So little is left of the bill that alone it would be left alone.
    nights.pay(bill, bill.total_minor + 25_000 - 25_000 - 5_000)
    after(nights, TERM + 1, 8)
    assert steps(nights, bill) == ["overdue", "demand+7"]
    rows, _ = nights.database.dunning.history(customer_id=bill.customer_id, limit=10)
    assert {row.bill_id for row in rows} == {bill.id}
    assert not any(row.occasion.startswith("charges-") for row in rows)
    arrears = nights.database.dunning.arrears(bill_id=bill.id, today=nights.utility.today)
    assert (arrears.bills, arrears.overdue_minor > 0, arrears.charges_minor > 0) == (1, True, True)


def test_jobs_that_run_again_take_no_step_of_charges_twice(nights: Nights) -> None:
    bill = paid_with_a_fee(nights)
    after(nights, TERM + 1)
    nights.run(nights.utility.today)
    nights.run(nights.utility.today)
    assert steps(nights, bill) == ["overdue"]
    # A later bill moves nothing: the debt is the same.
    assert nights.utility.submit("M1", 1217).bill is not None
    after(nights, 2)
    assert steps(nights, bill) == ["overdue"]
