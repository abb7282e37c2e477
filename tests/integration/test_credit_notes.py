"""Credit notes: one for each issued bill that is voided once they are wanted, without gaps."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import psycopg
import pytest

from app import create_app
from services.database.errors import IllegalChange
from services.identity.auth import NotAllowed
from services.identity.permissions import Role
from services.records.documents.credit_notes import CreditNote
from services.reports import catalogue
from services.reports.definitions import Asked
from services.utility_settings.entry import InvalidSettings
from tests.integration.api.talk import answer_of, bearer
from tests.integration.correcting import Correcting
from tests.integration.money.ties import assert_journal_balances, rows_of, total
from tests.integration.test_bill_states import draft_of
from tests.integration.test_utility_settings import change, text_of
from tests.integration.utility import ADMIN, ENGINEER, make_utility


@pytest.fixture
def at(database: str, tmp_path: Path) -> Iterator[Correcting]:
    made = make_utility(database, tmp_path)
    yield Correcting(made)
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def notes(at: Correcting) -> list[CreditNote]:
    """All, in the order of their numbers."""
    return at.database.credit_notes(limit=1000)[::-1]


def void(at: Correcting, bill_id: str, reason: str = "wrong meter") -> None:
    at.rebilling.void(bill_id=bill_id, reason=reason, principal=ADMIN, now=at.utility.now)


def test_nobody_who_does_not_want_them_has_any(at: Correcting) -> None:
    (bill,) = at.chain("M1", 1)
    void(at, bill.id)
    change(at.utility, credit_notes=True)
    assert notes(at) == []


def test_a_voided_bill_has_one_that_takes_it_back_in_whole(at: Correcting) -> None:
    change(at.utility, credit_notes=True, credit_note_prefix="K/", tax_number="DE136695976")
    first, last = at.chain("M1", 2)
    void(at, last.id)
    (note,) = notes(at)
    assert (note.reference, note.bill_id, note.bill_number) == ("K/000001", last.id, last.number)
    assert (note.total_minor, note.tax_minor) == (last.total_minor, last.tax_minor)
    assert (note.reason, note.created_by, note.replaced_by_id) == ("wrong meter", ADMIN.user, None)
    assert (note.customer_name, note.on_date) == ("House M1", at.utility.today)
    again = at.database.credit_notes(bill_id=first.id, limit=10)
    assert again == []


def test_a_correction_takes_back_each_bill_and_names_the_one_in_its_place(at: Correcting) -> None:
    change(at.utility, credit_notes=True)
    bills = at.chain("M1", 3)
    at.execute(at.closed_at(bills[1], "1150"))
    found = {note.bill_id: note for note in notes(at)}
    assert set(found) == {bills[1].id, bills[2].id}
    now = at.utility.bills_of("M1")
    assert [found[b.id].replaced_by_id for b in bills[1:]] == [b.id for b in now[1:]]
    assert sorted(note.number for note in found.values()) == [1, 2]
    # What was billed in all is what the notes took back and the bills that hold.
    credited = sum(note.total_minor for note in found.values())
    issued = sum(b.total_minor for b in bills) + sum(b.total_minor for b in now[1:])
    assert issued - credited == at.balance(bills[0])


def test_a_draft_that_is_sent_back_has_none_and_a_refused_void_takes_no_number(
    at: Correcting,
) -> None:
    change(at.utility, credit_notes=True)
    first, last = at.chain("M1", 2)
    with pytest.raises(IllegalChange):
        at.database.void_bill(actor=ADMIN.user, bill_id=first.id, reason="x")
    at.utility.add_meter("D1")
    draft = draft_of(at.utility, "D1", 1117)
    at.database.send_back_drafts(actor=ADMIN.user, bill_ids=[draft], reason="not yet")
    assert notes(at) == []
    void(at, last.id)
    assert [note.number for note in notes(at)] == [1]


def test_voids_at_once_leave_no_gap_and_none_twice(at: Correcting) -> None:
    change(at.utility, credit_notes=True)
    bills = [at.chain(f"M{n}", 1)[0] for n in range(6)]
    start = Barrier(12)

    def twice(bill_id: str) -> None:
        start.wait()
        at.database.void_bill(actor=ADMIN.user, bill_id=bill_id, reason="at once")

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(twice, [bill.id for bill in bills] * 2))
    found = notes(at)
    assert [note.number for note in found] == [1, 2, 3, 4, 5, 6]
    assert {note.bill_id for note in found} == {bill.id for bill in bills}


def test_the_series_begins_at_a_number_of_choice_until_one_is_given(at: Correcting) -> None:
    change(at.utility, credit_notes=True, first_credit_note_number=500)
    change(at.utility, first_credit_note_number=4711)
    bills = at.chain("M1", 2)
    for bill in bills[::-1]:
        void(at, bill.id)
    assert [note.number for note in notes(at)] == [4711, 4712]
    with pytest.raises(IllegalChange, match="Credit notes have numbers already"):
        change(at.utility, first_credit_note_number=1)
    again = at.chain("M2", 1)[0]
    void(at, again.id)
    assert notes(at)[-1].reference == "CN-004713"


@pytest.mark.parametrize("first", [0, -1, 1_000_000_000, "x"])
def test_a_first_number_that_cannot_be_is_refused(at: Correcting, first: object) -> None:
    with pytest.raises(InvalidSettings, match="whole number from 1 to 999999999"):
        change(at.utility, first_credit_note_number=first)


def test_the_first_number_is_settled_before_or_after_a_void_at_the_same_time(
    at: Correcting,
) -> None:
    change(at.utility, credit_notes=True)
    bills = [at.chain(f"M{n}", 1)[0] for n in range(4)]
    start = Barrier(5)

    def do(bill_id: str) -> None:
        start.wait()
        if bill_id:
            at.database.void_bill(actor=ADMIN.user, bill_id=bill_id, reason="at once")
        else:
            with contextlib.suppress(IllegalChange):
                change(at.utility, first_credit_note_number=700)

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(do, [*(bill.id for bill in bills), ""]))
    numbers = [note.number for note in notes(at)]
    assert numbers in ([1, 2, 3, 4], [700, 701, 702, 703])


@pytest.mark.parametrize("text", ["CN-000002", "cn-2", "2", "000002"])
def test_it_is_found_by_its_number(at: Correcting, text: str) -> None:
    change(at.utility, credit_notes=True)
    for bill in at.chain("M1", 3)[::-1]:
        void(at, bill.id)
    search = at.utility.services.search
    (found,) = search.find(text, principal=ADMIN).credit_notes
    assert (found.reference, found.customer_name) == ("CN-000002", "House M1")
    listed = at.utility.services.credit_notes.page(principal=ADMIN, limit=5, text=text)[0]
    assert found.id in [note.id for note in listed]
    assert search.find("CN-000009", principal=ADMIN).credit_notes == ()
    assert search.find("M1", principal=ADMIN).credit_notes == ()


def test_a_prefix_that_ends_with_digits_hides_no_number(at: Correcting) -> None:
    change(at.utility, credit_notes=True, credit_note_prefix="K26")
    (bill,) = at.chain("M1", 1)
    void(at, bill.id)
    search = at.utility.services.search
    for text in ("K26000001", "k261", "1"):
        (found,) = search.find(text, principal=ADMIN).credit_notes
        assert found.reference == "K26000001"


def test_it_never_changes(at: Correcting, database: str) -> None:
    change(at.utility, credit_notes=True)
    (bill,) = at.chain("M1", 1)
    void(at, bill.id)
    with psycopg.connect(database) as connection:
        for statement in (
            "update public.credit_notes set reason = 'other'",
            "delete from public.credit_notes",
            "truncate public.credit_notes cascade",
        ):
            with pytest.raises(psycopg.Error), connection.transaction():
                connection.execute(statement)
    assert len(notes(at)) == 1


def test_its_pdf_is_of_its_time_and_stays(at: Correcting) -> None:
    change(at.utility, credit_notes=True, tax_number="DE136695976", utility_name="Old Name")
    (bill,) = at.chain("M1", 1)
    void(at, bill.id)
    (note,) = notes(at)
    change(at.utility, utility_name="New Name", tax_number="ATU13585627")
    services = at.utility.services
    pdf = services.credit_notes.pdf(credit_note_id=note.id, principal=ADMIN)
    text = text_of(pdf)
    total = note.money(note.total_minor).text
    for said in ("Credit note", "CN-000001", bill.reference, "wrong meter", total, "Old Name"):
        assert said in text.replace("\u200b", ""), said
    assert "DE136695976" in text
    assert "New Name" not in text
    assert services.credit_notes.pdf(credit_note_id=note.id, principal=ADMIN) == pdf
    with pytest.raises(NotAllowed):
        services.credit_notes.pdf(credit_note_id=note.id, principal=ENGINEER)


def test_the_statement_of_account_names_it_between_the_balances(at: Correcting) -> None:
    change(at.utility, credit_notes=True, tax_number="DE136695976")
    first, last = at.chain("M1", 2)
    void(at, last.id)
    statements, today = at.utility.services.statements, at.utility.today
    days = {"start": today - timedelta(days=90), "end": today + timedelta(days=1)}
    pdf = statements.pdf(customer_id=first.customer_id, principal=ADMIN, **days)
    text = text_of(pdf).replace("\u200b", "")
    for said in ("Balance before 0.00", "CN-000001", last.reference, "Tax number: DE136695976"):
        assert said in text, said
    left = first.money(at.balance(first)).text
    assert f"Balance at the end {left}" in text


def test_the_register_and_the_tax_by_rate_tie_with_the_notes(at: Correcting) -> None:
    change(at.utility, credit_notes=True)
    bills = [at.chain(f"M{n}", 1)[0] for n in range(3)]
    void(at, bills[0].id)
    asked = Asked(at.utility.today - timedelta(days=60), at.utility.today + timedelta(days=1))
    services = at.utility.services
    rows = rows_of(services, catalogue.REGISTER, asked)
    (voided,) = [row for row in rows if row["type"] == "void"]
    (note,) = notes(at)
    assert voided["credit_note"] == note.reference
    assert voided["total"].minor == -note.total_minor
    assert all(row["credit_note"] is None for row in rows if row["type"] == "bill")
    issued_tax = sum(bill.tax_minor for bill in bills)
    taxes = rows_of(services, catalogue.TAX, asked)
    assert total(taxes, "amount") == issued_tax - note.tax_minor
    lines = rows_of(services, catalogue.JOURNAL, asked)
    assert any(note.reference in str(row) for row in lines)
    assert_journal_balances(services, asked)


def test_the_api_lists_them_with_their_pdfs(at: Correcting) -> None:
    change(at.utility, credit_notes=True)
    bills = [at.chain(f"M{n}", 1)[0] for n in range(3)]
    for bill in bills:
        void(at, bill.id)
    client = create_app(at.utility.services, clock=lambda: at.utility.now).test_client()
    who = bearer(at.utility, Role.ADMIN)
    page = answer_of(client.get("/api/credit-notes?limit=2", headers=who), 200)
    assert [note["number"] for note in page["credit_notes"]] == ["CN-000003", "CN-000002"]
    rest = answer_of(client.get(f"/api/credit-notes?after={page['next']}", headers=who), 200)
    assert [note["number"] for note in rest["credit_notes"]] == ["CN-000001"]
    assert rest["next"] is None
    (one,) = rest["credit_notes"]
    amount = bills[0].money(bills[0].total_minor).text
    assert (one["total"], one["bill"]["number"]) == (amount, bills[0].reference)
    pdf = client.get(f"/api/credit-notes/{one['id']}/pdf", headers=who)
    assert pdf.data.startswith(b"%PDF")
    answer_of(client.get("/api/credit-notes?after=x", headers=who), 400)
    answer_of(client.get("/api/credit-notes", headers=bearer(at.utility, Role.ENGINEER)), 403)
    bill = answer_of(client.get(f"/api/bills/{bills[0].id}", headers=who), 200)
    taxes = [tax["amount"] for tax in bill["taxes"]]
    assert sum(round(float(amount) * 100) for amount in taxes) == bills[0].tax_minor
