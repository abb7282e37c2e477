"""What all pages of a customer have in common: who visits, how they are drawn, what fails."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from urllib.parse import quote

from flask import Flask, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from services.container import Services
from services.customer_page.allowances import TooMany
from services.customer_page.codes import From
from services.customer_page.visits import CodeWanted
from services.database.errors import DatabaseError, NotFound
from services.languages.catalogues import OFFERED
from services.languages.language import Language, wanted
from services.languages.sentence import N_, sentence, sentence_of
from services.people.customer_links import PATH
from services.people.hashing import TooBusyToVerify
from services.people.limits import TooManyTries
from services.quantities.period import local_date
from services.records.customers.pages import Visit
from services.telemetry import context
from services.web.callers import address_of, origin_of
from services.web.my import browser
from services.web.my.rendering import NOTHING, Said, html

log = logging.getLogger(__name__)

View = Callable[..., Response]
SIGN_IN: Final = f"{PATH}/sign-in"
CONFIRM: Final = f"{PATH}/confirm"
STRANGE: Final = Said(N_("This did not come from a page of this site. Try again here."), 403)
_AWAY: Final = Said(N_("The page cannot be reached just now. Try again in a minute."), 503, 10)
_TOO_LARGE: Final = Said(N_("That is more than can be sent here. Go back and send less."), 413)
NOT_THERE: Final = Said(N_("There is nothing at this address."), 404)
# A form without a photo is small.
_LARGEST_FORM: Final = 64 * 1024
_LONGEST_PATH: Final = 200


class StrangeForm(Exception):
    """A form that no page of ours sent."""


class SignInWanted(Exception):
    """Nobody is let in in this browser, or their time is over."""


@dataclass(frozen=True)
class Site:
    """Draws pages and knows who visits; `clock` gives the present in UTC."""

    services: Services
    clock: Callable[[], datetime]

    def add(self, app: Flask, path: str, view: View, *, method: str = "GET") -> None:
        """An address below /my, always answered with a page."""
        app.add_url_rule(
            path, endpoint=f"{method} {path}", view_func=self._answering(view), methods=[method]
        )

    @property
    def today(self) -> date:
        """The utility's local date."""
        return local_date(self.clock(), self.services.settings.timezone)

    def found_visit(self) -> Visit | None:
        """Who visits, if anybody does; looked up once a request."""
        if "my_visit" not in g:
            token = request.cookies.get(browser.SESSION, "")
            visits = self.services.customer_page.visits
            g.my_visit = visits.find(token, self.clock()) if token else None
            if g.my_visit is not None:
                context.bind(actor=g.my_visit.actor)
        visit: Visit | None = g.my_visit
        return visit

    def visit(self) -> Visit:
        """Who visits; raises SignInWanted."""
        visit = self.found_visit()
        if visit is None:
            raise SignInWanted
        return visit

    def place(self) -> From:
        """Where a request comes from, for limits."""
        return From(origin_of(address_of(request)), request.cookies.get(browser.DEVICE, ""))

    def language(self) -> Language:
        """As chosen in this browser, else the customer's, the browser's, or the utility's."""
        chosen = g.get("my_language") or request.cookies.get(browser.LANGUAGE, "")
        if chosen in OFFERED:
            return Language.of(chosen)
        visit: Visit | None = g.get("my_visit")
        if visit is not None:
            return Language.of(visit.language)
        header = request.headers.get("Accept-Language", "")
        return wanted(header, otherwise=self.services.settings.default_language)

    def speak(self, tag: str) -> None:
        """Answer this request in a language that was chosen just now."""
        g.my_language = tag

    def page(self, template: str, title: str, said: Said = NOTHING, **values: object) -> Response:
        """A page for whoever visits, in their language."""
        settings, cookies = self.services.settings, dict[str, str]()
        language = self.language()
        answer = html(
            template,
            language,
            said=said,
            title=language.say(title),
            languages=[Language.of(tag) for tag in OFFERED],
            back=_shown_now(),
            utility=settings.utility_name,
            contact=(settings.utility_phone, settings.utility_email),
            visit=g.get("my_visit"),
            zone=settings.timezone,
            today=self.today,
            path=request.path,
            pays_here=self.services.customer_page.paying.here,
            token=browser.form_token(request, cookies),
            **values,
        )
        for name, value in cookies.items():
            browser.keep(answer, request, name, value, None)
        return answer

    def _answering(self, view: View) -> View:
        """A view that always answers with a page, whatever goes wrong."""

        def answer(**parts: str) -> Response:
            if not self.services.customer_page.on:
                return Response(status=404)
            try:
                if request.method == "POST":
                    self._check_form()
                return view(**parts)
            except SignInWanted:
                return to(SIGN_IN)
            except CodeWanted:
                back = request.path if request.method == "GET" else PATH
                return to(f"{CONFIRM}?next={quote(back)}")
            except Exception as error:
                return self._refusal(error)

        return answer

    @staticmethod
    def _check_form() -> None:
        # A form with a photo is as large as the server lets in.
        if request.mimetype != "multipart/form-data":
            request.max_content_length = _LARGEST_FORM
        if not browser.is_our_form(request):
            raise StrangeForm

    def _refusal(self, error: Exception) -> Response:
        if isinstance(error, StrangeForm):
            self.services.security_log.note(
                "denied",
                address=address_of(request),
                detail=sentence("{path}: a strange form", path=request.path),
            )
            return self.page("message.html", N_("Try again"), STRANGE)
        if isinstance(error, NotFound):
            return self.page("message.html", N_("Not found"), NOT_THERE)
        if isinstance(error, TooMany | TooManyTries | TooBusyToVerify):
            return self.page("message.html", N_("Wait a little"), refused(error))
        if isinstance(error, RequestEntityTooLarge):
            return self.page("message.html", N_("Too large"), _TOO_LARGE)
        if isinstance(error, DatabaseError):
            log.warning("a customer's page could not be served (%s)", error.code)
        else:
            log.error("a customer's page failed unexpectedly", exc_info=error)
        return self.page("message.html", N_("Try again"), _AWAY)


def refused(error: Exception) -> Said:
    """Why something is not done, as it is shown."""
    why = sentence_of(error)
    if isinstance(error, TooManyTries):
        return Said(why, 429, math.ceil(error.wait.total_seconds()))
    if isinstance(error, TooMany):
        return Said(why, 429, 3600)
    if isinstance(error, TooBusyToVerify):
        return Said(why, 503, 10)
    return Said(why, 422)


def to(path: str) -> Response:
    """Go on to a page of this site."""
    answer = Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.autocorrect_location_header = False
    return answer


def next_path() -> str:
    """The page of ours that somebody wanted before they were asked for a code."""
    path = request.values.get("next", "")
    good = path == PATH or path.startswith(f"{PATH}/")
    # Browsers take %2e%2e for two dots too.
    strange = any(part in path for part in ("\\", "..", "%"))
    plain = path.isascii() and path.isprintable() and not strange
    return path if good and plain and len(path) < _LONGEST_PATH else PATH


def _shown_now() -> str:
    """Where a browser that chooses another language goes on: what it looks at, or its account."""
    # What answers a form has an address that may show nothing by itself.
    path = request.full_path.removesuffix("?") if request.method == "GET" else PATH
    return path if len(path) < _LONGEST_PATH else PATH
