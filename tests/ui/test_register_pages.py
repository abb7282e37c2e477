"""A meter with more registers than the total, on the pages of engineers and administrators."""

import pytest

from services.container import Services
from services.identity.permissions import Role
from tests.integration.metered import Metered
from tests.integration.utility import ADMIN, Utility
from tests.ui.page_runs import fill, now, on_meter, press, running, services, signed_in, words

__all__ = ["running", "services"]
pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def metered(services: Services) -> Metered:
    return Metered(Utility(services, now()))


def test_each_register_has_its_field_and_its_row_on_the_bill(
    services: Services, metered: Metered
) -> None:
    metered.add_meter("P1", "peak=400 off_peak=600 max_kw")
    app = on_meter(services, "P1")
    labels = [field.label for field in app.text_input]
    assert labels == ["Reading (kWh)", "Peak (kWh)", "Off peak (kWh)", "Maximum demand (kW)"]
    fill(app, "Reading (kWh)", "1100")
    fill(app, "Peak (kWh)", "430")
    press(app, "Submit reading")
    assert "The register off_peak is missing" in words(app)
    fill(app, "Off peak (kWh)", "670")
    fill(app, "Maximum demand (kW)", "4.2")
    press(app, "Submit reading")
    found = words(app)
    assert "stored and billed: **₹550.00**" in found
    assert "| Peak | :small[400 to 430] | 30 kWh |" in found
    assert "| Maximum demand | :small[highest] | 4.2 kW |" in found


def test_a_bill_by_estimated_intervals_says_so(services: Services, metered: Metered) -> None:
    metered.add_meter("P5")
    rows = enumerate(metered.interval_lines("P5", 30))
    lines = [f"{line},{8 if at < 12 else 0}" for at, line in rows]
    assert metered.file("intervals", "meter_serial,start,kwh,quality", *lines).ok
    bill = metered.submit("P5", 1108).bill
    assert bill is not None
    app = signed_in(services, Role.ADMIN, "bills/bill.py", id=bill.id)
    assert "12 of 720 hours are estimated." in words(app)


def test_pages_say_how_sure_a_reading_is(services: Services) -> None:
    utility = Utility(services, now())
    utility.add_meter("P6")
    flagged = utility.submit("P6", 900)
    assert flagged.outcome == "needs_review"
    app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=flagged.reading.id)
    assert "field read, questionable" in words(app)
    corrected = services.reading_review.correct(
        reading_id=flagged.reading.id, reading_kwh="1117", reason="A photo", principal=ADMIN,
        now=now(),
    )  # fmt: skip
    assert corrected.bill is not None
    app = signed_in(services, Role.ADMIN, "bills/bill.py", id=corrected.bill.id)
    assert "1,117 kWh (edited by hand)" in words(app)
    app = signed_in(services, Role.ADMIN, "meters/meter.py", id=flagged.reading.meter_id)
    assert "field read, edited by hand" in words(app)


def test_a_plain_meter_has_one_field(services: Services, metered: Metered) -> None:
    metered.add_meter("P2")
    assert [field.label for field in on_meter(services, "P2").text_input] == ["Reading (kWh)"]


def test_a_reading_that_cannot_be_priced_asks_and_is_kept(
    services: Services, metered: Metered
) -> None:
    metered.add_meter("P3")
    app = on_meter(services, "P3")
    fill(app, "Reading (kWh)", "1100")
    press(app, "Submit reading")
    assert "needs the energy in each period of the calendar tou" in words(app)
    press(app, "Submit anyway")
    assert "waits for the office" in words(app)


def test_one_wrong_register_is_corrected_and_the_others_kept(
    services: Services, metered: Metered
) -> None:
    metered.add_meter("P4", "peak=400 off_peak=600")
    flagged = metered.submit("P4", 1100, peak=480, off_peak=670).reading
    app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=flagged.id)
    assert "off_peak and peak used 150 kWh, the total 100 kWh" in words(app)
    press(app, "Right value")
    fields = [box.value for box in app.text_input if box.key != "search-everywhere"]
    assert fields == ["1100", "480", "670", ""]
    fill(app, "Peak (kWh)", "430")
    app.run()
    assert "Bills **₹550.00**" in words(app)
    fill(app, "Another reason", "Misread")
    press(app, "Correct and bill")
    assert services.database.reading(flagged.id).status == "superseded"
