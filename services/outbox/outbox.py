"""What follows the commit (steps 8 to 13): tried at once, then in the background.

The state of each step lives in the outbox, one row a bill and occasion, worked on under a lease by
the database's clock. What fails for a while is tried again with growing pauses, up to a limit.
"""

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid4, uuid5

from services.database.errors import LeaseLost
from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.outbox.steps import (
    COMES_AFTER,
    FINAL,
    MESSAGE_STEPS,
    OUTBOX_STEPS,
    STEP_NAMES,
    WAITS,
    Progress,
    StepOutcome,
    unobserved,
)
from services.records.bills import Bill
from services.records.outbox import OutboxEntry, OutboxKind, StepState
from services.telemetry.context import bound
from services.telemetry.outside_calls import kind_of

log = logging.getLogger(__name__)

NOT_CONFIGURED = "not configured"
MAX_ATTEMPTS = 10
FIRST_PAUSE_SECONDS = 15
LONGEST_PAUSE_SECONDS = 3600
LINK_PATIENCE_SECONDS = 300
ACTOR = "system:owed-work"


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
            for step in MESSAGE_STEPS:
                plan["steps"][str(step)] = {"status": "skipped", "detail": unsaid}
            plan["status"] = _status(plan["steps"])
        plan["id"] = str(uuid5(NAMESPACE_URL, f"electricity-billing/owed/{bill_id}/{kind}"))
        if leased and plan["status"] == "open":
            plan |= {"lease_owner": self.owner, "lease_seconds": self.lease_seconds}
        return plan

    def plan_for_any(self, kind: OutboxKind) -> dict[str, Any]:
        """The same for every bill of a batch: {steps, status}."""
        steps = {
            str(step): {"status": "pending", "detail": ""}
            if step in self.handlers
            else {"status": "skipped", "detail": NOT_CONFIGURED}
            for step in OUTBOX_STEPS[kind]
        }
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
    ) -> list[StepOutcome]:
        """Try the steps that are still pending, in order, for at most `seconds`; how all stand now.

        Each outcome is saved before the next step begins. What was not reached stays pending.
        """
        steps = dict(work.steps)
        stop_at = None if seconds is None else time.monotonic() + seconds
        try:
            if work.status == "open":
                with bound(bill=bill.reference, meter=bill.meter_serial):
                    self._try_pending(work, bill, steps, stop_at, progress)
        except LeaseLost:
            log.info("outbox entry %s is in other hands by now", work.id)
        for step in sorted(steps):
            progress(outcome(step, steps[step]))
        return [outcome(step, steps[step]) for step in sorted(steps)]

    def sweep(self, *, limit: int = 20) -> int:
        """Take up what is due in the background, `limit` pieces at most; how many were taken up.

        One lease at a time: a slow service must not let the leases of the rest run out.
        """
        for taken_up in range(limit):
            due = self.database.claim_outbox(
                owner=self.owner, lease_seconds=self.lease_seconds, limit=1
            )
            if not due:
                return taken_up
            for work in due:
                if work.bill is not None:
                    self.perform(work, bill=work.bill)
        return limit

    def _try_pending(
        self,
        work: OutboxEntry,
        bill: Bill,
        steps: dict[int, StepState],
        stop_at: float | None,
        progress: Progress,
    ) -> None:
        for step in sorted(steps):
            if steps[step].status in FINAL or (stop_at and time.monotonic() > stop_at):
                continue
            blocked = self._blocked(step, steps, work)
            if blocked is not None:
                steps[step] = blocked
                continue
            progress(StepOutcome(step, "running"))
            facts = {**work.facts, **facts_of(steps), "occasion": work.occasion}
            steps[step], done = self._try(step, work, bill, facts)
            if done and done.payment_url:
                bill = bill.model_copy(update={"payment_url": done.payment_url})
            progress(outcome(step, steps[step]))
            self._save(work, steps, done=done, release=False)
        self._save(work, steps, done=None, release=True)

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
                if age < LINK_PATIENCE_SECONDS
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
        self, step: int, work: OutboxEntry, bill: Bill, facts: Mapping[str, str]
    ) -> tuple[StepState, StepDone | None]:
        handler = self.handlers.get(step)
        if handler is None:
            return StepState(status="skipped", detail=NOT_CONFIGURED), None
        try:
            done = handler(bill=bill, kind=work.kind, facts=facts)
            return StepState(status="done", detail=done.detail, facts=dict(done.facts)), done
        except FinalFailure as error:
            said = _fields(step, work, error)
            log.warning("step %d (%s) failed for good", step, STEP_NAMES[step], extra=said)
            return StepState(status="failed", detail=str(error)), None
        except TemporaryFailure as error:
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
        release: bool,
    ) -> None:
        is_open = any(state.status == "pending" for state in steps.values())
        gave_up = any(state.detail.startswith("given up") for state in steps.values())
        ended = "given_up" if gave_up else "finished"
        self.database.save_outbox(
            actor=ACTOR,
            work={
                "id": work.id,
                "owner": self.owner,
                "steps": {str(step): state.model_dump() for step, state in steps.items()},
                "status": "open" if is_open or not release else ended,
                "attempts": work.attempts + (1 if release else 0),
                "retry_in_seconds": pause_seconds(work.attempts) if release and is_open else 0,
                "release": release,
                "lease_seconds": self.lease_seconds,
                "payment_url": done.payment_url if done else None,
                "notifications": [dict(n) for n in done.notifications] if done else [],
            },
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
