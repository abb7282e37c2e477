"""The exceptions queue and its decisions, over both transports."""

from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange
from services.records.submissions import FlaggedReadings
from tests.contract.over import Over
from tests.integration.utility import ADMIN


def test_what_waits_is_ordered_filtered_and_decided_with_a_request(over: Over) -> None:
    utility = over.utility
    for serial in ("X1", "X2"):
        utility.add_meter(serial)
        assert utility.submit(serial, 990).outcome == "needs_review"

    def queue(**asked: Any) -> FlaggedReadings:
        found = over.same("exceptions", ranked_to=10, **{"limit": 10} | asked)
        assert isinstance(found, FlaggedReadings)
        return found

    first, second = queue().items
    assert (queue(limit=1).total, len(queue(limit=1).items)) == (2, 1)
    assert [one.reading.id for one in queue(skipped=[first.reading.id]).items] == [
        second.reading.id,
        first.reading.id,
    ]
    assert queue(cause="below_last_read").total == 2
    assert queue(cause="high_use").items == ()
    assert queue(route="North").total == 0
    decision: dict[str, Any] = {"actor": ADMIN.user, "reading_id": first.reading.id}
    decision |= {"status": "rejected", "reason": "Far too low"}
    request = {"id": str(uuid4()), "requested_on": utility.today.isoformat()}
    decided = over.here.decide_reading(**decision, request=request)
    assert decided.reading.status == "rejected"
    # The same call again, whose first answer was lost.
    assert over.here.decide_reading(**decision, request=request).reading == decided.reading
    with pytest.raises(IllegalChange):
        over.here.decide_reading(**decision | {"reason": "Another"}, request=request)
    withdrawn = over.here.withdraw_reading_request(actor=ADMIN.user, request_id=request["id"])
    assert (withdrawn.about_reading_id, withdrawn.reason) == (first.reading.id, "Far too low")
    assert queue().total == 1
