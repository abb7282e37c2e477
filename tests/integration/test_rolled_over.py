"""A fallen register is billed as a rollover only where a person said so, on every path."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import WrongReading
from services.metering.measured import RegisterFell
from services.quantities.energy import format_kwh
from services.quantities.period import next_month
from tests.integration.correcting import Correcting
from tests.integration.utility import ADMIN, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def fallen(utility: Utility) -> str:
    """The id of a flagged read of 6,400 kWh after a billed one of 6,500."""
    opened = utility.today - timedelta(days=62)
    utility.add_meter("M1", opening_kwh=6_300, opened_on=opened)
    utility.submit("M1", 6_500, at=utility.now - timedelta(days=31))
    answer = utility.submit("M1", 6_400)
    assert answer.outcome == "needs_review"
    return answer.reading.id


def test_accepting_a_fall_bills_no_whole_turn(utility: Utility) -> None:
    reading_id = fallen(utility)
    review = utility.services.reading_review
    with pytest.raises(RegisterFell, match="would bill 99,900 kWh"):
        review.preview(reading_id=reading_id, reading_kwh=None, now=utility.now)
    with pytest.raises(RegisterFell):
        review.accept(reading_id=reading_id, reason="seen", principal=ADMIN, now=utility.now)
    assert len(utility.bills_of("M1")) == 1
    assert utility.services.database.reading(reading_id).status == "needs_review"


def test_correcting_to_another_fall_bills_none_either(utility: Utility) -> None:
    reading_id = fallen(utility)
    with pytest.raises(RegisterFell):
        utility.services.reading_review.correct(
            reading_id=reading_id, reading_kwh="6450", reason="x", principal=ADMIN, now=utility.now
        )


def test_that_it_rolled_over_is_shown_billed_kept_and_audited(
    utility: Utility, database: str
) -> None:
    reading_id = fallen(utility)
    review = utility.services.reading_review
    shown = review.preview(
        reading_id=reading_id, reading_kwh=None, now=utility.now, rolled_over=True
    )
    assert shown.bill is not None
    assert format_kwh(shown.bill.consumption_wh) == "99900"
    stored = review.accept(
        reading_id=reading_id, reason="seen", principal=ADMIN, now=utility.now, rolled_over=True
    )
    assert stored.bill is not None
    assert stored.bill.consumption_wh == 99_900_000
    assert stored.reading.rolled_over
    with psycopg.connect(database) as connection:
        query = (
            "select actor, after ->> 'rolled_over' from public.audit_log where row_id = %s "
            "order by id desc limit 1"
        )
        assert connection.execute(query, [reading_id]).fetchone() == (ADMIN.user, "true")


def test_a_correction_of_a_bill_bills_no_whole_turn(utility: Utility) -> None:
    at = Correcting(utility)
    last = at.chain("M1", 2)[-1]
    wrong = WrongReading(last.id, last.closing_reading_id, "1050")
    with pytest.raises(CannotRebill, match="rolled over"):
        at.plan(wrong)
    rolled = WrongReading(last.id, last.closing_reading_id, "1050", rolled_over=True)
    new = at.plan(rolled).changes[-1].new
    assert new is not None
    assert new.consumption_wh == 99_950_000
    at.execute(rolled)
    # Reissued once more, the choice holds.
    now = utility.bills_of("M1")[-1]
    assert utility.services.database.reading(now.closing_reading_id).rolled_over
    again = at.plan(WrongReading(now.id, now.opening_reading_id, "1090")).changes[-1].new
    assert again is not None
    assert again.consumption_wh == 99_960_000


def test_a_later_read_and_the_monthly_candidates_know_of_it(
    utility: Utility, database: str
) -> None:
    opened = utility.today - timedelta(days=62)
    utility.add_meter("M1", opening_kwh=6_500, opened_on=opened)
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, "
            "status, submitted_by, rolled_over) select gen_random_uuid(), id, %s, %s, 6400000, "
            "'smart', 'accepted', 'test', true from public.meters",
            [utility.now - timedelta(days=31), utility.today - timedelta(days=31)],
        )
    context = utility.services.database.reading_context(
        meter_serial="M1", read_at=utility.now, read_on=utility.today
    )
    assert [read.rolled_over for read in context.between] == [True]
    (candidate,) = utility.services.database.monthly_bill_candidates(
        on=next_month(utility.today), after=None, limit=10
    ).agreements
    assert candidate.closing is not None
    assert candidate.closing.rolled_over or candidate.between[0].rolled_over


def test_a_fall_that_the_monthly_job_is_to_bill_asks_for_the_word_as_well(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opening_kwh=6_500)
    reading_id = utility.submit("M1", 6_400, source="imported").reading.id
    review = utility.services.reading_review
    with pytest.raises(RegisterFell, match="would bill 99,900 kWh"):
        review.accept(reading_id=reading_id, reason="seen", principal=ADMIN, now=utility.now)
    assert utility.services.database.reading(reading_id).status == "needs_review"
    stored = review.accept(
        reading_id=reading_id, reason="seen", principal=ADMIN, now=utility.now, rolled_over=True
    )
    assert (stored.reading.status, stored.bill) == ("accepted", None)
