"""Template messages over WhatsApp's Business Cloud API.

WhatsApp lets a business write freely only within 24 hours of a customer's own message. Ours begin
the conversation, so they are always templates, which the utility has approved there beforehand.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from services.integrations.http import (
    TIMEOUT_SECONDS,
    Answer,
    OutcomeUnknown,
    RequestRejected,
    ServiceUnavailable,
    get_json,
    post_file,
    post_json,
)
from services.languages.language import ENGLISH_LANGUAGE, Language
from services.languages.sentence import N_, sentence
from services.messages.account_texts.autopay import AUTOPAY_KINDS
from services.messages.account_texts.autopay import parts as autopay_parts
from services.messages.account_texts.charges import (
    CHARGES_DUE,
    CHARGES_OVERDUE,
    CHARGES_SINCE,
    how_to_pay_charges,
)
from services.messages.facts import CUT_FROM, IN_ARREARS, NO_FACTS, Correction, Received
from services.messages.mail import Attachment
from services.messages.wording import how_to_pay, in_their_place, is_late
from services.records.bills import Bill
from services.records.outbox import LEFT_IN_ALL, TELLS_OF, OutboxKind

GRAPH_URL: Final = "https://graph.facebook.com"
GRAPH_VERSION: Final = "v25.0"
BODY_LIMIT: Final = 1024
# How the names of templates end that were approved with a document as their header.
WITH_PDF: Final = "_pdf"
_PDF: Final = "application/pdf"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Template:
    """A template as it must be approved at WhatsApp (category "utility"), its {{1}} … filled in.

    1 the bill's reference, 2 its period, 3 the amount to pay, 4 the due date, 5 how to pay. Of
    thanks: 1 the amount paid, 2 when, 3 the bill's reference, 4 what is left to pay, 5 how to pay.
    Of autopay: 1 what happened, 2 what follows from it, 3 how to pay.
    Of a disconnection notice: 1 what is overdue, 2 the account, 3 since when, 4 from when on the
    supply may be cut, 5 how to pay.
    Of a correction: 1 the bills that no longer hold, 2 those in their place, 3 the difference, 4
    what is left to pay of the last one, 5 its due date, 6 how to pay.
    Of charges: 1 the account, 2 what is due, 3 since when, 4 how to pay.
    """

    name: str
    body: str

    def filled(self, parameters: Sequence[str], language: Language = ENGLISH_LANGUAGE) -> str:
        """The text as the customer reads it."""
        text = language.gettext(self.body)
        for number, value in enumerate(parameters, start=1):
            text = text.replace(f"{{{{{number}}}}}", value)
        return text


_ABOUT_AUTOPAY: Final = N_("About your autopay: {{1}} {{2}}\nPay {{3}}\nThank you.")
TEMPLATES: Final[dict[OutboxKind, Template]] = {
    "bill_issued": Template(
        "electricity_bill_issued",
        N_(
            "Your electricity bill {{1}} for {{2}} is ready.\n"
            "To pay: {{3}}, due {{4}}.\nPay {{5}}\nThank you."
        ),
    ),
    "payment_reminder": Template(
        "electricity_payment_reminder",
        N_(
            "A reminder of your electricity bill {{1}} for {{2}}.\n"
            "To pay: {{3}}, due {{4}}.\nPay {{5}}\nIf you have just paid, there is nothing to do."
        ),
    ),
    "overdue_notice": Template(
        "electricity_payment_overdue",
        N_(
            "Your electricity bill {{1}} for {{2}} is overdue.\n"
            "To pay: {{3}}, was due {{4}}.\nPay {{5}}\n"
            "If you cannot pay at once, please talk to us."
        ),
    ),
    "disconnection_notice": Template(
        "electricity_disconnection_notice",
        N_(
            "Disconnection notice. {{1}} of your electricity account {{2}} has been overdue since "
            "{{3}}.\nIf it is not paid, your supply may be disconnected from {{4}} on.\nPay {{5}}\n"
            "If you dispute it or cannot pay, please talk to us before then."
        ),
    ),
    "payment_received": Template(
        "electricity_payment_received",
        N_(
            "Thank you: we have received your payment of {{1}} on {{2}}.\n"
            "Left to pay of your electricity bill {{3}}: {{4}}.\nPay {{5}}\nThank you."
        ),
    ),
    "bill_corrected": Template(
        "electricity_bill_corrected",
        N_(
            "We have corrected your electricity bills. {{1}} no longer holds; instead: {{2}}. "
            "Together that is {{3}}.\nTo pay: {{4}}, due {{5}}.\nPay {{6}}\n"
            "What you have paid still counts."
        ),
    ),
    "autopay_notice": Template("electricity_autopay_notice", _ABOUT_AUTOPAY),
    "autopay_failed": Template("electricity_autopay_failed", _ABOUT_AUTOPAY),
    "autopay_expiring": Template("electricity_autopay_expiring", _ABOUT_AUTOPAY),
    "autopay_ended": Template("electricity_autopay_ended", _ABOUT_AUTOPAY),
    "charges_overdue": Template(
        "electricity_charges_overdue",
        N_(
            "Fees and other charges of your electricity account {{1}} are overdue.\n"
            "To pay: {{2}}, was due {{3}}.\nPay {{4}}\n"
            "If you cannot pay at once, please talk to us."
        ),
    ),
}

# Of the published list, those that pass by themselves; all others need a person. The code decides,
# not the HTTP status: a missing permission (3) comes as a 500, a rate limit (4) as a 400.
TEMPORARY_CODES: Final = frozenset(
    (
        1,  # unknown, possibly a fault of the server
        2,  # service down or overloaded
        4,  # too many calls of this app
        80007,  # too many calls of this account
        130429,  # too many messages of this number
        131000,  # something went wrong
        131016,  # service unavailable
        131056,  # too many messages to this customer
        131057,  # account in maintenance
        133004,  # server temporarily unavailable
        133015,  # number deleted a moment ago: wait some minutes
    )
)
_WHAT_TO_DO: Final = {
    0: "the access is not accepted: check WHATSAPP_TOKEN",
    3: "the access lacks a permission: check WHATSAPP_TOKEN",
    10: "the access lacks a permission: check WHATSAPP_TOKEN",
    190: "the access has expired: make a new WHATSAPP_TOKEN",
    33: "the sending number is gone: check WHATSAPP_PHONE_NUMBER_ID",
    368: "the account is blocked for a breach of WhatsApp's policy",
    131021: "the customer's number is our own",
    131026: "the number cannot be reached on WhatsApp",
    131030: "the number is not on the test account's list",
    131031: "the account is locked",
    131042: "WhatsApp's own bill is not paid: look at the payment settings there",
    131047: "more than 24 hours since the customer wrote",
    131048: "too many messages were reported as spam",
    131049: "WhatsApp chose not to deliver it",
    131050: "the customer stopped such messages",
    132000: "the template has another number of parameters",
    132001: "there is no such approved template in this language",
    132005: "the filled template is too long",
    132007: "the template breaks WhatsApp's rules",
    132012: "the template's parameters are of another form",
    132015: "the template is paused for low quality",
    132016: "the template is disabled for low quality",
    133010: "the sending number is not registered",
}


def parameters(
    bill: Bill,
    kind: OutboxKind,
    facts: Mapping[str, str] = NO_FACTS,
    *,
    page: str | None = None,
    language: Language = ENGLISH_LANGUAGE,
) -> tuple[str, ...]:
    """What fills the template of a kind, in its order; `page` links to the customer's own page.

    How to pay is the place for that link, so that no template needs to be approved again.
    """
    _ = language.gettext
    left = language.money(bill.money(max(bill.balance_minor, 0)))
    due = _due(bill, kind, facts, language)
    how = _how(bill, kind, language, page)
    if kind in AUTOPAY_KINDS:
        return (*autopay_parts(bill, kind, facts, language), how)
    if kind == "payment_received":
        paid = Received.of(facts)
        received = (language.money(paid.amount), language.day(paid.on))
        return (*received, bill.reference, left, how)
    if kind == "bill_corrected":
        correction = Correction.of(facts)
        difference = language.say(correction.in_words)
        # WhatsApp takes no parameter that is empty.
        instead = in_their_place(correction, language) or "–"
        return (correction.voided, instead, difference, left, due, how)
    if kind == CHARGES_OVERDUE:
        return (bill.account_no, facts[CHARGES_DUE], facts[CHARGES_SINCE], how)
    if kind == "disconnection_notice":
        return (facts[IN_ARREARS], bill.account_no, due, facts[CUT_FROM], how)
    period = f"{language.day(bill.period_start)} – {language.day(bill.period_end)}"
    others = len(facts.get(TELLS_OF, "").split())
    reference = bill.reference
    if others:
        reference = language.ngettext(
            "{reference} (and {count} other bill)",
            "{reference} (and {count} other bills)",
            others,
            reference=bill.reference,
        )
    in_all = facts.get(LEFT_IN_ALL)
    if others and in_all:
        left = _("{amount} in all", amount=in_all)
    return (reference, period, left, due, how)


def _how(bill: Bill, kind: OutboxKind, language: Language, page: str | None) -> str:
    """How to pay, and the link to the customer's own page."""
    _ = language.gettext
    how = how_to_pay(bill, language) if bill.balance_minor > 0 else _("nothing now")
    if kind == CHARGES_OVERDUE:
        how = how_to_pay_charges(bill, language)
    return " – ".join([how, _("your page: {link}", link=page)]) if page else how


