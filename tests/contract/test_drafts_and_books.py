"""Reviewing drafts and closing months, on both transports, with the same answers."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.jobs.by_hand import run_job
from services.quantities.period import first_of_month, next_month, start_of_day
from services.records.bills import Issue
from services.records.drafts import DraftChoice, DraftFilter
from services.records.month_end import AgedKey
from tests.contract.over import Json, Over
from tests.integration.utility import ACTOR, ADMIN

ALL = DraftChoice()


def store_drafts(over: Over, *serials: str) -> None:
    for serial in serials:
        over.utility.add_meter(serial)
        draft = over.draft(serial, 1117)
        assert over.here.store_job_bills(actor=ACTOR, bills=[draft]) == (1, [])


def test_drafts_are_listed_added_up_and_issued_only_as_expected(over: Over) -> None:
    store_drafts(over, "M1", "M2", "M3")
    month = first_of_month(over.utility.today - timedelta(days=1))
    fitting = DraftFilter("house m", month, "KSEB-LT1A", "INR", outliers_only=True)
    assert over.same("drafts", fitting, page_size=2).total == 3
    assert over.same("drafts", DraftFilter(currency="USD")).total == 0
    (draft, *_) = over.same("drafts", DraftFilter("M2")).items
    totals = over.same("draft_totals", DraftChoice(fitting, frozenset([draft.id])), compare=[month])
    (sums,) = totals.totals
    assert (sums.number, sums.outliers, sums.total_minor) == (2, 2, 2 * 54_035)
    assert [w.number for w in totals.waiting] == [3]
    only = DraftChoice(only=frozenset([draft.id]))
    begin: Json = {"actor": ADMIN.user, "run_id": str(uuid4()), "choice": only}
    with pytest.raises(IllegalChange, match="have changed"):
        over.here.begin_issue_run(**begin, mark=totals.mark)
    mark = over.here.draft_totals(only).mark
    for _ in range(2):
        assert over.here.begin_issue_run(**begin, mark=mark).number == 1
    assert over.same("last_issue_run").status == "running"
    plan = over.utility.services.outbox.plan_for_any("bill_issued")
    issue: Json = {"limit": 5, "outbox": plan}
    issue["issue"] = Issue(at=over.utility.now, on=over.utility.today, due_days=15)
    done = over.here.issue_next(**issue)
    assert done is not None
    assert (done.status, done.issued, done.first_number) == ("done", 1, 1)
    assert over.here.issue_next(**issue) is None
    assert over.same("last_issue_run") == done
    (issued,) = over.same("draft_totals", ALL, compare=[month]).issued
    assert (issued.month, issued.number, issued.total_minor) == (month, 1, 54_035)
    assert over.same("check_ledger").problems == ()


def test_the_last_bill_of_each_agreement_is_found(over: Over) -> None:
    store_drafts(over, "M1")
    (draft,) = over.same("drafts", DraftFilter(without_held=True)).items
    assert over.same("drafts", DraftFilter(of_last_run=True)).total == 0
    of = over.here.bill(draft.id)
    last = over.same("last_bills", agreements=[of.agreement_id, str(uuid4())])
    assert list(last) == [of.agreement_id]
    assert last[of.agreement_id][0] == draft.id
    assert last[of.agreement_id].days == draft.days
    assert last[of.agreement_id].total_minor == 54_035


def test_what_a_run_made_stands_beside_its_preview(over: Over) -> None:
    assert over.same("last_bill_run").run is None
    over.utility.add_meter("M1", opened_on=over.utility.today - timedelta(days=63))
    # Before the month began, whatever day it is.
    over.utility.submit("M1", 1117, at=over.utility.now - timedelta(days=32), source="imported")
    sums = {"currency": "INR", "number": 1, "held": 0, "consumption_wh": 117_000}
    preview: Json = {"actor": ADMIN.user, "on": over.utility.today, "at": over.utility.now}
    for total in (1, 54_035):
        totals = [{**sums, "total_minor": total}]
        over.here.save_bill_run_preview(**preview, looked_at=1, whole=True, totals=totals)
    services = replace(over.utility.services, database=over.here)
    run_job(services, "monthly_bills", over.utility.now, "test")
    found = over.same("last_bill_run")
    assert found.run.scheduled_on == over.utility.today
    assert found.preview.totals[0].total_minor == 54_035
    (made,) = found.made
    assert (made.number, made.drafts, made.consumption_wh) == (1, 0, 117_000)


def test_drafts_are_sent_back_together_or_not_at_all(over: Over) -> None:
    store_drafts(over, "M1", "M2")
    ids = [draft.id for draft in over.same("drafts", DraftFilter()).items]
    send: Json = {"actor": ADMIN.user, "reason": "read again"}
    with pytest.raises(NotFound):
        over.here.send_back_drafts(**send, bill_ids=[*ids, str(uuid4())])
    assert over.same("drafts", DraftFilter()).total == 2
    assert over.here.send_back_drafts(**send, bill_ids=ids) == 2
    assert over.here.send_back_drafts(**send, bill_ids=ids) == 0
    assert {b.void_reason for b in over.same("bills", status="void").items} == {"read again"}


def test_receivables_and_entries_of_a_month_are_those_of_its_books(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    over.pay(bill, 40_000)
    month = first_of_month(over.utility.today)
    until = start_of_day(next_month(month), over.utility.services.settings.timezone)
    aged = over.same("receivables", month, until=until, limit=1)
    assert aged.after is None
    key = AgedKey(currency="INR", late=0, id="ffffffff-ffff-4fff-bfff-ffffffffffff")
    assert over.same("receivables", month, until=until, limit=9, after=key).customers == ()
    before = first_of_month(month - timedelta(days=40))
    over_at = start_of_day(next_month(before), over.utility.services.settings.timezone)
    worked = [over.here.age_month(before, until=over_at, limit=9) for _ in range(3)]
    assert worked == [True, True, False]
    assert over.same("receivables", before, until=over_at, limit=1).totals == ()
    assert over.same("months_to_age") == []
    (book,) = over.same("month_end_report", month).books
    assert [t.balance_minor for t in aged.totals] == [book.closing_minor] == [14_035]
    assert [c.account_no for c in aged.customers] == ["A-M1"]
    asked: Json = {"start": month, "until": next_month(month)}
    first, after = over.same("entries_of_span", **asked, after=None, limit=1)
    others, end = over.same("entries_of_span", **asked, after=after, limit=9)
    assert sum(e.amount_minor for e in (*first, *others)) == book.closing_minor
    assert end is None
    assert over.same("month_closings") == []
    assert over.same("last_ledger_check").check is None
    kept = over.here.record_ledger_check(actor=ADMIN.user)
    number = len(first) + len(others)
    assert (kept.problems, kept.entries, kept.checked_by) == ((), number, ADMIN.user)
    assert over.same("last_ledger_check").check == kept
