"""Texts over Twilio and over another gateway, and what customers want of messages."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import psycopg
import pytest

from services.bootstrap_providers import Addresses
from services.settings import SettingsError, load_settings
from tests.integration.providers.published import (
    TWILIO_ACCOUNT,
    TWILIO_NUMBER,
    TWILIO_TOKEN,
    twilio,
    twilio_error,
)
from tests.integration.providers.stand_in import Reply, Seen, StandIn, must, reply, running
from tests.integration.utility import ACTOR, Utility, make_utility
from tests.mail_server import Mailbox, mail_server

TWILIO = {
    "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT,
    "TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
    "TWILIO_FROM": TWILIO_NUMBER,
}
KOLKATA = ZoneInfo("Asia/Kolkata")


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running(twilio()) as found:
        yield found


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


MakeUtility = Callable[..., Utility]


@pytest.fixture
def make(server: StandIn, box: Mailbox, database: str, tmp_path: Path) -> Iterator[MakeUtility]:
    made: list[Utility] = []

    def one(settings: Mapping[str, str] = TWILIO, *, mail: bool = False) -> Utility:
        more = {"DEMO": "off", "UTILITY_NAME": "Mill", "MESSAGES_PER_MINUTE_SMS": "100000"}
        if mail:
            more |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(box.port), "SMTP_SECURITY": "none"}
            more |= {"CUSTOMER_EMAIL_FROM": "a@mill.example", "MESSAGES_PER_MINUTE_EMAIL": "100000"}
        utility = make_utility(
            database,
            tmp_path,
            addresses=Addresses(twilio=server.url),
            more_settings=more | dict(settings),
        )
        made.append(utility)
        utility.add_meter("M1")
        sql(database, "update public.customers set phone = '+91 98765 43210'")
        sql(database, "update public.customers set email = 'l@post.example'")
        return utility

    yield one
    for utility in made:
        utility.services.close()


def sql(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute(statement.encode())


def wishes(utility: Utility, **of: Any) -> None:
    rows = [{"account_no": "A-M1", **of}]
    utility.services.database.set_customer_channels(actor=ACTOR, rows=rows)


def bodies(server: StandIn) -> list[str]:
    return [dict(parse_qsl(seen.body.decode()))["Body"] for seen in server.accepted()]


def submit(utility: Utility) -> dict[str, str]:
    """The status of the bill's message on each channel that was tried or left out."""
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    found = utility.services.database.notifications(bill_id=answer.bill.id).items
    return {one.channel: one.status for one in found}


def test_a_bill_is_texted_in_one_line(make: MakeUtility, server: StandIn) -> None:
    utility = make()
    assert submit(utility)["sms"] == "sent"
    (said,) = bodies(server)
    bill = utility.bills_of("M1")[0]
    assert said.startswith("Mill: electricity bill INV-000001, ₹540.35 by ")
    assert said.endswith(". Pay at our office with the reference INV-000001")
    assert len(said) < 2 * 70, "two parts of a text at most"
    (check,) = [c for c in utility.services.checks if c.name == "Messages (SMS)"]
    assert check.check() == "Twilio answers and knows our account."
    assert bill.reference in said


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (twilio_error(400, 21610), "failed", "the customer stopped such messages"),
        (twilio_error(400, 21614), "failed", "the number is no mobile phone"),
        (twilio_error(401, 20003), "failed", "check TWILIO_ACCOUNT_SID"),
        (twilio_error(429, 20429), "waiting", "cannot do it just now"),
        (reply(503, {}), "waiting", "cannot do it just now"),
        (Reply(200, b"", hang_up=True), "unknown", "not sent twice"),
    ],
)
def test_what_twilio_refuses_is_said_in_our_words(
    make: MakeUtility, server: StandIn, fault: Reply, status: str, words: str
) -> None:
    utility = make()
    server.faults.append(fault)
    assert submit(utility)["sms"] == status
    found = utility.services.database.notifications(page_size=20).items
    (sent,) = [one for one in found if one.channel == "sms"]
    assert words in sent.error
    assert "+91" not in sent.error


