"""Changes of supply: each is shown before it is done, and done in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.billing.chain_retry import BILLS_MADE, price_until_stored
from services.billing.issuing import BillIssuer
from services.corrections.bill_changes import back_billing_warning
from services.corrections.rebilling import SENT_WITH_CORRECTION, FiguresChanged, NotAcknowledged
from services.database.service import DatabaseService
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.outbox.outbox import Outbox
from services.quantities.period import local_date
from services.readings.assessment import ReadingAssessor
from services.records.base import Page
from services.records.bills import NewBill
from services.records.drafts import ApprovalRequest
from services.records.supply import Place, SupplyChange, UnbilledUse
from services.supply.approval import change_of, pass_or_ask_for
from services.supply.changes import (
    CannotChangeSupply,
    Change,
    Disconnect,
    Exchange,
    MoveIn,
    MoveOut,
    NotDisconnected,
    NotReconnected,
    OtherMultiplier,
    OtherTariff,
    Reconnect,
    Stay,
)
from services.supply.disconnecting import plan_disconnection
from services.supply.meters import plan_exchange, plan_multiplier
from services.supply.moves import plan_connect, plan_move_in, plan_move_out, plan_stay, plan_tariff
from services.supply.plan import SupplyPlan, chain_as_seen, touched
from services.supply.planning import Planning
from services.supply.reads import ChangeReads


@dataclass(frozen=True, slots=True)
class Supply:
    """Places of supply, and changes of them. Each takes a principal who may; `now` is in UTC."""

    database: DatabaseService
    assessor: ReadingAssessor
    issuer: BillIssuer
    outbox: Outbox
    # Bills that begin longer ago are reissued only once somebody has seen a warning.
    back_billing_months: int

    def place(self, *, service_point_id: str, principal: Principal) -> Place:
        """A place with its meters, agreements, reads and changes; raises NotFound."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.place(service_point_id)

    def unbilled_use(
        self,
        *,
        principal: Principal,
        service_point_id: str | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[UnbilledUse]:
        """What was used while nobody had an agreement, of one place or all, the latest first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.unbilled_use(
            service_point_id=service_point_id, page=page, page_size=page_size
        )

    def plan(
        self,
        change: Change,
        *,
        change_id: str,
        principal: Principal,
        now: datetime,
        reason: str = "",
    ) -> SupplyPlan:
        """What a change would do at `now`; stores nothing.

        `change_id` is made by the form. Raises CannotChangeSupply, CannotRebill, UnableToPriceBill,
        NotFound, InvalidEntry for the fee, and what typed values raise.
        """
        require(principal, Permission.CHANGE_SUPPLY)
        reads = ChangeReads(self.database, self.assessor, self.issuer.zone)
        planning = Planning(
            self.database, self.issuer, reads, change_id, principal.user, now, reason
        )
        match change:
            case MoveOut():
                plan = plan_move_out(change, planning)
            case MoveIn():
                plan = plan_move_in(change, planning)
            case Stay():
                plan = plan_stay(change, planning)
            case Exchange():
                plan = plan_exchange(change, planning)
            case OtherMultiplier():
                plan = plan_multiplier(change, planning)
            case OtherTariff():
                plan = plan_tariff(change, planning)
            case Disconnect() | Reconnect() | NotDisconnected() | NotReconnected():
                plan = plan_disconnection(change, planning)
            case _:
                plan = plan_connect(change, planning)
        self._check_issued(plan)
        warning = back_billing_warning(
            plan.changes,
            today=local_date(now, self.issuer.zone),
            months=self.back_billing_months,
        )
        return replace(plan, warning=warning)

    def execute(
        self,
        change: Change,
        *,
        previewed: str,
        change_id: str,
        reason: str,
        acknowledged: bool,
        principal: Principal,
        now: datetime,
    ) -> SupplyChange:
        """Do what the plan with the fingerprint `previewed` shows; a repeat answers the first.

        Raises as `plan` does, and ReasonMissing, NotAcknowledged where the rules doubt a reading,
        or bills reach far back, and nobody says that it is right, FiguresChanged, MeterTooBusy,
        IllegalChange; AwaitsApproval where it lowers bills and a second person is to approve that.
        """
        require(principal, Permission.CHANGE_SUPPLY)
        why = reason.strip()
        if not why:
            raise ReasonMissing(sentence("Say why: the reason is kept with the place."))

        done = self.database.supply_change(change_id)
        if done is not None:
            return done

        def once() -> SupplyChange:
            plan = self.plan(change, change_id=change_id, principal=principal, now=now, reason=why)
            if plan.fingerprint != previewed:
                raise FiguresChanged(
                    sentence(
                        "Something changed since you looked at this: a reading came, or somebody "
                        "else changed it. Nothing was changed; look at it as it is now."
                    )
                )
            if plan.warning and not acknowledged:
                raise NotAcknowledged(
                    sentence("{warning} Say that you have seen this.", warning=plan.warning)
                )
            if plan.doubts and not acknowledged:
                raise NotAcknowledged(
                    sentence("Say that the readings are right, whatever the rules doubt.")
                )
            pass_or_ask_for(
                plan,
                change,
                database=self.database,
                change_id=change_id,
                previewed=previewed,
                reason=why,
                acknowledged=acknowledged,
                principal=principal,
            )
            return self._store(plan, change_id, why, principal, now)

        return price_until_stored(once, otherwise=BILLS_MADE)

    def execute_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> SupplyChange:
        """Do an approved change; raises as `execute` does, such as when a reading came since."""
        require(principal, Permission.VOID_BILLS)
        payload = dict(request.payload)
        return self.execute(
            change_of(payload.pop("change")),
            change_id=request.action_id,
            principal=principal,
            now=now,
            **payload,
        )

    def undo(
        self, change_id: str, *, undo_id: str, reason: str, principal: Principal
    ) -> SupplyChange:
        """Take the last change at a place back, which did not happen; a repeat answers the first.

        `undo_id` is made by the form. Raises ReasonMissing, NotFound, and IllegalChange once
        something was billed by it or changed after it.
        """
        require(principal, Permission.CHANGE_SUPPLY)
        if not reason.strip():
            raise ReasonMissing(sentence("Say why: the reason is kept with the place."))
        return self.database.undo_supply_change(
            actor=principal.user, change_id=change_id, undo_id=undo_id, reason=reason.strip()
        )

    def _store(
        self, plan: SupplyPlan, change_id: str, reason: str, principal: Principal, now: datetime
    ) -> SupplyChange:
        row: dict[str, Any] = {**plan.rows, "id": change_id, "reason": reason}
        if plan.kind == "connect":
            return self._stored(plan, row, principal)
        row |= {
            "kind": plan.kind,
            "on": local_date(now, self.issuer.zone).isoformat(),
            "warned": " ".join(filter(None, (*plan.doubts, plan.warning))),
            "outbox": self._outbox_plans(),
        }
        if plan.chain is not None:
            row |= {
                "agreement_id": plan.chain.agreement_id,
                "meter_id": plan.chain.meter.id,
                "chain_from": plan.chain_from,
                "chain": chain_as_seen(plan.chain, plan.chain_from),
                "touched": touched(plan.changes),
                "bills": [bill.to_json() for bill in self._with_outboxes(plan)],
            }
        return self._stored(plan, row, principal)

    def _stored(
        self, plan: SupplyPlan, row: Mapping[str, Any], principal: Principal
    ) -> SupplyChange:
        database, actor = self.database, principal.user
        if plan.deposit is not None:
            return database.supply_with_deposit(
                actor=actor,
                what=plan.kind,
                change=row,
                deposit=plan.deposit,
                outbox=self.outbox.on_money(),
            )
        if plan.kind == "connect":
            return database.connect_supply(actor=actor, change=row)
        return database.change_supply(actor=actor, change=row)

    def _check_issued(self, plan: SupplyPlan) -> None:
        """That what is issued in the place of other bills says all that it must."""
        if why := self.issuer.why_not_issued([one.new for one in plan.changes if one.new]):
            raise CannotChangeSupply(why)

    def _with_outboxes(self, plan: SupplyPlan) -> list[NewBill]:
        """Those that are reissued share the message about the correction; others have their own."""
        reissued = {change.new.id for change in plan.changes if change.new}
        new = [bill.unattended() for bill in plan.made if bill.id not in reissued]
        shared = {bill.id: bill for bill in self.issuer.with_all_outboxes(new)}
        return [
            shared[bill.id]
            if bill.id in shared
            else self.issuer.with_outbox(bill, unsaid=SENT_WITH_CORRECTION)
            for bill in plan.made
        ]

    def _outbox_plans(self) -> Mapping[str, Any]:
        plan = self.outbox.plan_for_any
        return {kind: plan(kind) for kind in ("balance_changed", "bill_corrected")}
