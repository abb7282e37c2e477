"""The jobs' runs, and the batches of work that they do."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.database.queries.base import Json, Queries
from services.database.transport import Filter
from services.records.base import Page, Record
from services.records.bills import CandidatePage, NewBill
from services.records.jobs import (
    BillingDays,
    ClockState,
    DueCursor,
    JobHistory,
    JobRun,
    QueuedAgreement,
    RunRef,
    SetAside,
    UnbilledFacts,
)
from services.records.submissions import CollectedMeter, MeterToAsk


class JobQueries(Queries):
    """Runs of jobs, and what jobs ask and write."""

    def claim_job_run(
        self,
        *,
        job: str,
        scheduled_on: date,
        owner: str,
        lease_seconds: int,
        started_by: str,
        clock_at: datetime | None = None,
        rerun: bool = False,
        instead_of_attempt: int | None = None,
        resume_attempt: int | None = None,
    ) -> tuple[bool, JobRun]:
        """Try to take a run; whether it is ours, and the run as it stands or that is in its way.

        `clock_at` is the present, without it the database's. With `rerun` also a run that is over
        is taken, with `instead_of_attempt` only if that is still its last attempt; with
        `resume_attempt` such a run goes on and keeps what it did. Never one that is under way.
        """
        answer = self._call(
            "claim_job_run",
            job=job,
            scheduled_on=scheduled_on.isoformat(),
            owner=owner,
            lease_seconds=lease_seconds,
            started_by=started_by,
            clock_at=clock_at.isoformat() if clock_at else None,
            rerun=rerun,
            instead_of_attempt=instead_of_attempt,
            resume_attempt=resume_attempt,
        )
        return bool(answer["claimed"]), JobRun.model_validate(answer["run"])

    def note_job_progress(
        self,
        *,
        run: RunRef,
        done: int = 0,
        set_aside: Sequence[SetAside] = (),
        looked_at: Sequence[QueuedAgreement] = (),
        settled: Sequence[str] = (),
        expected: int | None = None,
    ) -> None:
        """Count what a batch did and keep what it set aside; raises RunTakenOver.

        `expected` is how much there is to look at in all, where that is known now. `looked_at` are
        of `agreements_to_bill`, and leave the queue unless they were queued again meanwhile;
        `settled` are agreements that are no longer set aside.
        """
        self._call(
            "note_job_progress",
            run=run.to_json(),
            done=done,
            set_aside=_rows(set_aside),
            looked_at=_rows(looked_at),
            settled=list(settled),
            **({} if expected is None else {"expected": expected}),
        )

    def pause_job_run(self, *, actor: str, job: str, scheduled_on: date, detail: str) -> JobRun:
        """Hold a run that is under way: it writes no more. Raises IllegalChange if it is over."""
        on = scheduled_on.isoformat()
        return JobRun.model_validate(
            self._call("pause_job_run", actor=actor, job=job, scheduled_on=on, detail=detail)
        )

    def resume_job_run(self, *, actor: str, job: str, scheduled_on: date) -> JobRun:
        """Let a paused run go on by the next tick. Raises IllegalChange if it is not paused."""
        on = scheduled_on.isoformat()
        return JobRun.model_validate(
            self._call("resume_job_run", actor=actor, job=job, scheduled_on=on)
        )

    def queue_for_estimates(self, *, run: RunRef, before: date) -> None:
        """Queue the agreements that runs up to `before` found no reading for.

        Raises RunTakenOver.
        """
        self._call("queue_for_estimates", run=run.to_json(), before=before.isoformat())

    def store_estimates(
        self,
        *,
        actor: str,
        run: RunRef,
        rows: Sequence[Mapping[str, Any]],
        ask: Sequence[Mapping[str, str]] = (),
    ) -> set[str]:
        """Store estimated reads where no other read came; the ids of those that are there now.

        `ask` are meters to be read, if no request is open for them. Raises RunTakenOver.
        """
        answer = self._call(
            "store_estimates",
            actor=actor,
            run=run.to_json(),
            rows=[dict(row) for row in rows],
            ask=[dict(row) for row in ask],
        )
        return set(answer["stored"])

    def finish_job_run(self, *, run: RunRef, status: str, detail: str) -> JobRun:
        """End a run as done or failed; raises RunTakenOver."""
        return JobRun.model_validate(
            self._call("finish_job_run", run=run.to_json(), status=status, detail=detail)
        )

    def release_job_run(self, *, run: RunRef) -> JobRun:
        """Give the lease of an unfinished run back; raises RunTakenOver."""
        return JobRun.model_validate(self._call("release_job_run", run=run.to_json()))

    def job_history(
        self,
        *,
        since: Mapping[str, date] | None = None,
        estimate_before: date | None = None,
        at: datetime | None = None,
    ) -> JobHistory:
        """When the system was installed, each job's last run, and its runs from a date on.

        A job that `since` does not name gives all its runs; runs that did not end well always come.
        Reads that runs up to `estimate_before` missed are to be estimated; None estimates none.
        Smart meters are to be asked for again that wait for a time up to `at`.
        """
        answer = self._call(
            "job_history",
            since={job: on.isoformat() for job, on in (since or {}).items()},
            estimate_before=estimate_before.isoformat() if estimate_before else None,
            at=at.isoformat() if at else None,
        )
        return JobHistory.model_validate(answer)

    def installed_at(self) -> datetime:
        """When the system was installed (UTC)."""
        [row] = self._transport.select("installation", limit=1).rows
        return datetime.fromisoformat(row["installed_at"])

    def clock_state(self, *, machine: str) -> ClockState:
        """The database's time, and what is known of its clock."""
        return ClockState.model_validate(self._call("clock_state", machine=machine))

    def note_clock(
        self, *, machine: str, at: datetime, uptime_seconds: int, doubt: str | None
    ) -> None:
        """Keep that the clock said `at`: as right, or as in doubt until it is back."""
        self._call(
            "note_clock",
            machine=machine,
            at=at.isoformat(),
            uptime_seconds=uptime_seconds,
            doubt=doubt,
        )

    def confirm_clock(self, *, actor: str, machine: str, at: datetime, uptime_seconds: int) -> None:
        """Keep that a person says that it is `at`; runs claimed later than that do not count."""
        self._call(
            "confirm_clock",
            actor=actor,
            machine=machine,
            at=at.isoformat(),
            uptime_seconds=uptime_seconds,
        )

    def job_runs(self, *, page: int = 1, page_size: int = 20) -> Page[JobRun]:
        """Runs, the last started first; those that the clock made up come after all others."""
        rows, total = self._page(
            "job_run_list",
            filters=[],
            order=["disregarded.asc", "started_at.desc", "job.asc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(JobRun.model_validate(row) for row in rows), total=total)

    def last_done_run(self, *, job: str, complete: bool) -> JobRun | None:
        """The run of a job that ended well last; if `complete`, of those that set nothing aside."""
        filters = [Filter("job", "eq", job), Filter("status", "eq", "done")]
        if complete:
            filters.append(Filter("failed_count", "eq", 0))
        rows = self._transport.select(
            "job_run_list", filters=filters, order=["started_at.desc"], limit=1
        ).rows
        return JobRun.model_validate(rows[0]) if rows else None

    def set_aside(self, *, job: str, scheduled_on: date) -> list[SetAside]:
        """What a run could not do (at most 1,000)."""
        filters = [
            Filter("job", "eq", job),
            Filter("scheduled_on", "eq", scheduled_on.isoformat()),
        ]
        rows = self._transport.select(
            "job_set_aside", filters=filters, order=["subject.asc"], limit=1000
        ).rows
        return [SetAside.model_validate(row) for row in rows]

    def meters_to_ask(
        self,
        *,
        run_started_at: datetime,
        at: datetime,
        due_only: bool,
        after: str | None,
        limit: int,
    ) -> list[MeterToAsk]:
        """Smart meters in use that the run has no reading of, those after the serial `after`.

        Of those that it asked for before, with `due_only` just the ones to be asked again `at`.
        """
        answer = self._call(
            "meters_to_ask",
            run_started_at=run_started_at.isoformat(),
            at=at.isoformat(),
            due_only=due_only,
            after=after,
            limit=limit,
        )
        return [MeterToAsk.model_validate(row) for row in answer["meters"]]

    def meters_given_up(self, *, at: datetime, limit: int) -> list[CollectedMeter]:
        """Smart meters without a reading that are not asked for any more from `at` on."""
        rows = self._transport.select(
            "meter_collection_list",
            filters=[Filter("give_up_at", "lte", at)],
            order=["meter_serial.asc"],
            limit=limit,
        ).rows
        return [CollectedMeter.model_validate(row) for row in rows]

    def meter_collection(self, *, meter_id: str) -> CollectedMeter | None:
        """The last time that a smart meter was asked for, if it was."""
        rows = self._transport.select(
            "meter_collection_list", filters=[Filter("id", "eq", meter_id)], limit=1
        ).rows
        return CollectedMeter.model_validate(rows[0]) if rows else None

    def store_collected(
        self,
        *,
        actor: str,
        run: RunRef,
        run_started_at: datetime,
        at: datetime,
        rows: Sequence[Mapping[str, Any]],
        failed: Sequence[Mapping[str, Any]],
    ) -> tuple[set[str], set[str]]:
        """One batch of smart meters in one transaction; the SQL function says what the rows hold.

        Serials whose reading must be judged again, and those of which another value was read at
        the very same time. Raises RunTakenOver.
        """
        answer = self._call(
            "store_collected",
            actor=actor,
            run=run.to_json(),
            run_started_at=run_started_at.isoformat(),
            at=at.isoformat(),
            rows=[dict(row) for row in rows],
            failed=[dict(row) for row in failed],
        )
        return set(answer["moved"]), set(answer["conflicts"])

    def hand_collections_over(
        self,
        *,
        actor: str,
        run: RunRef,
        at: datetime,
        given_up_by: datetime,
        rows: Sequence[Mapping[str, str]],
    ) -> None:
        """Put smart meters that gave no reading on the round: {id, meter_id, reason, requested_on}.

        Those that are not asked for any more from `given_up_by` on. Raises RunTakenOver.
        """
        self._call(
            "hand_collections_over",
            actor=actor,
            run=run.to_json(),
            at=at.isoformat(),
            given_up_by=given_up_by.isoformat(),
            rows=[dict(row) for row in rows],
        )

    def monthly_bill_candidates(
        self,
        *,
        on: date,
        after: str | None,
        limit: int,
        billing_day: int | None = None,
        only: Sequence[str] | None = None,
        cycle_end_days: int = 0,
        until: str | None = None,
    ) -> CandidatePage:
        """Of `limit` agreements by id those not yet billed for the cycle that ended last by `on`.

        They are those after the id `after`, up to and with `until`. A bill that ends up to
        `cycle_end_days` after the cycle's start is of the one before. With `billing_day` those of
        this day of the month, with `only` these alone, whatever their day.
        """
        answer = self._call(
            "monthly_bill_candidates",
            on=on.isoformat(),
            cycle_end_days=cycle_end_days,
            billing_day=billing_day,
            after=after,
            until=until,
            limit=limit,
            only=list(only) if only is not None else None,
        )
        return CandidatePage.model_validate(answer)

    def agreement_parts(self, *, every: int, billing_day: int | None = None) -> list[str]:
        """The ids at which parts of so many agreements each end, in order; the last part is open.

        With `billing_day` of those of this day of the month.
        """
        answer = self._call("agreement_parts", every=every, billing_day=billing_day)
        return list(map(str, answer["ends"]))

    def billing_days(self) -> BillingDays:
        """The billing days in use, with how many agreements each has, and the reading routes."""
        return BillingDays.model_validate(self._call("billing_cycles_page"))

    def set_billing_day(
        self,
        *,
        actor: str,
        billing_day: int,
        agreement_id: str | None = None,
        route: str | None = None,
    ) -> int:
        """Bill an agreement, or a route and who comes to it, on a day of the month from 1 to 28.

        How many agreements are billed on another day now. Raises NotFound, IllegalChange.
        """
        answer = self._call(
            "set_billing_day",
            actor=actor,
            billing_day=billing_day,
            agreement_id=agreement_id,
            route=route,
        )
        return int(answer["agreements"])

    def agreements_to_bill(self, *, after: str | None, limit: int) -> list[QueuedAgreement]:
        """Agreements that a read or a tariff came for after the run, by id."""
        answer = self._call("agreements_to_bill_page", after=after, limit=limit)
        return [QueuedAgreement.model_validate(row) for row in answer["agreements"]]

    def unbilled_facts(self, *, agreements: Sequence[str], on: date) -> dict[str, UnbilledFacts]:
        """What there is instead of a closing read on `on`, by the ids of the agreements."""
        answer = self._call("unbilled_facts", agreements=list(agreements), on=on.isoformat())
        return {
            row["agreement_id"]: UnbilledFacts.model_validate(row) for row in answer["agreements"]
        }

    def store_job_bills(
        self,
        *,
        actor: str,
        bills: Sequence[NewBill],
        run: RunRef | None = None,
        set_aside: Sequence[SetAside] = (),
    ) -> tuple[int, list[str]]:
        """One batch of bills in one transaction: how many were stored, whose chains moved."""
        common, rows = _in_common([bill.to_json() for bill in bills])
        answer = self._call(
            "store_job_bills",
            actor=actor,
            common=common,
            bills=rows,
            set_aside=_rows(set_aside),
            **({"run": run.to_json()} if run else {}),
        )
        return int(answer["stored"]), list(answer["moved"])

    def queue_reminders(
        self,
        *,
        run: RunRef,
        today: date,
        until: date,
        limit: int,
        outbox: Json,
        balance_changed: Json | None = None,
        after: DueCursor | None = None,
    ) -> tuple[int, DueCursor | None]:
        """Queue a reminder for bills due in [today, until] that are dunned and not yet reminded of.

        Credit of the account pays first; what that changes owes `balance_changed`. How many these
        were, and the `after` of the next batch, None when none is left.
        """
        answer = self._call(
            "queue_reminders",
            run=run.to_json(),
            today=today.isoformat(),
            until=until.isoformat(),
            limit=limit,
            outbox=outbox,
            balance_changed=balance_changed,
            after=after.model_dump(mode="json") if after else None,
        )
        return int(answer["count"]), _cursor(answer["after"])

    def mark_overdue(
        self,
        *,
        actor: str,
        run: RunRef,
        today: date,
        limit: int,
        outbox: Json,
        balance_changed: Json | None = None,
        after: DueCursor | None = None,
    ) -> tuple[int, DueCursor | None]:
        """Mark bills due before today that are dunned as overdue and queue a notice for each.

        Credit of the account pays first; what that changes owes `balance_changed`. How many these
        were, and the `after` of the next batch, None when none is left.
        """
        answer = self._call(
            "mark_overdue",
            actor=actor,
            run=run.to_json(),
            today=today.isoformat(),
            limit=limit,
            outbox=outbox,
            balance_changed=balance_changed,
            after=after.model_dump(mode="json") if after else None,
        )
        return int(answer["count"]), _cursor(answer["after"])


def _cursor(row: Json | None) -> DueCursor | None:
    return DueCursor.model_validate(row) if row else None


def _in_common(rows: Sequence[Json]) -> tuple[Json, Sequence[Json]]:
    """What all rows say alike, said once, and the rows without it."""
    if len(rows) < 2:
        return {}, rows
    first, *others = rows
    common = {
        name: value for name, value in first.items() if all(row[name] == value for row in others)
    }
    own = first.keys() - common.keys()
    return common, [{name: row[name] for name in own} for row in rows]


def _rows(records: Sequence[Record]) -> list[Json]:
    return [record.model_dump(mode="json", exclude_none=True) for record in records]
