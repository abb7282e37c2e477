"""The tariff format, version 1: what a utility charges, as JSON whose rates are decimal strings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from services.domain.money import UnknownCurrency, exponent

_STRUCTURE: Final = "tariff_structure"
_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_IN_PLAIN_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this format",
    "string_type": "must be text",
    "string_pattern_mismatch": "is empty, or has characters that are not allowed",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be an object with named fields",
    "model_attributes_type": "must be an object with named fields",
    "union_tag_not_found": 'must have a "kind": "energy", "fixed" or "percent"',
    "union_tag_invalid": 'must have a "kind": "energy", "fixed" or "percent"',
}

Problem = tuple[str, str]


class InvalidTariff(ValueError):
    """The JSON is not a tariff; `problems` holds every (path, why), such as charges[0].rate."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: list[Problem] = list(problems)
        listed = "; ".join(f"{path}: {why}" if path else why for path, why in self.problems)
        super().__init__(f"This tariff cannot be used. {listed}")


@lru_cache(maxsize=4096)
def exact(text: str) -> Fraction:
    """The exact value of a decimal string of a tariff."""
    return Fraction(text)


def _decimal_text(value: object) -> object:
    if isinstance(value, (int, float)):
        raise PydanticCustomError(
            "not_exact", 'a JSON number is not exact: write a string of decimals, such as "0.10"'
        )
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticCustomError(
            "not_decimal", 'must be plain decimals, at most 12 on each side of the point: "0.10"'
        )
    return value


def _not_negative(value: str) -> str:
    if exact(value) < 0:
        raise PydanticCustomError("negative", "cannot be negative")
    return value


def _positive(value: str) -> str:
    if exact(value) <= 0:
        raise PydanticCustomError("not_positive", "must be more than 0")
    return value


