"""How rounds stand, counted in an index, is what each meter of a route says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from services.readings.round import Visit
from services.supply.changes import Exchange, TypedRead
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, Utility, make_utility

# Place by place, as a page of the round would say it.
_ONE_BY_ONE = """
    select s.route, count(*),
           count(*) filter (where (x.asked or not x.was_read) and not x.missed),
           count(*) filter (where x.asked),
           count(*) filter (where (x.asked or not x.was_read) and x.missed)
    from service_points s
    join meter_installations i on i.service_point_id = s.id and i.removed_at is null
    join meters m on m.id = i.meter_id and m.kind = 'manual'
    cross join lateral (select
        exists (select 1 from reading_requests q where q.meter_id = m.id and q.done_at is null)
            as asked,
        exists (select 1 from missed_reads v
                where v.service_point_id = s.id and v.missed_on = %(today)s) as missed,
        exists (select 1 from readings r
                where r.meter_id = m.id and r.read_on > %(before)s and r.read_at >= i.installed_at
                  and (r.status = 'needs_review'
                       or r.status = 'accepted' and r.source <> 'estimated')) as was_read) x
    group by 1 order by 1"""


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@dataclass
class Rounds:
    """Routes, and how they stand in two ways."""

    at: Supplied
    dsn: str

    def stand(self) -> list[tuple[str, int, int, int, int]]:
        today, before = self.at.utility.today, self.at.day(10)
        found = self.at.database.reading_rounds(
            read_before=before, today=today, after=None, limit=20
        )
        with psycopg.connect(self.dsn) as connection:
            days = {"today": today, "before": before}
            one_by_one = connection.execute(_ONE_BY_ONE, days).fetchall()
        counted = [(r.route, r.meters, r.still, r.asked, r.missed) for r in found]
        assert [row for row in counted if row[1]] == one_by_one
        return counted

    def lead(self, route: str, *serials: str) -> None:
        rows = [
            {"row": n, "id": str(uuid4()), "code": serial, "route": route}
            for n, serial in enumerate(serials, start=1)
        ]
        answer = self.at.database.import_rows(
            what="service_points", actor=ADMIN.user, rows=rows, dry_run=False
        )
        assert not answer.errors

    def ask_again(self, serial: str) -> None:
        with psycopg.connect(self.dsn) as connection:
            meter = connection.execute("select id from meters where serial = %s", [serial])
            (meter_id,) = meter.fetchone() or ("",)
        self.at.database.request_reading(
            request_id=str(uuid4()),
            actor=ADMIN.user,
            meter_id=str(meter_id),
            reason="Blurred",
            requested_on=self.at.utility.today,
        )

    def miss(self, serial: str) -> None:
        at = self.at.utility.now - timedelta(minutes=1)
        visit = {"id": uuid4(), "meter_serial": serial, "missed_at": at, "reason": "no_access"}
        self.at.utility.services.reading_round.miss(
            visit=Visit.model_validate(visit), principal=ADMIN
        )


@pytest.fixture
def rounds(utility: Utility, database: str) -> Rounds:
    made = Rounds(Supplied(utility), database)
    for n in range(8):
        made.at.meter(f"M{n}", opened=60)
    made.lead("North", "M0", "M1", "M2", "M3")
    made.lead("South", "M4", "M5", "M6")
    return made


def test_a_route_is_counted_as_its_meters_are_read(rounds: Rounds) -> None:
    assert [row[:3] for row in rounds.stand()] == [("", 1, 1), ("North", 4, 4), ("South", 3, 3)]
    # Read, in review, estimated, read too long ago.
    rounds.at.read("M0", 1040, 5)
    assert rounds.at.read("M1", 90_000, 5).reading.status == "needs_review"
    rounds.at.read("M2", 1040, 5, source="estimated")
    rounds.at.read("M3", 1040, 20)
    assert ("North", 4, 2, 0, 0) in rounds.stand()


def test_what_is_asked_again_missed_or_exchanged_is_counted(rounds: Rounds) -> None:
    rounds.at.read("M4", 1040, 3)
    rounds.ask_again("M4")
    rounds.miss("M5")
    point = rounds.at.point("M6")
    rounds.at.do(Exchange(point, rounds.at.day(4), TypedRead("1020"), "N6", TypedRead("0")))
    assert ("South", 3, 1, 1, 1) in rounds.stand()


def test_a_place_on_another_route_and_a_meter_read_otherwise_are_counted_there(
    rounds: Rounds,
) -> None:
    rounds.at.read("M0", 1040, 5)
    rounds.lead("West", "M0", "M5")
    with psycopg.connect(rounds.dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update meters set kind = 'smart' where serial = 'M7'")
    assert [row[:3] for row in rounds.stand()] == [
        ("", 0, 0),
        ("North", 3, 3),
        ("South", 2, 2),
        ("West", 2, 1),
    ]
    with psycopg.connect(rounds.dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update meters set kind = 'manual' where serial = 'M7'")
    assert rounds.stand()[0][:3] == ("", 1, 1)
