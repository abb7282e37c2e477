"""What Twilio and WhatsApp report of messages that they took, once their signature is checked."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import SecretStr

from services.database.message_book import Reported
from services.database.service import DatabaseService
from services.messages import whatsapp
from services.messages.channels import SMS, WHATSAPP

ACTOR: Final = "system:deliveries"
LONGEST_REPLY: Final = 10_000
_LAST_SECOND: Final = 4_102_444_800  # The year 2100.
# https://www.twilio.com/docs/messaging/api/message-resource#message-status-values; those that say
# only that it is on its way are left out.
_OF_TWILIO: Final[dict[str, Reported]] = {
    "delivered": "delivered",
    "read": "read",
    "undelivered": "undelivered",
    "failed": "undelivered",
}
_WHY: Final = {
    "21610": "the customer stopped such messages",
    "30003": "the phone is off or out of reach",
    "30004": "the number takes no such messages",
    "30005": "there is no such number",
    "30006": "the number is a landline",
    "30007": "the network took it for spam",
    "30008": "the network does not say why",
    "30034": "our number is not registered for texts in that country",
}
# Those of the number itself; the others may be of one text alone.
_NO_SUCH_PHONE: Final = frozenset({"30005", "30006"})
_OF_WHATSAPP: Final[dict[str, Reported]] = {
    "delivered": "delivered",
    "read": "read",
    "failed": "undelivered",
}


class ReportRefused(ValueError):
    """This was not signed by whom it says it is from."""


@dataclass(frozen=True, slots=True)
class TwilioReports:
    """Status callbacks of texts; `url` is where Twilio reaches us, without the id of the text."""

    database: DatabaseService
    auth_token: SecretStr = field(repr=False)
    url: str

    def take(
        self, *, notification_id: str, form: Sequence[tuple[str, str]], signature: str | None
    ) -> None:
        """Keep what a callback says; `form` has its parameters, each with its value.

        A repeat changes nothing. Raises ReportRefused, after which nothing was stored, and
        DatabaseError.
        """
        check_twilio(
            f"{self.url}?id={notification_id}", form, signature=signature, token=self.auth_token
        )
        said = dict(form)
        status = _OF_TWILIO.get(said.get("MessageStatus", ""))
        if status is None or not is_id(notification_id):
            return
        code = said.get("ErrorCode", "")
        self.database.message_book.note_delivery(
            actor=ACTOR,
            notification_id=notification_id,
            channel=SMS,
            status=status,
            detail=_not_delivered("SMS", _WHY.get(code, ""), code)
            if status == "undelivered"
            else "",
            message_id=said.get("MessageSid", "")[:100],
            address_is_gone=status == "undelivered" and code in _NO_SUCH_PHONE,
        )


@dataclass(frozen=True, slots=True)
class WhatsAppReports:
    """The webhook of WhatsApp: statuses of our messages, and what customers answer to them."""

    database: DatabaseService
    app_secret: SecretStr = field(repr=False)
    verify_token: SecretStr = field(repr=False)
    phone_number_id: str

    def challenge(self, *, mode: str, token: str, challenge: str) -> str:
        """What proves to WhatsApp that the webhook is ours; raises ReportRefused."""
        ours = self.verify_token.get_secret_value().encode()
        if mode != "subscribe" or not hmac.compare_digest(ours, token.encode()):
            raise ReportRefused("This is not the token that the webhook was set up with.")
        return challenge

    def take(self, *, payload: bytes, signature: str | None) -> None:
        """Keep what a delivery of the webhook says; a repeat changes nothing.

        Raises ReportRefused, after which nothing was stored, and DatabaseError.
        """
        key = self.app_secret.get_secret_value().encode()
        wanted = f"sha256={hmac.new(key, payload, hashlib.sha256).hexdigest()}"
        if not hmac.compare_digest(wanted.encode(), (signature or "").encode()):
            raise ReportRefused("The signature is not WhatsApp's for this body.")
        try:
            body = json.loads(payload)
        except (ValueError, RecursionError):
            return
        for value in self._values(body):
            for status in _maps(value.get("statuses")):
                self._note_status(status)
            for message in _maps(value.get("messages")):
                self._note_reply(message)

    def _values(self, body: object) -> Iterator[Mapping[str, Any]]:
        """What concerns messages of our number."""
        entries = _maps(body.get("entry")) if isinstance(body, dict) else ()
        for change in (change for entry in entries for change in _maps(entry.get("changes"))):
            value = change.get("value")
            if change.get("field") != "messages" or not isinstance(value, dict):
                continue
            about = value.get("metadata")
            if isinstance(about, dict) and about.get("phone_number_id") == self.phone_number_id:
                yield value

    def _note_status(self, said: Mapping[str, Any]) -> None:
        status = _OF_WHATSAPP.get(str(said.get("status")))
        row_id = said.get("biz_opaque_callback_data")
        if status is None or not isinstance(row_id, str) or not is_id(row_id):
            return
        codes = [error.get("code") for error in _maps(said.get("errors"))]
        code = next((code for code in codes if isinstance(code, int)), None)
        why = whatsapp.reason(code) if code is not None else ""
        self.database.message_book.note_delivery(
            actor=ACTOR,
            notification_id=row_id,
            channel=WHATSAPP,
            status=status,
            detail=_not_delivered("WhatsApp", why, "" if code is None else str(code))
            if status == "undelivered"
            else "",
            message_id=str(said.get("id", ""))[:200],
        )

    def _note_reply(self, said: Mapping[str, Any]) -> None:
        sender, text = str(said.get("from", "")), said.get("text")
        written = text.get("body") if isinstance(text, dict) else None
        kind = str(said.get("type", "message"))[:40]
        at = str(said.get("timestamp", ""))
        if not (sender.isascii() and sender.isdigit() and len(sender) <= 15):
            return
        seconds = int(at) if at.isascii() and at.isdigit() and len(at) <= 10 else 0
        self.database.message_book.note_reply(
            actor=ACTOR,
            reply_id=str(uuid5(NAMESPACE_URL, f"electricity-billing/reply/{said.get('id')}")),
            channel="whatsapp",
            sender=f"+{sender}",
            body=storable(written if isinstance(written, str) else f"({kind}, see WhatsApp)"),
            received_at=datetime.fromtimestamp(min(seconds, _LAST_SECOND), UTC),
        )


def check_twilio(
    url: str, form: Sequence[tuple[str, str]], *, signature: str | None, token: SecretStr
) -> None:
    """That Twilio sent a form to our address `url`; raises ReportRefused.

    https://www.twilio.com/docs/usage/security#validating-requests.
    """
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    key = token.get_secret_value().encode()
    # SHA-1 is what Twilio signs with.
    made = hmac.new(key, signed.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    given = (signature or "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(base64.b64encode(made), given):
        raise ReportRefused("The signature is not Twilio's for this request.")


def is_id(text: str) -> bool:
    """Whether it can be the id of a message of ours."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def storable(text: str) -> str:
    """A stranger's text without what no database keeps, and no longer than anybody reads."""
    kept = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return kept[:LONGEST_REPLY]


def _maps(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _not_delivered(service: str, why: str, code: str) -> str:
    number = f" (code {code})" if code.isascii() and code.isdigit() else ""
    return f"{service} could not deliver it{f': {why}' if why else ''}{number}."
