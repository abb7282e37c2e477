"""Whatever a service outside does, the bill is kept, and its step ends with a reason."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.outbox.outbox import MAX_ATTEMPTS
from tests.integration.providers.conftest import MakeOffice, Office, Providers
from tests.integration.providers.published import stripe_error, whatsapp_error
from tests.integration.providers.stand_in import Reply, StandIn, reply
from tests.integration.utility import ACTOR

NOT_JSON = Reply(200, b"<html>maintenance</html>")
SILENCE = Reply(200, b"{}", silence_seconds=1.2)


@dataclass(frozen=True)
class Service:
    """A service, the step that needs it, and what the step says of a fault."""

    name: str
    step: int
    refusal: Reply
    too_many: Reply
    unauthorized: Reply

    def of(self, providers: Providers) -> StandIn:
        """Its server."""
        server: StandIn = getattr(providers, self.name)
        return server


STRIPE = Service(
    "stripe",
    9,
    stripe_error(400, "Amount must convert to at least 50 cents.", code="amount_too_small"),
    stripe_error(429, "Too many requests", code="rate_limit"),
    stripe_error(401, "Invalid API Key provided: sk_test_****1234"),
)
DISCORD = Service(
    "discord",
    12,
    reply(400, {"message": "Invalid Form Body", "code": 50035}),
    reply(429, {"message": "You are being rate limited.", "retry_after": 0.01, "global": False}),
    reply(401, {"message": "401: Unauthorized", "code": 0}),
)
WHATSAPP = Service(
    "whatsapp",
    12,
    whatsapp_error(400, 131026, "(#131026) Message undeliverable to +919876543210"),
    whatsapp_error(429, 130429),
    whatsapp_error(401, 190, "Error validating access token: EAAtoken"),
)
EACH = pytest.mark.parametrize("service", [STRIPE, DISCORD, WHATSAPP], ids=lambda s: s.name)
MESSENGER = pytest.mark.parametrize("service", [DISCORD, WHATSAPP], ids=lambda s: s.name)


@pytest.fixture
def office(service: Service, make_office: MakeOffice) -> Office:
    """An office with only this service, so that its step stands for it alone."""
    others = {
        "stripe": ("DISCORD_WEBHOOK_URL", "WHATSAPP_TOKEN", "WHATSAPP_PHONE_NUMBER_ID"),
        "discord": ("WHATSAPP_TOKEN", "WHATSAPP_PHONE_NUMBER_ID"),
        "whatsapp": ("DISCORD_WEBHOOK_URL",),
    }
    made = make_office(without=others[service.name])
    made.add_customer(whatsapp_opt_in_at="2026-01-01T00:00:00Z")
    return made


def submit(office: Office) -> tuple[str, Callable[[int], tuple[str, str]]]:
    """Submit a reading: the bill's id, and a look at its steps as they stand."""
    answer = office.utility.submit("M1", 1117)
    assert answer.bill is not None
    bill_id = answer.bill.id
    assert office.database.bill(bill_id).status == "issued", "the bill is kept"
    assert office.database.bill(bill_id).total_minor == 54035
    return bill_id, lambda step: office.outbox(bill_id)[1][step]


@EACH
def test_unreachable_it_is_tried_again_and_done(
    service: Service, office: Office, providers: Providers
) -> None:
    with service.of(providers).away():
        _, step = submit(office)
        assert step(service.step)[0] == "pending"
        assert "cannot be reached" in step(service.step)[1]
    office.later()
    assert step(service.step)[0] == "done"
    assert len(service.of(providers).accepted()) == 1


@EACH
def test_too_many_requests_and_it_is_tried_again(
    service: Service, office: Office, providers: Providers
) -> None:
    server = service.of(providers)
    # The pauses of Discord and Stripe are short, so that they are asked a second time at once.
    server.faults += [service.too_many] * (2 if service in (DISCORD, STRIPE) else 1)
    _, step = submit(office)
    assert step(service.step)[0] == "pending"
    office.later()
    assert step(service.step)[0] == "done"
    assert len(server.accepted()) == 1


@EACH
@pytest.mark.parametrize("body", [b"", b"{}", b"<html>502 Bad Gateway</html>", b"[1]", b'"x"'])
def test_failing_three_times_then_fine(
    service: Service, office: Office, providers: Providers, body: bytes
) -> None:
    service.of(providers).faults += [Reply(500, body), Reply(503, body), Reply(502, body)]
    _, step = submit(office)
    for _ in range(2):
        assert step(service.step)[0] == "pending"
        assert step(service.step)[1]
        office.later()
    assert step(service.step)[0] == "pending"
    office.later()
    assert step(service.step)[0] == "done"
    assert len(service.of(providers).accepted()) == 1


