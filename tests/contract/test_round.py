"""The round of whoever reads meters, over both transports."""

import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IdempotencyKeyReused, NotFound
from services.records.base import PageRequest
from services.records.lists import MissedFilter
from tests.contract.over import Over
from tests.integration.utility import ADMIN, ENGINEER


def test_a_meter_is_due_asked_for_again_and_missed(over: Over) -> None:
    utility, here, actor = over.utility, over.here, ADMIN.user
    meter_id = utility.add_meter("R1")
    days: dict[str, Any] = {"today": utility.today}
    days["read_before"] = utility.today - timedelta(days=20)
    place: dict[str, Any] = {"row": 1, "id": str(uuid4()), "code": "R1", "route": "Hills"}
    here.import_rows(what="service_points", actor=actor, rows=[place], dry_run=False)
    counted = {"after": None, "limit": 10}
    (route,) = [r for r in over.same("reading_rounds", **days, **counted) if r.route == "Hills"]
    assert (route.meters, route.still, route.asked, route.missed) == (1, 1, 0, 0)
    utility.submit("R1", 1117)
    assert not _meter(over, days).is_due
    asked: dict[str, Any] = {"actor": actor, "meter_id": meter_id, "reason": "Blurred"}
    asked["requested_on"] = utility.today
    request = here.request_reading(request_id=str(uuid4()), **asked)
    assert here.request_reading(request_id=str(uuid4()), **asked) == request
    assert _meter(over, days).request == request
    # A read of before the request was known says nothing about it.
    utility.submit("R1", 1116, at=utility.now - timedelta(minutes=1))
    assert _meter(over, days).request == request
    closed = here.withdraw_reading_request(actor=actor, request_id=request.id)
    assert (closed.done_reading_id, closed.done_at is None) == (None, False)
    visit: dict[str, Any] = {"actor": actor, "missed_id": str(uuid4()), "meter_serial": "R1"}
    visit |= {
        "missed_at": utility.now + timedelta(minutes=1),
        "missed_on": utility.today,
        "note": "",
    }
    missed = here.miss_reading(reason="dog", **visit)
    assert here.miss_reading(reason="dog", **visit) == missed
    assert _meter(over, days).missed == missed
    _is_listed(over, meter_id)
    with pytest.raises(IdempotencyKeyReused):
        here.miss_reading(reason="locked", **visit)
    _refuses(over, asked, visit)


def test_what_was_refused_is_kept_once(over: Over) -> None:
    key = str(uuid4())
    told = {"actor": ENGINEER.user, "key": key, "meter_serial": "R-none", "shown": "7"}
    told |= {"read_at": "2026-03-01T10:30Z", "why": "There is no meter R-none."}
    assert [over.here.note_refused_read(**told) for _ in range(2)] == [True, False]
    (found,) = over.same("refused_reads", limit=1)
    assert (found.meter_serial, found.meter_id, found.shown) == ("R-none", None, "7")


def test_a_photo_is_kept_once_and_found_by_what_it_belongs_to(over: Over) -> None:
    utility, here, actor, key = over.utility, over.here, ENGINEER.user, str(uuid4())
    meter_id = utility.add_meter("R2")
    jpeg = b"\xff\xd8\xff and so on"
    photo: dict[str, Any] = {"actor": actor, "key": key, "meter_serial": "R2", "size": (4, 3)}
    photo |= {"sha256": hashlib.sha256(jpeg).hexdigest(), "jpeg": jpeg}
    kept = here.keep_photo(**photo)
    assert here.keep_photo(**photo) == kept == over.same("photo", kept.id)
    assert over.same("photos_of", taken_by=actor, key=key, limit=1) == [kept]
    assert over.same("photos_of", meter_id=meter_id, limit=1) == []
    reading = utility.submit("R2", 1117, key=key).reading
    (found,) = over.same("photos_of", reading_id=reading.id, limit=1)
    assert (found.id, found.reading_id) == (kept.id, reading.id)
    assert over.same("photos_of", meter_id=meter_id, limit=1) == [found]
    assert over.same("photo_content", kept.sha256) == jpeg
    assert over.same("photo_content", "0" * 64) is None
    other = {"sha256": hashlib.sha256(b"other").hexdigest(), "jpeg": b"other"}
    with pytest.raises(IdempotencyKeyReused):
        here.keep_photo(**(photo | other))
    with pytest.raises(NotFound):
        here.keep_photo(**(photo | {"meter_serial": "R-none"}))


def _is_listed(over: Over, meter_id: str) -> None:
    page = PageRequest("times", descending=True)
    wanted = MissedFilter(text="r1 hills", missed_from=over.utility.today)
    (listed,) = over.same("list_missed_reads", wanted=wanted, page=page).items
    assert (listed.id, listed.times, listed.reason) == (meter_id, 1, "dog")


def _meter(over: Over, days: dict[str, Any]) -> Any:
    (meter,) = over.same("round_meters", route="Hills", after=None, limit=10, **days)
    return meter


def _refuses(over: Over, asked: dict[str, Any], visit: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        over.here.request_reading(request_id=str(uuid4()), **(asked | {"meter_id": str(uuid4())}))
    with pytest.raises(NotFound):
        over.here.withdraw_reading_request(actor=ADMIN.user, request_id=str(uuid4()))
    with pytest.raises(NotFound):
        over.here.miss_reading(reason="dog", **(visit | {"meter_serial": "R-none"}))
