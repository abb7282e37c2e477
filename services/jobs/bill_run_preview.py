"""What the next bill run will do, worked out from what is stored now; no bill is stored."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from heapq import nlargest
from random import Random
from typing import Final

from services.billing.against_last import AgainstLast, Differs
from services.container import Services
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.jobs.cycle_bills import CycleBills, Span
from services.jobs.jobs import job_of
from services.jobs.missing_reads import EstimateRule
from services.jobs.timetable import Timetable
from services.records.bills import BillCandidate, LastBill, NewBill
from services.records.jobs import SetAside

_PAGE: Final = 500
# As long as somebody waits for a page to fill; more is said to be a part, and can be gone on with.
LONGEST_SECONDS: Final = 40
_LARGEST: Final = 10
_NAMED: Final = 50
_OUTLIERS: Final = 10


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """The next bill run: its local date, when it starts (UTC), and how many agreements it takes."""

    on: date
    at: datetime
    billing_day: int
    agreements: int


@dataclass(frozen=True, slots=True)
class PreviewedBill:
    """A bill that the run would make, of a meter; amount in minor units, use in Wh.

    `last` is the agreement's last bill, `against` the comparison with it where both are in one
    currency.
    """

    meter_id: str
    meter_serial: str
    period_start: date
    period_end: date
    consumption_wh: int
    currency: str
    total_minor: int
    held_because: str
    last: LastBill | None
    against: AgainstLast | None

    @property
    def differs(self) -> Differs | None:
        """How it stands out from the last bill of its agreement."""
        if self.against is not None:
            return self.against.differs
        return "negative" if self.total_minor < 0 else None

    @property
    def at_stake_minor(self) -> int:
        """By how much it differs from the last bill for as many days; else its amount."""
        return self.against.difference_minor if self.against else abs(self.total_minor)


@dataclass(slots=True)
class Sums:
    """What the bills in one currency add up to, beside the last bills of the same agreements.

    Those last bills are `last_number` with `last_wh` and `last_minor`. `alike` is the part of the
    run that has such a bill, `usual` what those bills come to for as many days.
    """

    number: int = 0
    held: int = 0
    consumption_wh: int = 0
    total_minor: int = 0
    last_number: int = 0
    last_wh: int = 0
    last_minor: int = 0
    alike_wh: int = 0
    alike_minor: int = 0
    usual_wh: int = 0
    usual_minor: int = 0

    def to_json(self, currency: str) -> dict[str, str | int]:
        """As it is kept for the time after the run."""
        return {
            "currency": currency,
            "number": self.number,
            "held": self.held,
            "consumption_wh": self.consumption_wh,
            "total_minor": self.total_minor,
        }

    def add(self, one: PreviewedBill, *, first: bool) -> None:
        """Count a bill; `first` says that its agreement's last bill was not counted yet."""
        self.number += 1
        self.held += bool(one.held_because)
        self.consumption_wh += one.consumption_wh
        self.total_minor += one.total_minor
        if one.last is None or one.against is None:
            return
        if first:
            self.last_number += 1
            self.last_wh += one.last.consumption_wh
            self.last_minor += one.last.total_minor
        self.alike_wh += one.consumption_wh
        self.alike_minor += one.total_minor
        self.usual_wh += one.against.usual_wh
        self.usual_minor += one.against.usual_minor


