"""Text messages: over Twilio, or over any HTTP gateway whose request a template describes."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from pydantic import SecretStr

from services.integrations.http import (
    TIMEOUT_SECONDS,
    Answer,
    OutcomeUnknown,
    RequestRejected,
    ServiceUnavailable,
    get_json,
    post_form,
    post_json,
)
from services.languages.language import ENGLISH_LANGUAGE, Language
from services.languages.sentence import sentence
from services.messages.account_texts.autopay import AUTOPAY_KINDS, asks_to_pay, autopay_text
from services.messages.account_texts.charges import brief_charges
from services.messages.facts import BILLS_IN_ARREARS, CUT_FROM, IN_ARREARS, Correction, Received
from services.messages.wording import how_to_pay, in_their_place
from services.records.bills import Bill
from services.records.outbox import LEFT_IN_ALL, OutboxKind
from services.telemetry import outside_calls

TWILIO_URL: Final = "https://api.twilio.com"
SERVICE: Final = outside_calls.SMS
# What a gateway's template may have: the number (E.164), the text, and our id of the message.
FIELDS: Final = frozenset({"to", "text", "id"})
_FIELD: Final = re.compile(r"\{(\w*)\}")
# https://www.twilio.com/docs/api/errors; all others need a person.
_TEMPORARY: Final = frozenset({20429, 20500, 20503, 30001})
_WHAT_TO_DO: Final = {
    20003: "the access is not accepted: check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN",
    21211: "the number is not one",
    21408: "texts to this country are not enabled at Twilio",
    21606: "TWILIO_FROM cannot send there",
    21608: "a trial account writes to verified numbers alone",
    21610: "the customer stopped such messages",
    21612: "TWILIO_FROM cannot reach this number",
    21614: "the number is no mobile phone",
    21660: "TWILIO_FROM is of another account",
}


class InvalidTemplate(ValueError):
    """The template of a gateway's request cannot be used; the text is the end of a sentence."""


class SmsProvider(Protocol):
    """Who sends our texts."""

    def send(self, *, to: str, text: str, row_id: str) -> str:
        """Send a text to an E.164 number; the provider's id of it, or ours.

        Raises ServiceUnavailable, RequestRejected, OutcomeUnknown.
        """
        ...

    def check(self) -> str:
        """A sentence, sending nothing; raises ServiceUnavailable, RequestRejected."""
        ...


@dataclass(frozen=True, slots=True)
class Twilio:
    """Twilio's Messages resource; `sender` is a number, a name, or a messaging service (MG…)."""

    account_sid: str
    auth_token: SecretStr
    sender: str
    # Where it reports what became of a text; without it, it reports nothing.
    reports_to: str | None = None
    base_url: str = TWILIO_URL
    timeout_seconds: float = TIMEOUT_SECONDS

    def send(self, *, to: str, text: str, row_id: str) -> str:
        """Send a text; Twilio's id of it."""
        by = "MessagingServiceSid" if self.sender.startswith("MG") else "From"
        answer = post_form(
            f"{self._account}/Messages.json",
            form={"To": to, by: self.sender, "Body": text} | self._callback(row_id),
            login=self._login,
            service=SERVICE,
            timeout_seconds=self.timeout_seconds,
        )
        if not 200 <= answer.status < 300:
            raise _twilio_error(answer)
        found = answer.field("sid")
        if isinstance(found, str) and found:
            return found
        raise OutcomeUnknown(f"Twilio answered {answer.status}, but not with the message.")

    def check(self) -> str:
        """Ask for our account."""
        answer = get_json(
            f"{self._account}.json",
            service=SERVICE,
            login=self._login,
            timeout_seconds=self.timeout_seconds,
        )
        if answer.field("sid") == self.account_sid:
            return sentence("Twilio answers and knows our account.")
        if 200 <= answer.status < 300:
            raise RequestRejected(sentence("Twilio answered, but not with our account."))
        raise _twilio_error(answer)

    def _callback(self, row_id: str) -> dict[str, str]:
        return {"StatusCallback": f"{self.reports_to}?id={row_id}"} if self.reports_to else {}

    @property
    def _account(self) -> str:
        return f"{self.base_url}/2010-04-01/Accounts/{self.account_sid}"

    @property
    def _login(self) -> tuple[str, str]:
        return self.account_sid, self.auth_token.get_secret_value()


