"""What one bill is priced from, as a file says it: a period, registers and perhaps intervals."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    model_validator,
)

from services.importing.by_kind.interval_rows import IntervalFile
from services.importing.source import UnreadableFile, read_text
from services.importing.table import read_table
from services.importing.tariff_files import json_of
from services.metering.register_arithmetic import check_fits_dials, consumption_wh, is_a_fall
from services.metering.registers import IMPORT, measure_of, register_names
from services.quantities.counting import count
from services.quantities.energy import format_kwh, parse_kwh, parse_multiplier
from services.quantities.period import Period
from services.quantities.written_numbers import DecimalSign
from services.records.readings import IntervalDay
from services.tariffs.values import Day

TOTAL: Final = "total"
_MOST_DAYS: Final = 3660
_STARTS: Final = ("start", "timestamp", "datetime", "time")
_METER: Final = "meter_serial"
_ANY_TIME: Final = datetime(2200, 1, 1, tzinfo=UTC)
_MOST_TYPED: Final = 60
_IN_PLAIN_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of a usage file",
    "int_type": "must be a whole number",
    "string_type": "must be text",
    "dict_type": "must be an object with named fields",
    "model_type": "must be an object with named fields",
}


def _kwh(value: Any) -> int:
    return parse_kwh(value, what="value")


def _named(registers: Any) -> Any:
    """Registers by their names in lower case; "import" is the total."""
    if not isinstance(registers, dict):
        return registers
    names = [str(name).strip().lower() for name in registers]
    names = [TOTAL if name == IMPORT else name for name in names]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"The register {name[:_MOST_TYPED]} is given twice.")
    return dict(zip(names, registers.values(), strict=True))


def _year(day: date) -> date:
    if not 1990 <= day.year <= 2200:
        raise ValueError("must be between 1990 and 2200")
    return day


_Wh = Annotated[int, BeforeValidator(_kwh)]
_BillDay = Annotated[Day, AfterValidator(_year)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterReads(_Strict):
    """A register's two values in Wh (W of a maximum), before the multiplier.

    Only with `dials` can it have rolled over in between; a maximum needs no opening value.
    """

    opening_wh: _Wh | None = Field(default=None, alias="opening_kwh")
    closing_wh: _Wh = Field(alias="closing_kwh")
    dials: Annotated[StrictInt, Field(ge=1, le=12)] | None = None

    def counted(self, name: str, *, multiplier_milli: int) -> int:
        """What it counted, after the multiplier. Raises ValueError."""
        if self.opening_wh is None:
            raise ValueError(f"The register {name} needs an opening value.")
        opening, closing = self.opening_wh, self.closing_wh
        fell = f"The register {name} closes at {format_kwh(closing)}, below {format_kwh(opening)}"
        if self.dials is None:
            if closing < opening:
                raise ValueError(f"{fell}: correct it, or give its dials if it rolled over.")
            return _of_thousandths((closing - opening) * multiplier_milli)
        for value in (opening, closing):
            check_fits_dials(value, self.dials)
        if is_a_fall(opening_wh=opening, closing_wh=closing, dials=self.dials):
            dials = count(self.dials, "dial")
            raise ValueError(f"{fell}, too far for one rollover of {dials}: correct it.")
        return consumption_wh(
            opening_wh=opening,
            closing_wh=closing,
            dials=self.dials,
            multiplier_milli=multiplier_milli,
        )


class UsageFile(_Strict):
    """The usage of one bill: local days (the end excluded), registers by name, loads in W and VA.

    `intervals` names a CSV of the energy imported, after the multiplier.
    """

    period_start: _BillDay
    period_end: _BillDay
    connected_w: _Wh | None = Field(default=None, alias="connected_kw")
    connected_va: _Wh | None = Field(default=None, alias="connected_kva")
    registers: Annotated[dict[str, RegisterReads], BeforeValidator(_named)] = Field(
        default_factory=dict
    )
    multiplier_milli: Annotated[int, BeforeValidator(parse_multiplier)] = Field(
        default=1000, alias="multiplier"
    )
    intervals: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        days = (self.period_end - self.period_start).days
        if days <= 0:
            raise ValueError(
                f"The period has no days: period_end ({self.period_end}) must be after "
                f"period_start ({self.period_start}), and is itself not billed."
            )
        if days > _MOST_DAYS:
            raise ValueError(f"The period has {count(days, 'day')}, more than any bill.")
        register_names(self.further)
        self.counted()
        return self

    @property
    def period(self) -> Period:
        """The local days to price."""
        return Period(self.period_start, self.period_end)

    @property
    def further(self) -> dict[str, RegisterReads]:
        """The registers beside the total."""
        return {name: reads for name, reads in self.registers.items() if name != TOTAL}

    def counted(self) -> dict[str, int]:
        """What each register counted, the total too, in Wh (VAh, varh) after the multiplier.

        Raises ValueError.
        """
        return {
            name: reads.counted(name, multiplier_milli=self.multiplier_milli)
            for name, reads in self.registers.items()
            if name == TOTAL or not measure_of(name).is_maximum
        }

    def maxima(self) -> dict[str, int]:
        """The highest demand that registers show, in W (VA, var) after the multiplier."""
        return {
            name: _of_thousandths(reads.closing_wh * self.multiplier_milli)
            for name, reads in self.further.items()
            if measure_of(name).is_maximum
        }


def _of_thousandths(thousandths: int) -> int:
    """Thousandths as the nearest whole number."""
    return (thousandths + 500) // 1000


def read_usage(
    path: Path, *, zone: ZoneInfo, decimal: DecimalSign | None = None
) -> tuple[UsageFile, tuple[IntervalDay, ...]]:
    """A usage file, and the intervals that it names. Raises UnreadableFile.

    Their file is looked for beside the usage file, else where the program runs.
    """
    found = json_of(read_text(path), parse_float=Decimal)
    if not isinstance(found, dict):
        raise UnreadableFile(f"{path.name}: a usage is an object with named fields.")
    try:
        usage = UsageFile.model_validate(found)
    except ValidationError as error:
        raise UnreadableFile(f"{path.name}: {_in_words(error)}") from None
    if usage.intervals is None:
        return usage, ()
    beside = path.parent / usage.intervals
    source = beside if beside.exists() else Path(usage.intervals)
    return usage, _intervals(source, period=usage.period, zone=zone, decimal=decimal)


def _intervals(
    source: Path, *, period: Period, zone: ZoneInfo, decimal: DecimalSign | None
) -> tuple[IntervalDay, ...]:
    """The local days of a period, each whole. Raises UnreadableFile."""
    table = read_table(
        source,
        required=("kwh",),
        optional=(*_STARTS, "minutes", _METER),
        numbers=("kwh",),
        dates=_STARTS,
        decimal=decimal,
    )
    starts = [name for name in _STARTS if name in table.columns]
    if not starts:
        raise UnreadableFile(f"{source.name} lacks the column start: when each interval begins.")
    file = IntervalFile(zone=zone, now=_ANY_TIME, problems=table.problems)
    meters: set[str] = set()
    for cells in table.rows():
        values: Mapping[str, str] = {_METER: "of this bill", **cells.values}
        meters.add(values[_METER])
        start = {"start": cells.values[starts[0]]}
        file.add(type(cells)(cells.row, {**values, **start}, cells.problems))
    days = [IntervalDay(day=r["day"], minutes=r["minutes"], wh=r["wh"]) for r in list(file.days())]
    if table.problems:
        first = table.problems[0]
        raise UnreadableFile(f"{source.name}: {first.message}", row=first.row)
    if len(meters) > 1:
        raise UnreadableFile(f"{source.name} has {count(len(meters), 'meter')}: give those of one.")
    return tuple(day for day in days if period.start <= day.day < period.end)


def _in_words(error: ValidationError) -> str:
    """The first thing that is wrong, as a sentence."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(step)[:_MOST_TYPED] for step in first["loc"])
    if first["type"] == "value_error":
        why = str(first["ctx"]["error"])
        return f"{where}: {why}" if where else why
    words = _IN_PLAIN_WORDS.get(first["type"]) or first["msg"].replace("Input should", "must")
    return f"{where} {words}."
