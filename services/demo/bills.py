"""The bills of the demo's meters, drawn up from their stored reads, and how each was paid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from services.billing.draw_up import measured_bill, past_of_new
from services.demo.premises import Premises
from services.demo.profile import spread
from services.quantities.period import next_month
from services.records.bills import Issue, NewBill, PricingInputs
from services.records.entries import NewPayment
from services.records.imports import MeterReads
from services.records.ledger import PaymentMethod
from services.records.readings import MeterConstants, Read
from services.records.tariffs import TariffVersion

MONTHLY_JOB_AT = time(2)
METHODS: Final[tuple[PaymentMethod, ...]] = (
    "mobile_money",
    "cash",
    "bank",
    "card",
    "mobile_money",
    "cheque",
)
# Of every so many customers one pays late, or leaves the latest bill unpaid.
ONE_IN_PAYS_LATE = 5
ONE_IN_LEAVES_UNPAID = 6
# These owe the bill before the latest one as well.
OWE_TWO_BILLS = frozenset({"M-115", "M-154"})


@dataclass(frozen=True, slots=True)
class MeterBills:
    """A meter's bills, oldest first; `reissue` replaces the last of `bills`, which is void."""

    premises: Premises
    bills: tuple[NewBill, ...]
    reissue: NewBill | None = None


@dataclass(frozen=True, slots=True)
class BillMaker:
    """Draws up the bills of a demo meter as they would have been made at the time."""

    zone: ZoneInfo
    due_days: int
    as_of: date
    versions: Mapping[str, Sequence[TariffVersion]]

    def bills_of(self, premises: Premises, meter: MeterReads) -> MeterBills:
        """From an answer of DatabaseService.meter_reads; flagged reads are not billed."""
        reads = [read for read in meter.reads if read.status == "accepted"]
        constants = MeterConstants(meter.id, meter.dials, meter.multiplier_milli)
        tariffs = self.versions[premises.tariff_code]
        check = reads.pop() if premises.story == "check_read" else None

        def bill(
            opening: Read,
            closing: Read,
            issue: Issue | None,
            again: int = 0,
            *,
            after: Sequence[NewBill] = (),
        ) -> NewBill:
            past = (past_of_new(b, tariff_id=tariffs[0].tariff_id) for b in reversed(after))
            return measured_bill(
                agreement_id=str(meter.agreement_id),
                constants=constants,
                opening=opening,
                closing=closing,
                tariffs=tariffs,
                reissue_no=again,
                issue=issue,
                zone=self.zone,
                inputs=PricingInputs(past=tuple(past) if premises.is_solar else ()),
            ).priced()

        if premises.kind == "smart":
            pairs = list(self._monthly_pairs(reads))
        else:
            pairs = [(a, b, self._at_once(b)) for a, b in pairwise(reads)]
        bills: list[NewBill] = []
        for opening, closing, issue in pairs:
            bills.append(bill(opening, closing, issue, after=bills))
        if premises.story == "draft":
            opening, closing, _ = pairs[-1]
            bills[-1] = bill(opening, closing, None)
        reissue = bill(bills[-1].opening, check, self._at_once(check), 1) if check else None
        return MeterBills(premises, tuple(bills), reissue)

    def _at_once(self, closing: Read) -> Issue:
        return Issue(at=closing.read_at, on=closing.read_on, due_days=self.due_days)

    def _monthly_pairs(self, reads: Sequence[Read]) -> Iterator[tuple[Read, Read, Issue]]:
        """As the monthly job closes a meter: at its latest read dated up to the 1st."""
        opening, first = reads[0], next_month(reads[0].read_on)
        while first < self.as_of:
            closing = max((r for r in reads if r.read_on <= first), key=lambda r: r.read_at)
            if closing.read_on > opening.read_on:
                at = datetime.combine(first, MONTHLY_JOB_AT, tzinfo=self.zone).astimezone(UTC)
                yield opening, closing, Issue(at=at, on=first, due_days=self.due_days)
                opening = closing
            first = next_month(first)


@dataclass(frozen=True, slots=True)
class _Issued:
    """A bill of a meter that is no draft."""

    serial: str
    bill: NewBill
    issue: Issue

    @property
    def name(self) -> str:
        return f"{self.serial} of {self.bill.closing.read_on}"

    @property
    def due_date(self) -> date:
        return self.issue.on + timedelta(days=self.issue.due_days)


@dataclass(frozen=True, slots=True)
class Cashier:
    """Decides which bills were paid, when and how, so that every state is to be seen.

    By serials and days alone, so that the demo of a day is the same in each database.
    """

    zone: ZoneInfo
    as_of: date

    def payments(self, meters: Sequence[MeterBills]) -> list[NewPayment]:
        """One for each bill that was paid, wholly or in part."""
        latest: list[_Issued] = []
        paid: list[tuple[_Issued, int]] = []
        for meter in meters:
            last = meter.bills[-1] if meter.reissue else None
            serial = meter.premises.serial
            issued = [_Issued(serial, b, b.issue) for b in meter.bills if b.issue and b is not last]
            latest += issued[-1:]
            before = issued[:-2] if serial in OWE_TWO_BILLS else issued[:-1]
            paid += [(of, of.bill.rated.total_minor) for of in before]
        paid += self._of_latest(latest)
        return [self._payment(of, amount) for of, amount in paid if amount > 0]

    def _of_latest(self, latest: Sequence[_Issued]) -> Iterator[tuple[_Issued, int]]:
        """Of the bills not yet due a third is unpaid, a third partly paid; of the others less."""
        newest_first = sorted(latest, key=lambda of: (of.issue.on, of.serial), reverse=True)
        due = [of for of in newest_first if of.due_date < self.as_of]
        not_yet = [of for of in newest_first if of.due_date >= self.as_of]
        for bills, every in ((not_yet, 3), (due, ONE_IN_LEAVES_UNPAID)):
            for place, of in enumerate(bills):
                total = of.bill.rated.total_minor
                part = max(total * 2 // 5 // 100 * 100, 100)
                yield of, {0: 0, 1: min(part, total)}.get(place % every, total)

    def _payment(self, of: _Issued, amount: int) -> NewPayment:
        on = self._paid_on(of)
        minutes = spread(f"paid at {of.name}", 120)
        at = datetime.combine(on, time(17), tzinfo=self.zone) + timedelta(minutes=minutes)
        method = METHODS[spread(f"how {of.serial}", len(METHODS))]
        return NewPayment(
            id=str(uuid5(NAMESPACE_URL, f"electricity-billing/demo/payment/{of.bill.id}")),
            bill_id=of.bill.id,
            amount_minor=amount,
            currency=of.bill.rated.currency,
            method=method,
            reference=_reference(of, method),
            received_at=at.astimezone(UTC),
            received_on=on,
        )

    def _paid_on(self, of: _Issued) -> date:
        if spread(f"late {of.name}", ONE_IN_PAYS_LATE) == 0:
            on = of.due_date + timedelta(days=1 + spread(of.name, 9))
        else:
            on = of.issue.on + timedelta(days=1 + spread(of.name, 12))
        return max(of.issue.on, min(on, self.as_of - timedelta(days=1)))


def _reference(of: _Issued, method: str) -> str:
    """As somebody at the office would have copied it; cash and cards have none."""
    number = spread(f"reference {of.name}", 900_000) + 100_000
    prefix = {"cheque": "CHQ", "bank": "TRF", "mobile_money": "MM"}.get(method)
    return f"{prefix} {number}" if prefix else ""
