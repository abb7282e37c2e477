"""What a dunning policy must be, and the sentence for each mistake."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.dunning.rules import (
    InvalidPolicy,
    check_policy,
    day_in_words,
    percent_bp,
    percent_text,
    step_of,
)
from services.languages.language import Language
from services.records.dunning.policy import DunningPolicy, LateFee, PolicyStep, StepAction

TODAY = date(2026, 12, 2)
LADDER: tuple[tuple[StepAction, int], ...] = (
    ("reminder", -3),
    ("reminder", 0),
    ("overdue", 1),
    ("demand", 7),
    ("demand", 14),
    ("notice", 21),
    ("disconnection", 36),
)
FEE = LateFee(fixed_minor=5_000, percent_bp=150, cap_minor=20_000, grace_days=5, tax_bp=1_800)


def steps(*given: tuple[StepAction, int], fee_on: int | None = None) -> tuple[PolicyStep, ...]:
    return tuple(step_of(action, day, fee=day == fee_on) for action, day in given)


def policy(**changes: Any) -> DunningPolicy:
    usual: dict[str, Any] = {"id": "p", "currency": "INR", "version": 1, "valid_from": TODAY}
    usual |= {"minimum_minor": 100, "notice_days": 15, "steps": steps(*LADDER)}
    return DunningPolicy(**usual | changes)


def problems(**changes: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidPolicy) as refused:
        check_policy(policy(**changes), today=TODAY)
    return refused.value.problems


def test_a_whole_ladder_is_fine_with_and_without_a_late_fee() -> None:
    check_policy(policy(), today=TODAY)
    check_policy(policy(steps=steps(*LADDER, fee_on=7), late_fee=FEE), today=TODAY)
    assert [step.key for step in policy().steps][:4] == [
        *("reminder-3", "reminder+0", "overdue", "demand+7"),
    ]


def test_steps_that_overlap_or_stand_in_no_order_are_named() -> None:
    assert problems(steps=steps(("overdue", 1), ("demand", 7), ("demand", 7))) == (
        "Steps 2 and 3 overlap: both are 7 days after the due date.",
    )
    assert problems(steps=steps(("overdue", 1), ("demand", 14), ("demand", 7))) == (
        (
            "Step 3 (demand) is on day +7, before step 2 on day +14: put the steps in the order of "
            "their days."
        ),
    )
    assert "the overdue notice is the first step after the due date" in " ".join(
        problems(steps=steps(("demand", 2), ("overdue", 5)))
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "has one step at least"),
        ([("demand", day) for day in range(1, 14)], "at most 12 steps"),
        ([("reminder", 2)], "before the due date or on it"),
        ([("overdue", 0)], "nothing is overdue before the day after"),
        ([("reminder", -61)], "from 60 days before"),
        ([("demand", 366)], "365 days after it"),
        ([("notice", 10), ("notice", 20)], "one disconnection notice at most, not 2"),
        ([("disconnection", 30)], "without a disconnection notice before"),
        ([("notice", 10), ("disconnection", 30), ("demand", 40)], "is the last step"),
    ],
)
def test_each_mistake_has_its_sentence(given: list[tuple[StepAction, int]], said: str) -> None:
    assert said in " ".join(problems(steps=steps(*given)))


def test_a_notice_shorter_than_the_law_s_wait_is_refused_with_the_first_day_that_would_do() -> None:
    short = steps(("overdue", 1), ("notice", 21), ("disconnection", 28))
    assert problems(steps=short) == (
        (
            "Step 3 (disconnection order) is 7 days after the notice; the law's wait is 15 days. "
            "Put it on day +36 or later."
        ),
    )
    exactly = steps(("overdue", 1), ("notice", 21), ("disconnection", 36))
    check_policy(policy(steps=exactly), today=TODAY)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fixed_minor": 20_001}, "The late fee of ₹200.01 is above its cap of ₹200.00."),
        ({"cap_minor": 0}, "at most for one debt"),
        ({"fixed_minor": 0, "percent_bp": 0}, "an amount, a percentage"),
        ({"grace_days": 7}, "within the grace of 7 days"),
        ({"grace_days": 91}, "The grace is 0 to 90 days."),
        ({"tax_bp": 10_001}, "nor above 100 %"),
    ],
)
def test_a_late_fee_that_cannot_be_is_refused(changed: dict[str, int], said: str) -> None:
    fee = FEE.model_copy(update=changed)
    found = problems(steps=steps(*LADDER, fee_on=7), late_fee=fee)
    assert said in " ".join(found)


def test_a_fee_without_a_step_and_a_step_without_a_fee_are_refused() -> None:
    assert problems(late_fee=FEE) == ("No step charges the late fee: say which one does.",)
    assert problems(steps=steps(*LADDER, fee_on=14)) == (
        "Step 5 (demand): it charges the late fee, and there is none.",
    )


def test_a_policy_changes_nothing_in_the_past() -> None:
    assert problems(valid_from=TODAY - timedelta(days=1)) == (
        "A policy holds from 2 Dec 2026, today, at the earliest.",
    )
    assert "0 or more" in problems(minimum_minor=-1)[0]
    assert "1 to 365 days" in problems(notice_days=0)[0]


def test_percentages_are_typed_with_two_decimals_at_most() -> None:
    assert [percent_bp(text, "tax") for text in ("1.5", "18 %", "", "100", "0.05")] == [
        *(150, 1800, 0, 10_000, 5),
    ]
    for text in ("1.555", "-1", "100.01", "a"):
        with pytest.raises(InvalidPolicy, match="The tax is a percentage"):
            percent_bp(text, "tax")
    assert [percent_text(bp) for bp in (150, 1800, 5, 0)] == ["1.5", "18", "0.05", "0"]


def test_days_in_words() -> None:
    assert [day_in_words(day) for day in (-3, -1, 0, 1, 7)] == [
        *("3 days before the due date", "1 day before the due date", "on the due date"),
        *("1 day after the due date", "7 days after the due date"),
    ]


def test_what_is_wrong_is_said_in_other_languages_too() -> None:
    overlap = problems(steps=steps(("overdue", 1), ("demand", 7), ("demand", 7)))
    assert [Language.of(tag).say(overlap[0]) for tag in ("es", "ar")] == [
        "Los pasos 2 y 3 coinciden: ambos son 7 días después del vencimiento.",
        "الخطوتان 2 و3 متداخلتان: كلتاهما بعد تاريخ الاستحقاق بـ7 أيام.",
    ]
    every = (
        *problems(valid_from=TODAY - timedelta(1), minimum_minor=-1, notice_days=0, steps=()),
        *problems(steps=steps(("overdue", 0), ("overdue", 5), ("reminder", 400), ("demand", 400))),
        *problems(steps=steps(("overdue", 1), ("notice", 2), ("disconnection", 9), ("demand", 20))),
        *problems(steps=steps(("overdue", 1), ("disconnection", 9), fee_on=1)),
        *problems(late_fee=FEE.model_copy(update={"fixed_minor": 30_000, "grace_days": 99})),
        *problems(
            late_fee=LateFee(fixed_minor=0, percent_bp=0, cap_minor=0, grace_days=0, tax_bp=-1)
        ),
    )
    assert len(every) > 15
    assert [one for one in every if Language.of("es").say(one) == one] == []
