"""The further registers of a meter: what each name measures, and which ones a read must have.

A register is named by what it counts: a period of the tariff ("peak": kWh imported in it),
"export", "export:peak", "kvah", "kvah:peak", "kvarh"; or by the maximum since the last read, after
which it is reset: "max_kw", "max_kva", "max_kvar", "max_kw:peak", "max_kva:peak". Names are in
lower case. Values are whole Wh (VAh, varh), or W (VA, var) of a maximum, before the multiplier.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from services.languages.sentence import N_, nsentence, sentence, sentence_of
from services.quantities.energy import InvalidEnergy, parse_kwh
from services.quantities.typed import plain_kwh

IMPORT: Final = "import"
_UNITS: Final = {
    IMPORT: "kWh",
    "export": "kWh",
    "kvah": "kVAh",
    "kvarh": "kVArh",
    "max_kw": "kW",
    "max_kva": "kVA",
    "max_kvar": "kVAr",
}
_CALLED: Final = {
    "export": N_("Export"),
    "kvah": N_("Apparent energy"),
    "kvarh": N_("Reactive energy"),
}
_MAXIMUM: Final = N_("Maximum demand")
# The usual periods of tariffs; others keep their names.
_PERIODS: Final = (
    N_("Peak"),
    N_("Off peak"),
    N_("Normal"),
    N_("peak"),
    N_("off peak"),
    N_("normal"),
)
_BY_PERIOD: Final = ("export", "kvah", "max_kw", "max_kva")
_PERIOD: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_LONGEST: Final = 80
_MOST: Final = 40


class WrongRegisters(ValueError):
    """These are no registers, or not those of the meter; the message names the one."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a register measures: a quantity, in all or within a period of the tariff."""

    name: str
    quantity: str
    period: str | None

    @property
    def unit(self) -> str:
        """kWh, kVAh, kVArh, kW, kVA or kVAr."""
        return _UNITS[self.quantity]

    @property
    def is_maximum(self) -> bool:
        """True for the highest demand since the last read; the others count up and roll over."""
        return self.quantity.startswith("max_")

    @property
    def label(self) -> str:
        """As people call it, such as "Off peak", "Export, peak" or "Maximum demand"."""
        called = _CALLED.get(self.quantity, _MAXIMUM if self.is_maximum else "")
        period = (self.period or "").replace("_", " ")
        if called and period:
            return sentence(
                "{measure}, {period}", measure=sentence(called), period=sentence(period)
            )
        return called or f"{period[:1].upper()}{period[1:]}"

    @property
    def order(self) -> tuple[int, str]:
        """Where it stands among others: energy before maxima."""
        return list(_UNITS).index(self.quantity), self.name


@lru_cache(maxsize=1024)
def measure_of(name: str) -> Measure:
    """What the register of this name measures. Raises WrongRegisters."""
    if name in _UNITS and name != IMPORT:
        return Measure(name, name, None)
    quantity, colon, period = name.rpartition(":")
    if (colon and quantity not in _BY_PERIOD) or not _PERIOD.fullmatch(period):
        raise WrongRegisters(
            sentence(
                "{typed} is no name of a register: write a period of the tariff such as "
                "peak, or export, kvah, kvarh, max_kw, max_kva, max_kvar; all but kvarh and "
                "max_kvar may be of a period: export:peak, kvah:peak, max_kw:peak, max_kva:peak.",
                typed=repr(name[:_LONGEST]),
            )
        )
    return Measure(name, quantity or IMPORT, period)


def names_for(period: str, *, seasons: Iterable[str]) -> tuple[str, ...]:
    """Which register counts a tariff's period: its own, or one that does so in every season.

    "summer_peak" is counted by "summer_peak", or else by "peak" where "summer" is a season.
    """
    name = period.lower()
    prefixes = [f"{season.lower()}_" for season in seasons]
    return (name, *(name.removeprefix(p) for p in prefixes if name.startswith(p)))


def register_names(names: Iterable[str]) -> list[str]:
    """Names as they are kept: in lower case, in the given order. Raises WrongRegisters."""
    given = list(names)
    if len(given) > _MOST:
        raise WrongRegisters(sentence("A meter has at most {most} further registers.", most=_MOST))
    kept = [measure_of(name.strip().lower()).name for name in given]
    for name in kept:
        if kept.count(name) > 1:
            raise WrongRegisters(sentence("The register {name} is named twice.", name=name))
    return kept


def parse_registers(values: Mapping[str, str | int | Decimal]) -> dict[str, int]:
    """Values by register as somebody sent them, in whole Wh or W. Raises WrongRegisters."""
    names = register_names(values)
    try:
        return {
            name: parse_kwh(value, what=f"register {name}")
            for name, value in zip(names, values.values(), strict=True)
        }
    except InvalidEnergy as error:
        raise WrongRegisters(sentence_of(error)) from None


def plain_registers(values: Mapping[str, str]) -> dict[str, str]:
    """Values as a person typed them, such as 1,117.5 kWh, as programs send them.

    Raises WrongRegisters.
    """
    plain: dict[str, str] = {}
    for name, typed in values.items():
        try:
            plain[name] = plain_kwh(typed, unit=measure_of(name).unit)
        except InvalidEnergy as error:
            raise WrongRegisters(
                sentence("Register {name}: {error}", name=name, error=sentence_of(error))
            ) from None
    return plain


def check_registers(
    given: Mapping[str, int], *, of_meter: Sequence[str], serial: str, dials: int
) -> None:
    """Raise WrongRegisters unless a read has each of the meter's registers, and no other.

    No register can show more digits than the total, which has `dials` of them.
    """
    for name in given:
        if name not in of_meter:
            what = {"serial": serial, "name": name, "registers": ", ".join(of_meter)}
            raise WrongRegisters(
                sentence("Meter {serial} has no register {name}; it has {registers}.", **what)
                if of_meter
                else sentence(
                    "Meter {serial} has no register {name}; it has only the total kWh.", **what
                )
            )
    for name in of_meter:
        if name not in given:
            raise WrongRegisters(
                sentence(
                    "Say what the register {name} of meter {serial} shows.",
                    name=name,
                    serial=serial,
                )
            )
        if given[name] >= 10 ** (dials + 3):
            raise WrongRegisters(
                nsentence(
                    "This meter shows {count} digit, so the register {name} must be below {limit}.",
                    "This meter shows {count} digits, so the register {name} must be below "
                    "{limit}.",
                    dials,
                    name=name,
                    limit=f"{10**dials} {measure_of(name).unit}",
                )
            )
