"""What Twilio and WhatsApp report of messages, signed as they sign it, and what follows."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from flask.testing import FlaskClient

from app import create_app
from services.bootstrap_providers import Addresses
from services.identity.auth import NotAllowed
from services.records.messages import Notification
from tests.integration.providers import published
from tests.integration.providers.published import PHONE_ID, TWILIO_TOKEN
from tests.integration.providers.stand_in import StandIn, running
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.mail_server import Mailbox, mail_server

OUR_URL = "https://mill.example"
SECRET, VERIFY = "app-secret", "verify-token"


@pytest.fixture
def twilio() -> Iterator[StandIn]:
    with running(published.twilio()) as found:
        yield found


@pytest.fixture
def whatsapp() -> Iterator[StandIn]:
    with running(published.whatsapp()) as found:
        yield found


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def utility(
    twilio: StandIn, whatsapp: StandIn, box: Mailbox, database: str, tmp_path: Path
) -> Iterator[Utility]:
    """Reached by SMS first, then by WhatsApp and e-mail."""
    made = make_utility(
        database,
        tmp_path,
        addresses=Addresses(twilio=twilio.url, whatsapp=whatsapp.url),
        more_settings={
            "DEMO": "off",
            "PUBLIC_URL": OUR_URL,
            "TWILIO_ACCOUNT_SID": published.TWILIO_ACCOUNT,
            "TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
            "TWILIO_FROM": published.TWILIO_NUMBER,
            "MESSAGES_PER_MINUTE_SMS": "100000",
            "WHATSAPP_TOKEN": published.WHATSAPP_TOKEN,
            "WHATSAPP_PHONE_NUMBER_ID": PHONE_ID,
            "WHATSAPP_PDF": "on",
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": VERIFY,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(box.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": "billing@mill.example",
        },
    )
    made.add_meter("M1")
    yield made
    made.services.close()


@pytest.fixture
def client(utility: Utility) -> FlaskClient:
    return create_app(utility.services, clock=lambda: utility.now).test_client()


def reached(utility: Utility, dsn: str, **channels: Any) -> str:
    """A bill of a customer who is reached so; its id."""
    sql(dsn, "update public.customers set phone = '+919876543210', email = 'l@post.example'")
    utility.services.database.set_customer_channels(
        actor="test", rows=[{"account_no": "A-M1", **channels}]
    )
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    return answer.bill.id


def sql(dsn: str, statement: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def sent(utility: Utility, bill: str, channel: str) -> Notification:
    found = utility.services.database.notifications(bill_id=bill).items
    (one,) = [one for one in found if one.channel == channel]
    return one


def twilio_says(
    client: FlaskClient, message: Notification, *, token: str = TWILIO_TOKEN, **form: str
) -> int:
    """A status callback as Twilio signs it; the status of the answer."""
    form = {"MessageSid": message.message_id, "AccountSid": published.TWILIO_ACCOUNT, **form}
    path = f"/webhook/twilio?id={message.id}"
    signed = OUR_URL + path + "".join(name + form[name] for name in sorted(form))
    made = hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()
    answer = client.post(
        path,
        data=urlencode(form),
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": base64.b64encode(made).decode()},
    )
    return answer.status_code


def whatsapp_says(client: FlaskClient, value: dict[str, Any], *, secret: str = SECRET) -> int:
    """A delivery of the webhook as WhatsApp signs it; the status of the answer."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100", "phone_number_id": PHONE_ID},
        **value,
    }
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"value": value, "field": "messages"}]}],
    }
    payload = json.dumps(body).encode()
    made = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    answer = client.post(
        "/webhook/whatsapp",
        data=payload,
        content_type="application/json",
        headers={"X-Hub-Signature-256": f"sha256={made}"},
    )
    return answer.status_code


