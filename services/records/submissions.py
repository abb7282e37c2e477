"""What a submission is judged and priced from, and what became of it: records."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from services.records.base import Record
from services.records.bills import Bill, PricingInputs
from services.records.outbox import OutboxEntry
from services.records.readings import Installation, Meter, ReadBetween, Reading, ReadPoint
from services.records.tariffs import TariffSpan, TariffVersion, versions_along
from services.records.use_limits import ClassUse, LimitBook, PeerUse, UseLimits


class ReadingContext(Record):
    """Everything that validating and pricing one read of a meter needs."""

    meter: Meter
    # Those that price the days of the agreement, whichever tariffs it has had.
    tariffs: tuple[TariffVersion, ...]
    opening: Reading
    reissue_no: int
    last_read: Reading | None
    # The last actual one, where the last read is an estimate or the customer's.
    last_actual: Reading | None = None
    next_read: Reading | None
    history: tuple[ReadPoint, ...]
    same_day: bool
    # The day of the month on which its agreement is billed.
    billing_day: int
    replay: "StoredReading | None"
    # The accepted reads after the opening one, in order.
    between: tuple[ReadBetween, ...] = ()
    # What was installed from the opening read on.
    installations: tuple[Installation, ...] = ()
    pricing: PricingInputs = PricingInputs()
    # Its readings that nobody has reviewed yet, and how other meters' use moved meanwhile.
    waiting: tuple[ReadPoint, ...] = ()
    peers: tuple[PeerUse, ...] = ()
    # Asked only while the meter has no use of its own to be judged by.
    class_use: ClassUse | None = None

    @model_validator(mode="before")
    @classmethod
    def _along_the_agreement(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "spans" not in given:
            return given
        spans = [TariffSpan.model_validate(span) for span in given["spans"]]
        versions = [TariffVersion.model_validate(version) for version in given["tariffs"]]
        return given | {"tariffs": tuple(versions_along(spans, versions))}

    def limits(self, book: LimitBook, *, on: date) -> UseLimits:
        """What limits its use up to a local date, beside its own past."""
        return UseLimits(
            connected_w=self.meter.connected_w,
            connected_va=self.meter.connected_va,
            class_use=self.class_use,
            unknown_daily_wh=book.unknown_daily_wh,
            validation=book.of(self.meter.tariff_id, on),
            occupied=self.meter.agreement_id is not None,
        )

    @property
    def last_point(self) -> ReadPoint | None:
        """What its use is counted from: the last actual read, else the last one."""
        last = self.last_actual or self.last_read
        return last.point if last else None

    @property
    def dials(self) -> int:
        """The meter's digits before the point."""
        return self.meter.dials

    @property
    def multiplier_milli(self) -> int:
        """What the register is multiplied by, in thousandths."""
        return self.meter.multiplier_milli

    @property
    def neighbours(self) -> tuple[str | None, str | None]:
        """The ids of the accepted reads before and after the one in question."""
        before, after = self.last_read, self.next_read
        return before.id if before else None, after.id if after else None

    @field_validator("history", "waiting", mode="before")
    @classmethod
    def _parse_history(cls, history: Any) -> Any:
        return tuple(
            ReadPoint(
                register_wh=h["register_wh"],
                read_on=date.fromisoformat(h["read_on"]),
                registers=h["registers"],
            )
            for h in history
        )


class StoredReading(Record):
    """What the database keeps of a submission, whether just stored or found to be a replay."""

    outcome: Literal["stored", "replay"]
    reading: Reading
    bill: Bill | None
    # Where the reading brought several bills, those before the last.
    earlier: tuple[Bill, ...] = ()
    outbox: OutboxEntry | None = Field(validation_alias="owed")


class SubmittedReading(Record):
    """What became of a submission, as its page shows it; `earlier` were billed before `bill`."""

    reading: Reading
    bill: Bill | None = None
    earlier: tuple[Bill, ...] = ()


class ReadingUnderReview(Record):
    """A flagged reading with what it is judged by while it waits; then, if billed, its bill."""

    reading: Reading
    context: ReadingContext | None = None
    bill: Bill | None = None


class FlaggedReading(Record):
    """A reading that waits for a decision, and how much is at stake; the route is '' on none.

    `at_stake_wh` is how far its use is from the usual one, after the multiplier, `at_stake_minor`
    what that comes to by the meter's last bill; without one both it and `currency` are None.
    """

    reading: Reading
    route: str
    at_stake_wh: int
    at_stake_minor: int | None
    currency: str | None


class FlaggedReadings(Record):
    """What waits for a decision, the most at stake first.

    Of `ranked` readings `total` fit the filter; `causes` and `routes` say how many of all there are
    of each.
    """

    total: int
    ranked: int
    causes: dict[str, int]
    routes: dict[str, int]
    items: tuple[FlaggedReading, ...]


