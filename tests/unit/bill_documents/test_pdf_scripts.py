"""Letters join, stack and run in the direction of their script, whatever the page's language."""

from dataclasses import replace
from typing import Any

import pytest
import typst

from services.bill_documents import MissingLetters, pdf, render
from tests.unit.bill_documents import bills, printed


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


@pytest.fixture
def no_other_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer without a font of its own, as a container often is."""
    real = typst.Compiler

    def bare(*positional: Any, **named: Any) -> typst.Compiler:
        return real(*positional, **named | {"ignore_system_fonts": True})

    monkeypatch.setattr(typst, "Compiler", bare)
    monkeypatch.setattr(pdf, "_idle", {layout: [] for layout in pdf._idle})


@pytest.mark.parametrize(
    "name",
    [
        "தமிழ்ச்செல்வி",
        "শ্রীমতী রহমান",
        "శ్రీనివాస్",
        "አበበ ቢቂላ",
        "王小明 電力",
        "ક્ષિતિજ પટેલ",
        "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ",
        "ಶ್ರೀಧರ್",
        "ശ്രീകുമാർ",
        "ଶ୍ରୀ ପଟ୍ଟନାୟକ",
        "ශ්‍රී ලංකා",
        "ស្រីមុំ ខ្មែរ",
        "ສົມສັກ",
        "အောင်ဆန်း",
        "דָּוִד",
        "山田太郎 カナ",
        "김철수",
        "Արմեն",
        "გიორგი",
        "محمد",
        "क्षत्रज्ञ",
        "สมชาย",
        "Nguyễn Thị",
        "Asha 😀 👨‍👩‍👧 ❤️ 👍🏽",
    ],
)
@pytest.mark.usefixtures("no_other_fonts")
def test_a_name_is_printed_in_full_on_a_computer_without_fonts(name: str) -> None:
    assert render(replace(bills.yen(), customer_name=name, address=name)).startswith(b"%PDF")


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Asha བོད", "བོད"), ("𞤀𞤣", "𞤀𞤣"), ("a͸b͸", "͸"), ("王", "")],
)
@pytest.mark.usefixtures("no_other_fonts")
def test_a_bill_that_would_lose_letters_is_refused_with_them(name: str, letters: str) -> None:
    with pytest.raises(MissingLetters) as caught:
        render(replace(bills.yen(), customer_name=name))
    assert set(caught.value.letters) == set(letters)
    assert f"U+{ord(letters[0]):04X}" in str(caught.value)


@pytest.mark.parametrize(
    ("language", "font"),
    [("ja", "JP"), ("ko-KR", "KR"), ("zh_TW", "TC"), ("zh", "SC"), ("en", "SC")],
)
def test_chinese_characters_are_written_as_in_the_customers_language(
    language: str, font: str
) -> None:
    bill = replace(bills.yen(), language=language, customer_name="直骨")
    assert f"NotoSansCJK{font.lower()}".encode() in render(bill).replace(b"-", b"")
