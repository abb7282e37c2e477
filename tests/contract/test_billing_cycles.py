"""Billing days over both transports."""

from uuid import uuid4

import pytest

from services.database.errors import NotFound
from services.database.transport import DatabaseRefused
from tests.contract.over import Json, Over
from tests.integration.utility import ADMIN


def test_an_agreement_and_a_route_are_moved_to_another_day(over: Over) -> None:
    over.utility.add_meter("M1")
    (reads,) = over.same("meter_reads", serials=["M1"])
    assert [(c.billing_day, c.agreements) for c in over.same("billing_days").cycles] == [(1, 1)]
    moved: Json = {"actor": ADMIN.user, "agreement_id": reads.agreement_id, "billing_day": 15}
    assert over.here.set_billing_day(**moved) == 1
    assert over.here.set_billing_day(**moved) == 0
    days = over.same("billing_days")
    assert [(c.billing_day, c.agreements) for c in days.cycles] == [(15, 1)]
    assert days.cycles[0].since is not None
    assert over.same("job_history").cycles[0].billing_day == 15
    with pytest.raises(DatabaseRefused, match="from 1 to 28"):
        over.here.set_billing_day(**moved | {"billing_day": 29})
    with pytest.raises(NotFound, match="no such agreement"):
        over.here.set_billing_day(**moved | {"agreement_id": str(uuid4())})
    with pytest.raises(NotFound, match="No place of supply is on route R9"):
        over.here.set_billing_day(actor=ADMIN.user, billing_day=3, route="R9")


def test_parts_of_agreements_are_of_one_size_however_their_ids_lie(over: Over) -> None:
    for number in range(7):
        over.utility.add_meter(f"M{number}")
    reads = over.same("meter_reads", serials=[f"M{number}" for number in range(7)])
    ids = sorted(str(one.agreement_id) for one in reads)
    assert over.same("agreement_parts", every=3) == [ids[2], ids[5]]
    assert over.same("agreement_parts", every=7) == [ids[6]]
    assert over.same("agreement_parts", every=8) == []
    for one in ids[:4]:
        over.here.set_billing_day(actor=ADMIN.user, agreement_id=one, billing_day=15)
    assert over.same("agreement_parts", every=2, billing_day=15) == [ids[1], ids[3]]
    assert over.same("agreement_parts", every=2, billing_day=1) == [ids[5]]
    assert over.same("agreement_parts", every=2, billing_day=9) == []
