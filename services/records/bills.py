"""Bills: as they are stored, about to be stored, and as later bills look back at them."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field, field_validator

from services.quantities.money import Money
from services.quantities.quality import Quality
from services.rating import BillLine, NetBill, RatedBill
from services.records.base import Record
from services.records.customers.debits import BillAutopay
from services.records.intervals import NO_DAYS, PackedDays
from services.records.readings import (
    Installation,
    MeterConstants,
    Read,
    ReadBetween,
    ReadingSource,
    Segment,
)
from services.records.tariffs import TariffSpan

BillStatus = Literal["void", "paid", "overdue", "partially_paid", "issued", "draft"]
SparedBecause = Literal["bank_debit", "money_returned", "autopay"]
_REFERENCE: Final = re.compile(r"INV[-\s]*0*([0-9]{1,15})", re.IGNORECASE)


def invoice_reference(number: int) -> str:
    """A bill's number as people write it, and pay by it at the office: INV-000117."""
    return f"INV-{number:06d}"


def number_of_reference(text: str) -> int | None:
    """The bill's number in a reference such as INV-000117 or inv-117; None for any other text."""
    found = _REFERENCE.fullmatch(text)
    return int(found[1]) if found else None


def _parsed_lines(lines: Any) -> Any:
    return tuple(line if isinstance(line, BillLine) else BillLine.from_json(line) for line in lines)


class BillSummary(Record):
    """A bill as a list shows it, without its lines; `status` is the one that people see."""

    id: str
    number: int | None
    meter_serial: str
    customer_id: str
    account_no: str
    customer_name: str
    tariff_name: str
    period_start: date
    period_end: date
    consumption_wh: int
    currency: str
    total_minor: int
    amount_paid_minor: int
    balance_minor: int
    status: BillStatus
    issued_on: date | None
    due_date: date | None
    overdue_since: date | None

    @property
    def reference(self) -> str:
        """The number as people write it, which is also the reference for paying at the office."""
        return invoice_reference(self.number) if self.number is not None else "draft"


class BillSegment(Record):
    """What one meter measured of a bill, in Wh: its reads before the multiplier, its use after.

    Where it is all of the bill, its reads' sources are those of the bill's readings, and None here.
    """

    meter_id: str
    meter_serial: str
    opening_reading_id: str
    closing_reading_id: str
    opening_wh: int
    closing_wh: int
    multiplier_milli: int
    consumption_wh: int
    opened_on: date
    closed_on: date
    opening_source: ReadingSource | None = None
    closing_source: ReadingSource | None = None
    opening_quality: Quality = Quality.VALID
    closing_quality: Quality = Quality.VALID


class BilledBefore(Record):
    """A bill between two reads of which the later was no actual one: what it charged."""

    opening_reading_id: str
    closing_reading_id: str
    period_start: date
    period_end: date
    lines: tuple[BillLine, ...]

    @field_validator("lines", mode="before")
    @classmethod
    def _parse_lines(cls, lines: Any) -> Any:
        return _parsed_lines(lines)


