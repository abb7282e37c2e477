"""The books of AI are the same over both transports."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from services.records.ai import AiCall
from tests.contract.over import Over
from tests.integration.utility import ACTOR

OPINION = {
    "model": "m", "agrees": False, "held": True, "currency": "INR", "total": "900.00",
    "difference": "359.65", "lines": [{"code": "energy", "amount": "783.75"}],
    "other_lines": ["energy"],
}  # fmt: skip


def test_what_ai_said_and_cost_reads_the_same(over: Over) -> None:
    over.utility.add_meter("AI-1")
    draft = over.draft("AI-1", 1117)
    bill = replace(draft, second_opinion=OPINION)
    assert over.here.store_job_bills(actor=ACTOR, bills=[bill]) == (1, [])
    call: dict[str, Any] = {"id": str(uuid4()), "purpose": "calculate_bill", "model": "m"}
    call |= {"outcome": "answered", "reading_id": None, "bill_id": bill.id, "cost_micro": None}
    over.here.ai_call_log.add(
        call=AiCall.model_validate(call | {"prompt_tokens": 7, "completion_tokens": 3})
    )
    kept = over.here.ai_call_log.second_opinion(bill_id=bill.id)
    assert kept is not None
    assert kept.model_dump(mode="json") == OPINION
    since = over.utility.now - timedelta(hours=1)
    for books in (over.here.ai_call_log, over.direct.ai_call_log):
        assert books.second_opinion_counts(since=since).model_dump() == {
            "asked": 1, "agreed": 0, "differed": 1, "held": 1,
        }  # fmt: skip
        assert books.reading_verdict_counts(since=since, least_confidence=50).judged == 0
        assert books.spending(since=since).model_dump() == {
            "calls": 1, "unanswered": 0, "prompt_tokens": 7, "completion_tokens": 3,
            "cost_micro": 0, "unpriced": 1,
        }  # fmt: skip
