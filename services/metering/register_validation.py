"""Are the further registers of a reading plausible? The rules beside those for the total."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Final

from services.languages.sentence import Sentence, joined_by_and, sentence, with_values
from services.metering.outcomes import EXPLANATIONS, RuleOutcome
from services.metering.recent_use import HIGH_USE_FACTOR
from services.metering.register_arithmetic import consumption_wh
from services.metering.registers import IMPORT, Measure, measure_of, names_for
from services.metering.validation import validate_reading
from services.quantities.energy import kwh_value
from services.quantities.money import round_half_up
from services.rating import UnableToPriceBill
from services.records.readings import ReadPoint
from services.records.tariffs import TariffVersion, version_in_force

# For each period of a calendar the names of registers that may count it, the best first.
PeriodNames = Sequence[tuple[str, ...]]

# A register shows whole kWh and may just be about to turn.
_ONE_KWH: Final = 1000
_SUM_PERCENT: Final = 1


@dataclass(frozen=True, slots=True)
class RegisterRules:
    """The rules for one read of a meter; `calendars` are those of its tariff.

    `history` holds accepted reads up to and with the last one.
    """

    read: ReadPoint
    last_read: ReadPoint
    next_read: ReadPoint | None
    history: Sequence[ReadPoint]
    calendars: Sequence[PeriodNames]
    dials: int
    multiplier_milli: int

    def outcomes(self) -> list[RuleOutcome]:
        """What speaks against the registers, and that their sums fit where they do."""
        found: list[RuleOutcome] = []
        for measure in map(measure_of, self.read.registers):
            found += self._maximum(measure) if measure.is_maximum else self._counter(measure)
        # Of a register that runs backwards nobody knows the use.
        if not any(o.rule == "below_last_read" and o.outcome == "review" for o in found):
            for periods in self.calendars:
                found += self._sum(periods)
        return found

    def _counter(self, measure: Measure) -> list[RuleOutcome]:
        """The rules of the total, for one register by its own past."""
        name = measure.name
        if name not in self.last_read.registers:
            return []
        after = self.next_read if self.next_read and name in self.next_read.registers else None
        validation = validate_reading(
            register_wh=self.read.registers[name],
            read_on=self.read.read_on,
            last_read=_point(self.last_read, name),
            next_read=_point(after, name) if after else None,
            history=[_point(read, name) for read in self.history if name in read.registers],
            dials=self.dials,
            multiplier_milli=self.multiplier_milli,
        )
        # What periods use is bounded by the total, which they must add up to.
        not_asked = {"zero_use", "low_use", *EXPLANATIONS}
        if measure.quantity == IMPORT:
            not_asked.add("high_use")
        return [
            replace(outcome, message=_of_register(measure, outcome.message))
            for outcome in validation.outcomes
            if outcome.outcome in ("review", "warn") and outcome.rule not in not_asked
        ]

    def _maximum(self, measure: Measure) -> list[RuleOutcome]:
        """A maximum is looked at when it is more than 3 × the highest of the past."""
        name, value = measure.name, self.read.registers[measure.name]
        past = [read.registers[name] for read in self.history if name in read.registers]
        if not past or value <= HIGH_USE_FACTOR * max(past):
            return []
        why = sentence(
            "{kw} {unit} is more than {times} times the highest so far, {highest_kw} {unit}.",
            kw=kwh_value(value),
            unit=measure.unit,
            times=HIGH_USE_FACTOR,
            highest_kw=kwh_value(max(past)),
        )
        return [RuleOutcome("high_maximum", "review", _of_register(measure, why))]

    def _sum(self, periods: PeriodNames) -> list[RuleOutcome]:
        """Oracle's D2-SUM-CHK: what the periods used must be what the total used.

        Where registers of some periods are missing, the others cannot have used more.
        """
        known = self.read.registers.keys() & self.last_read.registers.keys()
        counted = [next((name for name in names if name in known), None) for names in periods]
        names = sorted({name for name in counted if name is not None})
        if not names:
            return []
        used = self._used(self.last_read.register_wh, self.read.register_wh)
        added = sum(
            self._used(self.last_read.registers[name], self.read.registers[name]) for name in names
        )
        apart = added - used if None in counted else abs(added - used)
        fits = apart <= max(self._rounding(len(names) + 1), used * _SUM_PERCENT // 100)
        message = sentence(
            "The registers {registers} used {added_kwh} kWh, the total {kwh} kWh.",
            registers=joined_by_and(names),
            added_kwh=kwh_value(added),
            kwh=kwh_value(used),
        )
        return [RuleOutcome("register_sum", "pass" if fits else "review", message)]

    def _used(self, opening_wh: int, closing_wh: int) -> int:
        return consumption_wh(
            opening_wh=opening_wh,
            closing_wh=closing_wh,
            dials=self.dials,
            multiplier_milli=self.multiplier_milli,
        )

    def _rounding(self, registers: int) -> int:
        """A kWh of each register, after the multiplier, in Wh."""
        return round_half_up(Fraction(_ONE_KWH * registers * self.multiplier_milli, 1000))


def calendars_in_force(versions: Sequence[TariffVersion], *, on: date) -> list[PeriodNames]:
    """The calendars of the version in force on a local date; none where there is no version."""
    try:
        definition = version_in_force(versions, on=on).definition
    except UnableToPriceBill:
        return []
    seasons = definition.get("seasons") or ()
    calendars = definition.get("calendars") or {}
    return [
        [names_for(period, seasons=seasons) for period in sorted(calendar["periods"])]
        for calendar in calendars.values()
    ]


def _point(read: ReadPoint, name: str) -> ReadPoint:
    return ReadPoint(register_wh=read.registers[name], read_on=read.read_on)


def _of_register(measure: Measure, said: str) -> Sentence:
    """What was found of one register, in the unit that it counts."""
    found = with_values(said, unit=measure.unit) if isinstance(said, Sentence) else said
    return sentence("Register {name}: {error}", name=measure.name, error=found)
