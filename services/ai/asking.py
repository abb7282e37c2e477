"""Asking AI one question: within the time and the budget there is, and with what it cost on record.

Whatever goes wrong becomes a NoAiAnswer with a sentence for the step; billing goes on without it.
"""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, Literal, Protocol, TypeVar
from uuid import uuid4
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from services.ai.answers import NoAiAnswer, Usage
from services.database.transport import DatabaseError
from services.integrations.deadline import Deadline
from services.languages.sentence import sentence, sentence_of
from services.quantities.period import first_of_month, local_date, start_of_day
from services.records.ai import AiCall

log = logging.getLogger(__name__)

Purpose = Literal["validate_reading", "calculate_bill", "write_message", "read_dial"]
Answer = TypeVar("Answer", bound=BaseModel)

# With less than this, asking would only cost money.
LEAST_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = 0.5
MICRO: Final = 1_000_000


class ModelFault(Exception):
    """The model gave no usable answer: `outcome` for the record, the message to follow "it"."""

    def __init__(
        self,
        outcome: str,
        message: str,
        *,
        again: bool = False,
        retry_after: float | None = None,
        usage: Usage | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(message)
        self.outcome = self.kind = outcome
        self.again = again
        self.retry_after = retry_after
        self.usage = usage or Usage()
        self.model = model


@dataclass(frozen=True, slots=True)
class Answered(Generic[Answer]):
    """An answer that fits its schema, the model that gave it, and what it took."""

    answer: Answer
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """One thing to ask: the prompt, the data as JSON, the schema of the answer, what it is about.

    `reading_id` and `bill_id` are for our own record and are not sent.
    """

    purpose: Purpose
    prompt: str
    data: Mapping[str, Any]
    answer: type[Answer]
    reading_id: str | None = None
    bill_id: str | None = None
    # A picture that it is about.
    jpeg: bytes | None = None


class Model(Protocol):
    """A language model that answers in a schema."""

    name: str

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
        """Ask once and wait `seconds` at most; `key` is the idempotency key. Raises ModelFault."""
        ...

    def check(self, *, seconds: float) -> None:
        """Ask for the list of models, which costs nothing. Raises ModelFault."""
        ...

    def close(self) -> None:
        """Give back the connections."""
        ...


class CallLog(Protocol):
    """Where calls are recorded, and what they have cost since an instant (UTC)."""

    def add(self, *, call: AiCall) -> None:
        """Keep one call. Raises DatabaseError."""
        ...

    def spent_micro(self, *, since: datetime) -> int:
        """Millionths of a dollar. Raises DatabaseError."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """Prices in dollars per million tokens, and dollars a month (None: no limit)."""

    price_input: Decimal | None = None
    price_output: Decimal | None = None
    monthly_budget: Decimal | None = None

    def is_spent(self, spent_micro: int) -> bool:
        """True when so many millionths of a dollar leave nothing of the month's budget."""
        return self.monthly_budget is not None and spent_micro >= self.monthly_budget * MICRO

    def cost_micro(self, usage: Usage) -> int | None:
        """Millionths of a dollar, or None when the prices are not known."""
        if self.price_input is None or self.price_output is None:
            return None
        return usage.cost_micro(price_input=self.price_input, price_output=self.price_output)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks a model; `pause` waits between two tries, `on_fault` gets the last outcome."""

    model: Model
    call_log: CallLog
    budget: Budget
    zone: ZoneInfo
    pause: Callable[[float], object] = time.sleep
    on_fault: Callable[[str], None] = lambda _: None

    def ask(
        self, question: Question[Answer], *, deadline: Deadline, now: datetime, tries: int = 1
    ) -> Answered[Answer]:
        """The answer, at the latest at `deadline`; `now` (UTC) says which month pays for it.

        Only what may pass by itself is tried again, and only within the time. Raises NoAiAnswer.
        """
        self._check_budget(now)
        if deadline.left() < LEAST_SECONDS:
            raise NoAiAnswer(sentence("AI not asked: no time was left for it."))
        call_id = str(uuid4())
        try:
            answered = self._ask_patiently(question, deadline, tries, call_id)
        except ModelFault as fault:
            self._record(call_id, question, fault.outcome, fault.model, fault.usage)
            why = sentence("AI gave no answer: it {fault}.", fault=sentence_of(fault))
            self.on_fault(why)
            raise NoAiAnswer(why) from None
        self._record(call_id, question, "answered", answered.model, answered.usage)
        return answered

    def _ask_patiently(
        self, question: Question[Answer], deadline: Deadline, tries: int, key: str
    ) -> Answered[Answer]:
        data = json.dumps(question.data, ensure_ascii=False)
        for tried in range(1, tries + 1):
            try:
                return self.model.ask(
                    prompt=question.prompt,
                    data=data,
                    answer=question.answer,
                    seconds=deadline.left(),
                    key=key,
                    jpeg=question.jpeg,
                )
            except ModelFault as fault:
                wait = max(
                    fault.retry_after or 0,
                    PAUSE_SECONDS * 2**tried * random.uniform(0.5, 1),  # noqa: S311
                )
                in_time = wait + LEAST_SECONDS < deadline.left()
                if not fault.again or tried == tries or not in_time:
                    raise
                self.pause(wait)
        raise AssertionError("A question is asked at least once.")

    def _check_budget(self, now: datetime) -> None:
        budget = self.budget.monthly_budget
        if budget is None:
            return
        try:
            spent = self.call_log.spent_micro(since=month_began(now, self.zone))
        except DatabaseError:
            log.warning("what AI has cost this month could not be read")
            raise NoAiAnswer(
                sentence("AI not asked: what it has cost this month is not known now.")
            ) from None
        if self.budget.is_spent(spent):
            raise NoAiAnswer(
                sentence(
                    "AI not asked: this month's budget of {budget} USD is spent.", budget=budget
                )
            )

    def _record(
        self,
        call_id: str,
        question: Question[Answer],
        outcome: str,
        model: str | None,
        usage: Usage,
    ) -> None:
        call = AiCall(
            id=call_id,
            purpose=question.purpose,
            model=model or self.model.name,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_micro=self.budget.cost_micro(usage),
            outcome=outcome,
            reading_id=question.reading_id,
            bill_id=question.bill_id,
        )
        try:
            self.call_log.add(call=call)
        except DatabaseError:
            # The bill matters more than what its second opinion cost.
            log.exception("a call of AI could not be recorded: %s", call)


def month_began(now: datetime, zone: ZoneInfo) -> datetime:
    """When the month of `now` (UTC) began in the utility's zone, from which AI's cost counts."""
    return start_of_day(first_of_month(local_date(now, zone)), zone)
