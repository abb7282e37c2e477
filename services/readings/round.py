"""The round of whoever reads meters: what is due on a route, read again, and could not be read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)

from services.database.errors import (
    IdempotencyKeyReused,
    IllegalChange,
    NotFound,
    ReadingConflict,
)
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.validation import ExpectedRange
from services.quantities.period import local_date
from services.readings.expected import expected_on
from services.readings.submission import CLOCK_ALLOWANCE, EARLIEST, InvalidReading
from services.records.submissions import (
    MissedRead,
    MissedReason,
    ReadingRequest,
    RefusedRead,
    Round,
    RoundMeter,
)
from services.records.use_limits import LimitBook

# A meter that was read less than so many days ago is not due yet: rounds are monthly, and their
# days move a little.
ROUND_DAYS: Final = 20
# Who reads meters, and the office.
_SEE: Final = (Permission.SUBMIT_READINGS, Permission.VIEW_READINGS)
ROUTES_AT_ONCE: Final = 20
METERS_AT_ONCE: Final = 200
ASKED_AT_ONCE: Final = 100
REFUSED_AT_ONCE: Final = 100
# What is said of a reading for good: the phone that sent it does not send it again.
_REFUSALS: Final = (
    *(InvalidReading, ReadingTooLong, UnableToCompareReads),
    *(IdempotencyKeyReused, IllegalChange, NotFound, ReadingConflict),
)
# Beyond so many meters nobody walks a route.
_COUNTED_TO: Final = 5_000
_LAST_IN_ORDER: Final = 2_147_483_647

_Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
_PROBLEMS: Final = {
    "id": "id must be a UUID, made once for the visit.",
    "meter_serial": N_(
        "Say which meter it was: meter_serial must be a text of 1 to 60 characters."
    ),
    "missed_at": "missed_at must be a date and time with its zone.",
    "reason": N_("Say why the meter could not be read, by one of the reasons."),
    "note": N_("A note has at most 500 characters."),
}


class Visit(BaseModel):
    """A visit at which a meter could not be read; `id` is made by whoever reports it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    meter_serial: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)
    ]
    missed_at: AwareDatetime
    reason: MissedReason
    note: _Note = ""

    @model_validator(mode="after")
    def _other_is_explained(self) -> "Visit":
        if self.reason == "other" and not self.note:
            raise ValueError(N_("Write in the note why the meter could not be read."))
        return self


def parse_visit(body: object, *, now: datetime) -> Visit:
    """Check what a form or an HTTP body holds; raises InvalidReading with a sentence.

    A visit up to five minutes ahead of `now` (UTC) is forgiven, for clocks differ.
    """
    try:
        visit = Visit.model_validate(body)
    except ValidationError as error:
        raise InvalidReading(_problem(error)) from None
    if not EARLIEST <= visit.missed_at <= now + CLOCK_ALLOWANCE:
        raise InvalidReading(sentence("The visit is dated in the future, or too long ago."))
    return visit


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return str(first["msg"]).removeprefix("Value error, ")
    name = str(first["loc"][0])
    return _PROBLEMS.get(name, f"There is no field called {name[:60]!r} in a visit.")


@dataclass(frozen=True, slots=True)
class DueMeter:
    """A meter of a round, and the register values (Wh) expected today; None where all may be."""

    meter: RoundMeter
    expected: ExpectedRange | None