def status_of(message: Notification, status: str, **more: Any) -> dict[str, Any]:
    return {
        "statuses": [
            {
                "id": message.message_id,
                "status": status,
                "timestamp": "1796000000",
                "recipient_id": "919876543210",
                "biz_opaque_callback_data": message.id,
                **more,
            }
        ]
    }


def test_a_text_is_delivered_once_however_often_it_is_reported(
    utility: Utility, client: FlaskClient, twilio: StandIn, database: str
) -> None:
    bill = reached(utility, database, preferred="sms")
    text = sent(utility, bill, "sms")
    assert text.status == "sent"
    (request,) = twilio.accepted()
    assert urlencode({"StatusCallback": f"{OUR_URL}/webhook/twilio?id={text.id}"}) in str(
        request.body
    )
    assert twilio_says(client, text, MessageStatus="sent") == 204
    assert sent(utility, bill, "sms").status == "sent"
    for _ in range(2):
        assert twilio_says(client, text, MessageStatus="delivered") == 204
    found = sent(utility, bill, "sms")
    assert found.status == "delivered"
    assert [event.state for event in found.life] == ["sending", "sent", "delivered"]
    # What comes late says less.
    assert twilio_says(client, text, MessageStatus="undelivered", ErrorCode="30003") == 204
    assert sent(utility, bill, "sms").status == "delivered"


def test_a_text_that_is_not_delivered_goes_on_the_next_channel_once(
    utility: Utility, client: FlaskClient, twilio: StandIn, box: Mailbox, database: str
) -> None:
    bill = reached(utility, database, preferred="sms")
    assert not box.mails
    text = sent(utility, bill, "sms")
    for _ in range(2):
        assert twilio_says(client, text, MessageStatus="undelivered", ErrorCode="30005") == 204
        utility.services.outbox.sweep()
    found = sent(utility, bill, "sms")
    assert found.status == "undelivered"
    assert found.error == "SMS could not deliver it: there is no such number (code 30005)."
    assert len(box.mails) == 1
    assert len(twilio.accepted()) == 1
    (work,) = utility.services.database.outbox_of(bill)
    assert (work.status, work.steps[12].status) == ("finished", "done")
    assert work.steps[12].detail.startswith("SMS: not delivered (SMS could not deliver it")
    assert "E-mail: sent" in work.steps[12].detail


def test_a_report_that_twilio_did_not_sign_is_refused(
    utility: Utility, client: FlaskClient, database: str
) -> None:
    text = sent(utility, bill := reached(utility, database, preferred="sms"), "sms")
    assert twilio_says(client, text, token="guessed", MessageStatus="delivered") == 403
    path = f"/webhook/twilio?id={text.id}"
    form = "application/x-www-form-urlencoded"
    assert client.post(path, data="MessageStatus=delivered", content_type=form).status_code == 403
    assert client.post(path, data="{}", content_type="application/json").status_code == 400
    assert client.post(path, data="a=" + "x" * 1_100_000, content_type=form).status_code == 413
    assert sent(utility, bill, "sms").status == "sent"


def test_a_report_of_another_channel_or_of_no_message_changes_nothing(
    utility: Utility, client: FlaskClient, database: str
) -> None:
    bill = reached(utility, database, preferred="email")
    mail = sent(utility, bill, "email")
    assert twilio_says(client, mail, MessageStatus="delivered") == 204
    stranger = mail.model_copy(update={"id": "no-id"})
    assert twilio_says(client, stranger, MessageStatus="delivered") == 204
    # The server took it, and nobody ever says what became of it.
    assert sent(utility, bill, "email").status == "sent"


def test_a_whatsapp_message_is_delivered_then_read(
    utility: Utility, client: FlaskClient, database: str
) -> None:
    bill = reached(
        utility, database, preferred="whatsapp", whatsapp_opt_in_at="2026-01-01T00:00:00Z"
    )
    message = sent(utility, bill, "whatsapp")
    for status in ("sent", "delivered", "read", "delivered"):
        assert whatsapp_says(client, status_of(message, status)) == 200
    found = sent(utility, bill, "whatsapp")
    assert found.status == "read"
    assert [event.state for event in found.life] == ["sending", "sent", "delivered", "read"]


