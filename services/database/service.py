"""DatabaseService: every question and every write, over a transport of two methods."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.database.errors import NotFound, named
from services.database.transport import DatabaseRefused, Filter, Transport
from services.domain.billing import NewBill
from services.domain.contact import (
    CustomerContact,
    FailedWork,
    Notification,
    NotificationClaim,
    NotificationStatus,
    StoredLink,
)
from services.domain.period import next_month
from services.domain.records import (
    ApiKey,
    Bill,
    BillCandidate,
    JobRun,
    Meter,
    OwedWork,
    Page,
    Reading,
    ReadingContext,
    StoredReading,
    TariffVersion,
)

Json = dict[str, Any]

# Supabase answers no more rows than this to one request.
ROWS_AT_ONCE = 1000


class DatabaseService:
    """Reads answer records; writes take the actor and answer a repeat with its first result.

    Raises the errors of `services.database.errors` where a rule of the database refuses, and
    TemporaryDatabaseError where trying again may help.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        """Give back the connections."""
        self._transport.close()

    def _call(self, function: str, **params: Any) -> Any:
        try:
            return self._transport.call(function, params)
        except DatabaseRefused as error:
            raise named(error) from None

    def _page(
        self,
        view: str,
        *,
        filters: Sequence[Filter],
        order: Sequence[str],
        page: int,
        page_size: int,
    ) -> tuple[list[Json], int]:
        found = self._transport.select(
            view,
            filters=filters,
            order=order,
            limit=page_size,
            offset=(page - 1) * page_size,
            count=True,
        )
        return found.rows, found.total or 0

    def ping(self) -> None:
        """Ask the smallest question there is; raises DatabaseError when it is not answered."""
        self._transport.select("installation", limit=1)

    # -- meters and tariffs --------------------------------------------------------------------

    def find_meters(self, *, text: str, limit: int = 20) -> list[Meter]:
        """Active meters whose serial, account, customer or address has each word of `text`."""
        rows = self._transport.select(
            "meter_list",
            filters=[*search_filters(text), Filter("status", "eq", "active")],
            order=["serial.asc"],
            limit=limit,
        ).rows
        return [Meter.model_validate(row) for row in rows]

    def smart_meters(self, *, after: str | None = None, limit: int = 500) -> list[Meter]:
        """Active smart meters by serial, those after the serial `after`."""
        filters = [Filter("kind", "eq", "smart"), Filter("status", "eq", "active")]
        if after is not None:
            filters.append(Filter("serial", "gt", after))
        rows = self._transport.select(
            "meter_list", filters=filters, order=["serial.asc"], limit=limit
        ).rows
        return [Meter.model_validate(row) for row in rows]

    def tariff_versions(self) -> list[TariffVersion]:
        """All versions of all tariffs, by code and date."""
        found: list[TariffVersion] = []
        while True:
            rows = self._transport.select(
                "tariff_version_list",
                order=["code.asc", "effective_from.asc"],
                limit=ROWS_AT_ONCE,
                offset=len(found),
            ).rows
            found.extend(TariffVersion.model_validate(row) for row in rows)
            if len(rows) < ROWS_AT_ONCE:
                return found

    # -- readings ------------------------------------------------------------------------------

    def reading_context(
        self,
        *,
        meter_serial: str,
        read_at: datetime,
        read_on: date,
        register_wh: int | None = None,
        caller: str | None = None,
        idempotency_key: str | None = None,
        body_hash: str | None = None,
    ) -> ReadingContext:
        """What validating and pricing a read needs; with `register_wh` also what it repeats.

        Raises NotFound, IdempotencyKeyReused, ReadingConflict.
        """
        asked: Json = {
            "meter_serial": meter_serial,
            "read_at": read_at.isoformat(),
            "read_on": read_on.isoformat(),
        }
        if register_wh is not None:
            asked |= {
                "register_wh": register_wh,
                "caller": caller,
                "idempotency_key": idempotency_key,
                "body_hash": body_hash,
            }
        return ReadingContext.model_validate(self._call("reading_context", **asked))

    def commit_reading(
        self,
        *,
        actor: str,
        reading: Mapping[str, Any],
        neighbours: Sequence[str | None],
        bill: NewBill | None,
        idempotency_key: str | None = None,
        body_hash: str | None = None,
        run: Mapping[str, Any] | None = None,
    ) -> StoredReading:
        """Step 7: reading, bill, its number and the work it owes, in one transaction.

        `neighbours` are the ids of the accepted reads before and after it that the rules compared.
        Raises ChainMoved, IdempotencyKeyReused, ReadingConflict, RunTakenOver.
        """
        return StoredReading.model_validate(
            self._call(
                "commit_reading",
                actor=actor,
                caller=actor,
                idempotency_key=idempotency_key,
                body_hash=body_hash,
                reading=dict(reading),
                neighbours=list(neighbours),
                bill=bill.to_json() if bill else None,
                run=dict(run) if run else None,
            )
        )

    def keep_idempotency_key(
        self, *, caller: str, idempotency_key: str, body_hash: str, reading_id: str
    ) -> None:
        """Bind a key to the reading that its body repeats."""
        self._call(
            "keep_idempotency_key",
            caller=caller,
            idempotency_key=idempotency_key,
            body_hash=body_hash,
            reading_id=reading_id,
        )

    def decide_reading(
        self,
        *,
        actor: str,
        reading_id: str,
        status: str,
        reason: str,
        correction: Mapping[str, Any] | None = None,
        bill: NewBill | None = None,
    ) -> StoredReading:
        """A person's decision on a flagged reading; raises IllegalChange when there was one."""
        return StoredReading.model_validate(
            self._call(
                "decide_reading",
                actor=actor,
                reading_id=reading_id,
                status=status,
                reason=reason,
                correction=dict(correction) if correction else None,
                bill=bill.to_json() if bill else None,
            )
        )

    def reading(self, reading_id: str) -> Reading:
        """One reading; raises NotFound."""
        return Reading.model_validate(self._one("reading_list", reading_id, "reading"))

    def readings(
        self,
        *,
        status: str | None = None,
        submitted_by: str | None = None,
        meter_id: str | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[Reading]:
        """Readings, newest first."""
        wanted = {"status": status, "submitted_by": submitted_by, "meter_id": meter_id}
        rows, total = self._page(
            "reading_list",
            filters=[Filter(c, "eq", v) for c, v in wanted.items() if v is not None],
            order=["created_at.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(Reading.model_validate(row) for row in rows), total=total)

    # -- bills and payments --------------------------------------------------------------------

    def bill(self, bill_id: str) -> Bill:
        """One bill with its lines; raises NotFound."""
        return Bill.model_validate(self._one("bill_list", bill_id, "bill"))

    def bills(
        self,
        *,
        text: str = "",
        status: str | None = None,
        month: date | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[Bill]:
        """Bills, newest period first; `month` takes periods that end in it or on the next 1st."""
        filters = search_filters(text)
        if status:
            filters.append(Filter("status", "eq", status))
        if month:
            filters.append(Filter("period_end", "gt", month.isoformat()))
            filters.append(Filter("period_end", "lte", next_month(month).isoformat()))
        rows, total = self._page(
            "bill_list",
            filters=filters,
            order=["period_end.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(Bill.model_validate(row) for row in rows), total=total)

    def customer_bills(
        self, *, customer: str, limit: int, after: str | None = None
    ) -> tuple[list[Bill], str | None]:
        """Bills of a customer (id or account number), newest period first, those after the bill id
        `after`; and the id to go on after, or None at the end.

        Drafts are left out. Raises NotFound for an unknown customer or `after`.
        """
        answer = self._call("customer_bills", customer=customer, limit=limit, after=after)
        bills = [Bill.model_validate(row) for row in answer["bills"]]
        return bills[:limit], bills[limit - 1].id if len(bills) > limit else None

    def issue_bill(
        self,
        *,
        actor: str,
        bill_id: str,
        issued_at: datetime,
        issued_on: date,
        due_date: date,
        owed: Mapping[str, Any],
    ) -> Bill:
        """Approve a draft: it gets its number; raises IllegalChange for a void bill."""
        return Bill.model_validate(
            self._call(
                "issue_bill",
                actor=actor,
                bill_id=bill_id,
                issued_at=issued_at.isoformat(),
                issued_on=issued_on.isoformat(),
                due_date=due_date.isoformat(),
                owed=dict(owed),
            )
        )

    def void_bill(self, *, actor: str, bill_id: str, reason: str) -> Bill:
        """Void the last bill of a meter's chain; raises IllegalChange when a later one follows."""
        return Bill.model_validate(
            self._call("void_bill", actor=actor, bill_id=bill_id, reason=reason)
        )

    def record_payments(self, *, actor: str, payments: Sequence[Mapping[str, Any]]) -> int:
        """Store payments and raise the bills' amounts paid, all or none; how many were new."""
        answer = self._call("record_payments", actor=actor, payments=[dict(p) for p in payments])
        return int(answer["recorded"])

    def overview(self, *, today: date, currency: str, months: int = 12) -> Json:
        """Billed and collected by month, outstanding, overdue; minor units per currency.

        `currency` is the one to show while there is no tariff yet.
        """
        answer: Json = self._call(
            "overview", today=today.isoformat(), currency=currency, months=months
        )
        return answer

    # -- owed work -----------------------------------------------------------------------------

    def claim_owed_work(self, *, owner: str, lease_seconds: int, limit: int) -> list[OwedWork]:
        """Lease what is due to `owner`, each with its bill."""
        answer = self._call(
            "claim_owed_work", owner=owner, lease_seconds=lease_seconds, limit=limit
        )
        return [OwedWork.model_validate(row) for row in answer["owed"]]

    def save_owed_work(self, *, actor: str, work: Mapping[str, Any]) -> None:
        """Keep the state of the steps; raises LeaseLost when another process has the work."""
        self._call("save_owed_work", actor=actor, **work)

    def owed_work_of(self, bill_id: str) -> list[Json]:
        """The state of what is owed for a bill, by occasion, oldest first."""
        return self._transport.select(
            "owed_work_list",
            filters=[Filter("bill_id", "eq", bill_id)],
            order=["created_at.asc"],
            limit=10,
        ).rows

    def failed_work(self, *, page: int = 1, page_size: int = 10) -> Page[FailedWork]:
        """Owed work that ended with a step refused or given up, newest first."""
        rows, total = self._page(
            "failed_work_list",
            filters=[],
            order=["finished_at.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(FailedWork.model_validate(row) for row in rows), total=total)

    def retry_owed_work(self, *, actor: str, work_id: str) -> None:
        """Take up again what was refused or given up; what is under way is left alone.

        Raises IllegalChange when nothing of it can be tried again, NotFound.
        """
        self._call("retry_owed_work", actor=actor, id=work_id)

    # -- payment links, how customers are reached, notifications --------------------------------

    def payment_links(self, *, bill_id: str) -> list[StoredLink]:
        """Every link that was made for a bill (at most 100), newest first."""
        rows = self._transport.select(
            "payment_links",
            filters=[Filter("bill_id", "eq", bill_id)],
            order=["created_at.desc"],
            limit=100,
        ).rows
        return [StoredLink.model_validate(row) for row in rows]

    def save_payment_link(
        self, *, actor: str, link_id: str, bill_id: str, url: str, amount_minor: int, currency: str
    ) -> bool:
        """Keep a link and put it on its bill; False when it is not for the balance of now."""
        answer = self._call(
            "save_payment_link",
            actor=actor,
            id=link_id,
            bill_id=bill_id,
            url=url,
            amount_minor=amount_minor,
            currency=currency,
        )
        return bool(answer["active"])

    def close_payment_link(self, *, actor: str, link_id: str) -> None:
        """Mark a link as closed and take it off its bill."""
        self._call("close_payment_link", actor=actor, id=link_id)

    def customer_contact(self, customer_id: str) -> CustomerContact:
        """How a customer is reached, the secret address included; raises NotFound."""
        return CustomerContact.model_validate(
            self._call("customer_contact", customer_id=customer_id)
        )

    def set_customer_channels(self, *, actor: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Set how customers (at most 1,000) are reached; how many that changed.

        Rows are {account_no, discord_webhook_url?, whatsapp_opt_in_at?}: what a row does not name
        stays as it is, None takes it away. Raises NotFound, and then nothing was changed.
        """
        answer = self._call("set_customer_channels", actor=actor, rows=[dict(r) for r in rows])
        return int(answer["changed"])

    def begin_notification(
        self,
        *,
        notification_id: str,
        bill_id: str,
        kind: str,
        channel: str,
        recipient: str,
        body: str,
    ) -> NotificationClaim:
        """Say that a message is about to leave, unless it left before; `recipient` is masked.

        One that was about to leave when its process died becomes "unknown".
        """
        return NotificationClaim.model_validate(
            self._call(
                "begin_notification",
                id=notification_id,
                bill_id=bill_id,
                kind=kind,
                channel=channel,
                recipient=recipient,
                body=body,
            )
        )

    def end_notification(
        self,
        *,
        notification_id: str,
        status: NotificationStatus,
        error: str = "",
        message_id: str = "",
    ) -> None:
        """Say what became of a message."""
        self._call(
            "end_notification",
            id=notification_id,
            status=status,
            error=error,
            message_id=message_id,
        )

    def notifications(
        self,
        *,
        text: str = "",
        status: NotificationStatus | None = None,
        bill_id: str | None = None,
        kind: str | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[Notification]:
        """Messages by bill, occasion and channel, the last changed first."""
        filters = search_filters(text)
        wanted = {"status": status, "bill_id": bill_id, "kind": kind}
        filters += [Filter(c, "eq", v) for c, v in wanted.items() if v is not None]
        rows, total = self._page(
            "notification_list",
            filters=filters,
            order=["updated_at.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(Notification.model_validate(row) for row in rows), total=total)

    # -- jobs ----------------------------------------------------------------------------------

    def claim_job_run(
        self,
        *,
        job: str,
        scheduled_on: date,
        owner: str,
        lease_seconds: int,
        started_by: str,
        rerun: bool = False,
    ) -> tuple[bool, JobRun]:
        """Try to take a run; whether it is ours, and the run as it stands or that is in its way.

        With `rerun` also a run that is over is taken, but never one that is under way.
        """
        answer = self._call(
            "claim_job_run",
            job=job,
            scheduled_on=scheduled_on.isoformat(),
            owner=owner,
            lease_seconds=lease_seconds,
            started_by=started_by,
            rerun=rerun,
        )
        return bool(answer["claimed"]), JobRun.model_validate(answer["run"])

    def note_job_progress(
        self, *, run: Mapping[str, Any], done: int = 0, set_aside: Sequence[Json] = ()
    ) -> None:
        """Count what a batch did and keep what it set aside; raises RunTakenOver."""
        self._call("note_job_progress", run=dict(run), done=done, set_aside=list(set_aside))

    def finish_job_run(self, *, run: Mapping[str, Any], status: str, detail: str) -> JobRun:
        """End a run as done or failed; raises RunTakenOver."""
        return JobRun.model_validate(
            self._call("finish_job_run", run=dict(run), status=status, detail=detail)
        )

    def release_job_run(self, *, run: Mapping[str, Any]) -> JobRun:
        """Give the lease of an unfinished run back; raises RunTakenOver."""
        return JobRun.model_validate(self._call("release_job_run", run=dict(run)))

    def job_history(self, *, since: Mapping[str, date] | None = None) -> Json:
        """`installed_at`, the last run of each job, and its runs scheduled from a date on.

        A job that `since` does not name gives all its runs; runs that did not end well always come.
        """
        answer: Json = self._call(
            "job_history", since={job: on.isoformat() for job, on in (since or {}).items()}
        )
        return answer

    def job_runs(self, *, page: int = 1, page_size: int = 20) -> Page[JobRun]:
        """Runs, the last started first."""
        rows, total = self._page(
            "job_run_list",
            filters=[],
            order=["started_at.desc", "job.asc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(JobRun.model_validate(row) for row in rows), total=total)

    def set_aside(self, *, job: str, scheduled_on: date) -> list[Json]:
        """What a run could not do: {subject, reason, at} (at most 1,000)."""
        filters = [
            Filter("job", "eq", job),
            Filter("scheduled_on", "eq", scheduled_on.isoformat()),
        ]
        return self._transport.select(
            "job_set_aside", filters=filters, order=["subject.asc"], limit=1000
        ).rows

    def collected_since(self, *, meter_ids: Sequence[str], since: datetime) -> set[str]:
        """Which of these meters (at most 500) have a smart read stored at or after `since`."""
        filters = [
            Filter("meter_id", "in_", list(meter_ids)),
            Filter("source", "eq", "smart"),
            Filter("created_at", "gte", since),
        ]
        rows = self._transport.select("reading_list", filters=filters, limit=1000).rows
        return {str(row["meter_id"]) for row in rows}

    def monthly_bill_candidates(
        self, *, month_start: date, month_end: date, after: str | None, limit: int
    ) -> list[BillCandidate]:
        """Active meters not yet billed for the month [month_start, month_end), in order of id."""
        answer = self._call(
            "monthly_bill_candidates",
            month_start=month_start.isoformat(),
            month_end=month_end.isoformat(),
            after=after,
            limit=limit,
        )
        return [BillCandidate.model_validate(row) for row in answer["meters"]]

    def store_job_bills(
        self,
        *,
        actor: str,
        bills: Sequence[NewBill],
        run: Mapping[str, Any] | None = None,
        set_aside: Sequence[Json] = (),
    ) -> tuple[int, list[str]]:
        """One batch of bills in one transaction: how many were stored, whose chains moved."""
        answer = self._call(
            "store_job_bills",
            actor=actor,
            bills=[bill.to_json() for bill in bills],
            set_aside=list(set_aside),
            **({"run": dict(run)} if run else {}),
        )
        return int(answer["stored"]), list(answer["moved"])

    def queue_reminders(
        self, *, run: Mapping[str, Any], today: date, until: date, limit: int, owed: Json
    ) -> int:
        """Owe a reminder for unpaid bills due in [today, until], not yet reminded; how many."""
        answer = self._call(
            "queue_reminders",
            run=dict(run),
            today=today.isoformat(),
            until=until.isoformat(),
            limit=limit,
            owed=owed,
        )
        return int(answer["count"])

    def mark_overdue(
        self, *, actor: str, run: Mapping[str, Any], today: date, limit: int, owed: Json
    ) -> int:
        """Mark unpaid bills due before today as overdue and owe each the notice; how many."""
        answer = self._call(
            "mark_overdue",
            actor=actor,
            run=dict(run),
            today=today.isoformat(),
            limit=limit,
            owed=owed,
        )
        return int(answer["count"])

    # -- imports and keys ----------------------------------------------------------------------

    def import_rows(self, *, what: str, actor: str, rows: Sequence[Json], dry_run: bool) -> Json:
        """Import customers, meters or tariffs: {errors: [{row, message}], added, changed, …}.

        With errors, or as a dry run, nothing is written.
        """
        answer: Json = self._call(f"import_{what}", actor=actor, rows=list(rows), dry_run=dry_run)
        return answer

    def import_readings(self, *, actor: str, rows: Sequence[Json]) -> Json:
        """Store validated reads, unbilled; raises ReadingConflict."""
        answer: Json = self._call("import_readings", actor=actor, rows=list(rows))
        return answer

    def meter_reads(
        self, *, serials: Sequence[str], since: date | None = None, every_status: bool = False
    ) -> list[Json]:
        """Reads of some meters, oldest first, with the meters' dials and multiplier.

        Live reads (neither rejected nor superseded), or those of every status.
        """
        answer = self._call(
            "meter_reads",
            serials=list(serials),
            since=since.isoformat() if since else None,
            every_status=every_status,
        )
        return list(answer["meters"])

    def account_numbers(self, *, limit: int) -> list[str]:
        """The first account numbers there are, in order."""
        rows = self._transport.select("customers", order=["account_no.asc"], limit=limit).rows
        return [row["account_no"] for row in rows]

    def add_api_key(self, *, actor: str, key_id: str, name: str, key_hash: str, role: str) -> None:
        """Keep the hash of a new key; raises IllegalChange when the name is taken."""
        self._call("add_api_key", actor=actor, id=key_id, name=name, key_hash=key_hash, role=role)

    def api_key(self, *, key_hash: str) -> Json | None:
        """The key with this hash that is not revoked: {id, name, role}."""
        rows = self._transport.select(
            "api_keys",
            filters=[Filter("key_hash", "eq", key_hash), Filter("revoked_at", "is_null", True)],
            limit=1,
        ).rows
        return rows[0] if rows else None

    def api_keys(self) -> list[ApiKey]:
        """All keys: those in use first, by name; then the revoked ones, the latest first."""
        rows = self._transport.select("api_key_list", order=["name.asc"]).rows
        keys = [ApiKey.model_validate(row) for row in rows]
        revoked = [(key.revoked_at, key) for key in keys if key.revoked_at is not None]
        revoked.sort(key=lambda pair: pair[0], reverse=True)
        return [key for key in keys if key.revoked_at is None] + [key for _, key in revoked]

    def revoke_api_key(self, *, actor: str, key_id: str) -> None:
        """End a key for good; raises NotFound. Doing it again changes nothing."""
        self._call("revoke_api_key", actor=actor, id=key_id)

    def _one(self, view: str, row_id: str, what: str) -> Json:
        if _is_uuid(row_id):
            rows = self._transport.select(view, filters=[Filter("id", "eq", row_id)], limit=1).rows
            if rows:
                return rows[0]
        raise NotFound("EB404", f"No such {what}.")


def escape_like(text: str) -> str:
    """`text` so that LIKE takes it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def search_filters(text: str) -> list[Filter]:
    """That a row's search text has each word of `text`, at most six of them."""
    return [Filter("search", "ilike", f"%{escape_like(w)}%") for w in text.lower().split()[:6]]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
