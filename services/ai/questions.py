"""What is sent to AI about a reading, a bill or a message: the least that it needs.

No name, phone, address, account or serial number, and no text that a customer or engineer wrote.
"""

from collections.abc import Collection, Mapping
from datetime import date
from itertools import pairwise
from typing import Any

from babel import Locale, UnknownLocaleError

from services.ai.placeholders import PLACEHOLDERS
from services.metering.outcomes import Validation
from services.metering.register_arithmetic import consumption_wh
from services.quantities.energy import format_kwh
from services.quantities.money import exponent, scaled_text
from services.quantities.period import Period
from services.records.bills import NewBill
from services.records.readings import ReadPoint
from services.records.submissions import ReadingContext
from services.records.tariffs import TariffVersion

Json = dict[str, Any]

# Of a year's past reads the last few say most; a meter that is read daily has hundreds.
MOST_READS = 60
# A charge's description is the utility's own words for people, and is not needed for its price.
_NOT_NEEDED = ("description", "tax")
# What the prompt says how to compute; a tariff that has more would only be computed wrongly.
_COMPUTED = {
    "energy": {"rate", "slabs", "slab_limits_per", "print"},
    "fixed": {"amount", "per", "proration"},
    "percent": {"percent", "of"},
}
_OF_EVERY_CHARGE = {"code", "description", "kind", "tax"}
_OF_TARIFF = {"code", "name", "currency", "effective_from", "source", "charges"}


def about_reading(
    *, context: ReadingContext, register_wh: int, read_on: date, validation: Validation
) -> Json:
    """A reading with its history and the rules' outcomes; registers in kWh before the multiplier,
    `used_kwh` after it.
    """
    history = context.history[-MOST_READS:]
    return {
        "reading": _read(ReadPoint(register_wh=register_wh, read_on=read_on)),
        "last_reading": _read(context.last_read.point) if context.last_read else None,
        "next_reading": _read(context.next_read.point) if context.next_read else None,
        "history": [_read(point) for point in history],
        "past_use": _uses(context, history),
        "digits": context.meter.dials,
        "multiplier": scaled_text(context.meter.multiplier_milli, places=3, trim=True),
        "rules": [found.to_json() for found in validation.outcomes],
    }


def about_dial(*, dials: int) -> Json:
    """What is sent beside a photo; what was typed is not, so that it cannot be repeated."""
    return {"digits": dials}


def is_computed(version: TariffVersion) -> bool:
    """Whether the prompt about bills covers all that a tariff has."""
    tariff = version.tariff.to_json()
    if tariff.get("billing_period", {}).get("beyond") is None:
        # Which bills a person issues changes no amount.
        tariff.pop("billing_period", None)
    plain = tariff.pop("rounding", "half_up") == "half_up" and tariff.keys() <= _OF_TARIFF
    return plain and all(
        charge["kind"] in _COMPUTED
        and charge.keys() <= _OF_EVERY_CHARGE | _COMPUTED[charge["kind"]]
        and charge.get("slab_limits_per") != "kw"
        for charge in tariff["charges"]
    )


def about_bill(*, bill: NewBill, version: TariffVersion) -> Json:
    """What a bill is computed from: energy, period and charges, but nothing of the result."""
    period = Period(bill.opening.read_on, bill.closing.read_on)
    tariff = version.tariff.to_json()
    return {
        "consumption_kwh": format_kwh(bill.consumption_wh),
        "period_start": period.start.isoformat(),
        "period_end": period.end.isoformat(),
        "days": period.days,
        "months": str(period.months()),
        "currency": bill.rated.currency,
        "decimals": exponent(bill.rated.currency),
        "charges": [_without(charge, _NOT_NEEDED) for charge in tariff["charges"]],
    }


def about_message(
    *, occasion: str, language: str, offered: Collection[str], required: Collection[str], most: int
) -> Json:
    """What a message is to say; of the bill and the customer nothing at all."""
    return {
        "occasion": occasion,
        "language": language_name(language),
        "placeholders": {name: PLACEHOLDERS[name] for name in PLACEHOLDERS if name in offered},
        "required": sorted(required),
        "most_characters": most,
    }


def language_name(language: str) -> str:
    """The English name of a language tag: "ml" or "ml-IN" -> "Malayalam"; English if not known."""
    return locale_of(language).get_language_name("en") or "English"


def locale_of(language: str) -> Locale:
    """How dates are written in a language; English where the tag says nothing."""
    try:
        return Locale.parse(language.replace("-", "_"))
    except (ValueError, TypeError, UnknownLocaleError):
        return Locale("en")


def _read(point: ReadPoint) -> Json:
    return {"date": point.read_on.isoformat(), "kwh": format_kwh(point.register_wh)}


def _uses(context: ReadingContext, history: Collection[ReadPoint]) -> list[Json]:
    """Use between the reads, so that nobody has to subtract: {"from", "to", "used_kwh"}."""
    return [
        {
            "from": before.read_on.isoformat(),
            "to": after.read_on.isoformat(),
            "used_kwh": format_kwh(
                consumption_wh(
                    opening_wh=before.register_wh,
                    closing_wh=after.register_wh,
                    dials=context.meter.dials,
                    multiplier_milli=context.meter.multiplier_milli,
                )
            ),
        }
        for before, after in pairwise(history)
    ]


def _without(row: Mapping[str, Any], names: Collection[str]) -> Json:
    return {name: value for name, value in row.items() if name not in names}
