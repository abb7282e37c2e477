"""The bills of a meter and what they were made from, as reissuing some of them needs them."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, field_validator

from services.languages.sentence import sentence
from services.quantities.money import Money
from services.records.base import Record
from services.records.bills import (
    Bill,
    BilledBefore,
    PastBill,
    PricingInputs,
    TruedUp,
    invoice_reference,
)
from services.records.intervals import PackedDays
from services.records.readings import Installation, Meter, Read, Reading
from services.records.tariffs import TariffSpan, TariffSummary, TariffVersion, versions_along
from services.tariffs import DemandCharge, MinimumCharge, Tariff

CorrectionKind = Literal["reading", "tariff_version", "tariff", "void", "supply"]


class ChainBill(Bill):
    """A bill in its chain: `reissues` void ones opened at its opening read before it.

    `priced_wrongly` says that a version of the tariff that was corrected, or is about to be, priced
    it or some of its days.
    """

    tariff_id: str
    tariff_version_id: str
    reissues: int
    priced_wrongly: bool

    @property
    def stored_status(self) -> Literal["draft", "issued"]:
        """As the database has it; what people see is derived."""
        return "draft" if self.status == "draft" else "issued"


class BillChain(Record):
    """The chain of an agreement in order, and its accepted reads, intervals and tariffs.

    Reads and intervals reach back to the bill before the one in question; `meter` is that of the
    bill. `tariffs` are all versions of the tariffs that the agreement had, `spans` say when it had
    which. `balance_minor` is that of the customer's account.
    """

    agreement_id: str
    starts_on: date
    ends_on: date | None
    billing_day: int
    # The read at which its next bill opens, and how many void bills opened there.
    tail_id: str
    tail_reissues: int
    # How many void bills opened at which read.
    reissues: dict[str, int] = Field(default_factory=dict)
    meter: Meter
    spans: tuple[TariffSpan, ...]
    installations: tuple[Installation, ...]
    balance_minor: int
    # The Wh by period that were banked under net metering before its first bill.
    opening_bank: dict[str, int] = Field(default_factory=dict)
    bills: tuple[ChainBill, ...]
    reads: tuple[Reading, ...]
    tariffs: tuple[TariffVersion, ...]
    intervals: PackedDays

    @field_validator("reads", mode="after")
    @classmethod
    def _in_order(cls, reads: tuple[Reading, ...]) -> tuple[Reading, ...]:
        return tuple(sorted(reads, key=lambda read: read.read_at))

    def read(self, read_id: str) -> Reading | None:
        """The accepted read with this id."""
        return next((read for read in self.reads if read.id == read_id), None)

    @property
    def versions(self) -> list[TariffVersion]:
        """The versions that price its days."""
        return versions_along(self.spans, self.tariffs)

    def versions_of(self, tariff_id: str) -> list[TariffVersion]:
        """The versions of a tariff that hold, each from its date."""
        return [version for version in self.tariffs if version.tariff_id == tariff_id]

    def on_tariff(self, tariff_id: str, *, since: date) -> "BillChain":
        """On another tariff from a local date on."""
        before = [s for s in self.spans if s.starts_on is None or s.starts_on < since]
        if since <= self.starts_on:
            return self.model_copy(
                update={"spans": (TariffSpan(tariff_id=tariff_id, starts_on=None),)}
            )
        if before[-1].tariff_id != tariff_id:
            before.append(TariffSpan(tariff_id=tariff_id, starts_on=since))
        return self.model_copy(update={"spans": tuple(before)})

    def with_version(self, version: TariffVersion, *, instead_of: str) -> "BillChain":
        """With another version in the place of one that is to be corrected."""
        others = (known for known in self.tariffs if known.id != instead_of)
        return self.model_copy(update={"tariffs": (*others, version)})

    def with_read(self, wrong: Reading, right: Reading | None) -> "BillChain":
        """With a read corrected, or withdrawn."""
        reads = [read for read in self.reads if read.id != wrong.id]
        reads += [right] if right else []
        update: dict[str, Any] = {"reads": tuple(sorted(reads, key=lambda r: r.read_at))}
        if right:
            update["installations"] = tuple(
                _with_right_read(one, wrong, right) for one in self.installations
            )
        return self.model_copy(update=update)

    def inputs(
        self,
        *,
        opening: Read,
        closing: Read,
        past: Sequence[PastBill],
        billed: Sequence[BilledBefore],
    ) -> PricingInputs:
        """What pricing a bill needs beside its two reads, as the database gives it.

        `billed` are the bills of the chain before it, as they are or as they are to be.
        """
        found = self._inputs(opening=opening, closing=closing, past=past)
        settled = self._settled(opening, billed)
        if not settled or (start := self.read(settled[0].opening_reading_id)) is None:
            return found
        trued_up = TruedUp(
            opening=start,
            bills=settled,
            installations=self.installations,
            between=self.reads,
            pricing=self._inputs(opening=start, closing=closing, past=past),
        )
        return found.model_copy(update={"trued_up": trued_up})

    def settles(self, bill: Bill) -> tuple[BilledBefore, ...]:
        """The bills that one of the chain settles, in order; none where it does not."""
        opening, closing = self.read(bill.opening_reading_id), self.read(bill.closing_reading_id)
        if opening is None or closing is None or not closing.is_actual:
            return ()
        return self._settled(opening, [one.billed_before for one in self.bills])

    def _settled(self, opening: Read, billed: Sequence[BilledBefore]) -> tuple[BilledBefore, ...]:
        """The bills up to a read that is no actual one, from the last actual one on."""
        closing_at = {bill.closing_reading_id: bill for bill in billed}
        found: list[BilledBefore] = []
        read: Read | None = opening
        while read is not None and not read.is_actual and read.id in closing_at:
            found.insert(0, closing_at[read.id])
            read = self.read(found[0].opening_reading_id)
        return tuple(found)

    def _inputs(self, *, opening: Read, closing: Read, past: Sequence[PastBill]) -> PricingInputs:
        same = (
            read
            for read in sorted(self.reads, key=lambda read: read.created_at)
            if (read.meter_id, read.read_on, read.register_wh)
            == (opening.meter_id, opening.read_on, opening.register_wh)
        )
        between = [r for r in self.reads if opening.read_at < r.read_at < closing.read_at]
        return PricingInputs(
            opening_registers=_together(read.registers for read in same),
            between=tuple(read.registers for read in between if read.registers),
            past=tuple(sorted(past, key=lambda bill: bill.period_end, reverse=True)),
            opening_bank=self.opening_bank,
            intervals=self.intervals.between(opening.read_on, closing.read_on),
            rolled_over=any(read.rolled_over for read in between),
        )


class CorrectedBill(Record):
    """A void bill and the one that took its place, if any did; a draft has no number."""

    void_bill_id: str
    void_number: int | None
    void_total_minor: int
    period_start: date
    period_end: date
    new_bill_id: str | None
    new_number: int | None
    new_total_minor: int | None


class BillToCorrect(Record):
    """A bill with its readings; `other_tariffs` are those in its currency that it was not on."""

    bill: Bill
    opening: Reading
    closing: Reading
    other_tariffs: tuple[TariffSummary, ...]


class Correction(Record):
    """A time that bills of a meter were voided and reissued; below 0 the customer owes less."""

    id: str
    kind: CorrectionKind
    meter_id: str
    meter_serial: str
    customer_id: str
    account_no: str
    reading_id: str | None
    reason: str
    warned: str
    difference_minor: int
    currency: str
    created_by: str
    created_at: datetime
    bills: tuple[CorrectedBill, ...]

    def money(self, minor: int) -> Money:
        """An amount of minor units in the correction's currency."""
        return Money(minor, self.currency)


