"""The HTTP API: it translates requests into calls of the services, and their answers into JSON.

Runs inside `streamlit_app.py`, or alone: `gunicorn "app:create_app()"`.
"""

import atexit
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from flask import Flask, Response, g, jsonify, request
from flask.json.provider import DefaultJSONProvider

from scheduler import Scheduler
from services.bootstrap import build_services
from services.container import Services
from services.database.errors import DatabaseError
from services.identity.auth import NotAllowed, NotSignedIn, Principal, require
from services.identity.permissions import Permission
from services.languages.language import Language
from services.languages.sentence import sentence_of
from services.operation.figures import Figures
from services.operation.metrics import Metrics
from services.readings.submission import parse_submission
from services.settings import load_settings
from services.web.asgi import SESSION_COOKIE, utc_now
from services.web.body import UnusableBody, read_bytes, read_form, read_json_object
from services.web.callers import address_of, from_this_machine, principal_of
from services.web.errors import Problem, problem_of
from services.web.health import health_of
from services.web.my.routes import CustomerPageRoutes
from services.web.own_page import session_asking, session_changing
from services.web.people.routes import SignInRoutes
from services.web.request_log import log_requests
from services.web.round.routes import RoundRoutes
from services.web.shapes import (
    autopay_json,
    bill_answer_json,
    bill_page_json,
    credit_note_json,
    said_to_a_page,
    scheduler_json,
    submitted_json,
)

ARRIVED_BY = "over HTTP"
DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100

_STATUS = {"billed": 201, "needs_review": 202, "stored": 202, "replay": 200}
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_MESSAGES_MISSING = Problem(503, "messages_not_configured", "This channel is not configured.")
_PAYMENTS_MISSING = Problem(503, "payments_not_configured", "Payments are not configured.")


