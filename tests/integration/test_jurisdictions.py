"""A bill that lacks what its jurisdiction asks for is not issued, and nothing is lost."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler import Scheduler
from services.billing.approval import DraftsChanged
from services.corrections.affected_bills import CannotRebill
from services.database.errors import IllegalChange
from services.jobs.by_hand import run_job
from services.records.drafts import DraftChoice
from services.supply.changes import CannotChangeSupply, MoveOut, TypedRead
from services.utility_settings.current import NO_ADDRESS
from tests.integration.correcting import Correcting
from tests.integration.supply.supplied import Supplied
from tests.integration.test_utility_settings import change, text_of
from tests.integration.utility import ADMIN, Utility, make_utility

TEXAS: dict[str, Any] = {
    "jurisdiction": "texas",
    "utility_phone": "+1 512 555 0100",
    "bill_facts": {"outage_line": "+1 512 555 0199", "late_payment": "5% after the due date"},
}
LACKS = "A bill in Texas must say what is due after the due date (16 TAC 25.25 (c)(5))"
NOWHERE = NO_ADDRESS.format(place="Texas")


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def without_address(database: str, serial: str) -> None:
    """Take the address from a meter's customer, and from the place."""
    account = f"A-{serial}"
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute(
            "update public.service_points s set address = '' from public.service_agreements a"
            " join public.customers c on c.id = a.customer_id"
            " where a.service_point_id = s.id and c.account_no = %s",
            [account],
        )
        connection.execute(
            "update public.customers set address = '' where account_no = %s", [account]
        )


def test_a_reading_makes_a_draft_that_says_what_is_missing_until_it_is_set(
    utility: Utility,
) -> None:
    change(utility, jurisdiction="texas", utility_phone="+1 512 555 0100")
    utility.add_meter("M1")
    draft = utility.submit("M1", 1117).bill
    assert draft is not None
    assert (draft.status, draft.number) == ("draft", None)
    assert (draft.held_because or "").startswith(LACKS)
    assert "the number to report outages" in (draft.held_because or "")
    approval = utility.services.bill_approval
    with pytest.raises(IllegalChange, match="must say"):
        approval.issue(bill_id=draft.id, principal=ADMIN, now=utility.now)
    change(utility, bill_facts=TEXAS["bill_facts"])
    issued = approval.issue(bill_id=draft.id, principal=ADMIN, now=utility.now)
    assert (issued.status, issued.number, issued.total_minor) == ("issued", 1, draft.total_minor)
    text = text_of(utility.services.bill_archive.pdf(issued.id).pdf)
    assert "+1 512 555 0199" in text
    assert "5% after the due date" in text


def test_with_all_that_is_asked_for_a_bill_is_issued_at_once(utility: Utility) -> None:
    change(utility, **TEXAS)
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    assert (bill.status, bill.held_because) == ("issued", None)


def test_a_bill_without_an_address_waits_alone(utility: Utility, database: str) -> None:
    change(utility, **TEXAS)
    for serial in ("M1", "M2"):
        utility.add_meter(serial)
    without_address(database, "M1")
    held, issued = utility.submit("M1", 1117).bill, utility.submit("M2", 1117).bill
    assert held is not None
    assert issued is not None
    assert (held.held_because, held.status, issued.status) == (NOWHERE, "draft", "issued")
    with pytest.raises(IllegalChange, match="neither the place nor the customer"):
        utility.services.bill_approval.issue(bill_id=held.id, principal=ADMIN, now=utility.now)


