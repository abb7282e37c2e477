"""What is typed at the cash desk: exact amounts, days that can be, and plans in parts."""

from collections.abc import Callable
from datetime import date
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.accounts.instalments import (
    Part,
    UnusablePlan,
    check_parts,
    equal_parts,
    months_later,
    typed_parts,
)
from services.languages.catalogues import OFFERED
from services.languages.language import Language
from services.payments.entry_forms import (
    InvalidEntry,
    PaymentEntry,
    amount_above_zero,
    check_received_on,
    check_reference,
    parse_entry,
)
from services.quantities.money import Money

TODAY = date(2026, 11, 22)
BELOW_ZERO = "To give money back, refund or reverse the payment it came with."
GOOD = {"amount": "540.35", "method": "cash", "received_on": "2026-11-22"}


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("540.35", "INR", 54_035), ("540", "INR", 54_000), ("540", "JPY", 540), ("0.005", "KWD", 5)],
)
def test_an_amount_is_read_exactly_in_the_accounts_currency(
    text: str, currency: str, minor: int
) -> None:
    assert amount_above_zero(text, currency=currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency", "said"),
    [
        ("-5", "INR", "-5 is not above 0.*refund"),
        ("0", "INR", "above 0"),
        ("0.00", "INR", "above 0"),
        ("", "INR", "Say how much"),
        ("1,23.50", "INR", "not an amount"),
        ("1,000", "KWD", "1,000 may be 1000 or 1.000"),
        ("1.000", "INR", "more than the 2 decimals"),
        ("$5", "INR", "not an amount"),
        ("12.345", "INR", "decimals"),
        ("12.5", "JPY", "decimals"),
        ("1e5", "INR", "not an amount"),
        ("NaN", "INR", "not an amount"),
        ("99999999999999999", "INR", "more than can be right"),
    ],
)
def test_what_is_no_amount_above_0_is_refused_with_a_sentence(
    text: str, currency: str, said: str
) -> None:
    with pytest.raises(InvalidEntry, match=said):
        amount_above_zero(text, currency=currency, otherwise="To give back: refund.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amount": None}, "how much"),
        ({"amount": 5.5}, "how much"),
        ({"method": "stripe"}, "how it was paid"),
        ({"received_on": None}, "on which day"),
        ({"received_on": "2026-02-30"}, "on which day"),
        ({"reference": "x" * 101}, "at most 100"),
        ({"reference": "a\x00b"}, "printable"),
        ({"apply": "later"}, "what the payment is for"),
        ({"tip": "1"}, "no field called 'tip'"),
    ],
)
def test_each_field_says_what_is_wrong_with_it(change: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidEntry, match=said):
        parse_entry(PaymentEntry, {**GOOD, **change})


def test_spaces_around_and_within_a_reference_are_made_one() -> None:
    assert parse_entry(PaymentEntry, {**GOOD, "reference": "  CHQ \t 77 "}).reference == "CHQ 77"


@pytest.mark.parametrize("day", [date(2026, 11, 23), date(1999, 12, 31)])
def test_a_payment_is_neither_of_the_future_nor_of_another_age(day: date) -> None:
    with pytest.raises(InvalidEntry):
        check_received_on(day, today=TODAY)
    check_received_on(TODAY, today=TODAY)
    check_received_on(date(2000, 1, 1), today=TODAY)


def test_money_that_leaves_a_trace_elsewhere_says_which() -> None:
    for method in ("cheque", "bank", "mobile_money"):
        with pytest.raises(InvalidEntry, match="reference"):
            check_reference(method, "")
    for method in ("cash", "card"):
        check_reference(method, "")


