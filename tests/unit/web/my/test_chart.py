"""Use by month as a drawing that keeps within its frame, and as a table."""

from datetime import date

from services.languages.language import ENGLISH_LANGUAGE
from services.metering.monthly_use import by_month, last_months
from services.web.my.chart import HEIGHT, WIDTH, usage_chart

TODAY = date(2026, 11, 28)


def test_bars_stand_on_the_floor_within_the_frame() -> None:
    days = [(date(2025, 10, 1), date(2026, 11, 10), 4_000_000)]
    months = last_months(by_month(days), today=TODAY)
    chart = usage_chart(months, {month.month: 900_000 for month in months}, ENGLISH_LANGUAGE)
    assert len([bar for bar in chart.bars if bar.css == "now"]) == 13
    assert len(chart.homes) == 13
    for bar in chart.bars:
        assert bar.y + bar.height == chart.floor
        assert chart.ceiling <= bar.y
        assert bar.x + 10 <= WIDTH
    assert all(chart.ceiling <= tick.y <= chart.floor for tick in chart.homes)
    assert all(tick.y < HEIGHT for tick in chart.names)
    assert chart.highest == "900"


def test_the_table_says_the_same_the_last_month_first() -> None:
    days = [
        (date(2026, 10, 1), date(2026, 11, 16), 46_000),
        (date(2025, 10, 1), date(2025, 11, 1), 62_400),
    ]
    chart = usage_chart(
        last_months(by_month(days), today=TODAY), {date(2026, 10, 1): 40_499}, ENGLISH_LANGUAGE
    )
    first, second = chart.rows[:2]
    assert (first.month, first.used, first.partly) == (date(2026, 11, 1), "15", True)
    assert (second.used, second.year_before, second.similar, second.partly) == (
        "31", "62", "40", False,
    )  # fmt: skip
    assert (chart.rows[2].used, chart.rows[2].similar) == ("", "")


def test_sent_to_the_grid_and_nothing_at_all_are_no_bars() -> None:
    days = [(date(2026, 10, 1), date(2026, 11, 1), -5_000)]
    assert usage_chart(last_months(by_month(days), today=TODAY), {}, ENGLISH_LANGUAGE).bars == ()
