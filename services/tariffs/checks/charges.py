"""What is wrong between the fields of one charge, kind by kind."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from services.languages.sentence import N_, sentence
from services.tariffs.checks.problems import Problem
from services.tariffs.checks.slabs import period_problems, slab_problems
from services.tariffs.values import day_text, decimal_of, listed, mapped

Json = Mapping[str, Any]

_PRICES: Final = ("rate", "slabs", "rates", "period_slabs")
_SLAB_FIELDS: Final = ("slab_limits_per", "slabs_apply", "limits_to", "print")


def charge_problems(path: str, charge: Json, tariff: Json) -> Iterator[Problem]:
    """What is wrong in a charge of a tariff, both as JSON."""
    kind = charge.get("kind")
    if kind in ("energy", "demand"):
        check = _energy_problems if kind == "energy" else _demand_problems
        yield from check(path, charge, tariff)
    elif isinstance(kind, str) and kind in _BY_KIND:
        yield from _BY_KIND[kind](path, charge)
    yield from _when_problems(f"{path}.when", charge.get("when"))
    yield from _own_months_problems(path, charge)


def month_count_problems(path: str, months: Json) -> Iterator[Problem]:
    """What is wrong in how months are counted."""
    low_high = listed(months.get("one_within_days"))
    if len(low_high) == 2 and all(type(days) is int for days in low_high):
        low, high = low_high
        if low > high:
            yield f"{path}.one_within_days", sentence("must have the fewest days first")
    if months.get("count") == "one":
        for field in ("places", "one_within_days"):
            if months.get(field) is not None:
                yield (
                    f"{path}.{field}",
                    sentence('cannot go with "one": a period is then 1 month always'),
                )


def _energy_problems(path: str, charge: Json, tariff: Json) -> Iterator[Problem]:
    yield from _price_problems(path, charge)
    yield from _change_problems(path, charge, tariff)
    with_slabs = _given(charge, "slabs") or _given(charge, "period_slabs")
    if not with_slabs:
        yield from _not_given(path, charge, _SLAB_FIELDS, N_("can only go with slabs"))
    elif not _given(charge, "slab_limits_per"):
        yield f"{path}.slab_limits_per", sentence('must say "bill", "month", "day" or "kw"')
    if not _given(charge, "period_slabs"):
        yield from _not_given(path, charge, ("tiers",), N_("can only go with slabs by period"))
    elif not _given(charge, "tiers"):
        yield f"{path}.tiers", sentence('must say "pooled" or "per_period"')
    yield from slab_problems(f"{path}.slabs", charge.get("slabs"), "up_to_kwh")
    yield from period_problems(path, charge, tariff, "up_to_kwh")


def _demand_problems(path: str, charge: Json, tariff: Json) -> Iterator[Problem]:
    yield from _price_problems(path, charge)
    if _given(charge, "free_per_kw") and charge.get("quantity") != "kvar":
        yield f"{path}.free_per_kw", sentence("can only go with kVAr")
    percent = decimal_of(mapped(charge.get("ratchet")).get("percent"))
    if percent is not None and percent > 100:
        yield f"{path}.ratchet.percent", sentence("cannot be more than 100")
    yield from slab_problems(f"{path}.slabs", charge.get("slabs"), "up_to_kw")
    yield from period_problems(path, charge, tariff, "up_to_kw")


def _price_problems(path: str, charge: Json) -> Iterator[Problem]:
    if sum(_given(charge, field) for field in _PRICES) != 1:
        yield (
            path,
            sentence('must have exactly one price: "rate", "slabs", "rates" or "period_slabs"'),
        )
    by_period = _given(charge, "rates") or _given(charge, "period_slabs")
    if by_period and not _given(charge, "calendar"):
        yield f"{path}.calendar", sentence("must name the calendar of the periods")
    if not by_period:
        yield from _not_given(path, charge, ("calendar",), N_("can only go with prices by period"))


def _change_problems(path: str, charge: Json, tariff: Json) -> Iterator[Problem]:
    changes = charge.get("changes")
    if changes is None:
        return
    if not _given(charge, "rate"):
        yield f"{path}.changes", sentence("can only go with a rate")
    if changes in ([], ()):
        yield f"{path}.changes", sentence("must have at least one change")
    reached = day_text(tariff.get("effective_from"))
    for index, change in enumerate(map(mapped, listed(changes))):
        begin = day_text(change.get("from"))
        if begin and begin <= reached:
            yield f"{path}.changes[{index}].from", sentence("must be after {day}", day=reached)
        reached = max(reached, begin)


def _fixed_problems(path: str, charge: Json) -> Iterator[Problem]:
    yield from _proration_problems(path, charge)
    if charge.get("per") != "day":
        yield from _not_given(path, charge, ("days_as",), N_("can only go with an amount per day"))


def _proration_problems(path: str, charge: Json) -> Iterator[Problem]:
    given = charge.get("proration")
    if charge.get("per") == "month" and given is None:
        yield f"{path}.proration", sentence('must say "days" or "none" for an amount per month')
    if charge.get("per") in ("bill", "day", "year") and given is not None:
        yield f"{path}.proration", sentence("can only go with an amount per month")


def _power_factor_problems(path: str, charge: Json) -> Iterator[Problem]:
    steps = [(f"{path}.target", charge.get("target"))]
    below = [mapped(step).get("pf") for step in listed(charge.get("below"))]
    steps += [(f"{path}.below[{index}].pf", pf) for index, pf in enumerate(below)]
    last: Fraction | None = None
    for where, written in (*steps, (f"{path}.bonus_above", charge.get("bonus_above"))):
        factor = decimal_of(written)
        if factor is not None and (factor > 1 or (factor * 100).denominator != 1):
            yield where, sentence("must be at most 1, in steps of 0.01")
    for where, written in steps:
        factor = decimal_of(written)
        if factor is not None and last is not None and factor >= last:
            yield where, sentence("must be below the step before it")
        last = factor if factor is not None else last
    yield from _bonus_problems(path, charge)


def _bonus_problems(path: str, charge: Json) -> Iterator[Problem]:
    target, above = decimal_of(charge.get("target")), decimal_of(charge.get("bonus_above"))
    if not _given(charge, "bonus_percent_per_point"):
        why = N_("can only go with a bonus")
        yield from _not_given(path, charge, ("bonus_above",), why)
    if target is not None and above is not None and above < target:
        yield f"{path}.bonus_above", sentence("cannot be below the target")


def _percent_problems(path: str, charge: Json) -> Iterator[Problem]:
    percent = decimal_of(charge.get("percent"))
    if charge.get("gross_up") is True and percent is not None and percent >= 100:
        yield (
            f"{path}.percent",
            sentence("must be below 100 in a gross-up: no amount contains all of itself"),
        )


def _when_problems(path: str, when: object) -> Iterator[Problem]:
    if not isinstance(when, Mapping):
        return
    kwh, load = ("kwh_above", "kwh_up_to"), ("load_kw_above", "load_kw_up_to")
    by_use = any(_given(when, field) for field in kwh)
    if not by_use and not any(_given(when, field) for field in load):
        yield path, sentence("must have a bound of kWh or of the connected load")
    if by_use and not _given(when, "per"):
        yield f"{path}.per", sentence('must say "bill", "month" or "day"')
    if not by_use:
        yield from _not_given(path, when, ("per",), N_("can only go with bounds of kWh"))
    for above, up_to in (kwh, load):
        low, high = decimal_of(when.get(above)), decimal_of(when.get(up_to))
        if low is not None and high is not None and low >= high:
            yield f"{path}.{up_to}", sentence("must be more than the lower bound")


def _own_months_problems(path: str, charge: Json) -> Iterator[Problem]:
    if charge.get("months") is None:
        return
    counted = (
        charge.get("slab_limits_per") == "month"
        or charge.get("proration") == "days"
        or charge.get("days_as") == "average_month"
        or mapped(charge.get("when")).get("per") == "month"
    )
    if not counted:
        yield (
            f"{path}.months",
            sentence("is not needed: nothing in this charge is counted in months"),
        )
    yield from month_count_problems(f"{path}.months", mapped(charge.get("months")))


def _given(data: Json, field: str) -> bool:
    return data.get(field) is not None


def _not_given(path: str, data: Json, fields: tuple[str, ...], why: str) -> Iterator[Problem]:
    for field in fields:
        if _given(data, field):
            yield f"{path}.{field}", sentence(why)


_BY_KIND: Final[Mapping[str, Callable[[str, Json], Iterator[Problem]]]] = {
    "fixed": _fixed_problems,
    "minimum": _proration_problems,
    "power_factor": _power_factor_problems,
    "percent": _percent_problems,
}
