"""The lines of bills in a customer's language: their names, bounds and notes.

A bill keeps the words of its tariff. What a tariff names in other languages itself comes first
(docs/tariff-format.md); then the names that are usual in the trade, from the catalogues; and what
rating adds (bounds of slabs, shares of days) is said again. Everything else stays as it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from babel.dates import format_date

from services.languages.language import Language
from services.languages.sentence import P_

_CHARGE: Final = "charge"
# The usual names, which a tariff of any utility may have.
USUAL: Final = (
    P_("charge", "Energy"),
    P_("charge", "Energy charge"),
    P_("charge", "Fixed charge"),
    P_("charge", "Fixed charge per kW"),
    P_("charge", "Standing charge"),
    P_("charge", "Customer charge"),
    P_("charge", "Service charge"),
    P_("charge", "Service and facility charge"),
    P_("charge", "Demand charge"),
    P_("charge", "Minimum charge"),
    P_("charge", "To the minimum of the month"),
    P_("charge", "To the minimum charge for the connected load"),
    P_("charge", "Meter rent"),
    P_("charge", "Supply"),
    P_("charge", "Fuel surcharge"),
    P_("charge", "Surcharge"),
    P_("charge", "Pension trust surcharge"),
    P_("charge", "Power factor"),
    P_("charge", "Power factor surcharge"),
    P_("charge", "Reactive energy"),
    P_("charge", "Power cost"),
    P_("charge", "Running charge"),
    P_("charge", "Membership"),
    P_("charge", "Rounding"),
    P_("charge", "Brought forward from the last bill"),
    P_("charge", "Carried forward to the next bill"),
    P_("charge", "Subsidy"),
    P_("charge", "Discount"),
    P_("charge", "Surplus paid out"),
    P_("charge", "Surplus of the year"),
    P_("charge", "Tax"),
    P_("charge", "Duty"),
    P_("charge", "Electricity duty"),
    P_("charge", "Electricity tax"),
    P_("charge", "Sales tax"),
    P_("charge", "City sales tax"),
    P_("charge", "VAT"),
    P_("charge", "Tax on meter rent"),
    P_("charge", "Cess on meter rent"),
    P_("charge", "of the energy charge"),
    P_("charge", "imported less exported"),
    P_("charge", "paid out"),
    P_("charge", "peak"),
    P_("charge", "off peak"),
    P_("charge", "night"),
    P_("charge", "day"),
    P_("charge", "shoulder"),
    P_("charge", "normal"),
)
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_DAYS_IN_MONTH: Final = rf"(?P<days>{_NUMBER}) of (?P<all>{_NUMBER}) days in (?P<month>[A-Z][a-z]+)"
_UNIT: Final = r"k(?:Wh|W|VAh|VA|VArh|VAr)"
# What rating writes beside a name (services/rating/lines.py, proration.py), as it is said.
_SAID: Final = tuple(
    (re.compile(written), said)
    for written, said in (
        (
            rf"(?P<start>{_NUMBER}) to (?P<end>{_NUMBER}) (?P<unit>{_UNIT})",
            P_("charge", "{start} to {end} {unit}"),
        ),
        (rf"above (?P<start>{_NUMBER}) (?P<unit>{_UNIT})", P_("charge", "above {start} {unit}")),
        (rf"all (?P<unit>{_UNIT})", P_("charge", "all {unit}")),
        (
            rf"(?P<percent>{_NUMBER})% of the energy charge",
            P_("charge", "{percent}% of the energy charge"),
        ),
        (
            rf"(?P<percent>{_NUMBER})% of fixed and energy charges",
            P_("charge", "{percent}% of fixed and energy charges"),
        ),
        (
            rf"(?P<days>{_NUMBER}) of (?P<all>{_NUMBER}) days of the bill",
            P_("charge", "{days} of {all} days of the bill"),
        ),
        (
            _DAYS_IN_MONTH,
            P_("charge", "{days} of {all} days in {month}"),
        ),
        (
            rf"(?P<days>{_NUMBER}) of (?P<all>{_NUMBER}) days that a bill is for",
            P_("charge", "{days} of {all} days that a bill is for"),
        ),
        (rf"(?P<days>{_NUMBER}) of (?P<all>{_NUMBER}) days", P_("charge", "{days} of {all} days")),
        (rf"rounded to (?P<months>{_NUMBER}) months?", P_("charge", "rounded to {months} months")),
        (
            rf"(?P<months>{_NUMBER}) months? of the year",
            P_("charge", "{months} months of the year"),
        ),
        (rf"(?P<years>{_NUMBER}) years?", P_("charge", "{years} years")),
        (rf"(?P<months>{_NUMBER}) months?", P_("charge", "{months} months")),
        (rf"(?P<bills>{_NUMBER}) bills?", P_("charge", "{bills} bills")),
        (rf"(?P<days>{_NUMBER}) days?", P_("charge", "{days} days")),
        (r"a month being 365 ÷ 12 days", P_("charge", "a month being 365 ÷ 12 days")),
        (r"limits of the slabs for (?P<scale>.+)", P_("charge", "limits of the slabs for {scale}")),
        (rf"(?P<quantity>{_NUMBER}) (?P<unit>{_UNIT})", P_("charge", "{quantity} {unit}")),
        (
            rf"measured (?P<quantity>{_NUMBER}) (?P<unit>{_UNIT})",
            P_("charge", "measured {quantity} {unit}"),
        ),
        (
            rf"(?P<percent>{_NUMBER})% of the highest of (?P<months>{_NUMBER}) months?",
            P_("charge", "{percent}% of the highest of {months} months"),
        ),
        (
            rf"at least (?P<quantity>{_NUMBER}) (?P<unit>{_UNIT})",
            P_("charge", "at least {quantity} {unit}"),
        ),
        (
            rf"to (?P<quantity>{_NUMBER}) (?P<unit>{_UNIT})",
            P_("charge", "rounded to {quantity} {unit}"),
        ),
        (
            rf"above (?P<start>{_NUMBER}) (?P<unit>{_UNIT}) for each kW",
            P_("charge", "above {start} {unit} for each kW"),
        ),
        (
            (
                rf"(?P<percent>{_NUMBER})% of an amount that contains it: × {_NUMBER} ÷ "
                rf"(?P<rest>{_NUMBER})"
            ),
            P_("charge", "{percent}% of an amount that contains it: × {percent} ÷ {rest}"),
        ),
        (rf"power factor (?P<factor>{_NUMBER})", P_("charge", "power factor {factor}")),
        (rf"target (?P<factor>{_NUMBER})", P_("charge", "target {factor}")),
        (
            rf"a minimum of (?P<least>{_NUMBER}) less (?P<charged>{_NUMBER}) charged",
            P_("charge", "a minimum of {least} less {charged} charged"),
        ),
        (r"at most this amount", P_("charge", "at most this amount")),
    )
)
# How often an amount for each kW is due, and the days behind that.
_TIMES: Final = re.compile(r"× (?P<often>[^()]+?)(?: \((?P<days>.+)\))?")
_NEXT_PART: Final = re.compile(r", (?![^(]*\))")
_MONTHS: Final = {f"{date(2026, number, 1):%B}": date(2026, number, 1) for number in range(1, 13)}


@dataclass(frozen=True, slots=True)
class ChargeName:
    """What a tariff calls a charge, by its code and description, in a customer's language."""

    code: str
    description: str
    name: str