def _due(bill: Bill, kind: OutboxKind, facts: Mapping[str, str], language: Language) -> str:
    if bill.due_date is None:
        return language.gettext("on receipt")
    # The notice's own words already say that the day is past.
    says_so = kind in {"overdue_notice", "disconnection_notice"}
    if not says_so and bill.balance_minor > 0 and is_late(bill, facts):
        return language.gettext("since {day}", day=bill.due_date)
    return language.day(bill.due_date)


@dataclass(frozen=True, slots=True)
class WhatsApp:
    """Sends templates from one business number; may be called by many threads.

    `languages` are those in which the templates are approved; the first serves all others.
    """

    token: SecretStr
    phone_number_id: str
    base_url: str = GRAPH_URL
    timeout_seconds: float = TIMEOUT_SECONDS
    languages: tuple[str, ...] = ("en",)

    def send(
        self,
        *,
        to: str,
        template: Template,
        parameters: Sequence[str],
        language: str,
        row_id: str,
        document: Attachment | None = None,
    ) -> str:
        """Send a template to an E.164 number; WhatsApp's id of the message, which it accepted.

        `row_id` is our own id of the message, which its delivery reports will carry. With a
        `document` it goes by the template of the same name and _pdf, which was approved with a
        document as its header; by the plain one where WhatsApp does not take the file. Raises
        ServiceUnavailable, RequestRejected, and OutcomeUnknown when nobody knows whether it left:
        the API has no idempotency key.
        """
        media_id = self._uploaded(document) if document is not None else None
        answer = post_json(
            f"{self._number}/messages",
            body={
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": to,
                "type": "template",
                "template": self._template(template, parameters, language, document, media_id),
                "biz_opaque_callback_data": row_id,
            },
            service="WhatsApp",
            token=self.token.get_secret_value(),
            timeout_seconds=self.timeout_seconds,
        )
        return _message_id(answer)

    def send_code(self, *, to: str, code: str, template: str, language: str, row_id: str) -> str:
        """Send a code by a template of the category "authentication"; raises as `send`.

        Such a template has WhatsApp's own words, the code in them, and a button that copies it.
        """
        parameter = [{"type": "text", "text": code}]
        button = {"type": "button", "sub_type": "url", "index": "0", "parameters": parameter}
        answer = post_json(
            f"{self._number}/messages",
            body={
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": to,
                "type": "template",
                "template": {
                    "name": template,
                    "language": {"code": self.spoken(language).replace("-", "_")},
                    "components": [{"type": "body", "parameters": parameter}, button],
                },
                "biz_opaque_callback_data": row_id,
            },
            service="WhatsApp",
            token=self.token.get_secret_value(),
            timeout_seconds=self.timeout_seconds,
        )
        return _message_id(answer)

    def check(self) -> str:
        """Ask for our number, sending nothing; a sentence.

        Raises ServiceUnavailable, RequestRejected.
        """
        answer = get_json(
            f"{self.base_url}/{GRAPH_VERSION}/{self.phone_number_id}?fields=id",
            service="WhatsApp",
            token=self.token.get_secret_value(),
            timeout_seconds=self.timeout_seconds,
        )
        if answer.field("id") == self.phone_number_id:
            return sentence("It answers and knows our number.")
        if 200 <= answer.status < 300:
            raise RequestRejected(sentence("WhatsApp answered, but not with our number."))
        raise _error(answer)

    def spoken(self, language: str) -> str:
        """The language of a template for a customer's: of those that are approved."""
        spoken = language if language in self.languages else language.split("-", maxsplit=1)[0]
        return spoken if spoken in self.languages else self.languages[0]

    @property
    def _number(self) -> str:
        return f"{self.base_url}/{GRAPH_VERSION}/{self.phone_number_id}"

    def _uploaded(self, document: Attachment) -> str | None:
        """WhatsApp's id of a file, None where it refuses it; raises ServiceUnavailable."""
        try:
            answer = post_file(
                f"{self._number}/media",
                fields={"messaging_product": "whatsapp", "type": _PDF},
                file=(document.name, document.pdf, _PDF),
                service="WhatsApp",
                token=self.token.get_secret_value(),
                timeout_seconds=self.timeout_seconds,
            )
        except OutcomeUnknown as error:
            # A file that lies there twice is nothing that the customer sees.
            raise ServiceUnavailable(str(error)) from None
        found = answer.field("id")
        if 200 <= answer.status < 300 and isinstance(found, str) and found:
            return found
        refusal = _error(answer)
        if isinstance(refusal, ServiceUnavailable):
            raise refusal
        log.warning("WhatsApp does not take the PDF, so the text goes alone: %s", refusal)
        return None

    def _template(
        self,
        template: Template,
        parameters: Sequence[str],
        language: str,
        document: Attachment | None,
        media_id: str | None,
    ) -> dict[str, Any]:
        code = self.spoken(language)
        texts = [{"type": "text", "text": _one_line(value)} for value in parameters]
        body: dict[str, Any] = {"type": "body", "parameters": texts}
        if document is None or media_id is None:
            name, components = template.name, [body]
        else:
            shown = {"id": media_id, "filename": document.name}
            header = [{"type": "document", "document": shown}]
            name = f"{template.name}{WITH_PDF}"
            components = [{"type": "header", "parameters": header}, body]
        return {
            "name": name,
            "language": {"code": code.replace("-", "_")},
            "components": components,
        }


