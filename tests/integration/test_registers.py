"""Meters on tariffs by time and by demand: from registers and interval files to the bill."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.bill_documents.content import content_of
from services.corrections.plan import WrongReading
from services.database.errors import IdempotencyKeyReused, IllegalChange, ReadingConflict
from services.importing import Importer, WhatToImport
from services.jobs.by_hand import run_job
from services.rating import UnableToPriceBill
from services.readings.submission import InvalidReading, parse_submission
from services.settings import PROJECT_FOLDER
from services.tariffs import parse_tariff
from services.web.shapes import bill_json
from tests.integration.metered import METERS, TOU, Metered
from tests.integration.utility import ADMIN, ENGINEER, make_utility
from tests.servers import NewDatabase

NOW = datetime(2026, 7, 15, 6, 30, tzinfo=UTC)  # Noon in Kolkata.
BOTH = "peak=400 off_peak=600"


@pytest.fixture(scope="module")
def dsn(fresh_database: NewDatabase) -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def shared(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metered]:
    """One utility for all tests here; each has a meter of its own."""
    utility = make_utility(dsn, tmp_path_factory.mktemp("data"), now=NOW)
    yield Metered(utility)
    utility.services.close()


@pytest.fixture
def metered(shared: Metered) -> Metered:
    shared.utility.now = NOW
    return shared


# -- readings ------------------------------------------------------------------------------------


def test_a_reading_with_its_registers_is_billed_by_time(metered: Metered) -> None:
    metered.add_meter("R1", BOTH)
    answer = metered.submit("R1", 1100, peak=430, off_peak=670)
    assert answer.outcome == "billed"
    assert answer.bill is not None
    assert [(x.description, x.quantity, x.amount_minor) for x in answer.bill.lines] == [
        ("Energy, off peak", "70", 28_000),
        ("Energy, peak", "30", 27_000),
    ]
    assert answer.bill.usage == {
        "wh": 100_000,
        "by_period": {"tou": {"peak": 30_000, "off_peak": 70_000}},
        "registers": {
            "peak": {"opening": 400_000, "closing": 430_000, "used": 30_000},
            "off_peak": {"opening": 600_000, "closing": 670_000, "used": 70_000},
        },
    }
    assert answer.reading.registers == {"peak": 430_000, "off_peak": 670_000}


def test_a_repeat_is_known_by_all_its_registers(metered: Metered) -> None:
    metered.add_meter("R2", BOTH)
    first = metered.submit("R2", 1100, peak=430, off_peak=670)
    assert metered.submit("R2", 1100, off_peak=670, peak=430).reading.id == first.reading.id
    later = metered.submit("R2", 1100, at=NOW - timedelta(hours=1), peak=430, off_peak=670)
    assert later.outcome == "replay"
    with pytest.raises(ReadingConflict):
        metered.submit("R2", 1100, peak=431, off_peak=669)
    other = metered.submit("R2", 1100, at=NOW - timedelta(hours=1), peak=431, off_peak=669)
    assert (other.outcome, other.bill) == ("needs_review", None)


def test_another_register_under_the_same_key_is_refused(metered: Metered) -> None:
    metered.add_meter("R3", BOTH)
    body = {"meter_serial": "R3", "reading_kwh": "1100", "read_at": NOW.isoformat()}
    body["idempotency_key"] = "registers"

    def submit(peak: str) -> str:
        submission = parse_submission(
            body | {"registers": {"peak": peak, "off_peak": "670"}}, zone=metered.zone, now=NOW
        )
        return metered.utility.services.reading_to_bill.submit(
            submission=submission, principal=ENGINEER, now=NOW, arrived_by="a test"
        ).outcome

    assert [submit("430"), submit("430")] == ["billed", "replay"]
    with pytest.raises(IdempotencyKeyReused):
        submit("431")


def test_registers_that_the_meter_has_not_or_lacks_store_nothing(metered: Metered) -> None:
    metered.add_meter("R4", BOTH)
    for registers, why in (
        ({"peak": 430}, "Say what the register off_peak of meter R4 shows"),
        ({"peak": 430, "off_peak": 670, "night": 1}, "Meter R4 has no register night"),
        ({"peak": 430, "off_peak": 100_000}, "the register off_peak must be below 100000 kWh"),
        ({"peak": 430, "off_peak": "6,7"}, "Write the register off_peak without commas"),
    ):
        with pytest.raises(InvalidReading, match=why):
            metered.submit("R4", 1100, **registers)
    (meter,) = metered.database.meter_reads(serials=["R4"])
    assert len(meter.reads) == 1


def test_registers_that_do_not_add_up_are_looked_at_and_corrected(metered: Metered) -> None:
    metered.add_meter("R5", BOTH)
    flagged = metered.submit("R5", 1100, peak=480, off_peak=670)
    assert flagged.outcome == "needs_review"
    assert "peak and off_peak" in str(flagged.reading.validation) or "off_peak and peak" in str(
        flagged.reading.validation
    )
    review = metered.utility.services.reading_review
    again = review.preview(
        reading_id=flagged.reading.id, reading_kwh="1100", now=NOW, registers=None
    )
    assert again.read.registers == {"peak": 480_000, "off_peak": 670_000}
    stored = review.correct(
        reading_id=flagged.reading.id,
        reading_kwh="1100",
        registers={"peak": "430", "off_peak": "670"},
        reason="Misread",
        principal=ADMIN,
        now=NOW,
    )
    assert stored.bill is not None
    assert stored.bill.total_minor == 55_000
    assert stored.reading.registers == {"peak": 430_000, "off_peak": 670_000}


def test_a_reading_whose_bill_cannot_be_priced_is_kept_with_the_reason(metered: Metered) -> None:
    metered.add_meter("R6", days=2)
    answer = metered.submit("R6", "1007.2")
    assert (answer.outcome, answer.bill) == ("needs_review", None)
    assert "needs the energy in each period of the calendar tou" in answer.explanation
    (rule,) = (r for r in answer.reading.validation["rules"] if r["rule"] == "unable_to_price")
    assert rule["outcome"] == "review"
    review = metered.utility.services.reading_review
    accept: dict[str, Any] = {"reading_id": answer.reading.id, "reason": "Right"}
    accept |= {"principal": ADMIN, "now": NOW}
    with pytest.raises(UnableToPriceBill):
        review.accept(**accept)
    # Its intervals come later; then it can be accepted.
    assert metered.import_intervals("R6", 2).added == 2
    stored = review.accept(**accept)
    assert stored.bill is not None
    assert [(x.description, x.quantity) for x in stored.bill.lines] == [
        ("Energy, off peak", "4"),
        ("Energy, peak", "3.2"),
    ]


def test_a_register_that_came_later_opens_at_a_read_of_that_day(metered: Metered) -> None:
    metered.add_meter("R7")
    opened = metered.utility.today - timedelta(days=30)
    known = f"R7,A-R7,TOU,manual,5,1,1000,{opened}"
    assert metered.file("meters", f"{METERS},registers", f"{known},peak off_peak").changed == 1
    report = metered.file(
        "readings",
        "meter_serial,reading_kwh,read_at,register:peak,register:off_peak",
        f"R7,1000,{opened}T23:00,400,600",
    )
    assert (report.added, report.ignored_columns) == (1, ())
    answer = metered.submit("R7", 1100, peak=430, off_peak=670)
    assert answer.outcome == "billed"
    assert answer.bill is not None
    assert answer.bill.total_minor == 55_000


def test_the_database_itself_refuses_registers_that_no_meter_has(
    metered: Metered, dsn: str
) -> None:
    metered.add_meter("R8", BOTH)
    for registers in ('{"night": 1}', '{"peak": 100000000}', '{"peak": -1}', '{"peak": "1"}'):
        with psycopg.connect(dsn) as connection:
            connection.execute("select set_config('billing.actor', 'x', false)")
            with pytest.raises(psycopg.Error, match="none of the meter's"):
                connection.execute(
                    "insert into public.readings (id, meter_id, read_at, read_on, register_wh,"
                    " source, status, submitted_by, registers) select gen_random_uuid(), id,"
                    " now(), '2026-07-01', 0, 'field', 'accepted', 'x', %s::jsonb"
                    " from public.meters where serial = 'R8'",
                    [registers],
                )


# -- the month -----------------------------------------------------------------------------------


def test_the_monthly_job_bills_by_intervals_and_says_what_is_missing(metered: Metered) -> None:
    metered.utility.now = datetime(2026, 7, 1, 1, tzinfo=UTC)
    for serial in ("S1", "S2"):
        metered.add_meter(serial, kind="smart", days=10)
        start = metered.utility.now - timedelta(hours=2)
        row = f"{serial},1036,{start.isoformat()}"
        assert metered.file("readings", "meter_serial,reading_kwh,read_at", row).added == 1
    assert metered.import_intervals("S1", 10).added == 10
    metered.import_intervals("S2", 4)
    run = run_job(metered.utility.services, "monthly_bills", metered.utility.now, "test")
    (bill,) = metered.utility.bills_of("S1")
    assert [(x.description, x.quantity) for x in bill.lines] == [
        ("Energy, off peak", "20"),
        ("Energy, peak", "16"),
    ]
    aside = metered.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    (reason,) = (row.reason for row in aside if row.subject == "S2")
    assert reason.endswith("Its intervals lack 6 of 10 days, such as 21 Jun 2026.")


def test_a_bill_by_estimated_intervals_says_so_on_paper_and_in_the_api(metered: Metered) -> None:
    metered.add_meter("Q1", days=30)
    rows = enumerate(metered.interval_lines("Q1", 30))
    lines = [f"{line},{8 if at < 12 else 0}" for at, line in rows]
    assert metered.file("intervals", "meter_serial,start,kwh,quality", *lines).ok
    bill = metered.submit("Q1", 1108).bill
    assert bill is not None
    said = bill_json(bill)["interval_quality"]
    assert said == {
        "minutes": 60, "intervals": 720, "estimated": 12, "substituted": 0, "by_quality": {"8": 12},
    }  # fmt: skip
    printed = metered.utility.services.bill_archive.document(bill.id)
    assert printed.interval_quality is not None
    (notice,) = content_of(printed)["notices"]
    assert notice.startswith("12 of the 720 intervals of 60 minutes that this bill rests on")


def test_bills_know_of_those_before_them(metered: Metered) -> None:
    days = {"registers": "max_kw"}
    metered.add_meter("L1", "max_kw", tariff="LINKED", days=60, columns=days)
    metered.utility.now = NOW - timedelta(days=30)
    first = metered.submit("L1", 1050, max_kw="4.2").bill
    assert first is not None
    # 4.2 kW × 100.50 is 422.10: 2.10 is carried on.
    assert [(x.code, x.amount_minor) for x in first.lines] == [
        ("demand", 42_210),
        ("carried_forward", -210),
    ]
    metered.utility.now = NOW
    second = metered.submit("L1", 1100, max_kw="1").bill
    assert second is not None
    # 80% of 4.2 kW is 3.36 kW.
    assert [(x.code, x.quantity, x.amount_minor) for x in second.lines] == [
        ("brought_forward", "1", 210),
        ("demand", "3.36", 33_768),
        ("carried_forward", "1", -978),
    ]
    assert second.usage is not None
    assert second.usage["past_peaks_w"][:2] == [4_200, 0]
    metered.utility.now = datetime(2027, 1, 14, 6, tzinfo=UTC)
    last = metered.submit("L1", 1200, max_kw="1").bill
    assert last is not None
    # The meter is there since 16 May: 5,000 × (7 + 16/31)/12 is 3,131.72. Of that 422.10 and 337.68
    # were charged before, and 337.68 now.
    assert ("year", 203_426) in [(x.code, x.amount_minor) for x in last.lines]


def test_the_demand_of_a_read_within_a_bill_is_corrected_with_the_bill(metered: Metered) -> None:
    metered.add_meter("L2", "max_kw", tariff="LINKED", days=30)
    within = metered.submit("L2", 1002, at=NOW - timedelta(days=29), max_kw="4.2")
    # A day is too short for a bill.
    assert (within.reading.status, within.bill) == ("accepted", None)
    bill = metered.submit("L2", 1050, max_kw="1").bill
    assert bill is not None
    assert ("demand", 42_210) in [(x.code, x.amount_minor) for x in bill.lines]
    how: dict[str, Any] = {"reason": "Misread", "acknowledged": True}
    how |= {"principal": ADMIN, "now": NOW}
    correction = metered.utility.services.reading_correction
    for wrong in (
        WrongReading("", within.reading.id, "1002", registers={"max_kw": "2"}),
        WrongReading("", within.reading.id, None),
    ):
        with pytest.raises(IllegalChange, match="void that bill first"):
            correction.execute(wrong, **how)
    assert metered.database.reading(within.reading.id).status == "accepted"
    # Of its count nothing is billed.
    right = correction.execute(WrongReading("", within.reading.id, "1003"), **how)
    assert (right.register_wh, right.registers) == (1_003_000, {"max_kw": 4_200})


# -- files ---------------------------------------------------------------------------------------


def test_intervals_are_versioned_and_a_repeat_changes_nothing(metered: Metered, dsn: str) -> None:
    metered.add_meter("I1")
    counts = [metered.import_intervals("I1", 3), metered.import_intervals("I1", 3)]
    counts.append(metered.import_intervals("I1", 1, peak_kwh="0.5"))
    assert [(r.added, r.changed, r.unchanged) for r in counts] == [(3, 0, 0), (0, 0, 3), (0, 1, 0)]
    context = metered.database.reading_context(
        meter_serial="I1", read_at=NOW, read_on=metered.utility.today
    )
    assert [sum(day.wh) for day in context.pricing.intervals] == [3_600, 3_600, 4_000]
    with psycopg.connect(dsn) as connection:
        for change in ("update public.intervals set minutes = 30", "delete from public.intervals"):
            with pytest.raises(psycopg.Error, match="never deleted"):
                connection.execute(change)
            connection.rollback()


def test_an_interval_file_with_an_unknown_meter_changes_nothing(metered: Metered) -> None:
    metered.add_meter("I2")
    lines = [*metered.interval_lines("I2", 1), *metered.interval_lines("none", 1)]
    report = metered.file("intervals", "meter_serial,start,kwh", *lines)
    assert [str(problem) for problem in report.errors] == [
        "row 26, meter_serial: No meter has the serial none."
    ]
    assert metered.import_intervals("I2", 1).added == 1


def test_imported_readings_have_a_column_for_each_register(metered: Metered) -> None:
    metered.add_meter("F1", BOTH)
    metered.add_meter("F2")
    header = "meter_serial,reading_kwh,read_at,register:peak,register:Off_Peak"
    rows = ["F1,1040,2026-07-01,412,628", "F1,1080,2026-07-08,460,656", "F2,1050,2026-07-01,,"]
    assert (metered.file("readings", header, *rows).added) == 3
    assert metered.file("readings", header, *rows).unchanged == 3
    (meter,) = metered.database.meter_reads(serials=["F1"])
    assert [(r.registers, r.status) for r in meter.reads[1:]] == [
        ({"peak": 412_000, "off_peak": 628_000}, "accepted"),
        ({"peak": 460_000, "off_peak": 656_000}, "needs_review"),
    ]
    bad = metered.file("readings", header, "F1,1090,2026-07-09,430,", "F2,1060,2026-07-09,1,")
    assert [str(problem) for problem in bad.errors] == [
        "row 2: Say what the register off_peak of meter F1 shows.",
        "row 3: Meter F2 has no register peak; it has only the total kWh.",
    ]


@pytest.mark.parametrize(
    ("registers", "why"),
    [
        ("peek=0", "row 2, registers: Tariff TOU has no period named peek"),
        ("peak", "row 2, registers: Say what peak showed when the meter was connected"),
        ("peak=x", "row 2, registers: The register peak must be a number"),
        ("peak=1 peak=2", "row 2, registers: The register peak is named twice."),
        ("peak=123456", "the register peak must be below 100000 kWh"),
        ("kvarh:peak", "is no name of a register"),
    ],
)
def test_registers_of_a_meter_that_cannot_be_are_refused(
    metered: Metered, registers: str, why: str
) -> None:
    line = f"X1,A-X1,TOU,manual,5,1,1000,2026-07-01,{registers}"
    assert metered.file("customers", "account_no,name,email,phone,address", "A-X1,X,,,").ok
    report = metered.file("meters", f"{METERS},registers", line)
    assert why in str(report.errors[0])


def test_the_connected_load_may_be_set_later_and_stays(metered: Metered) -> None:
    metered.add_meter("C1", BOTH)
    opened = metered.utility.today - timedelta(days=30)
    known = f"C1,A-C1,TOU,manual,5,1,1000,{opened}"
    columns = f"{METERS},connected_kw,connected_kva"
    assert metered.file("meters", columns, f"{known},5.5,6").changed == 1
    assert metered.file("meters", columns, f"{known},,").unchanged == 1
    (meter,) = metered.database.find_meters(text="C1")
    assert (meter.connected_w, meter.connected_va) == (5_500, 6_000)
    assert meter.registers == ("peak", "off_peak")
    other = metered.file("meters", f"{METERS},registers", f"{known},peak=401 off_peak")
    assert "give only the names of its registers" in str(other.errors[0])
    assert metered.file("meters", columns, f"{known},-1,x").errors[0].column == "connected_kw"


def test_the_example_files_can_be_imported_and_billed(
    fresh_database: NewDatabase, tmp_path: Path
) -> None:
    """As the README says it. One meter rolled over before its use was known: a person looks."""
    utility = make_utility(fresh_database(), tmp_path, now=NOW)
    services, folder = utility.services, PROJECT_FOLDER / "examples"
    importer = Importer(services.database, services.settings.timezone)
    for path in sorted(folder.glob("tariffs/*.json")):
        assert importer.tariffs(path, actor="x", now=NOW).ok
    files: dict[WhatToImport, int] = {"customers": 5, "transformers": 2, "service_points": 2}
    files |= {"meters": 5, "readings": 6, "intervals": 2, "supplies": 4}
    for what, rows in files.items():
        report = importer.run(what, folder / f"{what}.csv", actor="x", now=NOW)
        assert (report.errors, report.ignored_columns, report.added) == ((), (), rows), what
    at = datetime(2026, 3, 1, 2, tzinfo=services.settings.timezone)
    run = run_job(services, "monthly_bills", at, "test")
    aside = services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    assert [row.subject for row in aside] == ["BR-03"]
    bills = {bill.meter_serial: bill for bill in services.database.bills().items}
    assert [(x.code, x.quantity, x.unit) for x in bills["CS-01"].lines][:4] == [
        ("demand", "816", "kVA"),
        ("energy", "230400", "kWh"),
        ("energy", "84000", "kWh"),
        ("energy", "117600", "kWh"),
    ]
    used = bills["HR-07"].usage or {}
    assert sum(used["by_period"]["time_of_use"].values()) == 21_500
    services.close()


def test_a_month_of_time_of_use_is_replayed_from_what_was_measured(metered: Metered) -> None:
    metered.add_meter("T1", "peak=400 off_peak=600 max_kw")
    metered.add_meter("T2", "peak=0 off_peak=0")
    bills = [
        metered.submit("T1", 1100, peak=430, off_peak=670, max_kw="4").bill,
        metered.submit("T2", 1010, peak=10, off_peak=0).bill,
    ]
    assert None not in bills
    dearer = json.loads(json.dumps(TOU))
    dearer["charges"][0]["rates"]["peak"] = "10"
    (tou,) = (one for one in metered.database.tariffs() if one.code == "TOU")
    last_day = metered.utility.today - timedelta(days=1)
    found = metered.utility.services.tariff_publishing.impact(
        tariff=parse_tariff(dearer),
        of=tou,
        principal=ADMIN,
        month=last_day.replace(day=1),
    )
    changes = {one.bill.meter_serial: one.change_minor for one in found.replayed}
    assert (changes["T1"], changes["T2"], found.left_out) == (3_000, 1_000, {})
