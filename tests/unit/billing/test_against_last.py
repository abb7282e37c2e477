"""A bill is compared with the last one by the day, and stands out by a factor, at 0 or below."""

from dataclasses import replace
from datetime import date

import pytest

from services.billing.against_last import AgainstLast
from services.billing.draw_up_many import draw_up_plain_bills
from services.records.bills import LastBill, NewBill
from tests.unit.billing.test_draw_up_many import ISSUE, candidate, versions

LAST = LastBill("b", date(2026, 9, 1), date(2026, 10, 1), 100_000, "INR", 50_000)
TARIFF = "kseb-lt1a"


def bill(wh: int, *, days: int = 30) -> NewBill:
    found = draw_up_plain_bills(
        [candidate(1, TARIFF, days=days, closing_wh=1_000_000 + wh)],
        tariffs_of=lambda _: versions(TARIFF),
        issue=ISSUE,
        shortest_days=5,
    )
    return found["a1"]


def test_a_longer_period_alone_changes_nothing() -> None:
    against = AgainstLast.of(bill(101_333, days=31), replace_last(wh=98_064, minor=45_000))
    assert (against.consumption_wh, against.usual_wh) == (101_333, 101_333)
    assert against.usual_minor == 46_500
    assert against.differs is None
    assert against.difference_minor == abs(against.total_minor - 46_500)


def replace_last(*, wh: int, minor: int) -> LastBill:
    return LAST._replace(consumption_wh=wh, total_minor=minor)


@pytest.mark.parametrize(
    ("wh", "minor", "usual_wh", "usual_minor", "differs"),
    [
        (300, 300, 100, 100, None),
        (301, 200, 100, 100, "more"),
        (200, 301, 100, 100, "more"),
        (100, 100, 300, 300, None),
        (99, 200, 300, 300, "less"),
        (200, 99, 300, 300, "less"),
        (0, 90, 300, 100, "no_use"),
        (0, 90, 0, 100, None),
        (10, 100, 0, 90, "more"),
        (100, -1, 100, 100, "negative"),
        # Who feeds in month after month is no surprise.
        (100, -900, 100, -100, None),
        (100, 900, 100, -100, None),
    ],
)
def test_what_stands_out(
    wh: int, minor: int, usual_wh: int, usual_minor: int, differs: str | None
) -> None:
    one = AgainstLast(wh, minor, usual_wh, usual_minor)
    assert one.differs == differs
    # The same of any size.
    assert replace(one, consumption_wh=7 * wh, usual_wh=7 * usual_wh).differs == differs