def test_another_gateway_is_asked_as_its_template_says(make: MakeUtility) -> None:
    def behave(seen: Seen) -> Reply:
        must(seen.headers["authorization"] == "Bearer key", "no key")
        must(set(seen.json) == {"recipient", "message"}, "fields")
        return reply(200, {"id": 17})

    with running(StandIn(behave, lambda why: reply(400, {"why": why}))) as gateway:
        utility = make(
            {
                "SMS_GATEWAY_URL": f"{gateway.url}/send?key=secret",
                "SMS_GATEWAY_BODY": '{"recipient": "{to}", "message": "{text}"}',
                "SMS_GATEWAY_TOKEN": "key",
            }
        )
        assert submit(utility)["sms"] == "sent"
        (seen,) = gateway.accepted()
    assert seen.json["recipient"] == "+919876543210"


def test_a_template_that_cannot_be_is_refused_at_the_start(make: MakeUtility) -> None:
    with pytest.raises(SettingsError, match=r"SMS_GATEWAY_BODY: it has a field .*\{name\}"):
        make({"SMS_GATEWAY_URL": "http://127.0.0.1:9", "SMS_GATEWAY_BODY": "to={to}&x={name}"})
    with pytest.raises(SettingsError, match="beside TWILIO_ACCOUNT_SID"):
        load_settings({**TWILIO, "SMS_GATEWAY_URL": "http://x.example", "SMS_GATEWAY_BODY": "{}"})


def test_whose_mail_bounces_is_texted(make: MakeUtility, server: StandIn, box: Mailbox) -> None:
    utility = make(mail=True)
    box.at_address.append("550 no such mailbox")
    assert {k: v for k, v in submit(utility).items() if k in {"email", "sms"}} == {
        "email": "failed",
        "sms": "sent",
    }
    assert (box.refused, len(bodies(server))) == (1, 1)


def test_who_is_reached_by_mail_is_not_texted(
    make: MakeUtility, server: StandIn, box: Mailbox
) -> None:
    utility = make(mail=True)
    assert "sms" not in submit(utility)
    assert (len(box.mails), server.seen) == (1, [])


def test_who_prefers_texts_gets_no_mail(make: MakeUtility, server: StandIn, box: Mailbox) -> None:
    utility = make(mail=True)
    wishes(utility, preferred="sms")
    assert submit(utility)["sms"] == "sent"
    assert (len(bodies(server)), box.mails) == (1, [])


def test_who_opted_out_gets_nothing_and_the_log_says_so(
    make: MakeUtility, server: StandIn, box: Mailbox
) -> None:
    utility = make(mail=True)
    wishes(utility, opted_out_at="2026-01-01T00:00:00Z")
    statuses = submit(utility)
    assert {statuses["email"], statuses["sms"]} == {"not_configured"}
    assert (server.accepted(), box.mails) == ([], [])
    found = utility.services.database.notifications(page_size=20).items
    (sent,) = [one for one in found if one.channel == "sms"]
    assert sent.error == "the customer wants no messages"


def test_nothing_leaves_in_the_quiet_hours_and_all_does_after_them(
    make: MakeUtility, server: StandIn, database: str
) -> None:
    utility = make()
    local = datetime.now(UTC).astimezone(KOLKATA)
    # From an hour ago, for two more hours.
    start, end = local - timedelta(hours=1), local + timedelta(hours=2)
    wishes(utility, quiet_from=_minute(start), quiet_until=_minute(end))
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert server.seen == []
    (work,) = utility.services.database.outbox_of(answer.bill.id)
    assert work.steps[12].status == "pending"
    assert work.steps[12].detail == f"waits for the end of the customer's quiet hours ({end:%H:%M})"
    assert work.attempts == 0
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select next_attempt_at - now() from public.outbox where id = %s", [work.id]
        ).fetchone()
    assert row is not None
    assert timedelta(minutes=118) < row[0] <= timedelta(hours=2)
    wishes(utility, quiet_from=None, quiet_until=None)
    sql(database, "update public.outbox set next_attempt_at = now() - interval '1 s'")
    utility.services.outbox.sweep()
    assert len(bodies(server)) == 1


def _minute(at: datetime) -> str:
    return time(at.hour, at.minute).isoformat()
