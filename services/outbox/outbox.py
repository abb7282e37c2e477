"""What follows the commit (steps 8 to 13): tried at once, then in the background.

The state of each step lives in the outbox, one row a bill and occasion, worked on under a lease by
the database's clock. What fails for a while is tried again with growing pauses, up to a limit.
"""

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid4

from services.database.errors import LeaseLost
from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import pause_after
from services.outbox.steps import (
    COMES_AFTER,
    FINAL,
    LANE_STEPS,
    MESSAGE_STEPS,
    QUEUED_SECONDS,
    STEP_NAMES,
    WAITS,
    Progress,
    StepOutcome,
    WaitsForTurn,
    unobserved,
)
from services.quantities.named_ids import named_id_beside
from services.records.bills import Bill
from services.records.outbox import (
    NOT_CONFIGURED,
    OUTBOX_STEPS,
    Lane,
    OutboxEntry,
    OutboxKind,
    StepState,
    steps_json,
)
from services.telemetry.context import bound
from services.telemetry.outside_calls import kind_of

log = logging.getLogger(__name__)

_PENDING = StepState(status="pending")
MAX_ATTEMPTS = 10
FIRST_PAUSE_SECONDS = 15
LONGEST_PAUSE_SECONDS = 3600
LINK_PATIENCE_SECONDS = 300
ACTOR = "system:owed-work"
# The fact that names the channel on which a message's turn has come.
GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class StepDone:
    """What a step leaves behind: words for people, and facts that later steps and the bill need."""

    detail: str
    facts: Mapping[str, str] = field(default_factory=dict)
    payment_url: str | None = None
    notifications: tuple[Mapping[str, str], ...] = ()


class StepHandler(Protocol):
    """Does one step for a bill; may be repeated when a crash came before it was recorded."""

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Do the step, knowing the facts of the occasion and those that the steps before left.

        `facts["occasion"]` says which one, where a bill has several of a kind. Raises
        TemporaryFailure or FinalFailure.
        """
        ...


@dataclass
class _Pass:
    """One look at an entry: how long, at which steps, and what became of those."""

    stop_at: float | None
    progress: Progress
    lane: Lane | None
    failed: bool = False
    ended: bool = False
    queued: bool = False
    # When it is to be looked at again, where it waits for a time.
    again_in_seconds: int = QUEUED_SECONDS
    # The longest pause that a service asked for.
    asked_seconds: int = 0

    def takes(self, step: int, state: StepState) -> bool:
        """Whether a step is still to do, one of this look's, and there is time left."""
        if state.status in FINAL or (self.stop_at and time.monotonic() > self.stop_at):
            return False
        return self.lane is None or step in LANE_STEPS[self.lane]


