"""Places that nobody has read for long, or ever, and vacant ones where something is used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.records.base import PageRequest
from services.records.lists import PointFilter
from services.supply.changes import Exchange, MoveOut, TypedRead
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, Utility, make_utility

WORKED_OUT = "select private.refresh_latest_reads(array(select id from public.service_points))"
KEPT = (
    "select service_point_id, read_on, is_first, route, by_hand from public.latest_reads order by 1"
)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def at(utility: Utility) -> Supplied:
    return Supplied(utility)


def found(at: Supplied, **wanted: Any) -> list[str]:
    page = at.utility.services.lists.service_points(
        wanted=PointFilter(**wanted), page=PageRequest(sort="code"), principal=ADMIN
    )
    return [point.code for point in page.items]


def kept_is_what_the_readings_say(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        kept = connection.execute(KEPT).fetchall()
        connection.execute("truncate public.latest_reads")
        connection.execute(WORKED_OUT)
        assert connection.execute(KEPT).fetchall() == kept
        assert kept


def test_places_are_found_by_when_they_were_read_last(at: Supplied, database: str) -> None:
    at.meter("NEVER", opened=60)
    at.meter("OLD", opened=60)
    at.read("OLD", 1040, 40)
    at.meter("NEW", opened=60)
    at.read("NEW", 1040, 5)
    assert found(at, never_read=True) == ["NEVER"]
    assert found(at, last_read_by=at.day(6)) == ["NEVER", "OLD"]
    assert found(at, last_read_by=at.day(5)) == ["NEVER", "NEW", "OLD"]
    assert found(at, last_read_by=at.day(41)) == ["NEVER"]
    by_code = {point.code: point.last_read_on for point in at.points("")}
    assert by_code == {"NEVER": None, "OLD": at.day(40), "NEW": at.day(5)}
    kept_is_what_the_readings_say(database)


def test_a_rejected_reading_was_no_reading(at: Supplied, database: str) -> None:
    at.meter("M1", opened=60)
    read = at.read("M1", 90_000, 5)
    assert read.reading.status == "needs_review"
    assert found(at, never_read=True) == ["M1"]
    kept_is_what_the_readings_say(database)


def test_an_exchange_is_a_reading_and_a_meter_elsewhere_is_not_of_the_place(
    at: Supplied, database: str
) -> None:
    point = at.meter("M1")
    other = at.meter("M2")
    at.do(Exchange(point, at.day(20), TypedRead("1010"), "N1", TypedRead("0")))
    at.do(Exchange(other, at.day(10), TypedRead("1010"), "M1", TypedRead("1010")))
    at.read("M1", 1020, 0)
    assert found(at, never_read=True) == []
    assert found(at, last_read_by=at.day(20)) == ["M1"]
    kept_is_what_the_readings_say(database)


def test_an_exchange_that_is_undone_was_no_reading(at: Supplied, database: str) -> None:
    point = at.meter("M1", opened=60)
    change = at.do(Exchange(point, at.day(20), TypedRead("1010"), "N1", TypedRead("0")))
    at.supply.undo(change.id, undo_id=str(uuid4()), reason="wrong house", principal=ADMIN)
    kept_is_what_the_readings_say(database)
    (found_again,) = at.points("M1")
    assert found_again.meter_serial == "M1"


def test_a_vacant_place_where_something_is_used_is_found(at: Supplied) -> None:
    for serial in ("M1", "M2"):
        at.do(MoveOut(at.meter(serial), at.day(20), TypedRead("1010")))
    at.meter("M3")
    at.read("M2", 1014, 2)
    assert found(at, vacant_only=True) == ["M1", "M2"]
    assert found(at, vacant_with_use=True) == ["M2"]


def test_a_place_without_a_meter_is_vacant_until_somebody_is_supplied(
    at: Supplied, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute(
            "insert into service_points (id, code, address) values (%s, 'EMPTY', '1 Hill Road')",
            [uuid4()],
        )
    point = at.meter("M1", opened=60)
    assert found(at, vacant_only=True) == ["EMPTY"]
    at.do(MoveOut(point, at.day(20), TypedRead("1010")))
    assert found(at, vacant_only=True) == ["EMPTY", "M1"]
    assert found(at, vacant_with_use=True) == []


def test_the_file_has_the_rows_of_the_filter(at: Supplied) -> None:
    at.meter("NEVER")
    at.meter("NEW")
    at.read("NEW", 1040, 5)
    file = at.utility.services.lists.service_points_file(
        wanted=PointFilter(last_read_by=at.day(1)),
        page=PageRequest(sort="code"),
        kind="csv",
        principal=ADMIN,
    ).decode()
    assert "last_read_on" in file
    assert at.day(5).isoformat() in file
    assert "NEVER" in file
