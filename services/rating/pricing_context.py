"""The bills being priced: what every kind of charge is computed from, as columns of N bills."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final, Literal

import numpy as np

from services.languages.sentence import N_, sentence
from services.quantities.money import exponent, round_half_up, scaled_text
from services.quantities.period import Period
from services.rating.exact_columns import ONE, ZERO, Column, Mask, Whole, decimal, share, total
from services.rating.proration import (
    CALENDAR_MONTHS,
    calendar_months,
    counted_in_words,
    is_within,
    months,
    months_in_words,
    share_in_words,
)
from services.rating.rated_bill import UnableToPriceBill
from services.rating.usage import BillingDeterminants, UsageBatch
from services.tariffs import Calendar, Charge, MonthCount, Per, Tariff, compiled

_WH_IN_KWH: Final = Fraction(1000)
_KWH_IN_WH: Final = Fraction(1, 1000)
_WH: Final = Fraction(1)
_MONTHS_IN_YEAR: Final = 12

Scale = Literal["bill", "month", "day", "kw"]

_CALLED: Final = {
    "vah": N_("the kVAh"),
    "varh": N_("the kVArh"),
    "peak_w": N_("the peak in kW"),
    "peak_va": N_("the peak in kVA"),
    "peak_var": N_("the peak in kVAr"),
    "connected_w": N_("the connected load in kW"),
    "connected_va": N_("the connected load in kVA"),
    "netted_wh": N_("imported less exported energy"),
    "charged_this_year_minor": N_("what was charged this year"),
}


@dataclass
class PricingContext:
    """N bills of one tariff, and what their charges have come to so far.

    `whole` is the bill's period where this is a part of it. `billed_as` are the days of several
    bills that these days are priced as: each counts its own months and is one bill. `charged`
    holds, by code, the exact amounts in whole currency that other charges are a percent of.
    """

    tariff: Tariff
    usage: UsageBatch
    whole: Period | None = None
    charged: dict[str, Column] = field(default_factory=dict)
    # What earlier parts of the same bill were charged, by code.
    charged_before: Mapping[str, Column] = field(default_factory=dict)
    billed_as: tuple[Period, ...] = ()
    # Of several bills: the last one alone, for its demand; what those before were charged for it.
    last_bill: "PricingContext | None" = None
    kept: Mapping[str, Fraction] = field(default_factory=dict)
    _months: dict[MonthCount, Column] = field(default_factory=dict)

    # Time

    @cached_property
    def days(self) -> Column:
        """Local days."""
        return Column.of(self.usage.end - self.usage.start)

    @cached_property
    def bill_days(self) -> Column:
        """Local days of the whole bill."""
        return self.days if self.whole is None else Column.constant(self.whole.days)

    @cached_property
    def share(self) -> Column:
        """The share of the whole bill's days: 1 unless these are parts of bills."""
        return ONE if self.whole is None else self.days.times(Fraction(1, self.whole.days))

    @cached_property
    def of_bill(self) -> Column:
        """How many times what is per bill is due: the share, scaled where the tariff says so."""
        if self.billed_as:
            return total([bill.of_bill for bill in self._bills])
        return self.share if self._scaled is None else self.share * self._scaled

    @cached_property
    def _scaled(self) -> Column | None:
        """Days / usual days of bills that are shorter or longer than the tariff's, 1 of others.

        The limit of a slab is then limit × days / usual days, as where a utility prorates blocks.
        """
        rule = self.tariff.billing_period
        if rule is None or rule.usual_days is None:
            return None
        usual = is_within(self.bill_days, (rule.min_days, rule.max_days))
        scaled = self.bill_days.times(Fraction(1, rule.usual_days))
        return None if usual.all() else ONE.where(usual, scaled)

    def months(self, charge: Charge) -> Column:
        """Months as this charge counts them."""
        if self.billed_as:
            return total([bill.months(charge) for bill in self._bills])
        rule = self._month_count(charge)
        if rule not in self._months:
            self._months[rule] = months(
                rule,
                start=self.usage.start,
                end=self.usage.end,
                bill_days=self.bill_days,
                of_bill=self.of_bill if rule.count == "one" else self.share,
            )
        return self._months[rule]

    @cached_property
    def _bills(self) -> "list[PricingContext]":
        """The bills that these days are priced as, each with those of its days that are here."""
        days, found = self.period(0), []
        for bill in self.billed_as:
            start, end = max(bill.start, days.start), min(bill.end, days.end)
            if start < end:
                batch = UsageBatch.of_one(BillingDeterminants(wh=0), Period(start, end))
                found.append(PricingContext(self.tariff, batch, whole=bill))
        return found

    @cached_property
    def of_year(self) -> Column:
        """The share of the year's months since the meter's first bill: 1 where it is older."""
        if self.usage.uncovered_days is None:
            return ONE
        year = self.usage.start.astype("datetime64[D]").astype("datetime64[Y]")
        first, end = (day.astype("datetime64[D]").astype(np.int64) for day in (year, year + 1))
        covered = calendar_months(first + self.usage.uncovered_days, end)
        return covered.times(Fraction(1, _MONTHS_IN_YEAR))

    def count(self, per: Per, charge: Charge) -> Column:
        """How many bills, months or days."""
        match per:
            case "bill":
                return self.of_bill
            case "month":
                return self.months(charge)
            case "day":
                return self.days

    def months_in_words(self, charge: Charge, row: int) -> str | None:
        """The days behind the months of one bill, None for whole months."""
        if self.billed_as:
            return counted_in_words(self.months(charge).at(row), "month")
        period = self.period(row)
        rule, counted = self._month_count(charge), self.months(charge).at(row)
        if rule.count == "one":
            return self.share_in_words(row)
        return months_in_words(rule, period=period, bill=self.whole or period, counted=counted)

    def share_in_words(self, row: int) -> str | None:
        """The days behind the share of one bill, None for a whole bill of usual length."""
        if self.billed_as:
            return counted_in_words(self.of_bill.at(row), "bill")
        rule = self.tariff.billing_period
        if rule is not None and self._scaled is not None and self._scaled.at(row) != 1:
            return f"{self.period(row).days} of {rule.usual_days} days that a bill is for"
        return share_in_words(period=self.period(row), bill=self.whole) if self.whole else None

    def period(self, row: int) -> Period:
        """The days of one bill, or of this part of it."""
        return self.usage.period(row)

    def _month_count(self, charge: Charge) -> MonthCount:
        return charge.months or self.tariff.months or CALENDAR_MONTHS

    # Quantities

    def measured(self, name: str, charge: Charge) -> Column:
        """A column of the usage. Raises UnableToPriceBill when it was not measured."""
        column: Whole | None = getattr(self.usage, name)
        if column is None and name in ("export_wh", "settled_wh"):
            return ZERO
        if column is None:
            raise UnableToPriceBill(
                sentence(
                    "{charge} ({code}) needs {measure}, which is not known.",
                    charge=charge.description,
                    code=charge.code,
                    measure=sentence(_CALLED[name]),
                )
            )
        return Column.of(column)

    def energy(self, name: str, charge: Charge) -> Column:
        """Wh (VAh, varh) as billed: whole kWh where the tariff says so."""
        measured = self.measured(name, charge)
        return measured.rounded(to=_WH_IN_KWH) if self.tariff.whole_kwh else measured

    def limit(self, kwh: str, *, per: Scale, charge: Charge, to_kwh: bool = False) -> Column:
        """A limit in kWh, for these days or these kW, in whole Wh or whole kWh."""
        step = _WH_IN_KWH if to_kwh or self.tariff.whole_kwh else _WH
        if per == "kw":
            scale = self.measured("peak_w", charge).times(_KWH_IN_WH)
        else:
            scale = self.count(per, charge)
        if scale is ONE:
            return _limit_of_bill(kwh, step)
        return (decimal(kwh) * scale).times(1000).rounded(to=step)

    def shared(self, energy: Column, weights: Sequence[Column]) -> list[Column]:
        """Energy in parts that add up, of whole Wh or whole kWh as the tariff bills it."""
        if not self.tariff.whole_kwh:
            return share(energy, weights)
        parts = share(energy.times(_KWH_IN_WH).rounded(), weights)
        return [part.times(1000) for part in parts]

    # Calendars

    def calendar(self, name: str) -> Calendar:
        """One of the tariff's calendars."""
        return compiled(self.tariff, name)

    def energy_weights(self, name: str, calendar: str, charge: Charge) -> list[Column]:
        """Wh (VAh) in each period of a calendar, or its days where seasons have no register.

        Raises UnableToPriceBill where a period's energy is not known, or does not add up.
        """
        by_calendar = {
            "wh": self.usage.by_period,
            "export_wh": self.usage.export_by_period,
            "vah": self.usage.vah_by_period,
            "netted_wh": self.usage.netted_by_period,
            "settled_wh": self.usage.settled_by_period,
        }
        found = by_calendar.get(name, {}).get(calendar)
        periods = self.calendar(calendar).periods
        if found is None:
            return self._days_of_seasons(calendar, charge)
        known = set(found) <= set(periods)
        weights = [Column.of(found[period]) if period in found else ZERO for period in periods]
        apart = total(weights) - self.measured(name, charge)
        if not known or apart.num.any():
            raise UnableToPriceBill(
                sentence(
                    "The energy by period of the calendar {calendar} does not add up to the use.",
                    calendar=calendar,
                )
            )
        return weights

    def occurring(self, calendar: str) -> list[Column]:
        """On how many of its days each bill has some half hour of each period of a calendar."""
        rule = self.calendar(calendar)
        first, last = int(self.usage.start.min()), int(self.usage.end.max())
        labels = rule.rows(np.arange(first, last))
        counts = []
        for index in range(len(rule.periods)):
            until = np.concatenate([[0], np.cumsum((labels == index).any(axis=1))])
            days = until[self.usage.end - first] - until[self.usage.start - first]
            counts.append(Column.of(days))
        return counts

    def _days_of_seasons(self, calendar: str, charge: Charge) -> list[Column]:
        if not self.calendar(calendar).is_seasonal:
            raise UnableToPriceBill(
                sentence(
                    "{charge} ({code}) needs the energy in each period of the calendar {calendar}: "
                    "registers of their own, or interval data.",
                    charge=charge.description,
                    code=charge.code,
                    calendar=calendar,
                )
            )
        return self.occurring(calendar)

    def peaks_by_period(self, name: str, calendar: str) -> list[Column] | None:
        """The peak_w (peak_va) of each period of a calendar, 0 without; None if not measured."""
        by_calendar = {
            "peak_w": self.usage.peak_w_by_period,
            "peak_va": self.usage.peak_va_by_period,
        }
        found = by_calendar.get(name, {}).get(calendar)
        if found is None:
            return None
        return [
            Column.of(found[p]) if p in found else ZERO for p in self.calendar(calendar).periods
        ]

    def past_peaks(self, name: str) -> Whole | None:
        """The peak_w (peak_va, peak_var) of earlier months, the last first; None if not known."""
        past: Whole | None = getattr(self.usage, f"past_{name.replace('peak', 'peaks')}")
        return past

    def in_one_season(self, peak: Column, calendar: str, charge: Charge) -> list[Column]:
        """A peak as that of the one season that all days of its bill are in, 0 in the others.

        Raises UnableToPriceBill for bills of several seasons: which had the peak is not known.
        """
        days = self.occurring(calendar)
        seasons = total([ONE.only(present(one)) for one in days])
        if not self.calendar(calendar).is_seasonal or seasons.exceeds(ONE).any():
            raise UnableToPriceBill(
                sentence(
                    "{charge} ({code}) needs the peak in each period of the calendar {calendar}: "
                    "registers of their own, or interval data.",
                    charge=charge.description,
                    code=charge.code,
                    calendar=calendar,
                )
            )
        return [peak.only(present(one)) for one in days]

    # Money

    @cached_property
    def places(self) -> int:
        """Decimals of the currency."""
        return exponent(self.tariff.currency)

    @cached_property
    def minor_unit(self) -> Fraction:
        """The minor unit in whole currency: 1/100 for the rupee."""
        return Fraction(1, 10**self.places)

    def money_text(self, amount: Fraction) -> str:
        """An amount of whole currency with the currency's decimals."""
        return scaled_text(round_half_up(amount * 10**self.places), places=self.places)

    def charged_by(self, codes: Sequence[str]) -> Column:
        """What the charges of these codes came to, in whole currency."""
        return total([self.charged[code] for code in codes])


@lru_cache(maxsize=4096)
def _limit_of_bill(kwh: str, step: Fraction) -> Column:
    return decimal(kwh).times(1000).rounded(to=step)


def present(column: Column) -> Mask:
    """Where a column is not 0."""
    some: Mask = column.num != 0
    return some
