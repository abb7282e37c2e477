"""What was read and what happened at a place of supply, over all its meters and customers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.history.timeline import TimelinePage
from services.identity.auth import NotAllowed
from services.supply.changes import Exchange, MoveOut, OtherMultiplier, TypedRead
from services.supply.place_reads import PlaceRead
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def at(utility: Utility) -> Supplied:
    return Supplied(utility)


def lived(at: Supplied) -> str:
    """M1 from 1000 to 1060, exchanged for N1 that runs twice as fast from 5 to 25, then × 40."""
    point = at.meter("M1")
    at.read("M1", 1040, 40)
    at.do(Exchange(point, at.day(30), TypedRead("1060"), "N1", TypedRead("5"), multiplier="2"))
    at.read("N1", 15, 20)
    at.do(MoveOut(point, at.day(10), TypedRead("25")))
    at.do(OtherMultiplier(point, at.day(5), TypedRead("26"), "40"))
    return point


def reads(at: Supplied, point: str) -> tuple[PlaceRead, ...]:
    place = at.place(point)
    return at.utility.services.places.reads(place=place, principal=ADMIN).reads


def test_use_is_measured_by_the_meter_that_was_there(at: Supplied) -> None:
    point = lived(at)
    at.read("N1", 27, 0)
    found = reads(at, point)
    by_meter = {
        serial: [(r.used_wh, r.days) for r in found if r.reading.meter_serial == serial]
        for serial in ("N1", "M1")
    }
    assert by_meter == {
        "N1": [(40_000, 5), (2_000, 5), (20_000, 10), (20_000, 10), (None, 0)],
        "M1": [(20_000, 10), (40_000, 20), (None, 0)],
    }
    assert [r.reading.read_at for r in found] == sorted(
        (r.reading.read_at for r in found), reverse=True
    )
    events = {(r.reading.meter_serial, r.is_installation, r.is_removal) for r in found}
    assert ("N1", True, True) in events
    assert ("M1", False, True) in events


def test_pages_of_reads_meet_without_a_gap_and_know_the_use_at_their_ends(at: Supplied) -> None:
    point = lived(at)
    whole = reads(at, point)
    walked: list[PlaceRead] = []
    place, places, after = at.place(point), at.utility.services.places, None
    while True:
        page = places.reads(place=place, principal=ADMIN, after=after, limit=2)
        walked += page.reads
        after = page.older
        if after is None:
            break
    assert [(r.reading.id, r.used_wh) for r in walked] == [(r.reading.id, r.used_wh) for r in whole]
    with pytest.raises(NotAllowed):
        places.reads(place=place, principal=ENGINEER)


def test_what_a_meter_reads_elsewhere_is_not_of_the_place(at: Supplied) -> None:
    point = at.meter("M1")
    other = at.meter("M2")
    at.do(Exchange(point, at.day(20), TypedRead("1010"), "N1", TypedRead("0")))
    at.do(Exchange(other, at.day(10), TypedRead("1010"), "M1", TypedRead("1010")))
    at.read("M1", 1020, 0)
    assert [r.reading.register_wh for r in reads(at, point)].count(1_020_000) == 0
    assert reads(at, other)[0].used_wh == 10_000


def timeline(at: Supplied, point: str, kind: str | None = None) -> TimelinePage:
    return at.utility.services.timeline.of(
        subject="service_point", subject_id=point, principal=ADMIN, kind=kind, limit=200
    )


def test_the_timeline_of_a_place_has_its_meters_customers_reads_and_bills(at: Supplied) -> None:
    point = lived(at)
    said = [entry.said.what for entry in timeline(at, point).entries]
    for what in (
        "Service point M1 added",
        "Meter M1 installed at M1",
        "Meter M1 removed at M1",
        "Meter N1 installed at M1",
        "Meter exchanged at M1",
        "Moved out at M1",
        "Reading 1,040 kWh of meter M1",
        "Reading 15 kWh of meter N1",
    ):
        assert what in said
    bills = timeline(at, point, kind="bill").entries
    made = {entry.said.link for entry in bills}
    assert {("bill", bill.id) for bill in at.bills("A-M1")} <= made


def test_the_timeline_of_a_place_has_nothing_of_another(at: Supplied) -> None:
    point = at.meter("M1")
    other = at.meter("M2")
    at.do(Exchange(point, at.day(20), TypedRead("1010"), "N1", TypedRead("0")))
    at.do(Exchange(other, at.day(10), TypedRead("1010"), "M1", TypedRead("1010")))
    at.read("M1", 1020, 0)
    said = " ".join(entry.said.what for entry in timeline(at, point).entries)
    assert "1,020" not in said
    assert "at M2" not in said
    assert "1,020" in " ".join(entry.said.what for entry in timeline(at, other).entries)


def test_the_timeline_of_a_place_is_paged_and_filtered(at: Supplied) -> None:
    point = lived(at)
    whole = timeline(at, point)
    of_page, key = [], None
    while True:
        page = at.utility.services.timeline.of(
            subject="service_point", subject_id=point, principal=ADMIN, limit=4, after=key
        )
        of_page += [entry.key for entry in page.entries]
        key = page.older
        if key is None:
            break
    assert of_page == [entry.key for entry in whole.entries]
    kinds = {entry.kind for entry in timeline(at, point, kind="reading").entries}
    assert kinds == {"reading"}
