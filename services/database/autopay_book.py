"""Autopay in the database: consents, what is charged, each try, the policy."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from services.database.queries.base import Json, Queries
from services.records.customers.autopay import (
    Attempt,
    AttemptResult,
    AutopayOfCustomer,
    AutopayPolicy,
    Charge,
    ChargesAfter,
    Claimed,
    Mandate,
    SavedMethod,
)
from services.records.jobs import RunRef


class AutopayBook(Queries):
    """Questions and writes about autopay; they raise the errors of services.database.errors.

    `outbox` has the plans of the messages that may follow, by kind, and of changed balances.
    """

    def policy(self) -> AutopayPolicy:
        """The policy that holds."""
        return AutopayPolicy.model_validate(self._call("autopay_policy"))

    def publish_policy(
        self, *, actor: str, policy: AutopayPolicy, seen_version: int
    ) -> AutopayPolicy:
        """Add a version; the same id again answers the first.

        Raises IllegalChange where another version than `seen_version` is the last.
        """
        answer = self._call(
            "publish_autopay_policy", actor=actor, seen_version=seen_version, **policy.row()
        )
        return AutopayPolicy.model_validate(answer)

    def open(
        self,
        *,
        actor: str,
        mandate_id: str,
        customer_id: str,
        currency: str,
        consent: str,
        limit_minor: int | None,
        at: datetime,
        session_id: str | None = None,
        stripe_customer: str | None = None,
    ) -> Mandate:
        """Keep a consent, and the session at Stripe once it is known; repeated, it is the same.

        Raises IllegalChange where the form led to something before.
        """
        answer = self._call(
            "open_autopay",
            actor=actor,
            id=mandate_id,
            customer_id=customer_id,
            currency=currency,
            consent=consent,
            limit_minor=limit_minor,
            at=at.isoformat(),
            session_id=session_id,
            stripe_customer=stripe_customer,
        )
        return Mandate.model_validate(answer)

    def complete(
        self, *, actor: str, mandate_id: str, saved: SavedMethod, today: date, outbox: Json
    ) -> Mandate:
        """Begin to charge what Stripe saved, in the place of what there was. Raises NotFound."""
        answer = self._call(
            "complete_autopay",
            actor=actor,
            id=mandate_id,
            today=today.isoformat(),
            outbox=outbox,
            **saved.model_dump(),
        )
        return Mandate.model_validate(answer)

    def note_look(
        self,
        *,
        actor: str,
        mandate_id: str,
        result: Literal["later", "expired", "detached", "given_up"],
        retry_in_seconds: int = 0,
    ) -> None:
        """Keep what a look at Stripe about a mandate came to."""
        self._call(
            "note_autopay_look",
            actor=actor,
            id=mandate_id,
            result=result,
            retry_in_seconds=retry_in_seconds,
        )

    def end(
        self, *, actor: str, mandate_id: str, customer_id: str, because: str, outbox: Json
    ) -> Mandate:
        """End it; one that has ended stays as it is. Raises NotFound."""
        answer = self._call(
            "end_autopay",
            actor=actor,
            id=mandate_id,
            customer_id=customer_id,
            because=because,
            outbox=outbox,
        )
        return Mandate.model_validate(answer)

    def resume(
        self, *, actor: str, mandate_id: str, customer_id: str, today: date, outbox: Json
    ) -> Mandate:
        """Let paused autopay go on with bills due from today; raises IllegalChange if it ended."""
        answer = self._call(
            "resume_autopay",
            actor=actor,
            id=mandate_id,
            customer_id=customer_id,
            today=today.isoformat(),
            outbox=outbox,
        )
        return Mandate.model_validate(answer)

    def of_customer(self, customer_id: str) -> AutopayOfCustomer:
        """How a customer's autopay stands, with the last 20 charges."""
        answer = self._call("autopay_of_customer", customer_id=customer_id)
        return AutopayOfCustomer.model_validate(answer)

    def charge(self, charge_id: str) -> Charge | None:
        """One charge."""
        answer = self._call("autopay_charge", id=charge_id)
        return Charge.model_validate(answer) if answer else None

    def attempt(self, attempt_id: str) -> Attempt | None:
        """One try."""
        answer = self._call("autopay_attempt", id=attempt_id)
        return Attempt.model_validate(answer) if answer else None

    def upcoming(
        self, *, after: ChargesAfter | None, limit: int
    ) -> tuple[list[Charge], ChargesAfter | None]:
        """Charges that are not over, by their day; where the next page begins."""
        return self._charges("autopay_upcoming", after, limit)

    def over(
        self, *, after: ChargesAfter | None, limit: int
    ) -> tuple[list[Charge], ChargesAfter | None]:
        """Charges that are over, the last first; where the next page begins."""
        return self._charges("autopay_over", after, limit)

    def plan(
        self,
        *,
        actor: str,
        run: RunRef,
        today: date,
        limit: int,
        outbox: Json,
        after: str | None = None,
    ) -> tuple[int, str | None]:
        """Plan what is not planned yet of a page of mandates; how much, and the next page."""
        return self._step(
            "plan_autopay",
            actor=actor,
            run=run,
            today=today,
            limit=limit,
            outbox=outbox,
            after=after,
        )

    def switch(
        self, *, actor: str, run: RunRef, on: bool, today: date, limit: int, outbox: Json
    ) -> int:
        """Pause mandates of a page where nothing can be charged, or let those go on; how many."""
        answer = self._call(
            "switch_autopay",
            actor=actor,
            run=run.to_json(),
            on=on,
            today=today.isoformat(),
            limit=limit,
            outbox=outbox,
        )
        return int(answer["count"])

    def announce(
        self,
        *,
        actor: str,
        run: RunRef,
        today: date,
        limit: int,
        outbox: Json,
        after: str | None = None,
    ) -> tuple[int, str | None]:
        """Announce the charges of a page whose notice is due; how many, and the next page."""
        return self._step(
            "announce_autopay",
            actor=actor,
            run=run,
            today=today,
            limit=limit,
            outbox=outbox,
            after=after,
        )

    def tell_of_expiring_cards(
        self,
        *,
        actor: str,
        run: RunRef,
        today: date,
        limit: int,
        outbox: Json,
        after: str | None = None,
    ) -> tuple[int, str | None]:
        """Tell customers of a page that their card expires; how many, and the next page."""
        return self._step(
            "tell_of_expiring_cards",
            actor=actor,
            run=run,
            today=today,
            limit=limit,
            outbox=outbox,
            after=after,
        )

    def end_without_supply(
        self,
        *,
        actor: str,
        run: RunRef,
        today: date,
        limit: int,
        outbox: Json,
        after: str | None = None,
    ) -> tuple[int, str | None]:
        """End those of a page whose customers have left and that are not charged any more.

        How many, and the next page.
        """
        return self._step(
            "end_autopay_without_supply",
            actor=actor,
            run=run,
            today=today,
            limit=limit,
            outbox=outbox,
            after=after,
        )

    def begin(
        self,
        *,
        actor: str,
        run: RunRef | None,
        today: date,
        limit: int,
        owner: str,
        lease_seconds: int,
        outbox: Json,
        after: str | None = None,
    ) -> tuple[list[Attempt], str | None]:
        """Begin the tries that are due of a page of charges: Stripe is to be asked for each."""
        answer = self._call(
            "begin_autopay",
            actor=actor,
            run=run.to_json() if run else None,
            today=today.isoformat(),
            limit=limit,
            owner=owner,
            lease_seconds=lease_seconds,
            outbox=outbox,
            after=after,
        )
        return [Attempt.model_validate(row) for row in answer["attempts"]], answer["after"]

    def claim(self, *, actor: str, owner: str, lease_seconds: int, limit: int) -> Claimed:
        """Lease the tries whose end nobody knows, and the mandates to ask Stripe about."""
        answer = self._call(
            "claim_autopay", actor=actor, owner=owner, lease_seconds=lease_seconds, limit=limit
        )
        return Claimed.model_validate(answer)

    def end_attempt(
        self, *, actor: str, attempt_id: str, result: AttemptResult, outbox: Json
    ) -> Attempt:
        """Keep what Stripe said of a try, counted once. Raises NotFound."""
        answer = self._call(
            "end_autopay_attempt",
            actor=actor,
            id=attempt_id,
            outbox=outbox,
            **result.row(),
        )
        return Attempt.model_validate(answer)

    def end_attempts(
        self, *, actor: str, results: Sequence[tuple[str, AttemptResult]], outbox: Json
    ) -> list[tuple[str, str]]:
        """Keep what Stripe said of some tries, by their ids, each for itself and counted once.

        Answers the ids of those that cannot be kept, and why; they are looked at later.
        """
        answer = self._call(
            "end_autopay_attempts",
            actor=actor,
            results=[{"id": key} | result.row() for key, result in results],
            outbox=outbox,
        )
        return [(row["id"], row["message"]) for row in answer["problems"]]

    def turns(self, *, attempt_ids: Sequence[str], a_second: int) -> tuple[float, list[Attempt]]:
        """The turns of some tries at Stripe, one after another at the rate of all processes.

        The seconds until the first, and the tries as they are now.
        """
        answer = self._call("autopay_turns", ids=list(attempt_ids), a_second=a_second)
        found = [Attempt.model_validate(row) for row in answer["attempts"]]
        return answer["wait_ms"] / 1000, found

    def _charges(
        self, function: str, after: ChargesAfter | None, limit: int
    ) -> tuple[list[Charge], ChargesAfter | None]:
        answer = self._call(function, limit=limit, after=after.model_dump() if after else None)
        following = answer["after"]
        return (
            [Charge.model_validate(row) for row in answer["rows"]],
            ChargesAfter.model_validate(following) if following else None,
        )

    def _step(
        self,
        function: str,
        *,
        actor: str,
        run: RunRef,
        today: date,
        limit: int,
        outbox: Json,
        after: str | None,
    ) -> tuple[int, str | None]:
        answer = self._call(
            function,
            actor=actor,
            run=run.to_json(),
            today=today.isoformat(),
            limit=limit,
            outbox=outbox,
            after=after,
        )
        return int(answer["count"]), answer["after"]
