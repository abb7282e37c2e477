"""A tariff that changes within a bill: each version prices its days, in lines that name them."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.billing.draw_up import measured_bill
from services.quantities.period import Period
from services.rating import (
    BillingDeterminants,
    BillLine,
    Part,
    UnableToPriceBill,
    rate_parts,
    split_by_days,
)
from services.records.readings import MeterConstants, Read
from services.records.tariffs import TariffVersion
from tests.unit.rating.pricing import JUNE, amounts, fixed, flat, slabs, tariff

FIRST, SECOND = Period(date(2025, 6, 1), date(2025, 6, 11)), Period(date(2025, 6, 11), JUNE.end)


def _parts(old: Any, new: Any, usage: BillingDeterminants) -> list[Part]:
    shares = split_by_days(usage=usage, whole=JUNE, periods=[FIRST, SECOND])
    return [Part(old, FIRST, shares[0]), Part(new, SECOND, shares[1])]


def test_energy_is_shared_by_days_and_each_line_names_them() -> None:
    bill = rate_parts(
        parts=_parts(
            tariff(flat(rate="1")), tariff(flat(rate="2")), BillingDeterminants(wh=100_000)
        ),
        whole=JUNE,
    )
    assert [(line.quantity, line.rate, line.part) for line in bill.lines] == [
        ("33.333", "1", FIRST),
        ("66.667", "2", SECOND),
    ]
    assert amounts(bill) == ["33.33", "133.33"]
    assert [BillLine.from_json(line.to_json()) for line in bill.lines] == list(bill.lines)


def test_a_meter_exchanged_within_a_bill_has_lines_of_its_own() -> None:
    one = tariff(flat(rate="1"), fixed("30", "month", proration="days"))
    old, new = BillingDeterminants(wh=40_000), BillingDeterminants(wh=50_000)
    bill = rate_parts(parts=[Part(one, FIRST, old), Part(one, SECOND, new)], whole=JUNE)
    assert [(line.code, line.quantity, line.part) for line in bill.lines if line.unit == "kWh"] == [
        ("energy", "40", FIRST),
        ("energy", "50", SECOND),
    ]
    assert amounts(bill) == ["40.00", "10.00", "50.00", "20.00"]


@pytest.mark.parametrize(
    ("charge", "expected"),
    [
        (fixed("30"), ["10.00", "20.00"]),
        (fixed("30", "month", proration="none"), ["10.00", "20.00"]),
        (fixed("30", "month", proration="days"), ["10.00", "20.00"]),
        (fixed("1", "day"), ["10.00", "20.00"]),
        (fixed("30", "month", proration="days", months={"count": "one"}), ["10.00", "20.00"]),
        (slabs(("30", "1"), (None, "3")), ["38.00", "76.00"]),  # 10 × 1 + 9.333 × 3
        (flat(at_most="30"), ["10.00", "20.00"]),
    ],
)
def test_what_is_due_once_a_bill_is_shared_by_days(
    charge: dict[str, Any], expected: list[str]
) -> None:
    one = tariff(charge)
    usage = (
        BillingDeterminants(wh=58_000) if charge["kind"] == "energy" else BillingDeterminants(wh=0)
    )
    assert amounts(rate_parts(parts=_parts(one, one, usage), whole=JUNE)) == expected


def test_a_share_of_a_bill_says_which_days() -> None:
    one = tariff(fixed("30"))
    lines = rate_parts(parts=_parts(one, one, BillingDeterminants(wh=0)), whole=JUNE).lines
    assert [line.note for line in lines] == [
        "10 of 30 days of the bill",
        "20 of 30 days of the bill",
    ]


def test_the_total_is_rounded_once_by_the_last_tariff() -> None:
    old = tariff(flat(rate="1"), rounding={"total": {"to": "1"}})
    new = tariff(flat(rate="2"), rounding={"total": {"to": "10", "carry_forward": True}})
    usage = BillingDeterminants(wh=100_000, carried_minor=125)
    bill = rate_parts(parts=_parts(old, new, usage), whole=JUNE)
    assert [(line.code, line.amount_minor, line.part) for line in bill.lines] == [
        ("brought_forward", 125, None),
        ("energy", 3333, FIRST),
        ("energy", 13333, SECOND),
        ("carried_forward", 209, None),
    ]
    assert bill.total_minor == 17_000


def test_a_years_minimum_counts_the_earlier_part() -> None:
    least = {"code": "least", "kind": "minimum", "amount": "200", "per": "year", "of": ["energy"]}
    one = tariff(flat(rate="1"), least)
    usage = BillingDeterminants(wh=100_000, closes_year=True, charged_this_year_minor=5000)
    # 200 − 50 − 33.33 − 66.67
    assert amounts(rate_parts(parts=_parts(one, one, usage), whole=JUNE))[-1] == "50.00"


def test_parts_must_fill_the_bill_in_one_currency() -> None:
    one, yen = tariff(flat()), tariff(flat(), currency="JPY")
    first, second = _parts(one, one, BillingDeterminants(wh=9))
    for parts in (
        [],
        [first],
        [second, first],
        [first, Part(yen, SECOND, BillingDeterminants(wh=1))],
    ):
        with pytest.raises(UnableToPriceBill):
            rate_parts(parts=parts, whole=JUNE)
    with pytest.raises(UnableToPriceBill, match="all its days"):
        split_by_days(usage=BillingDeterminants(wh=9), whole=JUNE, periods=[FIRST])


def test_registers_of_periods_are_split_so_that_all_adds_up() -> None:
    usage = BillingDeterminants(
        wh=101,
        export_wh=10,
        vah=7,
        by_period={"hours": {"day": 1, "night": 100}},
        carried_minor=5,
        closes_year=True,
    )
    thirds = [Period(date(2025, 6, n), date(2025, 6, n + 10)) for n in (1, 11)]
    thirds.append(Period(date(2025, 6, 21), JUNE.end))
    shares = split_by_days(usage=usage, whole=JUNE, periods=thirds)
    assert [share.wh for share in shares] == [34, 33, 34]
    assert sum(share.by_period["hours"]["day"] for share in shares) == 1
    assert all(sum(share.by_period["hours"].values()) == share.wh for share in shares)
    assert [share.vah for share in shares] == [2, 3, 2]
    assert [share.carried_minor for share in shares] == [5, 0, 0]
    assert [share.closes_year for share in shares] == [False, False, True]


def _version(number: int, begin: str, rate: str) -> TariffVersion:
    definition = tariff(flat(rate=rate), fixed("30"), effective_from=begin).to_json()
    return TariffVersion(
        id=f"v{number}",
        tariff_id="t",
        code="T",
        name="T",
        currency="USD",
        effective_from=date.fromisoformat(begin),
        definition=definition,
    )


def _read(day: date, kwh: int) -> Read:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return Read(id=f"{day}", meter_id="m", read_at=at, read_on=day, register_wh=kwh * 1000)


def test_a_version_that_begins_within_a_bill_splits_it() -> None:
    versions = [_version(n, day, rate) for n, day, rate in VERSIONS]
    bill = measured_bill(
        agreement_id="a",
        constants=MeterConstants("m", 5, 1000),
        opening=_read(JUNE.start, 1000),
        closing=_read(JUNE.end, 1100),
        tariffs=versions,
        reissue_no=0,
        issue=None,
        zone=ZoneInfo("UTC"),
    ).priced()
    assert bill.tariff_version_id == "v1"
    assert amounts(bill.rated) == ["33.33", "10.00", "133.33", "20.00"]
    assert [line.part for line in bill.rated.lines] == [FIRST, FIRST, SECOND, SECOND]
    assert bill.to_json()["lines"][0][-1]["part"] == {"start": "2025-06-01", "end": "2025-06-11"}


VERSIONS = [
    (0, "2024-01-01", "9"),
    (1, "2025-06-01", "1"),
    (2, "2025-06-11", "2"),
    (3, "2025-07-01", "5"),
]
