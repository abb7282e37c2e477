"""Net metering: what is exported offsets what is imported, and the surplus is banked in kWh.

Within a billing period imported less exported energy is billed. What was exported beyond that goes
to a bank of the next bills; in a settlement month, and when the customer moves out, the bank is
settled: paid out at a rate, or lapsed. As in annual true-up schemes of US states, and the
regulations of Indian states, which pay the surplus of a year at its end. Where energy is priced by
time of use each period has a bank of its own. All quantities are whole Wh.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Self

import numpy as np

from services.languages.sentence import sentence
from services.quantities.period import Period, next_month
from services.rating.exact_columns import Column, share
from services.rating.rated_bill import UnableToPriceBill
from services.rating.usage import ByPeriod, ColumnsByPeriod, UsageBatch
from services.rating.version_split import Part
from services.tariffs import NetMetering, Tariff, net_calendar

# The bank of all hours; beside banks by period it holds what was banked before there were any.
ALL_HOURS: Final = ""
_BY_PERIOD: Final = "by_period"
_EXPORT_BY_PERIOD: Final = "export_by_period"


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank of kWh over one bill, in Wh.

    `netted` is the energy of its hours that is billed; `used` what was drawn from the bank, for its
    own hours or others. `moved` is what came from banks of periods that the tariff has no more.
    """

    opening: int
    imported: int = 0
    exported: int = 0
    netted: int = 0
    added: int = 0
    used: int = 0
    moved: int = 0
    settled: int = 0

    @property
    def closing(self) -> int:
        """What the next bill begins with."""
        return self.opening + self.moved + self.added - self.used - self.settled

    def to_json(self) -> dict[str, int]:
        """As it is kept beside the bill."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return named | {"closing": self.closing}

    @classmethod
    def from_json(cls, kept: Mapping[str, int]) -> Self:
        """Read back what to_json wrote."""
        return cls(**{name: kept[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class NetBill:
    """What net metering made of a bill: its banks by period ("" for all hours).

    `is_paid` says whether what is settled is paid out; else it lapses.
    """

    banks: Mapping[str, Bank]
    is_paid: bool

    def in_all(self) -> Bank:
        """The sums of its banks."""
        each = list(self.banks.values())
        return Bank(**{n: sum(getattr(one, n) for one in each) for n in Bank.__slots__})

    def closing(self) -> dict[str, int]:
        """What each bank leaves to the next bill, without those that are empty."""
        return {name: bank.closing for name, bank in self.banks.items() if bank.closing}

    def to_json(self) -> dict[str, Any]:
        """As it is kept beside the bill."""
        banks = {name: bank.to_json() for name, bank in self.banks.items()}
        return {"banks": banks, "paid": self.is_paid}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read back what to_json wrote."""
        banks = {name: Bank.from_json(bank) for name, bank in kept["banks"].items()}
        return cls(banks, kept["paid"])


def settles(rule: NetMetering, period: Period) -> bool:
    """Whether a bill of these days has the last day of the settlement month."""
    if rule.settled_in is None:
        return False
    ends = (
        next_month(date(year, rule.settled_in, 1))
        for year in range(period.start.year - 1, period.end.year + 1)
    )
    return any(period.start < end <= period.end for end in ends)


def netted(
    parts: Sequence[Part], *, opening: Mapping[str, int], is_final: bool = False
) -> tuple[tuple[Part, ...], NetBill | None]:
    """The parts of a bill with their netted energy, and its banks; None without net metering.

    `opening` are the banks before it. Parts under versions with net metering are netted together,
    and what is billed is shared among them as they imported. Raises UnableToPriceBill.
    """
    under = [part for part in parts if part.tariff.net_metering]
    if not under:
        return tuple(parts), None
    rule = under[-1].tariff.net_metering
    imports, exports = _by_bank(under, _BY_PERIOD), _by_bank(under, _EXPORT_BY_PERIOD)
    days = Period(under[0].period.start, under[-1].period.end)
    bill = _net(
        imports,
        exports,
        opening=opening,
        offsets_all=rule is not None and rule.offsets == "all_periods",
        settle=is_final or (rule is not None and settles(rule, days)),
        is_paid=rule is not None and rule.surplus == "paid",
    )
    shares = iter(_shared(bill, under))
    return tuple(next(shares) if part.tariff.net_metering else part for part in parts), bill


def _net(
    imports: Mapping[str, int],
    exports: Mapping[str, int],
    *,
    opening: Mapping[str, int],
    offsets_all: bool,
    settle: bool,
    is_paid: bool,
) -> NetBill:
    gone = {name: wh for name, wh in opening.items() if wh and name not in imports}
    moved = {name: -wh for name, wh in gone.items() if name != ALL_HOURS}
    names = list(dict.fromkeys([*imports, *gone, *([ALL_HOURS] if moved else [])]))
    if moved:
        moved[ALL_HOURS] = -sum(moved.values())
    need = {n: max(imports.get(n, 0) - exports.get(n, 0), 0) for n in names}
    added = {n: max(exports.get(n, 0) - imports.get(n, 0), 0) for n in names}
    held = {n: opening.get(n, 0) + moved.get(n, 0) for n in names}
    used = dict.fromkeys(names, 0)
    for draw in _draws(names, offsets_all=offsets_all):
        name, bank, of_this_bill = draw
        there = held[bank] - used[bank] + (added[bank] if of_this_bill else 0)
        drawn = min(need[name], max(there, 0))
        need[name] -= drawn
        used[bank] += drawn
    banks = {
        n: Bank(
            opening=opening.get(n, 0),
            imported=imports.get(n, 0),
            exported=exports.get(n, 0),
            netted=need[n],
            added=added[n],
            used=used[n],
            moved=moved.get(n, 0),
            settled=held[n] + added[n] - used[n] if settle else 0,
        )
        for n in names
    }
    return NetBill(banks, is_paid)


