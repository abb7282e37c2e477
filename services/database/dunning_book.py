"""Dunning in the database: accounts on hold, the policy, what was done and what is due."""

from datetime import date
from typing import TypeVar

from services.database.queries.base import Json, Queries
from services.database.transport import Filter
from services.records.base import Record
from services.records.dunning.holds import DunningHold, HoldReason
from services.records.dunning.orders import WorkOrder
from services.records.dunning.policy import (
    Arrears,
    Debtor,
    DueStep,
    DunningAction,
    DunningOfAccount,
    DunningPart,
    DunningPolicy,
    DunningTotals,
    PolicyVersions,
    RowsAfter,
)
from services.records.jobs import RunRef

Row = TypeVar("Row", bound=Record)


class DunningBook(Queries):
    """Questions and writes about dunning; they raise the errors of services.database.errors."""

    def hold(
        self,
        *,
        actor: str,
        hold_id: str,
        customer_id: str,
        reason: HoldReason,
        note: str,
        since: date,
        until: date | None,
    ) -> DunningHold:
        """Hold the dunning of an account; the same id again answers the first hold.

        Raises NotFound, and IllegalChange for another hold under its id.
        """
        answer = self._call(
            "hold_dunning",
            actor=actor,
            id=hold_id,
            customer_id=customer_id,
            reason=reason,
            note=note,
            since=since.isoformat(),
            until=until.isoformat() if until else None,
        )
        return DunningHold.model_validate(answer)

    def release(self, *, actor: str, hold_id: str, because: str) -> DunningHold:
        """End a hold; one that is over stays as it is. Raises NotFound."""
        answer = self._call("release_dunning", actor=actor, id=hold_id, because=because)
        return DunningHold.model_validate(answer)

    def holds(self, *, customer_id: str) -> list[DunningHold]:
        """The holds of an account, the last begun first, 100 at most."""
        rows = self._transport.select(
            "dunning_holds",
            filters=[Filter("customer_id", "eq", customer_id)],
            order=["created_at.desc", "id.desc"],
            limit=100,
        ).rows
        return [DunningHold.model_validate(row) for row in rows]

    def policy(self, *, currency: str, today: date) -> PolicyVersions:
        """The policy of a currency that holds on a local date, and its versions."""
        answer = self._call("dunning_policies_of", currency=currency, today=today.isoformat())
        return PolicyVersions.model_validate(answer)

    def publish_policy(
        self, *, actor: str, policy: DunningPolicy, seen_version: int
    ) -> DunningPolicy:
        """Add a version of a currency's policy; the same id again answers the first.

        Raises IllegalChange where another version than `seen_version` is the last.
        """
        answer = self._call(
            "publish_dunning_policy", actor=actor, seen_version=seen_version, **policy.row()
        )
        return DunningPolicy.model_validate(answer)

    def days_of_reminders(self) -> int:
        """How many days before the due date the first reminder of any policy goes."""
        return int(self._call("days_of_reminders")["days"])

    def take_steps(
        self,
        *,
        actor: str,
        run: RunRef,
        today: date,
        limit: int,
        outbox: Json,
        balance_changed: Json | None = None,
        after: str | None = None,
    ) -> tuple[int, str | None]:
        """Take the steps that are due of a page of accounts with overdue bills, once each.

        Their late fees are charged and their messages queued in the same transaction. How many
        these were, and the `after` of the next page, None when none is left.
        """
        answer = self._call(
            "take_dunning_steps",
            actor=actor,
            run=run.to_json(),
            today=today.isoformat(),
            limit=limit,
            outbox=outbox,
            balance_changed=balance_changed,
            after=after,
        )
        return int(answer["count"]), answer["after"]

    def arrears(self, *, bill_id: str, today: date, customer_id: str = "") -> Arrears:
        """What the account of a bill owes overdue on a local date in the bill's currency.

        Without a `bill_id` the account of `customer_id`, in its own.
        """
        answer = self._call(
            "arrears_of_bill",
            bill_id=bill_id or None,
            customer_id=customer_id or None,
            today=today.isoformat(),
        )
        return Arrears.model_validate(answer)

    def note_notices_given(self, *, actor: str, run: RunRef, zone: str) -> int:
        """Keep when disconnection notices reached customers by a message; how many did."""
        answer = self._call("note_notices_given", actor=actor, run=run.to_json(), zone=zone)
        return int(answer["given"])

    def give_notice(self, *, actor: str, action_id: str, on: date) -> DunningAction:
        """Keep that somebody handed a disconnection notice over; raises NotFound, IllegalChange."""
        answer = self._call("give_notice", actor=actor, id=action_id, on=on.isoformat())
        return DunningAction.model_validate(answer)

    def preview(
        self, *, today: date, part: DunningPart, after: RowsAfter | None, limit: int
    ) -> tuple[list[DueStep], RowsAfter | None]:
        """What a night's jobs would do, `limit` rows or some more; where the next page begins."""
        return _rows(
            self._call(
                "dunning_preview",
                today=today.isoformat(),
                part=part,
                after=_key(after),
                limit=limit,
            ),
            DueStep,
        )

    def totals(self, *, today: date, part: DunningPart) -> DunningTotals:
        """What a night's jobs would do, added up by step; 10,000 bills or accounts at most."""
        answer = self._call("dunning_totals", today=today.isoformat(), part=part)
        return DunningTotals.model_validate(answer)

    def debtors(
        self, *, today: date, after: RowsAfter | None, limit: int
    ) -> tuple[list[Debtor], RowsAfter | None]:
        """Accounts with overdue bills, those that owe for the longest first, then with charges."""
        answer = self._call("arrears_page", today=today.isoformat(), after=_key(after), limit=limit)
        return _rows(answer, Debtor)

    def history(
        self,
        *,
        customer_id: str | None = None,
        not_given: bool = False,
        after: RowsAfter | None = None,
        limit: int,
    ) -> tuple[list[DunningAction], RowsAfter | None]:
        """Steps that were taken, the last first; `not_given`: notices that reached nobody."""
        answer = self._call(
            "dunning_history",
            customer_id=customer_id,
            not_given=not_given,
            after=_key(after),
            limit=limit,
        )
        return _rows(answer, DunningAction)

    def of_account(self, *, customer_id: str, today: date) -> DunningOfAccount:
        """How dunning of an account stands on a local date."""
        answer = self._call("dunning_of_account", customer_id=customer_id, today=today.isoformat())
        return DunningOfAccount.model_validate(answer)

    def follow_work_orders(self, *, actor: str, today: date) -> tuple[int, int]:
        """Order disconnections and reconnections that are due, cancel what is paid or on hold.

        How many were ordered and cancelled.
        """
        answer = self._call("follow_work_orders", actor=actor, today=today.isoformat())
        return int(answer["ordered"]), int(answer["cancelled"])

    def work_orders(
        self, *, customer_id: str | None = None, open_only: bool = False, limit: int = 200
    ) -> list[WorkOrder]:
        """Work orders, the last first."""
        filters = [Filter("customer_id", "eq", customer_id)] if customer_id else []
        if open_only:
            filters.append(Filter("status", "eq", "open"))
        rows = self._transport.select(
            "work_order_list",
            filters=filters,
            order=["created_at.desc", "id.asc"],
            limit=limit,
        ).rows
        return [WorkOrder.model_validate(row) for row in rows]


def _key(after: RowsAfter | None) -> Json | None:
    return after.model_dump(mode="json", exclude_none=True) if after else None


def _rows(answer: Json, record: type[Row]) -> tuple[list[Row], RowsAfter | None]:
    found = [record.model_validate(row) for row in answer["rows"]]
    return found, RowsAfter.model_validate(answer["after"]) if answer["after"] else None
