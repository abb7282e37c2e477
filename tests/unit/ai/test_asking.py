"""One question to AI: within its time and budget, with its price on record, tried again in time."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from services.ai.answers import (
    LONGEST_REASON,
    MOST_REASONS,
    AiVerdict,
    MessageAnswer,
    NoAiAnswer,
    ReadingAnswer,
    Usage,
)
from services.ai.asking import Answer, Answered, Asker, Budget, ModelFault, Question
from services.database.transport import TemporaryDatabaseError
from services.integrations.deadline import Deadline
from services.records.ai import AiCall

NOW = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)  # 1 December in India
INDIA = ZoneInfo("Asia/Kolkata")
PRICED = Budget(Decimal("0.40"), Decimal("1.60"))
QUESTION = Question(
    purpose="write_message", prompt="Write.", data={}, answer=MessageAnswer, bill_id="b"
)


class CallLog:
    """Books in memory, which can be away."""

    def __init__(self, spent: int = 0, *, away: bool = False) -> None:
        self.calls: list[AiCall] = []
        self.since: datetime | None = None
        self._spent, self._away = spent, away

    def add(self, *, call: AiCall) -> None:
        if self._away:
            raise TemporaryDatabaseError("08006", "away")
        self.calls.append(call)

    def spent_micro(self, *, since: datetime) -> int:
        if self._away:
            raise TemporaryDatabaseError("08006", "away")
        self.since = since
        return self._spent


class Model:
    """A model that first has its faults and then answers."""

    name = "model"

    def __init__(self, *faults: ModelFault) -> None:
        self._faults = list(faults)
        self.keys: list[str] = []

    def ask(
        self,
        *,
        prompt: str,
        data: str,
        answer: type[Answer],
        seconds: float,
        key: str,
        jpeg: bytes | None = None,
    ) -> Answered[Answer]:
        assert jpeg is None
        assert seconds > 0
        self.keys.append(key)
        if self._faults:
            raise self._faults.pop(0)
        return Answered(answer.model_validate({"text": prompt + data}), "model-1", Usage(1000, 10))

    def check(self, *, seconds: float) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def away(**how: Any) -> ModelFault:
    return ModelFault("failed", "had an error of its own (500)", again=True, **how)


def ask(
    model: Model,
    books: CallLog,
    *,
    budget: Budget = PRICED,
    seconds: float = 10,
    tries: int = 1,
    pauses: list[float] | None = None,
) -> str:
    waited = [] if pauses is None else pauses
    asker = Asker(model, books, budget, INDIA, pause=waited.append)
    answered = asker.ask(QUESTION, deadline=Deadline.after(seconds), now=NOW, tries=tries)
    return answered.answer.text


def test_a_call_is_recorded_with_its_tokens_and_price() -> None:
    books = CallLog()
    assert ask(Model(), books) == "Write.{}"
    (call,) = books.calls
    assert call.model_dump(exclude={"id"}) == {
        "purpose": "write_message",
        "model": "model-1",
        "prompt_tokens": 1000,
        "completion_tokens": 10,
        "cost_micro": 416,
        "outcome": "answered",
        "reading_id": None,
        "bill_id": "b",
    }


def test_a_part_of_a_millionth_counts_whole_and_unknown_prices_are_not_zero() -> None:
    usage = Usage(1, 1)
    assert Budget(Decimal("0.1"), Decimal("0.05")).cost_micro(usage) == 1
    assert Budget(Decimal(0), Decimal(0)).cost_micro(usage) == 0
    assert Budget().cost_micro(usage) is None


def test_a_fault_is_recorded_with_what_it_cost_all_the_same() -> None:
    books = CallLog()
    cut = ModelFault("cut", "was cut off", usage=Usage(1000, 4000), model="model-2")
    with pytest.raises(NoAiAnswer, match=r"^AI gave no answer: it was cut off\.$"):
        ask(Model(cut), books)
    (call,) = books.calls
    assert (call.outcome, call.model, call.cost_micro) == ("cut", "model-2", 6800)


def test_what_may_pass_is_tried_again_under_the_same_key() -> None:
    model, books, pauses = Model(away(), away()), CallLog(), list[float]()
    ask(model, books, tries=3, pauses=pauses)
    assert len(model.keys) == 3
    assert len(set(model.keys)) == 1
    assert [call.id for call in books.calls] == [model.keys[0]]
    assert 0.5 <= pauses[0] <= 1 <= pauses[1] <= 2


@pytest.mark.parametrize(
    ("fault", "tries", "seconds"),
    [
        (away(), 1, 10),
        (ModelFault("no_quota", "has no quota left"), 3, 10),
        (away(), 3, 0.9),
        (away(retry_after=8), 3, 8),
        (away(retry_after=90), 3, 10),
    ],
)
def test_it_is_not_tried_again_without_hope_or_time(
    fault: ModelFault, tries: int, seconds: float
) -> None:
    model, pauses = Model(fault), list[float]()
    with pytest.raises(NoAiAnswer, match="gave no answer"):
        ask(model, CallLog(), tries=tries, seconds=seconds, pauses=pauses)
    assert (len(model.keys), pauses) == (1, [])


def test_a_wait_that_the_service_asks_for_is_kept_to() -> None:
    pauses = list[float]()
    ask(Model(away(retry_after=4)), CallLog(), tries=2, pauses=pauses)
    assert pauses == [4]


def test_without_time_it_is_not_asked() -> None:
    model, books = Model(), CallLog()
    with pytest.raises(NoAiAnswer, match="AI not asked: no time was left"):
        ask(model, books, seconds=0.1)
    assert (model.keys, books.calls) == ([], [])


@pytest.mark.parametrize(
    ("dollars", "spent", "asked"),
    [("20", 19_999_999, True), ("20", 20_000_000, False), ("0", 0, False), ("0.5", 499_999, True)],
)
def test_a_spent_budget_stops_ai(dollars: str, spent: int, asked: bool) -> None:
    model, books = Model(), CallLog(spent)
    budget = Budget(Decimal(1), Decimal(1), monthly_budget=Decimal(dollars))
    if asked:
        ask(model, books, budget=budget)
    else:
        with pytest.raises(NoAiAnswer, match=f"AI not asked: this month's budget of {dollars} USD"):
            ask(model, books, budget=budget)
    assert len(model.keys) == asked
    assert books.since == datetime(2026, 11, 30, 18, 30, tzinfo=UTC), "the utility's 1 December"


def test_a_budget_that_cannot_be_looked_up_stops_ai_and_nothing_else() -> None:
    model = Model()
    budget = Budget(Decimal(1), Decimal(1), monthly_budget=Decimal(20))
    with pytest.raises(NoAiAnswer, match="AI not asked: what it has cost"):
        ask(model, CallLog(away=True), budget=budget)
    assert not model.keys


def test_an_answer_is_worth_having_when_it_cannot_be_recorded() -> None:
    assert ask(Model(), CallLog(away=True)) == "Write.{}"


def test_a_verdict_is_made_fit_to_be_stored_and_shown() -> None:
    reasons = [" a\x00b\n c\u200b", "", *("x" * 1000,) * 9]
    answer = ReadingAnswer(verdict="suspicious", confidence=80, reasons=reasons)
    verdict = AiVerdict.of(answer, model="m\x00" * 99)
    assert verdict.reasons[0] == "a b c"
    assert len(verdict.reasons) == MOST_REASONS
    assert {len(reason) for reason in verdict.reasons[1:]} == {LONGEST_REASON}
    assert len(verdict.model) <= 100
    assert "\x00" not in str(verdict.to_json())


@pytest.mark.parametrize(
    ("verdict", "confidence", "review"),
    [
        ("suspicious", 100, True),
        ("suspicious", 50, True),
        ("suspicious", 49, False),
        ("plausible", 100, False),
        ("plausible", 1, False),
    ],
)
def test_only_a_suspicion_more_likely_than_not_asks_for_review(
    verdict: Any, confidence: int, review: bool
) -> None:
    answer = ReadingAnswer(verdict=verdict, confidence=confidence, reasons=[])
    assert AiVerdict.of(answer, model="m").asks_for_review is review


@pytest.mark.parametrize("confidence", [-1, 101, 79.5, "high", None])
def test_a_confidence_is_a_whole_percentage(confidence: Any) -> None:
    with pytest.raises(ValidationError):
        ReadingAnswer(verdict="suspicious", confidence=confidence, reasons=[])
