"""What is wrong in net metering: charges that do not go with it, and banks that nothing names."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.languages.sentence import sentence
from services.tariffs.checks.problems import Problem
from services.tariffs.values import listed, mapped

Json = Mapping[str, Any]

_AT_ONE_RATE: Final = ("slabs", "period_slabs", "changes")


def net_metering_problems(tariff: Json) -> Iterator[Problem]:
    """What is wrong between a tariff's net metering and its charges, as JSON."""
    rule = tariff.get("net_metering")
    charges = [
        (f"charges[{index}]", charge)
        for index, charge in enumerate(listed(tariff.get("charges")))
        if isinstance(charge, Mapping) and charge.get("kind") == "energy"
    ]
    paying = [(path, one) for path, one in charges if one.get("quantity") == "settled_kwh"]
    for path, charge in paying:
        yield from _paying_problems(path, charge)
    if not isinstance(rule, Mapping):
        for path, _ in paying:
            yield (
                f"{path}.quantity",
                sentence("can only go with net metering: nothing else banks kWh"),
            )
        return
    netted = [(path, charge) for path, charge in charges if charge.get("quantity", "kwh") == "kwh"]
    if not netted:
        yield "net_metering", sentence("needs a charge for kWh: it is what exports offset")
    for path, charge in charges:
        if charge.get("quantity") == "export_kwh":
            yield (
                f"{path}.quantity",
                sentence("cannot go with net metering: what is exported is netted"),
            )
    yield from _surplus_problems(mapped(rule), paying=bool(paying))
    yield from _calendar_problems(netted, paying, tariff)


def _paying_problems(path: str, charge: Json) -> Iterator[Problem]:
    for field in _AT_ONE_RATE:
        if charge.get(field) is not None:
            yield (
                f"{path}.{field}",
                sentence("cannot go with surplus that is paid out: it has one rate"),
            )


def _surplus_problems(rule: Json, *, paying: bool) -> Iterator[Problem]:
    if rule.get("surplus") == "paid" and not paying:
        yield (
            "net_metering.surplus",
            sentence("is paid, and no charge has its rate: add one for surplus paid out"),
        )
    if rule.get("surplus") == "lapses" and paying:
        yield (
            "net_metering.surplus",
            sentence("lapses, and a charge pays it out: leave one of the two"),
        )


def _calendar_problems(
    netted: list[tuple[str, Any]], paying: list[tuple[str, Any]], tariff: Json
) -> Iterator[Problem]:
    """Energy is netted by the periods of at most one calendar that has hours."""
    known = mapped(tariff.get("calendars"))
    first: str | None = None
    for path, charge in (*netted, *paying):
        name = charge.get("calendar")
        if not isinstance(name, str) or not _has_hours(mapped(known.get(name))):
            continue
        if first is None and (path, charge) in netted:
            first = name
        elif name != first:
            yield (
                f"{path}.calendar",
                sentence("must be the calendar by which the other energy is netted"),
            )


def _has_hours(calendar: Json) -> bool:
    """Whether a period is only some hours or kinds of days: then it is more than a season."""
    windows = [w for of in mapped(calendar.get("periods")).values() for w in listed(of)]
    return any(
        mapped(window).get("days") is not None
        or mapped(window).get("from", "00:00") != "00:00"
        or mapped(window).get("to", "24:00") != "24:00"
        for window in windows
    )