@EACH
def test_not_let_in_a_person_is_told_what_to_check_and_no_secret(
    service: Service, office: Office, providers: Providers
) -> None:
    service.of(providers).faults += [service.unauthorized]
    bill_id, step = submit(office)
    status, said = step(service.step)
    assert status == "failed"
    assert any(word in said for word in ("STRIPE_SECRET_KEY", "webhook", "WHATSAPP_TOKEN")), said
    assert not any(secret in said for secret in ("1234", "EAA", "a-webhook-token"))
    office.later()
    assert len(service.of(providers).seen) == 1, "it is not tried again by itself"
    assert bill_id in [work.bill_id for work in office.database.failed_work().items]


@EACH
def test_refused_for_good_the_reason_is_kept_and_a_person_can_try_again(
    service: Service, office: Office, providers: Providers
) -> None:
    service.of(providers).faults += [service.refusal]
    bill_id, step = submit(office)
    assert step(service.step)[0] == "failed"
    assert "refused" in step(service.step)[1]
    assert "9876543210" not in step(service.step)[1]
    (work,) = office.database.failed_work().items
    for _ in range(2):
        office.database.retry_outbox(actor=ACTOR, work_id=work.id)
    office.later()
    status, steps = office.outbox(bill_id)
    assert status == "finished"
    assert {steps[n][0] for n in (9, 10, 11, 12, 13) if steps[n][1] != "not configured"} == {"done"}
    assert office.database.failed_work().total == 0
    with pytest.raises(IllegalChange):
        office.database.retry_outbox(actor=ACTOR, work_id=work.id)


@EACH
def test_given_up_after_ten_attempts_and_taken_up_again_by_a_person(
    service: Service, office: Office, providers: Providers
) -> None:
    service.of(providers).faults += [Reply(500, b"{}")] * MAX_ATTEMPTS
    bill_id, step = submit(office)
    for _ in range(MAX_ATTEMPTS + 1):
        office.later()
    assert len(service.of(providers).seen) == MAX_ATTEMPTS
    assert step(service.step)[1].startswith("given up after 10 attempts: ")
    assert office.outbox(bill_id)[0] == "given_up"
    if service.step == 12:
        assert {sent.status for sent in office.log(bill_id).values()} == {"given_up"}
    (work,) = office.database.failed_work().items
    office.database.retry_outbox(actor=ACTOR, work_id=work.id)
    office.later()
    assert office.outbox(bill_id)[0] == "finished"
    assert step(service.step)[0] == "done"
    actors = office.sql("select actor from public.audit_log where table_name = 'outbox'")
    assert actors == [(ACTOR,)]


@pytest.mark.parametrize("service", [STRIPE], ids=lambda s: s.name)
@pytest.mark.parametrize(
    "fault", [SILENCE, NOT_JSON, Reply(200, b"[]"), Reply(200, b"{}", hang_up=True)]
)
def test_without_a_readable_answer_stripe_is_asked_again_and_makes_one_link(
    office: Office, providers: Providers, fault: Reply
) -> None:
    providers.stripe.faults += [fault]
    _, step = submit(office)
    assert step(9)[0] == "pending"
    assert step(9)[1].startswith("Stripe")
    office.later()
    assert step(9)[0] == "done"
    assert len(providers.stripe.accepted()) == 1


@MESSENGER
@pytest.mark.parametrize(
    "fault", [SILENCE, NOT_JSON, Reply(200, b"[]"), Reply(200, b"{}", hang_up=True)]
)
def test_without_a_readable_answer_a_message_is_unknown_and_never_sent_twice(
    service: Service, office: Office, providers: Providers, fault: Reply
) -> None:
    service.of(providers).faults += [fault]
    bill_id, step = submit(office)
    assert step(12)[0] == "done"
    assert "may have arrived" in step(12)[1]
    (sent,) = [s for s in office.log(bill_id).values() if s.attempts]
    assert sent.status == "unknown"
    assert "not sent twice" in sent.error
    office.later()
    assert len(service.of(providers).seen) == 1


