"""Estimates, true-ups, corrections and rebills over random months leave an account as they should.

Beside each meter stands one that was read each month. A flat tariff leaves both accounts equal; of
slabs the rule is worked out here a second time, from the reads alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from services.corrections.plan import Wrong, WrongReading, WrongTariff
from services.quantities.money import round_half_up
from services.quantities.period import next_month
from services.readings.submission import parse_submission
from tests.integration.test_estimates import noon, read, store
from tests.integration.test_true_up import DUTY, ENERGY, FLAT, RENT, SLABS, meter, tariffs
from tests.integration.utility import ADMIN, ENGINEER, Utility, assert_one_chain, make_utility

FIRST = date(2025, 9, 1)
MONTHS = 9
HOURS = FLAT | {
    "code": "HOURS",
    "calendars": {
        "tou": {
            "periods": {
                "peak": [{"from": "18:00", "to": "22:00"}],
                "off_peak": [{"from": "22:00", "to": "18:00"}],
            }
        }
    },
    "charges": [
        ENERGY | {"calendar": "tou", "rates": {"peak": "9", "off_peak": "4"}},
        RENT,
        {"code": "demand", "description": "Demand", "kind": "demand", "quantity": "kw"}
        | {"rate": "20"},
        DUTY | {"of": ["energy", "rent", "demand"]},
    ],
}
DEARER = FLAT | {
    "code": "DEARER",
    "charges": [ENERGY | {"rate": "6"}, RENT, DUTY | {"of": ["energy", "rent"]}],
}


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    made.now = noon(made, FIRST)
    tariffs(made, FLAT, SLABS, HOURS, DEARER)
    yield made
    made.services.close()


@dataclass
class Months:
    """The firsts of some months; what each showed in truth in kWh, and whether it was read."""

    days: list[date]
    shown: list[int]
    is_read: list[bool]

    @classmethod
    def at_random(cls, random: Random) -> "Months":
        days, shown = [FIRST], [1000]
        for _ in range(MONTHS):
            days.append(next_month(days[-1]))
            shown.append(shown[-1] + random.randint(60, 200))
        is_read = [True, True, *(random.random() < 0.5 for _ in range(MONTHS - 2)), True]
        for n in range(3, len(is_read)):
            # Never more than three in a row.
            is_read[n] = is_read[n] or not any(is_read[n - 3 : n])
        return cls(days, shown, is_read)


def live_through(utility: Utility, months: Months, tariff: str, random: Random) -> None:
    for serial in ("M1", "M2"):
        meter(utility, serial, tariff, FIRST)
    last = 1000
    for on, kwh, is_read in list(zip(months.days, months.shown, months.is_read, strict=True))[1:]:
        read(utility, "M2", kwh, on)
        if is_read:
            read(utility, "M1", kwh, on)
            last = kwh
        elif random.random() < 0.3:
            # What the customer read may be wrong, but does not fall.
            last = max(last, int(utility.bills_of("M1")[-1].closing_wh // 1000)) + 50
            read(utility, "M1", last, on, source="customer")
        else:
            utility.now = noon(utility, on)
            store(utility, on, "M1")


def rebill(utility: Utility, wrong: Wrong, random: Random) -> None:
    rebilling = utility.services.rebilling
    plan = rebilling.plan(wrong, now=utility.now)
    rebilling.execute(
        wrong,
        previewed=plan.fingerprint,
        correction_id=str(UUID(int=random.getrandbits(128), version=4)),
        reason="Found later",
        acknowledged=True,
        principal=ADMIN,
        now=utility.now,
    )


def correct_a_read(utility: Utility, months: Months, random: Random) -> None:
    """One that both meters have was some kWh more or less."""
    at = random.choice([n for n in range(1, MONTHS) if months.is_read[n]])
    months.shown[at] += random.choice([-9, -4, 3, 8])
    for serial in ("M1", "M2"):
        bill = utility.bills_of(serial)[at - 1]
        assert bill.period_end == months.days[at]
        wrong = WrongReading(bill.id, bill.closing_reading_id, str(months.shown[at]))
        rebill(utility, wrong, random)


def account(utility: Utility, serial: str) -> tuple[int, int, int]:
    """What was billed, in minor units and Wh, and what the account owes."""
    bills = utility.bills_of(serial)
    owed = utility.services.database.account(bills[0].customer_id).balance_minor
    return sum(b.total_minor for b in bills), sum(b.consumption_wh for b in bills), owed


def by_the_rule(months: Months) -> int:
    """Each time between two actual reads as the bills that it was, in minor units."""
    actual = [n for n, is_read in enumerate(months.is_read) if is_read]
    return sum(_slabs(months.shown[b] - months.shown[a], bills=b - a) for a, b in pairwise(actual))


def _slabs(kwh: int, *, bills: int) -> int:
    cheap = min(kwh, 100 * bills)
    before_duty = 200 * cheap + 700 * (kwh - cheap) + 3000 * bills
    return before_duty + round_half_up(Fraction(before_duty, 10))


def check(utility: Utility, *, expected: Sequence[int] | None = None) -> None:
    assert_one_chain(utility, "M1")
    one, other = account(utility, "M1"), account(utility, "M2")
    assert one[1] == other[1]
    if expected is None:
        assert one == other
    else:
        assert one[::2] == (expected[0], expected[0])
    assert utility.services.database.check_ledger().problems == ()


@pytest.mark.parametrize("seed", range(4))
def test_a_flat_tariff_leaves_what_actual_reads_alone_leave(utility: Utility, seed: int) -> None:
    random = Random(seed)  # noqa: S311
    months = Months.at_random(random)
    live_through(utility, months, "FLAT", random)
    check(utility)
    for _ in range(2):
        correct_a_read(utility, months, random)
        check(utility)
    since = random.choice([n for n in range(1, MONTHS) if months.is_read[n]])
    for serial in ("M1", "M2"):
        bill = utility.bills_of(serial)[since]
        rebill(utility, WrongTariff(bill.id, "DEARER"), random)
    check(utility)


@pytest.mark.parametrize("seed", range(4))
def test_slabs_leave_what_the_rule_says(utility: Utility, seed: int) -> None:
    random = Random(100 + seed)  # noqa: S311
    months = Months.at_random(random)
    live_through(utility, months, "SLABS", random)
    check(utility, expected=[by_the_rule(months)])
    for _ in range(2):
        correct_a_read(utility, months, random)
        check(utility, expected=[by_the_rule(months)])


def shown_by_hours(
    utility: Utility, serial: str, kwh: int, peak: int, max_kw: int, **how: str
) -> None:
    """A reading of the total, of its registers by time, and of the highest demand since then."""
    body = {
        "meter_serial": serial,
        "reading_kwh": str(kwh),
        "read_at": utility.now.isoformat(),
        "registers": {"peak": str(peak), "off_peak": str(kwh - peak), "max_kw": str(max_kw)},
    }
    zone = utility.services.settings.timezone
    done = utility.services.reading_to_bill.submit(
        submission=parse_submission(body, zone=zone, now=utility.now),
        principal=ENGINEER,
        now=utility.now,
        arrived_by="a test",
        **how,  # type: ignore[arg-type]
    )
    if done.bill is None:
        # Random months look odd to the rules; a person accepts them.
        utility.services.reading_review.accept(
            reading_id=done.reading.id, reason="Seen", principal=ADMIN, now=utility.now
        )


@pytest.mark.parametrize("seed", range(3))
def test_registers_by_time_are_settled_as_a_whole_each(utility: Utility, seed: int) -> None:
    """A customer reads other hours than were, also more of some, and the demand as it was."""
    random = Random(200 + seed)  # noqa: S311
    months = Months.at_random(random)
    peaks = [300]
    for before, after in pairwise(months.shown):
        peaks.append(peaks[-1] + (after - before) * random.randint(10, 60) // 100)
    for serial in ("M1", "M2"):
        meter(utility, serial, "HOURS", FIRST, registers="peak=300 off_peak=700 max_kw")
    last = (1000, 300)
    kw = [random.randint(1, 9) for _ in peaks]
    whole = list(zip(months.days, months.shown, peaks, kw, months.is_read, strict=True))
    for on, kwh, peak, max_kw, is_read in whole[1:]:
        utility.now = noon(utility, on)
        shown_by_hours(utility, "M2", kwh, peak, max_kw)
        if is_read:
            last = (kwh, peak)
            shown_by_hours(utility, "M1", kwh, peak, max_kw)
            continue
        # A wrong share of the hours, so that a register falls at the next actual read.
        used = random.randint(60, 200)
        last = (last[0] + used, last[1] + used * random.choice([10, 50, 90]) // 100)
        shown_by_hours(utility, "M1", *last, max_kw, source="customer")
    check(utility)
    at = random.choice([n for n in range(1, MONTHS) if months.is_read[n]])
    for serial in ("M1", "M2"):
        bill = utility.bills_of(serial)[at - 1]
        assert bill.period_end == months.days[at]
        registers = {"peak": str(peaks[at] + 2), "off_peak": str(months.shown[at] + 1 - peaks[at])}
        registers["max_kw"] = str(kw[at] + 1)
        shown = str(months.shown[at] + 3)
        rebill(utility, WrongReading(bill.id, bill.closing_reading_id, shown, registers), random)
    check(utility)
