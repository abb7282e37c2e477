"""Whether a flagged reading and another one of its day fit each other's meters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.metering.digit_rules import Doubtful, fits_the_other, swapped_meters
from services.metering.outcomes import RuleOutcome
from services.metering.recent_use import UnableToCompareReads, Use
from services.records.readings import Reading
from services.records.submissions import ReadingContext
from services.records.use_limits import LimitBook

# On a day on which more are flagged something else is wrong.
OTHERS: Final = 20


@dataclass(frozen=True, slots=True)
class SwappedMeters:
    """Looks for swapped meters among the readings that wait for review, for administrators."""

    database: DatabaseService
    limit_book: Callable[[], LimitBook]

    def explanation(
        self, reading: Reading, context: ReadingContext, *, principal: Principal
    ) -> RuleOutcome | None:
        """What names the other meter, or None. Raises NotAllowed, DatabaseError."""
        require(principal, Permission.VIEW_READINGS)
        book = self.limit_book()
        doubtful = doubtful_of(reading, context, book)
        if doubtful is None:
            return None
        others = self.database.flagged_on(read_on=reading.read_on, limit=OTHERS + 1)
        for other in others:
            if other.meter_id == reading.meter_id:
                continue
            try:
                theirs = self.database.reading_context(
                    meter_serial=other.meter_serial, read_at=other.read_at, read_on=other.read_on
                )
            except NotFound:
                continue
            found = doubtful_of(other, theirs, book)
            if found is not None and fits_the_other(doubtful, found):
                return swapped_meters(other.meter_serial, other.register_wh)
        return None


def doubtful_of(reading: Reading, context: ReadingContext, book: LimitBook) -> Doubtful | None:
    """A flagged reading as the rules that explain it take it; None where none is before it."""
    last, meter = context.last_read, context.meter
    if last is None:
        return None
    try:
        use = Use.of(
            reading.read_on,
            last.point,
            context.history,
            meter.dials,
            meter.multiplier_milli,
            limits=context.limits(book, on=reading.read_on),
            peers=context.peers,
        )
    except UnableToCompareReads:
        return None
    return Doubtful(reading.register_wh, last.point, use, meter.dials, meter.multiplier_milli)
