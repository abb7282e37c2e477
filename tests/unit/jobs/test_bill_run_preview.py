"""What the preview of a bill run adds up, and which bills it shows first."""

from datetime import date

from services.billing.draw_up_many import draw_up_plain_bills
from services.jobs.bill_run_preview import BillRunPreview
from services.records.bills import BillCandidate, LastBill, NewBill
from tests.unit.billing.test_draw_up_many import ISSUE, candidate, versions

TARIFF = "kseb-lt1a"


def drawn_up(page: list[BillCandidate]) -> list[NewBill]:
    found = draw_up_plain_bills(
        page, tariffs_of=lambda _: versions(TARIFF), issue=ISSUE, shortest_days=5
    )
    return list(found.values())


def last(wh: int, minor: int, currency: str = "INR", *, days: int = 30) -> LastBill:
    end = date(2026, 9, days)
    return LastBill("b", date(2026, 8, 31), end, wh, currency, minor)


def test_only_bills_with_a_last_one_in_the_currency_are_compared() -> None:
    page = [candidate(n, TARIFF, days=30, closing_wh=1_120_000) for n in range(4)]
    found = BillRunPreview()
    # Of 15 days: twice as much for the 30 of the bills.
    before = {
        "a0": last(60_000, 20_000, days=15),
        "a1": last(50_000, 25_000, days=15),
        "a2": last(9, 9, "USD"),
    }
    found.add(page, drawn_up(page), [], last=before)
    sums = found.sums["INR"]
    assert (sums.number, sums.consumption_wh) == (4, 480_000)
    assert (sums.last_number, sums.last_wh, sums.last_minor) == (2, 110_000, 45_000)
    assert (sums.alike_wh, sums.usual_wh, sums.usual_minor) == (240_000, 220_000, 90_000)
    assert sums.alike_minor * 2 == sums.total_minor
    assert found.outliers == {}


def test_the_outliers_with_most_at_stake_come_first_and_few_are_kept() -> None:
    found = BillRunPreview()
    for start in range(0, 40, 10):
        page = [
            candidate(n, TARIFF, days=30, closing_wh=1_000_000 + n * 20_000)
            for n in range(start, start + 10)
        ]
        before = {f"a{n}": last(1_000, 500) for n in range(start, start + 10)}
        found.add(page, drawn_up(page), [], last=before)
    assert found.differing == {"no_use": 1, "more": 39}
    shown = [one.meter_serial for one in found.outliers["INR"]]
    assert shown == [f"M{n}" for n in range(39, 29, -1)]


def test_how_much_was_looked_at_is_a_part_of_all() -> None:
    found = BillRunPreview(of=2000)
    assert found.share == 0
    found.passed = 500
    assert found.share == 0.25
    found.whole = True
    assert found.share == 1
    # Agreements that ended are passed as well.
    assert BillRunPreview(passed=500).share == 0
    assert BillRunPreview(passed=500, of=400).share == 1