def test_a_bill_goes_by_whatsapp_as_a_document(
    utility: Utility, whatsapp: StandIn, database: str
) -> None:
    reached(utility, database, preferred="whatsapp", whatsapp_opt_in_at="2026-01-01T00:00:00Z")
    upload, message = whatsapp.accepted()
    assert upload.path.endswith("/media")
    assert message.json["template"]["name"] == "electricity_bill_issued_pdf"


def test_a_pdf_that_whatsapp_refuses_lets_the_text_go_alone(
    utility: Utility, whatsapp: StandIn, database: str
) -> None:
    whatsapp.faults.append(published.whatsapp_error(400, 100, "(#100) too large"))
    bill = reached(
        utility, database, preferred="whatsapp", whatsapp_opt_in_at="2026-01-01T00:00:00Z"
    )
    (message,) = whatsapp.accepted()
    assert message.json["template"]["name"] == "electricity_bill_issued"
    assert sent(utility, bill, "whatsapp").status == "sent"


def test_an_upload_that_is_not_answered_is_tried_again(
    utility: Utility, whatsapp: StandIn, database: str
) -> None:
    whatsapp.faults.append(published.whatsapp_error(500, 131000))
    bill = reached(
        utility, database, preferred="whatsapp", whatsapp_opt_in_at="2026-01-01T00:00:00Z"
    )
    assert sent(utility, bill, "whatsapp").status == "waiting"
    sql(database, "update public.outbox set next_attempt_at = now() - interval '1 s'")
    utility.services.outbox.sweep()
    assert sent(utility, bill, "whatsapp").status == "sent"
    assert [seen.path.rpartition("/")[2] for seen in whatsapp.accepted()] == ["media", "messages"]


def test_a_whatsapp_message_that_fails_goes_by_mail(
    utility: Utility, client: FlaskClient, box: Mailbox, database: str
) -> None:
    bill = reached(
        utility, database, preferred="whatsapp", whatsapp_opt_in_at="2026-01-01T00:00:00Z"
    )
    message = sent(utility, bill, "whatsapp")
    failed = status_of(message, "failed", errors=[{"code": 131026, "title": "Undeliverable"}])
    assert whatsapp_says(client, failed) == 200
    utility.services.outbox.sweep()
    assert len(box.mails) == 1
    found = sent(utility, bill, "whatsapp")
    assert found.status == "undelivered"
    assert "the number cannot be reached on WhatsApp" in found.error


def test_what_whatsapp_did_not_sign_or_nobody_can_read_changes_nothing(
    utility: Utility, client: FlaskClient, database: str
) -> None:
    bill = reached(
        utility, database, preferred="whatsapp", whatsapp_opt_in_at="2026-01-01T00:00:00Z"
    )
    message = sent(utility, bill, "whatsapp")
    assert whatsapp_says(client, status_of(message, "read"), secret="guessed") == 403
    other: dict[str, Any] = {"metadata": {"phone_number_id": "1"}}
    assert whatsapp_says(client, status_of(message, "read") | other) == 200
    for strange in ({"statuses": 7}, {"statuses": [{"status": ["read"]}]}, {"messages": [{}, 3]}):
        assert whatsapp_says(client, strange) == 200
    assert sent(utility, bill, "whatsapp").status == "sent"


