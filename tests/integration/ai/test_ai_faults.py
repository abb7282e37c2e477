"""Whatever AI does, the reading is kept and billed, and the step says what happened."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Reply

from services.ai.check import AiCheck
from services.health.checks import Check
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.readings.reading_to_bill import OUTSIDE_SECONDS
from tests.integration.ai.advised import KEY, PRICES, Advised, bill, verdict
from tests.integration.ai.conftest import Advise
from tests.integration.ai.odd_server import (
    Handle,
    OddServer,
    answer,
    body_of,
    error,
    hang_up,
    say_nothing,
    trickle,
)

NOWHERE = "http://127.0.0.1:9/v1"
UNREADABLE = "answered in a form that cannot be read"


def assert_billed_by_the_rules(advised: Advised, why: str) -> None:
    """A reading is submitted, and stored and billed as without AI, with the reason in 5 and 6."""
    advised.utility.add_meter("M1")
    got = advised.utility.submit("M1", 1117)
    assert got.outcome == "billed"
    assert got.bill is not None
    assert (got.bill.total_minor, got.bill.status) == (54035, "issued")
    assert [step.status for step in got.steps[:7]] == ["done"] * 7
    assert got.steps[4].detail == f"All rules passed. {why}"
    assert got.steps[5].detail == f"117 kWh, ₹540.35. {why}"
    assert got.reading.validation["verdict"] == "accepted"
    assert got.reading.validation["ai"] == {"remark": why}
    assert advised.books.second_opinion(bill_id=got.bill.id) is None


def outcomes(advised: Advised) -> list[str]:
    return [call["outcome"] for call in advised.calls()]


@pytest.mark.parametrize(
    ("fault", "outcome", "why"),
    [
        (lambda m: m.fail(401), "not_allowed", "does not accept OPENAI_API_KEY"),
        (lambda m: m.fail(403), "not_allowed", "does not let this OPENAI_API_KEY use the model"),
        (
            lambda m: m.fail(404),
            "not_found",
            "does not know the model of OPENAI_MODEL, or OPENAI_BASE_URL is wrong",
        ),
        (lambda m: m.fail(400), "rejected", "did not accept the question (400)"),
        (lambda m: m.context_overflow(), "rejected", "did not accept the question (400)"),
        (lambda m: m.rate_limit(retry_after=60), "busy", "is asked too often just now"),
        (
            lambda m: m.fail(429, code="insufficient_quota"),
            "no_quota",
            "has no quota left on its account",
        ),
        (lambda m: m.fail(500), "failed", "had an error of its own (500)"),
        (lambda m: m.outage(), "failed", "had an error of its own (503)"),
        (lambda m: m.reply("Looks fine to me."), "malformed", UNREADABLE),
        (lambda m: m.reply('{"verdict": "fine"}'), "malformed", UNREADABLE),
        (lambda m: m.reply(""), "malformed", UNREADABLE),
        (
            lambda m: m.add(Reply(text='{"verdict": "plau', finish_reason="length")),
            "cut",
            "was cut off before the end of its answer",
        ),
        (
            lambda m: m.add(Reply(text="x", finish_reason="content_filter")),
            "filtered",
            "was stopped by its content filter",
        ),
    ],
)
def test_a_fault_costs_the_advice_and_nothing_else(
    advised: Advised, llmock: LLMock, fault: Callable[[LLMock], Any], outcome: str, why: str
) -> None:
    for _ in range(2):
        fault(llmock)
    assert_billed_by_the_rules(advised, f"AI gave no answer: it {why}.")
    assert outcomes(advised) == [outcome] * 2
    assert len(llmock.requests) == 2, "an engineer does not wait for a second try"


FAULTS: list[tuple[Handle, str, str]] = [
    (answer(body_of(None, refusal="I cannot.")), "refused", "refused to answer"),
    (answer(body_of(None)), "malformed", UNREADABLE),
    (answer(body_of("{}", choices=[])), "malformed", UNREADABLE),
    (answer(body_of("{}", choices=None)), "malformed", UNREADABLE),
    (answer([]), "malformed", UNREADABLE),
    (answer(b"", kind="text/plain"), "malformed", UNREADABLE),
    (
        answer(b"<html>Sign in to the hotel's network</html>", kind="text/html"),
        "malformed",
        UNREADABLE,
    ),
    (answer(b'{"choices": [', kind="application/json"), "malformed", UNREADABLE),
    (answer(b"\xff\xfe\x00", kind="application/json"), "malformed", UNREADABLE),
    (
        answer(body_of('{"verdict": "suspicious", "confidence": 900, "reasons": []}')),
        "malformed",
        UNREADABLE,
    ),
    (hang_up, "unreachable", "could not be reached"),
    (error(400, "content_filter"), "filtered", "was stopped by its content filter"),
    (error(302, None, Location="http://127.0.0.1:9/"), "unreachable", "could not be reached"),
    (error(429, "insufficient_quota", Retry_After="3600"), "no_quota", "has no quota left"),
    (error(500, None, Retry_After="9", X_Should_Retry="true"), "failed", "had an error of its own"),
]


@pytest.mark.parametrize(("fault", "outcome", "why"), FAULTS)
def test_no_odd_answer_costs_anyone_a_bill(
    advise: Advise, odd_server: OddServer, fault: Handle, outcome: str, why: str
) -> None:
    advised = advise(odd_server.url)
    odd_server.answers += [fault, fault]
    advised.utility.add_meter("M1")
    got = advised.utility.submit("M1", 1117)
    assert got.bill is not None
    assert (got.outcome, got.bill.total_minor, got.bill.status) == ("billed", 54035, "issued")
    assert f"AI gave no answer: it {why}" in got.steps[4].detail
    assert f"AI gave no answer: it {why}" in got.steps[5].detail
    assert outcomes(advised) == [outcome] * 2


def test_an_ai_that_cannot_be_reached(advise: Advise) -> None:
    advised = advise(NOWHERE)
    assert_billed_by_the_rules(advised, "AI gave no answer: it could not be reached.")
    assert outcomes(advised) == ["unreachable"] * 2


@pytest.mark.parametrize("slowness", [say_nothing, trickle])
def test_an_ai_that_takes_too_long_leaves_time_for_the_rest(
    advise: Advise, odd_server: OddServer, slowness: Handle
) -> None:
    advised = advise(odd_server.url)
    odd_server.answers += [slowness, slowness]
    began = time.monotonic()
    assert_billed_by_the_rules(advised, "AI gave no answer: it did not answer in time.")
    assert time.monotonic() - began < OUTSIDE_SECONDS - 3
    assert outcomes(advised) == ["timeout"] * 2


def test_a_slow_ai_of_the_stand_in_is_given_up_in_time(advised: Advised, llmock: LLMock) -> None:
    llmock.delay(10, times=2)
    assert_billed_by_the_rules(advised, "AI gave no answer: it did not answer in time.")


def test_three_errors_and_then_fine(advised: Advised, llmock: LLMock) -> None:
    llmock.fail(500, times=3)
    utility = advised.utility
    remarks: list[str] = []
    for serial in ("M1", "M2"):
        utility.add_meter(serial)
        llmock.reply(verdict() if remarks else bill())
        got = utility.submit(serial, 1117)
        assert got.outcome == "billed"
        remarks += [got.steps[4].detail, got.steps[5].detail]
    assert ["(500)" in remark for remark in remarks] == [True, True, True, False]
    assert remarks[3].endswith("AI agrees to the cent.")


def test_amounts_that_are_none_are_no_second_opinion(advised: Advised, llmock: LLMock) -> None:
    llmock.reply(verdict()).reply(bill("about 540"))
    advised.utility.add_meter("M1")
    got = advised.utility.submit("M1", 1117)
    assert got.outcome == "billed"
    assert got.steps[5].detail.endswith("AI gave no answer: its amounts could not be read.")


def test_a_reason_with_characters_that_the_database_cannot_hold_is_kept_without_them(
    advised: Advised, llmock: LLMock
) -> None:
    llmock.reply(verdict(reason="A NUL \x00 in it")).reply(bill())
    advised.utility.add_meter("M1")
    got = advised.utility.submit("M1", 1117)
    assert got.outcome == "billed"
    assert got.reading.validation["ai"]["reasons"] == ["A NUL in it"]


def test_half_a_character_in_an_answer_costs_only_the_answer(
    advised: Advised, llmock: LLMock
) -> None:
    llmock.reply(verdict(reason="half \ud800 a pair"), times=2)
    assert_billed_by_the_rules(advised, f"AI gave no answer: it {UNREADABLE}.")


def test_what_an_unusable_answer_cost_is_recorded(advise: Advise, odd_server: OddServer) -> None:
    advised = advise(odd_server.url, **PRICES)
    odd_server.answers += [
        answer(body_of("no JSON")),
        answer(body_of("x", usage={"prompt_tokens": "many", "completion_tokens": -1})),
    ]
    advised.utility.add_meter("M1")
    advised.utility.submit("M1", 1117)
    first, second = advised.calls()
    assert (first["prompt_tokens"], first["completion_tokens"], first["cost_micro"]) == (
        1000,
        100,
        560,
    )
    assert (second["prompt_tokens"], second["completion_tokens"], second["cost_micro"]) == (0, 0, 0)
    assert first["model"] == "model-1"


def test_the_request_carries_the_key_and_an_idempotency_key_of_our_own_row(
    advise: Advise, odd_server: OddServer
) -> None:
    advised = advise(odd_server.url, OPENAI_MODEL="the-model")
    odd_server.answers += [answer(body_of(verdict())), answer(body_of(bill()))]
    advised.utility.add_meter("M1")
    assert advised.utility.submit("M1", 1117).outcome == "billed"
    keys = []
    for path, headers, body in odd_server.received:
        assert path == "/v1/chat/completions"
        assert headers["authorization"] == f"Bearer {KEY}"
        assert body["model"] == "the-model"
        assert body["response_format"]["json_schema"]["strict"] is True
        keys.append(headers["idempotency-key"])
    assert keys == [call["id"] for call in advised.calls()]


def test_a_key_that_fits_no_header_costs_nobody_a_bill(advise: Advise, llmock: LLMock) -> None:
    advised = advise(llmock.base_url(), OPENAI_API_KEY="schlüssel-☃")
    why = "AI gave no answer: it could not be asked, or answered in no known form."
    assert_billed_by_the_rules(advised, why)


def test_a_check_says_whether_ai_is_there(advised: Advised, llmock: LLMock) -> None:
    check: Check = AiCheck(advised.ai)
    assert check.configured
    assert check.check() == "AI answers; the model gpt-5.4-mini is asked."
    assert advised.calls() == []
    llmock.fail(401)
    with pytest.raises(FinalFailure, match="does not accept OPENAI_API_KEY"):
        check.check()
    llmock.fail(500)
    with pytest.raises(TemporaryFailure, match="error of its own"):
        check.check()
    assert not AiCheck(None).configured
    with pytest.raises(FinalFailure, match="OPENAI_API_KEY is empty"):
        AiCheck(None).check()
