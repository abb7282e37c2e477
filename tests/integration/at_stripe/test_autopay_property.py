"""Whatever happens in between: never more than is due, never twice, and all that came is counted.

Random days of a customer with autopay: payments at the office, declines, lost answers, forgotten
idempotency keys, processes killed before and after Stripe is asked, webhooks late, twice or lost.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.database.transport import TemporaryDatabaseError
from services.records.bills import Bill
from services.records.entries import NewPayment
from tests.integration.at_stripe.autopay_server import (
    AUTHENTICATION,
    OK,
    PROCESSING,
    AutopayStripe,
)
from tests.integration.at_stripe.autopay_town import AutopayTown, days, due, open_town
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running
from tests.integration.utility import ADMIN

_CARDS: Final = (OK, OK, PROCESSING, AUTHENTICATION, "insufficient_funds", "expired_card")
_EVENTS: Final = st.one_of(
    st.sampled_from(
        (
            *("day", "day", "day", "week", "crash_before", "crash_after", "lose_answer"),
            *("forget_keys", "deliver", "deliver_twice", "lose_events", "take_up"),
            *("bank_agrees", "bank_refuses", "end", "resume", "two_runs"),
        )
    ).map(lambda name: (name, 0)),
    st.tuples(st.just("office"), st.integers(1, 60_000)),
    st.tuples(st.just("card"), st.integers(0, len(_CARDS) - 1)),
)
_NUMBERS = count(1)


class _Watched(AutopayStripe):
    """Looks at each charge as it happens: with what came before it is no more than the bill."""

    allowed: dict[str, int]
    broken: list[str]

    def _end(self, intent: dict[str, Any], card: str) -> Any:
        answer = super()._end(intent, card)
        customer = intent["customer"]
        if intent["status"] in {"succeeded", "processing"}:
            live = sum(
                i["amount"]
                for i in self.intents.values()
                if i.get("customer") == customer and i["status"] in {"succeeded", "processing"}
            )
            if live > self.allowed.get(customer, 0):
                self.broken.append(f"{live} of {self.allowed.get(customer, 0)}")
        return answer


@pytest.fixture(scope="module")
def town(
    fresh_database: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AutopayTown]:
    stripe = _Watched(Links())
    stripe.allowed, stripe.broken = {}, []
    with running(stripe.server()) as server:
        yield open_town(fresh_database(), tmp_path_factory.mktemp("town"), stripe, server)
        assert server.problems == []


class _Story:
    """One customer with one bill, and what happens to them."""

    def __init__(self, town: AutopayTown) -> None:
        self.town, self.stripe = town, town.stripe
        serial = f"P{next(_NUMBERS)}"
        self.customer = town.customer(serial)
        self.mandate = town.sign_up(self.customer)
        self.theirs = str(self.mandate.stripe_customer)
        self.method = str(self.mandate.payment_method)
        self.bill: Bill = town.bill(serial)
        self.at_office = 0
        self._allow()
        town.day(due(self.bill) - days(7))
        town.go_to(due(self.bill))

    def happen(self, name: str, number: int) -> None:
        getattr(self, f"_{name}")(number)
        self._allow()
        assert isinstance(self.stripe, _Watched)
        assert self.stripe.broken == []

    def settle(self) -> None:
        """At last every process is well, and Stripe's words arrive."""
        self.stripe.lose_answers = 0
        self.town.deliver()
        for _ in range(3):
            self.town.take_up()
        self.town.deliver()

    def _allow(self) -> None:
        assert isinstance(self.stripe, _Watched)
        self.stripe.allowed[self.theirs] = self.bill.total_minor - self.at_office

    def _day(self, _: int) -> None:
        self.town.day(self.town.utility.today + days(1))

    def _week(self, _: int) -> None:
        self.town.day(self.town.utility.today + days(7))

    def _office(self, most: int) -> None:
        # What the office sees: it may not know yet of a charge that went through.
        left = self.town.database.bill(self.bill.id).balance_minor - self._uncounted()
        minor = min(most, left)
        if minor <= 0:
            return
        row = {"id": str(uuid4()), "bill_id": self.bill.id, "amount_minor": minor}
        row |= {"currency": "INR", "method": "cash", "reference": ""}
        row |= {"received_at": self.town.utility.now, "received_on": self.town.utility.today}
        payment = NewPayment.model_validate(row)
        self.town.database.record_payments(actor=ADMIN.user, payments=[payment])
        self.at_office += minor

    def _uncounted(self) -> int:
        """What Stripe has or is at, and we do not know of."""
        live = sum(
            i["amount"]
            for i in self.stripe.intents.values()
            if i.get("customer") == self.theirs and i["status"] in {"succeeded", "processing"}
        )
        counted = sum(int(p.amount_minor) for p in self._by_stripe())
        return int(live) - counted

    def _by_stripe(self) -> list[Any]:
        return [p for p in self.town.payments(self.customer) if p.method == "stripe"]

    def _card(self, number: int) -> None:
        self.stripe.cards[self.method] = _CARDS[number]

    def _crash_before(self, _: int) -> None:
        self._begin()

    def _crash_after(self, _: int) -> None:
        book = self.town.database.autopay

        def killed(**_: Any) -> None:
            raise TemporaryDatabaseError("08006", "killed")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(book, "end_attempts", killed)
            with suppress(TemporaryDatabaseError):
                self.town.run()

    def _two_runs(self, _: int) -> None:
        charging = self.town.utility.services.autopay.charging
        for begun in (self._begin(), self._begin()):
            charging.charge_all(begun, now=self.town.utility.now)

    def _begin(self) -> list[Any]:
        found, _ = self.town.database.autopay.begin(
            actor="test",
            run=None,
            today=self.town.utility.today,
            limit=50,
            owner="killed",
            lease_seconds=600,
            outbox=self.town.plans(),
        )
        return found

    def _lose_answer(self, _: int) -> None:
        self.stripe.lose_answers = 1

    def _forget_keys(self, _: int) -> None:
        self.stripe.forget_keys()

    def _deliver(self, _: int) -> None:
        self.town.deliver()

    def _deliver_twice(self, _: int) -> None:
        events = list(self.stripe.outgoing)
        self.town.deliver()
        self.stripe.outgoing = events
        self.town.deliver()

    def _lose_events(self, _: int) -> None:
        self.stripe.lose()

    def _take_up(self, _: int) -> None:
        self.town.take_up()

    def _bank_agrees(self, _: int) -> None:
        self._bank("")

    def _bank_refuses(self, _: int) -> None:
        self._bank("debit_not_authorized")

    def _bank(self, code: str) -> None:
        for intent in list(self.stripe.intents.values()):
            if intent.get("customer") == self.theirs and intent["status"] == "processing":
                self.stripe.bank_ends(intent["id"], code=code)

    def _end(self, _: int) -> None:
        self.town.utility.services.autopay.sign_up.end(
            mandate_id=self.mandate.id, customer_id=self.customer, actor="customer:x", because="x"
        )

    def _resume(self, _: int) -> None:
        found = self.town.state(self.customer).mandate
        if found is not None and found.status == "paused":
            self.town.utility.services.autopay.sign_up.resume(
                mandate_id=found.id,
                customer_id=self.customer,
                actor="customer:x",
                now=self.town.utility.now,
            )


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=st.lists(_EVENTS, min_size=3, max_size=9))
def test_never_more_than_is_due_and_never_twice(
    town: AutopayTown, events: list[tuple[str, int]]
) -> None:
    story = _Story(town)
    for name, number in events:
        story.happen(name, number)
    story.settle()
    charged = [i for i in town.stripe.charged if i.get("customer") == story.theirs]
    counted = story._by_stripe()
    assert sorted(p.amount_minor for p in counted) == sorted(i["amount"] for i in charged)
    assert len({p.provider_id for p in counted}) == len(counted)
    after = town.database.bill(story.bill.id)
    assert after.amount_paid_minor == sum(p.amount_minor for p in counted) + story.at_office
    assert after.amount_paid_minor <= after.total_minor
    live = [a for a in town.state(story.customer).charges if a.ended_at is None]
    if not live:
        assert after.spared_because is None
    assert town.database.check_ledger().problems == ()
