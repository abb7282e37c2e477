"""Words by which customers stop texts and start them, as Twilio signs them."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.messages.reports import ReportRefused
from services.messages.texts import START_WORDS, STOP_WORDS, TwilioTexts, wants_texts

URL = "https://mill.example/webhook/twilio/incoming"
AT = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)


class Kept:
    """Keeps what is noted, once for each id."""

    def __init__(self) -> None:
        self.replies: dict[str, dict[str, Any]] = {}

    @property
    def message_book(self) -> "Kept":
        """Itself."""
        return self

    def note_reply(self, *, reply_id: str, **said: Any) -> bool:
        """Whether it is new."""
        new = reply_id not in self.replies
        self.replies.setdefault(reply_id, said)
        return new


def taker(kept: Kept) -> TwilioTexts:
    database: Any = kept
    return TwilioTexts(database, SecretStr("token"), URL, lambda: AT)


def signed(form: dict[str, str], *, url: str = URL, token: str = "token") -> str:  # noqa: S107
    text = url + "".join(name + form[name] for name in sorted(form))
    made = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(made).decode()


def form(body: str, **more: str) -> dict[str, str]:
    return {"MessageSid": "SM1", "From": "+919876543210", "To": "+15550100", "Body": body, **more}


def take(kept: Kept, said: dict[str, str]) -> bool:
    return taker(kept).take(form=list(said.items()), signature=signed(said))


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_a_word_alone_stops_texts(word: str) -> None:
    for written in (word, word.upper(), f" {word}. ", f"{word}!\n"):
        assert wants_texts(written) is False


@pytest.mark.parametrize("word", sorted(START_WORDS))
def test_a_word_alone_starts_texts(word: str) -> None:
    assert wants_texts(word.title()) is True


@pytest.mark.parametrize(
    "said", ["", "please stop by tomorrow", "Do not STOP", "stopp", "yes, I paid", "help", "info"]
)
def test_words_within_a_sentence_say_nothing_of_texts(said: str) -> None:
    assert wants_texts(said) is None


def test_what_twilio_read_out_of_it_holds() -> None:
    assert wants_texts("ARRET", "STOP") is False
    assert wants_texts("stop", "START") is True
    assert wants_texts("help", "HELP") is None
    assert wants_texts("stop", "HELP") is False


@given(st.text(max_size=200))
def test_any_text_can_be_read(said: str) -> None:
    assert wants_texts(said) in (True, False, None)


def test_a_text_is_kept_once_however_often_it_is_handed_in() -> None:
    kept = Kept()
    assert take(kept, form("I paid yesterday\x00"))
    assert not take(kept, form("I paid yesterday\x00"))
    ((reply_id, reply),) = kept.replies.items()
    assert str(UUID(reply_id)) == reply_id
    assert reply["sender"] == "+919876543210"
    assert (reply["body"], reply["channel"]) == ("I paid yesterday", "sms")
    assert reply["wants_texts"] is None


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "é",
        signed(form("STOP"), token="guessed"),
        signed(form("STOP"), url="https://mill.example/webhook/twilio"),
        signed(form("I paid")),
    ],
)
def test_a_text_that_twilio_did_not_sign_is_refused(signature: str | None) -> None:
    kept = Kept()
    with pytest.raises(ReportRefused):
        taker(kept).take(form=list(form("STOP").items()), signature=signature)
    assert not kept.replies


def test_a_sender_without_a_number_and_a_text_without_an_id_are_left_out() -> None:
    kept = Kept()
    for said in (form("Hello", From="MILL"), form("Hello", From=""), form("Hello", MessageSid="")):
        assert not take(kept, said)
    assert not kept.replies


def test_pictures_without_words_are_named() -> None:
    kept = Kept()
    take(kept, form("", NumMedia="2"))
    (reply,) = kept.replies.values()
    assert reply["body"] == "(pictures, see Twilio)"
