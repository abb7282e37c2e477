"""What leads to Stripe and back: paying a bill, autopay."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from flask import Flask, Response, request

from services.autopay.rules import InvalidAutopay
from services.customer_page.paying import AUTOPAY_PATH, CustomerPaying, StripeAway
from services.customer_page.visits import confirmed
from services.database.errors import IllegalChange
from services.languages.sentence import N_, sentence_of
from services.people.customer_links import PATH
from services.web.my.rendering import NOTHING, Said
from services.web.my.site import Site, refused, to

_BACK: Final = {
    "cancelled": N_("You left Stripe's page, so nothing was saved."),
    "confirmed": N_("Thank you. Stripe tells us in a moment whether your bank agreed."),
}
_NOT_YET: Final = N_("Stripe is still checking what you saved. It shows here when that is done.")


@dataclass(frozen=True)
class PayingRoutes:
    """The forms whose answer is a page of Stripe, and where people come back to."""

    site: Site

    def add_to(self, app: Flask) -> None:
        """Add the addresses to the app."""
        add = self.site.add
        add(app, f"{PATH}/bills/<bill_id>/pay", self.pay, method="POST")
        add(app, AUTOPAY_PATH, self.show)
        add(app, AUTOPAY_PATH, self.begin, method="POST")
        add(app, f"{AUTOPAY_PATH}/end", self.end, method="POST")
        add(app, f"{AUTOPAY_PATH}/resume", self.resume, method="POST")
        add(app, f"{AUTOPAY_PATH}/confirm", self.confirm, method="POST")

    def pay(self, bill_id: str) -> Response:
        """POST /my/bills/<id>/pay {id}: on to Stripe."""
        visit = self.site.visit()
        try:
            url = self._paying.pay(
                visit, bill_id=bill_id, form_id=_form_id(), now=self.site.clock()
            )
        except IllegalChange as error:
            return self.site.page("message.html", N_("Nothing to pay"), refused(error))
        except StripeAway as error:
            return self.site.page(
                "message.html", N_("Try again"), Said(sentence_of(error), 503, 60)
            )
        return self._on_to(url)

    def show(self, said: Said = NOTHING) -> Response:
        """GET /my/autopay: how it stands, and a form; ?from= of who comes back from Stripe."""
        visit, came_from = self.site.visit(), request.args.get("from", "")
        if came_from == "confirmed" and not visit.confirmed:
            return self.site.page("message.html", N_("Autopay"), Said(_BACK["confirmed"]))
        visit = confirmed(visit)
        if came_from == "saved":
            found = self._paying.came_back(visit, now=self.site.clock())
            said = Said(_NOT_YET) if found.opened is not None else NOTHING
        else:
            found = self._paying.autopay(visit)
            said = Said(_BACK[came_from]) if came_from in _BACK and said is NOTHING else said
        return self.site.page(
            "autopay.html",
            N_("Autopay"),
            said,
            mandate=found.mandate,
            opened=found.opened,
            charges=found.charges,
            offered=self._paying.sign_up.offered,
            consent=self._paying.consent(limit=None, language=self.site.language()),
            form_id=str(uuid4()),
            limit=request.form.get("limit", ""),
            currency=visit.currency or self.site.services.settings.currency,
        )

    def begin(self) -> Response:
        """POST /my/autopay {id, agreed, limit}: on to Stripe."""
        visit = confirmed(self.site.visit())
        try:
            url = self._paying.begin(
                visit,
                mandate_id=_form_id(),
                agreed="agreed" in request.form,
                limit=request.form.get("limit", ""),
                language=self.site.language(),
                now=self.site.clock(),
            )
        except (InvalidAutopay, IllegalChange) as error:
            return self.show(refused(error))
        except StripeAway as error:
            return self.show(Said(sentence_of(error), 503, 60))
        return self._on_to(url)

    def end(self) -> Response:
        """POST /my/autopay/end {mandate}."""
        self._paying.end(confirmed(self.site.visit()), mandate_id=_uuid("mandate"))
        return to(AUTOPAY_PATH)

    def resume(self) -> Response:
        """POST /my/autopay/resume {mandate}."""
        visit = confirmed(self.site.visit())
        try:
            self._paying.resume(visit, mandate_id=_uuid("mandate"), now=self.site.clock())
        except IllegalChange as error:
            return self.show(refused(error))
        return to(AUTOPAY_PATH)

    def confirm(self) -> Response:
        """POST /my/autopay/confirm {attempt}: on to the customer's bank."""
        visit = self.site.visit()
        try:
            url = self._paying.confirm(visit, attempt_id=_uuid("attempt"), now=self.site.clock())
        except StripeAway as error:
            return self.site.page(
                "message.html", N_("Try again"), Said(sentence_of(error), 503, 60)
            )
        return self._on_to(url) if url else to(PATH)

    def _away(self, error: StripeAway) -> Response:
        said = Said(sentence_of(error), 503, 60)
        return self.site.page("message.html", N_("Try again"), said)

    def _on_to(self, url: str) -> Response:
        """A page that leads on to Stripe: a form of ours may not be answered by another site."""
        answer = self.site.page("go.html", N_("On to Stripe"), url=url)
        answer.headers["Refresh"] = f"0; url={url}"
        return answer

    @property
    def _paying(self) -> CustomerPaying:
        return self.site.services.customer_page.paying


def _form_id() -> str:
    """The form's own id; a new one where none was sent, or none that is one."""
    return _uuid("id")


def _uuid(name: str) -> str:
    try:
        return str(UUID(request.form.get(name, "")))
    except ValueError:
        return str(uuid4())
