"""The office's side of the round: how routes stand, and the meters that could not be read."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from pages import registry
from services.bootstrap import run_with
from services.identity.auth import NotAllowed
from services.identity.permissions import Role
from services.readings.round import parse_visit
from services.readings.submission import InvalidReading
from services.records.base import PageRequest
from services.records.lists import MissedFilter
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.page_runs import signed_in, words

pytestmark = pytest.mark.postgres


@pytest.fixture
def utility(fresh_database: NewDatabase, tmp_path: Any) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path)
    run_with(made.services)
    yield made
    run_with(None)
    made.services.close()


def on_route(utility: Utility, serial: str, route: str) -> str:
    meter_id = utility.add_meter(serial)
    meter = utility.services.database.meter(meter_id)
    place = {"row": 1, "id": str(uuid4()), "code": meter.service_point_code, "route": route}
    answer = utility.services.database.import_rows(
        what="service_points", actor=ADMIN.user, rows=[place], dry_run=False
    )
    assert answer.changed == 1
    return meter_id


def miss(utility: Utility, serial: str, days_ago: int, reason: str = "no_access") -> None:
    at = utility.now - timedelta(days=days_ago)
    body = {"id": str(uuid4()), "meter_serial": serial, "missed_at": at.isoformat()}
    visit = parse_visit(body | {"reason": reason, "note": "Rang"}, now=utility.now)
    utility.services.reading_round.miss(visit=visit, principal=ENGINEER)


def missed(utility: Utility, **wanted: Any) -> list[tuple[str, int]]:
    found = utility.services.lists.missed_reads(
        wanted=MissedFilter(**wanted), page=PageRequest("times", descending=True), principal=ADMIN
    )
    return [(one.meter_serial, one.times) for one in found.items]


def test_routes_stand_with_what_is_read_and_what_is_not(utility: Utility) -> None:
    for serial in ("M1", "M2", "M3"):
        on_route(utility, serial, "North")
    utility.submit("M1", 1117)
    miss(utility, "M2", 0)
    app = signed_in(utility.services, Role.ADMIN, registry.ROUNDS.script)
    said = "3 meters: 1 read, 1 to read, 1 could not be read today"
    assert said in words(app)
    app.button(key="route-North").click().run()
    assert "2 of 3 meters to read." in words(app)
    (table,) = app.dataframe
    assert list(table.value["Meter"]) == ["M2", "M3"]
    assert list(table.value["State"]) == ["Not read today: no access. Rang", "To read"]


def test_a_meter_is_listed_until_it_is_read(utility: Utility) -> None:
    for serial in ("M1", "M2", "M3"):
        on_route(utility, serial, "North")
    for days in (3, 2, 0):
        miss(utility, "M1", days)
    miss(utility, "M2", 1, "dog")
    assert missed(utility) == [("M1", 3), ("M2", 1)]
    assert missed(utility, at_least=2) == [("M1", 3)]
    assert missed(utility, reason="dog") == [("M2", 1)]
    assert missed(utility, text="m2 north") == [("M2", 1)]
    assert missed(utility, missed_to=utility.today - timedelta(days=1)) == [("M2", 1)]
    # A read starts the row again.
    utility.submit("M1", 1117)
    assert missed(utility) == [("M2", 1)]
    found = utility.services.lists.missed_reads_file(
        wanted=MissedFilter(),
        page=PageRequest("visit", descending=True),
        kind="csv",
        principal=ADMIN,
    )
    assert found.decode("utf-8-sig").splitlines()[1].startswith("M2,")


def test_refused_readings_are_shown_as_they_were_typed(utility: Utility) -> None:
    on_route(utility, "M1", "North")
    script, view = registry.ROUNDS.script, "Refused"
    app = signed_in(utility.services, Role.ADMIN, script, view=view)
    assert "No reading of a round was refused." in words(app)
    body = {"meter_serial": "M1", "reading_kwh": "=1+1", "idempotency_key": "k"}
    body["read_at"] = "2026-03-01T10:30:00Z"
    error = InvalidReading("A reading must be a number, such as 1117 or 1117.5.")
    utility.services.reading_round.note_refused(body=body, error=error, principal=ENGINEER)
    app = signed_in(utility.services, Role.AUDITOR, script, view=view)
    assert not app.exception
    shown = words(app)
    assert "must be a number" in shown
    assert "1 Mar 2026, 16:00" in shown
    assert f"by {ENGINEER.user}" in shown.replace("\\", "")


def test_the_office_asks_for_new_reads_of_those_chosen(utility: Utility) -> None:
    ids = [on_route(utility, serial, "North") for serial in ("M1", "M2")]
    utility.submit("M1", 1117)
    miss(utility, "M2", 0)
    app = signed_in(utility.services, Role.ADMIN, registry.ROUNDS.script, view="Could not be read")
    assert not app.exception
    assert "1 meter" in words(app)
    round_, form = utility.services.reading_round, str(uuid4())
    asked, again = (
        round_.ask_all_again(
            form_id=form,
            meter_ids=ids,
            reason="Ring the neighbour",
            principal=ADMIN,
            now=utility.now,
        )
        for _ in range(2)
    )
    assert [one.meter_id for one in asked] == ids
    assert again == asked
    found = round_.meters(route="North", principal=ADMIN, now=utility.now).meters
    assert [due.meter.request for due in found] == list(asked)
    with pytest.raises(NotAllowed):
        round_.ask_all_again(
            form_id=form, meter_ids=ids, reason="x", principal=ENGINEER, now=utility.now
        )
    with pytest.raises(InvalidReading, match="Choose at most 100 meters"):
        round_.ask_all_again(
            form_id=form, meter_ids=ids * 51, reason="x", principal=ADMIN, now=utility.now
        )
