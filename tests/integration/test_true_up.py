"""An actual read settles estimates: worked out to the cent by hand, on a real database."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.corrections.plan import WrongReading
from services.importing import Importer
from services.messages.templates import TemplateWriter
from services.quantities.money import MINUS, Money
from services.readings.submission import parse_submission
from services.records.bills import Bill
from tests.integration.test_estimates import noon, read, store
from tests.integration.utility import ADMIN, ENGINEER, Utility, assert_one_chain, make_utility

SEP_1, OCT_1, NOV_1, DEC_1 = (date(2026, month, 1) for month in (9, 10, 11, 12))
JAN_1 = date(2027, 1, 1)
ENERGY = {"code": "energy", "description": "Energy", "kind": "energy"}
RENT = {"code": "rent", "description": "Meter rent", "kind": "fixed", "amount": "30", "per": "bill"}
DUTY = {"code": "duty", "description": "Duty", "kind": "percent", "percent": "10", "tax": True}
FLAT: dict[str, Any] = {
    "code": "FLAT",
    "name": "Flat",
    "currency": "INR",
    "effective_from": "2020-01-01",
    "charges": [ENERGY | {"rate": "5"}, RENT, DUTY | {"of": ["energy", "rent"]}],
}
SLABS: dict[str, Any] = FLAT | {
    "code": "SLABS",
    "name": "Slabs",
    "charges": [
        ENERGY
        | {
            "slab_limits_per": "bill",
            "slabs": [{"up_to_kwh": "100", "rate": "2"}, {"rate": "7"}],
        },
        RENT,
        DUTY | {"of": ["energy", "rent"]},
    ],
}
DEMAND: dict[str, Any] = SLABS | {
    "code": "DEMAND",
    "charges": [
        SLABS["charges"][0],
        {"code": "demand", "description": "Demand", "kind": "demand", "quantity": "kw"}
        | {"rate": "20"},
        DUTY | {"of": ["energy", "demand"]},
    ],
}


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    made.now = noon(made, DEC_1)
    tariffs(made, FLAT, SLABS)
    yield made
    made.services.close()


def tariffs(utility: Utility, *rows: dict[str, Any]) -> None:
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    report = importer.run("tariffs", json.dumps(rows), actor="test", now=utility.now)
    assert report.ok, report.errors


def meter(
    utility: Utility, serial: str, tariff: str, on: date = SEP_1, *, registers: str = ""
) -> None:
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    header = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,registers"
    files = {
        "customers": f"account_no,name,email,phone,address\nA-{serial},House,,,1 Hill Road",
        "meters": f"{header}\n{serial},A-{serial},{tariff},manual,5,1,1000,{on},{registers}",
    }
    for what, text in files.items():
        report = importer.run(what, text, actor="test", now=utility.now)  # type: ignore[arg-type]
        assert report.ok, report.errors


def estimated(utility: Utility, serial: str, on: date) -> Bill:
    utility.now = noon(utility, on)
    stored = store(utility, on, serial)
    assert stored.bill is not None
    return stored.bill


def lines(bill: Bill) -> list[tuple[str, str, bool]]:
    return [
        (one.code, Money(one.amount_minor, "INR").text, one.billed_before) for one in bill.lines
    ]


def test_slabs_are_those_of_as_many_bills_and_fixed_charges_are_charged_once(
    utility: Utility,
) -> None:
    meter(utility, "M1", "SLABS")
    read(utility, "M1", 1200, OCT_1)
    # September's 200 kWh in 30 days are 206.667 kWh in October's 31, and the register shows 207.
    october = estimated(utility, "M1", NOV_1)
    assert (october.consumption_wh, october.closing_wh) == (207_000, 1_407_000)
    # 100 × 2 + 107 × 7 = 949; 30; 10% of 979 is 97.90.
    assert lines(october) == [
        ("energy", "949.00", False),
        ("rent", "30.00", False),
        ("duty", "97.90", False),
    ]
    # 150 kWh in the two months, 57 kWh below the estimate.
    read(utility, "M1", 1350, DEC_1)
    november = utility.bills_of("M1")[-1]
    assert (november.opening_wh, november.closing_wh) == (1_407_000, 1_350_000)
    assert november.consumption_wh == -57_000
    # As two bills all of 150 kWh are within 2 × 100 kWh: 300; rent 2 × 30; 10% of 360 is 36.
    assert lines(november) == [
        ("energy", "300.00", False),
        ("rent", "60.00", False),
        ("duty", "36.00", False),
        ("energy", "-949.00", True),
        ("rent", "-30.00", True),
        ("duty", "-97.90", True),
    ]
    assert (november.total_minor, november.tax_minor) == (-68090, -6190)
    assert october.total_minor + november.total_minor == 39600
    assert november.settles_since == OCT_1
    text = TemplateWriter(lambda: "Utility").write(bill=november, kind="bill_issued", language="en")
    assert "from 1 Oct 2026 to 1 Dec 2026 you used 150 kWh in all." in text.text
    assert f"less what was billed for it before: {MINUS}₹680.90. There" in text.text
    assert_one_chain(utility, "M1")


def test_a_flat_tariff_is_left_where_actual_reads_would_have_left_it(utility: Utility) -> None:
    for serial in ("M1", "M2"):
        meter(utility, serial, "FLAT")
        read(utility, serial, 1200, OCT_1)
    estimated(utility, "M1", NOV_1)
    estimated(utility, "M1", DEC_1)
    read(utility, "M1", 1650, JAN_1)
    for kwh, on in ((1350, NOV_1), (1500, DEC_1), (1650, JAN_1)):
        read(utility, "M2", kwh, on)
    totals = [sum(b.total_minor for b in utility.bills_of(s)) for s in ("M1", "M2")]
    used = [sum(b.consumption_wh for b in utility.bills_of(s)) for s in ("M1", "M2")]
    assert totals[0] == totals[1] == 370700 - 0
    assert used == [650_000, 650_000]


def test_two_versions_of_a_tariff_within_what_is_settled(utility: Utility) -> None:
    dearer = FLAT | {
        "effective_from": "2026-11-16",
        "charges": [ENERGY | {"rate": "8"}, RENT, DUTY | {"of": ["energy", "rent"]}],
    }
    tariffs(utility, dearer)
    meter(utility, "M1", "FLAT")
    read(utility, "M1", 1310, OCT_1)
    # 310 kWh in 30 days: 320 kWh in October. 1600, 30, 10% of 1630.
    october = estimated(utility, "M1", NOV_1)
    assert [amount for _, amount, _ in lines(october)] == ["1600.00", "30.00", "163.00"]
    read(utility, "M1", 1920, DEC_1)
    november = utility.bills_of("M1")[-1]
    # 610 kWh in 61 days, 10 a day: 460 kWh at 5 up to 15 November, 150 kWh at 8 from the 16th.
    # Rent: October, and half of November; the other half. Duty: 10% of 2345, and of 1215.
    assert lines(november) == [
        ("energy", "2300.00", False),
        ("rent", "45.00", False),
        ("duty", "234.50", False),
        ("energy", "1200.00", False),
        ("rent", "15.00", False),
        ("duty", "121.50", False),
        ("energy", "-1600.00", True),
        ("rent", "-30.00", True),
        ("duty", "-163.00", True),
    ]
    assert october.total_minor + november.total_minor == 391600


def test_an_actual_read_above_the_last_actual_one_is_no_negative_use(utility: Utility) -> None:
    meter(utility, "M1", "FLAT")
    read(utility, "M1", 1300, OCT_1)
    estimated(utility, "M1", NOV_1)
    utility.now = noon(utility, DEC_1)
    submitted = utility.submit("M1", 1400)
    assert (submitted.outcome, submitted.reading.status) == ("billed", "accepted")
    utility.now = noon(utility, JAN_1)
    assert utility.submit("M1", 1390).outcome == "needs_review"


def test_below_the_last_actual_read_it_is_reviewed(utility: Utility) -> None:
    meter(utility, "M1", "FLAT")
    read(utility, "M1", 1300, OCT_1)
    estimated(utility, "M1", NOV_1)
    utility.now = noon(utility, DEC_1)
    assert utility.submit("M1", 1290).outcome == "needs_review"


def test_a_register_that_was_estimated_to_roll_over_and_did_not_yet(utility: Utility) -> None:
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    header = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"
    files = {
        "customers": "account_no,name\nA-R1,House",
        "meters": f"{header}\nR1,A-R1,FLAT,manual,5,2,99750,{SEP_1}",
    }
    for what, text in files.items():
        assert importer.run(what, text, actor="test", now=utility.now).ok  # type: ignore[arg-type]
    read(utility, "R1", 99850, OCT_1)
    read(utility, "R1", 99960, NOV_1)
    guessed = estimated(utility, "R1", DEC_1)
    assert (guessed.closing_wh, guessed.consumption_wh) == (63_000, 206_000)
    read(utility, "R1", 99990, JAN_1)
    last = utility.bills_of("R1")[-1]
    # 30 kWh turned since November, and 103 were billed: two kWh each.
    assert last.consumption_wh == -146_000
    # 60 kWh at 5, two rents and a tenth of duty, less 206 kWh, a rent and its duty.
    assert last.total_minor == (60 * 500 + 2 * 3000) * 11 // 10 - (206 * 500 + 3000) * 11 // 10
    # It rolls over after all.
    read(utility, "R1", 90, date(2027, 2, 1))
    found = utility.bills_of("R1")
    if len(found) == 4:
        waiting = utility.services.database.exceptions(ranked_to=9, limit=9).items[0].reading
        utility.services.reading_review.accept(
            reading_id=waiting.id, reason="Seen", principal=ADMIN, now=utility.now,
            rolled_over=True,
        )  # fmt: skip
    assert utility.bills_of("R1")[-1].consumption_wh == 200_000
    assert_one_chain(utility, "R1")


def correct(utility: Utility, bill: Bill, kwh: str) -> None:
    wrong = WrongReading(bill.id, bill.closing_reading_id, kwh)
    rebilling = utility.services.rebilling
    plan = rebilling.plan(wrong, now=utility.now)
    rebilling.execute(
        wrong,
        previewed=plan.fingerprint,
        correction_id="5f0f9d3e-6c0e-4d57-9c53-2f8a1d1c1a01",
        reason="Photo seen",
        acknowledged=True,
        principal=ADMIN,
        now=utility.now,
    )


def test_a_correction_of_the_last_actual_read_settles_again(utility: Utility) -> None:
    meter(utility, "M1", "SLABS")
    read(utility, "M1", 1200, OCT_1)
    estimated(utility, "M1", NOV_1)
    read(utility, "M1", 1350, DEC_1)
    correct(utility, utility.bills_of("M1")[0], "1250")
    september, october, november = utility.bills_of("M1")
    # 250 kWh: 200 + 1050 + 30 and 10%. October stays as it was estimated, up from another read.
    assert september.total_minor == 140800
    assert october.consumption_wh == 157_000
    # 100 kWh in two months: 200, 60 and 10%.
    assert october.total_minor + november.total_minor == 28600
    assert_one_chain(utility, "M1")


def test_an_estimate_that_is_corrected_is_an_actual_read(utility: Utility) -> None:
    meter(utility, "M1", "SLABS")
    read(utility, "M1", 1200, OCT_1)
    estimated(utility, "M1", NOV_1)
    read(utility, "M1", 1350, DEC_1)
    correct(utility, utility.bills_of("M1")[1], "1310")
    _, october, november = utility.bills_of("M1")
    assert (october.closing_source, october.consumption_wh) == ("field", 110_000)
    # 100 × 2 + 10 × 7 + 30 and 10%; then 40 × 2 + 30 and 10%, with nothing settled.
    assert (october.total_minor, november.total_minor) == (33000, 12100)
    assert november.settles_since is None


def test_demand_is_kept_as_billed_and_energy_is_settled_as_a_whole(utility: Utility) -> None:
    """Duty is 10% of both, so that what is kept counts for it as well."""
    tariffs(utility, DEMAND)
    meter(utility, "M1", "DEMAND", registers="max_kw")
    read_with(utility, "M1", 1200, OCT_1, max_kw=5)
    october = read_with(utility, "M1", 1407, NOV_1, max_kw=6, source="customer")
    # 100 × 2 + 107 × 7 = 949; 6 kW × 20 = 120; 10% of 1069.
    assert lines(october) == [
        ("energy", "949.00", False),
        ("demand", "120.00", False),
        ("duty", "106.90", False),
    ]
    november = read_with(utility, "M1", 1350, DEC_1, max_kw=4)
    assert november.consumption_wh == -57_000
    # 150 kWh in two bills: 300. Demand: that of November alone, 4 kW, though October had 6 kW.
    # Duty: 10% of 300, and of 120 and 80 of demand.
    assert lines(november) == [
        ("energy", "300.00", False),
        ("demand", "80.00", False),
        ("duty", "50.00", False),
        ("energy", "-949.00", True),
        ("duty", "-106.90", True),
    ]
    demand = next(line for line in november.lines if line.code == "demand")
    assert demand.part is not None
    assert (demand.part.start, demand.part.end) == (NOV_1, DEC_1)
    assert november.usage is not None
    assert november.usage["peak_w"] == 4_000
    # As one time of two months: 300, 120 and 80, and 10%.
    assert october.total_minor + november.total_minor == 55_000
    # A correction of the first read settles again: 140 kWh in two bills.
    correct(utility, utility.bills_of("M1")[0], "1210")
    _, october, november = utility.bills_of("M1")
    assert october.total_minor + november.total_minor == 28_000 + 20_000 + 4_800
    assert_one_chain(utility, "M1")


def test_what_counts_by_demand_is_not_settled_as_a_whole(utility: Utility) -> None:
    by_kw = {"code": "kw", "description": "A kW", "kind": "fixed", "amount": "1", "per": "bill"}
    tariffs(utility, DEMAND | {"charges": [*DEMAND["charges"], by_kw | {"times": "billed_kw"}]})
    meter(utility, "M1", "DEMAND", registers="max_kw")
    read_with(utility, "M1", 1200, OCT_1, max_kw=5)
    read_with(utility, "M1", 1300, NOV_1, max_kw=6, source="customer")
    november = read_with(utility, "M1", 1350, DEC_1, max_kw=4)
    # 50 × 2, 4 × 20, 10% of 180, 4 × 1.
    assert [amount for _, amount, _ in lines(november)] == ["100.00", "80.00", "18.00", "4.00"]
    assert november.settles_since is None


def read_with(
    utility: Utility, serial: str, kwh: int, on: date, *, source: str = "field", **registers: int
) -> Bill:
    utility.now = noon(utility, on)
    body = {
        "meter_serial": serial,
        "reading_kwh": str(kwh),
        "read_at": utility.now.isoformat(),
        "registers": {name: str(value) for name, value in registers.items()},
    }
    done = utility.services.reading_to_bill.submit(
        submission=parse_submission(body, zone=utility.services.settings.timezone, now=utility.now),
        principal=ENGINEER,
        now=utility.now,
        arrived_by="a test",
        source=source,  # type: ignore[arg-type]
    )
    assert done.bill is not None, done.reading
    bill: Bill = utility.bills_of(serial)[-1]
    return bill
