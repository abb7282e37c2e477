"""The one place where the system is wired: settings in, services out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from services.auth import LocalTokens, SignInTickets, Tokens
from services.auth0 import Auth0Tokens
from services.bill_approval import BillApproval
from services.billing_desk import BillingDesk
from services.checks import Check, Checks, checks_of
from services.database.direct import DirectTransport
from services.database.embedded import EmbeddedPostgres
from services.database.migrations import apply_migrations
from services.database.roles import prepare_roles
from services.database.schema_check import check_schema
from services.database.service import DatabaseService
from services.database.transport import Transport
from services.demo import DemoHeadEnd, load_demo_if_empty
from services.outside_wiring import Addresses, Outside, open_outside
from services.owed_work import OwedSteps, StepHandler
from services.reading_review import ReadingReview
from services.reading_to_bill import ReadingToBill
from services.settings import PROJECT_FOLDER, Settings, SettingsError
from services.signing_key import load_or_create_signing_key

if TYPE_CHECKING:
    from scheduler import Scheduler

MIGRATIONS = PROJECT_FOLDER / "supabase" / "migrations"
OWN_DATABASE = "billing"
DEMO_DATABASE = "demo"


@dataclass(frozen=True)
class Services:
    """Everything that pages, the HTTP API, the scheduler and the command line work with."""

    settings: Settings
    database: DatabaseService
    tokens: Tokens
    tickets: SignInTickets
    owed_steps: OwedSteps
    desk: BillingDesk
    reading_to_bill: ReadingToBill
    reading_review: ReadingReview
    bill_approval: BillApproval
    # Where smart meters are read: the operator's head-end, the demo's own, or nowhere.
    headend_url: str | None = None
    # What the Services page tests beside our own systems.
    checks: tuple[Check, ...] = ()
    # Brings a dead server of our own back; does nothing where the database is somebody else's.
    revive_database: Callable[[], None] = lambda: None
    # Undone in reverse order by close().
    closers: tuple[Callable[[], None], ...] = field(default=(), repr=False)

    def close(self) -> None:
        """Give back connections and, as the last process of the data folder, stop its server."""
        for close in reversed(self.closers):
            close()


def build_services(
    settings: Settings,
    *,
    step_handlers: Mapping[int, StepHandler] | None = None,
    addresses: Addresses | None = None,
    lease_seconds: int = 60,
) -> Services:
    """Start or reach the database, bring its schema up to date, and wire every service.

    A Supabase project's schema is only checked: `supabase db push` brings it up to date.
    `step_handlers` take the place of the owed steps (8 to 13) of the configured services, and
    `addresses` of where those are. Raises EmbeddedPostgresError, DatabaseError, MigrationError,
    SettingsError with a sentence on what to do.
    """
    closers: list[Callable[[], None]] = []
    try:
        server = EmbeddedPostgres(settings.data_dir) if settings.embedded else None
        transport = _open_database(settings, server, closers)
        database = DatabaseService(transport)
        closers.append(database.close)
        # The demo sends nothing to anybody.
        outside = Outside() if settings.demo else open_outside(settings, transport, addresses)
        closers.append(outside.close)
        if step_handlers is not None:
            outside = replace(outside, step_handlers=step_handlers)
        services = wire(
            settings,
            database,
            outside=outside,
            lease_seconds=lease_seconds,
            closers=tuple(closers),
        )
        return replace(services, revive_database=server.start) if server else services
    except BaseException:
        for close in reversed(closers):
            close()
        raise


def open_services(settings: Settings, *, now: datetime) -> Services:
    """`build_services`, and with the demo its data, when there is none yet, and its head-end.

    Raises as `build_services` does, and NotADemoDatabase.
    """
    services = build_services(settings)
    if not settings.demo:
        return services
    try:
        load_demo_if_empty(services, now)
        if services.headend_url is not None:
            return services
        head_end = DemoHeadEnd(services.database, settings.timezone)
        head_end.start()
    except BaseException:
        services.close()
        raise
    closers = (*services.closers, head_end.stop)
    return replace(services, headend_url=head_end.url, closers=closers)


def _open_database(
    settings: Settings, server: EmbeddedPostgres | None, closers: list[Callable[[], None]]
) -> Transport:
    """A way to a database whose schema is as this version needs it."""
    if settings.supabase_url is not None:
        return _open_supabase(settings)
    dsn = _database_address(settings, server, closers)
    apply_migrations(dsn, MIGRATIONS)
    return DirectTransport(dsn)


def _open_supabase(settings: Settings) -> Transport:
    # Supabase's client takes a second to load, which only those who use it should wait.
    from services.database.rest import RestTransport  # noqa: PLC0415

    url, key = settings.supabase_url, settings.supabase_service_key
    if url is None or key is None:
        raise SettingsError(["SUPABASE_SERVICE_KEY: needed beside SUPABASE_URL."])
    try:
        transport = RestTransport(url, key.get_secret_value())
    except ValueError as error:
        raise SettingsError([str(error)]) from None
    try:
        check_schema(transport, MIGRATIONS)
    except BaseException:
        transport.close()
        raise
    return transport


def _database_address(
    settings: Settings, server: EmbeddedPostgres | None, closers: list[Callable[[], None]]
) -> str:
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        prepare_roles(dsn)
        return dsn
    if server is None:
        raise SettingsError(["DATABASE_URL: there is no database to work with."])
    server.start()
    closers.append(server.stop)
    return server.database(DEMO_DATABASE if settings.demo else OWN_DATABASE)


def wire(
    settings: Settings,
    database: DatabaseService,
    *,
    outside: Outside | None = None,
    lease_seconds: int = 60,
    closers: tuple[Callable[[], None], ...] = (),
) -> Services:
    """Every service over a database that is ready; without `outside` nothing leaves it."""
    outside = outside or Outside()
    owed_steps = OwedSteps(
        database=database, handlers=dict(outside.step_handlers), lease_seconds=lease_seconds
    )
    desk = BillingDesk(
        zone=settings.timezone,
        due_days=settings.due_days,
        owed_steps=owed_steps,
        ai=outside.ai,
    )
    return Services(
        settings=settings,
        database=database,
        tokens=tokens_for(settings),
        tickets=SignInTickets(),
        owed_steps=owed_steps,
        desk=desk,
        reading_to_bill=ReadingToBill(database=database, desk=desk, owed_steps=owed_steps),
        reading_review=ReadingReview(database=database, desk=desk, owed_steps=owed_steps),
        bill_approval=BillApproval(database=database, desk=desk, owed_steps=owed_steps),
        headend_url=settings.meter_headend_url,
        checks=outside.checks,
        closers=closers,
    )


def tokens_for(settings: Settings) -> Tokens:
    """Whose tokens people sign in with: the Auth0 tenant's, or without one our own.

    Raises UnableToUseSigningKey.
    """
    if settings.auth0_domain is None or settings.auth0_audience is None:
        return LocalTokens(load_or_create_signing_key(settings.data_dir))
    return Auth0Tokens(settings.auth0_domain, settings.auth0_audience, settings.auth0_roles_claim)


@dataclass
class _Process:
    """What runs in this process. Pages are scripts, and Streamlit hands them nothing."""

    services: Services | None = None
    scheduler: "Scheduler | None" = None
    checks: Checks | None = None


_process = _Process()


def run_with(services: Services | None, scheduler: "Scheduler | None" = None) -> None:
    """Say what the pages of this process work with; None when it stops."""
    _process.services, _process.scheduler = services, scheduler
    _process.checks = checks_of(services, scheduler) if services else None


def running() -> Services:
    """The services of this process; raises RuntimeError before the start or after the end."""
    if _process.services is None:
        raise RuntimeError("The services of this process are not running.")
    return _process.services


def running_scheduler() -> "Scheduler":
    """The scheduler of this process; raises RuntimeError before the start or after the end."""
    if _process.scheduler is None:
        raise RuntimeError("The scheduler of this process is not running.")
    return _process.scheduler


def running_checks() -> Checks:
    """The checks of this process; raises RuntimeError before the start or after the end."""
    if _process.checks is None:
        raise RuntimeError("The services of this process are not running.")
    return _process.checks
