"""The main story with AI: it may doubt a reading and hold a bill, and never changes an amount."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from llmock.pytest_plugin import LLMock

from services.metering.recent_use import usual_daily_use
from services.readings.reading_to_bill import Submitted
from services.readings.submission import parse_submission
from services.records.ai import AiCall
from services.records.outbox import OUTBOX_STEPS
from services.supply.changes import Exchange, TypedRead
from tests.integration.ai.advised import Advised, bill, verdict
from tests.integration.ai.conftest import Advise
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, Utility, make_utility


def detail(answer: Submitted, step: int) -> str:
    return next(outcome.detail for outcome in answer.steps if outcome.step == step)


def test_ai_says_what_it_thinks_and_the_bill_is_the_engines(
    advised: Advised, llmock: LLMock
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict("plausible", confidence=92, reason="Like last year.")).reply(bill())
    answer = advised.utility.submit("M1", 1117)
    assert answer.outcome == "billed"
    assert answer.bill is not None
    assert (answer.bill.total_minor, answer.bill.reference) == (54035, "INV-000001")
    assert detail(answer, 5) == "All rules passed. AI: plausible (92% sure). Like last year."
    assert detail(answer, 6) == "117 kWh, ₹540.35. AI agrees to the cent."
    assert {step.status for step in answer.steps[:7]} == {"done"}


def test_its_verdict_reasons_and_model_are_kept_beside_the_rules_outcomes(
    advised: Advised, llmock: LLMock
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict("plausible", confidence=92, reason="Like last year.")).reply(bill())
    kept = advised.utility.submit("M1", 1117).reading.validation
    assert kept["ai"] == {
        "verdict": "plausible",
        "confidence": 92,
        "reasons": ["Like last year."],
        "model": "gpt-5.4-mini",
    }
    assert kept["verdict"] == "accepted"
    rules = {rule["rule"] for rule in kept["rules"]}
    assert rules >= {"below_last_read", "high_use", "low_use", "zero_use", "first_reading"}


def test_a_suspicion_of_ai_keeps_the_reading_for_review(advised: Advised, llmock: LLMock) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict("suspicious", confidence=80, reason="Two digits look swapped."))
    answer = advised.utility.submit("M1", 1117)
    assert (answer.outcome, answer.bill) == ("needs_review", None)
    assert answer.reading.status == "needs_review"
    assert answer.reading.validation["verdict"] == "needs_review"
    assert {r["outcome"] for r in answer.reading.validation["rules"]} <= {"pass", "not_applicable"}
    assert "AI: suspicious (80% sure). Two digits look swapped." in detail(answer, 5)
    assert len(llmock.requests) == 1, "there is no bill to ask about"
    accepted = advised.utility.services.reading_review.accept(
        reading_id=answer.reading.id,
        reason="Seen on site",
        principal=ADMIN,
        now=advised.utility.now,
    )
    assert accepted.bill is not None
    assert accepted.bill.total_minor == 54035


def test_a_suspicion_less_likely_than_not_is_only_a_remark(
    advised: Advised, llmock: LLMock
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict("suspicious", confidence=49)).reply(bill())
    assert advised.utility.submit("M1", 1117).outcome == "billed"


def test_ai_never_clears_a_failed_rule(advised: Advised, llmock: LLMock) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict("plausible", confidence=100))
    answer = advised.utility.submit("M1", 900)
    assert (answer.outcome, answer.bill) == ("needs_review", None)
    assert answer.reading.validation["verdict"] == "needs_review"
    assert answer.reading.validation["ai"]["verdict"] == "plausible"


def settled(advised: Advised, serial: str) -> int:
    """A meter that used 100 kWh in each of six periods, billed every month; what it shows."""
    utility = advised.utility
    assessor = replace(utility.services.assessor, ai=None)
    story = replace(utility.services.reading_to_bill, assessor=assessor)
    unadvised = Utility(replace(utility.services, reading_to_bill=story), utility.now)
    utility.add_meter(serial, opened_on=utility.today - timedelta(days=217))
    for month in range(1, 7):
        at = utility.now - timedelta(days=217 - 31 * month)
        unadvised.submit(serial, 1000 + 100 * month, at=at)
    return 1600


def test_ai_is_not_asked_where_the_rules_found_nothing_unusual(
    advised: Advised, llmock: LLMock
) -> None:
    shown = settled(advised, "M1")
    answer = advised.utility.submit("M1", shown + 100)
    step = answer.steps[4]
    said = "All rules passed. AI was not asked: the rules found nothing unusual."
    assert (step.status, step.detail) == ("done", said)
    assert "ai" not in answer.reading.validation
    assert [call["purpose"] for call in advised.calls()] == ["calculate_bill"]
    assert len(llmock.requests) == 1
    since = advised.utility.now - timedelta(hours=1)
    counts = advised.books.reading_verdict_counts(since=since, least_confidence=50)
    # The six before came in while there was no AI.
    assert (counts.not_asked, counts.judged) == (1, 0)


def test_ai_may_doubt_what_passes_the_rules_and_is_unusual(
    advised: Advised, llmock: LLMock
) -> None:
    shown = settled(advised, "M1")
    llmock.reply(verdict("suspicious", confidence=80, reason="Half as much again."))
    answer = advised.utility.submit("M1", shown + 170)
    assert {r["outcome"] for r in answer.reading.validation["rules"]} <= {"pass", "not_applicable"}
    assert answer.outcome == "needs_review"
    since = advised.utility.now - timedelta(hours=1)
    counts = advised.books.reading_verdict_counts(since=since, least_confidence=50)
    assert (counts.not_asked, counts.judged, counts.ai_alone) == (0, 1, 1)


def test_what_ai_and_the_rules_say_of_readings_is_counted(advised: Advised, llmock: LLMock) -> None:
    for serial in ("M1", "M2", "M3", "M4"):
        advised.utility.add_meter(serial)
    llmock.reply(verdict()).reply(bill())
    advised.utility.submit("M1", 1117)
    llmock.reply(verdict("suspicious", confidence=49)).reply(bill())
    advised.utility.submit("M2", 1117)
    llmock.reply(verdict("suspicious", confidence=80))
    doubted = advised.utility.submit("M3", 1117)
    llmock.reply(verdict("plausible"))
    advised.utility.submit("M4", 900)
    advised.utility.services.reading_review.accept(
        reading_id=doubted.reading.id, reason="Seen", principal=ADMIN, now=advised.utility.now
    )
    since = advised.utility.now - timedelta(hours=1)
    counts = advised.books.reading_verdict_counts(since=since, least_confidence=50)
    assert (counts.judged, counts.agreed, counts.neither, counts.both) == (4, 2, 2, 0)
    assert (counts.ai_alone, counts.ai_alone_accepted, counts.ai_alone_refused) == (1, 1, 0)
    assert (counts.rules_alone, counts.rules_alone_accepted) == (1, 0)


def test_a_small_difference_is_stored_shown_and_counted_and_holds_nothing_up(
    advised: Advised, llmock: LLMock
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill("540.36", duty="42.42"))
    answer = advised.utility.submit("M1", 1117)
    assert answer.outcome == "billed"
    assert answer.bill is not None
    assert answer.bill.total_minor == 54035
    assert detail(answer, 6) == "117 kWh, ₹540.35. AI makes it ₹540.36, ₹0.01 more."
    kept = advised.books.second_opinion(bill_id=answer.bill.id)
    assert kept is not None
    assert (kept.total, kept.difference, kept.held) == ("540.36", "0.01", False)
    assert kept.other_lines == ("duty",)
    counts = advised.books.second_opinion_counts(since=advised.utility.now - timedelta(hours=1))
    assert (counts.asked, counts.agreed, counts.differed, counts.held) == (1, 0, 1, 0)


def test_a_large_difference_holds_the_bill_as_a_draft_until_a_person_issues_it(
    advised: Advised, llmock: LLMock
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill("600.00"))
    answer = advised.utility.submit("M1", 1117)
    assert answer.outcome == "needs_review"
    assert answer.reading.status == "accepted"
    assert answer.bill is not None
    assert (answer.bill.status, answer.bill.number, answer.bill.total_minor) == (
        "draft",
        None,
        54035,
    )
    assert "held for review" in detail(answer, 6)
    assert {detail(answer, step) for step in OUTBOX_STEPS["bill_issued"]} == {answer.explanation}
    assert "draft until the office issues it" in answer.explanation
    assert advised.utility.services.database.outbox_of(answer.bill.id) == []
    counts = advised.books.second_opinion_counts(since=advised.utility.now - timedelta(hours=1))
    assert counts.held == 1
    issued = advised.utility.services.bill_approval.issue(
        bill_id=answer.bill.id, principal=ADMIN, now=advised.utility.now
    )
    assert (issued.status, issued.reference, issued.total_minor) == ("issued", "INV-000001", 54035)
    assert len(advised.utility.services.database.outbox_of(answer.bill.id)) == 1
    assert advised.books.second_opinion(bill_id=answer.bill.id) is not None


def test_the_percentage_that_holds_is_a_setting(advise: Advise, llmock: LLMock) -> None:
    advised = advise(llmock.base_url(), AI_HOLD_PERCENT="0")
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill("540.36"))
    answer = advised.utility.submit("M1", 1117)
    assert answer.bill is not None
    assert answer.bill.status == "draft"


def test_a_second_opinion_never_changes_afterwards(
    advised: Advised, llmock: LLMock, database: str
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill())
    advised.utility.submit("M1", 1117)
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        with pytest.raises(psycopg.Error, match="figures never change"):
            connection.execute("update public.bills set second_opinion = null")


def test_without_ai_nothing_changes(database: str, tmp_path: Path) -> None:
    utility = make_utility(database, tmp_path)
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert detail(answer, 5) == "all rules passed"
    assert detail(answer, 6) == "117 kWh, ₹540.35"
    assert "ai" not in answer.reading.validation
    utility.services.close()


def test_a_preview_and_a_repeat_cost_nothing(advised: Advised, llmock: LLMock) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill())
    utility = advised.utility
    utility.services.reading_to_bill.preview(
        submission=parse_submission(
            {"meter_serial": "M1", "reading_kwh": "1117", "read_at": utility.now.isoformat()},
            zone=utility.services.settings.timezone,
            now=utility.now,
        ),
        source="field",
        now=utility.now,
    )
    assert llmock.requests == []
    utility.submit("M1", 1117)
    assert utility.submit("M1", 1117).outcome == "replay"
    assert len(llmock.requests) == 2


@pytest.mark.parametrize(("kwh", "asked"), [(1117, 0), (900, 1), (1000, 1)])
def test_a_job_asks_only_about_readings_that_the_rules_doubt(
    advised: Advised, llmock: LLMock, kwh: int, asked: int
) -> None:
    utility = advised.utility
    utility.add_meter("M1", kind="smart")
    claimed, run = utility.services.database.claim_job_run(
        job="meter_collection",
        scheduled_on=utility.today,
        owner="test",
        lease_seconds=60,
        started_by="test",
    )
    assert claimed
    llmock.reply(verdict("plausible"))
    answer = utility.submit("M1", kwh, source="smart", run=run.ref(lease_seconds=60))
    assert answer.bill is None
    assert len(llmock.requests) == asked
    assert ("ai" in answer.reading.validation) is bool(asked)


def test_what_ai_learns_is_only_what_it_needs(advised: Advised, llmock: LLMock) -> None:
    utility = advised.utility
    utility.add_meter("SERIAL-77", opened_on=utility.today - timedelta(days=62))
    llmock.reply(verdict()).reply(bill()).reply(verdict()).reply(bill())
    utility.submit("SERIAL-77", 1050, at=utility.now - timedelta(days=31))
    answer = utility.submit("SERIAL-77", 1117)
    assert answer.bill is not None
    llmock.reply(json.dumps({"text": "Dear {name}, pay {amount} by {due_date}. {reference}"}))
    text = advised.ai.write_message(
        bill=answer.bill, kind="bill_issued", language="en", now=utility.now
    ).text
    assert "House SERIAL-77" in text
    assert len(llmock.requests) == 5
    sent = [json.dumps(request.body, ensure_ascii=False) for request in llmock.requests]
    row = answer.bill
    private = [
        *(row.customer_name, row.account_no, row.address, row.meter_serial, row.customer_id),
        *(row.meter_id, row.id, answer.reading.id, row.reference, "engineer-1"),
        utility.services.settings.utility_name,
    ]
    for body in sent:
        assert [word for word in private if word in body] == []
    reading, price = (json.loads(r.body["messages"][1]["content"]) for r in llmock.requests[2:4])
    assert set(reading) == {
        "reading", "last_reading", "next_reading", "history", "past_use", "digits", "multiplier",
        "rules",
    }  # fmt: skip
    assert [use["used_kwh"] for use in reading["past_use"]] == ["50"]
    assert set(price) == {
        "consumption_kwh", "period_start", "period_end", "days", "months", "currency", "decimals",
        "charges",
    }  # fmt: skip
    assert "₹" not in sent[4]
    assert "540" not in sent[4], "the amount is filled in here"


def test_tokens_and_cost_are_recorded(advised: Advised, llmock: LLMock) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill())
    answer = advised.utility.submit("M1", 1117)
    assert answer.bill is not None
    first, second = advised.calls()
    assert (first["purpose"], second["purpose"]) == ("validate_reading", "calculate_bill")
    assert first["reading_id"] == second["reading_id"] == answer.reading.id
    assert (first["bill_id"], second["bill_id"]) == (None, answer.bill.id)
    for call in (first, second):
        assert call["outcome"] == "answered"
        exact = call["prompt_tokens"] * 40 + call["completion_tokens"] * 160
        assert call["cost_micro"] == -(-exact // 100) > 0
    spending = advised.books.spending(since=advised.utility.now - timedelta(hours=1))
    assert spending.cost_micro == first["cost_micro"] + second["cost_micro"]
    assert (spending.calls, spending.unanswered, spending.unpriced) == (2, 0, 0)
    later = advised.utility.now + timedelta(hours=1)
    assert advised.books.spending(since=later).calls == 0


def test_a_call_is_recorded_once(advised: Advised) -> None:
    call = {"id": "00000000-0000-4000-8000-000000000001", "purpose": "write_message"}
    call |= {"model": "m", "outcome": "answered"}
    counted = {"prompt_tokens": 1, "completion_tokens": 2, "cost_micro": None}
    for _ in range(2):
        advised.books.add(call=AiCall.model_validate(call | counted))
    spending = advised.books.spending(since=advised.utility.now - timedelta(hours=1))
    assert (spending.calls, spending.unpriced, spending.cost_micro) == (1, 1, 0)


def test_a_spent_month_stops_ai_and_not_billing(advise: Advise, llmock: LLMock) -> None:
    prices = {"AI_PRICE_INPUT": "1000", "AI_PRICE_OUTPUT": "1000"}
    advised = advise(llmock.base_url(), AI_MONTHLY_BUDGET="0.01", **prices)
    utility = advised.utility
    utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill())
    answer = utility.submit("M1", 1117)
    assert answer.outcome == "billed"
    assert len(llmock.requests) == 1, "the first call spent it all"
    assert detail(answer, 6) == (
        "117 kWh, ₹540.35. AI not asked: this month's budget of 0.01 USD is spent."
    )
    utility.now += timedelta(days=31)
    utility.add_meter("M2")
    llmock.reply(verdict()).reply(bill())
    assert "budget" not in detail(utility.submit("M2", 1117), 6), "the next month has its own"
    assert len(llmock.requests) == 3


def test_history_that_ai_is_given_is_what_the_rules_used(advised: Advised, llmock: LLMock) -> None:
    utility = advised.utility
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=62))
    llmock.reply(verdict(), times=None)
    utility.submit("M1", 1100, at=utility.now - timedelta(days=31))
    utility.submit("M1", 1210)
    context = utility.services.database.reading_context(
        meter_serial="M1", read_at=utility.now, read_on=utility.today
    )
    assert usual_daily_use(context.history, 5, 1000) is not None
    last = json.loads(llmock.requests[2].body["messages"][1]["content"])
    assert [read["kwh"] for read in last["history"]] == ["1000", "1100"]


def test_of_several_meters_ai_is_given_what_they_come_to(advised: Advised, llmock: LLMock) -> None:
    advised.utility.add_meter("M1")
    at = Supplied(advised.utility)
    at.do(Exchange(at.point("M1"), at.day(20), TypedRead("1040"), "N1", TypedRead("5")))
    llmock.reply(verdict()).reply(bill())
    answer = advised.utility.submit("N1", 82)
    assert answer.bill is not None
    assert len(answer.bill.segments) == 2
    # 40 kWh of the old meter and 77 of the new one.
    assert '\\"consumption_kwh\\": \\"117\\"' in json.dumps(llmock.requests[-1].body)
    assert detail(answer, 6) == "117 kWh, ₹540.35. AI agrees to the cent."