def create_app(
    services: Services | None = None,
    scheduler: Scheduler | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """The API over `services`, or over services of its own, from the environment.

    `scheduler` is the one of this process; without one the jobs are shown as not running here.
    `clock` gives the present in UTC.
    Raises what `load_settings` and `build_services` raise.
    """
    if services is None:
        services = build_services(load_settings())
        atexit.register(services.close)
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # A redirect would be a page of HTML, and would lose the body of a POST.
    app.url_map.merge_slashes = False
    app.json = _JsonInOurOrder(app)
    log_requests(app)
    scheduler = scheduler or Scheduler(services)
    figures = Metrics(services, Figures(services), lambda: scheduler.running)
    api = _Api(services, scheduler, clock, figures)
    _add_endpoints(app, api)
    app.register_error_handler(Exception, api.answer_error)
    app.after_request(_with_security_headers)
    return app


class _JsonInOurOrder(DefaultJSONProvider):
    """Fields come in the order in which they were written."""

    sort_keys = False


def _add_endpoints(app: Flask, api: "_Api") -> None:
    app.before_request(api.refuse_strangers)
    app.add_url_rule("/webhook/meter-reading", view_func=api.submit_reading, methods=["POST"])
    app.add_url_rule("/webhook/stripe", view_func=api.receive_payment, methods=["POST"])
    app.add_url_rule("/webhook/twilio", view_func=api.take_twilio_report, methods=["POST"])
    app.add_url_rule("/webhook/twilio/incoming", view_func=api.take_text, methods=["POST"])
    app.add_url_rule("/webhook/whatsapp", view_func=api.take_whatsapp_report, methods=["POST"])
    app.add_url_rule("/webhook/whatsapp", view_func=api.prove_webhook, methods=["GET"])
    app.add_url_rule("/api/bills/<bill_id>", view_func=api.bill)
    # A path, because account numbers may hold a slash.
    app.add_url_rule("/api/bills/customer/<path:customer>", view_func=api.bills_of_customer)
    app.add_url_rule("/api/credit-notes", view_func=api.credit_notes)
    app.add_url_rule("/api/credit-notes/<credit_note_id>/pdf", view_func=api.credit_note_pdf)
    app.add_url_rule("/api/autopay/<path:customer>", view_func=api.autopay)
    app.add_url_rule("/api/scheduler/status", view_func=api.scheduler_status)
    app.add_url_rule("/api/health", view_func=api.health)
    app.add_url_rule("/api/metrics", view_func=api.metrics)
    CustomerPageRoutes(api.services, api.clock).add_to(app)
    SignInRoutes(api.services, api.clock).add_to(app)
    RoundRoutes(api.services, api.clock, api.whose_page).add_to(app)


@dataclass(frozen=True)
class _Api:
    services: Services
    scheduler: Scheduler
    clock: Callable[[], datetime]
    figures: Metrics

    def refuse_strangers(self) -> None:
        """Unless it is set to be reached from elsewhere, only this machine is answered."""
        services = self.services
        for_others = services.https is not None or services.settings.openid
        if not for_others and not from_this_machine(address_of(request)):
            raise NotAllowed("This system is set to answer only to the machine it runs on.")

    def submit_reading(self) -> tuple[Response, int]:
        """POST /webhook/meter-reading."""
        now = self.clock()
        asking = self.whose_page(now)
        principal = require(asking, Permission.SUBMIT_READINGS, scope="submit_readings")
        body = read_json_object(request)
        try:
            submission = parse_submission(body, zone=self.services.settings.timezone, now=now)
            submitted = self.services.reading_to_bill.submit(
                submission=submission, principal=principal, now=now, arrived_by=ARRIVED_BY
            )
        except Exception as error:
            # A page of our own is the round: on the phone nobody else would see it.
            if not _showed_something():
                self.services.reading_round.note_refused(
                    body=body, error=error, principal=principal
                )
            raise
        answer = submitted_json(submitted)
        if language := self._language_of_page():
            answer = said_to_a_page(answer, language)
        return jsonify(answer), _STATUS[submitted.outcome]

    def receive_payment(self) -> Response:
        """POST /webhook/stripe."""
        if self.services.payment_received is None:
            return _answer_problem(_PAYMENTS_MISSING)
        self.services.payment_received.receive(
            payload=read_bytes(request),
            signature=request.headers.get("Stripe-Signature"),
            now=self.clock(),
        )
        return jsonify({"received": True})

    def take_twilio_report(self) -> Response:
        """POST /webhook/twilio?id=<message>."""
        if self.services.twilio_reports is None:
            return _answer_problem(_MESSAGES_MISSING)
        self.services.twilio_reports.take(
            notification_id=request.args.get("id", ""),
            form=read_form(request),
            signature=request.headers.get("X-Twilio-Signature"),
        )
        return Response(status=204)

    def take_text(self) -> Response:
        """POST /webhook/twilio/incoming: a text to our number, answered with none."""
        if self.services.twilio_texts is None:
            return _answer_problem(_MESSAGES_MISSING)
        self.services.twilio_texts.take(
            form=read_form(request), signature=request.headers.get("X-Twilio-Signature")
        )
        return Response("<Response/>", content_type="text/xml; charset=utf-8")

    def take_whatsapp_report(self) -> Response:
        """POST /webhook/whatsapp."""
        if self.services.whatsapp_reports is None:
            return _answer_problem(_MESSAGES_MISSING)
        self.services.whatsapp_reports.take(
            payload=read_bytes(request), signature=request.headers.get("X-Hub-Signature-256")
        )
        return jsonify({"received": True})

    def prove_webhook(self) -> Response:
        """GET /webhook/whatsapp, by which WhatsApp asks whether the webhook is ours."""
        if self.services.whatsapp_reports is None:
            return _answer_problem(_MESSAGES_MISSING)
        answer = self.services.whatsapp_reports.challenge(
            mode=request.args.get("hub.mode", ""),
            token=request.args.get("hub.verify_token", ""),
            challenge=request.args.get("hub.challenge", ""),
        )
        return Response(answer[:200], content_type="text/plain; charset=utf-8")

    def bill(self, bill_id: str) -> Response:
        """GET /api/bills/<id>."""
        principal = self._principal(self.clock())
        bill = self.services.bills.readable(bill_id=bill_id, principal=principal)
        as_of = self.services.database.overdue_as_of()
        return jsonify(bill_answer_json(bill, overdue_as_of=as_of))

    def bills_of_customer(self, customer: str) -> Response:
        """GET /api/bills/customer/<id or account number>?limit&after."""
        bills, after = self.services.bills.of_customer(
            principal=self._principal(self.clock()),
            customer=customer,
            limit=_limit(),
            after=request.args.get("after"),
        )
        as_of = self.services.database.overdue_as_of()
        return jsonify(bill_page_json(bills, after=after, overdue_as_of=as_of))

    def credit_notes(self) -> Response:
        """GET /api/credit-notes?limit&after: the last number first."""
        text = request.args.get("after")
        if text is not None and not re.fullmatch(r"[0-9]{1,18}", text):
            raise UnusableBody("after must be the `next` of the page before.")
        found, after = self.services.credit_notes.page(
            principal=self._principal(self.clock()),
            limit=_limit(),
            after=int(text) if text is not None else None,
        )
        following = None if after is None else str(after)
        return jsonify({"credit_notes": list(map(credit_note_json, found)), "next": following})

    def credit_note_pdf(self, credit_note_id: str) -> Response:
        """GET /api/credit-notes/<id>/pdf."""
        content = self.services.credit_notes.pdf(
            credit_note_id=credit_note_id, principal=self._principal(self.clock())
        )
        return Response(content, mimetype="application/pdf")

    def autopay(self, customer: str) -> Response:
        """GET /api/autopay/<id or account number>: how a customer's autopay stands."""
        found = self.services.autopay.office.of_customer(
            customer_id=customer, principal=self._principal(self.clock())
        )
        return jsonify(autopay_json(found))

    def scheduler_status(self) -> Response:
        """GET /api/scheduler/status."""
        now = self.clock()
        require(self._principal(now))
        return jsonify(scheduler_json(self.scheduler.status(now)))

    def metrics(self) -> Response:
        """GET /api/metrics, for Prometheus."""
        now = self.clock()
        require(self._principal(now), Permission.VIEW_SYSTEM, scope="read_metrics")
        accept = request.headers.get("Accept", "")
        text, content_type = self.figures.exposition(accept=accept, now=now)
        return Response(text, content_type=content_type)

    def health(self) -> tuple[Response, int]:
        """GET /api/health."""
        health, serves = health_of(
            self.services,
            now=self.clock(),
            scheduler_running=self.scheduler.running,
            jobs_held=self.scheduler.doubt is not None,
        )
        return jsonify(health), 200 if serves else 503

    def answer_error(self, error: Exception) -> Response:
        """A failure as JSON; a refusal goes to the security log."""
        who = g.principal.user if "principal" in g else ""
        address, detail = address_of(request), f"{request.path}: {error}"
        if isinstance(error, NotAllowed):
            self.services.security_log.note("denied", who=who, address=address, detail=detail)
        elif isinstance(error, NotSignedIn) and _showed_something():
            self.services.security_log.note("refused", who=who, address=address, detail=detail)
        return _answer_problem(self._in_language(problem_of(error), error))

    def _in_language(self, problem: Problem, error: Exception) -> Problem:
        """What went wrong in the language of whoever sees a page of our own; else in English."""
        language = self._language_of_page()
        if language is None:
            return problem
        said = sentence_of(error) if problem.message == str(error) else problem.message
        return replace(problem, message=language.say(said))

    def _language_of_page(self) -> Language | None:
        """That of the user of a page of our own; None for programs, which get English."""
        if _showed_something() or SESSION_COOKIE not in request.cookies:
            return None
        languages = self.services.user_languages
        header = request.headers.get("Accept-Language", "")
        try:
            return languages.of(g.get("principal"), accept_language=header)
        except DatabaseError:
            return languages.of_browser(header)

    def whose_page(self, now: datetime) -> Principal:
        """Who asks, also by the session of a page of our own."""
        if _showed_something():
            return self._principal(now)
        proven = session_asking if request.method == "GET" else session_changing
        return self._principal(now, session=proven(request))

    def _principal(self, now: datetime, *, session: str | None = None) -> Principal:
        g.principal = principal = principal_of(
            self.services,
            authorization=request.headers.get("Authorization"),
            api_key=request.headers.get("X-API-Key"),
            session=session,
            now=now,
            address=address_of(request),
        )
        return principal


def _showed_something() -> bool:
    """Whether a request came with a token or a key, good or not."""
    return "Authorization" in request.headers or "X-API-Key" in request.headers


def _limit() -> int:
    text = request.args.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= LARGEST_LIMIT:
        raise UnusableBody(f"limit must be a whole number from 1 to {LARGEST_LIMIT}.")
    return int(text)


def _answer_problem(problem: Problem) -> Response:
    answer = jsonify(problem.body)
    answer.status_code = problem.status
    answer.headers.update(problem.headers)
    return answer


def _with_security_headers(answer: Response) -> Response:
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer
