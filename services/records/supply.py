"""Places of supply, who is supplied there and by which meter: records. Dates are local."""

from datetime import date, datetime
from typing import Any, Literal

from services.records.base import Record
from services.records.readings import MeterKind, Reading

SupplyChangeKind = Literal[
    "connect", "move_in", "move_out", "exchange", "multiplier", "tariff", "stay"
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
    created_by: str
    created_at: datetime


class Place(Record):
    """A place with all its meters, agreements, recent reads and changes, the last first."""

    point: ServicePoint
    installations: tuple[PlacedMeter, ...]
    agreements: tuple[ServiceAgreement, ...]
    last_reads: tuple[Reading, ...]
    changes: tuple[SupplyChange, ...]

    @property
    def meter(self) -> PlacedMeter | None:
        """The meter that is there now."""
        return next((one for one in self.installations if one.removed_at is None), None)

    @property
    def agreement(self) -> ServiceAgreement | None:
        """The agreement that lasts."""
        return next((one for one in self.agreements if one.ends_on is None), None)


class UnbilledUse(Record):
    """What a place used while nobody had an agreement for it, in Wh; `until` None: it goes on."""

    service_point_id: str
    service_point_code: str
    address: str
    since: date
    until: date | None
    meter_serial: str
    wh: int