@pytest.mark.parametrize("service", [DISCORD], ids=lambda s: s.name)
def test_discord_is_left_alone_for_as_long_as_it_asks(office: Office, providers: Providers) -> None:
    providers.discord.faults += [reply(429, {"retry_after": 2.4, "global": False})]
    _, step = submit(office)
    assert step(12)[0] == "pending"
    assert "asks to wait 2 seconds" in step(12)[1]
    office.later()
    assert len(providers.discord.seen) == 1, "the pause is not over"
    time.sleep(2.5)
    office.later()
    assert step(12)[0] == "done"


@pytest.mark.parametrize("service", [DISCORD], ids=lambda s: s.name)
def test_a_short_pause_that_discord_asks_for_is_waited_for_at_once(
    office: Office, providers: Providers
) -> None:
    providers.discord.faults += [Reply(429, b"", {"Retry-After": "0.2"})]
    began = time.monotonic()
    _, step = submit(office)
    assert time.monotonic() - began >= 0.2
    assert step(12)[0] == "done"


@pytest.mark.parametrize(
    ("status", "code", "wanted"),
    [
        (500, 3, "failed"),
        (400, 4, "pending"),
        (400, 80007, "pending"),
        (500, 131000, "pending"),
        (500, 131016, "pending"),
        (503, 2, "pending"),
        (400, 131047, "failed"),
        (403, 210, "failed"),
        (404, 132001, "failed"),
        (400, 999999, "failed"),
        (503, 999999, "pending"),
    ],
)
@pytest.mark.parametrize("service", [WHATSAPP], ids=lambda s: s.name)
def test_whatsapps_code_decides_not_the_http_status(
    office: Office, providers: Providers, status: int, code: int, wanted: str
) -> None:
    providers.whatsapp.faults += [whatsapp_error(status, code)]
    _, step = submit(office)
    assert step(12)[0] == wanted
    assert f"code {code}" in step(12)[1]


class Forgetful(DatabaseService):
    """Dies between sending and recording, as a killed process does."""

    def end_notification(self, **_: object) -> None:
        """Never gets so far."""
        raise RuntimeError("killed")


def test_what_was_sent_before_a_crash_is_not_sent_again(
    make_office: MakeOffice, providers: Providers
) -> None:
    dying = make_office(without=("WHATSAPP_TOKEN", "WHATSAPP_PHONE_NUMBER_ID"), kept=Forgetful)
    dying.add_customer()
    bill_id, step = submit(dying)
    assert step(12)[0] == "pending"
    alive = make_office(without=("WHATSAPP_TOKEN", "WHATSAPP_PHONE_NUMBER_ID"))
    alive.later()
    assert step(12)[0] == "done"
    assert "may have arrived" in step(12)[1]
    assert len(providers.discord.accepted()) == 1
    assert alive.log(bill_id)["discord"].status == "unknown"


def test_one_channel_that_fails_does_not_lose_the_other_nor_send_it_twice(
    make_office: MakeOffice, providers: Providers, own_webhook: str
) -> None:
    office = make_office()
    office.add_customer(whatsapp_opt_in_at="2026-01-01T00:00:00Z", discord_webhook_url=own_webhook)
    # The shared channel comes first, then the customer's own.
    providers.discord.faults += [Reply(500, b"{}")]
    bill_id, step = submit(office)
    assert step(12)[0] == "pending"
    assert len(providers.whatsapp.accepted()) == 1
    assert len(providers.discord.accepted()) == 1
    office.later()
    assert step(12) == ("done", "Discord: sent; Customer's Discord: sent; WhatsApp: sent")
    assert len(providers.whatsapp.accepted()) == 1
    assert len(providers.discord.accepted()) == 2
    assert {c: (s.status, s.attempts) for c, s in office.log(bill_id).items()} == {
        "discord": ("sent", 2),
        "discord_customer": ("sent", 1),
        "whatsapp": ("sent", 1),
    }


def test_a_channel_that_refuses_does_not_fail_the_step_that_reached_somebody(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office()
    office.add_customer(whatsapp_opt_in_at="2026-01-01T00:00:00Z")
    providers.whatsapp.faults += [WHATSAPP.refusal]
    bill_id, step = submit(office)
    assert step(12)[0] == "done"
    assert step(13)[0] == "done"
    refused = office.log(bill_id)["whatsapp"]
    assert refused.status == "failed"
    assert refused.outbox_id is not None
    office.database.retry_outbox(actor=ACTOR, work_id=refused.outbox_id)
    office.later()
    assert {s.status for s in office.log(bill_id).values()} == {"sent", "not_configured"}
    assert len(providers.discord.accepted()) == 1, "what was sent is not sent again"
