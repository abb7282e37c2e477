"""A bill was wrong: what correcting it touches is shown, then done in one transaction.

A read, a tariff, or the bill itself may be wrong. `plan` stores nothing; `execute` computes the
same again, and goes on only where it comes to what was looked at.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import uuid4, uuid5

from services.approvals.asking import pass_or_ask
from services.billing.chain_retry import BILLS_MADE, price_until_stored
from services.billing.issuing import BillIssuer
from services.corrections.affected_bills import (
    CannotRebill,
    by_reading,
    by_tariff,
    by_versions,
    by_voiding,
    reissue,
)
from services.corrections.bill_changes import (
    AffectedBills,
    back_billing_warning,
)
from services.corrections.plan import (
    CORRECTIONS,
    Plan,
    Wrong,
    WrongBill,
    WrongReading,
    WrongTariff,
    WrongVersion,
    wrong_of,
    wrong_to_json,
)
from services.corrections.right_read import check_date, right_of, row_of
from services.database.service import DatabaseService
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence, sentence_of
from services.metering.outcomes import Validation
from services.outbox.outbox import Outbox
from services.quantities.money import Money
from services.readings.assessment import ReadingAssessor
from services.records.bills import NewBill
from services.records.corrections import BillChain, ChainBill, Correction, name_of
from services.records.drafts import ApprovalRequest
from services.records.readings import Reading

SENT_WITH_CORRECTION: Final = N_("in the message about the correction")
_VOID: Final = N_("This bill is void already.")
# By whether no bill takes their place, and whether the customer owes more.
_WORDS: Final = {
    (True, True): N_("Void {bills}: the customer owes {apart} more"),
    (True, False): N_("Void {bills}: the customer owes {apart} less"),
    (False, True): N_("Void {bills} and reissue it: the customer owes {apart} more"),
    (False, False): N_("Void {bills} and reissue it: the customer owes {apart} less"),
}


class FiguresChanged(Exception):
    """What was looked at is not what would be done now; nothing was done."""


class NotAcknowledged(Exception):
    """Whoever corrects must say that they have seen the warning."""


@dataclass(frozen=True, slots=True)
class Rebilling:
    """Corrections of bills; each takes a principal who may, and a reason, and is audited."""

    database: DatabaseService
    assessor: ReadingAssessor
    issuer: BillIssuer
    outbox: Outbox
    back_billing_months: int

    def plan(self, wrong: Wrong, *, now: datetime, correction_id: str | None = None) -> Plan:
        """What correcting it would do at `now` (UTC); stores nothing.

        Raises CannotRebill with the reason, NotFound, and for a read's new value InvalidEnergy,
        WrongRegisters, InvalidReading or ReadingTooLong.
        """
        issue = self.issuer.issue(now)
        if isinstance(wrong, WrongReading):
            plan, affected = self._of_reading(wrong, correction_id or str(uuid4()), now)
        elif isinstance(wrong, WrongTariff):
            plan, affected = self._of_tariff(wrong)
        elif isinstance(wrong, WrongVersion):
            plan, affected = self._of_version(wrong)
        else:
            chain = self.database.rebill_context(bill_id=wrong.bill_id)
            plan, affected = Plan("void", chain, ()), by_voiding(chain, _live(chain, wrong.bill_id))
        changes = reissue(plan.chain, affected, issue=issue, zone=self.issuer.zone)
        if why := self.issuer.why_not_issued([change.new for change in changes if change.new]):
            raise CannotRebill(why)
        return replace(
            plan,
            changes=tuple(changes),
            warning=back_billing_warning(changes, today=issue.on, months=self.back_billing_months),
        )

    def execute(
        self,
        wrong: Wrong,
        *,
        previewed: str,
        correction_id: str,
        reason: str,
        acknowledged: bool,
        principal: Principal,
        now: datetime,
    ) -> Correction:
        """Do what the plan with the fingerprint `previewed` shows; a repeat answers the first.

        `correction_id` is made by the caller. Raises as `plan` does, and NotAllowed, ReasonMissing,
        NotAcknowledged, FiguresChanged, MeterTooBusy.
        """
        require(principal, Permission.VOID_BILLS)
        done = self.database.correction(correction_id)
        if done is not None:
            return done
        if not reason.strip():
            raise ReasonMissing(sentence("Say why: the reason is kept with the bills."))
        plan = self._as_previewed(wrong, previewed, correction_id, now)
        pass_or_ask(
            self.database,
            "correction",
            action_id=correction_id,
            payload={
                "wrong": wrong_to_json(wrong),
                "previewed": previewed,
                "acknowledged": acknowledged,
                "reason": reason,
            },
            summary=_in_words(plan),
            reason=reason.strip(),
            principal=principal,
        )
        return price_until_stored(
            lambda: self.execute_plan(
                self._as_previewed(wrong, previewed, correction_id, now),
                correction_id=correction_id,
                reason=reason,
                acknowledged=acknowledged,
                principal=principal,
                now=now,
            ),
            otherwise=BILLS_MADE,
        )

    def execute_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> Correction:
        """Do an approved correction; raises as `execute` does, such as when bills changed since."""
        require(principal, Permission.VOID_BILLS)
        payload = dict(request.payload)
        return self.execute(
            wrong_of(payload.pop("wrong")),
            correction_id=request.action_id,
            principal=principal,
            now=now,
            **payload,
        )

    def execute_plan(
        self,
        plan: Plan,
        *,
        correction_id: str,
        reason: str,
        acknowledged: bool,
        principal: Principal,
        now: datetime,
    ) -> Correction:
        """Do what a plan of just now says, for many meters that nobody looks at one by one.

        Raises NotAllowed, ReasonMissing, NotAcknowledged, and ChainMoved when a bill came between.
        """
        require(principal, Permission.VOID_BILLS)
        if not reason.strip():
            raise ReasonMissing(sentence("Say why: the reason is kept with the bills."))
        if plan.warning and not acknowledged:
            raise NotAcknowledged(
                sentence("{warning} Say that you have seen this.", warning=plan.warning)
            )
        return self._store(plan, correction_id, reason.strip(), principal, now)

    def void(self, *, bill_id: str, reason: str, principal: Principal, now: datetime) -> Correction:
        """Void the last bill of a meter; what was paid on it stays with the account.

        Raises as `execute` does; a bill that is void already is CannotRebill.
        """
        require(principal, Permission.VOID_BILLS)
        wrong = WrongBill(bill_id)
        plan = self.plan(wrong, now=now)
        return self.execute(
            wrong,
            previewed=plan.fingerprint,
            correction_id=str(uuid5(CORRECTIONS, f"void/{bill_id}")),
            reason=reason,
            acknowledged=True,
            principal=principal,
            now=now,
        )

    def _as_previewed(
        self, wrong: Wrong, previewed: str, correction_id: str, now: datetime
    ) -> Plan:
        try:
            plan = self.plan(wrong, now=now, correction_id=correction_id)
        except CannotRebill as error:
            raise FiguresChanged(
                sentence("{error} Nothing was changed.", error=sentence_of(error))
            ) from None
        if plan.fingerprint != previewed:
            raise FiguresChanged(
                sentence(
                    "These bills changed since you looked at them: somebody else corrected, paid "
                    "or issued one. Nothing was changed; look at the figures as they are now."
                )
            )
        return plan

    def _store(
        self, plan: Plan, correction_id: str, reason: str, principal: Principal, now: datetime
    ) -> Correction:
        first = plan.voided[0].period_start
        wrong, right = plan.wrong_read, plan.right_read
        return self.database.rebill(
            actor=principal.user,
            correction_id=correction_id,
            kind=plan.kind,
            agreement_id=plan.chain.agreement_id,
            meter_id=plan.chain.meter.id,
            reason=reason,
            warned=plan.warning,
            on=self.issuer.issue(now).on,
            chain_from=first,
            chain=[
                f"{bill.id} {bill.stored_status}"
                for bill in plan.chain.bills
                if bill.period_start >= first
            ],
            affected=[
                {"void": bill.id, "new": change.new.id if change.new else None}
                for change in plan.changes
                for bill in change.affected.bills
            ],
            bills=[self._with_outbox(change.new) for change in plan.changes if change.new],
            reading={"id": wrong.id, "right": row_of(right, plan.validation)} if wrong else None,
            tariff_id=plan.tariff_id,
            outbox=self._outbox_plans(),
        )

    def _with_outbox(self, bill: NewBill) -> dict[str, Any]:
        """The bill as it is stored: graph and link as ever, but no message of its own."""
        if bill.issue is None:
            return bill.to_json()
        outbox = self.outbox.plan(bill_id=bill.id, kind="bill_issued", unsaid=SENT_WITH_CORRECTION)
        return replace(bill, outbox=outbox).to_json()

    def _outbox_plans(self) -> dict[str, Any]:
        plan = self.outbox.plan_for_any
        return {kind: plan(kind) for kind in ("balance_changed", "bill_corrected")}

    def _of_reading(
        self, wrong: WrongReading, correction_id: str, now: datetime
    ) -> tuple[Plan, list[AffectedBills]]:
        chain = self.database.rebill_context(bill_id=wrong.bill_id)
        bill = _live(chain, wrong.bill_id)
        read = chain.read(wrong.reading_id)
        if read is None or read.id not in (bill.opening_reading_id, bill.closing_reading_id):
            raise CannotRebill(sentence("This bill neither opens nor closes at that reading."))
        new_id = str(uuid5(CORRECTIONS, f"read/{correction_id}"))
        right = right_of(wrong, read, new_id, self.issuer.zone, now=now)
        if right is not None and right.read_on != read.read_on:
            check_date(chain, read, right, now=now)
        validation = None if right is None else self._validate(chain, read, right)
        affected = by_reading(chain, read, right)
        plan = Plan(
            "reading",
            chain.with_read(read, right),
            (),
            validation=validation,
            wrong_read=read,
            right_read=right,
        )
        return plan, affected

    def _of_tariff(self, wrong: WrongTariff) -> tuple[Plan, list[AffectedBills]]:
        chain = self.database.rebill_context(bill_id=wrong.bill_id, tariff_code=wrong.tariff_code)
        first = _live(chain, wrong.bill_id)
        version = next((v for v in chain.tariffs if v.code == wrong.tariff_code), None)
        if version is None:
            raise CannotRebill(sentence("There is no tariff {code}.", code=wrong.tariff_code))
        if version.currency != first.currency:
            raise CannotRebill(
                sentence(
                    "Tariff {code} is in {currency}, the account in {other}.",
                    code=version.code,
                    currency=version.currency,
                    other=first.currency,
                )
            )
        affected = by_tariff(chain, first=first)
        if all(bill.tariff_id == version.tariff_id for one in affected for bill in one.bills):
            raise CannotRebill(
                sentence("These bills are under tariff {code} already.", code=version.code)
            )
        chain = chain.on_tariff(version.tariff_id, since=first.period_start)
        return Plan("tariff", chain, (), tariff_id=version.tariff_id), affected

    def _of_version(self, wrong: WrongVersion) -> tuple[Plan, list[AffectedBills]]:
        chain = self.database.rebill_context(
            agreement_id=wrong.agreement_id, version_id=wrong.instead_of
        )
        if wrong.replacement and wrong.instead_of:
            chain = chain.with_version(wrong.replacement, instead_of=wrong.instead_of)
        affected = by_versions(chain)
        if not affected:
            raise CannotRebill(
                sentence("All bills of this meter are priced by the tariff as it is now.")
            )
        return Plan("tariff_version", chain, ()), affected

    def _validate(self, chain: BillChain, wrong: Reading, right: Reading) -> Validation:
        """What the rules find about the right value, beside the reads before and after it."""
        if not wrong.is_opening:
            closer = next((b for b in chain.bills if b.closing_reading_id == wrong.id), None)
            opening = chain.read(closer.opening_reading_id) if closer else None
            return self._judged(right, opening=opening, without=wrong)
        # Nothing came before it: the first read after it is judged by it.
        self.assessor.check_possible(meter=chain.meter, read=right)
        closing = chain.read(chain.bills[0].closing_reading_id)
        return self._judged(closing, opening=right, instead_of=wrong) if closing else Validation(())

    def _judged(
        self,
        read: Reading,
        *,
        opening: Reading | None,
        instead_of: Reading | None = None,
        without: Reading | None = None,
    ) -> Validation:
        context = self.database.reading_context(
            meter_serial=read.meter_serial, read_at=read.read_at, read_on=read.read_on
        )
        changed: dict[str, Any] = {}
        if opening is not None:
            changed["opening"] = opening
        last = context.last_read
        if instead_of is not None and last is not None and last.id == instead_of.id:
            changed["last_read"] = opening
        if without is not None and last is not None and last.id == without.id:
            # It was taken later: its wrong date must not stand beside the right one.
            changed["last_read"] = opening
            changed["history"] = tuple(p for p in context.history if p.read_on != without.read_on)
        return self.assessor.judge(context=context.model_copy(update=changed), read=read)


def _in_words(plan: Plan) -> str:
    voided = ", ".join(name_of(bill.number) for bill in plan.voided)
    apart = Money(abs(plan.difference_minor), plan.chain.bills[0].currency)
    return sentence(
        _WORDS[plan.kind == "void", plan.difference_minor > 0], bills=voided, apart=apart
    )


def _live(chain: BillChain, bill_id: str) -> ChainBill:
    found = next((bill for bill in chain.bills if bill.id == bill_id), None)
    if found is None:
        raise CannotRebill(_VOID)
    return found
