"""What the HTTP API says of its health, and when it cannot serve."""

import json
import logging
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.billing.chain_retry import MeterTooBusy
from services.database.errors import IllegalChange
from services.database.transport import TemporaryDatabaseError
from services.readings.reading_to_bill import ReadingToBill
from tests.integration.api.talk import READING, answer_of, error_of
from tests.integration.utility import Utility


def test_a_method_that_an_address_does_not_take_is_refused(client: FlaskClient) -> None:
    answer = client.get(READING)
    assert error_of(answer, 405)
    assert "POST" in answer.headers["Allow"]
    assert error_of(client.options("/api/health"), 405)


def test_stripe_is_told_that_payments_are_not_configured(client: FlaskClient) -> None:
    answer = client.post("/webhook/stripe", data=b"{}")
    assert error_of(answer, 503) == "Payments are not configured."
    assert answer_of(answer, 503)["error"]["code"] == "payments_not_configured"


def test_health_says_what_runs_and_what_is_not_configured(client: FlaskClient) -> None:
    found = answer_of(client.get("/api/health"), 200)
    assert found["status"] == "ok"
    assert found["services"]["database"] == "ok"
    assert found["services"]["scheduler"] == "stopped"
    assert found["services"]["disk"] == "ok"
    for name in ("graph", "ai", "payments", "discord", "whatsapp", "auth0"):
        assert found["services"][name] == "not configured"


def test_health_is_degraded_without_the_database(
    client: FlaskClient, utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = _raising(TemporaryDatabaseError("08006", "secret address"))
    monkeypatch.setattr(utility.services.database, "ping", away)
    found = answer_of(client.get("/api/health"), 503)
    assert found["status"] == "degraded"
    assert found["services"]["database"] == "unreachable"
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TemporaryDatabaseError("08006", "secret address"), 503),
        (MeterTooBusy("Try again shortly."), 503),
        (IllegalChange("EB005", "That bill was issued."), 409),
        (RuntimeError("secret detail"), 500),
    ],
)
def test_a_failure_behind_the_api_is_told_without_its_insides(
    submit: Callable[..., TestResponse], monkeypatch: pytest.MonkeyPatch,
    error: Exception, status: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(ReadingToBill, "submit", _raising(error))
    answer = submit()
    assert "secret" not in error_of(answer, status)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_an_unexpected_failure_is_logged_under_the_id_that_is_told_and_without_the_token(
    submit: Callable[..., TestResponse],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    engineer: dict[str, str],
) -> None:
    monkeypatch.setattr(ReadingToBill, "submit", _raising(RuntimeError("secret detail")))
    with caplog.at_level(logging.DEBUG):
        answer = submit()
    assert error_of(answer, 500).endswith("nothing was lost.")
    assert answer.headers["X-Incident-Id"] in caplog.text
    assert "secret detail" in caplog.text
    assert engineer["Authorization"].split()[1] not in caplog.text


def _raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
