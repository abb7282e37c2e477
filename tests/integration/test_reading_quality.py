"""How sure a reading is follows from what is stored of it, by each way to decide on it."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from services.importing import Importer
from services.quantities.period import Period
from services.quantities.quality import Quality
from services.records.readings import Reading
from services.web.shapes import bill_json, submitted_json
from tests.integration.flagging import flag
from tests.integration.utility import ACTOR, ADMIN, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def accept(utility: Utility, reading: Reading) -> Reading:
    return utility.services.reading_review.accept(
        reading_id=reading.id, reason="Seen on site", principal=ADMIN, now=utility.now
    ).reading


def correct(utility: Utility, reading: Reading) -> Reading:
    return utility.services.reading_review.correct(
        reading_id=reading.id, reading_kwh="10700", reason="A photo", principal=ADMIN,
        now=utility.now,
    ).reading  # fmt: skip


def estimate(utility: Utility, reading: Reading) -> Reading:
    estimates = utility.services.reading_estimates
    found = estimates.preview_in_place(reading_id=reading.id, principal=ADMIN, now=utility.now)
    return estimates.store_in_place(
        estimate_id=str(uuid4()), reading_id=reading.id, reason="Nobody can say", principal=ADMIN,
        register_wh=found.estimate.register_wh, now=utility.now,
    ).reading  # fmt: skip


def reject(utility: Utility, reading: Reading) -> Reading:
    return utility.services.reading_review.reject(
        reading_id=reading.id, reason="Another meter", principal=ADMIN
    ).reading


def ask_again(utility: Utility, reading: Reading) -> Reading:
    return utility.services.reading_review.read_again(
        reading_id=reading.id, request_id=str(uuid4()), requested_on=utility.today,
        reason="Far too much", principal=ADMIN,
    ).reading  # fmt: skip


@pytest.mark.parametrize(
    ("decide", "quality", "status"),
    [
        (accept, Quality.VERIFIED, "accepted"),
        (correct, Quality.MANUALLY_EDITED, "accepted"),
        (estimate, Quality.ESTIMATED_REFERENCE_DAY, "accepted"),
        (reject, Quality.QUESTIONABLE, "rejected"),
        (ask_again, Quality.QUESTIONABLE, "rejected"),
    ],
)
def test_each_way_to_decide_has_its_quality_and_keeps_what_was_read(
    utility: Utility,
    decide: Callable[[Utility, Reading], Reading],
    quality: Quality,
    status: str,
) -> None:
    flagged = flag(utility, "M-1", 15_000)
    assert flagged.quality is Quality.QUESTIONABLE
    decided = decide(utility, flagged)
    assert (decided.quality, decided.status) == (quality, status)
    as_read = utility.services.database.reading(flagged.id)
    assert as_read.register_wh == 15_000_000
    if as_read.id != decided.id:
        assert (as_read.status, as_read.quality) == ("superseded", Quality.QUESTIONABLE)
    if status == "accepted":
        bill = utility.bills_of("M-1")[-1]
        of_bill = utility.services.database.bill(bill.id)
        assert of_bill.closing_quality is quality
        assert of_bill.metered[-1].closing_quality is quality


def test_what_the_rules_pass_is_validated_and_an_opening_read_is_valid(utility: Utility) -> None:
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.reading.quality is Quality.VALIDATED
    assert submitted_json(answer)["reading"]["quality"] == {"code": 17, "name": "validated"}
    assert answer.bill is not None
    shown = bill_json(answer.bill)
    assert shown["opening_quality"] == {"code": 0, "name": "actual"}
    assert shown["closing_quality"] == {"code": 17, "name": "validated"}
    (segment,) = shown["segments"]
    assert segment["closing_quality"] == shown["closing_quality"]


def test_what_a_file_says_counts_until_a_person_decides(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=40))
    services, on = utility.services, utility.today - timedelta(days=5)
    text = f"meter_serial,reading_kwh,read_at,quality\nM1,1100,{on},10"
    importer = Importer(services.database, services.settings.timezone)
    assert importer.run("readings", text, actor=ACTOR, now=utility.now).ok
    (read,) = [one for one in of_meter(utility, "M1") if not one.is_opening]
    assert (read.status, read.quality) == ("accepted", Quality.QUESTIONABLE)


def test_a_doubted_reading_that_was_taken_all_the_same_is_verified(database: str) -> None:
    asked = """select private.quality_of_reading('field', 'accepted', false, null, null,
                                                 '{"verdict": "needs_review", "rules": []}'),
                      private.quality_of_reading('field', 'accepted', false, null, null, '{}'),
                      private.quality_of_reading('estimated', 'accepted', false, null, null,
                                                 '{"estimate": {"rule": "class_profile"}}')"""
    with psycopg.connect(database) as connection:
        assert connection.execute(asked).fetchone() == (18, 14, 11)


def test_the_green_button_file_has_it(utility: Utility) -> None:
    accept(utility, flag(utility, "M-1", 15_000))
    (meter,) = {one.meter_id for one in of_meter(utility, "M-1")}
    days = Period(utility.today - timedelta(days=300), utility.today + timedelta(days=1))
    pieces = utility.services.readings.green_button(
        meter_id=meter, days=days, principal=ADMIN, now=utility.now
    )
    codes = re.findall(r"<quality>(\d+)</quality>", b"".join(pieces).decode())
    assert codes == ["0", *["17"] * 6, "18"]


def of_meter(utility: Utility, serial: str) -> list[Reading]:
    context = utility.services.database.reading_context(
        meter_serial=serial, read_at=utility.now, read_on=utility.today
    )
    readings = utility.services.readings
    return list(readings.of_meter(meter_id=context.meter.id, limit=10, principal=ADMIN))
