"""What a customer does: disputes bills, sends readings, moves out, changes their contact."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from flask import Flask, Response, request

from services.accounts.contact import InvalidContact
from services.billing.chain_retry import MeterTooBusy
from services.customer_page.actions import InvalidRequest, PageActions
from services.customer_page.visits import confirmed
from services.database.errors import IdempotencyKeyReused, IllegalChange, ReadingConflict
from services.languages.catalogues import OF_DOCUMENTS, OFFERED
from services.languages.language import Language, own_name
from services.languages.sentence import N_, sentence
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.people.customer_links import PATH
from services.readings.dial_photo import InvalidPhoto
from services.readings.submission import InvalidReading
from services.records.messages import ContactDetails
from services.web.my import browser
from services.web.my.rendering import NOTHING, Said
from services.web.my.site import Site, refused, to

_REFUSED: Final = (
    InvalidReading,
    InvalidPhoto,
    ReadingTooLong,
    ReadingConflict,
    UnableToCompareReads,
    MeterTooBusy,
    IdempotencyKeyReused,
)
_SEEN: Final = ("phone", "email", "language")
_WAYS: Final = {
    "": N_("on every way we know"),
    "email": N_("by e-mail"),
    "sms": N_("by SMS"),
    "whatsapp": N_("by WhatsApp"),
}


@dataclass(frozen=True)
class AskedRoutes:
    """The forms; each has an id of its own, so that sending one twice does it once."""

    site: Site

    def add_to(self, app: Flask) -> None:
        """Add the addresses to the app."""
        add = self.site.add
        for path, show, send in (
            (f"{PATH}/bills/<bill_id>/dispute", self.show_dispute, self.dispute),
            (f"{PATH}/moving-out", self.show_moving, self.move_out),
            (f"{PATH}/reading", self.show_reading, self.send_reading),
            (f"{PATH}/contact", self.show_contact, self.change_contact),
        ):
            add(app, path, show)
            add(app, path, send, method="POST")
        add(app, f"{PATH}/contact/trust", self.trust_email, method="POST")
        add(app, f"{PATH}/requests/<request_id>/withdraw", self.withdraw, method="POST")

    def show_dispute(self, bill_id: str, said: Said = NOTHING) -> Response:
        """GET /my/bills/<id>/dispute."""
        visit = confirmed(self.site.visit())
        shown = self.site.services.customer_page.lookups.bill(visit, bill_id)
        return self.site.page(
            "dispute.html",
            sentence("Dispute bill {reference}", reference=shown.bill.reference),
            said,
            shown=shown,
            bill=shown.bill,
            form_id=_form_id(),
            reason=request.form.get("reason", ""),
        )

    def dispute(self, bill_id: str) -> Response:
        """POST /my/bills/<id>/dispute {id, reason}."""
        visit = confirmed(self.site.visit())
        try:
            self._actions.dispute(
                visit,
                request_id=_form_id(),
                bill_id=bill_id,
                reason=request.form.get("reason", ""),
                now=self.site.clock(),
            )
        except (InvalidRequest, IllegalChange) as error:
            return self.show_dispute(bill_id, refused(error))
        return to(f"{PATH}/bills/{bill_id}")

    def show_moving(self, said: Said = NOTHING) -> Response:
        """GET /my/moving-out."""
        visit = confirmed(self.site.visit())
        lookups = self.site.services.customer_page.lookups
        waiting = [r for r in lookups.requests(visit) if r.kind == "move_out"]
        told = {request.agreement_id for request in waiting if request.state == "open"}
        places = [m for m in lookups.meters(visit) if m.agreement_id and m.agreement_id not in told]
        return self.site.page(
            "moving.html",
            N_("Moving out"),
            said,
            places=places,
            requests=waiting,
            form_id=_form_id(),
            typed=request.form,
        )

    def move_out(self) -> Response:
        """POST /my/moving-out {id, agreement, last_day, note}."""
        visit = confirmed(self.site.visit())
        agreement = request.form.get("agreement", "")
        try:
            self._actions.move_out(
                visit,
                request_id=_form_id(),
                agreement_id=str(UUID(agreement)),
                last_day=request.form.get("last_day", ""),
                note=request.form.get("note", ""),
                now=self.site.clock(),
            )
        except (InvalidRequest, IllegalChange) as error:
            return self.show_moving(refused(error))
        except ValueError:
            return self.show_moving(Said(N_("Choose the place that you move out of."), 422))
        return to(f"{PATH}/moving-out")

    def withdraw(self, request_id: str) -> Response:
        """POST /my/requests/<id>/withdraw."""
        visit = confirmed(self.site.visit())
        try:
            self._actions.withdraw(visit, request_id=_uuid(request_id), now=self.site.clock())
        except IllegalChange as error:
            return self.site.page("message.html", N_("Closed meanwhile"), refused(error))
        return to(PATH)

    def show_reading(self, said: Said = NOTHING) -> Response:
        """GET /my/reading."""
        visit = confirmed(self.site.visit())
        meters = self.site.services.customer_page.lookups.meters(visit)
        return self.site.page(
            "reading.html",
            N_("Send a reading"),
            said,
            meters=meters,
            form_id=_form_id(),
            typed=request.form,
        )

    def send_reading(self) -> Response:
        """POST /my/reading {id, meter, kwh, register…, photo}."""
        visit = confirmed(self.site.visit())
        photo = request.files.get("photo")
        try:
            done = self._actions.send_reading(
                visit,
                key=_form_id(),
                meter_id=request.form.get("meter", ""),
                reading_kwh=request.form.get("kwh", "").replace(",", ".").replace(" ", ""),
                registers=_registers(),
                photo=photo.read() if photo else b"",
                now=self.site.clock(),
            )
        except _REFUSED as error:
            return self.show_reading(refused(error))
        return self.site.page("reading_sent.html", N_("Your reading is here"), done=done)

    def show_contact(self, said: Said = NOTHING) -> Response:
        """GET /my/contact."""
        visit = confirmed(self.site.visit())
        details = self._actions.contact(visit)
        return self.site.page(
            "contact.html",
            N_("Contact and language"),
            said,
            details=details,
            shown=_typed_contact() if request.method == "POST" else _kept_contact(details),
            documents=_languages(details),
            unreached=self.site.services.customer_page.lookups.unreached(visit),
            ways=_WAYS | ({"discord_customer": N_("on Discord")} if details.has_discord else {}),
        )

    def change_contact(self) -> Response:
        """POST /my/contact {phone, email, language, preferred, whatsapp, opted_out, seen_…}."""
        visit = confirmed(self.site.visit())
        form, now = request.form, self.site.clock()
        seen = self._actions.contact(visit)
        # As it stood in the form: what the office changed meanwhile is not overwritten.
        seen = seen.model_copy(update={name: form.get(f"seen_{name}", "") for name in _SEEN})
        try:
            self._actions.change_contact(visit, body=_typed_contact(), seen=seen, now=now)
        except (InvalidContact, IllegalChange) as error:
            return self.show_contact(refused(error))
        tag = Language.of(form.get("language", "")).tag
        self.site.speak(tag)
        answer = self.site.page(
            "message.html", N_("Saved"), Said(N_("Your contact details are saved."))
        )
        browser.keep_language(answer, request, tag)
        return answer

    def trust_email(self) -> Response:
        """POST /my/contact/trust: mail goes again to the address that it came back from."""
        self._actions.trust_email(self.site.visit(), now=self.site.clock())
        said = Said(N_("From now on mail goes to your address again."))
        return self.site.page("message.html", N_("Saved"), said)

    @property
    def _actions(self) -> PageActions:
        return self.site.services.customer_page.actions


def _typed_contact() -> dict[str, Any]:
    """How the customer wants to be reached, as the form has it."""
    form = request.form
    return {
        "phone": form.get("phone", ""),
        "email": form.get("email", ""),
        "language": form.get("language", "en"),
        "preferred": form.get("preferred") or None,
        "whatsapp": "whatsapp" in form,
        "opted_out": "opted_out" in form,
    }


def _kept_contact(details: ContactDetails) -> dict[str, Any]:
    """The same as it is kept."""
    kept = details.model_dump(include={"phone", "email", "language", "preferred", "opted_out"})
    return kept | {"whatsapp": details.whatsapp_since is not None}


def _form_id() -> str:
    """The form's own id; a new one where none was sent, or none that is one."""
    return _uuid(request.form.get("id", ""))


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return str(uuid4())


def _registers() -> dict[str, str]:
    """What further registers show, by name, without those that were left empty."""
    found = (
        (name.removeprefix("register-"), value.replace(",", ".").replace(" ", ""))
        for name, value in request.form.items()
        if name.startswith("register-")
    )
    return {name: value for name, value in found if value}


def _languages(details: ContactDetails) -> dict[str, str]:
    """The languages that documents are printed in, and the customer's own where it is another."""
    known = {tag: own_name(tag) for tag in (*OFFERED, *OF_DOCUMENTS)}
    own = details.language
    return known if own in known else {own: own_name(own), **known}