MissedReason = Literal["no_access", "dog", "damaged", "not_found", "locked", "other"]


class ReadingRequest(Record):
    """A meter that the office asked to have read again; `done_at` (UTC) is None while it is open.

    Without a `done_reading_id` a closed one was withdrawn.
    """

    id: str
    meter_id: str
    reason: str
    about_reading_id: str | None
    requested_by: str
    created_at: datetime
    done_at: datetime | None
    done_reading_id: str | None


class MissedRead(Record):
    """A visit at which a meter could not be read; `missed_at` is UTC, `missed_on` local."""

    id: str
    service_point_id: str
    meter_id: str
    missed_at: datetime
    missed_on: date
    reason: MissedReason
    note: str
    submitted_by: str


class MissedMeter(Record):
    """A meter that could not be read at its last visit; `missed_at` is UTC, all dates are local.

    That was so on `times` days in a row, from `first_on` on. `asked_because` is why the office
    asked for a new reading, where it did; `id` is the meter's.
    """

    id: str
    meter_serial: str
    service_point_id: str
    code: str
    address: str
    route: str
    customer_name: str | None
    missed_at: datetime
    missed_on: date
    reason: MissedReason
    note: str
    submitted_by: str
    times: int
    first_on: date | None
    asked_because: str | None
    last_read_on: date | None
    has_photo: bool


CollectionOutcome = Literal[
    "collected", "doubted", "no_answer", "not_believed", "not_stored", "not_asked"
]


class MeterToAsk(Meter):
    """A smart meter, and how often the run has asked for it before."""

    tries: int


class CollectedMeter(Record):
    """The last time that a smart meter was asked for; times are UTC, `id` is the meter's.

    `reason` is why there is no reading. It is asked for again at `next_try_at`, or was put on the
    round at `round_at`; `collected_at` is when a reading was last had.
    """

    id: str
    meter_serial: str
    service_point_id: str
    code: str
    address: str
    customer_name: str | None
    tried_at: datetime
    tries: int
    outcome: CollectionOutcome
    reason: str
    reading_id: str | None
    collected_at: datetime | None
    next_try_at: datetime | None
    give_up_at: datetime | None
    round_at: datetime | None


class Round(Record):
    """A reading route and how its round stands; the route of places that are on none is empty.

    `still` are still to be read, `asked` of them again; `missed` could not be read today.
    """

    route: str
    meters: int
    still: int
    asked: int
    missed: int


class RoundMeter(Record):
    """A meter on a route, with what whoever reads it must know, and what its read is judged by.

    Energy is Wh before the multiplier. `was_read_on` is the local date of its last read in this
    round, which `waits` for a review or is accepted; None while it is still to be read.
    """

    service_point_id: str
    code: str
    sequence: int | None
    access_note: str
    address: str
    customer_name: str | None
    meter_id: str
    serial: str
    dials: int
    registers: tuple[str, ...]
    multiplier_milli: int
    connected_w: int | None
    connected_va: int | None
    tariff_id: str | None
    last_read: ReadPoint | None
    # Where the last read is an estimate or the customer's.
    last_actual: ReadPoint | None
    history: tuple[ReadPoint, ...]
    waiting: tuple[ReadPoint, ...]
    peers: tuple[PeerUse, ...]
    class_use: ClassUse | None
    request: ReadingRequest | None
    missed: MissedRead | None
    was_read_on: date | None
    waits: bool

    @property
    def last_point(self) -> ReadPoint | None:
        """What its use is counted from, as of a `ReadingContext`."""
        return self.last_actual or self.last_read

    @property
    def is_due(self) -> bool:
        """Whether it is to be read, or read again."""
        return self.request is not None or self.was_read_on is None

    def limits(self, book: LimitBook, *, on: date) -> UseLimits:
        """What limits its use up to a local date, as of a `ReadingContext`."""
        return UseLimits(
            connected_w=self.connected_w,
            connected_va=self.connected_va,
            class_use=self.class_use,
            unknown_daily_wh=book.unknown_daily_wh,
            validation=book.of(self.tariff_id, on),
            occupied=self.customer_name is not None,
        )


class RefusedRead(Record):
    """A reading that the round sent and that was refused, as it was typed.

    `meter_id` is None where no meter has the serial; `was_read_since` says whether a reading of it
    came after the refusal.
    """

    meter_serial: str
    meter_id: str | None
    shown: str
    read_at: str
    why: str
    submitted_by: str
    refused_at: datetime
    was_read_since: bool


class MeterPhoto(Record):
    """A photo of a meter, and the reading or missed read it belongs to, once that came."""

    id: str
    meter_id: str
    meter_serial: str
    taken_by: str
    sha256: str
    width: int
    height: int
    created_at: datetime
    reading_id: str | None
    missed_read_id: str | None
