"""What a meter measured between two reads: its registers, its intervals, and its earlier bills."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import starmap
from operator import add
from typing import Final, Self
from zoneinfo import ZoneInfo

from services.languages.sentence import Sentence, joined, nsentence, sentence
from services.metering.interval_table import MeteredIntervals
from services.metering.past_bills import PastBills
from services.metering.register_arithmetic import capacity_wh, consumption_wh, is_a_fall
from services.metering.registers import measure_of
from services.quantities.energy import kwh_value
from services.quantities.money import round_half_up
from services.quantities.period import Period
from services.quantities.quality import of_both
from services.rating import UnableToPriceBill
from services.records.bills import PricingInputs
from services.records.intervals import IntervalDays
from services.records.readings import IntervalDay, MeterConstants, Read, Segment

_DAY: Final = timedelta(days=1)


class RegisterFell(UnableToPriceBill):
    """A register is more than half a turn below an earlier read, and nobody said it rolled over.

    `fact` is the fall in words, without a full stop; the message says it and what to do.
    """

    def __init__(self, message: Sentence, fact: Sentence) -> None:
        super().__init__(message)
        self.fact = fact


@dataclass(frozen=True, slots=True)
class Metering:
    """Energy in Wh and maxima in W, after the multiplier, over the local days of a bill.

    `counted` and `maxima` are by register. `intervals` are None unless they fill the period;
    `hints` say why something is not known that a tariff may ask for, such as what the
    registers `uncounted` counted, which the closing reads have and the opening ones lack.
    """

    period: Period
    segments_wh: tuple[int, ...]
    constants: MeterConstants
    registers: Mapping[str, Mapping[str, int]]
    counted: Mapping[str, int]
    maxima: Mapping[str, int]
    intervals: MeteredIntervals | None
    zone: ZoneInfo
    past: PastBills
    hints: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()

    @property
    def wh(self) -> int:
        """All that was used."""
        return sum(self.segments_wh)

    @classmethod
    def over(
        cls,
        segments: Sequence[Segment],
        *,
        opening: Read,
        closing: Read,
        inputs: PricingInputs,
        between: Sequence[Read] = (),
        zone: ZoneInfo,
        may_fall: bool = False,
        last_actual: Read | None = None,
    ) -> Self:
        """What one meter, or several one after the other, measured between two reads.

        With `may_fall` the opening read was no actual one, and may be above what the meter showed
        later: the use is then negative. `last_actual` is the actual read before such a one: it says
        whether the register was estimated to roll over, and did not yet.

        `inputs` are those of the whole; of several meters, the accepted reads `between` say what is
        of which. Raises RegisterFell, EmptyPeriod.
        """
        period = Period(opening.read_on, closing.read_on)
        if segments[0].opening.id != opening.id:
            # It opens where another meter was removed: those registers are not of this one.
            inputs = inputs.model_copy(update={"opening_registers": {}})
        is_first = segments[0].opening.id == opening.id
        falls = may_fall and is_first
        if not is_first or (last_actual and last_actual.meter_id != opening.meter_id):
            last_actual = None
        if len(segments) == 1:
            measured = [_measure(segments[0], inputs, may_fall=falls, last_actual=last_actual)]
        else:
            measured = [
                _measure(
                    one,
                    _inputs_of(one, inputs, between, is_first=one is segments[0]),
                    may_fall=falls and one is segments[0],
                    last_actual=last_actual if one is segments[0] else None,
                )
                for one in segments
            ]
        days, gaps = _whole_days(_one_a_day(inputs.intervals), period)
        intervals = MeteredIntervals.alone(days, zone=zone) if days else None
        registers, hints = _together(measured)
        return cls(
            period=period,
            segments_wh=tuple(one.wh for one in measured),
            constants=segments[-1].constants,
            registers=registers,
            counted={name: of["used"] for name, of in registers.items() if "used" in of},
            maxima={name: of["maximum"] for name, of in registers.items() if "maximum" in of},
            intervals=intervals,
            zone=zone,
            past=PastBills(inputs.past, opening_bank=inputs.opening_bank),
            hints=(*hints, *gaps),
            uncounted=tuple(
                dict.fromkeys(
                    n for s in segments for n in s.closing.registers if n not in registers
                )
            ),
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    """What one segment comes to: its total, and its further registers by name."""

    wh: int
    registers: Mapping[str, Mapping[str, int]]
    hints: tuple[str, ...]


def _measure(
    segment: Segment, inputs: PricingInputs, *, may_fall: bool, last_actual: Read | None
) -> _Measured:
    opening, closing, constants = segment.opening, segment.closing, segment.constants
    before = {**opening.registers, **inputs.opening_registers}
    at_last = last_actual.registers if last_actual else {}
    counters = [name for name in closing.registers if not measure_of(name).is_maximum]
    rolled_over = closing.rolled_over or inputs.rolled_over
    # Where the total began again at 0, a rollover is said of it, and of no register beside.
    of_total = rolled_over and _began_again(constants, opening, closing)
    counted = {
        name: _counted(
            constants,
            name,
            before[name],
            closing.registers[name],
            rolled_over and not of_total,
            of_total=of_total,
            may_fall=may_fall,
            actual_wh=at_last.get(name),
        )
        for name in counters
        if name in before
    }
    maxima = _maxima(constants, (*inputs.between, closing.registers))
    return _Measured(
        wh=_counted(
            constants,
            "",
            opening.register_wh,
            closing.register_wh,
            rolled_over,
            may_fall=may_fall,
            actual_wh=last_actual.register_wh if last_actual else None,
        ),
        registers={
            name: {"opening": before[name], "closing": closing.registers[name], "used": used}
            for name, used in counted.items()
        }
        | {name: {"maximum": watts} for name, watts in maxima.items()},
        hints=tuple(_not_at_opening(n, opening) for n in counters if n not in before),
    )


def _inputs_of(
    segment: Segment, inputs: PricingInputs, between: Sequence[Read], *, is_first: bool
) -> PricingInputs:
    """Of what is known of a whole bill, what is of one of its meters."""
    reads = [
        read
        for read in between
        if read.meter_id == segment.constants.meter_id
        and segment.opening.read_at < read.read_at < segment.closing.read_at
    ]
    return PricingInputs(
        opening_registers=inputs.opening_registers if is_first else {},
        between=tuple(read.registers for read in reads if read.registers),
        rolled_over=any(read.rolled_over for read in reads),
    )


def _together(
    measured: Sequence[_Measured],
) -> tuple[Mapping[str, Mapping[str, int]], tuple[str, ...]]:
    """The registers of all segments: counts are added, maxima are the highest.

    What one of the meters did not count is known of none; the hints say so.
    """
    if len(measured) == 1:
        return measured[0].registers, measured[0].hints
    names = list(dict.fromkeys(name for one in measured for name in one.registers))
    everywhere = [n for n in names if all(n in one.registers for one in measured)]
    found: dict[str, Mapping[str, int]] = {}
    for name in everywhere:
        each = [one.registers[name] for one in measured]
        if "maximum" in each[0]:
            found[name] = {"maximum": max(of["maximum"] for of in each)}
        else:
            found[name] = {**each[-1], "used": sum(of["used"] for of in each)}
    hints = [hint for one in measured for hint in one.hints]
    lacking = [name for name in names if name not in found]
    hints += [
        sentence("Not each meter of the period has the register {register}.", register=name)
        for name in lacking
    ]
    return found, tuple(hints)


def _one_a_day(days: IntervalDays) -> IntervalDays:
    """The intervals of a day that two meters measured, added up."""
    if len(set(days.dates)) == len(days):
        return days
    found: dict[date, IntervalDay] = {}
    for day in days:
        known = found.get(day.day)
        if known is None:
            found[day.day] = day
        elif (known.minutes, len(known.wh)) == (day.minutes, len(day.wh)):
            both = tuple(map(add, known.wh, day.wh))
            sure = zip(known.each_quality, day.each_quality, strict=True)
            changed = {"wh": both, "quality": tuple(starmap(of_both, sure))}
            found[day.day] = known.model_copy(update=changed)
    return IntervalDays.of(found.values())


def _used(constants: MeterConstants, opening_wh: int, closing_wh: int) -> int:
    return consumption_wh(
        opening_wh=opening_wh,
        closing_wh=closing_wh,
        dials=constants.dials,
        multiplier_milli=constants.multiplier_milli,
    )


def _began_again(constants: MeterConstants, opening: Read, closing: Read) -> bool:
    """Whether the total rolled over as registers do: past its last digit, by less than half."""
    fell = _fell(constants, opening, closing)
    return closing.register_wh < opening.register_wh and not fell


def _fell(constants: MeterConstants, opening: Read, closing: Read) -> bool:
    before, after = opening.register_wh, closing.register_wh
    return is_a_fall(opening_wh=before, closing_wh=after, dials=constants.dials)


def wh_between(
    opening: Read,
    closing: Read,
    *,
    dials: int,
    multiplier_milli: int,
    last_actual: Read | None = None,
) -> int:
    """The Wh between two reads of a meter; below 0 where the first was estimated too high.

    `last_actual` as in `Metering.over`.
    """
    before, after = opening.register_wh, closing.register_wh
    if not opening.is_actual and is_a_fall(opening_wh=before, closing_wh=after, dials=dials):
        return _fallen_wh(before, after, multiplier_milli)
    if not opening.is_actual and last_actual and _not_yet(last_actual.register_wh, before, after):
        return _fallen_wh(before + capacity_wh(dials), after, multiplier_milli)
    return consumption_wh(
        opening_wh=before, closing_wh=after, dials=dials, multiplier_milli=multiplier_milli
    )


def _not_yet(actual_wh: int, estimated_wh: int, closing_wh: int) -> bool:
    """Whether a register was estimated to roll over and did not: it is a turn below that."""
    return estimated_wh < actual_wh <= closing_wh


def _fallen_wh(opening_wh: int, closing_wh: int, multiplier_milli: int) -> int:
    return round_half_up(Fraction((closing_wh - opening_wh) * multiplier_milli, 1000))


def _counted(
    constants: MeterConstants,
    name: str,
    opening_wh: int,
    closing_wh: int,
    rolled_over: bool,
    *,
    of_total: bool = False,
    may_fall: bool = False,
    actual_wh: int | None = None,
) -> int:
    """What a register counted; `name` is empty for the total, `of_total` where that began again.

    With `may_fall` it is below 0 where the register was estimated too high. `actual_wh` is what it
    showed when it was last read, before an estimate. Raises RegisterFell.
    """
    used = _used(constants, opening_wh, closing_wh)
    fell = is_a_fall(opening_wh=opening_wh, closing_wh=closing_wh, dials=constants.dials)
    not_yet = actual_wh is not None and _not_yet(actual_wh, opening_wh, closing_wh)
    if not (fell or not_yet) or rolled_over:
        return used
    if may_fall:
        ahead_wh = capacity_wh(constants.dials) if not_yet else 0
        return _fallen_wh(opening_wh + ahead_wh, closing_wh, constants.multiplier_milli)
    unit = measure_of(name).unit if name else "kWh"
    way_out = (
        sentence("The total rolled over, which does not explain it: correct the reading.")
        if of_total
        else sentence(
            "A person must correct a reading, or say that the register rolled over: that would "
            "bill {kwh} {unit}.",
            kwh=kwh_value(used),
            unit=unit,
        )
    )
    shown = {
        "before_kwh": kwh_value(opening_wh),
        "after_kwh": kwh_value(closing_wh),
        "unit": unit,
    }
    if name:
        shown["register"] = name
        said = sentence(
            "The register {register} fell from {before_kwh} to {after_kwh} {unit}.", **shown
        )
        fact = sentence(
            "The register {register} fell from {before_kwh} to {after_kwh} {unit}", **shown
        )
    else:
        said = sentence("The register fell from {before_kwh} to {after_kwh} {unit}.", **shown)
        fact = sentence("The register fell from {before_kwh} to {after_kwh} {unit}", **shown)
    raise RegisterFell(joined((said, way_out), by=" "), fact)


def _maxima(constants: MeterConstants, reads: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The highest of the maxima that were read, each reset at its read."""
    highest: dict[str, int] = {}
    for registers in reads:
        for name, value in registers.items():
            if measure_of(name).is_maximum:
                watts = round_half_up(Fraction(value * constants.multiplier_milli, 1000))
                highest[name] = max(highest.get(name, 0), watts)
    # What the last read does not have any more was taken off the register.
    return {name: watts for name, watts in highest.items() if name in reads[-1]}


def _whole_days(days: IntervalDays, period: Period) -> tuple[IntervalDays | None, tuple[str, ...]]:
    """The intervals of a period if there are all of them, and else why they are of no use."""
    if not days:
        return None, ()
    if len(set(days.minutes)) > 1:
        return None, (sentence("Its intervals are not of one length within the period."),)
    if len(days) == period.days:
        return days, ()
    there = set(days.dates)
    wanted = (period.start + _DAY * n for n in range(period.days))
    first = next(day for day in wanted if day not in there)
    lack = nsentence(
        "Its intervals lack {lacking} of {count} day, such as {day}.",
        "Its intervals lack {lacking} of {count} days, such as {day}.",
        period.days,
        lacking=period.days - len(days),
        day=first,
    )
    return None, (lack,)


def _not_at_opening(name: str, opening: Read) -> str:
    return sentence(
        "The register {register} has no value in the read of {day}, where the bill opens.",
        register=name,
        day=opening.read_on,
    )
