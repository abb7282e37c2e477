"""What is wrong in slabs and in prices by period: gaps, overlaps, periods that are not there."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.languages.sentence import sentence
from services.tariffs.checks.problems import Problem
from services.tariffs.values import decimal_of, listed, mapped

Json = Mapping[str, Any]

_BY_PERIOD: Final = ("rates", "period_slabs")


def slab_problems(path: str, slabs: object, bound_name: str) -> Iterator[Problem]:
    """Slabs must rise without an end: each from the bound before it, the last to infinity."""
    if not isinstance(slabs, (list, tuple)):
        return
    if not slabs:
        yield path, sentence("must have at least one slab")
    reached = None
    for index, slab in enumerate(slabs):
        written = mapped(slab).get(bound_name)
        where, last = f"{path}[{index}].{bound_name}", index == len(slabs) - 1
        if last and written is not None:
            yield where, sentence("must be left out of the last slab, which takes all the rest")
        elif not last and written is None:
            yield where, sentence("is missing: only the last slab can be without one")
        bound = decimal_of(written)
        if bound is not None and bound > 0:
            if reached is not None and bound <= reached:
                yield where, sentence("must be more than the limit of the slab before it")
            reached = bound if reached is None else max(reached, bound)


def period_problems(path: str, charge: Json, tariff: Json, bound_name: str) -> Iterator[Problem]:
    """Prices by period must have each period of a calendar of the tariff, and no other."""
    name = charge.get("calendar")
    calendar = mapped(mapped(tariff.get("calendars")).get(name) if isinstance(name, str) else None)
    if isinstance(name, str) and name not in mapped(tariff.get("calendars")):
        why = sentence("is {name}, which is not a calendar of this tariff", name=name)
        yield f"{path}.calendar", why
    for field in _BY_PERIOD:
        given, periods = charge.get(field), mapped(calendar.get("periods"))
        if isinstance(given, Mapping) and calendar:
            yield from _coverage(f"{path}.{field}", given, periods, str(name))
    by_period = mapped(charge.get("period_slabs"))
    for period, slabs in by_period.items():
        yield from slab_problems(f"{path}.period_slabs.{period}", slabs, bound_name)
    if charge.get("tiers") == "pooled":
        yield from _pool_problems(f"{path}.period_slabs", by_period)


def _coverage(path: str, given: Json, periods: Json, name: str) -> Iterator[Problem]:
    for period in periods:
        if period not in given:
            why = sentence("is missing: it is a period of the calendar {name}", name=name)
            yield f"{path}.{period}", why
    for period in given:
        if period not in periods:
            yield (
                f"{path}.{period}",
                sentence(
                    "is not needed: {period} is not a period of the calendar {name}",
                    period=period,
                    name=name,
                ),
            )


def _pool_problems(path: str, by_period: Json) -> Iterator[Problem]:
    limits = [
        (period, [decimal_of(mapped(slab).get("up_to_kwh")) for slab in listed(slabs)])
        for period, slabs in by_period.items()
    ]
    for period, bounds in limits[1:]:
        first, expected = limits[0]
        if bounds != expected:
            yield (
                f"{path}.{period}",
                sentence(
                    "must have the limits of {period}: the periods fill the slabs together",
                    period=first,
                ),
            )