class Bill(BillSummary):
    """A bill with its lines; its meter, reads and multiplier are those of its last segment."""

    agreement_id: str
    service_point_id: str
    service_point_code: str
    service_address: str
    meter_id: str
    address: str
    tariff_code: str
    opening_reading_id: str
    closing_reading_id: str
    opening_wh: int
    closing_wh: int
    multiplier_milli: int
    lines: tuple[BillLine, ...]
    subtotal_minor: int
    tax_minor: int
    issued_at: datetime | None
    payment_url: str | None
    void_reason: str | None
    created_at: datetime
    # What it was priced from beside its consumption (services/metering/billing_determinants.py).
    usage: dict[str, Any] | None = None
    # The void bill that it replaces, and of a void one the bill that replaces it.
    replaces_id: str | None = None
    replaced_by_id: str | None = None
    # Why a person was to look at it before its issue (services/metering/bill_periods.py).
    held_because: str | None = None
    # Why nobody is pressed for it now: the bank is paying it, or its money went back.
    spared_because: SparedBecause | None = None
    # How autopay stands that is to pay it.
    autopay: BillAutopay | None = None
    # How the reads at which it opens and closes came about, and how sure they are.
    opening_source: ReadingSource = "field"
    closing_source: ReadingSource = "field"
    opening_quality: Quality = Quality.VALID
    closing_quality: Quality = Quality.VALID
    # Kept where it is more than one, or where the bill opens at the removal of another meter.
    segments: tuple[BillSegment, ...] = ()

    @field_validator("segments", mode="before")
    @classmethod
    def _no_segments(cls, segments: Any) -> Any:
        return segments or ()

    @property
    def net(self) -> NetBill | None:
        """What net metering made of it; None where its tariff has none."""
        kept = (self.usage or {}).get("net")
        return None if kept is None else NetBill.from_json(kept)

    @property
    def metered(self) -> tuple[BillSegment, ...]:
        """Its segments in order of time; most bills have one."""
        return self.segments or (
            BillSegment(
                meter_id=self.meter_id,
                meter_serial=self.meter_serial,
                opening_reading_id=self.opening_reading_id,
                closing_reading_id=self.closing_reading_id,
                opening_wh=self.opening_wh,
                closing_wh=self.closing_wh,
                multiplier_milli=self.multiplier_milli,
                consumption_wh=self.consumption_wh,
                opened_on=self.period_start,
                closed_on=self.period_end,
                opening_quality=self.opening_quality,
                closing_quality=self.closing_quality,
            ),
        )

    @property
    def read_sources(self) -> tuple[ReadingSource, ...]:
        """How the reads that it rests on came about, those of each meter among them."""
        within = [s for one in self.segments for s in (one.opening_source, one.closing_source) if s]
        return (self.opening_source, self.closing_source, *within)

    @property
    def is_estimated(self) -> bool:
        """Whether a read that it rests on was estimated."""
        return "estimated" in self.read_sources

    @property
    def billed_before(self) -> BilledBefore:
        """What of it a later bill may settle."""
        return BilledBefore(
            opening_reading_id=self.opening_reading_id,
            closing_reading_id=self.closing_reading_id,
            period_start=self.period_start,
            period_end=self.period_end,
            lines=self.lines,
        )

    @property
    def settles_since(self) -> date | None:
        """The local date of the actual read since which it settles estimates, if it does."""
        settled = (self.usage or {}).get("trued_up")
        return date.fromisoformat(settled["start"]) if settled else None

    @property
    def settled_wh(self) -> int:
        """What was used in all since then, in Wh."""
        settled = (self.usage or {}).get("trued_up")
        return int(settled["wh"]) if settled else self.consumption_wh

    @property
    def meter_serials(self) -> tuple[str, ...]:
        """The meters that it runs over, each once, in order of time."""
        return tuple(dict.fromkeys(one.meter_serial for one in self.metered))

    @field_validator("lines", mode="before")
    @classmethod
    def _parse_lines(cls, lines: Any) -> Any:
        return _parsed_lines(lines)

    def money(self, minor: int) -> Money:
        """An amount of minor units in this bill's currency."""
        return Money(minor, self.currency)


KwhBankKind = Literal["opening", "added", "used", "settled", "moved", "undone"]


class KwhBankEntry(Record):
    """What a bill under net metering put into a bank of kWh, or took out (below 0), in Wh.

    `period` is that of the tariff, empty for all hours; `balance_wh` what its bank then held.
    """

    id: int
    # None for what was banked with another system before.
    bill_id: str | None
    bill_number: int | None
    period_start: date | None
    period_end: date | None
    period: str
    kind: KwhBankKind
    wh: int
    balance_wh: int
    created_at: datetime


class PastBill(Record):
    """What an earlier bill leaves to later ones; `charged` is by code, in minor units."""

    period_start: date
    period_end: date
    usage: dict[str, Any] | None
    charged: dict[str, int]
    tariff_id: str


class TruedUp(Record):
    """What the next actual read settles: the bills since the last actual one, in order.

    `opening` is that read; the rest is what pricing from it on needs. Without bills it is nothing.
    """

    opening: Read
    bills: tuple[BilledBefore, ...] = ()
    installations: tuple[Installation, ...] = ()
    between: tuple[Read, ...] = ()
    pricing: "PricingInputs"

    def inputs(self, closing: Read) -> "PricingInputs":
        """What pricing the time up to a read needs."""
        start, end = self.opening, closing
        between = [read for read in self.between if start.read_at < read.read_at < end.read_at]
        return PricingInputs(
            opening_registers=self.pricing.opening_registers,
            between=tuple(read.registers for read in between if read.registers),
            past=tuple(bill for bill in self.pricing.past if bill.period_end <= start.read_on),
            opening_bank=self.pricing.opening_bank,
            intervals=self.pricing.intervals.between(start.read_on, end.read_on),
            rolled_over=any(read.rolled_over for read in between),
        )


