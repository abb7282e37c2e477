"""What is wrong between the fields of a tariff: codes, references, circles, rounding."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from services.languages.sentence import sentence
from services.quantities.money import UnknownCurrency, exponent, scaled_text
from services.tariffs.checks.calendars import calendar_problems
from services.tariffs.checks.charges import charge_problems, month_count_problems
from services.tariffs.checks.net_metering import net_metering_problems
from services.tariffs.checks.problems import Problem
from services.tariffs.values import decimal_of, listed, mapped

_KINDS_OF_OTHERS: Final = ("percent", "power_factor", "minimum")
_LINES_OF_ROUNDING: Final = ("rounding", "carried_forward", "brought_forward")

_At = tuple[str, Mapping[str, Any]]


def structure_problems(data: object) -> Iterator[Problem]:
    """What is wrong between fields, in JSON that may also have problems within fields."""
    tariff = mapped(data)
    if tariff.get("charges") in ([], ()):
        yield "charges", sentence("must have at least one charge")
    charges = [
        (f"charges[{index}]", charge)
        for index, charge in enumerate(listed(tariff.get("charges")))
        if isinstance(charge, Mapping)
    ]
    for path, charge in charges:
        yield from charge_problems(path, charge, tariff)
    yield from _code_problems(charges, rounds=isinstance(tariff.get("rounding"), Mapping))
    yield from _reference_problems(charges)
    yield from _rounding_problems(tariff)
    yield from month_count_problems("months", mapped(tariff.get("months")))
    yield from net_metering_problems(tariff)
    yield from _period_problems(mapped(tariff.get("billing_period")))
    yield from _holiday_problems(listed(tariff.get("holidays")))
    yield from calendar_problems(tariff)


def _code_problems(charges: list[_At], *, rounds: bool) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for path, charge in charges:
        code = charge.get("code")
        if isinstance(code, str) and first.setdefault(code, path) != path:
            why = sentence("is {code}, which an earlier charge has already", code=code)
            yield f"{path}.code", why
        if rounds and code in _LINES_OF_ROUNDING:
            why = sentence("is {code}, the code of a line that rounding makes", code=code)
            yield f"{path}.code", why


def _reference_problems(charges: list[_At]) -> Iterator[Problem]:
    coded = [charge for _, charge in charges if isinstance(charge.get("code"), str)]
    known = {charge["code"] for charge in coded}
    percents = {charge["code"] for charge in coded if charge.get("kind") == "percent"}
    graph: dict[str, list[str]] = {}
    for path, charge in charges:
        named = charge.get("of") if charge.get("kind") in _KINDS_OF_OTHERS else None
        if isinstance(named, (list, tuple)):
            yield from _of_problems(f"{path}.of", named, known)
            others = [code for code in named if isinstance(code, str)]
            if isinstance(charge.get("code"), str):
                graph.setdefault(charge["code"], []).extend(others)
    for circle in _circles(graph):
        codes = " → ".join(circle)
        why = (
            sentence("has a circle of percents: {codes}", codes=codes)
            if percents.issuperset(circle)
            else sentence("has a circle of charges: {codes}", codes=codes)
        )
        yield "charges", why


def _of_problems(path: str, named: Sequence[Any], known: set[str]) -> Iterator[Problem]:
    if not named:
        yield path, sentence("must name at least one charge")
    for index, code in enumerate(named):
        if isinstance(code, str) and code not in known:
            why = sentence("is {code}, which is not a charge of this tariff", code=code)
            yield f"{path}[{index}]", why
        if code in named[:index]:
            yield f"{path}[{index}]", sentence("is {name}, which is named twice", name=str(code))


def _circles(graph: dict[str, list[str]]) -> Iterator[list[str]]:
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as found:
            circle: list[str] = found.args[1]
            yield list(reversed(circle))
            # Open this circle, so that the next one is found too.
            graph[circle[1]] = [code for code in graph[circle[1]] if code != circle[0]]
        else:
            return


def _rounding_problems(tariff: Mapping[str, Any]) -> Iterator[Problem]:
    rounding = mapped(tariff.get("rounding"))
    try:
        places = exponent(str(tariff.get("currency")))
    except UnknownCurrency:
        return
    for part in ("lines", "total"):
        to = decimal_of(mapped(rounding.get(part)).get("to"))
        if to is not None and (to * 10**places).denominator != 1:
            smallest = scaled_text(1, places=places)
            why = sentence(
                "must be a multiple of {smallest}, the smallest amount of the currency",
                smallest=smallest,
            )
            yield f"rounding.{part}.to", why


def _period_problems(period: Mapping[str, Any]) -> Iterator[Problem]:
    low, high, usual = (_days_in(period, name) for name in ("min_days", "max_days", "usual_days"))
    if low is not None and high is not None:
        if low > high:
            yield "billing_period.max_days", sentence("cannot be below the fewest days")
        elif usual is not None and not low <= usual <= high:
            yield "billing_period.usual_days", sentence("must be from the fewest to the most days")
    scaled = period.get("beyond") is not None
    if scaled and period.get("usual_days") is None:
        yield "billing_period.usual_days", sentence("must say how many days one bill is for")
    if not scaled and period.get("usual_days") is not None:
        yield "billing_period.usual_days", sentence("can only go with bills that are scaled")


def _days_in(period: Mapping[str, Any], name: str) -> int | None:
    days = period.get(name)
    return days if type(days) is int else None


def _holiday_problems(holidays: list[Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, day in enumerate(map(str, holidays)):
        if day in seen:
            yield f"holidays[{index}]", sentence("is {name}, which is named twice", name=day)
        seen.add(day)