@given(st.integers(2, 10**12), st.integers(2, 60))
def test_equal_parts_add_up_and_differ_by_less_than_their_number(total: int, parts: int) -> None:
    if total < parts:
        with pytest.raises(UnusablePlan):
            equal_parts(total_minor=total, parts=parts, first_on=TODAY)
        return
    made = equal_parts(total_minor=total, parts=parts, first_on=TODAY)
    assert sum(part.amount_minor for part in made) == total
    assert len(made) == parts
    assert len({part.amount_minor for part in made[1:]}) == 1
    assert 0 <= made[0].amount_minor - made[1].amount_minor < parts


def test_what_does_not_divide_is_in_the_first_part() -> None:
    made = equal_parts(total_minor=10_000, parts=3, first_on=date(2026, 12, 31))
    assert made == (
        Part(date(2026, 12, 31), 3_334),
        Part(date(2027, 1, 31), 3_333),
        Part(date(2027, 2, 28), 3_333),
    )


@pytest.mark.parametrize("parts", [0, 1, 61, -3])
def test_a_plan_has_2_to_60_parts(parts: int) -> None:
    with pytest.raises(UnusablePlan, match="2 to 60"):
        equal_parts(total_minor=10**6, parts=parts, first_on=TODAY)


def test_a_months_last_day_stays_a_last_day_over_a_leap_year() -> None:
    assert months_later(date(2027, 12, 31), 2) == date(2028, 2, 29)
    assert months_later(date(2026, 1, 15), 11) == date(2026, 12, 15)


def test_typed_parts_come_in_order_of_their_days() -> None:
    made = typed_parts("2027-01-31, 200.00\n\n 2026-12-31 300.35 \n", currency="INR")
    assert made == (Part(date(2026, 12, 31), 30_035), Part(date(2027, 1, 31), 20_000))
    check_parts(made, total=Money(50_035, "INR"), today=TODAY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1 to 60 lines"),
        ("tomorrow 5", "not a date"),
        ("2026-02-30 5", "not a date"),
        ("2026-12-31", "a date and an amount"),
        ("2026-12-31 1,00,0", "not an amount"),
        ("2026-12-31 -5", "above 0"),
        ("2026-12-31 5.001", "decimals"),
        ("2026-12-31 1\n" * 61, "1 to 60 lines"),
    ],
)
def test_a_line_that_is_no_part_is_named(text: str, said: str) -> None:
    with pytest.raises(UnusablePlan, match=said):
        typed_parts(text, currency="INR")


def test_parts_add_up_to_the_bills_and_lie_ahead() -> None:
    parts = typed_parts("2026-12-31 300", currency="INR")
    with pytest.raises(UnusablePlan, match=r"come to ₹300.00; to pay is ₹540.35"):
        check_parts(parts, total=Money(54_035, "INR"), today=TODAY)
    with pytest.raises(UnusablePlan, match="before today"):
        check_parts(parts, total=Money(30_000, "INR"), today=date(2027, 1, 1))


@pytest.mark.parametrize("tag", [tag for tag in OFFERED if tag != "en"])
def test_each_mistake_is_said_in_every_language(tag: str) -> None:
    payment = {"amount": "5", "method": "cash", "received_on": date(2026, 11, 30)}
    wrong = ({"amount": None}, {"method": "barter"}, {"received_on": "soon"}, {"colour": "red"})
    attempts: list[Callable[[], object]] = [
        *(partial(parse_entry, PaymentEntry, payment | fields) for fields in wrong),
        *(
            partial(amount_above_zero, typed, currency="INR", otherwise=BELOW_ZERO)
            for typed in ("", "five", "-5", "1.234", "9" * 16)
        ),
        partial(check_received_on, date(2026, 12, 1), today=date(2026, 11, 30)),
        partial(check_received_on, date(1999, 12, 1), today=date(2026, 11, 30)),
        *(partial(check_reference, by, "") for by in ("cheque", "bank", "mobile_money")),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidEntry) as refused:
            attempt()
        said = Language.of(tag).say(refused.value)
        english = {"the", "that", "how", "which", "there", "above", "found", "again", "must"}
        assert not english & set(said.split()), said
