"""Readings that are not billed are corrected: value, date, or taken away."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import WrongReading
from services.database.errors import IllegalChange
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.readings.submission import InvalidReading
from services.records.readings import Reading
from tests.integration.utility import ADMIN, ENGINEER, Utility, assert_one_chain, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def correct(utility: Utility, read: Reading, kwh: str | None, **how: Any) -> Reading:
    wrong = WrongReading("", read.id, kwh, **{k: how.pop(k) for k in ("read_on",) if k in how})
    given: dict[str, Any] = {"reason": "misread", "acknowledged": True, "principal": ADMIN}
    correction = utility.services.reading_correction
    return correction.execute(wrong, **given | {"now": utility.now} | how)


def imported(utility: Utility, serial: str, kwh: int, *, days_ago: int) -> Reading:
    at = utility.now - timedelta(days=days_ago)
    return utility.submit(serial, kwh, at=at, source="imported").reading


def opening(utility: Utility, serial: str) -> Reading:
    meter = utility.services.database.find_meters(text=serial, limit=1)[0]
    return utility.services.database.readings(meter_id=meter.id).items[-1]


def test_an_opening_read_typed_wrong_is_corrected_before_the_first_bill(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=10_000)
    right = correct(utility, opening(utility, "M1"), "1000")
    assert (right.register_wh, right.is_opening, right.status) == (1_000_000, True, "accepted")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    assert (bill.consumption_wh, bill.opening_reading_id) == (117_000, right.id)
    assert_one_chain(utility, "M1")
    # Once a bill opens at it, it is the bill that is corrected.
    with pytest.raises(CannotRebill, match="correct it on the bill"):
        correct(utility, right, "1010")


def test_an_unbilled_read_gets_its_true_value_and_day(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000)
    read = imported(utility, "M1", 1080, days_ago=10)
    day = read.read_on - timedelta(days=3)
    right = correct(utility, read, "1050", read_on=day)
    assert (right.register_wh, right.read_on, right.source) == (1_050_000, day, "imported")
    assert right.supersedes_id == read.id
    stored = utility.services.database.reading(read.id)
    assert (stored.status, stored.decision_reason) == ("superseded", "misread")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    assert bill.consumption_wh == 117_000
    assert_one_chain(utility, "M1")


def test_one_that_was_never_valid_is_taken_away(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000)
    read = imported(utility, "M1", 1080, days_ago=10)
    assert correct(utility, read, None).status == "rejected"
    with pytest.raises(CannotRebill, match="corrected or decided on already"):
        correct(utility, read, "1060")
    with pytest.raises(CannotRebill, match="can be corrected, not withdrawn"):
        correct(utility, opening(utility, "M1"), None)


def test_the_rules_judge_the_right_value_and_a_person_decides(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000)
    read = imported(utility, "M1", 1080, days_ago=10)
    plan = utility.services.reading_correction.plan(
        WrongReading("", read.id, "900"), principal=ADMIN, now=utility.now
    )
    assert any("below the last read" in doubt for doubt in plan.doubts), plan.doubts
    with pytest.raises(CannotRebill, match="whatever the rules doubt"):
        correct(utility, read, "900", acknowledged=False)
    # Judged beside the reads before it, not beside its own wrong value.
    fine = utility.services.reading_correction.plan(
        WrongReading("", read.id, "1070"), principal=ADMIN, now=utility.now
    )
    assert fine.doubts == []
    # An opening read is judged by the one after it.
    plan = utility.services.reading_correction.plan(
        WrongReading("", opening(utility, "M1").id, "1200"), principal=ADMIN, now=utility.now
    )
    assert any("below the last read" in doubt for doubt in plan.doubts), plan.doubts


def test_what_cannot_be_is_refused_and_changes_nothing(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000)
    first = imported(utility, "M1", 1040, days_ago=20)
    read = imported(utility, "M1", 1080, days_ago=10)
    for day, said in (
        (first.read_on, "The reading before it is of"),
        (utility.today + timedelta(days=1), "is still to come"),
    ):
        with pytest.raises(CannotRebill, match=said):
            correct(utility, read, "1080", read_on=day)
    with pytest.raises(CannotRebill, match="The next reading is of"):
        correct(utility, first, "1040", read_on=read.read_on)
    with pytest.raises(CannotRebill, match="Undo the change"):
        correct(utility, opening(utility, "M1"), "1000", read_on=first.read_on)
    with pytest.raises(CannotRebill, match="nothing to correct"):
        correct(utility, read, "1080")
    with pytest.raises(ReasonMissing):
        correct(utility, read, "1070", reason=" ")
    with pytest.raises(NotAllowed):
        correct(utility, read, "1070", principal=ENGINEER)
    with pytest.raises((InvalidReading, ValueError)):
        correct(utility, read, "999999999")
    assert utility.services.database.reading(read.id).status == "accepted"


def test_a_bill_that_came_meanwhile_refuses_it(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000)
    read = utility.submit("M1", 1080).reading
    right = {"id": "7d6c3c0e-0000-4000-8000-000000000002", "register_wh": 1_070_000}
    right |= {"read_at": read.read_at.isoformat(), "read_on": read.read_on.isoformat()}
    right |= {"validation": {}, "registers": {}}
    with pytest.raises(IllegalChange, match="correct it on the bill"):
        utility.services.database.correct_reading(
            actor=ADMIN.user, reason="r", reading_id=read.id, right=right
        )
    assert utility.services.database.reading(read.id).status == "accepted"


def test_a_repeat_is_answered_and_another_correction_refused(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000)
    read = imported(utility, "M1", 1080, days_ago=0)
    database = utility.services.database
    right = {"id": "7d6c3c0e-0000-4000-8000-000000000001", "register_wh": 1_070_000}
    right |= {"read_at": read.read_at.isoformat(), "read_on": read.read_on.isoformat()}
    given: dict[str, Any] = {"actor": ADMIN.user, "reason": "r", "reading_id": read.id}
    assert utility.submit("M1", 1090, at=utility.now + timedelta(minutes=1)).bill is None
    first = database.correct_reading(**given, right=right | {"validation": {}, "registers": {}})
    # A repeat answers the first.
    again = database.correct_reading(**given, right=right | {"validation": {}, "registers": {}})
    assert again == first
    with pytest.raises(IllegalChange, match="corrected or decided on already"):
        database.correct_reading(**given | {"reason": "other"}, right=None)


def test_the_same_correction_once_more_answers_the_first(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000)
    read = imported(utility, "M1", 1080, days_ago=10)
    first = correct(utility, read, "1060")
    assert correct(utility, read, "1060") == first
    taken = correct(utility, first, None)
    assert correct(utility, first, None) == taken
    # Another value, reason or person is no repeat.
    with pytest.raises(CannotRebill, match="corrected or decided on already"):
        correct(utility, read, "1061")
    with pytest.raises(CannotRebill, match="corrected or decided on already"):
        correct(utility, read, "1060", reason="another")


def test_a_read_of_yesterday_evening_was_one_of_this_morning(utility: Utility) -> None:
    zone = utility.services.settings.timezone
    opened = utility.today - timedelta(days=40)
    utility.add_meter("M1", opening_kwh=1000, opened_on=opened)
    evening = datetime.combine(utility.today - timedelta(days=1), time(23, 59), tzinfo=zone)
    read = utility.submit("M1", 1080, at=evening, source="imported").reading
    now = max(utility.now, evening + timedelta(minutes=10))
    right = correct(utility, read, "1080", read_on=utility.today, now=now)
    assert right.read_on == utility.today
    assert evening < right.read_at <= now
