"""Supply, imports, exports and rounds, as somebody sees them who reads Arabic."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from pages import registry
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.languages.language import Language
from services.readings.round import parse_visit
from tests.integration.utility import ENGINEER, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.page_runs import signed_in, user_of
from tests.ui.untranslated import english_on, reads_arabic

pytestmark = pytest.mark.postgres

ARABIC = Language.of("ar")
# What people typed, and the names of others' formats and tariffs.
DATA = (
    "KSEB LT-1A, domestic, single phase",
    "House S1",
    "House S2",
    "Hill Road",
    "Rang twice",
    "Green Button",
)


@pytest.fixture(scope="module")
def utility(fresh_database: NewDatabase, tmp_path_factory: Any) -> Iterator[Utility]:
    """A meter with bills and a reading that waits, and a smart one."""
    made = make_utility(fresh_database(), tmp_path_factory.mktemp("data"))
    run_with(made.services)
    reads_arabic(made.services, user_of(Role.ADMIN))
    made.add_meter("S1", opened_on=made.today - timedelta(days=100))
    for kwh, ago in ((1300, 70), (1600, 40)):
        made.submit("S1", kwh, at=made.now - timedelta(days=ago))
    made.submit("S1", 900)
    made.add_meter("S2", kind="smart", opened_on=made.today - timedelta(days=40))
    yield made
    run_with(None)
    made.services.close()


def point_of(utility: Utility, serial: str) -> str:
    (meter,) = utility.services.database.meter_reads(serials=[serial])
    return str(utility.services.database.meter(meter.id).service_point_id)


def page(utility: Utility, entry: registry.PageEntry, **query: str) -> AppTest:
    app = signed_in(utility.services, Role.ADMIN, entry.script, **query)
    assert not app.exception, (entry.path, query)
    return app


def english(app: AppTest) -> list[str]:
    return english_on(app, data=DATA)


@pytest.mark.parametrize(
    "view", ["Overview", "Meters", "Agreements", "Readings", "Changes", "Details"]
)
def test_a_place_is_said_in_arabic(utility: Utility, view: str) -> None:
    point = point_of(utility, "S1")
    app = page(utility, registry.SERVICE_POINT, id=point, view=ARABIC.gettext(view))
    assert english(app) == []


@pytest.mark.parametrize(
    "what", ["move-out", "stay", "exchange", "multiplier", "disconnect", "reconnect", "tariff"]
)
def test_each_change_at_a_place_is_asked_in_arabic(utility: Utility, what: str) -> None:
    app = page(utility, registry.CHANGE_SUPPLY, id=point_of(utility, "S1"), what=what)
    assert english(app) == []


@pytest.mark.parametrize(
    "entry",
    [
        registry.SERVICE_POINTS,
        registry.CONNECT,
        registry.IMPORTS,
        registry.EXPORT,
        registry.SMART_METERS,
        registry.ROUNDS,
        registry.SUBMIT_READING,
    ],
    ids=lambda entry: entry.path,
)
def test_each_list_and_form_is_said_in_arabic(utility: Utility, entry: registry.PageEntry) -> None:
    assert english(page(utility, entry)) == []


@pytest.mark.parametrize("view", ["Could not be read", "Refused"])
def test_what_rounds_lack_is_said_in_arabic(utility: Utility, view: str) -> None:
    body = {"id": str(uuid4()), "meter_serial": "S1", "missed_at": utility.now.isoformat()}
    visit = parse_visit(body | {"reason": "other", "note": "Rang twice"}, now=utility.now)
    utility.services.reading_round.miss(visit=visit, principal=ENGINEER)
    app = page(utility, registry.ROUNDS, view=ARABIC.gettext(view))
    assert english(app) == []
