"""Letters join, stack and run in the direction of their script, whatever the page's language."""

from dataclasses import replace

import pytest

from tests.unit.bill_pdf import bills, printed


def width(name: str) -> float:
    """How wide a customer's name is printed."""
    left, right = printed.name_span(replace(bills.yen(), customer_name=name))
    return right - left


# A zero-width non-joiner between letters keeps them as they stand alone.
@pytest.mark.parametrize(
    ("script", "joined", "apart"),
    [
        ("Arabic: letters take the forms of the middle of a word", "سسس", "س\u200cس\u200cس"),
        ("Arabic: lam and alef become one", "لا", "ل\u200cا"),
        ("Devanagari: a conjunct is one sign", "क्ष", "क्\u200cष"),
        ("Devanagari: half a letter leans on the next", "स्थ", "स्\u200cथ"),
    ],
)
def test_letters_join(script: str, joined: str, apart: str) -> None:
    assert width(joined) < width(apart) * 0.97, script


@pytest.mark.parametrize(("with_marks", "without"), [("กี่", "ก"), ("ปู่", "ป"), ("น้ำ", "นำ")])
def test_marks_of_thai_stand_above_and_below_their_letter(with_marks: str, without: str) -> None:
    assert width(with_marks) == pytest.approx(width(without), abs=1.0)


def test_the_whole_arabic_page_runs_from_right_to_left() -> None:
    _, right = printed.name_span(bills.arabic())
    left, _ = printed.name_span(bills.yen())
    page_width = 595.0
    assert right == pytest.approx(page_width - left, abs=3)


def test_a_name_in_any_script_is_printed_on_a_page_in_any_language() -> None:
    text = printed.text_of(replace(bills.thai(), customer_name="Łódź Ηλιος Киев"))
    assert "Łódź Ηλιος Киев" in text
