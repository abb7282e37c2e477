"""Values that no meter or bill can have are refused in a sentence, not by the database."""

from collections.abc import Iterator
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


@pytest.mark.parametrize(("multiplier", "taken"), [("1000", True), ("1000.001", False)])
def test_an_absurd_meter_is_not_connected(utility: Utility, multiplier: str, taken: bool) -> None:
    utility.add_meter("M1")
    meter = utility.services.database.find_meters(text="M1")[0]
    report = Importer(utility.services.database, utility.services.settings.timezone).run(
        "meters",
        "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on\n"
        f"BIG,{meter.account_no},{meter.tariff_code},manual,9,{multiplier},0,{meter.opened_on}\n",
        actor=ADMIN.user,
        now=utility.now,
    )
    assert report.ok is taken
    if not taken:
        assert "more than any meter does" in str(report.errors[0])


def test_an_absurd_bill_is_for_review_with_its_reason(utility: Utility, database: str) -> None:
    utility.add_meter("M1")
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute("update public.meters set dials = 9")
        connection.execute("update public.meter_installations set multiplier_milli = 1000000000")
        connection.execute("update public.service_points set connected_w = 2000000000")
    answer = utility.submit("M1", 400_000_000)
    assert answer.outcome == "needs_review"
    assert answer.bill is None
    with pytest.raises(Exception, match="more than any bill can"):
        utility.services.reading_review.accept(
            reading_id=answer.reading.id, reason="seen", principal=ADMIN, now=utility.now
        )
