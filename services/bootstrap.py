"""The one place where the system is wired: settings in, services out."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from services.accounts.adjustments import AccountAdjustments
from services.accounts.attachments import Attachments
from services.accounts.contact import CustomerContacts
from services.accounts.lookups import CustomerLookups
from services.accounts.month_end import MonthEnd
from services.accounts.search import Search
from services.accounts.statements import PrintedStatements, Statements
from services.accounts.usage import Usage
from services.ai.service import AiService
from services.ai.usage import AiUsage
from services.approvals.deciding import Approvals
from services.autopay.autopay import Autopay
from services.autopay.charging import AutopayCharging
from services.autopay.office import AutopayOffice
from services.autopay.signing_up import AutopaySignUp
from services.backups.check import BackupCheck
from services.bill_documents.archive import BillArchive
from services.bill_documents.charge_names import ChargeNames
from services.bill_documents.credit_notes import CreditNoteArchive
from services.billing.approval import BillApproval
from services.billing.credit_notes import CreditNotes
from services.billing.cycles import BillingCycles
from services.billing.issuing import BillIssuer
from services.billing.lookups import BillLookups
from services.bootstrap_database import MIGRATIONS, backups_of, open_database
from services.bootstrap_providers import (
    Addresses,
    Providers,
    inbox,
    message_rates,
    open_providers,
    twilio_reports,
    twilio_texts,
    whatsapp_reports,
)
from services.container import Services
from services.corrections.lookups import CorrectionLookups
from services.corrections.reading_correction import ReadingCorrection
from services.corrections.rebilling import FiguresChanged, NotAcknowledged, Rebilling
from services.corrections.tariff_correction import TariffCorrection
from services.customer_page.actions import PageActions
from services.customer_page.allowances import Allowance
from services.customer_page.codes import CustomerCodes
from services.customer_page.lookups import PageLookups
from services.customer_page.pages import CustomerPages
from services.customer_page.paying import CustomerPaying
from services.customer_page.requests import CustomerRequests
from services.customer_page.similar_homes import SimilarHomes
from services.customer_page.visits import CustomerVisits
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import newest_version
from services.database.service import DatabaseService
from services.database.transport import Transport
from services.database.transports.postgres import DirectTransport
from services.database.transports.watched import WatchedTransport
from services.demo import DemoHeadEnd, load_demo_if_empty
from services.dunning.dunning import Dunning
from services.dunning.holds import DunningHolds
from services.graph import GraphCheck, OpenedGraph, SaveToGraph, open_graph
from services.graph.answers import TransformerBalance
from services.health.alert_book import AlertBook
from services.health.checks import (
    Check,
    Checks,
    DatabaseCheck,
    HeadEndCheck,
    Runs,
    SchedulerCheck,
    SignInServiceCheck,
)
from services.health.disk import DiskCheck, DiskWatch
from services.health.last_errors import RecordedStep
from services.history.notes import CustomerNotes
from services.history.timeline import Timeline
from services.identity.api_keys import ApiKeys
from services.identity.auth import LocalTokens, SignInTickets, Tokens
from services.identity.auth0 import Auth0Tokens
from services.identity.jwks import SigningKeys
from services.identity.login_secrets import discovery_address
from services.identity.openid import ExchangedTokens, OpenIdTokens, Provider, UserOf
from services.identity.passwordless import Passwordless, RoleChoices, SignInLinks
from services.identity.permissions import Role
from services.identity.security_log import SecurityLog
from services.identity.sessions import Sessions
from services.identity.signing_key import load_or_create_signing_key
from services.importing.file_imports import FileImports
from services.importing.full_export.exports import FullExports
from services.languages.language import Language
from services.lists.office_lists import OfficeLists
from services.messages.delivery import Delivery
from services.messages.direct import DirectMessages, thanks_note
from services.messages.letters import Letters
from services.messages.lookups import MessageLookups
from services.outbox.outbox import Outbox, StepDone, StepHandler
from services.payments.bank_lines import BankLines
from services.payments.lookups import PaymentLookups
from services.payments.office_payments import OfficePayments
from services.payments.payment_received import PaymentReceived, open_payments
from services.payments.receipts import Receipts
from services.payments.reconciliation import Reconciliation
from services.payments.refunds import Refunds
from services.payments.stripe.autopay import StripeAutopay
from services.payments.stripe.checkout import StripeCheckout
from services.payments.stripe.client import StripePayments
from services.payments.stripe.listing import StripeReading
from services.payments.stripe.lookups import StripeLookups
from services.payments.stripe.turns import A_SECOND, a_second_of
from services.people.customer_links import CustomerLinks
from services.people.hashing import PasswordHashing
from services.people.languages import UserLanguages
from services.people.own_account import OwnAccount
from services.people.secret_box import SecretBox
from services.people.sign_in import PasswordSignIn, folded_name
from services.people.users import Users
from services.readings.assessment import ReadingAssessor
from services.readings.estimates import ReadingEstimates
from services.readings.exceptions import ReadingExceptions
from services.readings.limits_trial import LimitsTrial
from services.readings.lookups import ReadingLookups
from services.readings.outlooks import DecisionOutlooks
from services.readings.photos import MeterPhotos
from services.readings.reading_to_bill import ReadingToBill
from services.readings.review import ReadingReview
from services.readings.round import ReadingRound
from services.readings.swapped import SwappedMeters
from services.records.bills import Bill
from services.records.ledger import Payment
from services.records.outbox import OutboxKind
from services.reports.reports import reports_over
from services.settings import Settings, SettingsError, load_settings
from services.supply.places import Places
from services.supply.supply import Supply
from services.tariff_publishing.publishing import TariffPublishing
from services.utility_settings.current import CurrentSettings
from services.utility_settings.desk import SettingsDesk
from services.workers import Workers

if TYPE_CHECKING:
    from scheduler import Scheduler


def build_services(
    settings: Settings,
    *,
    step_handlers: Mapping[int, StepHandler] | None = None,
    addresses: Addresses | None = None,
    lease_seconds: int = 60,
    embedded_graph: bool = False,
) -> Services:
    """Start or reach the database, bring its schema up to date, and wire every service.

    A Supabase project's schema is only checked: `supabase db push` brings it up to date.
    `step_handlers` take the place of the outbox's steps (8 to 13) of the configured services, and
    `addresses` of where those are. `embedded_graph` allows the graph server of our own, which
    starts when it is first needed. Raises EmbeddedPostgresError, DatabaseError, MigrationError,
    SettingsError with a sentence on what to do.
    """
    closers: list[Callable[[], None]] = []
    try:
        server = EmbeddedPostgres(settings.data_dir) if settings.embedded else None
        opened_database, dsn = open_database(settings, server, closers)
        transport = WatchedTransport(opened_database)
        database = DatabaseService(transport)
        closers.append(database.close)
        current = CurrentSettings(settings, database)
        # From here on with the time zone that the utility set.
        settings = current.start()
        providers = open_providers(
            settings,
            transport,
            addresses,
            utility_name=lambda: current().utility_name,
            reply_to=lambda: current().utility_email,
            attachments=Attachments(
                BillArchive(database, current.printed_on, settings.timezone, ChargeNames(database)),
                CreditNoteArchive(database, current.printed_in),
                Receipts(database, current.sender),
                PrintedStatements(database, current.sender),
            ),
        )
        closers.append(providers.close)
        opened = open_graph(settings, embedded=embedded_graph)
        providers = _with_graph(providers, opened, database, closers)
        if step_handlers is not None:
            providers = replace(providers, step_handlers=step_handlers)
        services = wire(
            settings,
            database,
            current=current,
            providers=providers,
            dsn=dsn,
            lease_seconds=lease_seconds,
            closers=tuple(closers),
        )
        services = _with_disk(_with_opened_graph(services, opened))
        services = replace(services, workers=_workers(settings, dsn, services.outbox))
        if isinstance(opened_database, DirectTransport):
            services = replace(services, pool_figures=opened_database.pool_figures)
        return replace(services, revive_database=server.start) if server else services
    except BaseException:
        for close in reversed(closers):
            close()
        raise


def open_services(settings: Settings, *, now: datetime) -> Services:
    """`build_services` with all that is embedded, and with the demo its data and its head-end.

    Raises as `build_services` does, and NotADemoDatabase.
    """
    services = build_services(settings, embedded_graph=True)
    if not settings.demo:
        return services
    try:
        load_demo_if_empty(services, now)
        if services.headend_url is not None:
            return services
        head_end = DemoHeadEnd(services.database, services.settings.timezone)
        head_end.start()
    except BaseException:
        services.close()
        raise
    closers = (*services.closers, head_end.stop)
    return replace(services, headend_url=head_end.url, closers=closers)


def _with_disk(services: Services) -> Services:
    """The services with a look at the room for the data folder and the database in it."""
    settings = services.current_settings.deployed
    watch = DiskWatch((settings.data_dir, settings.data_dir / "postgres"))
    backups: Check = BackupCheck(services.backups, services.database)
    checks = (DiskCheck(watch), backups, *services.checks)
    return replace(services, disk=watch, checks=checks)


def _with_opened_graph(services: Services, opened: OpenedGraph) -> Services:
    """The services with the graph, for pages and for reports of losses."""
    graph = opened.graph
    if graph is None:
        return replace(services, graph=opened)

    def balances(since: date, until: date) -> Sequence[TransformerBalance]:
        return graph.energy_balance(since=since, until=until)

    return replace(services, graph=opened, reports=services.reports.with_balances(balances))


def _with_graph(
    providers: Providers,
    opened: OpenedGraph,
    database: DatabaseService,
    closers: list[Callable[[], None]],
) -> Providers:
    """The providers with step 8, if there is a graph, and its check."""
    checks = (GraphCheck(opened), *providers.checks)
    if opened.graph is None:
        return replace(providers, checks=checks)
    closers.append(opened.graph.close)
    save = RecordedStep(SaveToGraph(opened.graph, database), GraphCheck.name, providers.last_errors)
    steps = {8: save, **providers.step_handlers}
    return replace(providers, checks=checks, step_handlers=steps)


def _workers(settings: Settings, dsn: str | None, outbox: Outbox) -> Workers:
    steps = tuple(outbox.handlers)
    if settings.dask_scheduler is not None:
        build = partial(services_of_cluster_worker, steps)
        return Workers(build, settings.job_workers, settings.dask_scheduler)
    return Workers(partial(services_of_worker, settings, dsn, steps), settings.job_workers)


def services_of_worker(settings: Settings, dsn: str | None, steps: Sequence[int]) -> Services:
    """What a worker process works with: the database, and nothing that leaves it.

    `steps` are those of the outbox that the process which began the worker will perform.
    """
    if dsn is not None:
        opened: Transport = DirectTransport(dsn, pool_size=2)
    else:
        opened, _ = open_database(settings, None, [])
    providers = Providers(step_handlers=dict.fromkeys(steps, _performed_elsewhere))
    return wire(settings, DatabaseService(opened), providers=providers, dsn=dsn)


def services_of_cluster_worker(steps: Sequence[int]) -> Services:
    """As `services_of_worker`, by the settings of the machine that the worker is on."""
    settings = load_settings(os.environ)
    if settings.database_url is None and settings.supabase_url is None:
        raise SettingsError(["DATABASE_URL: needed on each machine of a cluster."])
    dsn = settings.database_url.get_secret_value() if settings.database_url else None
    return services_of_worker(settings, dsn, steps)


def _performed_elsewhere(*, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
    raise NotImplementedError(f"A worker performs no step: {kind} of {bill.id}, {sorted(facts)}.")


def wire(
    settings: Settings,
    database: DatabaseService,
    *,
    current: CurrentSettings | None = None,
    providers: Providers | None = None,
    dsn: str | None = None,
    lease_seconds: int = 60,
    closers: tuple[Callable[[], None], ...] = (),
) -> Services:
    """Every service over a database that is ready; without `providers` nothing leaves it.

    `dsn` is how backups reach it.

    `current` answers what of the settings may change while the process runs.
    """
    providers = providers or Providers()
    current = current or CurrentSettings(settings, database)
    currency = partial(_currency_of, current)
    outbox = Outbox(
        database=database, handlers=dict(providers.step_handlers), lease_seconds=lease_seconds
    )
    delivery = Delivery(database, outbox, message_rates(settings))
    issuer = BillIssuer(
        zone=settings.timezone,
        terms=current.terms,
        outbox=outbox,
        shortest_days=settings.shortest_bill_days,
        without_address=lambda ids: database.agreements_without_address(agreements=ids),
    )
    assessor = ReadingAssessor(issuer=issuer, ai=providers.ai, limit_book=current.limit_book)
    payments = open_payments(settings, database, outbox)
    security_log = SecurityLog(database)
    sessions, hashing = Sessions(database, security_log), PasswordHashing()
    autopay = _autopay(settings, database, outbox, payments, providers.stripe)
    tokens = tokens_for(
        settings,
        user_of_email=lambda email: database.user_to_sign_in(sign_in_name=folded_name(email)),
    )
    sign_in, own_account = _passwords(
        settings,
        database=database,
        tokens=tokens,
        sessions=sessions,
        security_log=security_log,
        hashing=hashing,
    )
    archive = BillArchive(database, current.printed_on, settings.timezone, ChargeNames(database))
    rebilling = Rebilling(
        database=database,
        assessor=assessor,
        issuer=issuer,
        outbox=outbox,
        back_billing_months=settings.back_billing_months,
    )
    refunds = Refunds(database, outbox, settings.timezone, stripe=providers.stripe)
    adjustments = AccountAdjustments(database, outbox, settings.timezone, currency)
    tariff_correction = TariffCorrection(database=database, rebilling=rebilling)
    tariff_publishing = TariffPublishing(database)
    supply = Supply(
        database=database,
        assessor=assessor,
        issuer=issuer,
        outbox=outbox,
        back_billing_months=settings.back_billing_months,
    )
    approvals = Approvals(
        database,
        {
            "refund": refunds.refund_approved,
            "refund_again": refunds.retry_approved,
            "payout": refunds.pay_out_approved,
            "correction": rebilling.execute_approved,
            "credit": adjustments.credit_approved,
            "waiver": adjustments.undo_approved,
            "tariff": tariff_publishing.publish_approved,
            "tariff_correction": tariff_correction.correct_approved,
            "supply": supply.execute_approved,
        },
        refusals=(FiguresChanged, NotAcknowledged),
    )
    review = ReadingReview(database=database, assessor=assessor, outbox=outbox)
    estimates = ReadingEstimates(
        database, assessor, outbox, settings.timezone, lambda: current().estimates_in_a_row
    )
    swapped = SwappedMeters(database, current.limit_book)
    users = Users(database, sessions, security_log, hashing)
    outlooks = DecisionOutlooks(review, estimates, swapped)
    contacts, photos = CustomerContacts(database), MeterPhotos(database)
    reading_to_bill = ReadingToBill(database=database, assessor=assessor, outbox=outbox)
    customer_page = _customer_page(
        settings,
        autopay=autopay,
        stripe=providers.stripe if payments else None,
        database=database,
        current=current,
        security_log=security_log,
        archive=archive,
        direct=providers.direct,
        contacts=contacts,
        reading_to_bill=reading_to_bill,
        photos=photos,
    )
    return Services(
        current_settings=current,
        settings_desk=SettingsDesk(database, current),
        database=database,
        tokens=tokens,
        tickets=SignInTickets(),
        sessions=sessions,
        security_log=security_log,
        api_keys=ApiKeys(database, security_log),
        users=users,
        user_languages=UserLanguages(database, lambda: current().default_language),
        outbox=outbox,
        alert_book=AlertBook(database),
        messages=MessageLookups(database, delivery.per_minute),
        letters=Letters(
            database,
            archive,
            CreditNoteArchive(database, current.printed_in),
            current.sender,
            lambda: current().utility_name,
            settings.timezone,
        ),
        delivery=delivery,
        ai_usage=_ai_usage(settings, database, providers.ai),
        assessor=assessor,
        issuer=issuer,
        reading_to_bill=reading_to_bill,
        readings=ReadingLookups(database, settings.timezone),
        swapped_meters=swapped,
        limits_trial=LimitsTrial(database, current, settings.timezone),
        reading_review=review,
        decision_outlooks=outlooks,
        reading_exceptions=ReadingExceptions(database, review, outlooks, settings.timezone),
        meter_photos=photos,
        reading_round=ReadingRound(database, settings.timezone, current.limit_book),
        reading_estimates=estimates,
        backups=backups_of(settings, dsn),
        schema_version=newest_version(MIGRATIONS),
        bill_archive=archive,
        credit_notes=CreditNotes(database, CreditNoteArchive(database, current.printed_in)),
        bills=BillLookups(database),
        bill_approval=BillApproval(database=database, issuer=issuer, outbox=outbox),
        customers=CustomerLookups(database),
        contacts=contacts,
        customer_page=customer_page,
        notes=CustomerNotes(database),
        timeline=Timeline(database, settings.timezone),
        usage=Usage(database),
        payments=PaymentLookups(database),
        search=Search(database, currency),
        imports=FileImports(database, current, outbox),
        exports=FullExports(
            database, current, settings.data_dir / ("exports-demo" if settings.demo else "exports")
        ),
        books=MonthEnd(database=database, zone=settings.timezone),
        reports=reports_over(database, settings, users),
        lists=OfficeLists(database, archive, currency),
        office_payments=OfficePayments(
            database,
            outbox,
            settings.timezone,
            currency,
            partial(_thank, database, providers.direct),
        ),
        bank_lines=BankLines(database, outbox),
        account_adjustments=adjustments,
        dunning=Dunning(database, settings.timezone),
        dunning_holds=DunningHolds(database, settings.timezone),
        autopay=autopay,
        approvals=approvals,
        passwordless=passwordless_for(settings),
        password_sign_in=sign_in,
        own_account=own_account,
        payment_received=payments,
        twilio_reports=twilio_reports(settings, database),
        twilio_texts=twilio_texts(settings, database),
        whatsapp_reports=whatsapp_reports(settings, database),
        inbox=inbox(settings, database),
        refunds=refunds,
        stripe=StripeLookups(database),
        reconciliation=_reconciliation(settings, database, payments, providers.stripe),
        rebilling=rebilling,
        reading_correction=ReadingCorrection(database, assessor, settings.timezone),
        billing_cycles=BillingCycles(database),
        places=Places(database),
        statements=Statements(
            customer_page.lookups.statements, outbox, providers.direct.sends_mail
        ),
        supply=supply,
        corrections=CorrectionLookups(database),
        tariff_correction=tariff_correction,
        tariff_publishing=tariff_publishing,
        headend_url=settings.meter_headend_url,
        checks=providers.checks,
        last_errors=providers.last_errors,
        closers=closers,
    )


def _thank(database: DatabaseService, direct: DirectMessages, payment: Payment) -> None:
    """Thank a customer who has no bill yet for a payment, on one of their ways."""
    if payment.customer_id is None:
        return
    contact = database.customer_contact(payment.customer_id)
    if contact.opted_out_at is None:
        amount = payment.money(payment.amount_minor)
        language = Language.of(contact.language)
        direct.send(contact, thanks_note(language, amount=amount, on=payment.received_on))


def _currency_of(current: CurrentSettings) -> str:
    """What amounts are in where nothing else says it."""
    return current().currency


def _ai_usage(
    settings: Settings, database: DatabaseService, ai: AiService | None
) -> AiUsage | None:
    """AI's books, where it is configured."""
    return AiUsage(database, ai.asker.budget, settings.timezone) if ai else None


