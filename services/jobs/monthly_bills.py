"""The monthly bills: each agreement not yet billed for the billing cycle that ended last."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from services.container import Services
from services.database.errors import ChainMoved, RunTakenOver
from services.database.transport import DatabaseError, DatabaseRefused, TemporaryDatabaseError
from services.jobs import unbilled
from services.jobs.cycle_bills import UNEXPECTED, CycleBills, Span
from services.jobs.missing_reads import EstimateRule, asked_for, rows_of, stored_ids
from services.jobs.runs import JobContext, JobFailed, StopRequested
from services.languages.sentence import sentence
from services.languages.writing import Month
from services.metering.estimation import CannotEstimate
from services.quantities.period import first_of_month
from services.records.bills import BillCandidate, NewBill
from services.records.jobs import JobRun, QueuedAgreement, SetAside
from services.telemetry.context import bound
from services.workers import Stopped, Workers, WorkersLost

log = logging.getLogger(__name__)

BATCH = 200
# Worker processes take some seconds to begin: fewer agreements are billed without them.
ENOUGH_TO_SPREAD = 5_000
# So few that a process that is stopping waits for some seconds at most.
A_PART = 2_000
# Field reads that are billed while the run goes on make it compute their meters again.
MOST_PASSES = 3
MOVED = sentence(
    "Its readings were being billed or corrected meanwhile; it is looked at again at once."
)

Candidates = dict[str, BillCandidate]  # by agreement


def run(context: JobContext) -> str:
    """Bill the cycle that ends on the run's date; on a date that ends none, each one's last.

    A cycle is a month from one billing day to the next. Answers the run's summary; a meter without
    a closing read, or whose bill cannot be made, is set aside with its reason.
    """
    days = _billing_days(context)
    billing = _billing(context, days)
    on, workers = context.run.scheduled_on, context.services.workers
    agreements = days[on.day] if on.day in days else sum(days.values())
    context.patiently(
        lambda: context.services.database.note_job_progress(run=context.ref, expected=agreements)
    )
    if workers.several and agreements >= ENOUGH_TO_SPREAD:
        size = min(A_PART, -(-agreements // (2 * workers.count)))
        moved = _spread(context, workers, days=tuple(days), spans=billing.cycle.parts(size))
    else:
        moved = billing.go_through(Span())
    for _ in range(MOST_PASSES - 1):
        moved = billing.go_through_again(moved)
    # Reads that came while the run passed their meters.
    billing.go_through_queue()
    context.note(
        set_aside=[
            unbilled.aside(one, MOVED, code="moved", again=True)
            for one in billing.cycle.candidates(None, limit=len(moved), only=moved).agreements
        ]
        if moved
        else []
    )
    return billing.summary


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a run that a worker does. `now` is when the run began, in UTC."""

    run: JobRun
    days: tuple[int, ...]
    now: datetime
    lease_seconds: int
    span: Span


def _spread(
    context: JobContext, workers: Workers, *, days: tuple[int, ...], spans: Sequence[Span]
) -> list[str]:
    """Bill with several processes; the agreements whose chain moved meanwhile.

    A part that is done again, because its worker was lost, finds its bills made.
    """
    parts = [_Part(context.run, days, context.now, context.lease_seconds, span) for span in spans]
    moved: list[str] = []
    try:
        for of_part in workers.results(bill_part, parts, stop=context.stop, pulse=context.keep):
            moved += of_part
    except Stopped:
        raise StopRequested from None
    except WorkersLost as lost:
        raise JobFailed(str(lost)) from lost
    return moved


def bill_part(services: Services, part: _Part) -> list[str]:
    """Bill the agreements of a part of a run; those whose chain moved. Raises RunTakenOver."""
    context = JobContext(
        services=services,
        run=part.run,
        now=part.now,
        clock=lambda: part.now,
        lease_seconds=part.lease_seconds,
    )
    with bound(job_run=context.label, actor=context.actor):
        return _billing(context, part.days).go_through(part.span)


