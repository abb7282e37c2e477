"""Meters, tariffs and readings: what is asked of them, and storing reads."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.database.errors import DatabaseRefused, NotFound, named
from services.database.queries.base import ROWS_AT_ONCE, Json, Queries
from services.database.transport import Filter
from services.languages.sentence import N_
from services.records.base import COUNTED_TO, Page
from services.records.bills import NewBill
from services.records.jobs import RunRef
from services.records.readings import EstimateFacts, Meter, MeterSeries, Reading
from services.records.submissions import (
    FlaggedReadings,
    MissedRead,
    MissedReason,
    ReadingContext,
    ReadingRequest,
    RefusedRead,
    Round,
    RoundMeter,
    StoredReading,
)
from services.records.tariffs import TariffVersion


class ReadingQueries(Queries):
    """Meters, tariffs and readings."""

    def find_meters(self, *, text: str, limit: int = 20, also_removed: bool = False) -> list[Meter]:
        """Meters whose serial, customer or place has each word of `text`, by serial.

        Those that are in use, and with `also_removed` the ones that were taken out.
        """
        found = self._call("find_meters", text=text, also_removed=also_removed, limit=limit)
        return [Meter.model_validate(row) for row in found["meters"]]

    def meter_series(self, *, meter_id: str, start: date, end: date) -> MeterSeries:
        """The intervals and accepted reads of a meter from a local date to before another."""
        bounds = {"from": start.isoformat(), "until": end.isoformat()}
        answer = self._call("meter_series", meter_id=meter_id, **bounds)
        return MeterSeries.model_validate(answer)

    def has_read_meter(self, *, user: str, meter_id: str) -> bool:
        """Whether a reading of the meter by `user` was accepted."""
        filters = [
            Filter("meter_id", "eq", meter_id),
            Filter("submitted_by", "eq", user),
            Filter("status", "in_", ["accepted", "superseded"]),
        ]
        return bool(self._transport.select("readings", filters=filters, limit=1).rows)

    def smart_meters(self, *, after: str | None = None, limit: int = 500) -> list[Meter]:
        """Active smart meters by serial, those after the serial `after`."""
        filters = [Filter("kind", "eq", "smart"), Filter("status", "eq", "active")]
        if after is not None:
            filters.append(Filter("serial", "gt", after))
        rows = self._transport.select(
            "meter_list", filters=filters, order=["serial.asc"], limit=limit
        ).rows
        return [Meter.model_validate(row) for row in rows]

    def known_serials(self, *, serials: Sequence[str]) -> set[str]:
        """Which of these serials (at most 1,000) a meter has."""
        filters = [Filter("serial", "in_", list(serials))]
        rows = self._transport.select("meters", filters=filters, limit=ROWS_AT_ONCE).rows
        return {str(row["serial"]) for row in rows}

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

    def reading_context(
        self,
        *,
        meter_serial: str,
        read_at: datetime,
        read_on: date,
        register_wh: int | None = None,
        registers: Mapping[str, int] | None = None,
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
                "registers": dict(registers or {}),
                "caller": caller,
                "idempotency_key": idempotency_key,
                "body_hash": body_hash,
            }
        try:
            return ReadingContext.model_validate(self._call("reading_context", **asked))
        except NotFound as error:
            raise NotFound(error.code, f"{error.message}{self._meant(meter_serial)}") from None

    def reading_contexts(
        self, *, rows: Sequence[Mapping[str, Any]]
    ) -> list[ReadingContext | DatabaseRefused]:
        """`reading_context` for readings that came together, in order, or why there is none.

        Rows are {meter_serial, read_at, read_on, register_wh, registers, caller}.
        """
        answer = self._call("reading_contexts", rows=[dict(row) for row in rows])
        return [
            named(DatabaseRefused(found["refused"]["code"], found["refused"]["message"]))
            if "refused" in found
            else ReadingContext.model_validate(found)
            for found in answer["contexts"]
        ]

    def _meant(self, serial: str) -> str:
        """A question, where a meter's serial looks like this one."""
        found = self._call("identifier_keys", kind="meters", identifiers=[serial])["found"]
        return f" Do you mean {found[0]['known']}?" if found[0]["known"] else ""

    def estimate_facts(self, *, at: Mapping[str, date]) -> list[EstimateFacts]:
        """What estimating the reads of agreements needs: each up to its local date.

        One without a meter on that date is left out.
        """
        rows = [{"agreement_id": one, "on": on.isoformat()} for one, on in at.items()]
        answer = self._call("estimate_facts", rows=rows)
        return [EstimateFacts.model_validate(row) for row in answer["agreements"]]

    def commit_reading(
        self,
        *,
        actor: str,
        reading: Mapping[str, Any],
        neighbours: Sequence[str | None],
        bill: NewBill | None,
        earlier: Sequence[NewBill] = (),
        idempotency_key: str | None = None,
        body_hash: str | None = None,
        run: RunRef | None = None,
    ) -> StoredReading:
        """Step 7: reading, bills, their numbers and outbox entries, in one transaction.

        `earlier` are bills before `bill`, in order; each opens where the one before it closes.
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
                earlier=[before.to_json() for before in earlier],
                run=run.to_json() if run else None,
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
        rolled_over: bool = False,
        correction: Mapping[str, Any] | None = None,
        bill: NewBill | None = None,
        earlier: Sequence[NewBill] = (),
        request: Mapping[str, str] | None = None,
    ) -> StoredReading:
        """A person's decision on a flagged reading, with the bills as `commit_reading` takes them.

        `request` has the meter read again: {"id", "requested_on"}. The same decision again is
        answered with the first; raises IllegalChange when there was another.
        """
        return StoredReading.model_validate(
            self._call(
                "decide_reading",
                actor=actor,
                reading_id=reading_id,
                status=status,
                reason=reason,
                rolled_over=rolled_over,
                correction=dict(correction) if correction else None,
                request=dict(request) if request else None,
                bill=bill.to_json() if bill else None,
                earlier=[before.to_json() for before in earlier],
            )
        )

    def reading(self, reading_id: str) -> Reading:
        """One reading; raises NotFound."""
        return Reading.model_validate(self._one("reading_list", reading_id, N_("No such reading.")))

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
        answer = self._call(
            "list_readings",
            status=status,
            submitted_by=submitted_by,
            meter_id=meter_id,
            limit=page_size,
            offset=(page - 1) * page_size,
            count_to=COUNTED_TO,
        )
        items = tuple(Reading.model_validate(row) for row in answer["rows"])
        return Page(items=items, total=answer["total"])

    def flagged_on(self, *, read_on: date, limit: int) -> list[Reading]:
        """Readings of a local date that wait for review."""
        filters = [
            Filter("status", "eq", "needs_review"),
            Filter("read_on", "eq", read_on.isoformat()),
        ]
        rows = self._transport.select(
            "reading_list", filters=filters, order=["created_at.asc", "id.asc"], limit=limit
        ).rows
        return [Reading.model_validate(row) for row in rows]

    def exceptions(
        self,
        *,
        cause: str | None = None,
        route: str | None = None,
        skipped: Sequence[str] = (),
        ranked_to: int,
        limit: int,
    ) -> FlaggedReadings:
        """Readings that wait for a decision, the most money at stake first, skipped ids last.

        Of more than `ranked_to` those with the most energy at stake are looked at.
        """
        answer = self._call(
            "exceptions",
            cause=cause,
            route=route,
            skipped=list(skipped),
            ranked_to=ranked_to,
            limit=limit,
        )
        return FlaggedReadings.model_validate(answer)

    def accepted_after(self, *, meter_id: str, after: date, limit: int = 50) -> list[Reading]:
        """The first accepted readings of a meter dated after a local date, in order of time."""
        filters = [
            Filter("meter_id", "eq", meter_id),
            Filter("status", "eq", "accepted"),
            Filter("read_on", "gt", after.isoformat()),
        ]
        rows = self._transport.select(
            "reading_list", filters=filters, order=["read_at.asc"], limit=limit
        ).rows
        return [Reading.model_validate(row) for row in rows]

    def request_reading(
        self,
        *,
        actor: str,
        request_id: str,
        meter_id: str,
        reason: str,
        requested_on: date,
        about_reading_id: str | None = None,
    ) -> ReadingRequest:
        """Ask for a meter to be read again; the request, or the one that is open already.

        Raises NotFound, and IllegalChange for a meter that is installed nowhere.
        """
        answer = self._call(
            "request_reading",
            actor=actor,
            id=request_id,
            meter_id=meter_id,
            reason=reason,
            requested_on=requested_on.isoformat(),
            about_reading_id=about_reading_id,
        )
        return ReadingRequest.model_validate(answer)

    def withdraw_reading_request(self, *, actor: str, request_id: str) -> ReadingRequest:
        """Close a request without a reading, if it is open; the request as it is now.

        Raises NotFound.
        """
        answer = self._call("withdraw_reading_request", actor=actor, id=request_id)
        return ReadingRequest.model_validate(answer)

    def miss_reading(
        self,
        *,
        actor: str,
        missed_id: str,
        meter_serial: str,
        missed_at: datetime,
        missed_on: date,
        reason: MissedReason,
        note: str,
    ) -> MissedRead:
        """Keep that a meter could not be read at a time (UTC) on a local date.

        Raises NotFound, and IdempotencyKeyReused where the id stands for another visit.
        """
        answer = self._call(
            "miss_reading",
            actor=actor,
            id=missed_id,
            meter_serial=meter_serial,
            missed_at=missed_at.isoformat(),
            missed_on=missed_on.isoformat(),
            reason=reason,
            note=note,
        )
        return MissedRead.model_validate(answer)

    def note_refused_read(
        self, *, actor: str, key: str, meter_serial: str, shown: str, read_at: str, why: str
    ) -> bool:
        """Keep a reading of the round that was refused, once for its key; whether it was kept."""
        answer = self._call(
            "note_refused_read",
            actor=actor,
            key=key,
            meter_serial=meter_serial,
            shown=shown,
            read_at=read_at,
            why=why,
        )
        return bool(answer["kept"])

    def refused_reads(self, *, limit: int) -> list[RefusedRead]:
        """The readings of rounds that were refused last, the newest first."""
        rows = self._transport.select(
            "refused_read_list", order=["refused_at.desc", "key.desc"], limit=limit
        ).rows
        return [RefusedRead.model_validate(row) for row in rows]

    def reading_rounds(
        self, *, read_before: date, today: date, after: str | None, limit: int
    ) -> list[Round]:
        """Reading routes by name, those after the route `after`, and how their rounds stand.

        A meter whose last read is of `read_before` or earlier is to be read.
        """
        answer = self._call(
            "reading_rounds",
            read_before=read_before.isoformat(),
            today=today.isoformat(),
            after=after,
            limit=limit,
        )
        return [Round.model_validate(row) for row in answer["rounds"]]

    def round_meters(
        self,
        *,
        route: str,
        read_before: date,
        today: date,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[RoundMeter]:
        """The meters of a route in the order in which they are read, after a sequence and code."""
        answer = self._call(
            "round_meters",
            route=route,
            read_before=read_before.isoformat(),
            today=today.isoformat(),
            after=list(after) if after else None,
            limit=limit,
        )
        return [RoundMeter.model_validate(row) for row in answer["meters"]]
