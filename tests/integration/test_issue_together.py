"""Drafts reviewed in bulk: what is unusual, what they add up to, issued together, sent back."""

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler import Scheduler
from services.billing import approval as bill_approval
from services.billing.approval import DraftsChanged
from services.billing.draft_signs import signs_of
from services.billing.issuing import BillingTerms
from services.database.errors import IllegalChange
from services.database.transport import TemporaryDatabaseError
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.records.drafts import DraftChoice, DraftFilter, IssueRun, PastUse
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.unit.records.test_drafts import draft as any_draft

ALL = DraftChoice()


@pytest.fixture
def utility(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Utility]:
    monkeypatch.setattr(bill_approval, "BATCH", 2)
    made = make_utility(database, tmp_path, more_settings={"BILL_APPROVAL": "on"})
    yield made
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def add_drafts(utility: Utility, count: int) -> list[str]:
    """Drafts of as many meters; their ids in the order of the meters' serials."""
    ids = []
    for n in range(count):
        utility.add_meter(f"M{n}")
        bill = utility.submit(f"M{n}", 1100 + n).bill
        assert bill is not None
        ids.append(bill.id)
    return ids


def mark_of(utility: Utility, choice: DraftChoice = ALL) -> str:
    return utility.services.database.draft_totals(choice).mark


def begin(utility: Utility, mark: str, *, choice: DraftChoice = ALL, **how: Any) -> IssueRun:
    asked: dict[str, Any] = {"principal": ADMIN} | how
    return utility.services.bill_approval.issue_together(choice=choice, mark=mark, **asked)


def issue_all(utility: Utility) -> IssueRun:
    """Let the scheduler issue what was begun; how the last run stands."""
    Scheduler(utility.services).issue_drafts()
    run = utility.services.database.last_issue_run()
    assert run is not None
    return run


def numbers(utility: Utility) -> list[int]:
    issued = utility.services.database.bills(status="issued", page_size=100).items
    return sorted(bill.number or 0 for bill in issued)


def test_all_that_fit_are_issued_batch_by_batch_without_gaps(
    utility: Utility, database: str
) -> None:
    ids = add_drafts(utility, 5)
    choice = DraftChoice(DraftFilter(currency="INR"), without=frozenset(ids[:1]))
    totals = utility.services.database.draft_totals(choice)
    begun = begin(utility, totals.mark, choice=choice)
    assert (begun.status, begun.number, begun.reached) == ("running", 4, 0)
    assert numbers(utility) == []
    first = utility.services.bill_approval.issue_next(now=utility.now)
    assert first is not None
    assert (first.status, first.reached, first.issued, first.last_number) == ("running", 2, 2, 2)
    # What another process does after this one was killed.
    done = issue_all(utility)
    assert (done.status, done.reached, done.issued) == ("done", 4, 4)
    assert (done.first_number, done.last_number) == (1, 4)
    assert numbers(utility) == [1, 2, 3, 4]
    assert utility.services.bill_approval.issue_next(now=utility.now) is None
    (sums,) = totals.totals
    found = utility.services.database.bills(status="issued").items
    assert sum(bill.total_minor for bill in found) == sums.total_minor
    assert utility.services.database.drafts(DraftFilter()).items[0].id == ids[0]
    outbox = utility.services.database.outbox_of(ids[1])
    assert [work.kind for work in outbox] == ["bill_issued"]
    with psycopg.connect(database) as connection:
        actors = connection.execute(
            "select distinct actor from public.audit_log where table_name = 'bills'"
            " and action = 'update'"
        ).fetchall()
        left = connection.execute("select count(*) from public.issue_run_bills").fetchone()
    assert actors == [(ADMIN.user,)]
    assert left == (0,)


def test_only_what_was_chosen_is_issued(utility: Utility) -> None:
    ids = add_drafts(utility, 3)
    choice = DraftChoice(only=frozenset(ids[1:2]))
    begin(utility, mark_of(utility, choice), choice=choice)
    assert issue_all(utility).issued == 1
    assert utility.services.database.bill(ids[1]).status == "issued"
    assert utility.services.database.drafts(DraftFilter()).total == 2


def test_a_draft_that_came_since_the_preview_stops_it_all(utility: Utility) -> None:
    add_drafts(utility, 2)
    mark = mark_of(utility)
    utility.add_meter("NEW")
    utility.submit("NEW", 1100)
    with pytest.raises(DraftsChanged, match="have changed"):
        begin(utility, mark)
    Scheduler(utility.services).issue_drafts()
    assert numbers(utility) == []


