"""What the next bill run will do, worked out from what is stored now; nothing is stored."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from heapq import nlargest
from typing import Final

from services.container import Services
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.jobs.cycle_bills import CycleBills
from services.jobs.jobs import job_of
from services.jobs.missing_reads import EstimateRule
from services.jobs.timetable import Timetable
from services.records.bills import BillCandidate, NewBill
from services.records.jobs import SetAside

_PAGE: Final = 200
# Some 40 seconds of work; more is said to be a part. Ids are random, so it is a fair one.
MOST_LOOKED_AT: Final = 20_000
_LARGEST: Final = 10
_NAMED: Final = 50


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """The next bill run: its local date, when it starts (UTC), and how many agreements it takes."""

    on: date
    at: datetime
    billing_day: int
    agreements: int


@dataclass(frozen=True, slots=True)
class PreviewedBill:
    """A bill that the run would make, of a meter; amount in minor units, use in Wh."""

    meter_serial: str
    period_start: date
    period_end: date
    consumption_wh: int
    currency: str
    total_minor: int
    held_because: str


@dataclass(slots=True)
class Sums:
    """What the bills in one currency add up to."""

    number: int = 0
    held: int = 0
    consumption_wh: int = 0
    total_minor: int = 0


@dataclass(slots=True)
class BillRunPreview:
    """What was worked out so far; `whole` once each agreement was looked at.

    `too_early` have been read, but too shortly after their last bill; the missing reads of those
    `estimated` will be, if none comes; of those `disconnected` no
    reading is expected. Of those without a bill and
    of those held for a person the first 50 of each reason are named.
    """

    looked_at: int = 0
    whole: bool = False
    sums: dict[str, Sums] = field(default_factory=dict)
    too_early: int = 0
    estimated: int = 0
    disconnected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    aside: list[SetAside] = field(default_factory=list)
    held: list[PreviewedBill] = field(default_factory=list)
    largest: list[PreviewedBill] = field(default_factory=list)

    @property
    def number_held(self) -> int:
        """How many bills it keeps for a person to issue."""
        return sum(sums.held for sums in self.sums.values())

    def add(
        self,
        page: list[BillCandidate],
        bills: list[NewBill],
        aside: list[SetAside],
        *,
        estimated: Collection[str] = (),
    ) -> None:
        """Count a page of agreements, their bills and why others have none.

        `estimated` are the agreements whose missing reads will be.
        """
        aside = [row for row in aside if row.agreement_id not in estimated]
        serials = {one.agreement_id: one.serial for one in page}
        billed = {bill.agreement_id for bill in bills}
        self.looked_at += len(page)
        self.estimated += len(estimated)
        why_not = {*(row.agreement_id for row in aside), *estimated}
        cut = sum(one.closing is None and one.agreement_id not in why_not for one in page)
        self.disconnected += cut
        self.too_early += len(page) - len(billed) - len(why_not) - cut
        for row in aside:
            self.reasons[row.code] += 1
            if self.reasons[row.code] <= _NAMED:
                self.aside.append(row)
        shown = [_previewed(bill, serials[bill.agreement_id]) for bill in bills]
        for one in shown:
            sums = self.sums.setdefault(one.currency, Sums())
            sums.number += 1
            sums.held += bool(one.held_because)
            sums.consumption_wh += one.consumption_wh
            sums.total_minor += one.total_minor
        held = [one for one in shown if one.held_because]
        self.held += held[: _NAMED - len(self.held)]
        self.largest = nlargest(
            _LARGEST, [*self.largest, *shown], key=lambda one: abs(one.total_minor)
        )


def next_bill_run(services: Services, *, principal: Principal, now: datetime) -> PlannedRun:
    """The run that comes next by the billing days in use. Takes a principal who may."""
    require(principal, Permission.VIEW_BILLS)
    cycles = services.database.billing_days().cycles
    cron = job_of("monthly_bills").cron_with(cycles)
    following = Timetable(cron, services.settings.timezone).next_after(now)
    day = following.on.day
    number = next((cycle.agreements for cycle in cycles if cycle.billing_day == day), 0)
    return PlannedRun(on=following.on, at=following.at, billing_day=day, agreements=number)


def preview_bill_run(
    services: Services, run: PlannedRun, *, principal: Principal, now: datetime
) -> Iterator[BillRunPreview]:
    """The preview as it grows, page by page; 20,000 agreements at most. For who may."""
    require(principal, Permission.VIEW_BILLS)
    cycle = CycleBills(
        database=services.database,
        issuer=services.issuer,
        on=run.on,
        billing_day=run.billing_day,
        now=now,
        estimates=EstimateRule.of(services.settings),
    )
    # What is still missing then is estimated once the days to wait are over.
    waited = run.on + timedelta(days=services.settings.estimate_after_days)
    found = BillRunPreview()
    after: str | None = None
    while not found.whole and found.looked_at < MOST_LOOKED_AT:
        page = cycle.candidates(after, limit=_PAGE)
        missing, _ = cycle.estimated(page, today=waited)
        bills, aside = cycle.drawn_up(page, missing.refused)
        found.add(page, bills, aside, estimated=missing.made)
        found.whole = len(page) < _PAGE
        after = page[-1].agreement_id if page else None
        yield found


def _previewed(bill: NewBill, serial: str) -> PreviewedBill:
    return PreviewedBill(
        meter_serial=serial,
        period_start=bill.opening.read_on,
        period_end=bill.closing.read_on,
        consumption_wh=bill.consumption_wh,
        currency=bill.rated.currency,
        total_minor=bill.rated.total_minor,
        held_because=bill.held_because,
    )
