"""The monthly bills: each active meter not yet billed for the month before the run's date."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, groupby

from services.billing.draw_up import draw_up_bills
from services.database.errors import ChainMoved, RunTakenOver
from services.database.transport import DatabaseError, DatabaseRefused, TemporaryDatabaseError
from services.jobs import unbilled
from services.jobs.runs import JobContext
from services.metering.bill_periods import MONTH_END_DAYS
from services.metering.measured import RegisterFell
from services.quantities.period import EmptyPeriod, first_of_month
from services.rating import UnableToPriceBill
from services.records.bills import BillCandidate, NewBill
from services.records.jobs import QueuedAgreement, SetAside
from services.records.tariffs import TariffVersion, versions_along
from services.tariffs import InvalidTariff

log = logging.getLogger(__name__)

BATCH = 200
# Field reads that are billed while the run goes on make it compute their meters again.
MOST_PASSES = 3
UNEXPECTED = "An unexpected error; the log has the details."
MOVED = "Its readings were being billed or corrected meanwhile; it is looked at again at once."

Candidates = dict[str, BillCandidate]  # by agreement


def run(context: JobContext) -> str:
    """Bill the month [1st of the month before the run's date, 1st of the run's month).

    Answers the run's summary; a meter without a closing read, or whose bill cannot be made, is
    set aside with its reason.
    """
    billing = _billing(context)
    moved = billing.go_through()
    for _ in range(MOST_PASSES - 1):
        if moved:
            moved = billing.go_through(only=moved)
    # Reads that came while the run passed their meters.
    billing.go_through_queue()
    context.note(
        set_aside=[unbilled.aside(m, MOVED, code="moved", again=True) for m in moved.values()]
    )
    return billing.summary


def take_up_late(context: JobContext) -> str:
    """Bill the meters for which a read or a tariff came after the run; the run's summary.

    Each leaves the queue when it was looked at, whether it is billed, set aside again or was
    billed meanwhile by itself.
    """
    billing = _billing(context)
    billing.go_through_queue()
    return f"{billing.summary} Also for readings that came later."


def _billing(context: JobContext) -> "_MonthlyBilling":
    month_end = first_of_month(context.run.scheduled_on)
    return _MonthlyBilling(
        context=context,
        month_start=first_of_month(month_end - timedelta(days=1)),
        month_end=month_end,
        tariffs=_tariffs(context),
    )


def _tariffs(context: JobContext) -> Mapping[str, Sequence[TariffVersion]]:
    """All versions by tariff, fetched once a run."""
    by_tariff: dict[str, list[TariffVersion]] = defaultdict(list)
    for version in context.patiently(context.services.database.tariff_versions):
        by_tariff[version.tariff_id].append(version)
    return by_tariff


@dataclass(frozen=True)
class _MonthlyBilling:
    """One run's way through the meters; `month_start` and `month_end` are 1sts."""

    context: JobContext
    month_start: date
    month_end: date
    tariffs: Mapping[str, Sequence[TariffVersion]]

    @property
    def summary(self) -> str:
        """What the run makes, and for which month."""
        what = "Drafts" if self.context.services.issuer.approval else "Bills"
        return f"{what} for {self.month_start:%B %Y}."

    def go_through(self, only: Collection[str] | None = None) -> Candidates:
        """Bill page by page, only some meters if said; those whose chain moved meanwhile."""
        moved: Candidates = {}
        after: str | None = None
        while True:
            self.context.go_on()
            page = self._candidates(after)
            chosen = [c for c in page if only is None or c.agreement_id in only]
            if chosen:
                moved |= self._bill(chosen)
            if len(page) < BATCH:
                return moved
            after = page[-1].agreement_id

    def go_through_queue(self) -> None:
        """Look once more at the meters that are queued, page by page."""
        context, after = self.context, None
        while queued := self._queued(after):
            context.go_on()
            ids = [row.agreement_id for row in queued]
            # What was said of them before is not true any more; what is said again comes back.
            self._note(settled=ids)
            page = self._candidates(None, only=ids)
            moved = self._bill(page) if page else {}
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

    def _candidates(
        self, after: str | None, only: Sequence[str] | None = None
    ) -> list[BillCandidate]:
        database = self.context.services.database
        return self.context.patiently(
            lambda: database.monthly_bill_candidates(
                month_start=self.month_start,
                month_end=self.month_end,
                month_end_days=MONTH_END_DAYS,
                after=after,
                limit=BATCH,
                only=only,
            )
        )

    def _bill(self, candidates: Sequence[BillCandidate]) -> Candidates:
        bills: list[NewBill] = []
        aside: list[SetAside] = []
        without: dict[str, RegisterFell | None] = {}
        for candidate in candidates:
            try:
                made = self._draw_up(candidate)
            except RegisterFell as fell:
                without[candidate.agreement_id] = fell
                continue
            if made is None:
                without[candidate.agreement_id] = None
            elif isinstance(made, list):
                bills += made
            else:
                aside.append(made)
        meters = {c.agreement_id: c for c in candidates}
        aside += self._why_not(without, meters)
        return {meter: meters[meter] for meter in self._store(bills, aside, meters)}

    def _why_not(
        self, without: Mapping[str, RegisterFell | None], meters: Candidates
    ) -> list[SetAside]:
        """Why meters have no bill: no read to close at, or a register that fell; by their ids."""
        if not without:
            return []
        database = self.context.services.database
        facts = self.context.patiently(
            lambda: database.unbilled_facts(agreements=list(without), month_end=self.month_end)
        )
        return [
            unbilled.fallen(meters[meter], fell, facts[meter].last_bill_id)
            if fell
            else unbilled.without_closing(meters[meter], facts[meter], self.month_end)
            for meter, fell in without.items()
        ]

    def _draw_up(self, candidate: BillCandidate) -> list[NewBill] | SetAside | None:
        """The meter's bills, none where it is too soon for one; why there can be none; or None.

        None is a meter without a read to close at. Raises RegisterFell.
        """
        if candidate.closing is None:
            return None
        services = self.context.services
        try:
            bills = draw_up_bills(
                agreement_id=candidate.agreement_id,
                constants=candidate.constants,
                installations=candidate.installations,
                opening=candidate.opening,
                between=candidate.between,
                closing=candidate.closing,
                tariffs=self._tariffs_of(candidate),
                reissue_no=candidate.reissue_no,
                issue=services.issuer.issue_of_new(self.context.now),
                zone=services.settings.timezone,
                inputs=candidate.pricing,
                shortest_days=services.issuer.shortest_days,
            )
        except RegisterFell:
            raise
        except (UnableToPriceBill, EmptyPeriod, InvalidTariff) as error:
            return unbilled.not_priced(candidate, error)
        except Exception:
            log.exception("the bill of meter %s could not be computed", candidate.serial)
            return unbilled.aside(candidate, UNEXPECTED)
        return services.issuer.with_all_outboxes([bill.unattended() for bill in bills])

    def _tariffs_of(self, candidate: BillCandidate) -> Sequence[TariffVersion]:
        if not candidate.spans:
            return self.tariffs.get(candidate.tariff_id, ())
        of_spans = (self.tariffs.get(span.tariff_id, ()) for span in candidate.spans)
        return versions_along(candidate.spans, chain.from_iterable(of_spans))

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
