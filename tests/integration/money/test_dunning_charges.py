"""Charges that are due, such as fees: dunned with an account's bills, and alone where no bill is
overdue, once, and never so far that somebody is cut off."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.bootstrap_providers import Addresses
from services.languages.language import ENGLISH_LANGUAGE
from services.messages import discord, sms, whatsapp
from services.messages.templates import TemplateWriter, WriteMessage
from services.records.bills import Bill
from services.records.dunning.policy import Debtor
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


def never_billed(nights: Nights, serial: str = "N1", amount: str = "250.00") -> str:
    """A customer with a fee and no bill; their id."""
    nights.utility.add_meter(serial)
    services = nights.utility.services
    (found,) = services.database.search(
        text=f"A-{serial}", bill_number=None, amount_minor=None, limit=5
    ).customers
    services.account_adjustments.adjust(
        entry_id=str(uuid4()),
        customer_id=found.id,
        body={"kind": "fee", "amount": amount, "note": "Connection"},
        principal=ADMIN,
        now=nights.utility.now,
    )
    return found.id


def debtors(nights: Nights, today: date, limit: int = 50) -> list[Debtor]:
    """All that are listed on a day, however many a page has."""
    found: list[Debtor] = []
    after = None
    while True:
        rows, after = nights.database.dunning.debtors(today=today, after=after, limit=limit)
        found += rows
        if after is None:
            return found


def test_who_was_never_billed_is_sent_messages_about_charges_once(nights: Nights) -> None:
    due = nights.utility.today + timedelta(days=TERM)
    customer = never_billed(nights)
    nights.run(due)
    assert nights.database.dunning.history(customer_id=customer, limit=9)[0] == []
    assert debtors(nights, due) == []
    for _ in range(2):
        nights.run(due + timedelta(days=1))
    (taken,), _ = nights.database.dunning.history(customer_id=customer, limit=9)
    assert (taken.step, taken.bill_id, taken.amount_minor) == ("overdue", None, 25_000)
    for day in (7, 8, 14, 30, 31):
        nights.run(due + timedelta(days=day))
    rows, _ = nights.database.dunning.history(customer_id=customer, limit=9)
    assert sorted(row.step for row in rows) == ["demand+7", "overdue"], "nobody is cut off for it"
    claimed = nights.database.claim_outbox(owner="x", lease_seconds=60, limit=50)
    works = [one for one in claimed if one.kind == "charges_overdue"]
    assert len({one.occasion for one in works}) == len(works) == 2
    assert all(one.account and one.account.customer_id == customer for one in works)
    (debtor,) = debtors(nights, due + timedelta(days=31))
    assert (debtor.customer_id, debtor.bill_id, debtor.bills) == (customer, None, 0)
    assert (debtor.overdue_minor, debtor.charges_minor) == (0, 25_000)
    assert debtor.since == due
    assert debtor.last is not None
    assert debtor.last.step == "demand+7"


def test_the_words_for_who_was_never_billed_name_the_account(nights: Nights) -> None:
    customer = never_billed(nights)
    after(nights, TERM + 1)
    claimed = nights.database.claim_outbox(owner="x", lease_seconds=60, limit=9, lane="messages")
    (work,) = [one for one in claimed if one.kind == "charges_overdue"]
    subject = work.subject
    assert subject is not None
    today = nights.utility.today
    writing = WriteMessage(nights.database, TemplateWriter(lambda: "Mill"), lambda: today)
    facts = {**work.facts, "occasion": work.occasion}
    said = writing(bill=subject, kind="charges_overdue", facts=facts).facts["text"]
    assert "₹250.00 of fees and other charges on your electricity account A-N1" in said
    facts = dict(writing.as_of_today(subject, facts, ENGLISH_LANGUAGE))
    assert "₹250.00" in sms.text_of(subject, "charges_overdue", facts, sender="Mill")
    assert whatsapp.parameters(subject, "charges_overdue", facts)[:2] == ("A-N1", "₹250.00")
    note = discord.whole_bill(bill=subject, kind="charges_overdue", text=said, facts=facts)
    assert "A-N1" in discord.as_text(note)
    credit = {"kind": "credit", "amount": "250.00", "note": "Waived"}
    nights.utility.services.account_adjustments.adjust(
        entry_id=str(uuid4()),
        customer_id=customer,
        body=credit,
        principal=ADMIN,
        now=nights.utility.now,
    )
    assert writing.why_unsaid(bill=subject, kind="charges_overdue", facts=facts)


def test_who_is_billed_after_a_message_gets_it_no_second_time(nights: Nights) -> None:
    due = nights.utility.today + timedelta(days=TERM)
    customer = never_billed(nights)
    nights.run(due + timedelta(days=1))
    assert nights.utility.submit("N1", 1100).bill is not None
    nights.run(due + timedelta(days=2))
    rows, _ = nights.database.dunning.history(customer_id=customer, limit=9)
    assert [row.step for row in rows] == ["overdue"]


def test_who_owes_lists_bills_then_charges_page_by_page(nights: Nights) -> None:
    overdue = nights.bill("M1")
    charge(nights, overdue, "30.00")
    nights.nights(overdue, 1, 1)
    alone = {never_billed(nights, f"N{n}") for n in range(4)}
    paid = nights.bill("M2")
    nights.pay(paid, paid.total_minor)
    charge(nights, paid)
    today = nights.utility.today + timedelta(days=2 * TERM + 2)
    for limit in (1, 2, 50):
        found = debtors(nights, today, limit)
        assert found[0].customer_id == overdue.customer_id
        assert (found[0].bills, found[0].charges_minor) == (1, 3_000)
        others = [one.customer_id for one in found[1:]]
        assert sorted(others) == others
        assert set(others) == alone | {paid.customer_id}