def _reconciliation(
    settings: Settings,
    database: DatabaseService,
    payments: PaymentReceived | None,
    stripe: StripePayments | None,
) -> Reconciliation | None:
    """Looks at Stripe, where it is configured."""
    if payments is None or stripe is None:
        return None
    return Reconciliation(database, payments, StripeReading(stripe.client), settings.timezone)


def tokens_for(settings: Settings, *, user_of_email: UserOf = lambda _: None) -> Tokens:
    """The tokens that people sign in with: the Auth0 tenant's, or our own, which those get too who
    sign in through another provider.

    `user_of_email` finds who was invited. Raises UnableToUseSigningKey.
    """
    if settings.auth0_domain is not None and settings.auth0_audience is not None:
        claim = settings.auth0_roles_claim
        return Auth0Tokens(settings.auth0_domain, settings.auth0_audience, claim)
    own = LocalTokens(load_or_create_signing_key(settings.data_dir))
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return own
    names = {role.value: role for role in Role}
    names |= {name: Role(role) for name, role in (settings.oidc_role_names or {}).items()}
    provider = Provider(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_client_id,
        party=settings.oidc_client_id,
        roles_claim=settings.oidc_roles_claim,
        role_names=names,
    )
    keys = SigningKeys(discovery_address(provider.issuer), issuer=provider.issuer)
    return ExchangedTokens(own, OpenIdTokens(provider, keys, user_of_email=user_of_email))


