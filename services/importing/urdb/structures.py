"""URDB's rate structures: a list of periods, each a list of tiers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from services.importing.urdb.fields import RateFields, UnusableRate, one_line, plain
from services.languages.sentence import sentence

# Bounds such as 1e38 stand for none.
_NO_BOUND: Final = Decimal("1e12")


@dataclass(frozen=True, slots=True)
class Tier:
    """`rate` (with its adjustment) up to a cumulative `bound`, None in the last tier."""

    bound: Decimal | None
    rate: Decimal
    sell: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Structure:
    """The tiers of each period, the last of each without a bound."""

    name: str
    periods: list[list[Tier]]

    def tiered(self, used: Iterable[int]) -> list[int]:
        """Those of the periods that have more than one tier."""
        return [period for period in used if len(self.periods[period]) > 1]

    def is_free(self, used: Iterable[int]) -> bool:
        """True when nothing is charged in these periods."""
        return not any(tier.rate for period in used for tier in self.periods[period])


def read_structure(fields: RateFields, name: str) -> Structure | None:
    """A structure, None when the rate has none. Raises UnusableRate."""
    given = fields.take(name)
    if given is None:
        return None
    if not isinstance(given, list):
        raise UnusableRate((name, sentence("must be a list of periods")))
    return Structure(
        name, [_tiers(fields, period, f"{name}[{i}]") for i, period in enumerate(given)]
    )


def _tiers(fields: RateFields, period: Any, path: str) -> list[Tier]:
    if isinstance(period, Mapping) and len(period) == 1:  # {"energyRateTiers": […]}
        period = next(iter(period.values()))
    if not isinstance(period, list):
        raise UnusableRate((path, sentence("must be a list of tiers")))
    if not period:
        fields.remark(path, sentence("has no tiers: nothing is charged in this period"))
    tiers = [_tier(fields, tier, f"{path}[{i}]") for i, tier in enumerate(period)]
    return _in_order(fields, tiers, path) or [Tier(None, Decimal(0), Decimal(0), "")]


def _tier(fields: RateFields, tier: Any, path: str) -> Tier:
    if not isinstance(tier, Mapping):
        raise UnusableRate((path, sentence("must be an object with named fields")))
    bound = tier.get("max")
    if isinstance(bound, (int, Decimal)) and bound >= _NO_BOUND:
        bound = None
    for name in sorted(set(tier) - {"max", "rate", "adj", "sell", "unit"}):
        if tier[name] is not None:
            fields.remark(
                f"{path}.{name}", sentence("left out: {value}", value=one_line(tier[name]))
            )
    return Tier(
        bound=None if bound is None else fields.exact(bound, f"{path}.max"),
        rate=fields.exact(tier.get("rate"), f"{path}.rate")
        + fields.exact(tier.get("adj"), f"{path}.adj"),
        sell=fields.exact(tier.get("sell"), f"{path}.sell"),
        unit=one_line(tier.get("unit") or "").lower(),
    )


def _in_order(fields: RateFields, tiers: Sequence[Tier], path: str) -> list[Tier]:
    """The tiers that can be reached, the last without its bound: use above it is never free."""
    reachable: list[Tier] = []
    reached = Decimal(0)
    for index, tier in enumerate(tiers):
        last, where = index == len(tiers) - 1, f"{path}[{index}]"
        if tier.bound is None or last:
            if not last:
                fields.remark(where, sentence("has no max: the tiers after it are left out"))
            elif tier.bound:
                why = sentence(
                    "{value} is ignored: the last tier takes all the rest", value=plain(tier.bound)
                )
                fields.remark(f"{where}.max", why)
            return [*reachable, replace(tier, bound=None)]
        if tier.bound < reached:
            raise UnusableRate((f"{where}.max", sentence("bounds are cumulative and must rise")))
        if tier.bound == reached:
            fields.remark(
                where, sentence("ends at {value}, where it begins: left out", value=plain(reached))
            )
            continue
        reachable.append(tier)
        reached = tier.bound
    return reachable
