"""The one process: pages, HTTP API and scheduler, started together and stopped together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.config import get_where_defined

from app import create_app
from scheduler import Scheduler
from services.bootstrap import open_services, run_with, running
from services.container import Services
from services.database.embedded import EmbeddedPostgresError
from services.database.embedded.locks import (
    AppLock,
    DataFolderInUse,
    FileLocksUnavailable,
    claim_app,
)
from services.database.schema.migrations import MigrationError
from services.database.schema.roles import UnableToPrepareRoles
from services.database.transport import DatabaseError
from services.demo import NotADemoDatabase
from services.graph import GraphFilling
from services.identity.auth import Principal, SignInTickets
from services.identity.login_secrets import sign_in_secrets
from services.identity.passwordless import UnableToKeepLinks
from services.identity.signing_key import UnableToUseSigningKey, load_or_create_signing_key
from services.people.sign_in import STRANGERS_AT_ONCE
from services.reports.definitions import Asked
from services.settings import Settings, SettingsError, load_settings
from services.telemetry.journal import start_logging, take_in_other_logs
from services.web.as_set import reach_as_set
from services.web.asgi import LoopbackOnly, session_routes, utc_now
from services.web.certificate import CertificateFiles
from services.web.connections import ConnectionLimits, raise_file_limit
from services.web.export_route import export_route
from services.web.link_route import link_route, show_link, tell_where_to_sign_in
from services.web.listening import Reach, RefusedToListen
from services.web.nowhere import Nowhere
from services.web.page_guard import PageGuard
from services.web.public_guard import PublicGuard
from services.web.reach_check import ReachCheck
from services.web.report_route import report_route
from services.web.sign_in import AroundSignIn
from services.web.uploads import UploadGuard
from services.web.wsgi_mount import HealthMount, WsgiMount

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

API_WORKERS = 12
# Stripe's events have workers of their own, so that slow readings cannot starve them.
STRIPE_WORKERS = 4
# Customers' pages are many and small; a photo of a meter may be large and come slowly.
CUSTOMER_WORKERS = 8
LARGEST_PHOTO_FORM = 11 * 1024 * 1024
MOST_PHOTOS_ARRIVING = 12
# Of each message come up to three reports; they keep back neither payments nor readings.
REPORT_WORKERS = 2
# Guesses wait some time each, at most half of these at once: they keep nobody else waiting.
SIGN_IN_WORKERS = 2 * STRANGERS_AT_ONCE


class UnableToUseDataFolder(Exception):
    """The folder for all that the system keeps cannot be made or written."""


# What can keep the system from starting, each with a sentence on what to do.
REFUSALS = (
    DatabaseError,
    DataFolderInUse,
    EmbeddedPostgresError,
    FileLocksUnavailable,
    MigrationError,
    NotADemoDatabase,
    SettingsError,
    UnableToKeepLinks,
    UnableToPrepareRoles,
    UnableToUseDataFolder,
    UnableToUseSigningKey,
)


class Process:
    """What this process starts, undone in reverse order: the scheduler ends first."""

    def __init__(
        self, settings: Settings, reach: Reach, certificate: CertificateFiles | None
    ) -> None:
        self.settings = settings
        self.reach = reach
        self.certificate = certificate
        # Made here because the routes that redeem tickets exist before the services do.
        self.tickets = SignInTickets()
        self.refusal: str | None = None
        self._api: WSGIApplication | None = None
        self._undo = ExitStack()

    def start(self) -> None:
        """Start everything, or nothing; raises one of REFUSALS."""
        log.info("The system starts: %s", self.settings.in_words, extra={"every": True})
        self._log_reach()
        with ExitStack() as undo:
            undo.callback(log.info, "The system has stopped", extra={"every": True})
            if self.settings.embedded:
                undo.enter_context(self._claim_data_folder())
            undo.callback(run_with, None)
            services = self._build(undo)
            self._fill_graph(services, undo)
            scheduler = Scheduler(services)
            undo.callback(scheduler.stop)
            scheduler.start()
            run_with(services, scheduler)
            self._api = create_app(services, scheduler)
            _show_sign_in_link(services)
            self._undo = undo.pop_all()
            log.info("The system is ready", extra={"every": True})

    def stop(self) -> None:
        """Stop everything that was started."""
        self._api = None
        self._undo.close()

    def _build(self, undo: ExitStack) -> Services:
        services = open_services(self.settings, now=utc_now())
        reach_check = ReachCheck(
            self.reach,
            self.settings.public_url,
            self.settings.trusted_proxy,
            self.certificate,
            utc_now,
        )
        services = replace(
            services,
            tickets=self.tickets,
            https=self.reach.https,
            checks=(reach_check, *services.checks),
        )
        undo.callback(services.close)
        return services

    def _log_reach(self) -> None:
        if self.reach.beyond:
            log.info("It is reached with HTTPS by the %s", self.reach.https, extra={"every": True})
        if self.certificate is not None:
            validity, now = self.certificate.validity(), utc_now()
            level = logging.INFO if validity.is_safe(now=now) else logging.WARNING
            log.log(level, validity.sentence(now=now), extra={"every": True})

    @staticmethod
    def _fill_graph(services: Services, undo: ExitStack) -> None:
        """Start the graph, and fill it if it is empty, while everything else goes on."""
        if services.graph.graph is not None:
            filling = GraphFilling(services.graph.graph, services.database)
            filling.start()
            undo.callback(filling.stop)

    def _claim_data_folder(self) -> AppLock:
        try:
            return claim_app(self.settings.data_dir)
        except OSError as error:
            raise UnableToUseDataFolder(
                f"The data folder {self.settings.data_dir} cannot be used: {error.strerror}. "
                "Set DATA_DIR to a folder that you may write to."
            ) from error

    def api(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """The HTTP API, which exists only while the process runs."""
        if self._api is not None:
            return self._api(environ, start_response)
        headers = [("Content-Type", "application/json"), ("Retry-After", "5")]
        start_response("503 Service Unavailable", headers)
        return [b'{"error":{"code":"try_again","message":"The system is starting or stopping."}}']


def _show_sign_in_link(services: Services) -> None:
    """Print how to sign in without a password, where no Auth0 is set."""
    if services.passwordless is None:
        return
    links = services.passwordless.links
    public = services.https is not None
    links.note_address(services.settings.public_url if public else _own_address())
    if not services.links_are_of_use():
        tell_where_to_sign_in(links.address())
        return
    headless = public or _headless_was_asked_for()
    show_link(lambda: links.make(utc_now()), headless=headless)


def _own_address() -> str:
    """The address under which a browser on this machine finds the app, without a slash."""
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    name, port = st.get_option("browser.serverAddress"), st.get_option("server.port")
    path = str(st.get_option("server.baseUrlPath")).strip("/")
    return f"{scheme}://{name}:{port}{f'/{path}' if path else ''}"


def _headless_was_asked_for() -> bool:
    """Whether the start's own words are headless: the project's file always says so."""
    where = get_where_defined("server.headless")
    return bool(st.get_option("server.headless")) and "environment" in where


class TellRefusals:
    """ASGI middleware: a refusal to start is shown as its sentence, without a traceback."""

    def __init__(self, app: ASGIApp, process: Process) -> None:
        self._app = app
        self._process = process

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; only the message of a failed start is replaced."""

        async def tell(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._process.refusal:
                message = {"type": message["type"], "message": self._process.refusal}
            await send(message)

        await self._app(scope, receive, tell if scope["type"] == "lifespan" else send)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Start before the first visitor, and stop after the last answer."""
    # Beyond this machine PublicGuard alone decides whom a proxy may name.
    limits = ConnectionLimits(
        files=raise_file_limit(),
        proxies=(process.settings.trusted_proxy or "") if process.reach.beyond else None,
    )
    # The server set up its own log after this file was read.
    take_in_other_logs()
    try:
        await asyncio.to_thread(process.start)
    except REFUSALS as refusal:
        what = "The database cannot be used: " if isinstance(refusal, DatabaseError) else ""
        process.refusal = f"{what}{refusal}"
        raise
    try:
        async with limits.watch():
            yield
    finally:
        await asyncio.to_thread(process.stop)


def process_or_exit() -> Process:
    """This process, when it may listen as it is set; else its end, with the reason."""
    try:
        settings = load_settings()
        reach, certificate = reach_as_set(settings)
    except (SettingsError, RefusedToListen) as refusal:
        raise SystemExit(str(refusal)) from None
    return Process(settings, reach, certificate)


def logging_or_exit(settings: Settings) -> None:
    """Begin the log as it is set, or end with the reason."""
    try:
        start_logging(
            level=settings.log_level or "INFO",
            file=settings.log_file,
            file_bytes=settings.log_file_mb * 1_000_000,
            files_kept=settings.log_files_kept,
            secrets=settings.secrets,
        )
    except OSError as error:
        raise SystemExit(f"LOG_FILE cannot be written: {error.strerror}.") from None


def secrets_or_exit(settings: Settings) -> dict[str, Any]:
    """The secrets of `st.login`, from the environment; none without a provider."""
    if not settings.openid:
        return {}
    try:
        return sign_in_secrets(settings, load_or_create_signing_key(settings.data_dir))
    except UnableToUseSigningKey as refusal:
        raise SystemExit(str(refusal)) from None


def verify(token: str, now: datetime) -> Principal:
    """Whom a token stands for at `now`; raises NotSignedIn."""
    return running().who(token, now)


def sign_out(token: object, right: object, now: datetime, *, address: str = "") -> str | None:
    """End a browser's sign-in; its new right to choose a role, if it had one."""
    return running().sign_out(token, right, now, address=address)


def redeem_link(code: str, now: datetime) -> str | None:
    """What a browser may keep for a link's code: the right to choose a role, or None."""
    services = running()
    right = None
    if services.passwordless and services.links_are_of_use():
        right = services.passwordless.redeem(code, now)
    if right is None:
        services.security_log.note("link_refused")
    return right


def export_path(name: str, *, principal: Principal) -> Path | None:
    """Where a full export lies; raises NotAllowed for who is no administrator."""
    return running().exports.path_of(name, principal=principal)


def write_report(
    path: Path, *, name: str, asked: Asked, principal: Principal, accept_language: str
) -> None:
    """Write a report to a path as a workbook; raises NotAllowed, UnknownReport, StillWorkingOut."""
    reports = running().reports
    language = running().user_languages.of(principal, accept_language=accept_language)
    with path.open("wb") as out:
        reports.write_xlsx(out, reports.file(name), asked, principal=principal, language=language)


def report_pieces(
    *, name: str, asked: Asked, principal: Principal, accept_language: str
) -> Iterator[bytes]:
    """A report as CSV in pieces; raises NotAllowed, UnknownReport, StillWorkingOut."""
    reports = running().reports
    language = running().user_languages.of(principal, accept_language=accept_language)
    return reports.csv(reports.file(name), asked, principal=principal, language=language)


def upload_token(visit: str) -> str | None:
    """The token under which a visit may upload a file, if a page offered that to it."""
    return running().uploads.token_of(visit)


def public_guard(of: Process) -> list[Middleware]:
    """What stands before everything where others than this machine get in."""
    if not of.reach.beyond:
        return []
    guard = Middleware(
        PublicGuard,
        public_url=of.settings.public_url,
        proxies=of.settings.trusted_proxy,
        certificate=of.certificate is not None,
    )
    return [guard]


def sign_in_guard(of: Process) -> list[Middleware]:
    """What belongs to the way of signing in."""
    if of.settings.openid:
        return [Middleware(AroundSignIn, public_url=of.settings.public_url)]
    return [] if of.reach.beyond else [Middleware(LoopbackOnly)]


process = process_or_exit()
logging_or_exit(process.settings)
api = WsgiMount(process.api, workers=API_WORKERS)
payments = WsgiMount(process.api, workers=STRIPE_WORKERS)
message_reports = WsgiMount(process.api, workers=REPORT_WORKERS)
sign_ins = WsgiMount(process.api, workers=SIGN_IN_WORKERS)
customers = WsgiMount(
    process.api,
    workers=CUSTOMER_WORKERS,
    largest_body=LARGEST_PHOTO_FORM,
    body_seconds=100.0,
    most_large=MOST_PHOTOS_ARRIVING,
    most_large_per_address=3,
)

app = st.App(
    "pages/main.py",
    lifespan=lifespan,
    secrets=secrets_or_exit(process.settings),
    routes=[
        # A Mount would take only what lies below its path.
        Route("/webhook/stripe", payments),
        Route("/webhook/twilio", message_reports),
        Route("/webhook/twilio/incoming", message_reports),
        Route("/webhook/whatsapp", message_reports),
        Route("/webhook", api),
        Mount("/webhook", api),
        Route("/api/health", HealthMount(process.api)),
        Route("/sign-in", sign_ins),
        Mount("/sign-in", sign_ins),
        Route("/round", api),
        Mount("/round", api),
        Route("/my", customers),
        Mount("/my", customers),
        Route("/api", api),
        Mount("/api", api),
        *session_routes(process.tickets, verify, utc_now, sign_out),
        link_route(redeem=redeem_link, now=utc_now),
        export_route(verify=verify, now=utc_now, path_of=export_path),
        report_route(verify=verify, now=utc_now, write=write_report, pieces=report_pieces),
    ],
    middleware=[
        Middleware(TellRefusals, process=process),
        *public_guard(process),
        Middleware(
            PageGuard,
            public_url=process.settings.public_url,
            tls=process.certificate is not None,
            beyond=process.reach.beyond,
        ),
        Middleware(Nowhere),
        *sign_in_guard(process),
        Middleware(UploadGuard, token_of=upload_token, verify=verify, now=utc_now),
    ],
)