def _draws(names: Sequence[str], *, offsets_all: bool) -> list[tuple[str, str, bool]]:
    """Which period draws on which bank, in order, and whether on what this bill added to it.

    Each on its own, then on that of all hours, then, where the tariff says so, on the others'.
    """
    draws = [(name, name, False) for name in names]
    draws += [(name, ALL_HOURS, False) for name in names if ALL_HOURS in names]
    if offsets_all:
        draws += [(n, bank, True) for n in names for bank in names if bank != n]
    return draws


def _by_bank(parts: Sequence[Part], field: str) -> dict[str, int]:
    """What all parts imported, or exported, by bank."""
    found: dict[str, int] | None = None
    for part in parts:
        own = _of_part(part, field)
        if found is not None and list(found) != list(own):
            raise UnableToPriceBill(
                sentence(
                    "The periods in which energy is netted change within the bill: read the meter "
                    "on the day of the change, so that a bill ends there."
                )
            )
        found = {name: wh + (found or {}).get(name, 0) for name, wh in own.items()}
    return found or {}


def _of_part(part: Part, field: str) -> dict[str, int]:
    usage, name = part.usage, net_calendar(part.tariff)
    total = usage.wh if field == _BY_PERIOD else usage.export_wh
    if name is None:
        return {ALL_HOURS: total}
    periods = _periods(part.tariff, name)
    known = getattr(usage, field).get(name)
    if known is None and total:
        if field == _BY_PERIOD:
            raise UnableToPriceBill(
                sentence(
                    "Net metering needs the energy imported in each period of the calendar "
                    "{calendar}: registers of their own, such as {period}.",
                    calendar=name,
                    period=periods[0],
                )
            )
        raise UnableToPriceBill(
            sentence(
                "Net metering needs the energy exported in each period of the calendar {calendar}: "
                "registers of their own, such as {period} and export:{period}.",
                calendar=name,
                period=periods[0],
            )
        )
    return {period: (known or {}).get(period, 0) for period in periods}


def _shared(bill: NetBill, parts: Sequence[Part]) -> list[Part]:
    """The parts with what is billed of them; what is settled is with the last."""
    each: list[dict[str, int]] = [{} for _ in parts]
    for name in _of_part(parts[0], _BY_PERIOD):
        weights = [_of_part(part, _BY_PERIOD)[name] for part in parts]
        for of_part, wh in zip(each, _in_whole_wh(bill.banks[name].netted, weights), strict=True):
            of_part[name] = wh
    settled = {name: bank.settled for name, bank in bill.banks.items()}
    return [
        _with(part, own, settled if part is parts[-1] else {})
        for part, own in zip(parts, each, strict=True)
    ]


def _with(part: Part, own: Mapping[str, int], settled: Mapping[str, int]) -> Part:
    calendar = net_calendar(part.tariff)
    usage = replace(
        part.usage,
        netted_wh=sum(own.values()),
        netted_by_period={} if calendar is None else {calendar: dict(own)},
        settled_wh=sum(settled.values()),
        settled_by_period=_settled_by_period(part.tariff, calendar, settled),
    )
    return replace(part, usage=usage)


def _settled_by_period(
    tariff: Tariff, calendar: str | None, settled: Mapping[str, int]
) -> dict[str, dict[str, int]]:
    """By the periods of the tariff; what is of all hours is with the first."""
    if calendar is None:
        return {}
    periods = _periods(tariff, calendar)
    found = {period: settled.get(period, 0) for period in periods}
    found[periods[0]] += sum(wh for name, wh in settled.items() if name not in found)
    return {calendar: found}


def _periods(tariff: Tariff, calendar: str) -> tuple[str, ...]:
    return (tariff.calendars or {})[calendar].period_names


def _in_whole_wh(whole: int, weights: Sequence[int]) -> list[int]:
    if not any(weights):
        return [0] * len(weights)
    shared = share(Column.constant(whole), [Column.constant(weight) for weight in weights])
    return [int(part.at(0)) for part in shared]


def netted_alone(tariff: Tariff, batch: UsageBatch) -> UsageBatch:
    """Bills that no other came before, netted, each with nothing banked.

    As they are where the tariff has no net metering. Raises UnableToPriceBill.
    """
    if not tariff.net_metering:
        return batch
    found = []
    for row in range(len(batch)):
        usage, period = batch.row(row)
        (part,), _ = netted([Part(tariff, period, usage)], opening={})
        found.append(part.usage)
    return replace(
        batch,
        netted_wh=np.array([usage.netted_wh for usage in found]),
        netted_by_period=_columns([usage.netted_by_period for usage in found]),
        settled_wh=np.array([usage.settled_wh for usage in found]),
        settled_by_period=_columns([usage.settled_by_period for usage in found]),
    )


def _columns(each: Sequence[ByPeriod]) -> ColumnsByPeriod:
    return {
        calendar: {name: np.array([one[calendar][name] for one in each]) for name in periods}
        for calendar, periods in each[0].items()
    }