def _passwords(
    settings: Settings,
    *,
    database: DatabaseService,
    tokens: Tokens,
    sessions: Sessions,
    security_log: SecurityLog,
    hashing: PasswordHashing,
) -> tuple[PasswordSignIn | None, OwnAccount | None]:
    """Sign-in with a password, and what people change of their own; neither with a provider."""
    if settings.openid:
        return None, None
    key = load_or_create_signing_key(settings.data_dir)
    sign_in = PasswordSignIn(
        database, tokens, sessions, security_log, hashing=hashing, signing_key=key
    )
    box = SecretBox(key)
    return sign_in, OwnAccount(database, sessions, security_log, hashing, box, sign_in)


def _autopay(
    settings: Settings,
    database: DatabaseService,
    outbox: Outbox,
    payments: PaymentReceived | None,
    stripe: StripePayments | None,
) -> Autopay:
    """Autopay; without Stripe it charges nothing, and what there was can still be ended."""
    at_stripe = StripeAutopay(stripe.client) if payments and stripe else None
    zone, key = settings.timezone, settings.stripe_secret_key
    sign_up = AutopaySignUp(database, outbox, zone, at_stripe, settings.customer_page_address)
    return Autopay(
        sign_up=sign_up,
        charging=AutopayCharging(
            database,
            outbox,
            zone,
            sign_up,
            at_stripe,
            A_SECOND if key is None else a_second_of(key.get_secret_value()),
        ),
        office=AutopayOffice(database, sign_up),
    )