def test_another_draft_of_the_same_amount_in_its_place_is_seen_too(utility: Utility) -> None:
    (first,) = add_drafts(utility, 1)
    mark = mark_of(utility)
    utility.services.bill_approval.send_back(bill_ids=[first], reason="again", principal=ADMIN)
    utility.add_meter("TWIN")
    utility.submit("TWIN", 1100)
    with pytest.raises(DraftsChanged):
        begin(utility, mark)


def test_no_drafts_at_all_are_not_issued(utility: Utility) -> None:
    with pytest.raises(DraftsChanged, match="No draft is chosen"):
        begin(utility, mark_of(utility))


def test_what_is_sent_back_or_issued_meanwhile_is_passed_over(utility: Utility) -> None:
    ids = sorted(add_drafts(utility, 5))
    approval = utility.services.bill_approval
    begin(utility, mark_of(utility))
    approval.send_back(bill_ids=[ids[1]], reason="wrong", principal=ADMIN)
    approval.issue(bill_id=ids[4], principal=ADMIN, now=utility.now)
    done = issue_all(utility)
    assert (done.status, done.number, done.issued, done.refusal) == ("done", 5, 3, "")
    assert numbers(utility) == [1, 2, 3, 4]
    assert utility.services.database.bill(ids[1]).status == "void"


def test_one_that_cannot_be_issued_keeps_back_no_other(utility: Utility, database: str) -> None:
    ids = sorted(add_drafts(utility, 5))
    with psycopg.connect(database) as connection:
        connection.execute(
            "create function public.refuse_one() returns trigger language plpgsql as $$ begin"
            f" if new.id = '{ids[2]}' then raise exception 'Its customer is not to be billed.'"
            " using errcode = 'EB005'; end if; return new; end $$"
        )
        connection.execute(
            "create trigger refuse_one before update on public.bills"
            " for each row execute function public.refuse_one()"
        )
    begin(utility, mark_of(utility))
    done = issue_all(utility)
    assert (done.status, done.reached, done.issued) == ("done", 5, 4)
    assert done.refusal == "Its customer is not to be billed."
    assert numbers(utility) == [1, 2, 3, 4]
    assert utility.services.database.bill(ids[2]).status == "draft"
    # It can be chosen again.
    assert begin(utility, mark_of(utility)).number == 1


def test_an_answer_that_is_lost_begins_one_run_and_issues_each_batch_once(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_drafts(utility, 3)
    database = utility.services.database

    def losing_the_first_answer_of(name: str) -> None:
        ask = getattr(database, name)
        lost: list[Any] = []

        def asked(**what: Any) -> Any:
            answer = ask(**what)
            if not lost:
                lost.append(answer)
                raise TemporaryDatabaseError("08006", "connection lost")
            return answer

        monkeypatch.setattr(database, name, asked)

    losing_the_first_answer_of("begin_issue_run")
    assert begin(utility, mark_of(utility)).number == 3
    losing_the_first_answer_of("issue_next")
    with pytest.raises(TemporaryDatabaseError):
        utility.services.bill_approval.issue_next(now=utility.now)
    done = issue_all(utility)
    assert (done.issued, done.first_number, done.last_number) == (3, 1, 3)
    assert numbers(utility) == [1, 2, 3]


def test_two_administrators_at_once_issue_each_draft_once(utility: Utility) -> None:
    add_drafts(utility, 8)
    mark = mark_of(utility)
    ready = threading.Barrier(2)
    outcomes: list[IssueRun | DraftsChanged] = []

    def press() -> None:
        ready.wait()
        try:
            outcomes.append(begin(utility, mark))
        except DraftsChanged as error:
            outcomes.append(error)
        Scheduler(utility.services).issue_drafts()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(type(one) is IssueRun for one in outcomes) == [False, True]
    issue_all(utility)
    assert numbers(utility) == list(range(1, 9))


def test_a_draft_sent_back_keeps_its_reading_and_is_billed_anew(utility: Utility) -> None:
    (first,) = add_drafts(utility, 1)
    bill = utility.services.database.bill(first)
    approval = utility.services.bill_approval
    with pytest.raises(ReasonMissing):
        approval.send_back(bill_ids=[first], reason=" ", principal=ADMIN)
    assert approval.send_back(bill_ids=[first], reason="wrong tariff", principal=ADMIN) == 1
    void = utility.services.database.bill(first)
    assert (void.status, void.void_reason, void.number) == ("void", "wrong tariff", None)
    reading = utility.services.database.reading(bill.closing_reading_id)
    assert (reading.status, reading.bill_id) == ("accepted", None)
    utility.submit("M0", 1150, at=utility.now + timedelta(minutes=1), principal=ADMIN)


def test_what_was_issued_is_not_sent_back_and_neither_is_what_a_later_bill_follows(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=60))
    early = utility.submit("M1", 1100, at=utility.now - timedelta(days=30)).bill
    late = utility.submit("M1", 1190).bill
    assert early is not None
    assert late is not None
    approval = utility.services.bill_approval
    with pytest.raises(IllegalChange, match="later bill"):
        approval.send_back(bill_ids=[early.id], reason="no", principal=ADMIN)
    approval.issue(bill_id=early.id, principal=ADMIN, now=utility.now)
    with pytest.raises(IllegalChange, match="issued meanwhile"):
        approval.send_back(bill_ids=[early.id, late.id], reason="no", principal=ADMIN)
    assert utility.services.database.bill(late.id).status == "draft"
    approval.send_back(bill_ids=[late.id], reason="no", principal=ADMIN)