def take_up_late(context: JobContext) -> str:
    """Bill the meters for which a read or a tariff came after the run; the run's summary.

    Those whose read did not come within the days that the utility waits are estimated. Each leaves
    the queue when it was looked at, whether it is billed, set aside again or was billed meanwhile
    by itself.
    """
    billing = _billing(context, _billing_days(context))
    billing.queue_missing_reads()
    billing.go_through_queue()
    later = sentence("Also for readings that came later.")
    return f"{billing.summary} {later}"


def _billing(context: JobContext, days: Collection[int]) -> "_MonthlyBilling":
    on = context.run.scheduled_on
    return _MonthlyBilling(
        context=context,
        summary=_summary(on, days, drafts=context.services.issuer.approval),
        cycle=CycleBills(
            database=context.services.database,
            issuer=context.services.issuer,
            on=on,
            billing_day=on.day if on.day in days else None,
            now=context.now,
            ask=context.patiently,
            estimates=EstimateRule.of(context.services.settings),
        ),
    )


def _billing_days(context: JobContext) -> dict[int, int]:
    """The billing days in use, with how many agreements each has."""
    found = context.patiently(context.services.database.billing_days)
    return {cycle.billing_day: cycle.agreements for cycle in found.cycles} or {1: 0}


def _summary(on: date, days: Collection[int], *, drafts: bool) -> str:
    """What a run for a date makes, and for which months."""
    if on.day == 1 or set(days) == {1}:
        before = first_of_month(on) - timedelta(days=1)
        of = {"month": Month(before.month, full=True), "year": str(before.year)}
        return (
            sentence("Drafts for {month} {year}.", **of)
            if drafts
            else sentence("Bills for {month} {year}.", **of)
        )
    if on.day in days:
        return (
            sentence("Drafts for the month up to {day}.", day=on)
            if drafts
            else sentence("Bills for the month up to {day}.", day=on)
        )
    if drafts:
        return sentence("Drafts for the months up to the last billing days before {day}.", day=on)
    return sentence("Bills for the months up to the last billing days before {day}.", day=on)