class PricingInputs(Record):
    """What pricing a bill needs beside its two reads; nothing of it for most meters.

    `opening_registers` are those of the opening read, `between` those of the reads since then;
    `past` holds the last bill first, and is empty where the tariff looks at no past bill;
    `opening_bank` are the Wh by period that were banked under net metering before the first bill;
    `rolled_over` says that the register did so before one of the reads since then; `trued_up` is
    what the bill settles where it opens at no actual read.
    """

    opening_registers: dict[str, int] = Field(default_factory=dict)
    between: tuple[dict[str, int], ...] = ()
    past: tuple[PastBill, ...] = ()
    opening_bank: dict[str, int] = Field(default_factory=dict)
    # By a factory, since a default that cannot be hashed is copied for each record.
    intervals: PackedDays = Field(default_factory=lambda: NO_DAYS)
    rolled_over: bool = False
    trued_up: TruedUp | None = None


class BillCandidate(Record):
    """An agreement that a monthly run may bill; `closing` is None without a read to close at.

    The meter is that of the closing read, or the one that is there now.
    """

    agreement_id: str
    meter_id: str
    serial: str
    tariff_id: str
    # Its tariffs, where it had more than one, and what was installed, where meters were exchanged.
    spans: tuple[TariffSpan, ...] = ()
    installations: tuple[Installation, ...] = ()
    dials: int
    multiplier_milli: int
    opening: Read
    closing: Read | None
    reissue_no: int
    # The day of the month on which it is billed, and the end of the cycle that it is billed for.
    billing_day: int
    cycle_end: date
    # The first day that is no longer of the agreement; None while it lasts.
    ends_on: date | None = None
    registers: tuple[str, ...] = ()
    connected_w: int | None = None
    connected_va: int | None = None
    # The accepted reads between the two, in order, where they are more than a month apart.
    between: tuple[ReadBetween, ...] = ()
    pricing: PricingInputs = PricingInputs()

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

    @property
    def is_final(self) -> bool:
        """Whether its bill is up to where the agreement ends: nothing later takes days along."""
        return self.closing is not None and self.closing.read_on == self.ends_on


class LastBill(NamedTuple):
    """What an agreement was billed last, in Wh and minor units."""

    id: str
    period_start: date
    period_end: date
    consumption_wh: int
    currency: str
    total_minor: int

    @property
    def days(self) -> int:
        """Local days of its period."""
        return (self.period_end - self.period_start).days


