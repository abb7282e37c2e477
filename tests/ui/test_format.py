"""How pages write names, numbers, times and periods."""

from datetime import date

import pytest

from pages.shared.format import cron_in_words, escaped, kwh, period
from services.languages.language import Language


def test_plain_takes_the_meaning_out_of_markdown() -> None:
    assert escaped("a*b") == r"a\*b"
    assert escaped("$5 and $6") == r"\$5 and \$6"
    assert escaped("two\nlines") == "two lines"
    # Streamlit looks for :name: after Markdown has taken the backslashes away.
    assert ":material" not in escaped(":material/home:").replace("\\", "")


def test_a_name_keeps_its_direction_in_arabic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.format.language", lambda: Language.of("ar"))
    assert escaped("2 Canal Road") == "\u20682 Canal Road\u2069"
    assert escaped("") == ""
    assert kwh(26_667_000) == "\u206826,667 kWh\u2069"


def test_a_time_of_day_is_not_turned_round_in_arabic(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pages.shared.format", "pages.languages.words"):
        monkeypatch.setattr(f"{module}.language", lambda: Language.of("ar"))
    # Whole within one pair of signs: each part within its own would stand in the page's order.
    assert "\u206802:00\u2069" in cron_in_words("0 2 1 * *")


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 2 1 * *", "on the 1st of the month at 02:00"),
        ("0 10 * * *", "daily at 10:00"),
        ("0 8 * * sun", "Sundays at 08:00"),
        ("*/5 * * * *", "*/5 * * * *"),
    ],
)
def test_a_cron_expression_is_said_in_words(cron: str, said: str) -> None:
    assert cron_in_words(cron) == said


def test_a_period_names_the_year_twice_only_across_years() -> None:
    assert period(date(2026, 10, 12), date(2026, 11, 12)) == "12 Oct – 12 Nov 2026 (31 days)"
    assert period(date(2025, 12, 31), date(2026, 1, 1)) == "31 Dec 2025 – 1 Jan 2026 (1 day)"