@dataclass(frozen=True)
class _MonthlyBilling:
    """One run's way through the agreements; `summary` says what it makes."""

    context: JobContext
    summary: str
    cycle: CycleBills

    def go_through(self, span: Span) -> list[str]:
        """Bill page by page; the agreements whose chain moved meanwhile."""
        moved: list[str] = []
        after = span.after
        while True:
            self.context.go_on()
            page = self.cycle.candidates(after, limit=BATCH, until=span.until)
            if page.agreements:
                moved += self._bill(page.agreements)
            after = page.next
            if after is None:
                return moved

    def go_through_again(self, agreements: Sequence[str]) -> list[str]:
        """Bill some agreements, whose chain had moved; those where it did again."""
        moved: list[str] = []
        for start in range(0, len(agreements), BATCH):
            self.context.go_on()
            some = agreements[start : start + BATCH]
            page = self.cycle.candidates(None, limit=BATCH, only=some)
            moved += self._bill(page.agreements)
        return moved

    def queue_missing_reads(self) -> None:
        """Queue the meters whose reads are estimated from today on."""
        context, rule = self.context, self.cycle.estimates
        if rule is not None:
            database, before = context.services.database, rule.last_day(context.today)
            context.patiently(lambda: database.queue_for_estimates(run=context.ref, before=before))

    def go_through_queue(self) -> None:
        """Look once more at the meters that are queued, page by page."""
        context, after = self.context, None
        while queued := self._queued(after):
            context.go_on()
            ids = [row.agreement_id for row in queued]
            # What was said of them before is not true any more; what is said again comes back.
            self._note(settled=ids)
            page = self.cycle.candidates(None, limit=BATCH, only=ids).agreements
            moved = self._bill(page) if page else []
            # Those whose chain moved stay for the next tick.
            self._note(looked_at=[row for row in queued if row.agreement_id not in moved])
            after = ids[-1]

    def _queued(self, after: str | None) -> list[QueuedAgreement]:
        database = self.context.services.database
        return self.context.patiently(lambda: database.agreements_to_bill(after=after, limit=BATCH))

    def _note(
        self, *, looked_at: Sequence[QueuedAgreement] = (), settled: Sequence[str] = ()
    ) -> None:
        context = self.context
        context.patiently(
            lambda: context.services.database.note_job_progress(
                run=context.ref, looked_at=looked_at, settled=settled
            )
        )

    def _bill(self, candidates: Sequence[BillCandidate]) -> list[str]:
        candidates, refused = self._with_estimates(candidates)
        bills, aside = self.cycle.drawn_up(candidates, refused)
        meters = {c.agreement_id: c for c in candidates}
        issuer = self.context.services.issuer
        with_outboxes = [
            bill
            for _, of_agreement in groupby(bills, key=lambda bill: bill.agreement_id)
            for bill in issuer.with_all_outboxes(list(of_agreement))
        ]
        return self._store(with_outboxes, aside, meters)

    def _with_estimates(
        self, candidates: Sequence[BillCandidate]
    ) -> tuple[Sequence[BillCandidate], Mapping[str, CannotEstimate]]:
        """The candidates with reads that were missing estimated and stored; why others are not.

        One for which a read came meanwhile is queued by that.
        """
        context = self.context
        found, facts = self.cycle.estimated(candidates, today=context.today)
        zone = context.services.settings.timezone
        rows = rows_of(found, now=context.now, zone=zone)
        ask = asked_for(found, facts, now=context.now, zone=zone)
        if not rows and not ask:
            return candidates, found.refused
        stored = context.patiently(
            lambda: context.services.database.store_estimates(
                actor=context.actor, run=context.ref, rows=rows, ask=ask
            )
        )
        fresh = [one for read, one in stored_ids(found).items() if read in stored]
        page = self.cycle.candidates(None, limit=BATCH, only=fresh).agreements if fresh else ()
        now_read = {one.agreement_id: one for one in page}
        return [now_read.get(c.agreement_id, c) for c in candidates], found.refused

    def _store(
        self, bills: Sequence[NewBill], aside: Sequence[SetAside], meters: Candidates
    ) -> list[str]:
        """Store a batch in one transaction; the meters to compute again."""
        try:
            return self._store_at_once(bills, aside, meters)
        except (RunTakenOver, TemporaryDatabaseError):
            raise
        except DatabaseError:
            log.exception("a batch of bills was refused; it is stored bill by bill")
        self.context.note(set_aside=aside)
        moved: list[str] = []
        for _, of_meter in groupby(bills, key=lambda bill: bill.agreement_id):
            moved += self._store_alone(list(of_meter), meters)
        return moved

    def _store_at_once(
        self, bills: Sequence[NewBill], aside: Sequence[SetAside], meters: Candidates
    ) -> list[str]:
        context = self.context
        # Of several held bills of a meter the first is named.
        first = {b.agreement_id: b for b in reversed(bills) if b.held_because}
        held = [unbilled.held(meters[meter], bill) for meter, bill in first.items()]
        _, moved = context.patiently(
            lambda: context.services.database.store_job_bills(
                actor=context.actor, bills=bills, run=context.ref, set_aside=[*aside, *held]
            )
        )
        return moved

    def _store_alone(self, bills: Sequence[NewBill], meters: Candidates) -> list[str]:
        meter = meters[bills[0].agreement_id]
        try:
            return self._store_at_once(bills, [], meters)
        except (RunTakenOver, TemporaryDatabaseError):
            raise
        except ChainMoved:
            return [meter.agreement_id]
        except DatabaseError as error:
            log.warning("the bill of meter %s was refused: %s", meter.serial, error)
            reason = error.message if isinstance(error, DatabaseRefused) else UNEXPECTED
            self.context.note(set_aside=[unbilled.aside(meter, reason)])
            return []
