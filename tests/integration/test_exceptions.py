"""The exceptions queue: its order, what each decision would bill, and several at once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.readings.estimates import EstimateChanged
from services.readings.exceptions import MOST_AT_ONCE, TooManyAtOnce, request_id_for
from services.readings.outlooks import Outlooks
from services.records.readings import Reading
from tests.integration.flagging import flag
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.servers import NewDatabase


@pytest.fixture
def utility(fresh_database: NewDatabase, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path)
    yield made
    made.services.close()


def outlooks(utility: Utility, reading: Reading) -> Outlooks:
    seen = utility.services.readings.under_review(reading_id=reading.id, principal=ADMIN)
    assert seen.context
    return utility.services.decision_outlooks.of(
        reading=reading, context=seen.context, principal=ADMIN, now=utility.now
    )


def test_the_most_money_is_first_and_what_is_skipped_last(utility: Utility) -> None:
    small = flag(utility, "M-1", 11_200)
    large = flag(utility, "M-2", 15_000)
    backwards = flag(utility, "M-3", 10_590)
    queue = utility.services.reading_exceptions
    found = queue.queue(principal=ADMIN, limit=10)
    assert [item.reading.id for item in found.items] == [large.id, small.id, backwards.id]
    # 4,400 kWh instead of the usual 100, and nothing instead of them.
    assert found.items[0].at_stake_wh == pytest.approx(4_300_000, rel=0.01)
    assert found.items[2].at_stake_wh == pytest.approx(100_000, rel=0.01)
    assert found.items[0].currency == "INR"
    amounts = [item.at_stake_minor or 0 for item in found.items]
    assert amounts == sorted(amounts, reverse=True)
    assert found.total == found.ranked == 3
    skipped = queue.queue(principal=ADMIN, limit=1, skipped=[large.id])
    assert (skipped.items[0].reading.id, skipped.total) == (small.id, 3)
    # Those that were skipped come again in the order in which they were.
    all_skipped = queue.queue(principal=ADMIN, limit=3, skipped=[backwards.id, large.id, small.id])
    assert [one.reading.id for one in all_skipped.items] == [backwards.id, large.id, small.id]


def test_by_cause_and_by_route(utility: Utility) -> None:
    high, backwards = flag(utility, "M-1", 15_000), flag(utility, "M-2", 10_590)
    code = utility.services.database.meter(high.meter_id).service_point_code
    place = {"row": 1, "id": str(uuid4()), "code": code, "route": "North", "sequence": 1}
    answer = utility.services.database.import_rows(
        what="service_points", actor=ADMIN.user, rows=[place], dry_run=False
    )
    assert answer.changed == 1
    queue = utility.services.reading_exceptions
    found = queue.queue(principal=ADMIN, limit=10, cause="below_last_read")
    assert [item.reading.id for item in found.items] == [backwards.id]
    assert (found.total, found.causes["below_last_read"], found.causes["high_use"]) == (1, 1, 1)
    assert found.routes == {"": 1, "North": 1}
    (north,) = queue.queue(principal=ADMIN, limit=10, route="North").items
    assert (north.reading.id, north.route) == (high.id, "North")
    assert queue.queue(principal=ADMIN, limit=10, route="North", cause="below_last_read").total == 0


def test_what_each_decision_would_bill_is_what_it_bills(utility: Utility) -> None:
    # 10,700 with two digits swapped.
    reading = flag(utility, "M-1", 17_000)
    found = outlooks(utility, reading)
    (proposal, outlook), *_ = found.proposals
    assert proposal.register_wh == 10_700_000
    assert "swapped" in proposal.reason or "digit" in proposal.reason
    assert found.accept.total_minor
    assert outlook.total_minor
    assert found.estimate.total_minor == pytest.approx(outlook.total_minor, rel=0.05)
    assert found.accept.total_minor > 10 * outlook.total_minor
    stored = utility.services.reading_review.correct(
        reading_id=reading.id,
        reading_kwh="10700",
        reason=proposal.reason,
        principal=ADMIN,
        now=utility.now,
    )
    assert stored.bill
    assert stored.bill.total_minor == outlook.total_minor


def test_two_readings_that_were_swapped_are_proposed_to_each_other(utility: Utility) -> None:
    low = flag(utility, "M-1", 30_700)
    high = flag(utility, "M-2", 10_700, began_kwh=30_000)
    for reading, other, kwh in ((low, "M-2", 10_700), (high, "M-1", 30_700)):
        found = outlooks(utility, reading)
        assert f"the one of meter {other}" in found.swapped
        (proposal, outlook), *_ = found.proposals
        assert proposal.register_wh == kwh * 1000
        assert outlook.used_wh == 100_000


def test_an_estimate_takes_the_place_of_a_reading_which_stays(utility: Utility) -> None:
    reading = flag(utility, "M-1", 17_000)
    estimates = utility.services.reading_estimates
    found = estimates.preview_in_place(reading_id=reading.id, principal=ADMIN, now=utility.now)
    assert found.estimate.register_wh == pytest.approx(10_700_000, rel=0.01)
    estimate_id = str(uuid4())

    def store(register_wh: int) -> Reading:
        return estimates.store_in_place(
            estimate_id=estimate_id,
            reading_id=reading.id,
            register_wh=register_wh,
            reason="Nobody can say",
            principal=ADMIN,
            now=utility.now,
        ).reading

    with pytest.raises(EstimateChanged):
        store(found.estimate.register_wh + 1)
    stored = store(found.estimate.register_wh)
    assert (stored.id, stored.source, stored.status) == (estimate_id, "estimated", "accepted")
    assert (stored.supersedes_id, stored.read_at) == (reading.id, reading.read_at)
    assert stored.bill_total_minor
    assert stored.estimated_by
    raw = utility.services.database.reading(reading.id)
    assert (raw.register_wh, raw.status, raw.decision_reason) == (
        *(17_000_000, "superseded"),
        "Nobody can say",
    )
    # The same again is the same; another is too late.
    assert store(found.estimate.register_wh).id == estimate_id
    with pytest.raises(IllegalChange):
        estimates.preview_in_place(reading_id=reading.id, principal=ADMIN, now=utility.now)


def test_a_new_read_is_asked_for_and_the_reading_set_aside_at_once(utility: Utility) -> None:
    reading = flag(utility, "M-1", 17_000)
    review, request = utility.services.reading_review, request_id_for(reading.id)

    def ask(reason: str) -> Reading:
        return review.read_again(
            reading_id=reading.id,
            request_id=request,
            requested_on=utility.today,
            reason=reason,
            principal=ADMIN,
        ).reading

    with pytest.raises(ReasonMissing):
        ask(" ")
    assert ask("Far too much").status == "rejected"
    assert ask("Far too much").status == "rejected"
    with pytest.raises(IllegalChange):
        ask("Another reason")
    due = utility.services.reading_round.meters(route="", principal=ENGINEER, now=utility.now)
    (asked,) = [one.meter.request for one in due.meters if one.meter.request]
    assert (asked.id, asked.reason, asked.about_reading_id) == (
        *(request, "Far too much"),
        reading.id,
    )
    # The read that comes then is billed, and answers the request.
    utility.now += timedelta(hours=1)
    assert utility.submit("M-1", 10_700).outcome == "billed"
    due = utility.services.reading_round.meters(route="", principal=ENGINEER, now=utility.now)
    assert not [one for one in due.meters if one.meter.request]


@pytest.mark.parametrize("decision", ["accept", "reject", "read_again"])
def test_several_at_once_each_for_itself(utility: Utility, decision: str) -> None:
    readings = [flag(utility, f"M-{n}", 15_000 + n) for n in range(3)]
    fell = flag(utility, "M-9", 10_590)
    queue = utility.services.reading_exceptions
    seen = queue.preview_together(readings=[*readings, fell], principal=ADMIN, now=utility.now)
    assert (seen.readings, seen.bills) == (4, 3)
    assert [one.id for one, _ in seen.refused] == [fell.id]
    utility.services.reading_review.reject(
        reading_id=readings[0].id, reason="somebody was faster", principal=ADMIN
    )
    results = list(
        queue.decide_together(
            decision=decision,  # type: ignore[arg-type]
            reading_ids=[one.id for one in [*readings, fell]],
            reason="Harvest",
            principal=ADMIN,
            now=utility.now,
        )
    )
    assert [one.reading.id for one in results] == [one.id for one in [*readings, fell]]
    problems = [bool(one.problem) for one in results]
    assert problems == [True, False, False, decision == "accept"]
    if decision == "accept":
        assert all(one.billed_minor for one in results[1:3])
        each = sum(one.billed_minor or 0 for one in results)
        assert each < seen.totals_minor["INR"]
    status = {utility.services.database.reading(one.id).status for one in readings[1:]}
    assert status == {"accepted" if decision == "accept" else "rejected"}
    raw = utility.services.database.reading(readings[1].id)
    assert (raw.register_wh, raw.decision_reason) == (15_001_000, "Harvest")


def test_who_may_and_what_is_missing(utility: Utility) -> None:
    reading = flag(utility, "M-1", 15_000)
    queue = utility.services.reading_exceptions
    with pytest.raises(NotAllowed):
        queue.queue(principal=ENGINEER, limit=1)
    with pytest.raises(NotAllowed):
        queue.preview_together(readings=[reading], principal=ENGINEER, now=utility.now)
    for ids, reason, error in (
        ([reading.id], "", ReasonMissing),
        ([], "why", TooManyAtOnce),
        ([str(uuid4()) for _ in range(MOST_AT_ONCE + 1)], "why", TooManyAtOnce),
    ):
        with pytest.raises(error):
            queue.decide_together(
                decision="reject",
                reading_ids=ids,
                reason=reason,
                principal=ADMIN,
                now=utility.now,
            )
    with pytest.raises(NotAllowed):
        utility.services.reading_review.read_again(
            reading_id=reading.id,
            request_id=str(uuid4()),
            requested_on=utility.today,
            reason="why",
            principal=ENGINEER,
        )
    assert queue.queue(principal=ADMIN, limit=1).total == 1