@dataclass
class Outbox:
    """Plans what follows a bill's commit, performs it, and sweeps what was left.

    `handlers` has the steps whose service is configured; the others are skipped as such.
    """

    database: DatabaseService
    handlers: Mapping[int, StepHandler] = field(default_factory=dict)
    lease_seconds: int = 60
    owner: str = field(default_factory=lambda: f"owed-{uuid4()}")

    def plan(
        self, *, bill_id: str, kind: OutboxKind, leased: bool = False, unsaid: str = ""
    ) -> dict[str, Any]:
        """A bill's outbox entry, to be stored in the bill's own transaction.

        `leased` keeps it for this process, which is about to perform it; `unsaid` is why the bill
        has no message of its own.
        """
        plan = self.plan_for_any(kind)
        if unsaid:
            skipped = {"status": "skipped", "detail": unsaid}
            plan["steps"] = {**plan["steps"], **dict.fromkeys(map(str, MESSAGE_STEPS), skipped)}
            plan["status"] = _status(plan["steps"])
        name = f"electricity-billing/owed/{bill_id}/{kind}"
        plan["id"] = named_id_beside(bill_id, NAMESPACE_URL, name)
        if leased and plan["status"] == "open":
            plan |= {"lease_owner": self.owner, "lease_seconds": self.lease_seconds}
        return plan

    def plan_for_any(self, kind: OutboxKind) -> dict[str, Any]:
        """The same for every bill of a batch: {steps, status}."""
        steps = _planned(kind, frozenset(self.handlers))
        return {"steps": steps, "status": _status(steps)}

    def on_money(self) -> dict[str, Any]:
        """What follows when money comes or goes, for the writes that change accounts."""
        kinds: tuple[OutboxKind, ...] = ("payment_received", "balance_changed")
        return {kind: self.plan_for_any(kind) for kind in kinds}

    def perform(
        self,
        work: OutboxEntry,
        *,
        bill: Bill,
        seconds: float | None = None,
        progress: Progress = unobserved,
        lane: Lane | None = None,
    ) -> list[StepOutcome]:
        """Try the steps that are still pending, in order, for at most `seconds`; how all stand now.

        With `lane` only those of it. Each outcome is saved before the next step begins. What was
        not reached stays pending.
        """
        steps = dict(work.steps)
        stop_at = None if seconds is None else time.monotonic() + seconds
        try:
            if work.status == "open":
                with bound(bill=bill.reference, meter=bill.meter_serial):
                    self._try_pending(work, bill, steps, _Pass(stop_at, progress, lane))
        except LeaseLost:
            log.info("outbox entry %s is in other hands by now", work.id)
        for step in sorted(steps):
            progress(outcome(step, steps[step]))
        return [outcome(step, steps[step]) for step in sorted(steps)]

    def sweep(self, *, limit: int = 20, lane: Lane | None = None) -> int:
        """Take up what is due in the background, `limit` pieces at most; how many were taken up.

        With `lane` only the steps of it, so that no provider waits for another. One lease at a
        time: a slow service must not let the leases of the rest run out.
        """
        for taken_up in range(limit):
            due = self.database.claim_outbox(
                owner=self.owner,
                lease_seconds=self.lease_seconds,
                limit=1,
                lane=lane,
                link_patience_seconds=LINK_PATIENCE_SECONDS,
            )
            if not due:
                return taken_up
            for work in due:
                if (subject := work.subject) is not None:
                    self.perform(work, bill=subject, lane=lane)
        return limit

    def _try_pending(
        self, work: OutboxEntry, bill: Bill, steps: dict[int, StepState], found: _Pass
    ) -> None:
        for step in sorted(steps):
            if not found.takes(step, steps[step]):
                continue
            blocked = self._blocked(step, steps, work)
            if blocked is not None:
                steps[step] = blocked
                continue
            found.progress(StepOutcome(step, "running"))
            facts = {**work.facts, **facts_of(steps), "occasion": work.occasion}
            facts |= {GRANTED: work.granted} if work.granted else {}
            steps[step], done = self._try(step, work, bill, facts, found)
            found.ended = found.ended or steps[step].status in FINAL
            if done and done.payment_url:
                bill = bill.model_copy(update={"payment_url": done.payment_url})
            found.progress(outcome(step, steps[step]))
            self._save(work, steps, done=done)
        self._save(work, steps, done=None, release=found)

    def _blocked(
        self, step: int, steps: dict[int, StepState], work: OutboxEntry
    ) -> StepState | None:
        """The state of a step that cannot be tried now because of the one before it, or None."""
        before = self._comes_after(step)
        if step == 11 and 10 in steps and steps[10].status == "pending":
            # The message waits some minutes for the link, then goes with the office reference.
            age = time.time() - work.created_at.timestamp()
            return (
                StepState(status="pending", detail=f"{WAITS} the payment link")
                # Two clocks that differ are no reason to wait.
                if abs(age) < LINK_PATIENCE_SECONDS
                else None
            )
        if before is None or steps[before].status == "done":
            return None
        if steps[before].status == "pending":
            return StepState(status="pending", detail=f"{WAITS} step {before}")
        # Nothing came of the step before, so there is nothing to do here.
        how = "failed" if steps[before].status == "failed" else "was skipped"
        return StepState(status="skipped", detail=f"step {before} {how}")

    def _comes_after(self, step: int) -> int | None:
        """The step before it in its chain, past those whose service is not configured."""
        before = COMES_AFTER.get(step)
        while before is not None and before not in self.handlers:
            before = COMES_AFTER.get(before)
        return before

    def _try(
        self,
        step: int,
        work: OutboxEntry,
        bill: Bill,
        facts: Mapping[str, str],
        found: _Pass,
    ) -> tuple[StepState, StepDone | None]:
        handler = self.handlers.get(step)
        if handler is None:
            return StepState(status="skipped", detail=NOT_CONFIGURED), None
        try:
            done = handler(bill=bill, kind=work.kind, facts=facts)
            return StepState(status="done", detail=done.detail, facts=dict(done.facts)), done
        except WaitsForTurn as turn:
            found.queued = True
            found.again_in_seconds = turn.seconds
            return StepState(status="pending", detail=f"{WAITS} {turn}"), None
        except FinalFailure as error:
            said = _fields(step, work, error)
            log.warning("step %d (%s) failed for good", step, STEP_NAMES[step], extra=said)
            return StepState(status="failed", detail=str(error)), None
        except TemporaryFailure as error:
            found.failed = True
            found.asked_seconds = pause_after(error, at_least=found.asked_seconds)
            state = self._try_later(work, str(error))
            given_up = state.status == "failed"
            words = "step %d (%s) given up" if given_up else "step %d (%s) failed for now"
            log.log(
                logging.ERROR if given_up else logging.WARNING,
                words,
                step,
                STEP_NAMES[step],
                extra=_fields(step, work, error, again=not given_up),
            )
            return state, None
        except Exception:
            # A mistake of ours in a handler must not stop the other steps or the sweep.
            found.failed = True
            log.exception("step %s of outbox entry %s failed unexpectedly", step, work.id)
            return self._try_later(work, "an unexpected error"), None

    def _try_later(self, work: OutboxEntry, reason: str) -> StepState:
        if work.attempts + 1 >= MAX_ATTEMPTS:
            detail = f"given up after {MAX_ATTEMPTS} attempts: {reason}"
            return StepState(status="failed", detail=detail)
        return StepState(status="pending", detail=reason)

    def _save(
        self,
        work: OutboxEntry,
        steps: dict[int, StepState],
        *,
        done: StepDone | None,
        release: _Pass | None = None,
    ) -> None:
        """Keep the steps; with `release` of a look that is over, the lease is given back."""
        is_open = any(state.status == "pending" for state in steps.values())
        gave_up = any(state.detail.startswith("given up") for state in steps.values())
        ended = "given_up" if gave_up else "finished"
        self.database.save_outbox(
            actor=ACTOR,
            work={
                "id": work.id,
                "owner": self.owner,
                "steps": steps_json(steps),
                "status": "open" if is_open or release is None else ended,
                **_next_try(work, is_open=is_open, release=release),
                "release": release is not None,
                "lease_seconds": self.lease_seconds,
                "payment_url": done.payment_url if done else None,
                "notifications": [dict(n) for n in done.notifications] if done else [],
            },
        )


