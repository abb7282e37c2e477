"""The monthly bills: each active meter not yet billed for the month before the run's date."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.database.errors import ChainMoved, RunTakenOver
from services.database.transport import DatabaseError, DatabaseRefused, TemporaryDatabaseError
from services.domain.billing import NewBill, draw_up_bill
from services.domain.energy import format_kwh
from services.domain.metering import Register
from services.domain.period import EmptyPeriod, first_of_month
from services.domain.rating import UnableToPriceBill
from services.domain.records import BillCandidate, TariffVersion
from services.domain.tariff import InvalidTariff
from services.domain.validation import is_a_fall
from services.jobs.runs import Aside, JobContext, set_aside

log = logging.getLogger(__name__)

BATCH = 200
# Field reads that are billed while the run goes on make it compute their meters again.
MOST_PASSES = 3
UNEXPECTED = "An unexpected error; the log has the details."

Serials = dict[str, str]  # of meters, by their ids


def run(context: JobContext) -> str:
    """Bill the month [1st of the month before the run's date, 1st of the run's month).

    Answers the run's summary; a meter without a closing read, or whose bill cannot be made, is
    set aside with its reason.
    """
    month_end = first_of_month(context.run.scheduled_on)
    billing = _MonthlyBilling(
        context=context,
        month_start=first_of_month(month_end - timedelta(days=1)),
        month_end=month_end,
        tariffs=_tariffs(context),
    )
    moved = billing.go_through()
    for _ in range(MOST_PASSES - 1):
        if moved:
            moved = billing.go_through(only=moved)
    why = "Its readings were being billed or corrected meanwhile; the next run makes its bill."
    context.note(set_aside=[set_aside(serial, why) for serial in moved.values()])
    what = "Drafts" if context.services.desk.approval else "Bills"
    return f"{what} for {billing.month_start:%B %Y}."


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

    def go_through(self, only: Collection[str] | None = None) -> Serials:
        """Bill page by page, only some meters if said; those whose chain moved meanwhile."""
        moved: Serials = {}
        after: str | None = None
        while True:
            self.context.go_on()
            page = self._candidates(after)
            chosen = [c for c in page if only is None or c.meter_id in only]
            if chosen:
                moved |= self._bill(chosen)
            if len(page) < BATCH:
                return moved
            after = page[-1].meter_id

    def _candidates(self, after: str | None) -> list[BillCandidate]:
        database = self.context.services.database
        return self.context.patiently(
            lambda: database.monthly_bill_candidates(
                month_start=self.month_start, month_end=self.month_end, after=after, limit=BATCH
            )
        )

    def _bill(self, candidates: Sequence[BillCandidate]) -> Serials:
        bills: list[NewBill] = []
        aside: list[Aside] = []
        for candidate in candidates:
            made = self._draw_up(candidate)
            if isinstance(made, NewBill):
                bills.append(made)
            else:
                aside.append(set_aside(candidate.serial, made))
        serials = {c.meter_id: c.serial for c in candidates}
        return {meter: serials[meter] for meter in self._store(bills, aside, serials)}

    def _draw_up(self, candidate: BillCandidate) -> NewBill | str:
        """The meter's bill, or why there is none."""
        if candidate.closing is None:
            return f"No reading dated up to {self.month_end:%d %B %Y}."
        opening, closing = candidate.opening.register_wh, candidate.closing.register_wh
        if is_a_fall(opening_wh=opening, closing_wh=closing, dials=candidate.dials):
            return (
                f"The register fell from {format_kwh(opening)} to {format_kwh(closing)} kWh: "
                "a person must look at its readings."
            )
        services = self.context.services
        try:
            bill = draw_up_bill(
                register=Register(
                    meter_id=candidate.meter_id,
                    dials=candidate.dials,
                    multiplier_milli=candidate.multiplier_milli,
                    connected_w=candidate.connected_w,
                    connected_va=candidate.connected_va,
                ),
                opening=candidate.opening,
                closing=candidate.closing,
                tariffs=self.tariffs.get(candidate.tariff_id, ()),
                reissue_no=candidate.reissue_no,
                issue=services.desk.issue_of_new(self.context.now),
                zone=services.settings.timezone,
                facts=candidate.pricing,
            )
        except (UnableToPriceBill, EmptyPeriod, InvalidTariff) as error:
            return str(error)
        except Exception:
            log.exception("the bill of meter %s could not be computed", candidate.serial)
            return UNEXPECTED
        return services.desk.with_owed(bill.unattended())

    def _store(
        self, bills: Sequence[NewBill], aside: Sequence[Aside], serials: Serials
    ) -> list[str]:
        """Store a batch in one transaction; the meters to compute again."""
        try:
            return self._store_at_once(bills, aside)
        except (RunTakenOver, TemporaryDatabaseError):
            raise
        except DatabaseError:
            log.exception("a batch of bills was refused; it is stored bill by bill")
        self.context.note(set_aside=aside)
        moved: list[str] = []
        for bill in bills:
            moved += self._store_alone(bill, serials[bill.register.meter_id])
        return moved

    def _store_at_once(self, bills: Sequence[NewBill], aside: Sequence[Aside]) -> list[str]:
        context = self.context
        _, moved = context.patiently(
            lambda: context.services.database.store_job_bills(
                actor=context.actor, bills=bills, run=context.ref, set_aside=aside
            )
        )
        return moved

    def _store_alone(self, bill: NewBill, serial: str) -> list[str]:
        try:
            return self._store_at_once([bill], [])
        except (RunTakenOver, TemporaryDatabaseError):
            raise
        except ChainMoved:
            return [bill.register.meter_id]
        except DatabaseError as error:
            log.warning("the bill of meter %s was refused: %s", serial, error)
            reason = error.message if isinstance(error, DatabaseRefused) else UNEXPECTED
            self.context.note(set_aside=[set_aside(serial, reason)])
            return []
