"""A customer with several agreements: one message for bills made together, one statement."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import psycopg
import pypdfium2
import pytest

from services.accounts.statements import NoStatement
from services.database.errors import NotFound
from services.identity.auth import NotAllowed
from services.jobs import monthly_bills
from services.jobs.by_hand import run_job
from services.outbox.outbox import StepDone
from services.records.bills import Bill
from services.records.outbox import OutboxKind
from tests.integration.utility import ACTOR, ADMIN, ENGINEER, KSEB, Utility, make_utility

OCT_1 = date(2026, 10, 1)
NOV_1 = datetime(2026, 10, 31, 21, tzinfo=UTC)


class Told:
    """Stands for the steps that write and send, and keeps what they were asked to tell of."""

    def __init__(self) -> None:
        self.of: list[tuple[str, str]] = []

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        assert kind == "bill_issued"
        self.of.append((bill.reference, facts.get("tells_of", "")))
        return StepDone("told", facts={"text": "x", "written_by": "template", "said_of": ""})


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def utility(database: str, tmp_path: Path, told: Told) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=NOV_1, step_handlers={11: told})
    yield made
    made.services.close()


def add_meters(utility: Utility, account: str, *serials: str) -> str:
    """A customer with an agreement for each meter, all read on 31 October; the customer's id."""
    customer = {"row": 1, "id": str(uuid4()), "account_no": account, "name": "Temple Trust"}
    customer |= {"email": "", "phone": "", "address": "1 Hill Road"}
    _import(utility, "customers", customer)
    opened_at = datetime(2026, 9, 30, 18, 30, tzinfo=UTC)
    for serial in serials:
        meter = {"row": 1, "id": str(uuid4()), "opening_reading_id": str(uuid4())}
        meter |= {"serial": serial, "account_no": account, "tariff_code": KSEB["code"]}
        meter |= {"kind": "manual", "dials": 5, "multiplier_milli": 1000, "opening_wh": 1_000_000}
        meter |= {"opened_on": OCT_1.isoformat(), "opened_at": opened_at.isoformat()}
        _import(utility, "meters", meter)
        at = utility.now - timedelta(hours=10)
        utility.submit(serial, 1100, at=at, source="imported")
    return str(customer["id"])


def _import(utility: Utility, what: str, row: dict[str, object]) -> None:
    answer = utility.services.database.import_rows(
        what=what, actor=ACTOR, rows=[row], dry_run=False
    )
    assert not answer.errors, answer


def one_statement(utility: Utility, customer: str, *, one: bool = True) -> None:
    utility.services.statements.send_one(customer_id=customer, one=one, principal=ADMIN)


def sweep(utility: Utility) -> None:
    while utility.services.outbox.sweep():
        pass


def test_the_bills_of_a_run_are_told_of_in_one_message_at_its_end(
    utility: Utility, told: Told
) -> None:
    trust = add_meters(utility, "T-1", "M1", "M2", "M3")
    add_meters(utility, "H-1", "H1", "H2")
    one_statement(utility, trust)
    done = run_job(utility.services, "monthly_bills", NOV_1, "test")
    assert done.done_count == 5
    sweep(utility)
    by_trust = {bill.id: bill for s in ("M1", "M2", "M3") for bill in utility.bills_of(s)}
    last = max(by_trust.values(), key=lambda bill: bill.number or 0)
    (mine,) = [(of, others) for of, others in told.of if others]
    assert mine[0] == last.reference
    assert set(mine[1].split()) == set(by_trust) - {last.id}
    # The other customer, who did not ask for it, has a message for each bill.
    assert len(told.of) == 3
    sweep(utility)
    assert len(told.of) == 3


