"""Dunning as the office sees it: the policy, what is due tonight, who owes, what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.dunning.rules import InvalidPolicy, check_policy, percent_bp, step_of
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence, sentence_of
from services.quantities.money import InvalidMoney
from services.quantities.period import local_date
from services.quantities.typed import typed_money
from services.records.dunning.orders import WorkOrder
from services.records.dunning.policy import (
    Debtor,
    DueStep,
    DunningAction,
    DunningOfAccount,
    DunningPart,
    DunningPolicy,
    DunningTotals,
    LateFee,
    PolicyVersions,
    RowsAfter,
    StepAction,
)

PAGE: Final = 50
ACTOR: Final = "system:dunning"
_JOBS: Final[Mapping[DunningPart, str]] = {
    "reminders": "payment_reminders",
    "overdue": "overdue_marking",
    "ladder": "overdue_marking",
}


@dataclass(frozen=True, slots=True)
class TypedFee:
    """A late fee as it was typed: amounts of the currency, percentages such as 1.5."""

    fixed: str = ""
    percent: str = ""
    cap: str = ""
    grace_days: int = 0
    tax_percent: str = ""


@dataclass(frozen=True, slots=True)
class TypedPolicy:
    """A policy as it was typed; `steps` are (action, day, whether the late fee is charged)."""

    currency: str
    valid_from: date
    minimum: str
    notice_days: int
    steps: Sequence[tuple[StepAction, int, bool]] = field(default=())
    late_fee: TypedFee | None = None


@dataclass(frozen=True, slots=True)
class Dunning:
    """The policy and what comes of it. Each method raises NotAllowed; `now` is in UTC."""

    database: DatabaseService
    zone: ZoneInfo

    def policy(self, *, currency: str, principal: Principal, now: datetime) -> PolicyVersions:
        """The policy of a currency that holds today, and its versions, the last first."""
        require(principal, Permission.VIEW_DUNNING)
        return self.database.dunning.policy(currency=currency, today=local_date(now, self.zone))

    def publish(
        self,
        typed: TypedPolicy,
        *,
        policy_id: str,
        seen_version: int,
        principal: Principal,
        now: datetime,
    ) -> DunningPolicy:
        """Add a version of a policy; the same id again answers the first.

        Raises InvalidPolicy with a sentence for each thing that is wrong, and IllegalChange where
        somebody has added a version since `seen_version`.
        """
        require(principal, Permission.CHANGE_DUNNING)
        policy = _parsed(typed, policy_id, seen_version + 1)
        check_policy(policy, today=local_date(now, self.zone))
        return self.database.dunning.publish_policy(
            actor=principal.user, policy=policy, seen_version=seen_version
        )

    def preview(
        self,
        *,
        part: DunningPart,
        on: date,
        principal: Principal,
        after: RowsAfter | None = None,
        limit: int = PAGE,
    ) -> tuple[list[DueStep], RowsAfter | None]:
        """What the jobs of a local date would do as things stand; where the next page begins."""
        require(principal, Permission.VIEW_DUNNING)
        return self.database.dunning.preview(today=on, part=part, after=after, limit=limit)

    def totals(self, *, part: DunningPart, on: date, principal: Principal) -> DunningTotals:
        """The same added up by step, of 10,000 bills or accounts at most."""
        require(principal, Permission.VIEW_DUNNING)
        return self.database.dunning.totals(today=on, part=part)

    def next_run_on(self, *, part: DunningPart, principal: Principal, now: datetime) -> date:
        """The local date of the next run that takes these steps: today's, unless it has ended."""
        require(principal, Permission.VIEW_DUNNING)
        today = local_date(now, self.zone)
        history = self.database.job_history(since={_JOBS[part]: date.max})
        last = history.last_runs.get(_JOBS[part])
        over = last is not None and last.scheduled_on >= today and last.status == "done"
        return date.fromordinal(today.toordinal() + over)

    def debtors(
        self, *, principal: Principal, now: datetime, after: RowsAfter | None = None
    ) -> tuple[list[Debtor], RowsAfter | None]:
        """Who owes something overdue, since when, how much, and the last step taken."""
        require(principal, Permission.VIEW_DUNNING)
        today = local_date(now, self.zone)
        return self.database.dunning.debtors(today=today, after=after, limit=PAGE)

    def history(
        self,
        *,
        principal: Principal,
        customer_id: str | None = None,
        not_given: bool = False,
        after: RowsAfter | None = None,
    ) -> tuple[list[DunningAction], RowsAfter | None]:
        """Steps that were taken, the last first; `not_given`: notices that reached nobody."""
        require(principal, Permission.VIEW_DUNNING)
        return self.database.dunning.history(
            customer_id=customer_id, not_given=not_given, after=after, limit=PAGE
        )

    def of_account(
        self, *, customer_id: str, principal: Principal, now: datetime
    ) -> DunningOfAccount:
        """How dunning of one account stands."""
        require(principal, Permission.VIEW_DUNNING)
        today = local_date(now, self.zone)
        return self.database.dunning.of_account(customer_id=customer_id, today=today)

    def give_notice(self, *, action_id: str, on: date, principal: Principal) -> DunningAction:
        """Keep that a disconnection notice was handed over on a local date, such as as a letter.

        From then on the law's wait counts. Raises NotFound, IllegalChange for a day before it.
        """
        require(principal, Permission.HOLD_DUNNING)
        return self.database.dunning.give_notice(actor=principal.user, action_id=action_id, on=on)

    def work_orders(
        self,
        *,
        principal: Principal,
        customer_id: str | None = None,
        open_only: bool = False,
    ) -> list[WorkOrder]:
        """The last 200 work orders, the newest first."""
        require(principal, Permission.VIEW_DUNNING)
        return self.database.dunning.work_orders(customer_id=customer_id, open_only=open_only)

    def open_orders(self, *, principal: Principal) -> list[WorkOrder]:
        """The open orders for whoever does them: where, and what; the last 200."""
        require(principal, Permission.SUBMIT_READINGS, Permission.VIEW_DUNNING)
        return self.database.dunning.work_orders(open_only=True)

    def follow_work_orders(self, *, now: datetime) -> None:
        """Order what the ladder came to, cancel what was paid or is held, reconnect who paid.

        The system's own doing, each minute.
        """
        self.database.dunning.follow_work_orders(actor=ACTOR, today=local_date(now, self.zone))


