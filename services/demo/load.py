"""Loading the demo utility through the system's own services, up to the day of loading."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby, zip_longest
from uuid import uuid4

from services.container import Services
from services.database.errors import NotFound
from services.demo.accounts import AccountStories
from services.demo.bills import BillMaker, Cashier, MeterBills
from services.demo.grid import TRANSFORMERS, supplies, transformer_of
from services.demo.premises import (
    LAST_ACCOUNT,
    TARIFF_FILES,
    TO_TRY,
    TO_TRY_DAYS,
    Premises,
    all_premises,
)
from services.demo.reads import DemoMeter, DemoRead, demo_meter
from services.importing import Importer, ImportReport
from services.importing.by_kind.grid_rows import (
    SUPPLY_COLUMNS,
    TRANSFORMER_COLUMNS,
    TRANSFORMER_OPTIONS,
)
from services.importing.by_kind.place_rows import POINT_COLUMNS
from services.importing.reads import READING_COLUMNS, REGISTER_PREFIX
from services.importing.rows import CUSTOMER_COLUMNS, METER_COLUMNS
from services.languages.sentence import sentence
from services.quantities.counting import count
from services.quantities.energy import format_kwh
from services.quantities.period import local_date
from services.records.bills import NewBill
from services.records.entries import NewPayment
from services.records.readings import ReadingSource
from services.settings import PROJECT_FOLDER

ACTOR = "system:demo"
# As the sign-in page names them, so that the engineer finds these readings as their own.
ENGINEER = "demo.engineer"
COLLECTOR = "job:meter_collection"
VOID_REASON = "The customer asked for a check reading: billed again up to that reading."
_AT_ONCE = 5000


class NotADemoDatabase(Exception):
    """The database holds customers of somebody's own, so the demo is not loaded into it."""


class UnableToLoadDemo(Exception):
    """The demo's own files were refused: a mistake in the program."""


@dataclass(frozen=True, slots=True)
class DemoLoaded:
    """What a load brought in."""

    as_of: date
    customers: int
    meters: int
    readings: int
    bills: int
    payments: int

    def __str__(self) -> str:
        return (
            f"Loaded the demo utility as of {self.as_of:%d %b %Y}: "
            f"{count(self.customers, 'customer')}, {count(self.meters, 'meter')}, "
            f"{count(self.readings, 'reading')}, {count(self.bills, 'bill')}, "
            f"{count(self.payments, 'payment')}."
        )


def load_demo_if_empty(services: Services, now: datetime) -> DemoLoaded | None:
    """Load the demo into an empty database; None when it is there already. `now` is in UTC.

    An interrupted load is taken up where it ended. Raises NotADemoDatabase when there are other
    customers, and DatabaseError.
    """
    if _is_loaded(services):
        return None
    premises = all_premises()
    ours = {p.account_no for p in premises}
    found = services.database.account_numbers(limit=len(ours) + 1)
    if not ours.issuperset(found):
        raise NotADemoDatabase(
            "This database has customers that are not the demo's, so the demo is not loaded into "
            "it. Set DEMO=off to work with them, or choose an empty database."
        )
    return _Loading(services, _as_of(services, now), now).load(premises)


def _is_loaded(services: Services) -> bool:
    try:
        services.database.customer_bills(customer=LAST_ACCOUNT.account_no, limit=1)
    except NotFound:
        return False
    return True


def _as_of(services: Services, now: datetime) -> date:
    """The day the demo is made for: today, or that of the load that was interrupted."""
    begun = [m for m in services.database.find_meters(text=TO_TRY) if m.serial == TO_TRY]
    if begun and begun[0].opened_on:
        return begun[0].opened_on + timedelta(days=TO_TRY_DAYS)
    return local_date(now, services.settings.timezone)