def _calendar_date(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise PydanticCustomError("date", "must be a date written as YYYY-MM-DD")


def _known_currency(value: str) -> str:
    try:
        exponent(value)
    except UnknownCurrency as problem:
        raise PydanticCustomError("currency", "{why}", {"why": str(problem)}) from problem
    return value


Rate = Annotated[str, BeforeValidator(_decimal_text)]
SlabRate = Annotated[Rate, AfterValidator(_not_negative)]
SlabBound = Annotated[Rate, AfterValidator(_positive)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
# No control characters (Postgres keeps no NUL in jsonb), and not blank.
_PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
Text = Annotated[str, StringConstraints(pattern=_PRINTABLE)]
Per = Literal["bill", "month", "day"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Slab(_Frozen):
    """Part of a telescopic charge: `rate` per kWh up to a cumulative bound (None: no bound)."""

    up_to_kwh: SlabBound | None = None
    rate: SlabRate


class _Charge(_Frozen):
    code: Code
    description: Annotated[Text, StringConstraints(max_length=200)]
    tax: StrictBool = False


class EnergyCharge(_Charge):
    """A charge per kWh: one `rate`, or telescopic `slabs` whose limits hold per bill, month, day.

    `print` says whether the bill shows one line for all slabs or a line for each slab used.
    """

    kind: Literal["energy"]
    rate: Rate | None = None
    slabs: tuple[Slab, ...] | None = None
    slab_limits_per: Per | None = None
    print: Literal["one_line", "line_per_slab"] = "one_line"


class FixedCharge(_Charge):
    """An amount per bill, month or day; `proration` says if a month's amount follows its days."""

    kind: Literal["fixed"]
    amount: Rate
    per: Per
    proration: Literal["days", "none"] | None = None


class PercentCharge(_Charge):
    """A percent of the rounded amounts of the charges named in `of`; below 0 it is a rebate."""

    kind: Literal["percent"]
    percent: Rate
    of: tuple[Code, ...]


Charge = Annotated[EnergyCharge | FixedCharge | PercentCharge, Field(discriminator="kind")]


class Tariff(_Frozen):
    """One dated version of a tariff; charges are printed in their order here."""

    code: Code
    name: Annotated[Text, StringConstraints(max_length=200)]
    currency: Annotated[str, AfterValidator(_known_currency)]
    effective_from: Annotated[date, BeforeValidator(_calendar_date)]
    charges: tuple[Charge, ...]
    source: Annotated[Text, StringConstraints(max_length=1000)] | None = None
    rounding: Literal["half_up"] = "half_up"

    @model_validator(mode="after")
    def _check_structure(self) -> Self:
        problems = list(_structure_problems(self.to_json()))
        if problems:
            why = "; ".join(f"{path}: {why}" for path, why in problems)
            raise PydanticCustomError(_STRUCTURE, "{why}", {"why": why})
        return self

    def to_json(self) -> dict[str, Any]:
        """The tariff as it was written: what parse_tariff reads back to an equal tariff."""
        return self.model_dump(mode="json", exclude_unset=True)


def parse_tariff(data: Mapping[str, Any]) -> Tariff:
    """Read a tariff from its JSON. Raises InvalidTariff with every problem, not only the first."""
    try:
        return Tariff.model_validate(data)
    except ValidationError as refused:
        found = [
            (_path(error), _why(error))
            for error in refused.errors(include_url=False, include_context=False)
            if error["type"] != _STRUCTURE
        ]
        # Looked for again in the JSON itself: pydantic stops at the first kind of problem.
        found += _structure_problems(data)
        raise InvalidTariff(list(dict.fromkeys(found))) from refused


def dependency_order(charges: Sequence[Charge]) -> list[str]:
    """Charge codes, each after the charges it is a percent of. A circle raises CycleError."""
    graph = {c.code: c.of if isinstance(c, PercentCharge) else () for c in charges}
    return list(TopologicalSorter(graph).static_order())


def _path(error: ErrorDetails) -> str:
    steps = list(error["loc"])
    # Pydantic names the kind of charge between its index and its field; the JSON has no such step.
    if len(steps) > 2 and steps[0] == "charges":
        del steps[2]
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _why(error: ErrorDetails) -> str:
    return _IN_PLAIN_WORDS.get(error["type"], error["msg"])


def _structure_problems(data: object) -> Iterator[Problem]:
    """What is wrong between fields, in JSON that may also have problems within fields."""
    listed = data.get("charges") if isinstance(data, Mapping) else None
    charges = [
        (f"charges[{index}]", charge)
        for index, charge in enumerate(listed if isinstance(listed, Sequence) else ())
        if isinstance(charge, Mapping)
    ]
    if isinstance(listed, Sequence) and not listed:
        yield "charges", "needs at least one charge"
    for path, charge in charges:
        if charge.get("kind") == "energy":
            yield from _energy_problems(path, charge)
        elif charge.get("kind") == "fixed":
            yield from _fixed_problems(path, charge)
    yield from _code_problems(charges)
    yield from _reference_problems(charges)


def _energy_problems(path: str, charge: Mapping[str, Any]) -> Iterator[Problem]:
    slabs = charge.get("slabs")
    if (slabs is None) == (charge.get("rate") is None):
        yield path, 'needs either "rate" or "slabs", and not both'
    if slabs is None:
        for field in ("slab_limits_per", "print"):
            if charge.get(field) is not None:
                yield f"{path}.{field}", "goes with slabs only"
        return
    if charge.get("slab_limits_per") is None:
        yield f"{path}.slab_limits_per", 'must say "bill", "month" or "day"'
    if isinstance(slabs, Sequence):
        yield from _slab_problems(f"{path}.slabs", slabs)


def _slab_problems(path: str, slabs: Sequence[Any]) -> Iterator[Problem]:
    if not slabs:
        yield path, "needs at least one slab"
    reached = Fraction(0)
    for index, slab in enumerate(slabs):
        bound = slab.get("up_to_kwh") if isinstance(slab, Mapping) else None
        last = index == len(slabs) - 1
        if last and bound is not None:
            yield f"{path}[{index}].up_to_kwh", "the last slab has no bound: it takes all the rest"
        elif not last and bound is None:
            yield f"{path}[{index}].up_to_kwh", "only the last slab can be without a bound"
        if isinstance(bound, str) and _DECIMAL.fullmatch(bound) and exact(bound) > 0:
            if exact(bound) <= reached:
                yield f"{path}[{index}].up_to_kwh", "bounds are cumulative and must rise"
            reached = max(reached, exact(bound))


def _fixed_problems(path: str, charge: Mapping[str, Any]) -> Iterator[Problem]:
    given = charge.get("proration")
    if charge.get("per") == "month" and given is None:
        yield f"{path}.proration", 'an amount per month must say "days" or "none"'
    if charge.get("per") in ("bill", "day") and given is not None:
        yield f"{path}.proration", "goes with an amount per month only"


def _code_problems(charges: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for path, charge in charges:
        code = charge.get("code")
        if isinstance(code, str) and seen.setdefault(code, path) != path:
            yield f"{path}.code", f"{code} is already the code of {seen[code]}"


def _reference_problems(charges: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Problem]:
    known = {charge.get("code") for _, charge in charges if isinstance(charge.get("code"), str)}
    graph: dict[str, list[str]] = {}
    for path, charge in charges:
        named = charge.get("of") if charge.get("kind") == "percent" else None
        if not isinstance(named, (list, tuple)):
            continue
        if not named:
            yield f"{path}.of", "must name at least one charge"
        for index, code in enumerate(named):
            if isinstance(code, str) and code not in known:
                yield f"{path}.of[{index}]", f"{code} is not a charge of this tariff"
            if code in named[:index]:
                yield f"{path}.of[{index}]", f"{code} is named twice"
        if isinstance(charge.get("code"), str):
            graph.setdefault(charge["code"], []).extend(c for c in named if isinstance(c, str))
    yield from _circles(graph)


def _circles(graph: dict[str, list[str]]) -> Iterator[Problem]:
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as found:
            circle: list[str] = found.args[1]
            yield "charges", f"a circle of percents: {' → '.join(reversed(circle))}"
            # Open this circle, so that the next one is found too.
            graph[circle[1]] = [code for code in graph[circle[1]] if code != circle[0]]
        else:
            return
