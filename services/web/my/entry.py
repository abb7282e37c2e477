"""How a customer comes in and goes: a link, a number and a code, a code for more, the end."""

from dataclasses import dataclass
from typing import Final

from flask import Flask, Response, g, request

from services.customer_page.codes import CodeRefused, NoWayToCustomer
from services.customer_page.pages import CustomerPages
from services.customer_page.visits import VISIT_BY_CODE, VISIT_BY_LINK, Opened
from services.languages.catalogues import OFFERED
from services.languages.sentence import N_, sentence_of
from services.messages.direct import WAY_WORDS
from services.people.customer_links import OPEN_PATH, PATH, LinkNotGood
from services.people.limits import TooManyTries
from services.records.customers.pages import Visit
from services.web.callers import address_of, origin_of
from services.web.my import browser
from services.web.my.rendering import NOTHING, Said
from services.web.my.site import CONFIRM, SIGN_IN, Site, next_path, refused, to

_CODE: Final = f"{PATH}/code"
_SIGN_OUT: Final = f"{PATH}/sign-out"
_END_ALL: Final = f"{PATH}/end-links"
_LANGUAGE: Final = f"{PATH}/language"
_NO_WAY: Final = Said(
    N_(
        "We know no e-mail address and no phone number of yours that a code could go to. Call or "
        "visit us, and we put that right."
    ),
    409,
)
_COMES_BACK: Final = Said(
    N_(
        "Messages to the address or the number that we know of you do not arrive, so no code can "
        "go there. Call or visit us, and we put that right."
    ),
    409,
)