class ReadingToCorrect(Record):
    """A reading with what its correction depends on: its neighbours, and the bill on it if any.

    `at_a_change` is one at which a meter came or went, or somebody moved.
    """

    reading: Reading
    bill_id: str | None
    at_a_change: bool
    before: Reading | None
    after: Reading | None


class MeterToCorrect(Record):
    """An agreement, by its meter, with bills that a corrected version of its tariff priced."""

    agreement_id: str
    meter_id: str
    serial: str
    account_no: str
    customer_name: str
    bills: int
    since: date
    total_minor: int
    # The first of these bills, in whose order they are listed.
    ended_on: date
    bill_id: str


class ReachSums(Record):
    """What bills of one currency add up to, and what of that is paid, in minor units."""

    currency: str
    total_minor: int
    paid_minor: int


class TariffReach(Record):
    """How many bills a version of a tariff priced that are not void, and of how many customers.

    Customers are counted to 10,001.
    """

    bills: int
    issued: int
    customers: int
    sums: tuple[ReachSums, ...]


class BillsToCorrect(Record):
    """How many bills a corrected version priced, since which day, and some of their meters.

    Of many `since` is the first day of the oldest thousand; meters are counted to 10,001.
    """

    bills: int
    meters_in_all: int
    since: date | None
    total_minor: int
    meters: tuple[MeterToCorrect, ...]


def _with_right_read(one: Installation, wrong: Reading, right: Reading) -> Installation:
    ends = {"opening": one.opening, "closing": one.closing}
    changed = {name: right for name, read in ends.items() if read and read.id == wrong.id}
    return one.model_copy(update=changed)


def looks_back(tariff: Tariff) -> bool:
    """Whether a bill depends on earlier ones: a ratchet, a minimum per year, what was carried.

    That is a rest of rounding, or the kWh banked under net metering.
    """
    total = None if isinstance(tariff.rounding, str) else tariff.rounding.total
    carries = (total is not None and total.carry_forward) or tariff.net_metering is not None
    return carries or any(
        (isinstance(charge, DemandCharge) and charge.ratchet is not None)
        or (isinstance(charge, MinimumCharge) and charge.per == "year")
        for charge in tariff.charges
    )


def past_of(
    *, tariff_id: str, start: date, end: date, usage: dict[str, Any] | None, lines: Iterable[Any]
) -> PastBill:
    """What a bill leaves to later ones; `lines` have a code and an amount in minor units."""
    charged: dict[str, int] = {}
    for line in lines:
        charged[line.code] = charged.get(line.code, 0) + line.amount_minor
    return PastBill(
        period_start=start, period_end=end, usage=usage, charged=charged, tariff_id=tariff_id
    )


def name_of(number: int | None) -> str:
    """A bill as people call it."""
    return sentence("the draft") if number is None else invoice_reference(number)


def _together(registers: Iterable[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for of_read in registers:
        found |= of_read
    return found
