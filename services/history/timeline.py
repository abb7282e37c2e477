"""Timelines: what happened to a customer, a meter, a place, a bill, a payment, a tariff."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.history.entries import Entry
from services.history.words import entries_of, tables_of
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.details import Subject

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Some entries, the newest first, and the key that the older ones come after, if any."""

    entries: tuple[Entry, ...]
    older: Key | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The audit trail in words, for administrators."""

    database: DatabaseService
    zone: ZoneInfo

    def of(
        self,
        *,
        subject: Subject,
        subject_id: str,
        principal: Principal,
        kind: str | None = None,
        after: Key | None = None,
        limit: int = 25,
    ) -> TimelinePage:
        """A page of what happened to one thing, all of it or that of one of `words.KINDS`.

        Raises NotAllowed, NotFound for what is no id, and DatabaseRefused for a key that is none.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        page = self.database.timeline(
            of=subject,
            subject_id=subject_id,
            tables=tables_of(kind) if kind else None,
            after=after,
            limit=limit,
        )
        entries = entries_of(page, self.zone)
        return TimelinePage(entries, entries[-1].key if page.more else None)
