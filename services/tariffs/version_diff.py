"""What changed from one version of a tariff to another, charge by charge, in words and numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

from services.quantities.money import MINUS, decimal_text, round_half_up, scaled_text
from services.tariffs import Charge, Tariff, exact
from services.tariffs.describe import (
    Fact,
    billing_period_in_words,
    charge_facts,
    day_in_words,
    months_in_words,
    net_metering_in_words,
)
from services.tariffs.values import MONTHS, day_of_year_in_words, in_words

Status = Literal["same", "changed", "added", "removed"]

_DAYS: Final = {"weekday": "weekdays", "weekend": "weekends", "holiday": "holidays"}
_MODES: Final = {
    "half_up": "half up",
    "half_even": "half to even",
    "down": "down (toward zero)",
    "up": "up (away from zero)",
}


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact in both versions; None where one has it not."""

    label: str
    before: Fact | None
    after: Fact | None

    @property
    def status(self) -> Status:
        """Whether it is the same in both."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "same" if self.before.text == self.after.text else "changed"

    @property
    def difference(self) -> str | None:
        """The difference of the numbers, such as "+0.25 (+7.9%)"; None where there is none."""
        if not (self.before and self.after and self.before.number and self.after.number):
            return None
        return difference_in_words(self.before.number, self.after.number)


@dataclass(frozen=True, slots=True)
class ChargeChange:
    """A charge in both versions, or in one of them."""

    code: str
    title: str
    status: Status
    facts: tuple[FactChange, ...]


@dataclass(frozen=True, slots=True)
class TariffChanges:
    """Two versions side by side: the charges in the order of the later one, then all else."""

    charges: tuple[ChargeChange, ...]
    rest: tuple[FactChange, ...]

    def count(self, status: Status) -> int:
        """How many charges are so."""
        return sum(charge.status == status for charge in self.charges)

    @property
    def nothing(self) -> bool:
        """Whether both versions charge the same."""
        same = all(fact.status == "same" for fact in self.rest)
        return same and self.count("same") == len(self.charges)


def changes(before: Tariff, after: Tariff) -> TariffChanges:
    """Compare two versions: their charges by code, and what holds for the whole tariff."""
    old = {charge.code: charge for charge in before.charges}
    new = {charge.code: charge for charge in after.charges}
    charges = [_charge_change(old.get(code), charge) for code, charge in new.items()]
    charges += [_charge_change(charge, None) for code, charge in old.items() if code not in new]
    kept_before = [code for code in old if code in new]
    kept_after = [code for code in new if code in old]
    order = (
        (Fact("Order of the charges", ", ".join(kept_before)),),
        (Fact("Order of the charges", ", ".join(kept_after)),),
    )
    moved = _paired(*order) if kept_before != kept_after else []
    return TariffChanges(
        tuple(charges), tuple(_paired(tariff_facts(before), tariff_facts(after)) + moved)
    )


def difference_in_words(before: str, after: str) -> str | None:
    """From one decimal to another: "+0.25 (+7.9%)"; None where they are equal."""
    change = exact(after) - exact(before)
    if not change:
        return None
    places = max(len(text.partition(".")[2]) for text in (before, after))
    amount = f"{'+' if change > 0 else MINUS}{decimal_text(abs(change), least_places=places)}"
    percent = percent_in_words(exact(before), exact(after))
    return f"{amount} ({percent})" if percent else amount


def percent_in_words(before: Fraction | int, after: Fraction | int) -> str | None:
    """By how many percent a number changes: "+7.9%"; None where it was 0."""
    if not before:
        return None
    change = Fraction(after - before) / before
    percent = scaled_text(round_half_up(abs(change) * 1000), places=1)
    return f"{MINUS if change < 0 else '+'}{percent}%"


def tariff_facts(tariff: Tariff) -> tuple[Fact, ...]:
    """What holds for the whole tariff: rounding, months, days and hours."""
    written = tariff.model_dump(mode="json", by_alias=True, exclude_none=True)
    return tuple(_tariff_facts(written, tariff))


def _charge_change(before: Charge | None, after: Charge | None) -> ChargeChange:
    facts = _paired(
        charge_facts(before) if before else (),
        charge_facts(after) if after else (),
    )
    known = after or before
    assert known is not None  # noqa: S101 - one of the two is given
    status: Status = "same" if before == after else "changed"
    if before is None or after is None:
        status = "added" if before is None else "removed"
    return ChargeChange(known.code, known.description, status, tuple(facts))


def _paired(before: Sequence[Fact], after: Sequence[Fact]) -> list[FactChange]:
    """Facts of the same label side by side, in the order of the later version."""
    old = {fact.label: fact for fact in before}
    new = {fact.label: fact for fact in after}
    pairs = [FactChange(label, old.get(label), fact) for label, fact in new.items()]
    return pairs + [FactChange(label, old[label], None) for label in old if label not in new]


def _tariff_facts(written: Mapping[str, Any], tariff: Tariff) -> Iterator[Fact]:
    yield Fact("Name", tariff.name)
    yield Fact("Currency", tariff.currency)
    if tariff.source:
        yield Fact("Source", tariff.source)
    if tariff.net_metering:
        yield Fact("Net metering", net_metering_in_words(written["net_metering"]))
    yield from _rounding(written.get("rounding", "half_up"))
    yield from _lengths(written)
    if tariff.whole_kwh:
        yield Fact("Energy is billed in", "whole kWh")
    if tariff.holidays is not None:
        days = ", ".join(map(day_in_words, written["holidays"]))
        yield Fact("Holidays", days or "none")
    for name, season in sorted(written.get("seasons", {}).items()):
        first, last = (day_of_year_in_words(season[end]) for end in ("from", "to"))
        yield Fact(f"Season {in_words(name)}", f"{first} to {last}")
    for name, calendar in sorted((tariff.calendars or {}).items()):
        windows = written["calendars"][name]["periods"]
        for period in calendar.period_names:
            words = "; ".join(map(_window, windows[period])) or "never"
            yield Fact(f"Calendar {in_words(name)}, {in_words(period)}", words)
        order = ", ".join(map(in_words, calendar.period_names))
        yield Fact(f"Calendar {in_words(name)}, on the bill", order)


def _lengths(written: Mapping[str, Any]) -> Iterator[Fact]:
    if "months" in written:
        yield Fact("Months are", months_in_words(written["months"]))
    if "billing_period" in written:
        yield Fact("A bill is for", billing_period_in_words(written["billing_period"]))


def _rounding(rule: Any) -> Iterator[Fact]:
    if rule == "half_up":
        yield Fact("Lines are rounded", "half up to the smallest amount")
        return
    lines = rule.get("lines", {"mode": "half_up"})
    yield Fact("Lines are rounded", "not at all" if lines == "none" else _round_to(lines))
    if total := rule.get("total"):
        forward = ", the rest is carried forward" if total["carry_forward"] else ""
        yield Fact("The total is rounded", _round_to(total) + forward)


def _round_to(rule: Mapping[str, Any]) -> str:
    return f"{_MODES[rule['mode']]} to {rule.get('to', 'the smallest amount')}"


def _window(window: Mapping[str, Any]) -> str:
    words = [" and ".join(_DAYS[day] for day in window["days"])] if "days" in window else []
    begin, end = window["from"], window["to"]
    words.append("all day" if (begin, end) == ("00:00", "24:00") else f"{begin} to {end}")
    if "seasons" in window:
        words.append("in " + " and ".join(map(in_words, window["seasons"])))
    if "months" in window:
        words.append("in " + ", ".join(MONTHS[month - 1] for month in window["months"]))
    return " ".join(words)
