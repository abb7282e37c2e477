"""A tariff: one dated version of what a utility charges, as JSON with decimal strings."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from graphlib import TopologicalSorter
from typing import Annotated, Any, Final, Self

from pydantic import StrictBool, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from services.languages.sentence import sentence
from services.tariffs.calendar import Calendar, compile_calendar
from services.tariffs.charges import Charge, EnergyCharge
from services.tariffs.checks.problems import InvalidTariff, Problem, problem_of
from services.tariffs.checks.structure import structure_problems
from services.tariffs.rules import (
    BillingPeriod,
    CalendarRule,
    MonthCount,
    NetMetering,
    Season,
    TariffRounding,
)
from services.tariffs.values import Code, Currency, Day, Description, Frozen, Text

# Ten times what the largest published tariffs hold; more only costs time and memory.
MOST_VALUES: Final = 20_000
MOST_PROBLEMS: Final = 100
_STRUCTURE: Final = "tariff_structure"


class Tariff(Frozen):
    """One dated version of a tariff; charges are printed in their order here."""

    code: Code
    name: Description
    currency: Currency
    effective_from: Day
    charges: tuple[Charge, ...]
    source: Annotated[Text, StringConstraints(max_length=1000)] | None = None
    rounding: TariffRounding = "half_up"
    months: MonthCount | None = None
    billing_period: BillingPeriod | None = None
    whole_kwh: StrictBool = False
    net_metering: NetMetering | None = None
    holidays: tuple[Day, ...] | None = None
    seasons: dict[Code, Season] | None = None
    calendars: dict[Code, CalendarRule] | None = None

    def __hash__(self) -> int:
        # Its objects of names cannot be hashed; equal tariffs still have equal hashes.
        return hash((self.code, self.currency, self.effective_from, len(self.charges)))

    @model_validator(mode="after")
    def _check_structure(self) -> Self:
        problems = list(structure_problems(self.to_json()))
        if problems:
            why = "; ".join(f"{path}: {why}" for path, why in problems)
            raise PydanticCustomError(_STRUCTURE, "{why}", {"why": why})
        return self

    def to_json(self) -> dict[str, Any]:
        """The tariff as it was written: what parse_tariff reads back to an equal tariff."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def parse_tariff(data: Mapping[str, Any]) -> Tariff:
    """Read a tariff from its JSON.

    Raises InvalidTariff with every problem, not only the first, up to MOST_PROBLEMS.
    """
    if _is_huge(data):
        why = sentence("holds more than {most} values, as no tariff does", most=MOST_VALUES)
        raise InvalidTariff([("", why)])
    try:
        return Tariff.model_validate(data)
    except ValidationError as refused:
        found = [
            problem_of(error)
            for error in refused.errors(include_url=False)
            if error["type"] != _STRUCTURE
        ]
        # Looked for again in the JSON itself: pydantic stops at the first kind of problem.
        found += structure_problems(data)
        raise InvalidTariff(_the_first(list(dict.fromkeys(found)))) from refused


def _is_huge(data: object) -> bool:
    """Whether there are more values than are worth looking at one by one."""
    level, seen = [data], 0
    while level:
        inner: list[object] = []
        for value in level:
            if isinstance(value, Mapping):
                inner.extend(value.values())
            elif isinstance(value, list | tuple):
                inner.extend(value)
        seen += len(inner)
        if seen > MOST_VALUES:
            return True
        level = inner
    return False


def _the_first(problems: list[Problem]) -> list[Problem]:
    more = len(problems) - MOST_PROBLEMS
    if more <= 0:
        return problems
    return [*problems[:MOST_PROBLEMS], ("", sentence("and {number} more", number=more))]


def based_on(charge: Charge) -> tuple[str, ...]:
    """The codes of the charges whose amounts a charge is computed from."""
    return getattr(charge, "of", ())


def dependency_order(charges: Sequence[Charge]) -> list[str]:
    """Charge codes, each after the charges it is computed from. A circle raises CycleError."""
    graph = {charge.code: based_on(charge) for charge in charges}
    return list(TopologicalSorter(graph).static_order())


@lru_cache(maxsize=256)
def compiled(tariff: Tariff, name: str) -> Calendar:
    """One of the tariff's calendars as a table."""
    return compile_calendar(
        rule=(tariff.calendars or {})[name],
        seasons=tariff.seasons or {},
        holidays=tariff.holidays or (),
    )


def net_calendar(tariff: Tariff) -> str | None:
    """The calendar in whose periods energy is netted; None where it is netted in all hours.

    Seasons alone are none: they follow each other, and a surplus is carried through them.
    """
    names = dict.fromkeys(
        charge.calendar
        for charge in tariff.charges
        if isinstance(charge, EnergyCharge) and charge.quantity == "kwh" and charge.calendar
    )
    return next((name for name in names if not compiled(tariff, name).is_seasonal), None)
