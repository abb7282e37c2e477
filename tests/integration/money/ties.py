"""What reports say, beside what the ledger has: each figure is added up in two ways."""

from collections import defaultdict
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import uuid4

from services.container import Services
from services.quantities.money import Money
from services.records.bills import invoice_reference
from services.reports import catalogue
from services.reports.definitions import Asked, Report
from tests.integration.utility import ADMIN

Sums = dict[str, int]
# A month is a question: no more of them than anything happens in.
ALL_DAYS = Asked(date(2019, 12, 1), date(2027, 1, 1))


def rows_of(services: Services, report: Report, asked: Asked = ALL_DAYS) -> list[dict[str, Any]]:
    """The rows of a report by column."""
    return [
        dict(zip(report.header, row, strict=True))
        for row in services.reports.rows(report, asked, principal=ADMIN)
    ]


def minor(cell: Any) -> int:
    """An amount in minor units; an empty cell is 0."""
    return cell.minor if isinstance(cell, Money) else 0


def total(rows: list[dict[str, Any]], column: str) -> int:
    """The sum of a column of one currency."""
    assert len({row["currency"] for row in rows}) <= 1
    return sum(minor(row[column]) for row in rows)


def balances_at(services: Services, until: date) -> Sums:
    """What each book came to before a date."""
    return {b.book: b.balance_minor for b in services.database.ledger_balances_at(until)}


def accounts_at(services: Services, until: date) -> Sums:
    """What each account of the journal came to before a date, debit less credit."""
    sums: Sums = defaultdict(int)
    for row in rows_of(services, catalogue.JOURNAL, Asked(ALL_DAYS.start, until)):
        sums[row["account"]] += minor(row["debit"]) - minor(row["credit"])
    return sums


def assert_journal_balances(services: Services, asked: Asked = ALL_DAYS) -> None:
    """Each document and each day of the journal comes to 0, and so do its sums by day."""
    lines = rows_of(services, catalogue.JOURNAL, asked)
    documents: dict[Any, int] = defaultdict(int)
    days: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        assert (line["debit"] is None) != (line["credit"] is None)
        debit, credit = minor(line["debit"]), minor(line["credit"])
        assert debit >= 0 <= credit
        documents[line["posting_no"]] += debit - credit
        key = (line["date"], line["account"], line["currency"])
        days[key][0] += debit
        days[key][1] += credit
    assert set(documents.values()) <= {0}
    by_day = rows_of(services, catalogue.JOURNAL_BY_DAY, asked)
    assert {
        (r["date"], r["account"], r["currency"]): [minor(r["debit"]), minor(r["credit"])]
        for r in by_day
    } == days


def assert_ties(services: Services, until: date) -> None:
    """Every report of money comes to what the ledger has before a date."""
    asked = Asked(ALL_DAYS.start, until)
    books = services.database.ledger_balances_at(until)
    held: Sums = {b.book: b.balance_minor for b in books}
    accounts = accounts_at(services, until)
    assert accounts["1200"] == held.get("account", 0)
    assert accounts["2200"] == held.get("deposit", 0)
    assert accounts["2300"] == held.get("suspense", 0)
    assert_journal_balances(services, asked)
    entries = [e for e in all_entries(services) if e["on_date"] < until]
    billed = sum(e["amount_minor"] for e in entries if e["kind"] in {"bill", "bill_void"})
    register = rows_of(services, catalogue.REGISTER, asked)
    assert total(register, "total") == billed
    assert total(register, "net") + total(register, "tax") == billed
    assert_credit_notes(services, register)
    revenue = rows_of(services, catalogue.REVENUE, asked)
    assert total(revenue, "total") == billed
    assert total(revenue, "tax") == total(register, "tax")
    assert total(rows_of(services, catalogue.TAX, asked), "amount") == total(register, "tax")
    collected = rows_of(services, catalogue.COLLECTIONS, asked)
    moved = {"payment", "refund", "reversal", "dispute", "payout", "return_undone"}
    in_accounts = -sum(e["amount_minor"] for e in entries if e["kind"] in moved)
    assert total(collected, "net") == in_accounts - held.get("suspense", 0)
    assert total(collected, "net") == sum(accounts[f"10{n}0"] for n in range(1, 7))
    assert_held_and_owed(services, asked, held)
    credits_ = rows_of(services, catalogue.WRITE_OFFS, asked)
    given = {"credit", "credit_undone"}
    in_ledger = -sum(e["amount_minor"] for e in entries if e["kind"] in given)
    assert total(credits_, "amount") == in_ledger == accounts["5100"]


