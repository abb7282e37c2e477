"""An amount in parts: equal ones, or dates and amounts as somebody typed them."""

import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.languages.sentence import sentence, sentence_of
from services.quantities.money import InvalidMoney, Money
from services.quantities.typed import typed_money
from services.records.entries import PlanPart

MOST_PARTS = 60
_DAY_AND_AMOUNT: Final = re.compile(r"([^\s,;]+)[\s,;]+(.+)")
_A_LINE = "2026-12-31 500.00"


class UnusablePlan(ValueError):
    """These parts are no plan; the sentence says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Part:
    """One instalment: minor units, due on a local date."""

    due_on: date
    amount_minor: int

    @property
    def entry(self) -> PlanPart:
        """As a plan is entered with it."""
        return PlanPart(due_on=self.due_on, amount_minor=self.amount_minor)


def equal_parts(*, total_minor: int, parts: int, first_on: date) -> tuple[Part, ...]:
    """`parts` equal parts a month apart; what does not divide is in the first. UnusablePlan."""
    if not 1 < parts <= MOST_PARTS:
        raise UnusablePlan(sentence("A plan has 2 to {most} instalments.", most=MOST_PARTS))
    each, rest = divmod(total_minor, parts)
    if each < 1:
        raise UnusablePlan(sentence("There is too little to pay for so many instalments."))
    return tuple(
        Part(months_later(first_on, n), each + (rest if n == 0 else 0)) for n in range(parts)
    )


def typed_parts(text: str, *, currency: str) -> tuple[Part, ...]:
    """Lines such as "2026-12-31 500.00", in any order; raises UnusablePlan with the line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or len(lines) > MOST_PARTS:
        raise UnusablePlan(
            sentence(
                "Write 1 to {most} lines, each a date and an amount, such as {example}.",
                most=MOST_PARTS,
                example=_A_LINE,
            )
        )
    return tuple(sorted((_part(line, currency) for line in lines), key=lambda p: p.due_on))


def check_parts(parts: Sequence[Part], *, total: Money, today: date) -> None:
    """That the parts are in the future and add up to `total`; raises UnusablePlan."""
    past = [part for part in parts if part.due_on < today]
    if past:
        raise UnusablePlan(
            sentence("An instalment cannot be due before today: {day}.", day=past[0].due_on)
        )
    sum_of = Money(sum(part.amount_minor for part in parts), total.currency)
    if sum_of != total:
        raise UnusablePlan(
            sentence(
                "The instalments come to {sum}; to pay is {total}.",
                sum=sum_of,
                total=total,
            )
        )


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last: 31 Jan, 1 -> 28 Feb."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def _part(line: str, currency: str) -> Part:
    words = _DAY_AND_AMOUNT.fullmatch(line)
    if words is None:
        raise UnusablePlan(
            sentence(
                "{typed} is not a date and an amount, such as {example}.",
                typed=repr(line[:60]),
                example=_A_LINE,
            )
        )
    try:
        due_on = date.fromisoformat(words[1])
    except ValueError:
        raise UnusablePlan(
            sentence("{typed} is not a date such as 2026-12-31.", typed=repr(words[1][:30]))
        ) from None
    try:
        amount = typed_money(words[2], currency=currency)
    except InvalidMoney as error:
        raise UnusablePlan(sentence_of(error)) from None
    if amount.minor <= 0:
        raise UnusablePlan(sentence("{typed}: an instalment is above 0.", typed=repr(line[:60])))
    return Part(due_on, amount.minor)
