"""Nothing that can be stored keeps a bill from being printed, letter by letter."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from services.bill_documents import AccountEntry, BillDocument, MonthOfUse, RegisterLine, render
from tests.unit.bill_documents import bills, printed

MARKUP = "#panic() $x$ *bold* _it_ <label> @ref \\ `raw` [a] = // c {b} ~ \"q\" 'q' -- #{1+1}"


def plain(text: str) -> str:
    """Without the spaces, which readers of PDFs guess."""
    return "".join(text.split())


def test_markup_is_printed_as_it_was_typed() -> None:
    bill = replace(
        bills.yen(),
        customer_name=MARKUP,
        address=MARKUP,
        account_no=MARKUP,
        tariff_name=MARKUP,
        lines=(bills.line(MARKUP, 1, note=MARKUP),),
        entries=(AccountEntry("fee", 1, date(2026, 11, 1), reference=MARKUP),),
    )
    assert plain(printed.text_of(bill)).count(plain(MARKUP)) == 7


@pytest.mark.parametrize(
    "text",
    [
        "W" * 3000,
        "very long words " * 300,
        "नमस्तेक्षत्रज्ञ" * 100,
        "العربيةالطويلة" * 100,
        "ภาษาไทยที่ไม่มีช่องว่าง" * 100,
        "line\nline\r\n\n\nline\u2028line",
    ],
)
def test_a_text_of_any_length_stays_on_the_page(text: str) -> None:
    bill = replace(
        bills.yen(), customer_name=text, address=text, account_no=text, tariff_name=text,
        lines=(bills.line(text, 1, note=text),),
    )  # fmt: skip
    left, right = printed.text_span(bill)
    assert left > 0.05
    assert right < 0.95


@pytest.mark.parametrize(
    "text", ["", " ", "\x00\x07\x1b[31m", "\ud800", "\u202e\u2067abc", "\ufeff"]
)
def test_text_that_is_hardly_text_is_no_reason_to_refuse(text: str) -> None:
    bill = replace(
        bills.yen(), customer_name=text, address=text, account_no=text, meter_serial=text,
        number=text, tariff_name=text, lines=(bills.line(text, 1, note=text),), replaces=text,
    )  # fmt: skip
    assert "Electricity bill" in printed.text_of(bill)


def test_a_name_cannot_turn_the_amounts_around() -> None:
    bill = replace(bills.yen(), customer_name="\u202eabc", address="\u202e12 Hill Road")
    text = printed.text_of(bill)
    assert "abc" in text
    assert "12 Hill Road" in text


def test_amounts_of_any_size_are_printed_in_full() -> None:
    largest = 2**63 - 1
    bill = replace(
        bills.arabic(),
        language="en",
        lines=(bills.line("Energy", largest, quantity="999999999999.999", unit="kWh"),),
        total_minor=largest,
        subtotal_minor=-largest,
        brought_forward_minor=largest,
    )
    text = printed.text_of(bill)
    assert "9,223,372,036,854,775.807" in text
    assert "−9,223,372,036,854,775.807" in text
    left, right = printed.text_span(bill)
    assert left > 0.05
    assert right < 0.95


def _bare() -> BillDocument:
    return replace(
        bills.yen(),
        address="",
        registers=(RegisterLine("", 0),),
        consumption_wh=0,
        lines=(),
        subtotal_minor=0,
        tax_minor=0,
        total_minor=0,
        payment_url=None,
    )


@pytest.mark.parametrize(
    "months",
    [(), bills.months(*[None] * 13), bills.months(*[0] * 13), bills.months(*range(13))[:1]],
)
def test_a_bill_of_nothing_is_printed_too(months: Sequence[MonthOfUse]) -> None:
    assert "Nothing to pay" in printed.text_of(replace(_bare(), months=tuple(months)))


def test_an_address_too_long_for_any_code_is_printed_itself() -> None:
    url = "https://example.org/" + "a" * 4000
    assert url[:80] in plain(printed.text_of(replace(bills.yen(), payment_url=url)))


def test_only_a_web_address_becomes_a_link() -> None:
    assert b"/URI" in render(bills.yen())
    assert b"javascript" not in render(replace(bills.yen(), payment_url="javascript:alert(1)"))
