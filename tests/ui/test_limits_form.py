"""Limits for readings on the Settings page: tried on the last year, saved, taken away."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pages.registry import SETTINGS
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from tests.integration.utility import Utility, make_utility
from tests.ui.page_runs import press, signed_in, words

pytestmark = pytest.mark.postgres


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=datetime.now(UTC))
    run_with(made.services, Scheduler(made.services))
    made.add_meter("M1", opened_on=made.today - timedelta(days=180))
    for n in range(1, 6):
        made.submit("M1", 1000 + 300 * n, at=made.now - timedelta(days=180 - 30 * n))
    made.submit("M1", 2500 + 450)
    yield made
    run_with(None)
    made.services.close()


def test_limits_are_tried_saved_and_removed(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ADMIN, SETTINGS.script, view="Readings")
    assert "High above 180 %, low below 45 %" in words(app)
    (high,) = [field for field in app.number_input if field.label.startswith("High above")]
    high.set_value(110)
    app = press(app, "Try on the last year")
    assert "would have flagged 1 of 6 readings of 1 meter in the last year; the present ones 0" in (
        "".join(str(box.value) for box in app.info)
    )
    assert "M1 on" in words(app)
    app = press(app, "Save")
    assert "All tariffs, all year: high above 110 %" in words(app)
    (limits,) = [box for box in app.selectbox if box.label == "Limits"]
    app = limits.select_index(1).run()
    app = press(app, "Remove")
    assert "the limits that hold without any set here" in words(app)


def test_limits_that_make_no_sense_are_refused_in_a_sentence(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ADMIN, SETTINGS.script, view="Readings")
    (low,) = [field for field in app.number_input if field.label.startswith("Low below")]
    low.set_value(95)
    app = press(app, "Save")
    assert "low use below 90 or less" in "".join(str(box.value) for box in app.error)