def test_the_monthly_run_lists_them_and_bills_the_others(utility: Utility, database: str) -> None:
    change(utility, **TEXAS)
    zone = utility.services.settings.timezone
    for serial in ("M1", "M2", "M3"):
        utility.add_meter(serial, opened_on=date(2026, 10, 1), kind="smart")
    without_address(database, "M2")
    utility.now = datetime(2026, 11, 1, 0, 30, tzinfo=zone)
    for serial in ("M1", "M2", "M3"):
        utility.submit(serial, 1117, source="smart")
    run = run_job(
        utility.services, "monthly_bills", datetime(2026, 11, 1, 2, tzinfo=zone), "a test"
    )
    assert (run.status, run.done_count) == ("done", 3)
    (aside,) = utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    assert (aside.subject, aside.code) == ("M2", "held_draft")
    assert aside.reason == f"Its bill is kept as a draft. {NOWHERE}"
    found = {serial: utility.bills_of(serial)[0].status for serial in ("M1", "M2", "M3")}
    assert found == {"M1": "issued", "M2": "draft", "M3": "issued"}


def test_drafts_approved_together_pass_over_those_that_cannot_be_issued(
    utility: Utility, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    change(utility, bill_approval=True)
    for serial in ("M1", "M2", "M3"):
        utility.add_meter(serial)
        utility.submit(serial, 1117)
    without_address(database, "M2")
    change(utility, jurisdiction="texas")
    approval, book = utility.services.bill_approval, utility.services.database
    mark = book.draft_totals(DraftChoice()).mark
    with pytest.raises(DraftsChanged, match="must say"):
        approval.issue_together(choice=DraftChoice(), mark=mark, principal=ADMIN)
    change(utility, **TEXAS)
    approval.issue_together(choice=DraftChoice(), mark=mark, principal=ADMIN)
    Scheduler(utility.services).issue_drafts()
    run = book.last_issue_run()
    assert run is not None
    assert (run.status, run.issued, run.refusal) == ("done", 2, NOWHERE)
    found = [utility.bills_of(serial)[0].status for serial in ("M1", "M2", "M3")]
    assert found == ["issued", "draft", "issued"]
    assert "Traceback" not in caplog.text
    assert sorted(b.number or 0 for b in book.bills(status="issued").items) == [1, 2]


def test_a_correction_whose_bill_could_not_be_issued_is_refused(utility: Utility) -> None:
    at = Correcting(utility)
    (bill,) = at.chain("M1", 1)
    change(utility, jurisdiction="texas")
    with pytest.raises(CannotRebill, match="must say"):
        at.plan(at.closed_at(bill, "1050"))
    assert utility.bills_of("M1")[0].id == bill.id
    # Taking a bill back needs no other one.
    void = utility.services.rebilling.void
    void(bill_id=bill.id, reason="wrong meter", principal=ADMIN, now=utility.now)
    assert utility.bills_of("M1") == []


def test_a_european_bill_says_supply_point_and_contract_end(utility: Utility) -> None:
    facts = (
        *("switching", "dispute_body", "single_contact", "comparison_tool"),
        *("energy_advice", "average_use", "energy_mix", "incentives"),
    )
    change(
        utility,
        jurisdiction="european_union",
        utility_contact="Main Street 1",
        utility_phone="+49 30 1234567",
        utility_email="help@power.example",
        bill_facts={fact: f"Text on {fact}" for fact in facts},
    )
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=31))
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    assert bill.status == "issued"
    text = text_of(utility.services.bill_archive.pdf(bill.id).pdf)
    for said in ("Supply point", bill.service_point_code, "no fixed end"):
        assert said in text, said


def test_a_change_of_supply_keeps_its_final_bill_and_reissues_nothing_that_lacks_something(
    utility: Utility,
) -> None:
    supplied = Supplied(utility)
    point = supplied.meter("M1")
    supplied.read("M1", 1100, 30)
    change(supplied.utility, jurisdiction="texas")
    late = MoveOut(point, supplied.day(35), TypedRead("1080"))
    with pytest.raises(CannotChangeSupply, match="must say"):
        supplied.plan(late)
    assert [bill.status for bill in supplied.bills("M1")] == ["issued"]
    supplied.do(MoveOut(point, supplied.day(10), TypedRead("1150")))
    issued, final = supplied.bills("M1")
    assert (issued.status, final.status, final.number) == ("issued", "draft", None)
    assert (final.held_because or "").startswith(LACKS)
    supplied.ledger_is_whole()