def test_bills_of_several_batches_are_all_told_of(
    utility: Utility, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = add_meters(utility, "T-1", "M1", "M2", "M3", "M4")
    one_statement(utility, trust)
    monkeypatch.setattr(monthly_bills, "BATCH", 1)
    run_job(utility.services, "monthly_bills", NOV_1, "test")
    sweep(utility)
    bills = {
        bill.reference: bill.id for s in ("M1", "M2", "M3", "M4") for bill in utility.bills_of(s)
    }
    ((of, others),) = told.of
    assert {bills[of], *others.split()} == set(bills.values())


def test_the_message_waits_for_the_end_of_the_run(
    utility: Utility, told: Told, database: str
) -> None:
    trust = add_meters(utility, "T-1", "M1", "M2")
    one_statement(utility, trust)
    run_job(utility.services, "monthly_bills", NOV_1, "test")
    with psycopg.connect(database) as connection:
        # As it stands between two batches.
        connection.execute(
            "update public.outbox set next_attempt_at = now() + interval '12 hours', "
            """facts = facts || '{"statement": "waits"}' where facts ? 'tells_of'"""
        )
        connection.execute("update public.job_runs set status = 'running', finished_at = null")
    sweep(utility)
    assert told.of == []
    with psycopg.connect(database) as connection:
        connection.execute("update public.job_runs set status = 'failed', finished_at = now()")
    sweep(utility)
    assert len(told.of) == 1


def test_a_reading_billed_while_its_engineer_waits_is_told_of_alone(
    utility: Utility, told: Told
) -> None:
    trust = add_meters(utility, "T-1", "M1", "M2")
    one_statement(utility, trust)
    assert utility.submit("M1", 1110).bill is not None
    sweep(utility)
    assert [others for _, others in told.of] == [""]


def test_the_statement_has_the_bills_of_all_agreements_and_adds_up(utility: Utility) -> None:
    trust = add_meters(utility, "T-1", "M1", "M2")
    run_job(utility.services, "monthly_bills", NOV_1, "test")
    bills = [bill for serial in ("M1", "M2") for bill in utility.bills_of(serial)]
    utility.services.office_payments.record_payment(
        payment_id=str(uuid4()), bill_id=bills[0].id,
        body={"amount": "100", "method": "cash", "received_on": date(2026, 11, 1)},
        principal=ADMIN, now=NOV_1,
    )  # fmt: skip
    days = {"start": date(2026, 11, 1), "end": date(2026, 12, 1)}
    statements = utility.services.statements
    found = statements.of(customer_id=trust, **days, principal=ADMIN)
    assert [bill.meter_serial for bill in found.bills] == [
        b.meter_serial for b in sorted(bills, key=lambda b: b.number or 0)
    ]
    due = sum(bill.total_minor for bill in bills) - 10_000
    assert found.opening_minor + sum(e.amount_minor for e in found.entries) == due
    text = _text(statements.pdf(customer_id=trust, **days, principal=ADMIN))
    for bill in bills:
        assert bill.reference in text
    assert "Statement of account" in text
    assert bills[0].money(due).display().removeprefix("₹") in text
    # What came before stands in the balance before; nothing is on it twice.
    after = statements.of(
        customer_id=trust, start=date(2026, 11, 2), end=date(2026, 12, 1), principal=ADMIN
    )
    assert (after.opening_minor, after.entries, after.bills) == (due, (), ())


def test_what_no_statement_can_be_made_of_is_refused_in_words(utility: Utility) -> None:
    trust = add_meters(utility, "T-1", "M1")
    statements, day = utility.services.statements, date(2026, 11, 1)
    with pytest.raises(NoStatement, match="ends before it begins"):
        statements.of(customer_id=trust, start=day, end=day, principal=ADMIN)
    with pytest.raises(NotFound):
        statements.of(
            customer_id=str(uuid4()), start=day, end=day + timedelta(days=1), principal=ADMIN
        )
    with pytest.raises(NotFound):
        one_statement(utility, str(uuid4()))
    with pytest.raises(NotAllowed):
        statements.of(customer_id=trust, start=day, end=day + timedelta(days=1), principal=ENGINEER)


def _text(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(BytesIO(pdf))
    return re.sub(
        r"\s+", " ", " ".join(page.get_textpage().get_text_bounded() for page in document)
    )


def test_where_the_bill_that_tells_of_them_becomes_void_another_does(
    utility: Utility, told: Told
) -> None:
    trust = add_meters(utility, "T-1", "M1", "M2", "M3")
    one_statement(utility, trust)
    run_job(utility.services, "monthly_bills", NOV_1, "test")
    bills = sorted(
        (bill for s in ("M1", "M2", "M3") for bill in utility.bills_of(s)),
        key=lambda bill: bill.number or 0,
    )
    utility.services.rebilling.void(
        bill_id=bills[2].id, reason="misread", principal=ADMIN, now=NOV_1
    )
    sweep(utility)
    mine = [(of, others) for of, others in told.of if of != bills[2].reference]
    assert mine == [(bills[1].reference, bills[0].id)]


def test_what_was_written_of_a_bill_that_becomes_void_is_told_by_another(
    database: str, tmp_path: Path, told: Told
) -> None:
    def down(**_of: object) -> StepDone:
        raise ConnectionError("the channel is down")

    utility = make_utility(database, tmp_path, now=NOV_1, step_handlers={11: told, 12: down})
    trust = add_meters(utility, "T-1", "M1", "M2")
    one_statement(utility, trust)
    run_job(utility.services, "monthly_bills", NOV_1, "test")
    first, second = sorted(
        (bill for s in ("M1", "M2") for bill in utility.bills_of(s)), key=lambda b: b.number or 0
    )
    sweep(utility)
    assert told.of == [(second.reference, first.id)]
    utility.services.rebilling.void(bill_id=second.id, reason="misread", principal=ADMIN, now=NOV_1)
    with psycopg.connect(database) as connection:
        connection.execute("update public.outbox set next_attempt_at = now() where status = 'open'")
    sweep(utility)
    assert (first.reference, "") in told.of
    utility.services.close()