def _one_line(value: str) -> str:
    """A parameter as WhatsApp takes it: no line breaks, tabs or runs of spaces."""
    return " ".join(value.split())[:BODY_LIMIT]


def _message_id(answer: Answer) -> str:
    if 200 <= answer.status < 300:
        found = answer.field("messages", 0, "id")
        if isinstance(found, str) and found:
            return found
        raise OutcomeUnknown(f"WhatsApp answered {answer.status}, but not with the message.")
    raise _error(answer)


def _error(answer: Answer) -> ServiceUnavailable | RequestRejected:
    code = answer.field("error", "code")
    if not isinstance(code, int):
        if answer.status == 429 or answer.status >= 500:
            return ServiceUnavailable(f"WhatsApp answered {answer.status}.")
        return RequestRejected(f"WhatsApp refused ({answer.status}).")
    if code in TEMPORARY_CODES or (code not in _WHAT_TO_DO and answer.status in {429, 503}):
        return ServiceUnavailable(f"WhatsApp cannot do it just now (code {code}).")
    return RequestRejected(f"WhatsApp refused: {reason(code)} (code {code}).")


def reason(code: int) -> str:
    """Why it refused, in our words: WhatsApp's own may quote the customer's number."""
    if 200 <= code <= 299:
        return _WHAT_TO_DO[10]
    return _WHAT_TO_DO.get(code, "see WhatsApp's list of errors")
