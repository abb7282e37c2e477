"""What rules doubt, how an estimate was made and how a bill comes about, to who reads Arabic."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.languages.language import Language
from services.records.drafts import DraftFilter
from tests.integration.flagging import BEGAN_KWH, add_neighbours, flag
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.page_runs import fill, press, signed_in, user_of, words
from tests.ui.untranslated import english_on, reads_arabic

pytestmark = pytest.mark.postgres

ARABIC = Language.of("ar")
# What people typed, and the name of the tariff.
DATA = (
    "KSEB LT-1A, domestic, single phase",
    "Electricity billing",
    "Hill Road",
    "House",
    "NEIGHBOUR",
    "Nobody was in",
)


@pytest.fixture(scope="module")
def utility(fresh_database: NewDatabase, tmp_path_factory: Any) -> Iterator[Utility]:
    """Readings that rules doubt, a bill that is too long, and one up to an estimate."""
    made = make_utility(fresh_database(), tmp_path_factory.mktemp("data"))
    run_with(made.services, Scheduler(made.services))
    reads_arabic(made.services, user_of(Role.ADMIN))
    reads_arabic(made.services, user_of(Role.ENGINEER))
    add_neighbours(made, 8)
    flag(made, "SWAPPED", 17_000)
    flag(made, "BELOW", 10_590)
    flag(made, "STOOD-STILL", BEGAN_KWH + 600)
    made.add_meter("FIRST", opened_on=made.today - timedelta(days=31))
    made.submit("FIRST", 9_000)
    made.add_meter("LONG", opened_on=made.today - timedelta(days=61))
    made.submit("LONG", 1_210)
    made.add_meter("E1", opened_on=made.today - timedelta(days=100))
    for kwh, ago in ((1300, 70), (1600, 40)):
        made.submit("E1", kwh, at=made.now - timedelta(days=ago))
    estimates, on = made.services.reading_estimates, made.today - timedelta(days=10)
    found = estimates.preview(meter_serial="E1", on=on, principal=ADMIN, now=made.now)
    estimates.store(
        reading_id="0190b7a0-0000-7000-8000-000000000001",
        meter_serial="E1",
        on=on,
        register_wh=found.estimate.register_wh,
        reason="Nobody was in",
        principal=ADMIN,
        now=made.now,
    )
    yield made
    run_with(None)
    made.services.close()


def page(utility: Utility, entry: registry.PageEntry, **query: str) -> AppTest:
    app = signed_in(utility.services, Role.ADMIN, entry.script, **query)
    assert not app.exception, (entry.path, query)
    return app


def flagged(utility: Utility) -> dict[str, str]:
    """The readings that wait, by their meters."""
    found = utility.services.reading_exceptions.queue(principal=ADMIN, limit=50)
    return {one.reading.meter_serial: one.reading.id for one in found.items}


def meter_of(utility: Utility, serial: str) -> str:
    (meter,) = utility.services.database.meter_reads(serials=[serial])
    return str(meter.id)


def test_the_queue_says_each_doubt(utility: Utility) -> None:
    app = page(utility, registry.FLAGGED_READINGS)
    assert "في حين أن معظم العدادات على تعرفته تستهلك من" in words(app)
    assert english_on(app, data=DATA) == []


@pytest.mark.parametrize("serial", ["SWAPPED", "BELOW", "STOOD-STILL", "FIRST"])
def test_a_flagged_reading_says_its_doubts_and_what_each_decision_brings(
    utility: Utility, serial: str
) -> None:
    app = page(utility, registry.FLAGGED_READING, id=flagged(utility)[serial])
    assert english_on(app, data=DATA) == []
    app = page(utility, registry.METER, id=meter_of(utility, serial))
    assert english_on(app, data=DATA) == []


def test_the_form_asks_about_a_doubtful_reading(utility: Utility) -> None:
    script = registry.SUBMIT_READING.script
    app = signed_in(utility.services, Role.ENGINEER, script, meter="NEIGHBOUR-0")
    fill(app, ARABIC.gettext("Reading (kWh)"), "900")
    app = press(app, ARABIC.gettext("Submit reading"))
    assert not app.exception
    assert "القراءة الأخيرة" in words(app)
    assert english_on(app, data=DATA) == []
    app = press(app, ARABIC.gettext("Submit anyway"))
    assert "القراءة الأخيرة" in words(app)
    assert english_on(app, data=DATA) == []


def test_an_estimate_is_explained(utility: Utility) -> None:
    on = (utility.today - timedelta(days=1)).isoformat()
    app = page(utility, registry.ESTIMATE_READING, meter="SWAPPED", on=on)
    assert english_on(app, data=DATA) == []
    bill = utility.bills_of("E1")[-1]
    reading = utility.services.database.reading(bill.closing_reading_id)
    assert reading.estimated_by.startswith("The last period that was read came to 10.0 kWh")
    assert ARABIC.say(reading.estimated_by).startswith("بلغت آخر مدة قُرئت 10.0 kWh")


def test_a_bill_says_how_it_was_calculated(utility: Utility) -> None:
    app = page(utility, registry.BILL, id=utility.bills_of("E1")[-1].id)
    (explained,) = app.code
    assert explained.value.startswith(ARABIC.pgettext("charge", "Energy charge"))
    assert ARABIC.gettext("Total in {currency}", currency="INR") in explained.value
    assert english_on(app, data=DATA) == []


def test_why_a_bill_is_held_is_said(utility: Utility) -> None:
    drafts = utility.services.database.drafts(DraftFilter()).items
    draft = next(one for one in drafts if one.days == 61)
    assert (draft.held_because or "").startswith("The bill covers 61 days; tariff KSEB-LT1A is")
    app = page(utility, registry.BILL, id=draft.id)
    assert "تشمل الفاتورة 61 يومًا" in words(app)
    assert english_on(app, data=DATA) == []
    assert english_on(page(utility, registry.DRAFTS), data=DATA) == []
    app = page(utility, registry.BILL_RUNS, view=ARABIC.gettext("Next run"))
    assert english_on(app, data=DATA) == []