@dataclass(slots=True)
class BillRunPreview:
    """What was worked out so far, for about `passed` agreements of `of`; for all if `whole`.

    `parts` are left.
    `too_early` have been read, but too shortly after their last bill; the missing reads of those
    `estimated` will be, if none comes; of those `disconnected` no
    reading is expected. Of those without a bill and
    of those held for a person the first 50 of each reason are named; of the `outliers` those of
    each currency with most at stake.
    """

    looked_at: int = 0
    passed: int = 0
    of: int = 0
    whole: bool = False
    parts: list[Span] = field(default_factory=list)
    sums: dict[str, Sums] = field(default_factory=dict)
    too_early: int = 0
    estimated: int = 0
    disconnected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    aside: list[SetAside] = field(default_factory=list)
    held: list[PreviewedBill] = field(default_factory=list)
    largest: list[PreviewedBill] = field(default_factory=list)
    differing: Counter[Differs] = field(default_factory=Counter)
    outliers: dict[str, list[PreviewedBill]] = field(default_factory=dict)

    @property
    def number_held(self) -> int:
        """How many bills it keeps for a person to issue."""
        return sum(sums.held for sums in self.sums.values())

    @property
    def share(self) -> float:
        """From 0 to 1, how much was looked at."""
        if self.whole:
            return 1.0
        return min(self.passed / self.of, 1.0) if self.of else 0.0

    def add(
        self,
        page: Sequence[BillCandidate],
        bills: list[NewBill],
        aside: list[SetAside],
        *,
        estimated: Collection[str] = (),
        last: Mapping[str, LastBill] | None = None,
    ) -> None:
        """Count a page of agreements, their bills and why others have none.

        `estimated` are the agreements whose missing reads will be, `last` their last bills.
        """
        aside = [row for row in aside if row.agreement_id not in estimated]
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
        self._add_bills(page, bills, last or {})

    def _add_bills(
        self, page: Sequence[BillCandidate], bills: list[NewBill], last: Mapping[str, LastBill]
    ) -> None:
        serials = {one.agreement_id: one.serial for one in page}
        counted: set[str] = set()
        shown, differing = [], defaultdict(list)
        for bill in bills:
            of = bill.agreement_id
            one = _previewed(bill, serials[of], last.get(of))
            self.sums.setdefault(one.currency, Sums()).add(one, first=of not in counted)
            counted.add(of)
            shown.append(one)
            if one.differs:
                self.differing[one.differs] += 1
                differing[one.currency].append(one)
        held = [one for one in shown if one.held_because]
        self.held += held[: _NAMED - len(self.held)]
        self.largest = nlargest(
            _LARGEST, [*self.largest, *shown], key=lambda one: abs(one.total_minor)
        )
        for currency, some in differing.items():
            known = self.outliers.get(currency, [])
            self.outliers[currency] = nlargest(
                _OUTLIERS, [*known, *some], key=lambda one: one.at_stake_minor
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
    services: Services,
    run: PlannedRun,
    *,
    principal: Principal,
    now: datetime,
    found: BillRunPreview | None = None,
    seconds: float = LONGEST_SECONDS,
) -> Iterator[BillRunPreview]:
    """The preview as it grows, page by page, until so many seconds are over. For who may.

    With `found`, which stopped so, it goes on from there.
    """
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
    found = found or _begun(cycle, run)
    stop_at = time.monotonic() + seconds
    while not found.whole:
        span = found.parts[0]
        # One more than it had: mostly it ends with this page.
        of_page = cycle.candidates(span.after, limit=_PAGE + 1, until=span.until)
        page = of_page.agreements
        missing, _ = cycle.estimated(page, today=waited)
        bills, aside = cycle.drawn_up(page, missing.refused)
        billed = list({bill.agreement_id for bill in bills})
        last = services.database.last_bills(agreements=billed) if billed else {}
        found.add(page, bills, aside, estimated=missing.made, last=last)
        found.passed += _PAGE
        found.parts[:1] = [Span(of_page.next, span.until)] if of_page.next else []
        found.whole = not found.parts
        yield found
        if time.monotonic() >= stop_at:
            break
    # To be compared with what the run will have made.
    services.database.save_bill_run_preview(
        actor=principal.user,
        on=run.on,
        at=now,
        looked_at=found.looked_at,
        whole=found.whole,
        totals=[sums.to_json(currency) for currency, sums in sorted(found.sums.items())],
    )


def _begun(cycle: CycleBills, run: PlannedRun) -> BillRunPreview:
    """One whose parts lie in no order, so that the first of them stand for the others."""
    parts = cycle.parts(_PAGE)
    Random(run.on.isoformat()).shuffle(parts)  # noqa: S311  no secret
    return BillRunPreview(of=run.agreements, parts=parts)


def _previewed(bill: NewBill, serial: str, last: LastBill | None) -> PreviewedBill:
    alike = last is not None and last.currency == bill.rated.currency
    return PreviewedBill(
        meter_id=bill.closing.meter_id,
        meter_serial=serial,
        period_start=bill.opening.read_on,
        period_end=bill.closing.read_on,
        consumption_wh=bill.consumption_wh,
        currency=bill.rated.currency,
        total_minor=bill.rated.total_minor,
        held_because=bill.held_because,
        last=last,
        against=AgainstLast.of(bill, last) if alike and last else None,
    )
