"""Texts that customers send us over Twilio: what they answer, and STOP and START among it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from pydantic import SecretStr

from services.database.service import DatabaseService
from services.messages.channels import SMS
from services.messages.phones import InvalidPhone, e164
from services.messages.reports import check_twilio, storable

ACTOR: Final = "system:texts"
# The words that Twilio itself takes, alone in a text and in any case:
# https://help.twilio.com/articles/223134027. It sends nothing more to whoever wrote one.
STOP_WORDS: Final = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "stop all"}
)
START_WORDS: Final = frozenset({"start", "yes", "unstop"})
# As Twilio names them in a form, where a utility set words of its own in other languages.
_OPT_OUT_TYPES: Final = {"STOP": False, "START": True}
_LONGEST_ID: Final = 100


@dataclass(frozen=True, slots=True)
class TwilioTexts:
    """Takes the texts that come to our number; `url` is where Twilio hands them in.

    `clock` answers the time (UTC): Twilio says nothing of it.
    """

    database: DatabaseService
    auth_token: SecretStr = field(repr=False)
    url: str
    clock: Callable[[], datetime]

    def take(self, *, form: Sequence[tuple[str, str]], signature: str | None) -> bool:
        """Keep a text once, however often it is handed in; whether it is new.

        Raises ReportRefused, after which nothing was stored, and DatabaseError.
        """
        check_twilio(self.url, form, signature=signature, token=self.auth_token)
        said = dict(form)
        text_id = said.get("MessageSid", "")[:_LONGEST_ID]
        try:
            sender = e164(said.get("From", ""))
        except InvalidPhone:
            # Of a service that has a name in the place of a number: nobody to answer to.
            return False
        if not text_id:
            return False
        body = said.get("Body", "")
        return self.database.message_book.note_reply(
            actor=ACTOR,
            reply_id=str(uuid5(NAMESPACE_URL, f"electricity-billing/reply/sms/{text_id}")),
            channel=SMS,
            sender=sender,
            body=storable(body or _without_words(said)),
            received_at=self.clock(),
            wants_texts=wants_texts(body, said.get("OptOutType", "")),
        )


def wants_texts(body: str, opt_out_type: str = "") -> bool | None:
    """Whether somebody starts texts (True) or stops them (False) by a word; None: neither.

    `opt_out_type` is what Twilio read out of it, which holds.
    """
    if (found := _OPT_OUT_TYPES.get(opt_out_type.upper())) is not None:
        return found
    word = " ".join(body.casefold().strip(" \t\r\n.!\"'").split())
    if word in STOP_WORDS:
        return False
    return True if word in START_WORDS else None


def _without_words(said: Mapping[str, str]) -> str:
    """What came in the place of words; the pictures themselves stay at Twilio."""
    number = said.get("NumMedia", "")
    return "(pictures, see Twilio)" if number.isdecimal() and int(number) else "(an empty text)"
