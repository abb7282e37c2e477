"""Limits for readings: set by tariff and season, tried on the last year, and then held to."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.identity.auth import NotAllowed
from services.records.use_limits import LimitsFor
from services.utility_settings.entry import InvalidSettings
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    # 300 kWh a month, then 450.
    made.add_meter("M1", opened_on=made.today - timedelta(days=180))
    for n in range(1, 6):
        made.submit("M1", 1000 + 300 * n, at=made.now - timedelta(days=180 - 30 * n))
    yield made
    made.services.close()


def put(utility: Utility, *rows: Mapping[str, Any]) -> bool:
    desk = utility.services.settings_desk
    return desk.change(
        change_id=str(uuid4()),
        body={"validation_limits": list(rows)},
        seen=desk.shown(principal=ADMIN).stored,
        principal=ADMIN,
    )


def tariff_of(utility: Utility) -> str:
    (tariff,) = utility.services.tariff_publishing.tariffs(principal=ADMIN)
    return tariff.id


def test_a_reading_is_held_to_the_limits_of_its_tariff_and_month(utility: Utility) -> None:
    month = utility.today.month
    tariff = tariff_of(utility)
    assert put(utility, {"high_percent": 120})
    assert put(utility, {"high_percent": 120}, {"tariff_id": tariff, "high_percent": 200})
    assert utility.submit("M1", 2500 + 450).outcome == "billed"
    assert put(
        utility,
        {"tariff_id": tariff, "high_percent": 200},
        {"tariff_id": tariff, "months": [month], "high_percent": 110},
    )
    answer = utility.submit("M1", 2950 + 460, at=utility.now + timedelta(minutes=4))
    assert answer.outcome == "needs_review"


def test_limits_are_tried_on_the_last_year_and_store_nothing(utility: Utility) -> None:
    utility.submit("M1", 2500 + 450)
    trial = utility.services.limits_trial.run([], principal=ADMIN, now=utility.now)
    assert (trial.meters, trial.readings, trial.flagged, trial.flagged_now) == (1, 6, 0, 0)
    narrow = [LimitsFor(high_percent=110)]
    trial = utility.services.limits_trial.run(narrow, principal=ADMIN, now=utility.now)
    assert (trial.flagged, trial.flagged_now, trial.is_sample) == (1, 0, False)
    assert trial.examples == [("M1", utility.today)]
    change = [LimitsFor(change_percent=20)]
    trial = utility.services.limits_trial.run(change, principal=ADMIN, now=utility.now)
    assert (trial.flagged, trial.flagged_now) == (1, 0)
    assert utility.services.settings_desk.shown(principal=ADMIN).held.validation_limits == ()


def test_only_administrators_try_limits(utility: Utility) -> None:
    with pytest.raises(NotAllowed):
        utility.services.limits_trial.run([], principal=ENGINEER, now=utility.now)


@pytest.mark.parametrize(
    "rows",
    [
        [{"high_percent": 100}],
        [{"low_percent": 91}],
        [{"months": [13]}],
        [{"unknown": 1}],
        [{"high_percent": 150}, {"high_percent": 160}],
        [{"months": [1, 2]}, {"months": [2]}],
    ],
)
def test_limits_that_make_no_sense_are_refused(
    utility: Utility, rows: list[dict[str, Any]]
) -> None:
    with pytest.raises(InvalidSettings, match="Limits must be whole percentages"):
        put(utility, *rows)
