"""AI's calculation is compared to the cent, and holds a bill only beyond the set percentage."""

from decimal import Decimal

import pytest

from services.ai.answers import BillAnswer, LineAnswer, NoAiAnswer
from services.ai.second_opinion import SecondOpinion
from services.rating import BillLine, RatedBill


def rated(*amounts: int, currency: str = "INR") -> RatedBill:
    lines = (
        BillLine(f"line{i}", "Line", False, "1", "bill", None, amount)
        for i, amount in enumerate(amounts)
    )
    return RatedBill(currency, tuple(lines))


def opinion(
    bill: RatedBill, total: str, *amounts: str, percent: str = "5", extra: str | None = None
) -> SecondOpinion:
    lines = [LineAnswer(code=f"line{i}", amount=a) for i, a in enumerate(amounts)]
    lines += [LineAnswer(code=extra, amount="0.00")] if extra else []
    answer = BillAnswer(lines=lines, total=total)
    return SecondOpinion.of(answer, rated=bill, hold_percent=Decimal(percent), model="m")


def test_the_same_to_the_cent_agrees() -> None:
    same = opinion(rated(10000, 35), "100.35", "100.00", "0.35")
    assert same.agrees
    assert not same.held
    assert same.sentence == "AI agrees to the cent."
    assert same.to_json()["difference"] == "0.00"


def test_lines_of_one_code_are_compared_by_their_sum() -> None:
    slabs = RatedBill("INR", (rated(100).lines[0], rated(250).lines[0]))
    assert opinion(slabs, "3.50", "3.50").agrees


def test_a_cent_is_a_difference_that_is_kept_and_holds_nothing_up() -> None:
    apart = opinion(rated(10000), "100.01", "100.01")
    assert not apart.agrees
    assert not apart.held
    assert apart.sentence == "AI makes it ₹100.01, ₹0.01 more."
    assert apart.to_json() == {
        "model": "m",
        "agrees": False,
        "held": False,
        "currency": "INR",
        "total": "100.01",
        "difference": "0.01",
        "lines": [{"code": "line0", "amount": "100.01"}],
        "other_lines": ["line0"],
    }


@pytest.mark.parametrize(
    ("rated_minor", "total", "percent", "held"),
    [
        (10000, "105.00", "5", False),
        (10000, "105.01", "5", True),
        (10000, "95.00", "5", False),
        (10000, "94.99", "5", True),
        (10000, "100.01", "0", True),
        (10000, "100.00", "0", False),
        (10000, "100.50", "0.5", False),
        (10000, "100.51", "0.5", True),
        (-10000, "-105.00", "5", False),
        (-10000, "-105.01", "5", True),
        (0, "0.00", "5", False),
        (0, "0.01", "1000", True),
    ],
)
def test_only_more_than_the_percentage_holds(
    rated_minor: int, total: str, percent: str, held: bool
) -> None:
    assert opinion(rated(rated_minor), total, total, percent=percent).held is held


def test_the_same_total_of_other_lines_is_a_difference_that_never_holds() -> None:
    other = opinion(rated(100, 200), "3.00", "2.00", "1.00", percent="0")
    assert not other.agrees
    assert not other.held
    assert other.other_lines == ("line0", "line1")


def test_a_line_that_is_not_ours_is_a_difference_and_not_kept() -> None:
    stranger = opinion(rated(100), "1.00", "1.00", extra="x\x00y")
    assert stranger.other_lines == ("…",)
    assert "x" not in str(stranger.to_json()["lines"])


@pytest.mark.parametrize(
    ("currency", "minor", "total", "agrees"),
    [("JPY", 540, "540", True), ("KWD", 1234, "1.234", True), ("KWD", 1230, "1.23", True)],
)
def test_currencies_have_their_own_decimals(
    currency: str, minor: int, total: str, agrees: bool
) -> None:
    assert opinion(rated(minor, currency=currency), total, total).agrees is agrees


@pytest.mark.parametrize("total", ["", "₹5", "1,234.50", "1e3", "NaN", "5.005", "5." * 40, "９"])
def test_what_is_no_amount_is_no_answer(total: str) -> None:
    with pytest.raises(NoAiAnswer, match="could not be read"):
        opinion(rated(500), total, "5.00")
    with pytest.raises(NoAiAnswer, match="could not be read"):
        opinion(rated(500), "5.00", total)
