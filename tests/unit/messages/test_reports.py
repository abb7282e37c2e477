"""Reports of Twilio and WhatsApp in odd forms: what is signed counts, what cannot be is passed."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.messages.reports import (
    LONGEST_REPLY,
    ReportRefused,
    TwilioReports,
    WhatsAppReports,
    check_twilio,
    is_id,
    storable,
)
from tests.unit.messages.test_texts import signed

NOTIFICATION = "0d3f5c1e-5a9e-4e43-8a7f-2f3f8f8f1c11"
URL = "https://mill.example/webhook/twilio"
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


class Book:
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.deliveries: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []

    @property
    def message_book(self) -> "Book":
        """Itself."""
        return self

    def note_delivery(self, **said: Any) -> bool:
        """Keep a report."""
        self.deliveries.append(said)
        return True

    def note_reply(self, **said: Any) -> bool:
        """Keep an answer."""
        self.replies.append(said)
        return True


def twilio(form: dict[str, str], notification_id: str = NOTIFICATION) -> list[dict[str, Any]]:
    book: Any = Book()
    TwilioReports(book, SecretStr("token"), URL).take(
        notification_id=notification_id,
        form=list(form.items()),
        signature=signed(form, url=f"{URL}?id={notification_id}"),
    )
    return list(book.deliveries)


def whatsapp(body: Any, *, signature: str | None = None) -> Book:
    book: Any = Book()
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = hmac.new(b"secret", payload, hashlib.sha256).hexdigest()
    WhatsAppReports(book, SecretStr("secret"), SecretStr("verify"), "1").take(
        payload=payload, signature=f"sha256={made}" if signature is None else signature
    )
    found: Book = book
    return found


def value(**said: Any) -> dict[str, Any]:
    changes = [{"field": "messages", "value": {"metadata": {"phone_number_id": "1"}, **said}}]
    return {"entry": [{"changes": changes}]}


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        ("delivered", "delivered"),
        ("read", "read"),
        ("undelivered", "undelivered"),
        ("failed", "undelivered"),
        ("sent", None),
        ("queued", None),
        ("DELIVERED", None),
        ("", None),
    ],
)
def test_what_twilio_reports_of_a_text(status: str, kept: str | None) -> None:
    found = twilio({"MessageStatus": status, "ErrorCode": "30005"})
    assert [one["status"] for one in found] == ([kept] if kept else [])


def test_a_code_that_nobody_knows_is_named_and_one_that_is_none_is_not() -> None:
    (found,) = twilio({"MessageStatus": "undelivered", "ErrorCode": "39999"})
    assert found["detail"] == "SMS could not deliver it (code 39999)."
    (found,) = twilio({"MessageStatus": "undelivered", "ErrorCode": "<b>٣</b>"})
    assert found["detail"] == "SMS could not deliver it."


@pytest.mark.parametrize("wrong", ["", "x", NOTIFICATION.upper(), f"{{{NOTIFICATION}}}"])
def test_a_report_of_what_is_no_message_is_passed_over(wrong: str) -> None:
    assert not is_id(wrong)
    assert twilio({"MessageStatus": "delivered"}, wrong) == []


def test_a_field_moved_into_another_is_another_signature() -> None:
    form = [("MessageSid", "SM1"), ("MessageStatus", "delivered")]
    good = signed(dict(form), url=URL)
    check_twilio(URL, form, signature=good, token=SecretStr("token"))
    moved = [("MessageSid", "SM1MessageStatus"), ("MessageStatus2", "delivered")]
    for other in (moved, form[:1], [*form, ("To", "+1")]):
        with pytest.raises(ReportRefused):
            check_twilio(URL, other, signature=good, token=SecretStr("token"))


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5), st.text() | st.none())
def test_nothing_that_is_guessed_is_twilios(
    form: list[tuple[str, str]], signature: str | None
) -> None:
    with pytest.raises(ReportRefused):
        check_twilio(URL, form, signature=signature, token=SecretStr("token"))


@pytest.mark.parametrize("signature", ["", "sha256=", "sha1=00", "é", "sha256=" + "0" * 64])
def test_what_whatsapp_did_not_sign_is_refused(signature: str) -> None:
    with pytest.raises(ReportRefused):
        whatsapp(value(statuses=[]), signature=signature)


@given(JSON)
def test_whatever_whatsapp_sends_can_be_read(body: Any) -> None:
    whatsapp(body)
    whatsapp({"entry": body})
    whatsapp(value(statuses=body, messages=body))


@pytest.mark.parametrize("payload", [b"", b"[" * 100_000, b"\xff", b"nan", b'"text"'])
def test_what_is_no_json_is_passed_over(payload: bytes) -> None:
    assert whatsapp(payload).deliveries == []


def test_an_answer_of_another_kind_and_of_a_time_that_cannot_be_is_kept() -> None:
    said = {"from": "919876543210", "id": "wamid.1", "type": "image", "timestamp": "9999999999"}
    (reply,) = whatsapp(value(messages=[said])).replies
    assert reply["body"] == "(image, see WhatsApp)"
    assert reply["received_at"].year == 2100
    strange = ({**said, "from": "٣٣"}, {**said, "from": "1" * 16}, {**said, "from": None})
    assert whatsapp(value(messages=list(strange))).replies == []


@given(st.text())
def test_a_strangers_text_can_be_stored(text: str) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    assert len(kept) <= LONGEST_REPLY
    kept.encode()


def test_half_a_letter_is_replaced() -> None:
    assert storable("a\ud800b") == "a?b"
