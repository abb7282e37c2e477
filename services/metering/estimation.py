"""The use of a meter that nobody read, from its last read to a date: by which rule, and why.

The rules, in order: the same season of the year before, scaled by recent use, as in Oracle's
D2-SCALAREST; the mean of the last three periods that were read; what meters on the same tariff use
at this time of the year. Registers are Wh as the meter shows them, before the multiplier. Fractions
are exact; the register is rounded once, to what the meter shows: the use follows from that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal

from services.languages.sentence import Sentence, nsentence, sentence
from services.metering.recent_use import HIGH_USE_FACTOR, tenths
from services.metering.register_arithmetic import capacity_wh, consumption_wh, is_a_fall
from services.metering.use_limits import WINDOW_DAYS, windows_of
from services.quantities.energy import kwh_value
from services.quantities.money import decimal_text, round_half_up, scaled_text
from services.quantities.period import months_before
from services.records.readings import EstimateFacts, ReadPoint, SeasonUse
from services.records.use_limits import LEAST_IN_CLASS
from services.tariffs import (
    Charge,
    DemandCharge,
    EnergyCharge,
    FixedCharge,
    MinimumCharge,
    PowerFactorCharge,
    ReactiveCharge,
    Tariff,
)

EstimateRule = Literal["same_season", "recent_periods", "class_profile"]
PERIODS: Final = 3
# Recent use is that of the last three months or so.
_RECENT: Final = timedelta(days=92)
# Between reads further apart nobody knows which season the use was in.
_MOST_APART_DAYS: Final = 62
_HOURS: Final = 24
# Whole kWh, or as many decimals as its actual reads have.
_STEPS: Final = (1000, 100, 10, 1)
_PLACES: Final = 3


class CannotEstimate(ValueError):
    """The use cannot, or must not, be estimated; the sentence says why and what to do."""


class TooManyInARow(CannotEstimate):
    """The meter was estimated so often, one time after the other, that it must be read."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a register would show on a date, in Wh before the multiplier; the use is after it.

    `values` are what the rule compared, in Wh and days; the sentence says it in words.
    """

    rule: EstimateRule
    register_wh: int
    used_wh: int
    days: int
    sentence: str
    values: Mapping[str, int | str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the reading."""
        names = ("rule", "register_wh", "used_wh", "days", "sentence")
        return {name: getattr(self, name) for name in names} | {"values": dict(self.values)}


def estimate(facts: EstimateFacts, *, on: date, most_in_a_row: int) -> Estimate:
    """What the meter would show on a local date. Raises CannotEstimate.

    At most `most_in_a_row` reads one after the other are not actual ones; a customer's own counts.
    """
    _check(facts, on, most_in_a_row)
    meter = _Meter(facts, on)
    found = meter.by_same_season() or meter.by_recent_periods() or meter.by_class()
    if found is None:
        raise CannotEstimate(
            sentence(
                "The use of meter {meter} cannot be estimated: it has no two actual readings "
                "{window_days} days apart, and fewer than {least_in_class} meters on its "
                "tariff were billed at this time of the year. Read the meter.",
                meter=facts.serial,
                window_days=WINDOW_DAYS,
                least_in_class=LEAST_IN_CLASS,
            )
        )
    return found


def _check(facts: EstimateFacts, on: date, most_in_a_row: int) -> None:
    """Raise CannotEstimate where a read is there, or only a person can get one."""
    serial = facts.serial
    if facts.last.read_on >= on or facts.later_on is not None:
        read_on = facts.later_on or facts.last.read_on
        raise CannotEstimate(
            sentence(
                "Meter {meter} was read on {read_on}: bill up to that reading.",
                meter=serial,
                read_on=read_on,
            )
        )
    if facts.waiting_on is not None:
        raise CannotEstimate(
            sentence(
                "The reading of {waiting_on} of meter {meter} waits for review: decide on "
                "that first.",
                waiting_on=facts.waiting_on,
                meter=serial,
            )
        )
    if facts.disconnected:
        raise CannotEstimate(
            sentence(
                "The supply at meter {meter} was cut: there is nothing to estimate.", meter=serial
            )
        )
    if facts.registers:
        raise CannotEstimate(
            sentence(
                "Meter {meter} has more registers than the total, and those cannot be "
                "estimated. Read the meter.",
                meter=serial,
            )
        )
    if facts.in_a_row >= most_in_a_row:
        raise TooManyInARow(
            nsentence(
                "Estimated {count} time in a row, read the meter.",
                "Estimated {count} times in a row, read the meter.",
                facts.in_a_row,
            )
        )


