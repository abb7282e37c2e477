"""Texts that customers send over Twilio: kept once, and STOP keeps ours from them."""

import time
from datetime import timedelta
from urllib.parse import urlencode

import psycopg
from flask.testing import FlaskClient

from tests.integration.providers import published
from tests.integration.providers.stand_in import StandIn
from tests.integration.providers.test_delivery_reports import (  # noqa: F401 - fixtures
    OUR_URL,
    box,
    client,
    reached,
    sent,
    sql,
    twilio,
    utility,
    whatsapp,
)
from tests.integration.utility import Utility
from tests.mail_server import Mailbox
from tests.unit.messages.test_texts import signed

PATH = "/webhook/twilio/incoming"
NUMBER = "+919876543210"


def says(
    client: FlaskClient,  # noqa: F811
    body: str,
    text_id: str,
    *,
    token: str = published.TWILIO_TOKEN,
    **more: str,
) -> int:
    """A text as Twilio hands it in; the status of the answer."""
    form = {"MessageSid": text_id, "From": NUMBER, "To": published.TWILIO_NUMBER, "Body": body}
    form |= more
    answer = client.post(
        PATH,
        data=urlencode(form),
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": signed(form, url=OUR_URL + PATH, token=token)},
    )
    if answer.status_code == 200:
        # With words in it Twilio would send them as a text.
        assert answer.text == "<Response/>"
        assert answer.content_type.startswith("text/xml")
    return answer.status_code


def test_what_a_customer_texts_is_kept_once(
    utility: Utility,  # noqa: F811
    client: FlaskClient,  # noqa: F811
    database: str,
) -> None:
    reached(utility, database, preferred="sms")
    for _ in range(2):
        assert says(client, "I paid yesterday", "SM-in-1") == 200
    (reply,) = utility.services.database.message_book.open_replies().items
    assert (reply.account_no, reply.sender, reply.channel) == ("A-M1", NUMBER, "sms")
    assert reply.body == "I paid yesterday"


def test_after_a_stop_no_text_leaves_until_a_start(
    utility: Utility,  # noqa: F811
    client: FlaskClient,  # noqa: F811
    twilio: StandIn,  # noqa: F811
    box: Mailbox,  # noqa: F811
    database: str,
) -> None:
    reached(utility, database, preferred="sms")
    assert says(client, " Stop. ", "SM-in-1") == 200
    assert [r.body for r in utility.services.database.message_book.open_replies().items] == [
        " Stop. "
    ]
    before = len(twilio.accepted())
    utility.now += timedelta(days=31)
    second = utility.submit("M1", 1217).bill
    assert second is not None
    assert len(twilio.accepted()) == before
    assert len(box.mails) == 1, "by the next channel"
    found = utility.services.database.notifications(bill_id=second.id).items
    (text,) = [one for one in found if one.channel == "sms"]
    assert (text.status, text.error) == ("not_configured", "the customer stopped texts (STOP)")
    assert says(client, "START", "SM-in-2") == 200
    # Handed in once more: it was said before the START.
    assert says(client, " Stop. ", "SM-in-1") == 200
    utility.now += timedelta(days=31)
    assert utility.submit("M1", 1317).bill is not None
    ends_at = time.monotonic() + 20
    # Its turn on the channel comes some moments later.
    while len(twilio.accepted()) == before and time.monotonic() < ends_at:
        utility.services.delivery.deliver("sms")
        time.sleep(0.2)
    assert len(twilio.accepted()) == before + 1


def test_a_text_that_twilio_did_not_sign_stops_nothing(
    utility: Utility,  # noqa: F811
    client: FlaskClient,  # noqa: F811
    database: str,
) -> None:
    bill = reached(utility, database, preferred="sms")
    assert says(client, "STOP", "SM-in-1", token="guessed") == 403
    assert client.post(PATH, data="{}", content_type="application/json").status_code == 400
    assert client.get(PATH).status_code == 405
    assert utility.services.database.message_book.open_replies().total == 0
    assert sent(utility, bill, "sms").status == "sent"
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from public.stopped_numbers").fetchone() == (0,)
