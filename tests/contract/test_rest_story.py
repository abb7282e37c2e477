"""Story 1 over REST while the project fails: what is sent again counts once, nothing is lost."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from services.bootstrap import wire
from services.bootstrap_providers import Providers
from services.database.service import DatabaseService
from services.database.transports import supabase as rest
from services.database.transports.supabase import RestTransport
from services.identity.permissions import Role
from services.outbox.outbox import Outbox, StepDone
from tests.contract.supabase_project import supabase_project
from tests.integration.api.talk import READING, answer_of, bearer, error_of
from tests.integration.configured.servers import in_front_of
from tests.integration.providers.stand_in import Reply, Seen, StandIn, running
from tests.integration.utility import Utility, make_utility
from tests.servers import NewDatabase

SECONDS = 1.5
LOOKED_UP, COMMITTED = "/rpc/reading_context", "/rpc/commit_reading"
SILENCE = Reply(200, b"{}", silence_seconds=SECONDS + 1)
CUT = Reply(200, b"{}", hang_up=True)
AGAIN = "Send the same again: it counts only once."

# What the project does, the status that the API answers with, and what it says.
FAULTS = {
    "no answer in time": (SILENCE, 503, AGAIN),
    "a cut line": (CUT, 503, AGAIN),
    "429": (Reply(429, b"{}"), 503, AGAIN),
    "500": (Reply(500, b"<html>"), 503, AGAIN),
    "503": (Reply(503, b'{"code": "PGRST002", "message": "schema cache"}'), 503, AGAIN),
    "a malformed answer": (Reply(200, b"<html>Sign in to the hotel"), 503, AGAIN),
    "401": (Reply(401, b'{"message": "Invalid API key"}'), 500, "nothing was lost"),
    "a final refusal": (Reply(500, b'{"code": "XX000", "message": "x"}'), 500, "nothing was lost"),
}


@dataclass
class Weak:
    """Stands before a project: fails requests to an address, before or after passing them on."""

    project: StandIn
    path: str = ""
    fault: Reply | None = None
    after: bool = False
    times: int = 0

    def fail(self, path: str, fault: Reply, *, times: int, after: bool = False) -> None:
        """Fail the next requests to `path`; `after` the project has carried them out."""
        self.path, self.fault, self.times, self.after = path, fault, times, after

    def behave(self, seen: Seen) -> Reply:
        """Answer as the project, or fail."""
        if self.fault is None or not self.times or not seen.path.endswith(self.path):
            return self.project.behave(seen)
        self.times -= 1
        if self.after:
            assert self.project.behave(seen).status == 200
        return self.fault


@dataclass
class Office:
    """A utility over a project that can fail, its API, and a direct look at its database."""

    weak: Weak
    front: StandIn
    api: FlaskClient
    direct: Utility
    outbox: Outbox

    def submit(self) -> TestResponse:
        """Hand in the one reading, the same each time."""
        body = {"meter_serial": "M1", "reading_kwh": "1117", "idempotency_key": "form-1"}
        body["read_at"] = self.direct.now.isoformat()
        return self.api.post(READING, json=body, headers=bearer(self.direct, Role.ENGINEER))

    def totals(self) -> list[int]:
        """The totals of the bills there are, in minor units."""
        return [bill.total_minor for bill in self.direct.bills_of("M1")]


@pytest.fixture
def office(
    fresh_database: NewDatabase, postgrest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    monkeypatch.setattr(rest, "FIRST_PAUSE_SECONDS", 0.01)
    dsn = fresh_database()
    direct = make_utility(dsn, tmp_path)
    direct.add_meter("M1")
    with ExitStack() as stack:
        stack.callback(direct.services.close)
        project = stack.enter_context(supabase_project(postgrest, dsn))
        weak = Weak(in_front_of(project.url))
        front = stack.enter_context(running(StandIn(weak.behave, weak.project.refusal)))
        database = DatabaseService(RestTransport(front.url, project.service_key, seconds=SECONDS))
        stack.callback(database.close)
        done = StepDone("with its meter")
        services = wire(
            direct.services.settings,
            database,
            providers=Providers(step_handlers={8: lambda **_: done}),
            lease_seconds=1,
        )
        api = create_app(services, clock=lambda: direct.now).test_client()
        yield Office(weak, front, api, direct, services.outbox)


@pytest.mark.parametrize("name", FAULTS)
def test_before_anything_is_stored_the_same_reading_is_sent_again_and_billed_once(
    office: Office, name: str
) -> None:
    fault, status, said = FAULTS[name]
    for path in (LOOKED_UP, COMMITTED):
        office.weak.fail(path, fault, times=1)
        assert said in error_of(office.submit(), status)
        assert office.weak.times == 0
        assert office.totals() == []
    assert answer_of(office.submit(), 201)["bill"]["total"] == "540.35"
    assert office.totals() == [54_035]


@pytest.mark.parametrize("name", FAULTS)
def test_an_answer_that_is_lost_after_the_commit_leaves_one_bill_and_its_work(
    office: Office, name: str
) -> None:
    fault, status, said = FAULTS[name]
    office.weak.fail(COMMITTED, fault, times=1, after=True)
    assert said in error_of(office.submit(), status)
    assert office.totals() == [54_035]
    again = answer_of(office.submit(), 200)
    assert again["bill"]["total"] == "540.35"
    assert office.totals() == [54_035]
    bill_id = again["bill"]["id"]
    # The submitter's lease runs out; then the background does what is owed.
    assert _in_the_end(office, bill_id) == ("finished", "done")


def test_three_errors_of_the_project_and_then_fine(office: Office) -> None:
    office.weak.fail(COMMITTED, Reply(500, b"{}"), times=3)
    for _ in range(3):
        error_of(office.submit(), 503)
    assert answer_of(office.submit(), 201)["bill"]["total"] == "540.35"
    assert office.totals() == [54_035]


def test_a_project_that_is_away_for_a_while(office: Office) -> None:
    with office.front.away():
        assert AGAIN in error_of(office.submit(), 503)
        assert office.api.get("/api/health").status_code == 503
    assert answer_of(office.submit(), 201)["bill"]["total"] == "540.35"


@pytest.mark.parametrize("name", FAULTS)
def test_a_step_whose_outcome_cannot_be_kept_is_done_again(office: Office, name: str) -> None:
    office.weak.fail("/rpc/save_owed_work", FAULTS[name][0], times=1)
    office.submit()
    assert office.totals() == [54_035]
    (bill,) = office.direct.bills_of("M1")
    assert _in_the_end(office, bill.id) == ("finished", "done")


def _in_the_end(office: Office, bill_id: str) -> tuple[str, str]:
    """How the owed work stands once the lease is over: its status, and that of step 8."""
    deadline = time.monotonic() + 10
    while True:
        office.outbox.sweep()
        (outbox,) = office.direct.services.database.outbox_of(bill_id)
        if outbox.status != "open" or time.monotonic() > deadline:
            return outbox.status, outbox.steps[8].status
        time.sleep(0.1)