def check_total_is_enough(tariffs: Iterable[Tariff]) -> None:
    """Raise CannotEstimate where a tariff charges for more than a meter's total."""
    for tariff in tariffs:
        if tariff.net_metering or any(map(_needs_more, tariff.charges)):
            raise CannotEstimate(
                sentence(
                    "Tariff {tariff} needs more than a meter's total, and only that can be "
                    "estimated. Read the meter.",
                    tariff=tariff.code,
                )
            )


def _needs_more(charge: Charge) -> bool:
    if isinstance(charge, EnergyCharge):
        by_time = charge.calendar is not None or charge.slab_limits_per == "kw"
        return by_time or charge.quantity != "kwh"
    if isinstance(charge, FixedCharge | MinimumCharge):
        return charge.times == "billed_kw"
    return isinstance(charge, DemandCharge | ReactiveCharge | PowerFactorCharge)


@dataclass(frozen=True, slots=True)
class _Meter:
    """A meter, and the date up to which its use is looked for."""

    facts: EstimateFacts
    on: date

    @property
    def days(self) -> int:
        return (self.on - self.facts.last.read_on).days

    def by_same_season(self) -> Estimate | None:
        """Last year's use of the same days, times recent use as against that of a year before."""
        counted = _Counted.of(self.facts.reads, dials=self.facts.dials)
        begin, end = _year_before(self.facts.last.read_on), _year_before(self.on)
        season = counted.daily(begin, end)
        if season is None or not counted.points:
            return None
        until = counted.points[-1][0]
        since = max(until - _RECENT, counted.points[0][0])
        recent = counted.daily(since, until)
        then = counted.daily(_year_before(since), _year_before(until))
        if recent is None or not then or (until - since).days < WINDOW_DAYS:
            return None
        if not 1 <= HIGH_USE_FACTOR * recent / then <= HIGH_USE_FACTOR**2:
            # Somebody else lives there, or it is used for something else.
            return None
        ratio = recent / then
        daily = season * ratio

        def said(used: Sentence) -> Sentence:
            return sentence(
                "From {start} to {end} it used {daily_kwh} kWh a day, and of late {percent}% of "
                "what it used a year before: {used}.",
                start=begin,
                end=end,
                daily_kwh=self._daily(season),
                percent=tenths(100 * ratio),
                used=used,
            )

        values = {
            "season_start": begin.isoformat(),
            "season_end": end.isoformat(),
            "season_daily_wh": _text(season),
            "recent_start": since.isoformat(),
            "recent_end": until.isoformat(),
            "recent_daily_wh": _text(recent),
            "year_before_daily_wh": _text(then),
        }
        return self._made("same_season", daily, said, values)

    def by_recent_periods(self) -> Estimate | None:
        """The mean of the last periods of about a month that were read."""
        facts = self.facts
        windows = windows_of(facts.reads, capacity_wh=capacity_wh(facts.dials))[-PERIODS:]
        if not windows:
            return None
        daily = Fraction(sum(w.used_wh for w in windows), sum(w.days for w in windows))

        def said(used: Sentence) -> Sentence:
            return nsentence(
                "The last period that was read came to {daily_kwh} kWh a day: {used}.",
                "The last {count} periods that were read came to {daily_kwh} kWh a day: {used}.",
                len(windows),
                daily_kwh=self._daily(daily),
                used=used,
            )

        values = {
            "periods": len(windows),
            "days": sum(w.days for w in windows),
            "used_wh": sum(w.used_wh for w in windows),
        }
        return self._made("recent_periods", daily, said, values)

    def by_class(self) -> Estimate | None:
        """What others on the tariff use now, by their connected load where that is known."""
        use, load = self.facts.class_use, self.facts.connected_w
        if use is None:
            return None
        times = Fraction(1000, self.facts.multiplier_milli)
        if load and use.loaded_meters >= LEAST_IN_CLASS and use.loaded_w_days:
            daily = Fraction(use.loaded_wh * load, use.loaded_w_days) * times
            load_kw = kwh_value(load)
            others = Fraction(use.loaded_wh * 1000, use.loaded_w_days)
        elif use.meters >= LEAST_IN_CLASS and use.days:
            daily = Fraction(use.wh, use.days) * times
            load_kw, others = None, Fraction(use.wh, use.days)
        else:
            return None

        def said(used: Sentence) -> Sentence:
            values = {"daily_kwh": tenths(others / 1000), "used": used}
            if load_kw is None:
                return sentence(
                    "Meters on its tariff use {daily_kwh} kWh a day at this time of the year: "
                    "{used}.",
                    **values,
                )
            return sentence(
                "Meters on its tariff use {daily_kwh} kWh a day at this time of the year, for each "
                "kW of connected load; it has {load_kw} kW: {used}.",
                load_kw=load_kw,
                **values,
            )

        return self._made("class_profile", daily, said, _class_values(use, load))

    def _made(
        self,
        rule: EstimateRule,
        daily: Fraction,
        said: Callable[[Sentence], Sentence],
        values: Mapping[str, int | str],
    ) -> Estimate | None:
        """The register after so many Wh a day, before the multiplier; the one rounding.

        `said` makes the sentence around what was used.
        """
        facts = self.facts
        expected, most = daily * self.days, self._most_turned()
        is_capped = most is not None and expected > most
        if most is not None:
            expected = min(expected, Fraction(most))
        turned = self._as_shown(expected, most)
        capacity = capacity_wh(facts.dials)
        if 2 * turned > capacity:
            return None
        register = (facts.last.register_wh + turned) % capacity
        used = consumption_wh(
            opening_wh=facts.last.register_wh,
            closing_wh=register,
            dials=facts.dials,
            multiplier_milli=facts.multiplier_milli,
        )
        return Estimate(
            rule=rule,
            register_wh=register,
            used_wh=used,
            days=self.days,
            sentence=said(self._in_all(used, is_capped=is_capped)),
            values=values,
        )

    def _in_all(self, used_wh: int, *, is_capped: bool) -> Sentence:
        kwh = kwh_value(used_wh)
        if is_capped:
            return nsentence(
                "no more than its connected load can use, {kwh} kWh for {count} day",
                "no more than its connected load can use, {kwh} kWh for {count} days",
                self.days,
                kwh=kwh,
            )
        return nsentence(
            "{kwh} kWh for {count} day", "{kwh} kWh for {count} days", self.days, kwh=kwh
        )

    def _most_turned(self) -> int | None:
        """How far the connected load can turn the register; None where it is not known."""
        facts = self.facts
        if facts.connected_w is None:
            return None
        return _HOURS * facts.connected_w * self.days * 1000 // facts.multiplier_milli

    def _as_shown(self, turned: Fraction, most: int | None) -> int:
        """How far the register turns to what it can show next: half up, not back, not too far."""
        last = self.facts.last.register_wh
        for step in self._steps():
            first = -last % step
            if most is not None and first > most:
                continue
            nearest = first + max(round_half_up((turned - first) / step), 0) * step
            return nearest if most is None or nearest <= most else nearest - step
        return 0

    def _steps(self) -> Iterator[int]:
        """What the register counts in, in Wh, as its actual reads show; then finer ones."""
        shown = [read.register_wh for read in self.facts.reads]
        return (s for s in _STEPS if s == 1 or not any(wh % s for wh in shown))

    def _daily(self, register: Fraction) -> Decimal:
        """Wh a day of the register as kWh that were used."""
        return tenths(register * self.facts.multiplier_milli / 1_000_000)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A register that counts on without rolling over: (local date, Wh), by date."""

    points: tuple[tuple[date, int], ...]

    @classmethod
    def of(cls, reads: Sequence[ReadPoint], *, dials: int) -> "_Counted":
        """The reads since the register last fell."""
        return cls(tuple(_counting(sorted(reads, key=lambda read: read.read_on), dials)))

    def daily(self, start: date, end: date) -> Fraction | None:
        """Wh a day between two dates, in proportion within a period; None if not known."""
        if end <= start:
            return None
        first, last = self._at(start), self._at(end)
        if first is None or last is None:
            return None
        return (last - first) / (end - start).days

    def _at(self, on: date) -> Fraction | None:
        for (before, low), (after, high) in pairwise(self.points):
            days = (after - before).days
            if before <= on <= after and 0 < days <= _MOST_APART_DAYS:
                return low + Fraction((high - low) * (on - before).days, days)
        return None


def _counting(reads: Sequence[ReadPoint], dials: int) -> Iterator[tuple[date, int]]:
    since = 0
    for at, (before, after) in enumerate(pairwise(reads), start=1):
        if is_a_fall(opening_wh=before.register_wh, closing_wh=after.register_wh, dials=dials):
            since = at
    reached = None
    for before, after in pairwise([*reads[since : since + 1], *reads[since:]]):
        turned = (after.register_wh - before.register_wh) % capacity_wh(dials)
        reached = turned if reached is None else reached + turned
        yield after.read_on, reached


def _class_values(use: SeasonUse, load: int | None) -> dict[str, int | str]:
    values: dict[str, int | str] = dict(use.model_dump())
    return values if load is None else values | {"connected_w": load}


def _year_before(day: date) -> date:
    return months_before(day, 12)


def _text(value: Fraction) -> str:
    """A fraction of Wh as decimal text with at most three places."""
    if value.denominator == 1:
        return decimal_text(value)
    return scaled_text(round_half_up(value * 10**_PLACES), places=_PLACES)
