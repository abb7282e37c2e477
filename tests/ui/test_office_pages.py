"""What the office reviews and corrects, run without a browser over a real database."""

import io
from collections.abc import Callable
from uuid import uuid4

import pytest
from PIL import Image

from pages.readings.exception_words import REASONS
from services.container import Services
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.quantities.period import local_date
from tests.ui.page_runs import (
    bill_of,
    draft_bill,
    fill,
    flagged,
    new_meter,
    now,
    on_meter,
    press,
    running,
    services,
    signed_in,
    submit,
    words,
)

__all__ = ["new_meter", "running", "services"]
pytestmark = pytest.mark.postgres


class TestOffice:
    """What administrators look at and decide."""

    def test_the_overview_counts_what_was_billed(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        submit(on_meter(services, new_meter()), "1117")
        app = signed_in(services, Role.ADMIN, "system/overview.py")
        figures = services.database.overview(
            today=local_date(now(), services.settings.timezone), currency="INR"
        )
        (of_currency,) = figures.currencies
        billed = of_currency.months[-1].billed_minor
        shown = {metric.label.split(" in ")[0]: metric.value for metric in app.metric}
        assert billed >= 54035
        assert shown["Billed"].replace(",", "") == f"₹{billed // 100}.{billed % 100:02}"
        assert set(shown) == {"Billed", "Collected", "Outstanding", "Overdue"}

    def test_bills_are_searched_in_the_database(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        wanted, other = new_meter("Mill House"), new_meter("Chapel House")
        for serial in (wanted, other):
            submit(on_meter(services, serial), "1117")
        app = signed_in(services, Role.ADMIN, "bills/bills.py")
        app.text_input(key="q").set_value("mill house").run()
        assert wanted in words(app)
        assert other not in words(app)

    def test_bills_are_filtered_by_status(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        submit(on_meter(services, new_meter()), "1117")
        app = signed_in(services, Role.ADMIN, "bills/bills.py")
        app.selectbox[0].select("Paid").run()
        assert "No bill fits." in words(app)

    def test_a_draft_is_issued_after_a_confirmation(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        bill = draft_bill(services, new_meter())
        app = signed_in(services, Role.ADMIN, "bills/bill.py", id=bill.id)
        assert "nobody has been asked to pay" in words(app)
        press(app, "Yes, issue it")
        assert services.database.bill(bill.id).status == "issued"
        assert services.database.bill(bill.id).number is not None

    def test_an_engineer_cannot_issue_a_draft(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        bill = draft_bill(services, new_meter())
        app = signed_in(services, Role.ENGINEER, "bills/bill.py", id=bill.id)
        assert "Draft bill" in words(app)
        assert "Yes, issue it" not in [button.label for button in app.button]

    def test_a_flagged_reading_is_accepted_with_a_reason_and_billed(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        reading = flagged(services, new_meter())
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, "Accept")
        assert "say that the register rolled over" in words(app)
        assert "Another reason" not in [field.label for field in app.text_input]
        app.checkbox[0].check().run()
        assert "99,900 kWh" in words(app)
        app = press(app, "Accept the reading")
        assert "Say why" in words(app)
        fill(app, "Another reason", "rollover seen")
        press(app, "Accept the reading")
        assert services.database.reading(reading.id).status == "accepted"
        assert services.database.reading(reading.id).bill_id is not None

    def test_a_flagged_reading_is_corrected_after_a_look_at_what_it_bills(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        reading = flagged(services, serial)
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, "Right value")
        fill(app, "Right reading (kWh)", "1,117")
        assert "1,117 may be 1117 or 1.117" in words(app.run())
        fill(app, "Right reading (kWh)", "1,117.0 kWh")
        app.run()
        assert "Bills **₹540.35** for 117 kWh" in words(app)
        fill(app, "Another reason", "a digit was missing")
        press(app, "Correct and bill")
        assert services.database.reading(reading.id).status == "superseded"
        assert services.database.reading(reading.id).register_wh == 900_000
        assert bill_of(services, serial).total_minor == 54035

    @pytest.mark.parametrize("decision", ["Reject", "New read"])
    def test_a_flagged_reading_is_set_aside_for_a_usual_reason(
        self, services: Services, new_meter: Callable[..., str], decision: str
    ) -> None:
        reading = flagged(services, new_meter())
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, decision)
        reason = REASONS["reject" if decision == "Reject" else "read_again"][0]
        press(app, reason)
        stored = services.database.reading(reading.id)
        assert (stored.status, stored.decision_reason) == ("rejected", reason)

    def test_who_decides_second_is_told_and_changes_nothing(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        reading = flagged(services, new_meter())
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, "Reject")
        boss = Principal("boss", frozenset({Role.ADMIN}), None, "token")
        services.reading_review.reject(reading_id=reading.id, reason="wrong", principal=boss)
        app = press(app, REASONS["reject"][0])
        assert "Decided by boss" in words(app)
        assert services.database.reading(reading.id).decision_reason == "wrong"

    def test_the_photo_of_a_flagged_reading_is_shown_beside_the_decision(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial, key, photo = new_meter(), str(uuid4()), io.BytesIO()
        Image.new("RGB", (8, 8)).save(photo, "JPEG")
        engineer = Principal("some.engineer", frozenset({Role.ENGINEER}), None, "token")
        services.meter_photos.keep(
            content=photo.getvalue(), key=key, meter_serial=serial, principal=engineer
        )
        reading = flagged(services, serial, key=key)
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        assert "by some" in str(app.get("image")[0].proto)

    def test_the_queue_shows_the_next_reading_after_each_decision(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        waiting = {flagged(services, new_meter()).id for _ in range(2)}
        app = signed_in(services, Role.ADMIN, "readings/flagged_readings.py")
        admin, queue = (
            Principal("boss", frozenset({Role.ADMIN}), None, "token"),
            services.reading_exceptions.queue,
        )
        total = queue(principal=admin, limit=0).total
        assert f"**{total} left**" in words(app)
        app = press(press(app, "Skip"), "Reject")
        app = press(app, REASONS["reject"][1])
        assert f"**{total - 1} left**" in words(app)
        assert "1 reading skipped" in words(app)
        left = queue(principal=admin, limit=total).items
        assert len(waiting & {one.reading.id for one in left}) >= 1