def _next_try(work: OutboxEntry, *, is_open: bool, release: _Pass | None) -> dict[str, Any]:
    """Whether the look counts as an attempt, and when the next is; without a time as before."""
    if release is None:
        return {"attempts": work.attempts}
    if not is_open:
        return {"attempts": work.attempts + 1}
    if release.failed or not (release.ended or release.queued):
        pause = max(pause_seconds(work.attempts), release.asked_seconds)
        return {"attempts": work.attempts + 1, "retry_in_seconds": pause}
    # Other steps than those of this look are still to do, and due as they were.
    return {"attempts": work.attempts} | (
        {"retry_in_seconds": release.again_in_seconds} if release.queued else {}
    )


def _fields(
    step: int, work: OutboxEntry, error: Exception, *, again: bool = False
) -> dict[str, Any]:
    """What the log says of a failed step beside its words; the reason stands in the outbox."""
    pause = FIRST_PAUSE_SECONDS * 2**work.attempts
    return {
        "error_kind": kind_of(error),
        "attempt": work.attempts + 1,
        "next_try_in_s": min(pause, LONGEST_PAUSE_SECONDS) if again else None,
        "storm": step,
    }


@lru_cache(maxsize=64)
def _planned(kind: OutboxKind, configured: frozenset[int]) -> dict[str, Any]:
    """The steps of a new entry as they are kept: the same object each time, not to be changed."""
    return steps_json({step: _PENDING for step in OUTBOX_STEPS[kind] if step in configured})


def _status(steps: Mapping[str, Mapping[str, str]]) -> str:
    is_open = any(state["status"] == "pending" for state in steps.values())
    return "open" if is_open else "finished"


def facts_of(steps: Mapping[int, StepState]) -> dict[str, str]:
    """What the steps have left behind, the later ones winning."""
    return {name: fact for step in sorted(steps) for name, fact in steps[step].facts.items()}


def pause_seconds(attempts: int) -> int:
    """Pause before the next attempt: doubling up to an hour, with jitter to spread retries."""
    pause = min(FIRST_PAUSE_SECONDS * 2**attempts, LONGEST_PAUSE_SECONDS)
    return int(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreading, not secrecy


def outcome(step: int, state: StepState) -> StepOutcome:
    """A stored state as the outcome of its step."""
    return StepOutcome(step, state.status, state.detail)
