"""What the webhook missed is read at Stripe and applied; and our payments against Stripe's.

Events are read since the last time that all of them were, so that one lost in between is found
however many came after it. Reading one again changes nothing.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.languages.sentence import sentence
from services.payments.comparison import compare
from services.payments.payment_received import PaymentReceived
from services.payments.stripe.events import NotAnEvent
from services.payments.stripe.listing import EVENTS_KEPT, StripeReading
from services.quantities.period import start_of_day
from services.records.reconciliation import (
    Comparison,
    Difference,
    Equal,
    NewReconciliationRun,
    ReconciliationRun,
)

log = logging.getLogger(__name__)

Json = dict[str, Any]

# Stripe's lists may lag a little behind, and its clock may not be ours.
OVERLAP: Final = timedelta(hours=1)
MOST_DAYS: Final = 92
MOST_TOLD: Final = 200


class RangeTooLong(ValueError):
    """The dates are the wrong way round, or more than are compared at once."""


def _untold() -> None:
    """For those who need not know that it goes on."""


@dataclass
class _Found:
    """What a look has found up to now."""

    applied: int = 0
    differences: list[Json] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    unreadable: int = 0

    @property
    def detail(self) -> str:
        """All that is to be said, in sentences."""
        odd = [f"{self.unreadable} could not be read."] if self.unreadable else []
        return " ".join([*self.details, *odd])


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Looks at Stripe. `at_stripe` only reads there."""

    database: DatabaseService
    payments: PaymentReceived
    at_stripe: StripeReading
    zone: ZoneInfo

    def catch_up(
        self, *, actor: str, now: datetime, pulse: Callable[[], None] = _untold
    ) -> ReconciliationRun:
        """Apply Stripe's events since the last time; `now` in UTC.

        That Stripe is away or refuses stands in the answer's `error`, and the next time begins
        where this one did. `pulse` is called while it goes on. Raises DatabaseError.
        """
        last = self.database.reconciled_until()
        since = now - EVENTS_KEPT if last is None else last - OVERLAP
        found, error = _Found(), ""
        try:
            self._close_gap(since, now, found, pulse)
            begin = max(since, now - EVENTS_KEPT)
            events = self.at_stripe.events(since=begin, until=now, pulse=pulse)
            self._apply(events, now, found)
        except (TemporaryFailure, FinalFailure) as failure:
            error = str(failure)
            log.warning("reconciliation: %s", error)
        return self._keep("events", actor, (since, now), found, error=error)

    def read_events(self, *, principal: Principal, now: datetime) -> ReconciliationRun:
        """The same for somebody who asks; raises NotAllowed too."""
        return self.catch_up(actor=require(principal, Permission.RECORD_PAYMENTS).user, now=now)

    def look(
        self, *, first: date, last: date, principal: Principal, now: datetime
    ) -> ReconciliationRun:
        """Compare the payments of local days, both included, and keep what was found.

        Raises NotAllowed, RangeTooLong, ServiceUnavailable, RequestRejected.
        """
        require(principal, Permission.RECORD_PAYMENTS)
        span = self._span(first, last, now)
        found = _Found()
        return self._keep_comparison(principal.user, span, self._compare(*span, found), found)

    def apply_missed(
        self, *, first: date, last: date, principal: Principal, now: datetime
    ) -> ReconciliationRun:
        """Take up payments and refunds that only Stripe has, then compare again.

        What did not come by a link of ours is left to a person. Raises as `look` does.
        """
        require(principal, Permission.RECORD_PAYMENTS)
        span = self._span(first, last, now)
        found = _Found()
        self._apply(self._as_events(self._compare(*span, found).differences, now), now, found)
        left = _Found(applied=found.applied)
        return self._keep_comparison(principal.user, span, self._compare(*span, left), left)

    def _close_gap(
        self, since: datetime, now: datetime, found: _Found, pulse: Callable[[], None]
    ) -> None:
        """Before what Stripe's events reach back to, payments themselves are compared."""
        until = now - EVENTS_KEPT
        if since >= until:
            return
        differences = self._compare(since, until, found, pulse).differences
        self._apply(self._as_events(differences, now), now, found)
        found.details.append(
            f"Stripe keeps its events for 30 days: from {since:%d %b} to {until:%d %b %Y} its "
            "payments and refunds were compared instead; look there for disputes."
        )

    def _apply(self, events: Iterable[Mapping[str, Any]], now: datetime, found: _Found) -> None:
        for event in events:
            try:
                applied = self.payments.apply(event=event, arrived_by="reconciliation", now=now)
            except NotAnEvent:
                found.unreadable += 1
                continue
            if applied.replay or applied.outcome == "ignored":
                continue
            found.applied += 1
            if len(found.differences) < MOST_TOLD:
                difference = {"event": event["id"], "type": event["type"], "detail": applied.detail}
                found.differences.append(difference)

    def _compare(
        self,
        since: datetime,
        until: datetime,
        found: _Found,
        pulse: Callable[[], None] = _untold,
    ) -> Comparison:
        there, unreadable = self.at_stripe.payments(since=since, until=until, pulse=pulse)
        found.unreadable += len(unreadable)
        ids = {payment.payment_intent for payment in there} | set(unreadable)
        here = self.database.stripe_payments_of(ids)
        # Begun before midnight and ended after it: the two have them on different days.
        for ours in self.database.stripe_payments(since=since, until=until):
            if ours.payment_intent not in ids:
                here.append(ours)
                pulse()
                theirs = self.at_stripe.payment(ours.payment_intent)
                there += [theirs] if theirs else []
        return compare(there=there, here=[p for p in here if p.payment_intent not in unreadable])

    def _as_events(self, differences: Iterable[Difference], now: datetime) -> Iterable[Json]:
        """What only Stripe has, in the form of its event."""
        for one in differences:
            if one.kind == "only_there":
                session = self.at_stripe.session_of(one.payment_intent)
                if session is None or session.get("payment_status") != "paid":
                    continue
                yield _told("checkout.session.completed", session, one.at)
            if one.there_refunded_minor > one.here_refunded_minor:
                charge = self.at_stripe.charge_of(one.payment_intent)
                if charge is not None:
                    yield _told("charge.refunded", charge, now)

    def _span(self, first: date, last: date, now: datetime) -> tuple[datetime, datetime]:
        if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
            raise RangeTooLong(
                sentence("Choose a first and a last day, {days} days at most.", days=MOST_DAYS)
            )
        since = start_of_day(first, self.zone)
        until = start_of_day(last + timedelta(days=1), self.zone)
        return min(since, now), min(until, now + timedelta(minutes=5))

    def _keep_comparison(
        self, actor: str, span: tuple[datetime, datetime], compared: Comparison, found: _Found
    ) -> ReconciliationRun:
        found.differences = [one.model_dump(mode="json") for one in compared.differences]
        return self._keep("payments", actor, span, found, equal=compared.equal)

    def _keep(
        self,
        kind: Literal["events", "payments"],
        actor: str,
        span: tuple[datetime, datetime],
        found: _Found,
        *,
        equal: tuple[Equal, ...] = (),
        error: str = "",
    ) -> ReconciliationRun:
        run = NewReconciliationRun(
            id=str(uuid4()),
            kind=kind,
            since=span[0],
            until=span[1],
            applied=found.applied,
            differences=found.differences,
            equal=equal,
            detail=found.detail,
            error=error,
        )
        self.database.record_reconciliation(actor=actor, run=run)
        return ReconciliationRun.model_validate({**run.model_dump(), "at": span[1], "actor": actor})


def _told(kind: str, thing: Json, at: datetime) -> Json:
    """An event as Stripe would have sent it; its id says that it did not."""
    created = int(at.timestamp())
    return {
        "id": f"reconciled_{thing['id']}_{created}",
        "object": "event",
        "type": kind,
        "created": created,
        "livemode": bool(thing.get("livemode")),
        "data": {"object": thing},
    }
