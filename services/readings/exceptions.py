"""The exceptions queue: flagged readings by what is at stake, one by one or several at once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.identity.audit_reason import given_reason
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import nsentence, sentence, sentence_of
from services.quantities.period import local_date
from services.readings.outlooks import REFUSALS, DecisionOutlooks
from services.readings.review import ReadingReview
from services.records.readings import Reading
from services.records.submissions import FlaggedReadings, StoredReading

# So many are put in order by money; of more, those with the most energy at stake.
RANKED_TO: Final = 1_000
# Each is a transaction of its own, and somebody waits for them.
MOST_AT_ONCE: Final = 200

Together = Literal["accept", "reject", "read_again"]


class TooManyAtOnce(ValueError):
    """No reading was chosen, or more than are decided at once."""


@dataclass(frozen=True, slots=True)
class TogetherPreview:
    """What accepting several readings would bill: totals by currency in minor units.

    `refused` are those that cannot be accepted as they stand, each with the reason.
    """

    readings: int
    bills: int
    totals_minor: Mapping[str, int]
    refused: Sequence[tuple[Reading, str]]


@dataclass(frozen=True, slots=True)
class Decided:
    """One reading of several; `problem` is empty where it was decided, else says what to do.

    `billed_minor` is what it brought in all, None where it brought no bill.
    """

    reading: Reading
    problem: str = ""
    billed_minor: int | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ReadingExceptions:
    """Flagged readings as administrators clear them; each method raises NotAllowed for others."""

    database: DatabaseService
    review: ReadingReview
    outlooks: DecisionOutlooks
    zone: ZoneInfo

    def queue(
        self,
        *,
        principal: Principal,
        limit: int,
        cause: str | None = None,
        route: str | None = None,
        skipped: Sequence[str] = (),
    ) -> FlaggedReadings:
        """What waits, the most money at stake first, and those of the ids `skipped` last.

        A cause is a rule's name, or "ai"; the route '' is that of places on none.
        """
        require(principal, Permission.VIEW_READINGS)
        return self.database.exceptions(
            cause=cause, route=route, skipped=skipped, ranked_to=RANKED_TO, limit=limit
        )

    def preview_together(
        self, *, readings: Sequence[Reading], principal: Principal, now: datetime
    ) -> TogetherPreview:
        """What accepting readings would bill; nothing is stored. Raises TooManyAtOnce."""
        require(principal, Permission.DECIDE_READINGS)
        _check_number(len(readings))
        totals: dict[str, int] = defaultdict(int)
        refused: list[tuple[Reading, str]] = []
        bills = 0
        for reading in readings:
            found = self.outlooks.if_shown(reading=reading, principal=principal, now=now)
            if found.refused:
                refused.append((reading, found.remark))
            elif found.total_minor is not None:
                totals[found.currency] += found.total_minor
                bills += 1
        return TogetherPreview(len(readings), bills, dict(totals), refused)

    def decide_together(
        self,
        *,
        decision: Together,
        reading_ids: Sequence[str],
        reason: str,
        principal: Principal,
        now: datetime,
    ) -> Iterator[Decided]:
        """Decide on several readings for one reason, each in a transaction of its own.

        Answers each as it is decided; what is in the way of one does not stop the others. Before
        the first it raises NotAllowed, ReasonMissing, TooManyAtOnce. `now` is in UTC.
        """
        require(principal, Permission.DECIDE_READINGS)
        why = given_reason(reason)
        wanted = list(dict.fromkeys(reading_ids))
        _check_number(len(wanted))
        return (self._decided(decision, one, why, principal, now) for one in wanted)

    def _decided(
        self, decision: Together, reading_id: str, why: str, principal: Principal, now: datetime
    ) -> Decided:
        try:
            stored = self._decide(decision, reading_id, why, principal, now)
        except REFUSALS as error:
            return Decided(self.database.reading(reading_id), problem=sentence_of(error))
        bills = [*stored.earlier, stored.bill] if stored.bill else []
        return Decided(
            stored.reading,
            billed_minor=sum(bill.total_minor for bill in bills) if bills else None,
            currency=bills[-1].currency if bills else "",
        )

    def _decide(
        self, decision: Together, reading_id: str, why: str, principal: Principal, now: datetime
    ) -> StoredReading:
        if decision == "accept":
            return self.review.accept(
                reading_id=reading_id, reason=why, principal=principal, now=now, at_once=False
            )
        if decision == "reject":
            return self.review.reject(reading_id=reading_id, reason=why, principal=principal)
        return self.review.read_again(
            reading_id=reading_id,
            request_id=request_id_for(reading_id),
            requested_on=local_date(now, self.zone),
            reason=why,
            principal=principal,
        )


def request_id_for(reading_id: str) -> str:
    """The id of the request that a reading brings: deciding so twice asks once."""
    return str(uuid5(NAMESPACE_URL, f"read-again:{reading_id}"))


def _check_number(number: int) -> None:
    if not 0 < number <= MOST_AT_ONCE:
        raise TooManyAtOnce(
            nsentence(
                "Choose 1 to {most} readings at once; {count} reading was chosen.",
                "Choose 1 to {most} readings at once; {count} readings were chosen.",
                number,
                most=MOST_AT_ONCE,
            )
            if number
            else sentence("Choose at least one reading.")
        )
