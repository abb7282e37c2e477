"""Places of supply, who is supplied there and by which meter: records. Dates are local."""

from datetime import date, datetime
from typing import Any, Literal

from services.records.base import Record
from services.records.readings import MeterKind, Reading

SupplyChangeKind = Literal[
    "connect",
    "move_in",
    "move_out",
    "exchange",
    "multiplier",
    "tariff",
    "stay",
    "disconnect",
    "reconnect",
    "not_disconnected",
    "not_reconnected",
    "undo",
]


class ServicePoint(Record):
    """A place of supply, with the meter that is there now and who is supplied now."""

    id: str
    code: str
    address: str
    route: str
    sequence: int | None
    phases: int | None
    connected_w: int | None
    connected_va: int | None
    access_note: str
    transformer_code: str | None
    meter_id: str | None
    meter_serial: str | None
    installed_on: date | None
    agreement_id: str | None
    customer_id: str | None
    account_no: str | None
    customer_name: str | None
    starts_on: date | None
    # Since when their supply is cut; None while it is not.
    disconnected_on: date | None
    # None while nothing was read since the meter was put in, or where there is none.
    last_read_on: date | None = None


class PlacedMeter(Record):
    """A meter at a place, from its opening read to its closing one, None while it is there."""

    id: str
    meter_id: str
    serial: str
    kind: MeterKind
    dials: int
    registers: tuple[str, ...]
    multiplier_milli: int
    installed_at: datetime
    installed_on: date
    removed_at: datetime | None
    removed_on: date | None
    removal_reason: str
    opening: Reading
    closing: Reading | None


class AgreementTariff(Record):
    """The tariff of an agreement from a date on."""

    starts_on: date
    code: str
    name: str


class ServiceAgreement(Record):
    """Who is supplied at a place: [starts_on, ends_on); `billed_until` is None before any bill."""

    id: str
    customer_id: str
    account_no: str
    customer_name: str
    currency: str | None
    starts_on: date
    ends_on: date | None
    billed_until: date | None
    billing_day: int
    opening: Reading
    closing: Reading | None
    tariffs: tuple[AgreementTariff, ...]


class Disconnection(Record):
    """When the supply of an agreement was cut: [disconnected_on, reconnected_on), with its reads.

    `reconnected_on` is None while it is cut, or where the agreement ended first.
    """

    id: str
    agreement_id: str
    disconnected_on: date
    disconnected: Reading
    reconnected_on: date | None
    reconnected: Reading | None
    fee_entry_id: str | None


class SupplyChange(Record):
    """Something that was changed about a place, since which date it holds, why and by whom."""

    id: str
    kind: SupplyChangeKind
    service_point_id: str
    agreement_id: str | None
    effective_on: date
    reason: str
    details: dict[str, Any]
    correction_id: str | None
    # The change that did not happen, which this one took back.
    undoes_id: str | None
    created_by: str
    created_at: datetime


class Place(Record):
    """A place with its meters, agreements, disconnections, recent reads, changes: last first."""

    point: ServicePoint
    installations: tuple[PlacedMeter, ...]
    agreements: tuple[ServiceAgreement, ...]
    disconnections: tuple[Disconnection, ...]
    last_reads: tuple[Reading, ...]
    changes: tuple[SupplyChange, ...]

    @property
    def meter(self) -> PlacedMeter | None:
        """The meter that is there now."""
        return next((one for one in self.installations if one.removed_at is None), None)

    @property
    def last_read(self) -> Reading | None:
        """The last read of the meter that is there now, or of the one that was there last."""
        there = self.meter.meter_id if self.meter else None
        of_it = (read for read in self.last_reads if there in (None, read.meter_id))
        return next(of_it, None)

    @property
    def agreement(self) -> ServiceAgreement | None:
        """The agreement that lasts."""
        return next((one for one in self.agreements if one.ends_on is None), None)

    @property
    def disconnection(self) -> Disconnection | None:
        """The last disconnection of the agreement that lasts, also one that is over."""
        held = self.agreement.id if self.agreement else None
        return next((one for one in self.disconnections if one.agreement_id == held), None)

    @property
    def last_change(self) -> SupplyChange | None:
        """The last change that holds: neither taken back, nor one that took another back."""
        undone = {change.undoes_id for change in self.changes}
        return next((c for c in self.changes if c.undoes_id is None and c.id not in undone), None)


class UnbilledUse(Record):
    """What a place used while nobody had an agreement for it, in Wh; `until` None: it goes on."""

    service_point_id: str
    service_point_code: str
    address: str
    since: date
    until: date | None
    meter_serial: str
    wh: int
