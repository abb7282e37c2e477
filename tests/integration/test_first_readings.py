"""A first reading is judged by what else is known of the meter: its load, its tariff's others."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from services.importing import Importer
from tests.integration.utility import ADMIN, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def rules(validation: dict[str, object]) -> dict[str, str]:
    found = validation["rules"]
    assert isinstance(found, list)
    return {one["rule"]: one["outcome"] for one in found}


def test_an_added_digit_is_kept_for_review_and_not_billed(utility: Utility) -> None:
    utility.add_meter("M1")
    answer = utility.submit("M1", 91_117)
    assert (answer.outcome, answer.bill) == ("needs_review", None)
    assert rules(answer.reading.validation)["first_reading"] == "review"


def test_the_connected_load_limits_every_reading(utility: Utility, database: str) -> None:
    utility.add_meter("M1")
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute("update public.service_points set connected_w = 100")
    answer = utility.submit("M1", 1117)
    assert answer.outcome == "needs_review"
    assert rules(answer.reading.validation)["above_connected_load"] == "review"


def test_it_is_compared_with_the_last_bills_of_its_tariff(utility: Utility) -> None:
    for n in range(12):
        utility.add_meter(f"M{n}")
        utility.submit(f"M{n}", 1050 + 10 * n)
    utility.add_meter("NEW")
    context = utility.services.database.reading_context(
        meter_serial="NEW", read_at=utility.now, read_on=utility.today
    )
    assert context.class_use is not None
    assert context.class_use.meters == 12
    days = (utility.today - context.opening.read_on).days
    assert context.class_use.low_wh == 60_000 // days
    assert context.class_use.high_wh == 150_000 // days
    answer = utility.submit("NEW", 1310)
    assert answer.outcome == "needs_review"
    assert rules(answer.reading.validation)["first_reading"] == "review"


def test_with_a_past_of_its_own_the_others_are_not_asked(utility: Utility) -> None:
    utility.add_meter("M1")
    utility.submit("M1", 1050, at=utility.now - timedelta(days=3))
    context = utility.services.database.reading_context(
        meter_serial="M1", read_at=utility.now, read_on=utility.today
    )
    assert context.class_use is None


def test_imported_reads_are_judged_by_the_same(utility: Utility) -> None:
    utility.add_meter("M1")
    utility.add_meter("M2")
    at = (utility.now - timedelta(hours=1)).isoformat()
    report = Importer(utility.services.database, utility.services.settings.timezone).run(
        "readings",
        f"meter_serial,reading_kwh,read_at\nM1,91117,{at}\nM2,1117,{at}\n",
        actor=ADMIN.user,
        now=utility.now,
    )
    assert not report.errors
    found = utility.services.database.readings().items
    stored = {one.meter_serial: one for one in found if not one.is_opening}
    assert stored["M1"].status == "needs_review"
    assert rules(stored["M1"].validation)["first_reading"] == "review"
    assert stored["M2"].status == "accepted"