def _customer_page(
    settings: Settings,
    *,
    autopay: Autopay,
    stripe: StripePayments | None,
    database: DatabaseService,
    current: CurrentSettings,
    security_log: SecurityLog,
    archive: BillArchive,
    direct: DirectMessages,
    contacts: CustomerContacts,
    reading_to_bill: ReadingToBill,
    photos: MeterPhotos,
) -> CustomerPages:
    """Customers' pages of their own. Raises UnableToUseSigningKey."""
    links = CustomerLinks(load_or_create_signing_key(settings.data_dir))
    visits = CustomerVisits(database, links, security_log, settings.public_url)
    return CustomerPages(
        visits=visits,
        codes=CustomerCodes(
            database, visits, links, direct, security_log, lambda: current().utility_name
        ),
        lookups=PageLookups(
            database,
            archive,
            Receipts(database, current.sender),
            SimilarHomes(database),
            CreditNoteArchive(database, current.printed_in),
            PrintedStatements(database, current.sender),
        ),
        actions=PageActions(database, contacts, reading_to_bill, photos, direct, settings.timezone),
        requests=CustomerRequests(database),
        paying=CustomerPaying(
            database,
            autopay.sign_up,
            autopay.charging,
            lambda: current().utility_name,
            lambda: current().currency,
            StripeCheckout(stripe.client) if stripe else None,
        ),
        direct=direct,
        opening=Allowance(60, timedelta(minutes=1)),
        on=settings.customer_page,
        linked=settings.customer_page_address is not None,
    )


def passwordless_for(settings: Settings) -> Passwordless | None:
    """Sign-in by a link from the terminal; None with a provider. Raises UnableToUseSigningKey."""
    if settings.openid:
        return None
    key = load_or_create_signing_key(settings.data_dir)
    return Passwordless(SignInLinks(settings.data_dir), RoleChoices(key))


def _checks_of(services: Services, scheduler: Runs | None) -> Checks:
    """Our own four systems, then those that `services.checks` plugs in."""
    token = services.current_settings.deployed.meter_headend_token
    return Checks(
        (
            DatabaseCheck(services.database),
            SchedulerCheck(scheduler),
            SignInServiceCheck(services.tokens),
            HeadEndCheck(
                services.database,
                services.headend_url,
                token.get_secret_value() if token else None,
            ),
            *services.checks,
        ),
        services.last_errors,
    )


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
    _process.checks = _checks_of(services, scheduler) if services else None


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