def assert_credit_notes(services: Services, register: list[dict[str, Any]]) -> None:
    """Where there are credit notes, each void names its own, and they come to what was voided."""
    notes = {note.reference: note for note in services.database.credit_notes(limit=100_000)}
    if not notes:
        return
    numbers = sorted(note.number for note in notes.values())
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    voids = [row for row in register if row["type"] == "void"]
    named = [row["credit_note"] for row in voids]
    assert len(set(named)) == len(named)
    for row in voids:
        note = notes[row["credit_note"]]
        assert (-note.total_minor, -note.tax_minor) == (minor(row["total"]), minor(row["tax"]))
        assert row["bill"] == invoice_reference(note.bill_number)


def assert_held_and_owed(services: Services, asked: Asked, held: Sums) -> None:
    """Aged debt and deposits come to the balances of the books."""
    owed = rows_of(services, catalogue.AGED_DEBT, asked)
    assert total(owed, "balance") == held.get("account", 0)
    parts = ("not_due", "days_1_30", "days_31_60", "days_61_90", "days_over_90")
    for row in owed:
        in_parts = sum(minor(row[part]) for part in (*parts, "unapplied_credit"))
        assert in_parts == minor(row["balance"])
        assert (row["past_due_since"] is None) == (sum(minor(row[p]) for p in parts[1:]) == 0)
    deposits = rows_of(services, catalogue.DEPOSITS, asked)
    assert total(deposits, "held") == -held.get("deposit", 0)


def all_entries(services: Services) -> list[dict[str, Any]]:
    """The ledger as it lies, without any report's help."""
    rows = services.database._transport.select("ledger_list", order=["id.asc"]).rows
    return [row | {"on_date": date.fromisoformat(str(row["on_date"]))} for row in rows]


def receive_of_nobody(services: Services, amount: int, on: date) -> str:
    """A payment by Stripe that names no bill of ours; its id."""
    payment, intent = str(uuid4()), f"pi_{uuid4().hex}"
    at = datetime.combine(on, time(12), tzinfo=UTC)
    effect: dict[str, Any] = {"kind": "payment", "payment_id": payment, "amount_minor": amount}
    effect |= {"currency": "INR", "received_at": at.isoformat(), "received_on": on.isoformat()}
    _apply(services, intent, at, effect)
    return payment


def receive_for_a_bill(services: Services, bill_id: str, amount: int, on: date) -> tuple[str, str]:
    """A payment by Stripe for a bill; its id, and that of its intent."""
    payment, intent = str(uuid4()), f"pi_{uuid4().hex}"
    at = datetime.combine(on, time(12), tzinfo=UTC)
    effect: dict[str, Any] = {"kind": "payment", "payment_id": payment, "amount_minor": amount}
    effect |= {"currency": "INR", "received_at": at.isoformat(), "received_on": on.isoformat()}
    _apply(services, intent, at, effect | {"bill_id": bill_id})
    return payment, intent


def lose_dispute(services: Services, intent: str, amount: int, on: date) -> None:
    """The bank took the money of a payment back, and Stripe gave it."""
    at = datetime.combine(on, time(12), tzinfo=UTC)
    effect: dict[str, Any] = {"kind": "dispute_withdrawn", "dispute_id": f"dp_{uuid4().hex}"}
    effect |= {"amount_minor": amount, "currency": "INR", "on_date": on.isoformat()}
    _apply(services, intent, at, effect)


def give_back_to_nobody(services: Services, payment: str, amount: int, on: date) -> None:
    """Stripe gave so much of such a payment back, with all that it gave back before."""
    intent = services.database.payment(payment).provider_id
    at = datetime.combine(on, time(12), tzinfo=UTC)
    effect = {"kind": "refunded", "refunded_total_minor": amount, "currency": "INR"}
    _apply(services, str(intent), at, effect | {"on_date": on.isoformat()})


def _apply(services: Services, intent: str, at: datetime, effect: dict[str, Any]) -> None:
    event: dict[str, Any] = {"id": f"evt_{uuid4().hex}", "type": "some.event"}
    event["created_at"] = at.isoformat()
    event |= {"livemode": False, "object_id": "", "payment_intent": intent}
    applied = services.database.apply_stripe_event(
        actor="system:stripe", event=event, arrived_by="webhook", effect=effect
    )
    assert applied.outcome == "applied", applied
