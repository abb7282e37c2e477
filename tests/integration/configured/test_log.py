"""The log of the whole story, good and bad: it says what happened, and nothing that is secret."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from llmock.pytest_plugin import LLMock

from services.telemetry.formats import JsonFormatter
from services.telemetry.journal import Journal
from services.telemetry.redaction import Redactor
from tests.integration.ai.advised import bill, verdict
from tests.integration.configured.servers import (
    ADDRESS,
    EMAIL,
    ENGINEER,
    NAME,
    PHONE,
    STRIPE_KEY,
    App,
    Json,
    Servers,
)
from tests.integration.providers.published import OWN_PATH, SHARED_PATH, WHATSAPP_TOKEN
from tests.integration.providers.stand_in import Reply
from tests.oidc.tenant import CLIENT_SECRET

WORDS = "Namaste {name}! {amount} by {due_date}: {link}"


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """All that is logged, at the chattiest level of every library, as the handler writes it.

    The redaction does not know the secrets by their values here: their shapes must do.
    """
    stream = io.StringIO()
    target = logging.StreamHandler(stream)
    target.setFormatter(JsonFormatter())
    journal = Journal([target], Redactor())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(journal)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(journal)
    root.setLevel(before)


def test_the_log_of_the_story_has_ids_and_failures_and_no_secret(
    servers: Servers, llmock: LLMock, said: io.StringIO
) -> None:
    llmock.reply(verdict()).reply(bill()).reply(json.dumps({"text": WORDS}))
    servers.providers.stripe.faults += [Reply(500, b"{}")]
    token = servers.sign_in()
    with servers.app() as app:
        reading = app.add_household("MTR-LOG")
        status, answer = app.submit(reading, token)
        assert status == 201, answer
        app.later()
        refused_in_every_way(app, reading, token)
        number = answer["bill"]["number"]
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    (done,) = [x for x in lines if x["message"] == "POST /webhook/meter-reading 201"]
    assert (done["meter"], done["bill"], done["actor"]) == ("MTR-LOG", number, ENGINEER)
    failed = found(lines, "a call of Stripe failed")
    assert (failed["error_kind"], failed["request_id"]) == ("http_500", done["request_id"])
    again = found(lines, "step 9 (Payment link created) failed for now")
    assert (again["attempt"], again["next_try_in_s"], again["bill"]) == (1, 15, number)
    refusals = {x["message"] for x in lines if " refused: " in x["message"]}
    assert refusals == {
        "POST /webhook/stripe refused: 400 bad_signature",
        "POST /webhook/meter-reading refused: 401 not_signed_in",
        "POST /webhook/meter-reading refused: 409 reading_conflict",
        "POST /webhook/meter-reading refused: 422 invalid_reading",
        "GET /api/bills/<bill_id> refused: 404 not_found",
    }
    text = said.getvalue()
    secrets = (
        *(token, STRIPE_KEY, "whsec_x", "sk-of-nobody", WHATSAPP_TOKEN, CLIENT_SECRET),
        *(servers.supabase.project.service_key, servers.graph.password, "hush-signature"),
        *(OWN_PATH, SHARED_PATH, answer_link(app, answer)),
        *(NAME, EMAIL, PHONE, PHONE[3:], ADDRESS),
    )
    assert [secret for secret in secrets if secret in text] == []


def answer_link(app: App, answer: Json) -> str:
    """The path of the bill's payment link."""
    (seen,) = {reply.body for _, reply in app.servers.providers.stripe.answered[-1:]}
    return str(json.loads(seen)["url"]).split("/", 3)[3] or str(answer)


def refused_in_every_way(app: App, reading: Json, token: str) -> None:
    """Send what is answered with 400, 401, 404, 409 and 422."""

    def post(path: str, body: Json, **headers: str) -> int:
        return requests.post(f"{app.url}{path}", json=body, headers=headers, timeout=30).status_code

    bearer = f"Bearer {token}"
    assert post("/webhook/stripe", {}, **{"Stripe-Signature": "t=1,v1=hush-signature"}) == 400
    forged = f"{token[:-8]}AAAAAAAA"
    assert post("/webhook/meter-reading", reading, Authorization=f"Bearer {forged}") == 401
    other = reading | {"reading_kwh": "1118"}
    assert post("/webhook/meter-reading", other, Authorization=bearer) == 409
    absurd = reading | {"reading_kwh": f"{NAME} {PHONE}"}
    assert post("/webhook/meter-reading", absurd, Authorization=bearer) == 422
    answer = requests.get(
        f"{app.url}/api/bills/0b8e2f6c-5a3d-4c1e-9f70-2d6a4b8c1e35?email={EMAIL}",
        headers={"Authorization": bearer},
        timeout=30,
    )
    assert answer.status_code == 404
    assert answer.json()["error"]["request_id"] == answer.headers["X-Request-Id"]


def found(lines: list[dict[str, Any]], beginning: str) -> dict[str, Any]:
    """The first line that begins so."""
    return next(line for line in lines if line["message"].startswith(beginning))