def test_only_administrators_issue_and_send_back(utility: Utility) -> None:
    ids = add_drafts(utility, 1)
    with pytest.raises(NotAllowed):
        begin(utility, mark_of(utility), principal=ENGINEER)
    with pytest.raises(NotAllowed):
        utility.services.bill_approval.send_back(bill_ids=ids, reason="no", principal=ENGINEER)


def at_once(utility: Utility) -> Utility:
    """The same utility without approval, for what was billed before."""
    issuer = replace(utility.services.issuer, terms=lambda: BillingTerms(due_days=15))
    assessor = replace(utility.services.assessor, issuer=issuer)
    story = replace(utility.services.reading_to_bill, assessor=assessor)
    services = replace(utility.services, issuer=issuer, assessor=assessor, reading_to_bill=story)
    return Utility(services, utility.now)


def test_a_draft_is_seen_against_the_last_bills_of_its_meter(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=150))
    reads = [1000]
    # Wh a day: 3, 2, 5 and 4 kWh on 30 days each.
    for month, kwh in enumerate((90, 60, 150, 120), start=1):
        reads.append(reads[-1] + kwh)
        then = utility.now - timedelta(days=30 * (5 - month))
        assert at_once(utility).submit("M1", reads[-1], at=then).bill is not None
    utility.submit("M1", reads[-1] + 900, principal=ADMIN)
    (flagged,) = utility.services.database.readings(status="needs_review").items
    utility.services.reading_review.accept(
        reading_id=flagged.id, reason="seen", principal=ADMIN, now=utility.now
    )
    (draft,) = utility.services.database.drafts(DraftFilter(outliers_only=True)).items
    assert draft.past_use == PastUse(4, 2000, 3000, 4000)
    assert signs_of(draft) == [
        "High use: 30 kWh a day against 3 kWh a day, the median of its last 4 bills."
    ]


def test_the_database_filters_by_the_very_rules(database: str) -> None:
    chance = random.Random(7)  # noqa: S311 - made-up bills
    seen = set()
    with psycopg.connect(database) as connection:
        for _ in range(2000):
            lower, median, upper = sorted(chance.choice([0, 900, 9999, 10_000]) for _ in range(3))
            past = PastUse(chance.choice([0, 1, 3, 4, 12]), lower, median, upper)
            marked = chance.random() < 0.1
            draft = any_draft(
                kwh=chance.choice([0, 9, 99, 100, 300, 449, 450, 451, 900, 901, 1200]),
                days=chance.choice([24, 25, 30, 30, 30, 35, 36]),
                past=past,
                total_minor=chance.choice([-1, 0, 1, 100, 100, 100]),
                estimated=marked,
            )
            row = connection.execute(
                "select private.is_outlier(%s::bigint[], %s::bigint, %s::integer, %s::bigint, %s)",
                [list(past), draft.consumption_wh, draft.days, draft.total_minor, marked],
            ).fetchone()
            assert row == (bool(signs_of(draft)),), draft
            seen.add(row)
    assert len(seen) == 2
