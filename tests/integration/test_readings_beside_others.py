"""A reading is judged beside those that wait for review, and beside how other meters' use moved."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from services.database.embedded import EmbeddedPostgres
from services.identity.auth import NotAllowed
from services.importing.by_kind.reading_check import ReadingCheck
from services.readings.expected import expected_on
from services.readings.round import DueMeter
from services.records.readings import ReadPoint
from services.records.submissions import ReadingContext
from services.records.use_limits import PeerUse
from tests.integration.server_process import superuser_dsn
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def read_monthly(utility: Utility, serial: str, *used_kwh: int, until: int = 0) -> int:
    """A meter opened at 1000 kWh and read each 30 days until so many days ago; what it shows."""
    opened = utility.today - timedelta(days=30 * len(used_kwh) + until)
    utility.add_meter(serial, opened_on=opened, dials=6)
    shown = 1000
    for n, used in enumerate(used_kwh, start=1):
        shown += used
        utility.submit(
            serial, shown, at=utility.now - timedelta(days=30 * (len(used_kwh) - n) + until)
        )
    return shown


def context_of(utility: Utility, serial: str) -> ReadingContext:
    return utility.services.database.reading_context(
        meter_serial=serial, read_at=utility.now, read_on=utility.today
    )


def test_a_new_level_is_billed_though_nobody_reviews_the_first_reading(utility: Utility) -> None:
    read_monthly(utility, "M1", 300, 300, 300, 300, 300, 900)
    (waiting,) = utility.services.database.readings(status="needs_review").items
    context = context_of(utility, "M1")
    assert context.waiting == ()
    later = utility.services.database.reading_context(
        meter_serial="M1",
        read_at=utility.now + timedelta(days=30),
        read_on=utility.today + timedelta(days=30),
    )
    assert later.waiting == (ReadPoint(register_wh=waiting.register_wh, read_on=waiting.read_on),)
    utility.services.reading_review.reject(
        reading_id=waiting.id, reason="Read by somebody else.", principal=ADMIN
    )
    assert context_of(utility, "M1").waiting == ()


def test_a_second_reading_at_the_new_level_is_accepted(utility: Utility) -> None:
    read_monthly(utility, "M1", 300, 300, 300, 300, 300, 900, 900)
    found = utility.services.database.readings().items
    last = max(found, key=lambda one: one.read_at)
    assert last.status == "accepted"
    high = next(rule for rule in last.validation["rules"] if rule["rule"] == "high_use")
    assert (high["outcome"], high["values"]["days"]) == ("warn", 60)
    assert "which waits for review, shows the same use." in high["message"]


def at_one_transformer(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "with f as (insert into public.feeders (id, code, name) "
            "values (gen_random_uuid(), 'F-1', 'Hill') returning id) "
            "insert into public.transformers (id, code, name, feeder_id) "
            "select gen_random_uuid(), 'T-1', 'Hill', id from f"
        )
        connection.execute(
            "update public.service_points set transformer_id = (select id from public.transformers)"
        )


def accept_all_that_wait(utility: Utility) -> None:
    for waiting in utility.services.database.readings(status="needs_review").items:
        utility.services.reading_review.accept(
            reading_id=waiting.id, reason="A cold month.", principal=ADMIN, now=utility.now
        )


@pytest.mark.parametrize(
    ("neighbours_kwh", "accepted", "expected"),
    [(1000, True, "billed"), (1000, False, "needs_review"), (400, True, "needs_review")],
)
def test_a_cold_month_is_no_doubt_where_it_is_accepted_of_the_neighbours(
    utility: Utility, database: str, neighbours_kwh: int, accepted: bool, expected: str
) -> None:
    shown = read_monthly(utility, "M1", 300, 300, 300, 300, 400, until=30)
    for n in range(6):
        read_monthly(utility, f"N{n}", 300, 300, 300, 400, neighbours_kwh)
    at_one_transformer(database)
    if accepted:
        accept_all_that_wait(utility)
    daily_wh = (10_000, 10_000, 10_000, 13_333, neighbours_kwh * 1000 // 30)
    use = PeerUse(daily_wh, doubted=not accepted)
    assert context_of(utility, "M1").peers == (use,) * 6
    assert utility.submit("M1", shown + 1000).outcome == expected


def test_meters_without_a_transformer_are_compared_within_their_tariff(utility: Utility) -> None:
    for n in range(2):
        read_monthly(utility, f"N{n}", 300, 300, 600)
    read_monthly(utility, "M1", 300, 300, 300, 300)
    assert context_of(utility, "M1").peers == (PeerUse((10_000, 10_000, 20_000)),) * 2


_LEFT = """
    set session_replication_role = replica;
    with gone as (update service_agreements a
                  set ends_on = a.starts_on + 60, closing_reading_id = a.opening_reading_id
                  from service_points s where s.id = a.service_point_id and s.code like 'G%'
                  returning a.service_point_id)
    update meter_installations i set removed_on = i.installed_on + 60,
                                     removed_at = i.installed_at + interval '60 days',
                                     closing_reading_id = i.opening_reading_id
    from gone where i.service_point_id = gone.service_point_id"""


def test_meters_are_compared_with_those_that_are_still_there(
    utility: Utility, database: str, embedded_server: EmbeddedPostgres
) -> None:
    opened = utility.today - timedelta(days=200)
    for n in range(65):
        utility.add_meter(f"G{n}", opened_on=opened)
    for n in range(2):
        read_monthly(utility, f"N{n}", 300, 300, 600)
    read_monthly(utility, "M1", 300, 300, 300, 300)
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(superuser_dsn(embedded_server, database=str(name))) as connection:
        connection.execute(_LEFT.encode())
    assert context_of(utility, "M1").peers == (PeerUse((10_000, 10_000, 20_000)),) * 2


def test_a_meter_without_months_behind_it_is_not_compared(utility: Utility) -> None:
    read_monthly(utility, "N1", 300, 300, 600)
    read_monthly(utility, "M1", 300)
    assert context_of(utility, "M1").peers == ()


def test_the_round_expects_what_the_judge_lets_pass(utility: Utility, database: str) -> None:
    shown = read_monthly(utility, "M1", 300, 300, 300, 400, until=30)
    for n in range(6):
        read_monthly(utility, f"N{n}", 300, 300, 400, 1000)
    # Its last reading shows no use and waits for a review; another meter has no past at all.
    accept_all_that_wait(utility)
    read_monthly(utility, "W1", 300, 300, 300, 300, 0, until=30)
    read_monthly(utility, "S1")
    found = {due.meter.serial: due for due in the_round(utility)}
    assert found["M1"].meter.peers == (PeerUse((10_000, 10_000, 13_333, 33_333)),) * 6
    at_one_transformer(database)
    found = {due.meter.serial: due for due in the_round(utility)}
    assert len(found) == 9
    book = utility.services.assessor.limit_book()
    for serial, due in found.items():
        # The last readings were taken at `now`.
        context = utility.services.database.reading_context(
            meter_serial=serial,
            read_at=utility.now + timedelta(seconds=1),
            read_on=utility.today,
        )
        assert due.expected == expected_on(context, book=book, on=utility.today), serial
        for name in ("history", "waiting", "peers", "class_use", "last_point"):
            assert getattr(due.meter, name) == getattr(context, name), (serial, name)
    expected = found["M1"].expected
    assert expected is not None
    assert expected.high_wh > (shown + 1000) * 1000
    typed = f"{expected.high_wh // 1000}"
    assert utility.submit("M1", typed).outcome == "billed"


def test_a_reading_above_the_range_of_the_round_waits_for_review(
    utility: Utility,
) -> None:
    read_monthly(utility, "M1", 300, 300, 300, 300, until=30)
    (due,) = the_round(utility)
    assert due.expected is not None
    too_much = f"{due.expected.high_wh // 1000 + 1}"
    assert utility.submit("M1", too_much).outcome == "needs_review"


def the_round(utility: Utility) -> tuple[DueMeter, ...]:
    """The meters that are on no route, in pages of four."""
    found: list[DueMeter] = []
    after = None
    while True:
        page = utility.services.reading_round.meters(
            route="", principal=ENGINEER, now=utility.now, after=after, limit=4
        )
        found += page.meters
        if (after := page.after) is None:
            return tuple(found)


def test_two_meters_swapped_on_one_day_are_named_to_each_other(utility: Utility) -> None:
    near = read_monthly(utility, "M1", 300, 300, 300, 300, until=30)
    far = read_monthly(utility, "M2", *(5_000,) * 5, until=30)
    one = utility.submit("M1", far + 5_000).reading
    other = utility.submit("M2", near + 300).reading
    database, find = utility.services.database, utility.services.swapped_meters.explanation
    assert {one.status, other.status} == {"needs_review"}
    flagged = database.flagged_on(read_on=utility.today, limit=5)
    assert {reading.id for reading in flagged} == {one.id, other.id}
    for reading, named in ((one, "M2"), (other, "M1")):
        found = find(reading, context_of(utility, reading.meter_serial), principal=ADMIN)
        assert found is not None
        assert f"the one of meter {named} of the same day" in found.message
    utility.services.reading_review.reject(
        reading_id=other.id, reason="It was the neighbour's.", principal=ADMIN
    )
    assert find(one, context_of(utility, "M1"), principal=ADMIN) is None
    with pytest.raises(NotAllowed):
        find(one, context_of(utility, "M1"), principal=ENGINEER)


def test_a_file_is_judged_as_the_readings_were_that_came_one_by_one(
    utility: Utility, database: str
) -> None:
    """A street with a cold month, one meter that uses too much and one that hardly moves."""
    used = {f"M{n}": [300 + 10 * n, 310, 290, 300, 310, 420, 400] for n in range(7)}
    used["M5"][6] = 1900
    used["M6"][5] = 90
    opened = utility.today - timedelta(days=30 * 7)
    for serial in used:
        utility.add_meter(serial, opened_on=opened, dials=6)
    at_one_transformer(database)
    live: dict[tuple[str, int], str] = {}
    lines = [f"{serial},1000,{opened}" for serial in used]
    shown = dict.fromkeys(used, 1000)
    for month in range(7):
        at = utility.now - timedelta(days=30 * (6 - month))
        for serial, months in used.items():
            shown[serial] += months[month]
            answer = utility.submit(serial, shown[serial], at=at)
            live[serial, shown[serial]] = answer.reading.status
            lines.append(f"{serial},{shown[serial]},{at.isoformat()}")
    check = ReadingCheck(zone=utility.services.settings.timezone, now=utility.now)
    checked = check.check("\n".join(["meter_serial,reading_kwh,read_at", *lines]))
    in_file = {
        (line.split(",")[0], int(line.split(",")[1])): one.validation.verdict
        for line, one in zip(lines, checked, strict=True)
        if line.split(",")[1] != "1000"
    }
    assert in_file == live
    assert list(live.values()).count("needs_review") == 2