def test_whatsapp_is_shown_that_the_webhook_is_ours(client: FlaskClient) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    answer = client.get("/webhook/whatsapp", query_string=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    wrong = client.get("/webhook/whatsapp", query_string=asked | {"hub.verify_token": "x"})
    assert wrong.status_code == 403


def test_what_a_customer_answers_on_whatsapp_is_kept_once(
    utility: Utility, client: FlaskClient, database: str
) -> None:
    reached(utility, database, preferred="sms")
    said = {
        "messages": [
            {
                "from": "919876543210",
                "id": "wamid.answer",
                "timestamp": "1796000000",
                "type": "text",
                "text": {"body": "I paid yesterday\x00"},
            }
        ]
    }
    for _ in range(2):
        assert whatsapp_says(client, said) == 200
    found = utility.services.database.message_book.open_replies()
    assert found.total == 1
    (reply,) = found.items
    assert (reply.account_no, reply.sender) == ("A-M1", "+919876543210")
    assert reply.body == "I paid yesterday"


def test_a_message_is_sent_once_more_on_a_channel_that_somebody_chooses(
    utility: Utility, twilio: StandIn, box: Mailbox, database: str
) -> None:
    bill = reached(utility, database, preferred="sms")
    (work,) = utility.services.database.outbox_of(bill)
    for _ in range(2):
        utility.services.messages.send_again(
            work_id=work.id,
            form_id="5b0e6d1c-7a52-4a51-9a0f-0e0c6fe11a01",
            channel="email",
            label="E-mail",
            principal=ADMIN,
        )
        utility.services.outbox.sweep()
    assert len(box.mails) == 1
    assert len(twilio.accepted()) == 1
    with pytest.raises(NotAllowed):
        utility.services.messages.send_again(
            work_id=work.id, form_id="x", channel="sms", label="SMS", principal=ENGINEER
        )


def test_what_cannot_be_sent_once_more_is_left_to_a_person(utility: Utility, database: str) -> None:
    bill = reached(utility, database, preferred="sms")
    (work,) = utility.services.database.outbox_of(bill)
    utility.services.messages.send_again(
        work_id=work.id, form_id="f", channel="whatsapp", label="WhatsApp", principal=ADMIN
    )
    utility.services.outbox.sweep()
    (work,) = utility.services.database.outbox_of(bill)
    assert work.steps[12].status == "failed"
    assert "the customer has not agreed to it" in work.steps[12].detail


def test_a_number_that_is_none_is_shown_until_a_text_arrives_there_or_it_is_changed(
    utility: Utility, client: FlaskClient, database: str
) -> None:
    bill = utility.services.database.bill(reached(utility, database, preferred="sms"))
    contact = utility.services.database.customer_contact
    text = sent(utility, bill.id, "sms")
    assert contact(bill.customer_id).phone_unreached_at is None
    twilio_says(client, text, MessageStatus="undelivered", ErrorCode="30005")
    since = contact(bill.customer_id).phone_unreached_at
    assert since is not None
    # Networks err: the next text is tried all the same, and takes the mark away when it arrives.
    utility.now += timedelta(days=31)
    following = utility.submit("M1", 1217).bill
    assert following is not None
    text = sent(utility, following.id, "sms")
    assert text.status == "sent"
    assert twilio_says(client, text, MessageStatus="delivered") == 204
    assert contact(bill.customer_id).phone_unreached_at is None


@pytest.mark.parametrize("code", ["30003", "30008", "21610", ""])
def test_a_phone_that_was_off_is_not_said_to_be_none(
    utility: Utility, client: FlaskClient, database: str, code: str
) -> None:
    bill = utility.services.database.bill(reached(utility, database, preferred="sms"))
    text = sent(utility, bill.id, "sms")
    twilio_says(client, text, MessageStatus="undelivered", ErrorCode=code)
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.phone_unreached_at is None


def test_a_report_on_the_number_of_before_says_nothing_of_the_new_one(
    utility: Utility, client: FlaskClient, database: str
) -> None:
    bill = utility.services.database.bill(reached(utility, database, preferred="sms"))
    text = sent(utility, bill.id, "sms")
    # The masked form of both is the same: +91…3210.
    sql(database, "update public.customers set phone = '+919876003210'")
    twilio_says(client, text, MessageStatus="undelivered", ErrorCode="30006")
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.phone_unreached_at is None