@dataclass(frozen=True, slots=True)
class _Loading:
    """One load; every step may be repeated."""

    services: Services
    as_of: date
    now: datetime

    def load(self, premises: Sequence[Premises]) -> DemoLoaded:
        """All of it, the account that says "loaded" last."""
        zone = self.services.settings.timezone
        meters = [demo_meter(p, as_of=self.as_of, zone=zone) for p in premises]
        customers = self._import_customers(premises)
        self._import_tariffs()
        self._import_transformers()
        self._import_meters(meters)
        self._import_routes(premises)
        readings = self._import_reads(meters, "manual", "field", ENGINEER)
        readings += self._import_reads(meters, "smart", "smart", COLLECTOR)
        billed = self._bills(premises)
        stories = self._stories(billed)
        payments = stories.payments_of_bills()
        bills = self._store_bills(billed, {paid.bill_id: paid for paid in payments})
        self._import_supplies(billed)
        deposits = stories.deposits()
        self._pay(deposits)
        stories.tell()
        self._mark_overdue()
        customers += self._import_customers([LAST_ACCOUNT])
        return DemoLoaded(
            self.as_of, customers, len(meters), readings, bills, len(payments) + len(deposits)
        )

    def _stories(self, billed: Sequence[MeterBills]) -> AccountStories:
        zone, database = self.services.settings.timezone, self.services.database
        paid = Cashier(zone, self.as_of).payments(billed)
        return AccountStories(database, ACTOR, zone, self.as_of, billed, paid)

    @property
    def _importer(self) -> Importer:
        settings = self.services.settings
        return Importer(self.services.database, settings.timezone, chunk_rows=_AT_ONCE)

    def _import_customers(self, premises: Sequence[Premises]) -> int:
        rows = ((p.account_no, p.name, p.email, p.phone, p.address) for p in premises)
        text = _csv(CUSTOMER_COLUMNS, rows)
        _accepted(self._importer.customers(text, actor=ACTOR, now=self.now))
        return len(premises)

    def _import_tariffs(self) -> None:
        for name in TARIFF_FILES:
            path = PROJECT_FOLDER / "examples" / "tariffs" / name
            _accepted(self._importer.tariffs(path, actor=ACTOR, now=self.now))

    def _import_meters(self, meters: Sequence[DemoMeter]) -> None:
        rows = (_meter_cells(meter) for meter in meters)
        text = _csv((*METER_COLUMNS, "transformer_code", "registers"), rows)
        _accepted(self._importer.meters(text, actor=ACTOR, now=self.now))

    def _import_routes(self, premises: Sequence[Premises]) -> None:
        """In which order the meters are read: a route for each ward."""
        rows = ((p.serial, p.ward, str(p.number), p.access_note) for p in premises)
        text = _csv((*POINT_COLUMNS, "route", "sequence", "access_note"), rows)
        _accepted(self._importer.service_points(text, actor=ACTOR, now=self.now))

    def _import_transformers(self) -> None:
        rows = ((t.code, t.name, t.feeder_code, t.feeder_name, t.rated_kva) for t in TRANSFORMERS)
        text = _csv((*TRANSFORMER_COLUMNS, *TRANSFORMER_OPTIONS), rows)
        _accepted(self._importer.transformers(text, actor=ACTOR, now=self.now))

    def _import_supplies(self, billed: Sequence[MeterBills]) -> None:
        rows = (
            (supply.transformer_code, supply.start, supply.end, format_kwh(supply.energy_wh))
            for supply in supplies(billed, as_of=self.as_of)
        )
        text = _csv(SUPPLY_COLUMNS, rows)
        _accepted(self._importer.supplies(text, actor=ACTOR, now=self.now))

    def _import_reads(
        self, meters: Sequence[DemoMeter], kind: str, source: ReadingSource, actor: str
    ) -> int:
        rows = [
            (
                m.premises.serial,
                format_kwh(read.register_wh),
                read.read_at.isoformat(),
                _export(read),
            )
            for m in meters
            if m.premises.kind == kind
            for read in m.reads
        ]
        text = _csv((*READING_COLUMNS, f"{REGISTER_PREFIX}export"), rows)
        _accepted(self._importer.readings(text, actor=actor, now=self.now, as_source=source))
        return len(rows)

    def _bills(self, premises: Sequence[Premises]) -> list[MeterBills]:
        settings, database = self.services.settings, self.services.database
        versions = {
            code: tuple(found)
            for code, found in groupby(database.tariff_versions(), key=lambda v: v.code)
        }
        maker = BillMaker(settings.timezone, settings.due_days, self.as_of, versions)
        stored = {m.serial: m for m in database.meter_reads(serials=[p.serial for p in premises])}
        return [maker.bills_of(p, stored[p.serial]) for p in premises]

    def _store_bills(
        self, billed: Sequence[MeterBills], payments: Mapping[str | None, NewPayment]
    ) -> int:
        """In rounds, a bill of each meter a round: a bill opens where the one before closed.

        What was paid for it comes before the next, as on the statement of a real account.
        """
        # Where a load is repeated, a void bill is not stored again: its meter is reported as moved.
        voided = [meter.bills[-1] for meter in billed if meter.reissue]
        for bills in zip_longest(*(meter.bills for meter in billed)):
            self._store(bills, repeated=voided)
            self._pay([payments[bill.id] for bill in bills if bill and bill.id in payments])
        for bill in voided:
            self.services.database.void_bill(actor=ACTOR, bill_id=bill.id, reason=VOID_REASON)
        self._store(
            replace(meter.reissue, replaces_id=meter.bills[-1].id)
            for meter in billed
            if meter.reissue
        )
        return sum(len(meter.bills) + bool(meter.reissue) for meter in billed)

    def _pay(self, payments: Sequence[NewPayment]) -> None:
        self.services.database.record_payments(actor=ACTOR, payments=payments)

    def _store(
        self, bills: Iterable[NewBill | None], *, repeated: Collection[NewBill] = ()
    ) -> None:
        made = [bill for bill in bills if bill]
        _, moved = self.services.database.store_job_bills(actor=ACTOR, bills=made)
        if set(moved) - {bill.agreement_id for bill in repeated}:
            raise UnableToLoadDemo("Somebody billed a meter of the demo while it was being loaded.")

    def _mark_overdue(self) -> None:
        """As the job of the day before would have done."""
        database = self.services.database
        claimed, run = database.claim_job_run(
            job="overdue_marking",
            scheduled_on=self.as_of - timedelta(days=1),
            owner=f"demo-{uuid4()}",
            lease_seconds=60,
            started_by=ACTOR,
        )
        if not claimed:
            return
        held = run.ref(lease_seconds=60)
        outbox = self.services.outbox.plan_for_any("overdue_notice")
        database.mark_overdue(
            actor=ACTOR, run=held, today=self.as_of, limit=_AT_ONCE, outbox=outbox
        )
        database.finish_job_run(
            run=held, status="done", detail=sentence("Marked with the demo's data.")
        )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _meter_cells(meter: DemoMeter) -> tuple[object, ...]:
    p = meter.premises
    register = (p.kind, p.dials, p.multiplier, p.opening_kwh)
    opened = (meter.opened_on, transformer_of(p).code)
    further = "export=0" if p.is_solar else ""
    return (p.serial, p.account_no, p.tariff_code, *register, *opened, further)


def _export(read: DemoRead) -> str:
    return "" if read.export_wh is None else format_kwh(read.export_wh)


def _accepted(report: ImportReport) -> None:
    if not report.ok:
        raise UnableToLoadDemo(f"The demo's data was refused: {report.errors[0]}")
