"""Calls of services outside are counted, and each failure is a line and a beginning."""

from datetime import UTC, datetime, timedelta

import pytest

from services.integrations.http import ServiceUnavailable
from services.telemetry.outside_calls import OutsideCalls

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_a_service_fails_from_its_first_failure_until_a_call_goes_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    calls = OutsideCalls(clock)
    for minute in (0, 5):
        clock.now = NOW + timedelta(minutes=minute)
        with pytest.raises(ServiceUnavailable), calls.watched("Stripe", attempt=2):
            raise ServiceUnavailable("Stripe cannot be reached.")
    state = calls.states()["Stripe"]
    assert (state.failing_since, state.last_failure) == (NOW, NOW + timedelta(minutes=5))
    record = caplog.records[0]
    assert record.getMessage() == "a call of Stripe failed: unreachable"
    assert (record.__dict__["service"], record.__dict__["attempt"]) == ("Stripe", 2)
    with calls.watched("Stripe"):
        pass
    assert calls.states()["Stripe"].failing_since is None
    assert calls.counts() == {("Stripe", "unreachable"): 2, ("Stripe", "ok"): 1}


def test_an_answer_that_is_a_refusal_is_a_failure() -> None:
    calls = OutsideCalls(Clock())
    with calls.watched("Discord") as call:
        call.failed("http_404")
    assert calls.counts() == {("Discord", "http_404"): 1}
    assert calls.states()["Discord"].failing_since == NOW