@dataclass(frozen=True, slots=True)
class RoundPage:
    """Some meters of a route in order; `after` leads to the next ones, None at the end."""

    meters: tuple[DueMeter, ...]
    after: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class ReadingRound:
    """Rounds, for whoever reads meters; each method raises NotAllowed for others.

    `limit_book` is as in `ReadingAssessor`.
    """

    database: DatabaseService
    zone: ZoneInfo
    limit_book: Callable[[], LimitBook]

    def routes(
        self, *, principal: Principal, now: datetime, after: str | None = None
    ) -> Sequence[Round]:
        """Routes by name, 20 at most, those after the route `after`; `now` in UTC."""
        require(principal, *_SEE)
        today = local_date(now, self.zone)
        return self.database.reading_rounds(
            read_before=_read_before(today),
            today=today,
            after=after,
            limit=ROUTES_AT_ONCE,
        )

    def meters(
        self,
        *,
        route: str,
        principal: Principal,
        now: datetime,
        after: tuple[int, str] | None = None,
        limit: int = METERS_AT_ONCE,
    ) -> RoundPage:
        """A page of a route's meters in the order in which they are read; `now` in UTC."""
        require(principal, *_SEE)
        today = local_date(now, self.zone)
        found = self.database.round_meters(
            route=route, read_before=_read_before(today), today=today, after=after, limit=limit
        )
        book = self.limit_book()
        meters = tuple(DueMeter(meter, expected_on(meter, book=book, on=today)) for meter in found)
        last = found[-1] if len(found) == limit else None
        return RoundPage(meters, _place_of(last) if last else None)

    def all_meters(self, *, route: str, principal: Principal, now: datetime) -> Sequence[DueMeter]:
        """The meters of a route, 5,000 at most, in the order in which they are read."""
        found: list[DueMeter] = []
        after: tuple[int, str] | None = None
        while len(found) < _COUNTED_TO:
            page = self.meters(route=route, principal=principal, now=now, after=after)
            found += page.meters
            after = page.after
            if after is None:
                break
        return found

    def miss(self, *, visit: Visit, principal: Principal) -> MissedRead:
        """Keep that a meter could not be read; a repeat is answered with the first.

        Raises NotFound, IdempotencyKeyReused.
        """
        require(principal, Permission.SUBMIT_READINGS)
        return self.database.miss_reading(
            actor=principal.user,
            missed_id=str(visit.id),
            meter_serial=visit.meter_serial,
            missed_at=visit.missed_at.astimezone(UTC),
            missed_on=local_date(visit.missed_at.astimezone(UTC), self.zone),
            reason=visit.reason,
            note=visit.note,
        )

    def note_refused(
        self, *, body: Mapping[str, Any], error: Exception, principal: Principal
    ) -> None:
        """Keep a reading that the round sent and that was refused for good, for the office to see.

        `body` is as it was sent; without a key of its own, or after another error, nothing is kept.
        """
        require(principal, Permission.SUBMIT_READINGS)
        key = body.get("idempotency_key")
        if not isinstance(error, _REFUSALS) or not isinstance(key, str) or not key.strip():
            return
        registers = body.get("registers")
        shown = [_typed(body.get("reading_kwh"))]
        if isinstance(registers, Mapping):
            shown += [f"{_typed(name)}={_typed(value)}" for name, value in registers.items()]
        self.database.note_refused_read(
            actor=principal.user,
            key=key.strip()[:200],
            meter_serial=_typed(body.get("meter_serial")),
            shown=" ".join(shown)[:200],
            read_at=_typed(body.get("read_at")),
            why=str(error)[:500],
        )

    def refused(self, *, principal: Principal) -> Sequence[RefusedRead]:
        """The last 100 readings of rounds that were refused, the newest first."""
        require(principal, Permission.VIEW_READINGS)
        return self.database.refused_reads(limit=REFUSED_AT_ONCE)

    def ask_again(
        self,
        *,
        request_id: str,
        meter_id: str,
        reason: str,
        principal: Principal,
        now: datetime,
        about_reading_id: str | None = None,
    ) -> ReadingRequest:
        """Put a meter on the round again, whenever it was read last; `now` in UTC.

        `request_id` is a UUID made by the caller; `about_reading_id` the reading that is doubted.
        While a request of the meter is open, that one is the answer. The meter's next read closes
        it. Raises NotAllowed, InvalidReading without a reason, NotFound, IllegalChange for a meter
        that is installed nowhere.
        """
        require(principal, Permission.DECIDE_READINGS)
        reason = reason.strip()
        if not 0 < len(reason) <= 500:
            raise InvalidReading(
                sentence("Say in 1 to 500 characters why the meter is to be read again.")
            )
        return self.database.request_reading(
            actor=principal.user,
            request_id=request_id,
            meter_id=meter_id,
            reason=reason,
            requested_on=local_date(now, self.zone),
            about_reading_id=about_reading_id,
        )

    def ask_all_again(
        self,
        *,
        form_id: str,
        meter_ids: Sequence[str],
        reason: str,
        principal: Principal,
        now: datetime,
    ) -> list[ReadingRequest]:
        """Put meters on the round again, 100 at most, as `ask_again` does each.

        `form_id` is a UUID made by the caller: the same form again changes nothing more.
        """
        require(principal, Permission.DECIDE_READINGS)
        if len(meter_ids) > ASKED_AT_ONCE:
            raise InvalidReading(
                sentence(
                    "Choose at most {asked_at_once} meters at once.", asked_at_once=ASKED_AT_ONCE
                )
            )
        return [
            self.ask_again(
                request_id=str(uuid5(UUID(form_id), meter_id)),
                meter_id=meter_id,
                reason=reason,
                principal=principal,
                now=now,
            )
            for meter_id in meter_ids
        ]

    def withdraw(self, *, request_id: str, principal: Principal) -> ReadingRequest:
        """Close a request that needs no reading any more; raises NotFound."""
        require(principal, Permission.DECIDE_READINGS)
        return self.database.withdraw_reading_request(actor=principal.user, request_id=request_id)


def _typed(value: object) -> str:
    return "" if value is None else " ".join(str(value)[:60].split())


def _read_before(today: date) -> date:
    return today - timedelta(days=ROUND_DAYS)


def _place_of(meter: RoundMeter) -> tuple[int, str]:
    sequence = _LAST_IN_ORDER if meter.sequence is None else meter.sequence
    return sequence, meter.code
