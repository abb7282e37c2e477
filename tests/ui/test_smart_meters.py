"""The office's look at smart meters: what came of asking for each, and what happens next."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pages import registry
from services.bootstrap import run_with
from services.identity.auth import NotAllowed, Principal
from services.identity.permissions import Role
from services.jobs.by_hand import run_job
from services.records.base import PageRequest
from services.records.lists import CollectedFilter
from tests.integration.head_end import StandIn, reading, standing_in
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.page_runs import signed_in, words

pytestmark = pytest.mark.postgres


@pytest.fixture
def head_end() -> Iterator[StandIn]:
    with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def utility(fresh_database: NewDatabase, tmp_path: Any, head_end: StandIn) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path)
    made.services = replace(made.services, headend_url=head_end.url)
    run_with(made.services)
    yield made
    run_with(None)
    made.services.close()


@pytest.fixture
def ids(utility: Utility, head_end: StandIn) -> dict[str, str]:
    """Two smart meters, of which one gave a reading."""
    made = {serial: utility.add_meter(serial, kind="smart") for serial in ("S1", "S2")}
    at = utility.now - timedelta(minutes=1)
    head_end.answers = lambda s: reading(s, 1117, at) if s == "S1" else (404, "")
    run_job(utility.services, "meter_collection", utility.now, "test")
    return made


@pytest.mark.usefixtures("ids")
def test_the_list_says_what_came_of_each_meter_and_why(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ADMIN, registry.SMART_METERS.script)
    assert not app.exception
    said = words(app)
    for expected in ("S1", "Collected", "S2", "No answer", "does not know meter S2", "asked again"):
        assert expected in said
    app.selectbox(key="outcome").select("Without a reading").run()
    assert "S2" in words(app)
    assert "Collected" not in words(app).replace("Last collected", "")


def test_the_meter_and_its_place_say_it_too(utility: Utility, ids: dict[str, str]) -> None:
    meter = utility.services.database.meter(ids["S2"])
    for page, thing in (
        (registry.METER, meter.id),
        (registry.SERVICE_POINT, meter.service_point_id),
    ):
        app = signed_in(utility.services, Role.ADMIN, page.script, id=str(thing))
        assert not app.exception
        assert "The head-end does not know meter S2." in words(app)
        assert "asked again" in words(app)


@pytest.mark.usefixtures("ids")
def test_the_list_is_a_file_for_those_who_may_see_it(utility: Utility) -> None:
    lists, page = utility.services.lists, PageRequest("meter")
    wanted = CollectedFilter(failed=True)
    found = lists.smart_meters_file(wanted=wanted, page=page, kind="csv", principal=ADMIN)
    [row] = csv.DictReader(io.StringIO(found.decode("utf-8-sig")))
    assert (row["meter_serial"], row["outcome"]) == ("S2", "no_answer")
    assert row["reason"] == "The head-end does not know meter S2."
    nobody = Principal("field", frozenset({Role.ENGINEER}), None, "token")
    with pytest.raises(NotAllowed):
        lists.smart_meters_file(wanted=wanted, page=page, kind="csv", principal=nobody)
    with pytest.raises(NotAllowed):
        lists.smart_meters(wanted=wanted, page=page, principal=nobody)