@dataclass(frozen=True, slots=True)
class GatewayTemplate:
    """A gateway's request with {to}, {text} and perhaps {id} in the places of their values."""

    as_json: Any = None
    as_form: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "GatewayTemplate":
        """From a JSON object or a form (to={to}&text={text}); raises InvalidTemplate."""
        written = text.strip()
        made = cls._json(written) if written.startswith("{") else cls._form(written)
        used = made.fields
        if unknown := used - FIELDS:
            raise InvalidTemplate(f"has a field that is not known: {{{min(unknown)}}}")
        if missing := {"to", "text"} - used:
            raise InvalidTemplate(f"has no {{{min(missing)}}}")
        return made

    @classmethod
    def _json(cls, written: str) -> "GatewayTemplate":
        try:
            return cls(as_json=json.loads(written))
        except (ValueError, RecursionError):
            raise InvalidTemplate("is not a JSON object") from None

    @classmethod
    def _form(cls, written: str) -> "GatewayTemplate":
        try:
            fields = tuple(parse_qsl(written, strict_parsing=True))
        except ValueError:
            fields = ()
        if not fields:
            raise InvalidTemplate("is neither a JSON object nor a form")
        return cls(as_form=fields)

    @property
    def fields(self) -> set[str]:
        """The names in braces; those of JSON stand inside its texts alone."""
        found: set[str] = set()

        def note(text: str) -> str:
            found.update(_FIELD.findall(text))
            return text

        _mapped(self.as_json, note)
        for name, value in self.as_form:
            note(name), note(value)
        return found

    def filled(self, values: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
        """The JSON or the form; of the two the other is empty."""

        def put(text: str) -> str:
            # At once, so that a text with {to} in it stays as it is.
            return _FIELD.sub(lambda found: values[found[1]], text)

        return _mapped(self.as_json, put), {put(name): put(value) for name, value in self.as_form}


@dataclass(frozen=True, slots=True)
class HttpGateway:
    """Any gateway that takes a text by one POST; a secret of its own goes as bearer token."""

    url: SecretStr
    template: GatewayTemplate
    token: SecretStr | None = None
    timeout_seconds: float = TIMEOUT_SECONDS

    def send(self, *, to: str, text: str, row_id: str) -> str:
        """Send a text; the gateway's id of it where it gives one, else ours."""
        body, form = self.template.filled({"to": to, "text": text, "id": row_id})
        token = self.token.get_secret_value() if self.token else None
        url, seconds = self.url.get_secret_value(), self.timeout_seconds
        answer = (
            post_form(url, form=form, token=token, service=SERVICE, timeout_seconds=seconds)
            if form
            else post_json(url, body=body, token=token, service=SERVICE, timeout_seconds=seconds)
        )
        if 200 <= answer.status < 300:
            ids = (answer.field(name) for name in ("id", "message_id", "messageId", "sid"))
            return next((str(found) for found in ids if isinstance(found, str | int)), row_id)
        if answer.status in {408, 425, 429} or answer.status >= 500:
            raise ServiceUnavailable(f"The SMS gateway answered {answer.status}.")
        raise RequestRejected(f"The SMS gateway refused ({answer.status}).")

    def check(self) -> str:
        """Whether somebody answers: what a gateway has beside taking texts is its own."""
        get_json(self.url.get_secret_value(), service=SERVICE, timeout_seconds=self.timeout_seconds)
        return sentence("The gateway answers.")


def text_of(
    bill: Bill,
    kind: OutboxKind,
    facts: Mapping[str, str],
    *,
    sender: str,
    language: Language = ENGLISH_LANGUAGE,
) -> str:
    """The text of an occasion: what is short is paid for once."""
    said = _SAID[kind](bill, facts, language)
    asks = asks_to_pay(facts) if kind == "autopay_failed" else kind not in _ASK_FOR_NOTHING
    pay = _pay(bill, language) if asks else ""
    return f"{sender}: {said}{pay}"


def _issued(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _, left = language.gettext, _left(bill, language)
    if in_all := facts.get(LEFT_IN_ALL):
        left = _("{amount} in all", amount=in_all)
    if bill.due_date and bill.balance_minor > 0:
        return _(
            "electricity bill {reference}, {amount} by {day}.",
            reference=bill.reference,
            amount=left,
            day=bill.due_date,
        )
    return _("electricity bill {reference}, {amount}.", reference=bill.reference, amount=left)


def _reminder(bill: Bill, _: Mapping[str, str], language: Language) -> str:
    values = {"reference": bill.reference, "amount": _left(bill, language)}
    if bill.due_date and bill.balance_minor > 0:
        return language.gettext(
            "a reminder of bill {reference}: {amount} by {day}.", day=bill.due_date, **values
        )
    return language.gettext("a reminder of bill {reference}: {amount}.", **values)


def _overdue(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _ = language.gettext
    said = _(
        "bill {reference} is overdue: {amount}.",
        reference=bill.reference,
        amount=_left(bill, language),
    )
    if facts.get(BILLS_IN_ARREARS, "1") == "1":
        return said
    return " ".join([said, _("In all {amount} is overdue.", amount=facts[IN_ARREARS])])


def _disconnection(bill: Bill, facts: Mapping[str, str], language: Language) -> str:  # noqa: ARG001
    return language.gettext(
        "disconnection notice: {amount} is overdue. If it is not paid, your supply may be "
        "disconnected from {day} on.",
        amount=facts[IN_ARREARS],
        day=facts[CUT_FROM],
    )


def _thanks(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _, paid = language.gettext, Received.of(facts)
    said = _("thank you, {amount} received on {day}.", amount=paid.amount, day=paid.on)
    if bill.balance_minor <= 0:
        return said
    left = _(
        "{amount} of bill {reference} is left.",
        amount=_left(bill, language),
        reference=bill.reference,
    )
    return f"{said} {left}"


def _corrected(bill: Bill, facts: Mapping[str, str], language: Language) -> str:  # noqa: ARG001
    said = Correction.of(facts)
    instead = in_their_place(said, language)
    if not instead:
        return language.gettext(
            "bill {voided} no longer holds: {difference}.",
            voided=said.voided,
            difference=said.in_words,
        )
    return language.gettext(
        "bill {voided} is corrected: {issued}, {difference}.",
        voided=said.voided,
        issued=instead,
        difference=said.in_words,
    )


def _of_autopay(kind: OutboxKind, bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    return autopay_text(bill, kind, facts, language)


# Charges are paid in a way of their own.
_ASK_FOR_NOTHING: Final = AUTOPAY_KINDS | {"payment_received", "charges_overdue"}
_SAID: Final[dict[OutboxKind, Callable[[Bill, Mapping[str, str], Language], str]]] = {
    "bill_issued": _issued,
    "payment_reminder": _reminder,
    "overdue_notice": _overdue,
    "disconnection_notice": _disconnection,
    "payment_received": _thanks,
    "bill_corrected": _corrected,
    "autopay_notice": partial(_of_autopay, "autopay_notice"),
    "autopay_failed": partial(_of_autopay, "autopay_failed"),
    "autopay_expiring": partial(_of_autopay, "autopay_expiring"),
    "autopay_ended": partial(_of_autopay, "autopay_ended"),
    "charges_overdue": brief_charges,
}


def _left(bill: Bill, language: Language) -> str:
    return language.money(bill.money(max(bill.balance_minor, 0)))


def _pay(bill: Bill, language: Language) -> str:
    if bill.balance_minor <= 0:
        return ""
    return " " + language.gettext("Pay {how}", how=how_to_pay(bill, language))


def _mapped(value: Any, put: Callable[[str], str]) -> Any:
    """A JSON value with `put` applied to each text in it."""
    if isinstance(value, str):
        return put(value)
    if isinstance(value, list):
        return [_mapped(one, put) for one in value]
    if isinstance(value, dict):
        return {name: _mapped(one, put) for name, one in value.items()}
    return value


def _twilio_error(answer: Answer) -> ServiceUnavailable | RequestRejected:
    code = answer.field("code")
    if answer.status == 429 or answer.status >= 500 or code in _TEMPORARY:
        return ServiceUnavailable(f"Twilio cannot do it just now ({code or answer.status}).")
    why = _WHAT_TO_DO.get(code) if isinstance(code, int) else None
    return RequestRejected(f"Twilio refused: {why or 'see its list of errors'} ({code}).")
