"""POST /webhook/stripe: what is Stripe's is taken at once, everything else is refused."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from services.database.transport import TemporaryDatabaseError
from services.outbox.outbox import StepDone
from tests.integration.api.talk import answer_of, error_of
from tests.integration.payments.office import Office, open_office, signed
from tests.integration.payments.told import Json, completed, event
from tests.servers import NewDatabase

WEBHOOK = "/webhook/stripe"


def client_of(office: Office) -> FlaskClient:
    now = office.utility.now
    return create_app(office.utility.services, clock=lambda: now).test_client()


@pytest.fixture
def client(office: Office) -> FlaskClient:
    return client_of(office)


@pytest.fixture
def deliver(client: FlaskClient, office: Office) -> Callable[..., Any]:
    """Send an event as Stripe does."""

    def send(raw: Json, **other: Any) -> Any:
        body, headers = signed(raw, at=office.utility.now.timestamp())
        return client.post(WEBHOOK, **({"data": body, "headers": headers} | other))

    return send


def stored(office: Office) -> int:
    return office.utility.services.database.stripe_events().total


def test_an_event_is_acknowledged_however_often_it_comes(
    deliver: Callable[..., Any], office: Office
) -> None:
    bill = office.bill()
    for raw in (paid := completed(bill, "pi_web"), paid, event("price.created", {"id": "price_1"})):
        assert answer_of(deliver(raw), 200) == {"received": True}
    assert office.now(bill).status == "paid"


def test_what_stripe_did_not_sign_is_refused_and_nothing_is_stored(
    client: FlaskClient, deliver: Callable[..., Any], office: Office
) -> None:
    before = stored(office)
    raw = completed(office.bill(), "pi_forged")
    now = office.utility.now.timestamp()
    for headers in ({}, {"Stripe-Signature": "t=1,v1=ab"}, signed(raw, at=now - 301)[1]):
        answer = deliver(raw, headers=headers)
        assert "signature" in error_of(answer, 400)
        assert answer.get_json()["error"]["code"] == "bad_signature"
    truncated, headers = signed(raw, at=now)
    assert error_of(client.post(WEBHOOK, data=truncated[:-9], headers=headers), 400)
    nonsense, headers = signed({"object": "list"}, at=now)
    assert "not an event" in error_of(client.post(WEBHOOK, data=nonsense, headers=headers), 400)
    assert stored(office) == before


def test_a_body_of_two_megabytes_is_refused(deliver: Callable[..., Any], office: Office) -> None:
    before = stored(office)
    large = completed(office.bill(), "pi_large") | {"filler": "x" * 2 * 1024 * 1024}
    assert error_of(deliver(large), 413)
    assert stored(office) == before


def test_stripe_is_asked_to_come_again_while_the_database_is_away(
    deliver: Callable[..., Any], office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> None:
        raise TemporaryDatabaseError("08006", "secret address")

    bill = office.bill()
    with monkeypatch.context() as patched:
        patched.setattr(office.utility.services.database, "apply_stripe_event", away)
        answer = deliver(raw := completed(bill, "pi_away"))
        assert "secret" not in error_of(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
    assert answer_of(deliver(raw), 200) == {"received": True}
    assert office.now(bill).status == "paid"


def test_nothing_outside_keeps_stripe_waiting(fresh_database: NewDatabase, tmp_path: Path) -> None:
    tried: list[int] = []

    def hangs(**_: object) -> StepDone:
        tried.append(1)
        time.sleep(30)
        return StepDone("too late")

    handlers = dict.fromkeys((9, 10, 11, 12, 13), hangs)
    office = open_office(fresh_database(), tmp_path)
    bill = office.bill()
    office.utility.services.close()
    office = open_office(bill_dsn(office), tmp_path, step_handlers=handlers)
    body, headers = signed(completed(bill, "pi_slow"), at=office.utility.now.timestamp())
    began = time.perf_counter()
    assert answer_of(client_of(office).post(WEBHOOK, data=body, headers=headers), 200)
    assert time.perf_counter() - began < 2
    assert tried == []
    outbox = {o.kind: o.status for o in office.utility.services.database.outbox_of(bill.id)}
    assert outbox["payment_received"] == outbox["balance_changed"] == "open"
    office.utility.services.close()


def bill_dsn(office: Office) -> str:
    address = office.utility.services.settings.database_url
    assert address is not None
    return address.get_secret_value()
