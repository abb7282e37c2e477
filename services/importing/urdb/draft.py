"""The tariff that a rate becomes, while it is put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from services.importing.urdb.fields import RateFields, UnusableRate, plain
from services.importing.urdb.schedules import Schedule, name_of
from services.importing.urdb.structures import Structure, Tier
from services.languages.sentence import sentence

DaysAs = Literal["actual", "average_month"]
Charge = dict[str, Any]


@dataclass
class Draft:
    """Charges and calendars so far, and the rate's fields that they are made of."""

    fields: RateFields
    days_as: DaysAs = "actual"
    charges: list[Charge] = field(default_factory=list)
    calendars: dict[str, Any] = field(default_factory=dict)

    def add(self, code: str, description: str, kind: str, **fields: Any) -> Charge:
        """Add a charge at the end of the bill."""
        charge = {"code": code, "description": description, "kind": kind, **fields}
        self.charges.append(charge)
        return charge

    def rates(self, calendar: str, schedule: Schedule, rates: Sequence[Decimal]) -> Charge:
        """`rate`, or `calendar` and `rates` where the periods differ; `rates` is by period."""
        used = schedule.used
        if len({rates[period] for period in used}) == 1:
            return {"rate": plain(rates[used[0]])}
        self.calendars[calendar] = schedule.calendar()
        return {
            "calendar": calendar,
            "rates": {name_of(period): plain(rates[period]) for period in used},
        }

    def slabs(self, calendar: str, schedule: Schedule, slabs: dict[int, list[Charge]]) -> Charge:
        """`slabs`, or `calendar` and `period_slabs` where there are several periods."""
        used = schedule.used
        if len(used) == 1:
            return {"slabs": slabs[used[0]]}
        self.calendars[calendar] = schedule.calendar()
        named = {name_of(period): slabs[period] for period in used}
        return {"calendar": calendar, "period_slabs": named}

    def name_unused(self, structure: Structure, schedule: Schedule) -> None:
        """Remark the periods of a structure that no hour belongs to."""
        for period in sorted(set(range(len(structure.periods))) - set(schedule.used)):
            path = f"{structure.name}[{period}]"
            self.fields.remark(
                path, sentence("no hour of the schedules is in this period: left out")
            )


def slabs_of(
    tiers: Sequence[Tier], limit: str, *, bounds: Iterable[Decimal] = (), path: str
) -> list[Charge]:
    """The tiers as slabs, also divided at `bounds`, whose limit is called `limit`.

    Raises UnusableRate: a slab cannot be a credit.
    """
    if any(tier.rate < 0 for tier in tiers):
        raise UnusableRate(
            (path, sentence("a tier below 0 among several: slabs cannot be credits"))
        )
    slabs: list[Charge] = []
    reached = Decimal(0)
    for tier in tiers:
        ends: list[Decimal | None] = [
            bound
            for bound in sorted(set(bounds) - {tier.bound})
            if bound > reached and (tier.bound is None or bound < tier.bound)
        ]
        slabs += [
            {"rate": plain(tier.rate)} | ({limit: plain(end)} if end else {})
            for end in [*ends, tier.bound]
        ]
        reached = tier.bound or reached
    return slabs
