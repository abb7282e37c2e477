"""Submitting readings, and one's own, run without a browser over a real database."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
import streamlit as st
from PIL import Image

from pages.shared.format import escaped
from services.container import Services
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.readings.submission import parse_submission
from tests.ui.page_runs import (
    OFFICE,
    bill_of,
    new_meter,
    now,
    on_meter,
    press,
    running,
    services,
    signed_in,
    submit,
    user_of,
    visitor,
    words,
)

__all__ = ["new_meter", "running", "services"]
pytestmark = pytest.mark.postgres


class TestSubmitReading:
    """An engineer finds a meter, types what it shows, and sees the bill."""

    def test_a_meter_is_found_by_its_customer(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter("Lighthouse Bakery")
        app = signed_in(services, Role.ENGINEER)
        app.text_input[0].set_value("lighthouse").run()
        assert serial in words(app)
        app = press(app, "Read")
        assert "1,000 kWh on" in words(app)

    def test_117_kwh_are_billed_540_35_with_every_line(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        app = submit(on_meter(services, serial), "1117")
        said = words(app)
        assert "Total ₹540.35" in said
        for part in ("50 kWh × 3.15", "17 kWh × 4.80", "10% of 424.10", "₹42.41", "Due **"):
            assert part in said
        # The steps are the office's.
        assert "Reading submitted" not in said
        assert bill_of(services, serial).reference in said

    def test_the_office_sees_every_step(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        at_meter = signed_in(services, Role.ADMIN, "readings/submit_reading.py", meter=serial)
        said = words(submit(at_meter, "1117"))
        assert "Reading submitted" in said
        assert said.count(":material/check_circle:]") == 9
        assert "kept in the log, not sent" in said
        # The graph, the payment link and its way onto the bill, the sending.
        assert said.count("skipped: not configured") == 4

    def test_a_photo_goes_with_the_reading_and_a_bad_one_stops_it_before_anything_is_stored(
        self,
        services: Services,
        new_meter: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        written = io.BytesIO()
        Image.new("RGB", (40, 30), "red").save(written, "PNG")
        taken = io.BytesIO(b"<script>alert(1)</script>")
        monkeypatch.setattr(st, "camera_input", lambda *_, **__: taken)
        serial = new_meter()
        app = on_meter(services, serial)
        app.toggle[0].set_value(True).run()
        app = submit(app, "1117")
        assert "This file is no JPEG, PNG or WebP photo." in words(app)
        assert services.database.bills(text=serial).total == 0
        taken.seek(0)
        taken.truncate()
        taken.write(written.getvalue())
        app = submit(app, "1117")
        assert "Total ₹540.35" in words(app)
        reading_id = bill_of(services, serial).closing_reading_id
        photos = services.meter_photos.of_reading(reading_id=reading_id, principal=OFFICE)
        assert [(photo.width, photo.height) for photo in photos] == [(40, 30)]

    def test_a_decimal_reading_is_stored_exactly(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117.125")
        assert bill_of(services, serial).closing_wh == 1_117_125

    @pytest.mark.parametrize("typed", ["1,117.5", "1 117,5", "1117,5", "1,117.5 kWh"])
    def test_a_reading_may_be_typed_as_it_is_printed(
        self, services: Services, new_meter: Callable[..., str], typed: str
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), typed)
        assert bill_of(services, serial).closing_wh == 1_117_500

    @pytest.mark.parametrize(
        ("typed", "sentence"),
        [
            ("12x4", "must be a number"),
            ("", "is missing"),
            ("-5", "cannot be negative"),
            ("NaN", "must be a number"),
            ("1e400", "with all its digits"),
            ("1e4", "Write the reading with all its digits: 10000, not 1e4."),
            ("1,117", "1,117 may be 1117 or 1.117: write it as one of these."),
            ("123456", "shows 5 digits"),
        ],
    )
    def test_a_wrong_value_is_explained_and_stays_in_the_field(
        self, services: Services, new_meter: Callable[..., str], typed: str, sentence: str
    ) -> None:
        serial = new_meter()
        app = submit(on_meter(services, serial), typed)
        assert sentence in words(app)
        assert [f.value for f in app.text_input if f.label == "Reading (kWh)"] == [typed]
        assert services.database.bills(text=serial).total == 0

    def test_a_doubtful_reading_is_asked_about_once_and_can_be_corrected(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        app = submit(on_meter(services, new_meter()), "900")
        assert "Really 900 kWh?" in words(app)
        app = press(app, "Correct it")
        assert [f.value for f in app.text_input if f.label == "Reading (kWh)"] == ["900"]
        assert "Total ₹540.35" in words(submit(app, "1117"))

    def test_a_doubtful_reading_submitted_anyway_waits_for_an_administrator(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        app = press(submit(on_meter(services, serial), "900"), "Submit anyway")
        assert "waits for the office" in words(app)
        assert serial in words(signed_in(services, Role.ADMIN, "readings/flagged_readings.py"))

    def test_the_same_reading_again_says_so_and_adds_nothing(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        again = submit(on_meter(services, serial), "1117")
        assert "was stored on" in words(again)
        assert "This reading was submitted before; nothing was added." in words(again)
        assert services.database.bills(text=serial).total == 1

    def test_the_same_reading_as_anothers_shows_nothing_of_their_bill(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        nosy = visitor()
        nosy.session_state["token"] = services.tokens.issue("nosy", Role.ENGINEER, now())
        nosy.run()
        nosy.query_params["meter"] = serial
        nosy.switch_page("readings/submit_reading.py").run()
        found = words(submit(nosy, "1117"))
        assert "nothing was added" in found
        assert "540.35" not in found
        assert bill_of(services, serial).reference not in found

    def test_a_bill_that_is_too_long_is_shown_as_the_draft_that_it_is(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter(days=61)
        said = words(submit(on_meter(services, serial), "1210"))
        why = "The bill covers 61 days; tariff KSEB-LT1A is made for 25 to 35 days."
        assert f"not billed yet. {why} The bill is kept as a draft" in said
        assert "1,159.49" not in said
        draft = bill_of(services, serial)
        assert why in words(signed_in(services, Role.ADMIN, "drafts/drafts.py"))
        app = signed_in(services, Role.ADMIN, "bills/bill.py", id=draft.id)
        assert why in words(app)
        press(app, "Yes, issue it")
        assert bill_of(services, serial).status == "issued"

    def test_an_administrator_bills_a_reading_that_is_too_soon_for_a_bill(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter(days=2)
        engineer = submit(on_meter(services, serial), "1005")
        assert "Only 2 days after the last billed read" in words(engineer)
        assert "Yes, bill it" not in [button.label for button in engineer.button]
        reading = services.database.readings(submitted_by=user_of(Role.ENGINEER)).items[0]
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        press(app, "Yes, bill it")
        assert bill_of(services, serial).consumption_wh == 5_000

    def test_the_last_bill_shows_what_was_read_since_then(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        at = now() - timedelta(days=1)
        body = {"meter_serial": serial, "reading_kwh": "1117", "read_at": at.isoformat()}
        billed = services.reading_to_bill.submit(
            submission=parse_submission(body, zone=services.settings.timezone, now=now()),
            principal=Principal("some.engineer", frozenset({Role.ENGINEER}), None, "token"),
            now=at,
            arrived_by="test",
        )
        assert billed.bill is not None
        submit(on_meter(services, serial), "1118")
        app = signed_in(services, Role.ADMIN, "bills/bill.py", id=billed.bill.id)
        assert "Read since then, not billed" in words(app)
        press(app, "Yes, bill it")
        assert services.database.bills(text=serial).total == 2

    def test_the_next_meter_starts_afresh(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        app = submit(on_meter(services, new_meter()), "1117")
        app = press(app, "Read the next meter")
        assert [field.label for field in app.text_input] == ["Find the meter"]

    def test_an_unknown_meter_is_told(self, services: Services) -> None:
        assert "No meter has the serial NOPE." in words(on_meter(services, "NOPE"))

    def test_a_name_is_shown_letter_by_letter(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        app = on_meter(services, new_meter("*Star* [x](http://e) <b>"))
        assert app.subheader[0].value == escaped("*Star* [x](http://e) <b>")
        assert escaped("*Star* [x]<b>") == r"\*Star\* \[x\]\<b\>"


class TestMyReadings:
    """An engineer's own readings, with their bills."""

    def test_own_readings_are_listed_with_the_bill(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        said = words(signed_in(services, Role.ENGINEER, "readings/my_readings.py"))
        assert serial in said
        assert "Bill ₹540.35" in said

    def test_others_readings_are_not(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        assert serial not in words(signed_in(services, Role.ADMIN, "readings/my_readings.py"))

    def test_the_bill_opens_under_its_address(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        bill = bill_of(services, serial)
        assert "Total ₹540.35" in words(
            signed_in(services, Role.ENGINEER, "bills/bill.py", id=bill.id)
        )
