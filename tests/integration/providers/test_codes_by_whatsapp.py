"""Codes for a customer's page go by WhatsApp where the customer wants that, and nothing else.

The stand-in takes a code only in the form of an approved template for codes.
"""

import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from services.messages.direct import CodesByWhatsApp, DirectMessages, KeptHere, Note
from services.messages.whatsapp import WhatsApp
from services.records.messages import CustomerContact
from tests.integration.providers.published import (
    CODE_TEMPLATE,
    PHONE_ID,
    WHATSAPP_TOKEN,
    whatsapp,
)
from tests.integration.providers.stand_in import StandIn, running

CODE = Note("Your code: 1234 5678", "1234 5678 is the code for your page.", code="12345678")


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running(whatsapp()) as found:
        yield found


@pytest.fixture
def direct(server: StandIn) -> Iterator[DirectMessages]:
    client = WhatsApp(
        token=SecretStr(WHATSAPP_TOKEN), phone_number_id=PHONE_ID, base_url=server.url
    )
    made = DirectMessages([KeptHere(), CodesByWhatsApp(client, CODE_TEMPLATE)])
    yield made
    made.close()
    assert server.problems == []


def contact(**changes: object) -> CustomerContact:
    fields: dict[str, object] = {"customer_id": "c", "email": "", "language": "en"}
    fields |= {"phone": "+919876543210", "preferred": "whatsapp", "discord_webhook_url": None}
    fields |= {"whatsapp_opt_in_at": "2026-01-01T00:00:00Z", "opted_out_at": None}
    return CustomerContact.model_validate(fields | changes)


def sent(server: StandIn, number: int) -> None:
    until = time.monotonic() + 10
    while len(server.seen) < number:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_code_goes_by_whatsapp_to_who_prefers_it(server: StandIn, direct: DirectMessages) -> None:
    assert direct.way_to(contact(), for_code=True) == "whatsapp"
    assert direct.send(contact(), CODE)
    sent(server, 1)
    (seen,) = server.seen
    assert seen.json["to"] == "+919876543210"
    assert seen.json["template"]["name"] == CODE_TEMPLATE
    assert "12345678" in seen.body.decode()


def test_what_is_no_code_takes_another_way(server: StandIn, direct: DirectMessages) -> None:
    assert direct.way_to(contact()) == "email"
    assert direct.send(contact(), Note("Your page", "The link is yours alone."))
    assert direct.shown_here("c") is not None
    assert server.seen == []


@pytest.mark.parametrize("changes", [{"whatsapp_opt_in_at": None}, {"phone": "the neighbour's"}])
def test_who_did_not_agree_or_has_no_number_is_not_written_to(
    direct: DirectMessages, changes: dict[str, object]
) -> None:
    assert direct.way_to(contact(**changes), for_code=True) == "email"