@dataclass(frozen=True)
class EntryRoutes:
    """The forms by which browsers are let in, and let out."""

    site: Site

    def add_to(self, app: Flask) -> None:
        """Add the addresses to the app."""
        add = self.site.add
        add(app, OPEN_PATH, self.show_link)
        add(app, OPEN_PATH, self.open_link, method="POST")
        add(app, SIGN_IN, self.show_sign_in)
        add(app, SIGN_IN, self.ask_code, method="POST")
        add(app, _CODE, self.enter_code, method="POST")
        add(app, CONFIRM, self.show_confirm)
        add(app, CONFIRM, self.confirm, method="POST")
        add(app, f"{CONFIRM}/send", self.send_code, method="POST")
        add(app, _SIGN_OUT, self.sign_out, method="POST")
        add(app, _END_ALL, self.show_end_all)
        add(app, _END_ALL, self.end_all, method="POST")
        add(app, _LANGUAGE, self.choose_language, method="POST")

    def show_link(self) -> Response:
        """GET /my/open?k: a button. Programs that look at links in mail open nothing by it."""
        text = request.args.get("k", "")
        try:
            self._pages.opening.use(origin_of(address_of(request)), self.site.clock())
            self._pages.visits.check_link(text, self.site.clock())
        except LinkNotGood as error:
            return self._not_good(error)
        return self.site.page("open.html", N_("Your electricity account"), link=text)

    def open_link(self) -> Response:
        """POST /my/open {k}."""
        now, address = self.site.clock(), address_of(request)
        self._pages.opening.use(origin_of(address), now)
        text = request.form.get("k", "")
        try:
            opened = self._pages.visits.open_by_link(text, address=address, now=now)
        except LinkNotGood as error:
            return self._not_good(error)
        before = self.site.found_visit()
        if before is not None and before.confirmed:
            self._pages.visits.sign_out(opened.visit, now)
            if before.customer_id == opened.visit.customer_id:
                # A browser that showed a code stays what it is.
                return to(PATH)
            return self._other_customer(text)
        answer = to(PATH)
        browser.keep_visit(answer, request, opened.token, VISIT_BY_LINK)
        return answer

    def show_sign_in(self) -> Response:
        """GET /my/sign-in: the account number."""
        if self.site.found_visit() is not None:
            return to(PATH)
        return self._sign_in()

    def ask_code(self) -> Response:
        """POST /my/sign-in {account}: the same answer, whether there is such an account."""
        number = request.form.get("account", "")
        if not number.strip():
            return self._sign_in(Said(N_("Type your account number."), 422))
        try:
            self._pages.codes.ask(number, place=self.site.place(), now=self.site.clock())
        except TooManyTries as error:
            return self._code(number, refused(error))
        return self._code(number)

    def enter_code(self) -> Response:
        """POST /my/code {account, code}."""
        number = request.form.get("account", "")
        try:
            opened = self._pages.codes.enter(
                number,
                request.form.get("code", ""),
                place=self.site.place(),
                now=self.site.clock(),
            )
        except (CodeRefused, TooManyTries) as error:
            return self._code(number, refused(error))
        return self._let_in(opened)

    def show_confirm(self, said: Said = NOTHING, *, sent: bool = False) -> Response:
        """GET /my/confirm?next: why a code is wanted, and the button that sends it."""
        visit = self.site.visit()
        if visit.confirmed:
            return to(next_path())
        way = self._pages.codes.way_to(visit)
        if way is None:
            return self._no_way(visit)
        return self.site.page(
            "confirm.html",
            N_("A code is needed"),
            said,
            way=WAY_WORDS[way],
            sent=sent,
            next=next_path(),
            demo=self._pages.demo_note(visit) if sent else "",
        )

    def send_code(self) -> Response:
        """POST /my/confirm/send {next}."""
        visit = self.site.visit()
        try:
            self._pages.codes.ask_for(visit, place=self.site.place(), now=self.site.clock())
        except NoWayToCustomer:
            return self._no_way(visit)
        except TooManyTries as error:
            return self.show_confirm(refused(error), sent=True)
        return self.show_confirm(sent=True)

    def confirm(self) -> Response:
        """POST /my/confirm {code, next}."""
        visit = self.site.visit()
        if visit.confirmed:
            return to(next_path())
        try:
            mark = self._pages.codes.confirm(
                visit,
                request.form.get("code", ""),
                place=self.site.place(),
                now=self.site.clock(),
            )
        except (CodeRefused, TooManyTries) as error:
            return self.show_confirm(refused(error), sent=True)
        answer = to(next_path())
        browser.keep_visit(answer, request, request.cookies[browser.SESSION], VISIT_BY_CODE)
        browser.keep_device(answer, request, mark)
        return answer

    def sign_out(self) -> Response:
        """POST /my/sign-out."""
        visit = self.site.found_visit()
        if visit is not None:
            self._pages.visits.sign_out(visit, self.site.clock())
        return self._gone(Said(N_("You are signed out.")))

    def show_end_all(self) -> Response:
        """GET /my/end-links: what ending everything means."""
        self.site.visit()
        return self.site.page("end_links.html", N_("End all links"))

    def end_all(self) -> Response:
        """POST /my/end-links."""
        self._pages.visits.end_all(self.site.visit(), self.site.clock())
        return self._gone(Said(N_("All links are ended, and every browser is signed out.")))

    def choose_language(self) -> Response:
        """POST /my/language {language, next}: of this browser, and of who showed a code."""
        tag = request.form.get("language", "")
        answer = to(next_path())
        if tag not in OFFERED:
            return answer
        visit = self.site.found_visit()
        if visit is not None and visit.confirmed:
            self._pages.actions.choose_language(visit, language=tag, now=self.site.clock())
        browser.keep_language(answer, request, tag)
        return answer

    @property
    def _pages(self) -> CustomerPages:
        return self.site.services.customer_page

    def _sign_in(self, said: Said = NOTHING) -> Response:
        return self.site.page("sign_in.html", N_("Your electricity account"), said)

    def _no_way(self, visit: Visit) -> Response:
        unreached = self._pages.lookups.unreached(visit)
        why = _COMES_BACK if unreached.any else _NO_WAY
        return self.site.page("message.html", N_("A code is needed"), why)

    def _code(self, number: str, said: Said = NOTHING) -> Response:
        return self.site.page("code.html", N_("Enter the code"), said, account=number.strip()[:100])

    def _let_in(self, opened: Opened) -> Response:
        answer = to(PATH)
        browser.keep_visit(answer, request, opened.token, VISIT_BY_CODE)
        browser.keep_device(answer, request, opened.device)
        return answer

    def _not_good(self, error: LinkNotGood) -> Response:
        return self._sign_in(Said(sentence_of(error), 410))

    def _other_customer(self, text: str) -> Response:
        said = Said(N_("This browser is signed in for another account. Sign out there first."), 409)
        return self.site.page("open.html", N_("Your electricity account"), said, link=text)

    def _gone(self, said: Said) -> Response:
        g.my_visit = None
        answer = self._sign_in(said)
        browser.forget_visit(answer, request)
        return answer