class Named(Protocol):
    """A line of a bill, or a tax of several."""

    @property
    def code(self) -> str:
        """The charge."""
        ...

    @property
    def description(self) -> str:
        """In the words of the tariff and of rating."""
        ...


def line_name(line: Named, language: Language, names: Sequence[ChargeName] = ()) -> str:
    """What a line is for, in a language; `names` are those that its tariff has in it."""
    for own in names:
        if own.code == line.code and _begins(line.description, own.description):
            rest = line.description[len(own.description) :].removeprefix(", ")
            return _listed([own.name, *_parts(rest, language)], language)
    return _listed(_parts(line.description, language), language)


def line_note(note: str, language: Language) -> str:
    """What else a line's amount follows from, in a language."""
    said = (_listed(_parts(part, language), language) for part in note.split("; "))
    return "; ".join(said)


def _begins(text: str, start: str) -> bool:
    return text == start or text.startswith(f"{start}, ")


def _parts(text: str, language: Language) -> list[str]:
    if not text:
        return []
    whole = _usual(text, language)
    if whole != text or language.tag == "en":
        return [whole]
    return [_part(part, language) for part in _NEXT_PART.split(text)]


def _part(part: str, language: Language) -> str:
    if times := _TIMES.fullmatch(part):
        days = times["days"]
        said = f"× {_part(times['often'], language)}"
        return f"{said} ({_listed(_parts(days, language), language)})" if days else said
    for written, said in _SAID:
        if found := written.fullmatch(part):
            return language.pgettext(_CHARGE, said, **_values(found.groupdict(), language))
    return _usual(part, language)


def _values(found: Mapping[str, str], language: Language) -> dict[str, str]:
    """The parts of a phrase as the language writes them."""
    values = {}
    for name, value in found.items():
        if name == "month" and value in _MONTHS:
            values[name] = format_date(_MONTHS[value], "LLLL", locale=language.locale)
        elif name == "scale":
            values[name] = _part(value, language)
        else:
            values[name] = value if name in {"unit", "month"} else language.number(value)
    return values


def _usual(text: str, language: Language) -> str:
    return language.pgettext(_CHARGE, text) if text in USUAL else text


def _listed(parts: list[str], language: Language) -> str:
    return ("، " if language.is_right_to_left else ", ").join(parts)
