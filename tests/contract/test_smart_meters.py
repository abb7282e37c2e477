"""What came of asking for smart meters, over both transports."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import NotFound, RunTakenOver
from services.jobs.runs import claim
from services.records.base import PageRequest
from services.records.jobs import RunRef, SetAside
from services.records.lists import CollectedFilter
from tests.contract.over import Json, Over


def test_a_batch_of_smart_meters_is_judged_stored_asked_again_and_handed_over(over: Over) -> None:
    utility, here = over.utility, over.here
    ids = {serial: utility.add_meter(serial, kind="smart") for serial in ("M1", "M2")}
    context, run = claim(
        utility.services, job="meter_collection", scheduled_on=utility.today, started_by="test"
    )
    assert context is not None
    asked: Json = {"run_started_at": run.started_at, "at": utility.now, "due_only": False}
    assert [m.serial for m in over.same("meters_to_ask", after=None, limit=9, **asked)] == [
        *("M1", "M2")
    ]
    assert [m.serial for m in over.same("meters_to_ask", after="M1", limit=9, **asked)] == ["M2"]

    now = utility.now
    read: Json = {"meter_serial": "M1", "read_at": now.isoformat(), "register_wh": 1_117_000}
    read |= {"read_on": utility.today.isoformat(), "registers": {}, "caller": "job"}
    found, none = over.same("reading_contexts", rows=[read])[0], None
    assert (found.meter.id, found.replay) == (ids["M1"], none)
    [refused] = here.reading_contexts(rows=[read | {"meter_serial": "NO"}])
    assert isinstance(refused, NotFound)

    stored = _batch(over, context.ref, run.started_at, found.neighbours, ids)
    assert here.store_collected(**stored) == (set(), set())
    with pytest.raises(RunTakenOver):
        here.store_collected(**stored | {"run": RunRef("meter_collection", utility.today, 9, 60)})
    [one] = over.same("readings", meter_id=ids["M1"]).items[:1]
    assert (one.register_wh, one.source, one.submitted_by) == (1_117_000, "smart", "job")
    got, failed = (over.same("meter_collection", meter_id=ids[s]) for s in ("M1", "M2"))
    assert (got.outcome, got.reading_id) == ("collected", one.id)
    assert (failed.outcome, failed.reason, failed.tries) == ("no_answer", "Away.", 1)
    assert over.same("meter_collection", meter_id=str(uuid4())) is None
    assert [m.serial for m in here.meters_to_ask(after=None, limit=9, **asked)] == ["M2"]
    assert here.meters_to_ask(after=None, limit=9, **asked | {"due_only": True}) == []
    for wanted, serials in (
        (CollectedFilter(), ["M1", "M2"]),
        (CollectedFilter(failed=True), ["M2"]),
        (CollectedFilter(outcome="collected"), ["M1"]),
        (CollectedFilter(text="m2"), ["M2"]),
        (CollectedFilter(ids=(ids["M1"],)), ["M1"]),
    ):
        page = over.same("list_meter_collections", wanted=wanted, page=PageRequest("meter"))
        assert [row.meter_serial for row in page.items] == serials
    assert over.same("list_meter_collections", wanted=wanted, page=PageRequest("tried")).total == 1
    _is_handed_over(over, context.ref)


def test_the_last_run_that_ended_well_and_the_serials_there_are(over: Over) -> None:
    utility, here = over.utility, over.here
    utility.add_meter("M1")
    assert over.same("known_serials", serials=["M1", "M(2),"]) == {"M1"}
    for complete in (False, True):
        assert over.same("last_done_run", job="backup", complete=complete) is None
    context, _ = claim(
        utility.services, job="backup", scheduled_on=utility.today, started_by="test"
    )
    assert context is not None
    here.note_job_progress(run=context.ref, set_aside=[SetAside(subject="M1", reason="Away.")])
    run = here.finish_job_run(run=context.ref, status="done", detail="")
    assert over.same("last_done_run", job="backup", complete=False) == run
    assert over.same("last_done_run", job="backup", complete=True) is None


def _batch(
    over: Over, run: RunRef, began: Any, neighbours: tuple[str | None, str | None], ids: Json
) -> Json:
    utility, now = over.utility, over.utility.now
    reading: Json = {"id": str(uuid4()), "meter_id": ids["M1"], "read_at": now.isoformat()}
    reading |= {"read_on": utility.today.isoformat(), "register_wh": 1_117_000, "registers": {}}
    reading |= {"source": "smart", "status": "accepted", "validation": {}}
    row: Json = {"subject": "M1", "meter_id": ids["M1"], "tries": 1, "reading": reading}
    failed: Json = {"subject": "M2", "meter_id": ids["M2"], "tries": 1, "outcome": "no_answer"}
    failed |= {"reason": "Away.", "code": "head_end", "tried_at": now.isoformat()}
    failed["next_try_at"] = (now + timedelta(minutes=5)).isoformat()
    failed["give_up_at"] = (now + timedelta(minutes=9)).isoformat()
    batch: Json = {"actor": "job", "run": run, "run_started_at": began, "at": now}
    return batch | {"rows": [row | {"neighbours": list(neighbours)}], "failed": [failed]}


def _is_handed_over(over: Over, run: RunRef) -> None:
    here, later = over.here, over.utility.now + timedelta(minutes=9)
    assert over.same("job_history", at=later).meters_due
    assert over.same("meters_given_up", at=over.utility.now, limit=9) == []
    [given_up] = over.same("meters_given_up", at=later, limit=9)
    asked = {"id": str(uuid4()), "meter_id": given_up.id, "reason": "Away."}
    asked["requested_on"] = over.utility.today.isoformat()
    for _ in range(2):
        here.hand_collections_over(actor="job", run=run, at=later, given_up_by=later, rows=[asked])
    assert over.same("meters_given_up", at=later, limit=9) == []
    handed = here.meter_collection(meter_id=given_up.id)
    assert handed is not None
    assert (handed.round_at, handed.next_try_at) == (later, None)
    assert not over.same("job_history", at=later).meters_wait
