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

from services.billing import approval as bill_approval
from services.billing.approval import DraftsChanged, IssuedTogether
from services.billing.draft_signs import signs_of
from services.billing.issuing import BillingTerms
from services.database.errors import IllegalChange
from services.database.transport import TemporaryDatabaseError
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.records.drafts import DraftChoice, DraftFilter, PastUse
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


def issue(utility: Utility, mark: str, *, choice: DraftChoice = ALL, **how: Any) -> IssuedTogether:
    asked: dict[str, Any] = {"principal": ADMIN, "now": utility.now} | how
    return utility.services.bill_approval.issue_together(choice=choice, mark=mark, **asked)


def numbers(utility: Utility) -> list[int]:
    issued = utility.services.database.bills(status="issued", page_size=100).items
    return sorted(bill.number or 0 for bill in issued)


def test_all_that_fit_are_issued_batch_by_batch_without_gaps(utility: Utility) -> None:
    ids = add_drafts(utility, 5)
    choice = DraftChoice(DraftFilter(currency="INR"), without=frozenset(ids[:1]))
    totals = utility.services.database.draft_totals(choice)
    told: list[tuple[int, int]] = []
    issued = issue(
        utility, totals.mark, choice=choice, progress=lambda done, of: told.append((done, of))
    )
    assert issued == IssuedTogether(4, 4, first_number=1, last_number=4)
    assert told == [(2, 4), (4, 4)]
    assert numbers(utility) == [1, 2, 3, 4]
    (sums,) = totals.totals
    found = utility.services.database.bills(status="issued").items
    assert sum(bill.total_minor for bill in found) == sums.total_minor
    assert utility.services.database.drafts(DraftFilter()).items[0].id == ids[0]
    outbox = utility.services.database.outbox_of(ids[1])
    assert [work.kind for work in outbox] == ["bill_issued"]


def test_only_what_was_chosen_is_issued(utility: Utility) -> None:
    ids = add_drafts(utility, 3)
    choice = DraftChoice(only=frozenset(ids[1:2]))
    assert issue(utility, mark_of(utility, choice), choice=choice).number == 1
    assert utility.services.database.bill(ids[1]).status == "issued"
    assert utility.services.database.drafts(DraftFilter()).total == 2


def test_a_draft_that_came_since_the_preview_stops_it_all(utility: Utility) -> None:
    add_drafts(utility, 2)
    mark = mark_of(utility)
    utility.add_meter("NEW")
    utility.submit("NEW", 1100)
    with pytest.raises(DraftsChanged, match="have changed"):
        issue(utility, mark)
    assert numbers(utility) == []


def test_another_draft_of_the_same_amount_in_its_place_is_seen_too(utility: Utility) -> None:
    (first,) = add_drafts(utility, 1)
    mark = mark_of(utility)
    utility.services.bill_approval.send_back(bill_ids=[first], reason="again", principal=ADMIN)
    utility.add_meter("TWIN")
    utility.submit("TWIN", 1100)
    with pytest.raises(DraftsChanged):
        issue(utility, mark)


def test_a_draft_sent_back_in_the_middle_stops_at_its_batch_and_keeps_the_rest(
    utility: Utility,
) -> None:
    add_drafts(utility, 5)
    approval = utility.services.bill_approval
    _, chosen = utility.services.database.draft_choice(ALL)

    def send_one_back(done: int, _of: int) -> None:
        if done == 2:
            approval.send_back(bill_ids=[chosen[3][0]], reason="wrong", principal=ADMIN)

    issued = issue(utility, mark_of(utility), progress=send_one_back)
    assert (issued.number, issued.of, issued.last_number) == (2, 5, 2)
    assert "sent back" in issued.stopped
    assert numbers(utility) == [1, 2]
    assert utility.services.database.drafts(DraftFilter()).total == 2
    assert issue(utility, mark_of(utility)).last_number == 4


def test_a_batch_whose_answer_is_lost_is_issued_once(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_drafts(utility, 2)
    database = utility.services.database
    ask = database.issue_expected
    lost: list[tuple[int, int]] = []

    def lose_the_first_answer(**what: Any) -> tuple[int, int]:
        answer = ask(**what)
        if not lost:
            lost.append(answer)
            raise TemporaryDatabaseError("08006", "connection lost")
        return answer

    monkeypatch.setattr(database, "issue_expected", lose_the_first_answer)
    assert issue(utility, mark_of(utility)) == IssuedTogether(2, 2, 1, 2)
    assert numbers(utility) == [1, 2]


def test_two_administrators_at_once_issue_each_draft_once(utility: Utility) -> None:
    add_drafts(utility, 8)
    mark = mark_of(utility)
    ready = threading.Barrier(2)
    outcomes: list[IssuedTogether | DraftsChanged] = []

    def press(seconds: int) -> None:
        ready.wait()
        try:
            outcomes.append(issue(utility, mark, now=utility.now + timedelta(seconds=seconds)))
        except DraftsChanged as error:
            outcomes.append(error)

    threads = [threading.Thread(target=press, args=[n]) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 2
    done = [o.number if isinstance(o, IssuedTogether) else 0 for o in outcomes]
    # Whoever is slower is refused at the batch that the other one took.
    assert sum(done) == len(numbers(utility))
    issue(utility, mark_of(utility))
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
        issue(utility, mark_of(utility), principal=ENGINEER)
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
