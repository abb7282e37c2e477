"""What the checks find is remembered, and nothing unexpected is told to anybody."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from services.health.checks import Checks, Finding, SchedulerCheck, SignInServiceCheck
from services.health.last_errors import LastError, LastErrors
from services.identity.auth import LocalTokens
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import OutcomeUnknown

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


@dataclass
class Scripted:
    """A system that answers as a test wants it to; an exception is raised."""

    name: str
    answers: list[str | Exception] = field(default_factory=list)
    configured: bool = True

    def check(self) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Running:
    running: bool


def test_before_any_test_there_is_no_finding() -> None:
    (state,) = Checks([Scripted("Graph", configured=False)]).states()
    assert (state.name, state.configured) == ("Graph", False)
    assert (state.last_test, state.last_error) == (None, None)


def test_the_last_error_stays_after_a_test_that_went_well() -> None:
    checks = Checks([Scripted("Graph", [TemporaryFailure("It is away."), "It answers."])])
    checks.test("Graph", now=NOW)
    checks.test("Graph", now=LATER)
    (state,) = checks.states()
    assert state.last_test == Finding(well=True, sentence="It answers.", at=LATER)
    assert state.last_error == Finding(well=False, sentence="It is away.", at=NOW)


def test_an_error_that_came_up_in_use_is_remembered_too() -> None:
    last_errors = LastErrors(clock=lambda: LATER)
    checks = Checks([Scripted("Graph", [TemporaryFailure("It is away.")])], last_errors)
    checks.test("Graph", now=NOW)
    last_errors.note("Graph", "It refused.")
    last_errors.note("Another", "It is away.")
    (state,) = checks.states()
    assert state.last_test == Finding(well=False, sentence="It is away.", at=NOW)
    assert state.last_error == Finding(well=False, sentence="It refused.", at=LATER)


def test_a_later_error_of_a_test_is_the_last() -> None:
    last_errors = LastErrors(clock=lambda: NOW)
    last_errors.note("Graph", "It refused.")
    checks = Checks([Scripted("Graph", [TemporaryFailure("It is away.")])], last_errors)
    checks.test("Graph", now=LATER)
    (state,) = checks.states()
    assert state.last_error == state.last_test


@pytest.mark.parametrize(
    "failure", [TemporaryFailure("Away."), FinalFailure("Away."), OutcomeUnknown("Away.")]
)
def test_a_call_in_use_that_fails_is_kept_and_fails(failure: Exception) -> None:
    last_errors = LastErrors(clock=lambda: NOW)

    def fail() -> str:
        raise failure

    with pytest.raises(type(failure)):
        last_errors.of("Graph", fail)
    assert last_errors.last("Graph") == LastError("Away.", NOW)
    assert last_errors.of("Graph", lambda: "fine") == "fine"


@pytest.mark.parametrize("error", [TemporaryFailure("Away."), FinalFailure("Away.")])
def test_an_expected_failure_is_told_as_it_is(error: Exception) -> None:
    finding = Checks([Scripted("Graph", [error])]).test("Graph", now=NOW)
    assert (finding.well, finding.sentence) == (False, "Away.")


def test_an_unexpected_failure_is_not_told_for_it_may_hold_a_secret() -> None:
    error = ValueError("bolt://neo4j:hush@10.0.0.7")
    finding = Checks([Scripted("Graph", [error])]).test("Graph", now=NOW)
    assert not finding.well
    assert "hush" not in finding.sentence


def test_all_at_once_tests_what_is_configured() -> None:
    checks = Checks(
        [Scripted("A", ["Well."]), Scripted("B", configured=False), Scripted("C", ["Well."])]
    )
    checks.test_all(now=NOW)
    assert [bool(state.last_test) for state in checks.states()] == [True, False, True]


def test_the_scheduler_is_well_only_where_it_runs() -> None:
    assert "runs" in SchedulerCheck(Running(True)).check()
    for scheduler in (None, Running(False)):
        with pytest.raises(FinalFailure, match="another one"):
            SchedulerCheck(scheduler).check()


def test_auth0_is_not_configured_with_the_local_key() -> None:
    check = SignInServiceCheck(LocalTokens(b"k" * 48))
    assert not check.configured
    with pytest.raises(FinalFailure):
        check.check()