def _parsed(typed: TypedPolicy, policy_id: str, version: int) -> DunningPolicy:
    """The policy that was typed; raises InvalidPolicy with all that cannot be read."""
    reading = _Reading(typed.currency, [])
    policy = DunningPolicy(
        id=policy_id,
        currency=typed.currency,
        version=version,
        valid_from=typed.valid_from,
        minimum_minor=reading.amount(typed.minimum, N_("smallest balance that is dunned")),
        notice_days=typed.notice_days,
        steps=tuple(step_of(action, day, fee=fee) for action, day, fee in typed.steps),
        late_fee=reading.fee(typed.late_fee) if typed.late_fee else None,
    )
    if reading.problems:
        raise InvalidPolicy(reading.problems)
    return policy


@dataclass(frozen=True, slots=True)
class _Reading:
    currency: str
    problems: list[str]

    def amount(self, text: str, what: str) -> int:
        """Minor units; nothing typed is 0."""
        if not text.strip():
            return 0
        try:
            return typed_money(text, currency=self.currency).minor
        except InvalidMoney as error:
            self.problems.append(
                sentence("The {what}: {why}", what=sentence(what), why=sentence_of(error))
            )
            return 0

    def percent(self, text: str, what: str) -> int:
        """Hundredths of a percent."""
        try:
            return percent_bp(text, what)
        except InvalidPolicy as error:
            self.problems.extend(error.problems)
            return 0

    def fee(self, typed: TypedFee) -> LateFee:
        """The late fee."""
        return LateFee(
            fixed_minor=self.amount(typed.fixed, N_("late fee")),
            percent_bp=self.percent(typed.percent, N_("late fee's part of what is overdue")),
            cap_minor=self.amount(typed.cap, N_("cap of late fees")),
            grace_days=typed.grace_days,
            tax_bp=self.percent(typed.tax_percent, N_("tax on the late fee")),
        )