class CandidatePage(Record):
    """Those of a page of agreements that a monthly run may bill.

    `next` is the last one looked at, after which the next page begins; None when there is none.
    """

    agreements: tuple[BillCandidate, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Issue:
    """When a bill is issued and due; None in its place leaves the bill a draft."""

    at: datetime
    on: date
    due_days: int

    @property
    def due_date(self) -> date:
        """The local date by which the bill is to be paid."""
        return self.on + timedelta(days=self.due_days)


@lru_cache(maxsize=16)
def _issue_json(issue: Issue | None) -> tuple[str | None, str | None, str | None]:
    """Its instant, date and due date, which are the same of many bills."""
    if issue is None:
        return None, None, None
    return issue.at.isoformat(), issue.on.isoformat(), issue.due_date.isoformat()


@dataclass(frozen=True, slots=True)
class NewBill:
    """A bill about to be stored: priced, not numbered yet."""

    id: str
    agreement_id: str
    segments: tuple[Segment, ...]
    segments_wh: tuple[int, ...]
    tariff_version_id: str
    opening: Read
    closing: Read
    consumption_wh: int
    rated: RatedBill
    reissue_no: int
    issue: Issue | None
    # What it was priced from beside its consumption, None where that was all.
    usage: dict[str, Any] | None = None
    outbox: dict[str, Any] | None = None
    # What AI made of it, if it was asked (services/ai/second_opinion.py).
    second_opinion: dict[str, Any] | None = None
    # The versions that priced its days, in order, and the void bill that it takes the place of.
    priced_by: tuple[str, ...] = ()
    replaces_id: str | None = None
    # Why a person must look at it before it is issued, empty for most bills.
    held_because: str = ""

    @property
    def constants(self) -> MeterConstants:
        """Those of the meter that its last segment was measured by."""
        return self.segments[-1].constants

    @property
    def billed_before(self) -> BilledBefore:
        """What of it a later bill may settle."""
        return BilledBefore(
            opening_reading_id=self.opening.id,
            closing_reading_id=self.closing.id,
            period_start=self.opening.read_on,
            period_end=self.closing.read_on,
            lines=self.rated.lines,
        )

    @property
    def status(self) -> Literal["issued", "draft"]:
        """Issued at once, or a draft that waits for approval."""
        return "issued" if self.issue else "draft"

    def unattended(self) -> "NewBill":
        """As it is stored where nobody has looked at it: a draft if something holds it."""
        return replace(self, issue=None, outbox=None) if self.held_because else self

    def to_json(self) -> dict[str, Any]:
        """As the database's functions take it: integers and strings only."""
        issued_at, issued_on, due_date = _issue_json(self.issue)
        constants, rated = self.constants, self.rated
        subtotal, tax = rated.subtotal_minor, rated.tax_minor
        return {
            "id": self.id,
            "status": self.status,
            "agreement_id": self.agreement_id,
            "meter_id": constants.meter_id,
            "multiplier_milli": constants.multiplier_milli,
            "segments": self._segments_json(),
            "tariff_version_id": self.tariff_version_id,
            "opening_reading_id": self.opening.id,
            "closing_reading_id": self.closing.id,
            "period_start": self.opening.read_on.isoformat(),
            "period_end": self.closing.read_on.isoformat(),
            "opening_wh": self.segments[-1].opening.register_wh,
            "closing_wh": self.closing.register_wh,
            "consumption_wh": self.consumption_wh,
            "currency": rated.currency,
            "lines": [line.to_json() for line in rated.lines],
            "subtotal_minor": subtotal,
            "tax_minor": tax,
            "total_minor": subtotal + tax,
            "reissue_no": self.reissue_no,
            "issued_at": issued_at,
            "issued_on": issued_on,
            "due_date": due_date,
            # Apart from its id the same for most bills of a batch.
            "owed_id": self.outbox["id"] if self.outbox else None,
            "owed": {k: v for k, v in self.outbox.items() if k != "id"} if self.outbox else None,
            "second_opinion": self.second_opinion,
            "usage": self.usage,
            "priced_by": list(self.priced_by) or None,
            "replaces_id": self.replaces_id,
            "held_because": None if self.issue else self.held_because or None,
        }

    def _segments_json(self) -> list[dict[str, Any]] | None:
        """None of a bill between two reads of one meter."""
        if len(self.segments) == 1 and self.segments[0].opening.id == self.opening.id:
            return None
        return [
            {
                "meter_id": one.constants.meter_id,
                "opening_reading_id": one.opening.id,
                "closing_reading_id": one.closing.id,
                "opening_wh": one.opening.register_wh,
                "closing_wh": one.closing.register_wh,
                "multiplier_milli": one.constants.multiplier_milli,
                "consumption_wh": wh,
            }
            for one, wh in zip(self.segments, self.segments_wh, strict=True)
        ]


def account_alone(*, customer_id: str, account_no: str, customer_name: str, currency: str) -> Bill:
    """What a message has in the place of a bill where it is about an account: no id, and nothing.

    No such bill is stored, and none is issued.
    """
    never = datetime.min.replace(tzinfo=UTC)
    return Bill(
        id="",
        number=None,
        customer_id=customer_id,
        account_no=account_no,
        customer_name=customer_name,
        currency=currency,
        meter_serial="",
        tariff_name="",
        period_start=never.date(),
        period_end=never.date(),
        consumption_wh=0,
        total_minor=0,
        amount_paid_minor=0,
        balance_minor=0,
        status="draft",
        issued_on=None,
        due_date=None,
        overdue_since=None,
        agreement_id="",
        service_point_id="",
        service_point_code="",
        service_address="",
        meter_id="",
        address="",
        tariff_code="",
        opening_reading_id="",
        closing_reading_id="",
        opening_wh=0,
        closing_wh=0,
        multiplier_milli=1000,
        lines=(),
        subtotal_minor=0,
        tax_minor=0,
        issued_at=None,
        payment_url=None,
        void_reason=None,
        created_at=never,
    )
