"""What changed from one version of a tariff to another, charge by charge, in words and numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

from services.languages.sentence import N_, Sentence, joined, joined_by_and, sentence
from services.languages.writing import Month
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
from services.tariffs.values import day_of_year_in_words, in_words

Status = Literal["same", "changed", "added", "removed"]

_DAYS: Final = {"weekday": N_("weekdays"), "weekend": N_("weekends"), "holiday": N_("holidays")}
_MODES: Final = {
    "half_up": N_("half up"),
    "half_even": N_("half to even"),
    "down": N_("down (toward zero)"),
    "up": N_("up (away from zero)"),
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
        (Fact(sentence("Order of the charges"), ", ".join(kept_before)),),
        (Fact(sentence("Order of the charges"), ", ".join(kept_after)),),
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
    yield Fact(sentence("Name"), tariff.name)
    yield Fact(sentence("Currency"), tariff.currency)
    if tariff.source:
        yield Fact(sentence("Source"), tariff.source)
    if tariff.net_metering:
        yield Fact(sentence("Net metering"), net_metering_in_words(written["net_metering"]))
    yield from _rounding(written.get("rounding", "half_up"))
    yield from _lengths(written)
    if tariff.whole_kwh:
        yield Fact(sentence("Energy is billed in"), sentence("whole kWh"))
    if tariff.holidays is not None:
        days = joined(map(day_in_words, written["holidays"]))
        yield Fact(sentence("Holidays"), days or sentence("none"))
    for name, season in sorted(written.get("seasons", {}).items()):
        first, last = (day_of_year_in_words(season[end]) for end in ("from", "to"))
        label = sentence("Season {season}", season=in_words(name))
        yield Fact(label, sentence("{first} to {last}", first=first, last=last))
    for name, calendar in sorted((tariff.calendars or {}).items()):
        windows = written["calendars"][name]["periods"]
        for period in calendar.period_names:
            words = joined(map(_window, windows[period]), "; ") or sentence("never")
            label = sentence(
                "Calendar {calendar}, {period}", calendar=in_words(name), period=in_words(period)
            )
            yield Fact(label, words)
        order = ", ".join(map(in_words, calendar.period_names))
        yield Fact(sentence("Calendar {calendar}, on the bill", calendar=in_words(name)), order)


def _lengths(written: Mapping[str, Any]) -> Iterator[Fact]:
    if "months" in written:
        yield Fact(sentence("Months are"), months_in_words(written["months"]))
    if "billing_period" in written:
        yield Fact(sentence("A bill is for"), billing_period_in_words(written["billing_period"]))


def _rounding(rule: Any) -> Iterator[Fact]:
    if rule == "half_up":
        yield Fact(sentence("Lines are rounded"), _round_to({"mode": "half_up"}))
        return
    lines = rule.get("lines", {"mode": "half_up"})
    rounded = sentence("not at all") if lines == "none" else _round_to(lines)
    yield Fact(sentence("Lines are rounded"), rounded)
    if total := rule.get("total"):
        rounded = _round_to(total)
        if total["carry_forward"]:
            rounded = sentence("{rounded}, the rest is carried forward", rounded=rounded)
        yield Fact(sentence("The total is rounded"), rounded)


def _round_to(rule: Mapping[str, Any]) -> Sentence:
    named = rule["mode"]
    mode = sentence(_MODES[named])
    if "to" not in rule:
        return sentence("{mode} to the smallest amount", mode=mode)
    return sentence("{mode} to {step}", mode=mode, step=rule["to"])


def _window(window: Mapping[str, Any]) -> Sentence:
    words: list[object] = []
    if "days" in window:
        words.append(joined_by_and([sentence(_DAYS[day]) for day in window["days"]]))
    begin, end = window["from"], window["to"]
    if (begin, end) == ("00:00", "24:00"):
        words.append(sentence("all day"))
    else:
        words.append(sentence("{first} to {last}", first=begin, last=end))
    if "seasons" in window:
        seasons = joined_by_and([*map(in_words, window["seasons"])])
        words.append(sentence("in {seasons}", seasons=seasons))
    if "months" in window:
        words.append(sentence("in {months}", months=joined(map(Month, window["months"]))))
    return joined(words, " ")
