"""What pages look up about meters and readings, each by somebody who may see it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.billing.lookups import may_read_bills_of
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.quantities.period import Period, local_date
from services.readings.green_button_feed import GreenButtonFeed
from services.records.base import Page
from services.records.details import CustomersMeter
from services.records.readings import Meter, Reading
from services.records.submissions import (
    CollectedMeter,
    ReadingContext,
    ReadingUnderReview,
    SubmittedReading,
)

_EXPORTED_AT_ONCE: Final = timedelta(days=31)
_MOST_EXPORTED_DAYS: Final = 5 * 366


@dataclass(frozen=True, slots=True)
class ReadingLookups:
    """Meters and readings. Each method raises NotAllowed for a principal who may not ask it."""

    database: DatabaseService
    zone: ZoneInfo

    def find_meters(self, *, text: str, limit: int, principal: Principal) -> list[Meter]:
        """Active meters whose serial, account, customer or address has each word of `text`."""
        require(principal, Permission.SUBMIT_READINGS)
        return self.database.find_meters(text=text, limit=limit)

    def find_any_meters(self, *, text: str, limit: int, principal: Principal) -> list[Meter]:
        """The same, with meters that were taken out: they were billed too."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.find_meters(text=text, limit=limit, also_removed=True)

    def meter_now(self, *, serial: str, principal: Principal, now: datetime) -> ReadingContext:
        """What a reading of the meter at `now` (UTC) is judged by; raises NotFound."""
        require(principal, Permission.SUBMIT_READINGS)
        return self.database.reading_context(
            meter_serial=serial, read_at=now, read_on=local_date(now, self.zone)
        )

    def submitted(
        self, *, reading_id: str, bill_id: str | None, earlier: Sequence[str], principal: Principal
    ) -> SubmittedReading:
        """A reading just submitted, its bill, and those billed before it; raises NotFound.

        The bills only for who may read them.
        """
        require(principal, Permission.SUBMIT_READINGS)
        reading = self.database.reading(reading_id)
        if not may_read_bill_of(self.database, reading=reading, principal=principal):
            return SubmittedReading(reading=reading)
        return SubmittedReading(
            reading=reading,
            bill=self.database.bill(bill_id) if bill_id else None,
            earlier=tuple(self.database.bill(one) for one in earlier),
        )

    def of_principal(self, *, principal: Principal, page: int, page_size: int) -> Page[Reading]:
        """What the principal submitted, the newest first."""
        require(principal, Permission.SUBMIT_READINGS)
        return self.database.readings(submitted_by=principal.user, page=page, page_size=page_size)

    def meters_of_customer(
        self, *, customer_id: str, principal: Principal
    ) -> tuple[CustomersMeter, ...]:
        """The meters that a customer has now, each with its last accepted read."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return tuple(self.database.meters_of_customer(customer_id=customer_id))

    def meter(self, *, meter_id: str, principal: Principal) -> Meter:
        """One meter, in use or closed; raises NotFound."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.meter(meter_id)

    def collection_of(self, *, meter_id: str, principal: Principal) -> CollectedMeter | None:
        """The last time that a smart meter was asked for, if it was."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.meter_collection(meter_id=meter_id)

    def of_meter(self, *, meter_id: str, limit: int, principal: Principal) -> tuple[Reading, ...]:
        """The newest readings of a meter, `limit` at most."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.readings(meter_id=meter_id, page_size=limit).items

    def green_button(
        self, *, meter_id: str, days: Period, principal: Principal, now: datetime
    ) -> Iterator[bytes]:
        """What a meter measured in local days as Green Button XML, piece by piece.

        Raises NotFound, and ValueError for more than five years.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        if days.days > _MOST_EXPORTED_DAYS:
            raise ValueError(sentence("A file holds at most five years: choose fewer days."))
        meter = self.database.meter(meter_id)
        feed = GreenButtonFeed(meter.id, meter.serial, self.zone, now)
        return self._pieces(feed, days)

    def _pieces(self, feed: GreenButtonFeed, days: Period) -> Iterator[bytes]:
        yield feed.opening().encode()
        start = days.start
        while start < days.end:
            end = min(start + _EXPORTED_AT_ONCE, days.end)
            found = self.database.meter_series(meter_id=feed.meter_id, start=start, end=end)
            for piece in (*feed.reads(found.reads), *feed.days(found.days)):
                yield piece.encode()
            start = end
        yield feed.closing().encode()

    def reading(self, *, reading_id: str, principal: Principal) -> Reading:
        """One reading; raises NotFound."""
        require(principal, Permission.VIEW_READINGS)
        return self.database.reading(reading_id)

    def flagged(self, *, principal: Principal, page: int, page_size: int) -> Page[Reading]:
        """The readings that wait for a decision, the newest first."""
        require(principal, Permission.VIEW_READINGS)
        return self.database.readings(status="needs_review", page=page, page_size=page_size)

    def under_review(self, *, reading_id: str, principal: Principal) -> ReadingUnderReview:
        """A reading with what to decide on it by, or what was decided; raises NotFound."""
        require(principal, Permission.VIEW_READINGS)
        reading = self.database.reading(reading_id)
        if reading.status == "needs_review":
            context = self.database.reading_context(
                meter_serial=reading.meter_serial, read_at=reading.read_at, read_on=reading.read_on
            )
            return ReadingUnderReview(reading=reading, context=context)
        bill = self.database.bill(reading.bill_id) if reading.bill_id else None
        return ReadingUnderReview(reading=reading, bill=bill)


def may_read_bill_of(database: DatabaseService, *, reading: Reading, principal: Principal) -> bool:
    """Whether `principal` may see what a reading billed: also whose reading it is."""
    return reading.submitted_by == principal.user or may_read_bills_of(
        database, meter_id=reading.meter_id, principal=principal
    )
