"""The main story on a real database: one reading, one bill, whatever happens at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from services.database.errors import (
    IdempotencyKeyReused,
    IllegalChange,
    NotFound,
    ReadingConflict,
)
from services.identity.auth import NotAllowed
from services.metering.register_arithmetic import ReadingTooLong
from services.outbox.steps import StepOutcome
from services.readings.submission import InvalidReading
from tests.integration.utility import ADMIN, ENGINEER, Utility, assert_one_chain, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def test_1117_kwh_on_a_meter_that_stood_at_1000_is_540_35(utility: Utility) -> None:
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.outcome == "billed"
    assert answer.bill is not None
    assert answer.bill.reference == "INV-000001"
    assert answer.bill.money(answer.bill.total_minor).display() == "₹540.35"
    printed = {line.code: line.amount_minor for line in answer.bill.lines}
    assert printed == {
        "energy": 42410, "duty": 4241, "meter_rent": 600, "rent_tax": 108,
        "rent_cess": 6, "fuel_surcharge": 1170, "fixed": 5500,
    }  # fmt: skip
    assert [step.step for step in answer.steps] == list(range(1, 14))
    assert {s.status for s in answer.steps[:7]} == {"done"}
    assert {(s.status, s.detail) for s in answer.steps[7:]} == {("skipped", "not configured")}


def test_the_same_reading_50_times_at_once_gives_one_reading_and_one_bill(
    utility: Utility,
) -> None:
    utility.add_meter("M1")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: utility.submit("M1", 1117), range(50)))
    assert sorted(a.outcome for a in answers) == ["billed"] + ["replay"] * 49
    assert len({a.reading.id for a in answers}) == 1
    assert len(utility.bills_of("M1")) == 1
    assert utility.services.database.readings(submitted_by=ENGINEER.user).total == 1


def test_two_readings_of_one_meter_at_once_leave_one_chain(utility: Utility) -> None:
    for round_no in range(5):
        serial = f"M{round_no}"
        utility.add_meter(serial)
        days = [20, 15, 10, 5, 0]
        with ThreadPoolExecutor(5) as pool:
            answers = list(
                pool.map(
                    lambda d, s=serial: utility.submit(
                        s, 1100 - d, at=utility.now - timedelta(days=d)
                    ),
                    days,
                )
            )
        billed = [a for a in answers if a.outcome == "billed"]
        assert len(billed) == len(utility.bills_of(serial)) >= 1
        assert_one_chain(utility, serial)
        assert utility.bills_of(serial)[-1].closing_wh == 1_100_000
        # What came after a later read was billed is kept as evidence, not lost.
        assert {a.outcome for a in answers} <= {"billed", "stored"}


def test_bills_of_a_meter_are_numbered_without_gaps_under_load(utility: Utility) -> None:
    serials = [f"N{i}" for i in range(30)]
    for serial in serials:
        utility.add_meter(serial)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda s: utility.submit(s, 1117), serials))
    assert sorted(a.bill.number for a in answers if a.bill and a.bill.number) == list(range(1, 31))


def test_a_reading_below_the_last_is_kept_flagged_and_not_billed(utility: Utility) -> None:
    utility.add_meter("M1")
    answer = utility.submit("M1", 900)
    assert answer.outcome == "needs_review"
    assert answer.bill is None
    assert answer.reading.status == "needs_review"
    assert answer.reading.validation["verdict"] == "needs_review"


def test_a_plausible_rollover_is_billed(utility: Utility) -> None:
    opened = utility.today - timedelta(days=62)
    utility.add_meter("M1", opening_kwh=99_700, opened_on=opened)
    utility.submit("M1", 99_850, at=utility.now - timedelta(days=31))
    answer = utility.submit("M1", 20)
    assert answer.bill is not None
    assert answer.bill.consumption_wh == 170_000


def test_what_was_forgotten_is_billed_only_by_the_next_reading(utility: Utility) -> None:
    utility.add_meter("M1")
    # At noon, so that what comes 90 minutes later is of the same day at whatever time this runs.
    noon = (utility.now - timedelta(days=10)).replace(hour=6, minute=30)
    first = utility.submit("M1", 1050, at=noon)
    early = utility.submit("M1", 1020, at=noon - timedelta(days=10))
    again = utility.submit("M1", 1052, at=noon + timedelta(minutes=90))
    assert (first.outcome, early.outcome, again.outcome) == ("billed", "stored", "stored")
    assert "evidence" in early.explanation
    assert "second reading" in again.explanation
    utility.submit("M1", 1117)
    assert [b.consumption_wh for b in utility.bills_of("M1")] == [50_000, 67_000]


def test_the_same_key_with_another_body_is_refused(utility: Utility) -> None:
    utility.add_meter("M1")
    utility.add_meter("M2")
    utility.submit("M1", 1117, key="k1")
    assert utility.submit("M1", 1117, key="k1").outcome == "replay"
    with pytest.raises(IdempotencyKeyReused):
        utility.submit("M2", 1117, key="k1")
    # Keys belong to their caller.
    assert utility.submit("M2", 1117, key="k1", principal=ADMIN).outcome == "billed"


def test_another_value_at_the_same_instant_is_refused(utility: Utility) -> None:
    utility.add_meter("M1")
    utility.submit("M1", 1117)
    with pytest.raises(ReadingConflict):
        utility.submit("M1", 1118)


def test_what_cannot_be_a_reading_is_refused_and_stores_nothing(utility: Utility) -> None:
    utility.add_meter("M1")
    with pytest.raises(NotFound):
        utility.submit("M9", 1117)
    with pytest.raises(ReadingTooLong):
        utility.submit("M1", 100_000)
    with pytest.raises(InvalidReading, match="connected on"):
        utility.submit("M1", 1117, at=utility.now - timedelta(days=60))
    assert utility.services.database.readings(submitted_by=ENGINEER.user).total == 0


def test_an_accepted_reading_is_billed_with_the_reason_kept(utility: Utility) -> None:
    utility.add_meter("M1")
    utility.submit("M1", 1050, at=utility.now - timedelta(days=20))
    flagged = utility.submit("M1", 2000)
    assert flagged.outcome == "needs_review"
    with pytest.raises(NotAllowed):
        utility.services.reading_review.accept(
            reading_id=flagged.reading.id, reason="seen", principal=ENGINEER, now=utility.now
        )
    stored = utility.services.reading_review.accept(
        reading_id=flagged.reading.id, reason="Seen on site", principal=ADMIN, now=utility.now
    )
    assert stored.bill is not None
    assert stored.bill.consumption_wh == 950_000
    assert stored.reading.decision_reason == "Seen on site"
    assert stored.reading.decided_by == ADMIN.user
    with pytest.raises(IllegalChange):
        utility.services.reading_review.reject(
            reading_id=flagged.reading.id, reason="no", principal=ADMIN
        )


def test_a_corrected_reading_supersedes_the_flagged_one(utility: Utility) -> None:
    utility.add_meter("M1")
    flagged = utility.submit("M1", 900)
    stored = utility.services.reading_review.correct(
        reading_id=flagged.reading.id,
        reading_kwh="1117",
        reason="Digits swapped",
        principal=ADMIN,
        now=utility.now,
    )
    assert stored.bill is not None
    assert stored.bill.total_minor == 54035
    assert stored.reading.supersedes_id == flagged.reading.id
    assert utility.services.database.reading(flagged.reading.id).status == "superseded"


def test_every_change_leaves_an_audit_row_with_its_actor(utility: Utility, database: str) -> None:
    utility.add_meter("M1")
    utility.submit("M1", 1117)
    with psycopg.connect(database) as connection:
        rows = connection.execute("select table_name, actor from public.audit_log").fetchall()
        assert ("readings", ENGINEER.user) in rows
        # A bill says itself who made it.
        made = connection.execute("select created_by from public.bills").fetchall()
        assert made == [(ENGINEER.user,)]
        with pytest.raises(psycopg.Error, match="actor"):
            connection.execute("update public.customers set name = 'x'")


def test_a_read_below_where_its_bill_would_open_is_flagged_though_the_last_read_is_lower(
    utility: Utility,
) -> None:
    opened = utility.today - timedelta(days=100)
    utility.add_meter("M1", opened_on=opened)
    utility.submit("M1", 1100, at=utility.now - timedelta(days=70))
    utility.submit("M1", 1200, at=utility.now - timedelta(days=40))
    wrong = utility.submit("M1", 5000, at=utility.now - timedelta(days=30))
    # An unbilled read comes in before somebody accepts the wrong one, which is billed.
    utility.submit("M1", 1300, at=utility.now - timedelta(days=10), source="smart")
    utility.services.reading_review.accept(
        reading_id=wrong.reading.id, reason="Thought so", principal=ADMIN, now=utility.now
    )
    answer = utility.submit("M1", 1350)
    assert answer.outcome == "needs_review"
    assert utility.bills_of("M1")[-1].closing_wh == 5_000_000


def test_a_new_key_with_a_known_reading_is_bound_to_it(utility: Utility) -> None:
    utility.add_meter("M1")
    utility.submit("M1", 1117, key="k1")
    assert utility.submit("M1", 1117, key="k2").outcome == "replay"
    with pytest.raises(IdempotencyKeyReused):
        utility.submit("M1", 1120, at=utility.now - timedelta(minutes=1), key="k2")


def test_a_read_that_was_compared_with_others_than_are_there_is_compared_again(
    utility: Utility,
) -> None:
    utility.add_meter("M1")
    when = utility.now - timedelta(days=5)

    def meanwhile(outcome: StepOutcome) -> None:
        # A later, lower read is billed after this one was validated and before it is stored.
        if (outcome.step, outcome.status) == (7, "running") and not utility.bills_of("M1"):
            utility.submit("M1", 1050)

    answer = utility.submit("M1", 1100, at=when, source="smart", progress=meanwhile)
    assert answer.outcome == "needs_review"
    assert "above the next read" in str(answer.reading.validation)
