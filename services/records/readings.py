"""Meters, their constants, and reads: records. Energy is whole Wh, dates are local."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal

from pydantic import Field

from services.quantities.quality import Quality
from services.records.base import Record


@dataclass(frozen=True, slots=True)
class ReadPoint:
    """What a meter showed, in Wh before the multiplier, on a local date; more registers by name."""

    register_wh: int
    read_on: date
    registers: Mapping[str, int] = field(default_factory=dict)


VACANT: Final = "Vacant"
MeterKind = Literal["manual", "smart"]
ReadingStatus = Literal["accepted", "needs_review", "rejected", "superseded"]
ReadingSource = Literal["field", "smart", "customer", "estimated", "imported"]
# What the utility did not read itself: the next actual read settles it.
NOT_ACTUAL: Final[frozenset[ReadingSource]] = frozenset({"customer", "estimated"})


class Meter(Record):
    """A meter where it is installed, with who is supplied there and on which tariff.

    Nobody is (`agreement_id` is None) while the place is vacant, or the meter is in store.
    """

    id: str
    serial: str
    kind: MeterKind
    dials: int
    multiplier_milli: int
    status: Literal["active", "closed"]
    opened_on: date | None
    customer_id: str | None
    account_no: str | None
    customer_name: str | None
    address: str | None
    tariff_id: str | None
    tariff_code: str | None
    tariff_name: str | None
    currency: str | None
    # What is read beside the total (services/metering/registers.py), and the connected load.
    registers: tuple[str, ...] = ()
    connected_w: int | None = None
    connected_va: int | None = None
    service_point_id: str | None = None
    service_point_code: str | None = None
    agreement_id: str | None = None
    # The local date of its removal; it was not installed again since.
    removed_on: date | None = None

    @property
    def supplied(self) -> str:
        """Who is supplied by it, in a word where nobody is."""
        return self.customer_name or VACANT

    @property
    def constants(self) -> "MeterConstants":
        """What turns its values into energy."""
        return MeterConstants(
            meter_id=self.id,
            dials=self.dials,
            multiplier_milli=self.multiplier_milli,
            connected_w=self.connected_w,
            connected_va=self.connected_va,
        )


class Read(Record):
    """One read of a meter, as the chain of bills needs it; further registers by their names."""

    id: str
    meter_id: str
    read_at: datetime
    read_on: date
    register_wh: int
    registers: dict[str, int] = Field(default_factory=dict)
    # A person said that the register rolled over before it.
    rolled_over: bool = False
    source: ReadingSource = "field"

    @property
    def is_actual(self) -> bool:
        """Whether the utility read the meter: it is no estimate and not the customer's own."""
        return self.source not in NOT_ACTUAL

    @property
    def point(self) -> ReadPoint:
        """The read as the validation rules take it."""
        return ReadPoint(
            register_wh=self.register_wh, read_on=self.read_on, registers=self.registers
        )


class Reading(Read):
    """A reading with everything that is known of it."""

    meter_serial: str
    # Who was supplied by the meter then, if anybody was.
    customer_id: str | None
    account_no: str | None
    customer_name: str | None
    address: str | None
    status: ReadingStatus
    is_opening: bool
    submitted_by: str
    validation: dict[str, Any]
    supersedes_id: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    created_at: datetime
    bill_id: str | None
    bill_number: int | None
    bill_total_minor: int | None
    bill_currency: str | None
    quality: Quality

    @property
    def estimated_by(self) -> str:
        """How an estimate was made, in a sentence; empty of other reads."""
        return str(self.validation.get("estimate", {}).get("sentence", ""))

    @property
    def supplied(self) -> str:
        """Who was supplied by the meter then, in a word where nobody was."""
        return self.customer_name or VACANT


class IntervalDay(Record):
    """A local day of a meter's interval series: Wh of each interval, in order of time.

    `quality` has a code of ESPI for each, one for all, or none where nothing was said.
    """

    day: date
    minutes: int
    wh: tuple[int, ...]
    quality: tuple[int, ...] = ()

    @property
    def each_quality(self) -> tuple[int, ...]:
        """The quality of each interval; valid where nothing was said."""
        if len(self.quality) == len(self.wh):
            return self.quality
        return (self.quality or (int(Quality.VALID),))[:1] * len(self.wh)


@dataclass(frozen=True, slots=True)
class MeterConstants:
    """What turns a meter's values into energy; `multiplier_milli` is in thousandths.

    The connected load is in W and VA, None where it is not known.
    """

    meter_id: str
    dials: int
    multiplier_milli: int
    connected_w: int | None = None
    connected_va: int | None = None


class ReadBetween(Read):
    """A read at which a bill may end and the next open; void bills that opened there count."""

    reissues: int = 0


class Installation(Record):
    """A meter at a service point from one read to another; `closing` is None while it is there."""

    meter_id: str
    dials: int
    multiplier_milli: int
    connected_w: int | None = None
    connected_va: int | None = None
    opening: Read
    closing: Read | None

    @property
    def constants(self) -> MeterConstants:
        """What turns its values into energy."""
        return MeterConstants(
            meter_id=self.meter_id,
            dials=self.dials,
            multiplier_milli=self.multiplier_milli,
            connected_w=self.connected_w,
            connected_va=self.connected_va,
        )

    def measured(self, read: Read) -> bool:
        """Whether this is a read of its meter, taken while it was installed here."""
        return (
            read.meter_id == self.meter_id
            and self.opening.read_at <= read.read_at
            and (self.closing is None or read.read_at <= self.closing.read_at)
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """What one meter measured of a bill, between two of its reads."""

    constants: MeterConstants
    opening: Read
    closing: Read


class SeasonUse(Record):
    """What the meters of a tariff used at one time of the year: Wh, and on how many days.

    The loaded ones are those whose connected load is known; `loaded_w_days` is that, in W, times
    the days.
    """

    meters: int
    wh: int
    days: int
    loaded_meters: int
    loaded_wh: int
    loaded_w_days: int


class EstimateFacts(Record):
    """What estimating a meter's use up to a local date needs.

    `last` is its last accepted read before that; `reads` are its actual reads, in order, since
    the meter was installed and the agreement began. `in_a_row` reads after the last of them were
    estimated or the customer's. `waiting_on` is the date of a read that waits for review,
    `later_on` that of an accepted one on the date or after it.
    """

    agreement_id: str
    meter_id: str
    serial: str
    dials: int
    multiplier_milli: int
    registers: tuple[str, ...]
    connected_w: int | None
    last: Read
    reads: tuple[ReadPoint, ...]
    in_a_row: int
    waiting_on: date | None
    later_on: date | None
    disconnected: bool
    class_use: SeasonUse | None


class SeriesDay(Record):
    """A local day of a meter's intervals as it is stored: None where nothing is known yet.

    `quality` has a code of ESPI for each, one for all, or none where nothing was said.
    """

    day: date
    minutes: int
    wh: tuple[int | None, ...]
    quality: tuple[int | None, ...] = ()


class SeriesRead(Record):
    """An accepted read: Wh before the multiplier."""

    read_at: datetime
    register_wh: int
    source: ReadingSource
    quality: Quality


class MeterSeries(Record):
    """What a meter measured in some days, in order of time."""

    days: tuple[SeriesDay, ...]
    reads: tuple[SeriesRead, ...]
