"""Autopay attacked: forged and late events, answers lost at the worst moment, Stripe away."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from services.jobs.runs import JobFailed
from services.records.bills import Bill
from services.records.customers.autopay import Attempt
from tests.integration.at_stripe.autopay_server import (
    AUTHENTICATION,
    OK,
    PROCESSING,
    AutopayStripe,
)
from tests.integration.at_stripe.autopay_town import AutopayTown, days, due, open_town
from tests.integration.providers.conftest import links
from tests.integration.providers.published import Links, stripe_error
from tests.integration.providers.stand_in import Reply, StandIn, running
from tests.integration.utility import ADMIN

__all__ = ["links"]


@pytest.fixture
def stripe(links: Links) -> AutopayStripe:
    return AutopayStripe(links)


@pytest.fixture
def server(stripe: AutopayStripe) -> Iterator[StandIn]:
    with running(stripe.server()) as server:
        yield server
        assert server.problems == []


@pytest.fixture
def town(
    stripe: AutopayStripe, server: StandIn, database: str, tmp_path: Path
) -> Iterator[AutopayTown]:
    made = open_town(database, tmp_path, stripe, server)
    yield made
    assert made.database.check_ledger().problems == ()
    made.utility.services.close()


def announced(town: AutopayTown, card: str = OK) -> tuple[str, Bill]:
    """A customer whose charge is due now; their id and the bill."""
    ((customer, bill),) = all_announced(town, 1, card)
    return customer, bill


def all_announced(town: AutopayTown, number: int, card: str = OK) -> list[tuple[str, Bill]]:
    """So many customers."""
    made = []
    for serial in (f"M{n + 1}" for n in range(number)):
        customer = town.customer(serial)
        town.sign_up(customer, card=card)
        made.append((customer, town.bill(serial)))
    town.day(due(made[0][1]) - days(7))
    town.go_to(due(made[0][1]))
    return made


def begun(town: AutopayTown, lease_seconds: int = 600) -> list[Attempt]:
    """What is due is begun, and the process dies before it asks Stripe."""
    found, _ = town.database.autopay.begin(
        actor="test",
        run=None,
        today=town.utility.today,
        limit=10,
        owner=str(uuid4()),
        lease_seconds=lease_seconds,
        outbox=town.plans(),
    )
    return found


def attempts(town: AutopayTown) -> list[tuple[str, str]]:
    """Of each try its state and Stripe's id of the payment, in order."""
    rows = town.sql(
        "select status, payment_intent from public.autopay_attempts order by started_at, number"
    )
    return [(str(status), str(intent)) for status, intent in rows]


def forged(town: AutopayTown, like: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Another payment at Stripe with the same metadata."""
    made = town.stripe.charge(like["amount"], like["currency"], like["metadata"])
    made |= {"customer": like["customer"], **fields}
    return made


def test_a_second_payment_of_a_try_is_counted_and_shown_to_a_person(town: AutopayTown) -> None:
    customer, bill = announced(town)
    town.run()
    (first,) = town.stripe.charged
    town.stripe.happened("payment_intent.succeeded", forged(town, first))
    town.deliver()
    assert [p.amount_minor for p in town.payments(customer)] == [bill.total_minor] * 2
    flags = town.sql("select reason from public.payment_flags where resolved_at is null")
    assert flags == [("already_paid",)]
    assert town.database.bill(bill.id).status == "paid"


def test_what_becomes_of_another_payment_ends_no_try(town: AutopayTown) -> None:
    announced(town, PROCESSING)
    town.run()
    (first,) = town.stripe.asked
    for status, kind in (
        ("canceled", "payment_intent.canceled"),
        ("requires_action", "payment_intent.requires_action"),
        ("processing", "payment_intent.processing"),
    ):
        town.stripe.happened(kind, forged(town, first, status=status))
    assert set(town.deliver()) == {200}
    assert attempts(town) == [("processing", first["id"])]


def test_a_payment_of_another_customer_at_stripe_is_not_counted(town: AutopayTown) -> None:
    customer, bill = announced(town)
    (attempt,) = begun(town)
    like = {"amount": 1, "currency": "inr", "customer": "cus_of_another"}
    like["metadata"] = {"autopay_attempt": attempt.id}
    town.stripe.happened("payment_intent.succeeded", forged(town, like))
    assert set(town.deliver()) == {200}
    assert town.payments(customer) == []
    (outcome,) = town.sql(
        "select outcome from public.stripe_events where starts_with(type, 'payment_intent')"
    )
    assert outcome == ("kept",)
    town.take_up()
    assert town.database.bill(bill.id).status == "paid"


def test_one_payment_is_of_one_try(town: AutopayTown) -> None:
    announced(town, "insufficient_funds")
    town.run()
    town.deliver()
    town.go_to(town.utility.today + days(3))
    (second,) = begun(town)
    (first,) = town.stripe.asked
    # Somebody gave the first payment the second one's metadata.
    first["metadata"] = {"autopay_attempt": second.id}
    town.stripe.happened("payment_intent.canceled", first)
    assert town.deliver() == [200]
    assert attempts(town) == [("failed", first["id"]), ("asking", "None")]


def test_a_debit_under_way_waits_for_no_confirmation(town: AutopayTown) -> None:
    customer, bill = announced(town, PROCESSING)
    town.run()
    town.deliver()
    (intent,) = town.stripe.intents.values()
    town.stripe.happened("payment_intent.requires_action", intent | {"status": "requires_action"})
    town.deliver()
    assert town.charge(customer).confirm_id is None
    assert "autopay_failed" not in town.kinds(bill.id)


def test_a_wish_to_confirm_that_was_lost_on_its_way_reaches_the_customer(
    town: AutopayTown,
) -> None:
    customer, bill = announced(town, AUTHENTICATION)
    town.stripe.lose_answers = 1
    town.run()
    town.stripe.lose()
    town.take_up()
    assert town.charge(customer).confirm_id is not None
    assert "autopay_failed" in town.kinds(bill.id)
    town.take_up()
    assert [i["status"] for i in town.stripe.intents.values()] == ["canceled"]


def test_put_on_hold_meanwhile_nothing_is_asked(town: AutopayTown) -> None:
    customer, _ = announced(town)
    begun(town)
    town.utility.services.dunning_holds.hold(
        hold_id=str(uuid4()),
        customer_id=customer,
        reason="dispute",
        note="Says it was read wrong",
        principal=ADMIN,
        now=town.utility.now,
    )
    town.take_up()
    town.run()
    assert town.stripe.asked == []
    assert town.charge(customer).status == "planned"


def test_ended_before_its_turn_comes_nothing_is_asked(town: AutopayTown) -> None:
    customer, bill = announced(town)
    due_now = begun(town)
    mandate = town.state(customer).mandate
    assert mandate is not None
    town.utility.services.autopay.sign_up.end(
        mandate_id=mandate.id, customer_id=customer, actor="customer:A-M1", because="Enough"
    )
    town.utility.services.autopay.charging.charge_all(due_now, now=town.utility.now)
    assert town.stripe.asked == []
    assert town.charge(customer).status == "dropped"
    assert town.database.bill(bill.id).spared_because is None


def test_taken_up_by_another_process_it_is_not_asked_again(town: AutopayTown) -> None:
    announced(town)
    due_now = begun(town)
    town.take_up()
    # A day later the first process wakes up, and Stripe has forgotten the idempotency key.
    town.stripe.forget_keys()
    town.utility.services.autopay.charging.charge_all(due_now, now=town.utility.now)
    assert len(town.stripe.asked) == 1


def test_one_answer_that_cannot_be_kept_keeps_back_no_other(
    town: AutopayTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = [customer for customer, _ in all_announced(town, 3)]
    end = town.stripe._end

    def odd(intent: dict[str, Any], card: str) -> Any:
        answer = end(intent, card)
        if len(town.stripe.asked) == 1:
            intent["amount_received"] = 0
            return Reply(
                200, answer.body.replace(b'"amount_received": 54035', b'"amount_received": 0')
            )
        return answer

    monkeypatch.setattr(town.stripe, "_end", odd)
    town.run()
    paid = sorted(len(town.payments(customer)) for customer in customers)
    assert paid == [0, 1, 1]
    begun(town)
    town.take_up()
    assert len(town.stripe.asked) == 3


def test_money_of_an_earlier_try_ends_the_later_one(town: AutopayTown) -> None:
    customer, bill = announced(town, "insufficient_funds")
    town.run()
    town.deliver()
    first = town.stripe.asked[0]
    mandate = town.state(customer).mandate
    assert mandate is not None
    town.stripe.cards[str(mandate.payment_method)] = AUTHENTICATION
    town.day(due(bill) + days(3))
    town.deliver()
    assert [status for status, _ in attempts(town)] == ["failed", "confirming"]
    # The bank had second thoughts, or the customer was in another window.
    town.stripe._end(first, "ok")
    town.deliver()
    assert town.database.bill(bill.id).status == "paid"
    town.utility.services.autopay.charging.take_up(now=town.utility.now)
    assert set(town.deliver()) <= {200}
    assert [i["status"] for i in town.stripe.asked] == ["succeeded", "canceled"]
    after = town.state(customer)
    assert after.mandate is not None
    assert (after.mandate.status, after.charges[0].status) == ("active", "paid")


def test_a_card_saved_after_the_end_is_forgotten(town: AutopayTown) -> None:
    customer = town.customer("M1")
    sign_up = town.utility.services.autopay.sign_up
    sessions = []
    for _ in range(2):
        mandate_id = str(uuid4())
        url = sign_up.begin(
            mandate_id=mandate_id,
            customer_id=customer,
            currency="INR",
            consent="I agree.",
            limit_minor=None,
            actor="customer:test",
            now=town.utility.now,
        )
        sessions.append(url.rpartition("/")[2])
        if len(sessions) == 2:
            # Saved there, while we do not know yet.
            town.stripe.save_card(sessions[1])
        sign_up.end(
            mandate_id=mandate_id, customer_id=customer, actor="customer:test", because="No"
        )
    town.take_up()
    town.deliver()
    town.take_up()
    assert town.stripe.sessions[sessions[0]]["status"] == "expired"
    assert [m["customer"] for m in town.stripe.methods.values()] == [None]
    assert town.sql("select count(*) from public.autopay_mandates where look_at is not null") == [
        (0,)
    ]


def test_a_page_at_stripe_that_nobody_finished_is_over(town: AutopayTown) -> None:
    customer = town.customer("M1")
    url = town.utility.services.autopay.sign_up.begin(
        mandate_id=str(uuid4()),
        customer_id=customer,
        currency="INR",
        consent="I agree.",
        limit_minor=None,
        actor="customer:test",
        now=town.utility.now,
    )
    session = town.stripe.sessions[url.rpartition("/")[2]]
    session["status"] = "expired"
    town.stripe.happened("checkout.session.expired", session)
    assert town.deliver() == [200]
    town.take_up()
    state = town.state(customer)
    assert state.opened is None
    assert state.mandate is not None
    assert state.mandate.status == "ended"


def test_a_customer_whom_stripe_no_longer_has_can_sign_up_again(town: AutopayTown) -> None:
    customer = town.customer("M1")
    first = town.sign_up(customer)
    town.stripe.gone.add(str(first.stripe_customer))
    second = town.sign_up(customer)
    assert second.stripe_customer != first.stripe_customer


def test_a_page_of_another_account_saves_nothing_for_who_opens_it(town: AutopayTown) -> None:
    mine, theirs = town.customer("M1"), town.customer("M2")
    sign_up = town.utility.services.autopay.sign_up
    url = sign_up.begin(
        mandate_id=str(uuid4()),
        customer_id=theirs,
        currency="INR",
        consent="I agree.",
        limit_minor=None,
        actor="customer:test",
        now=town.utility.now,
    )
    town.stripe.save_card(url.rpartition("/")[2])
    assert sign_up.came_back(customer_id=mine, now=town.utility.now).mandate is None
    found = sign_up.came_back(customer_id=theirs, now=town.utility.now).mandate
    assert found is not None
    assert found.status == "active"


def test_too_many_requests_are_asked_once_more_after_the_pause(
    town: AutopayTown, server: StandIn
) -> None:
    _, bill = announced(town)
    busy = stripe_error(429, "Too many requests")
    server.faults.append(Reply(busy.status, busy.body, {"Retry-After": "1"}))
    town.run()
    assert town.database.bill(bill.id).status == "paid"
    assert [s.path for s in server.seen].count("/v1/payment_intents") == 2
    # No process asks before the pause is over.
    assert town.sql(
        "select count(*) from public.message_rates where channel = 'stripe' and free_at > "
        "(select started_at from public.autopay_attempts) + interval '1 second'"
    ) == [(1,)]


def test_while_stripe_is_away_the_rest_waits_unasked(
    town: AutopayTown, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.jobs.autopay.PAUSES_SECONDS", (0.01, 0.01))
    monkeypatch.setattr("services.jobs.autopay.PAGE", 2)
    monkeypatch.setattr("services.jobs.autopay.PROBE", 1)
    customers = [customer for customer, _ in all_announced(town, 6)]
    with server.away(), pytest.raises(JobFailed, match="does not answer"):
        town.run()
    assert len(attempts(town)) == 4
    town.run()
    town.take_up()
    assert [len(town.payments(customer)) for customer in customers] == [1] * 6
    assert len(town.stripe.asked) == 6


def charged_after_the_backup(town: AutopayTown) -> dict[str, Any]:
    """A try of which Stripe knows, and the database, restored from before it, nothing."""
    at_stripe = town.utility.services.autopay.charging.stripe
    assert at_stripe is not None
    params: dict[str, Any] = {"actor": "test", "run": None, "limit": 10}
    params |= {"today": town.utility.today.isoformat()}
    params |= {"owner": "lost", "lease_seconds": 60, "owed": town.plans()}
    with psycopg.connect(town.dsn) as connection:
        row = connection.execute("select public.begin_autopay(%s)", [Jsonb(params)]).fetchone()
        connection.rollback()
    assert row is not None
    attempt = Attempt.model_validate(row[0]["attempts"][0])
    at_stripe.charge(attempt, return_url="https://bills.example/my/autopay")
    return town.stripe.asked[-1]


def test_after_a_restore_what_stripe_has_charged_is_not_charged_again(town: AutopayTown) -> None:
    customer, bill = announced(town)
    charged_after_the_backup(town)
    town.deliver()
    town.run()
    assert len(town.stripe.asked) == 1
    assert [p.amount_minor for p in town.payments(customer)] == [bill.total_minor]
    assert town.charge(customer).status == "paid"


def test_after_a_restore_a_debit_under_way_is_waited_for(town: AutopayTown) -> None:
    customer, bill = announced(town, PROCESSING)
    intent = charged_after_the_backup(town)
    town.deliver()
    town.run()
    assert attempts(town) == [("processing", intent["id"])]
    town.stripe.bank_ends(intent["id"])
    town.deliver()
    assert len(town.stripe.asked) == 1
    assert town.database.bill(bill.id).status == "paid"
    assert len(town.payments(customer)) == 1


def test_told_of_too_late_after_a_restore_both_charges_count(town: AutopayTown) -> None:
    customer, bill = announced(town)
    charged_after_the_backup(town)
    events = list(town.stripe.outgoing)
    town.run()
    town.stripe.outgoing = events
    town.deliver()
    assert [p.amount_minor for p in town.payments(customer)] == [bill.total_minor] * 2
    flags = town.sql("select reason from public.payment_flags where resolved_at is null")
    assert flags == [("already_paid",)]


def test_eight_at_once_charge_once(town: AutopayTown) -> None:
    customers = [customer for customer, _ in all_announced(town, 3)]
    charging = town.utility.services.autopay.charging

    def charge(_: int) -> int:
        # The lease is over at once: while one process asks, others take it up.
        found = begun(town, lease_seconds=0)
        charging.charge_all(found, now=town.utility.now)
        charging.take_up(now=town.utility.now)
        return len(found)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(charge, range(8))) == 3
    town.take_up()
    assert len(town.stripe.asked) == 3
    assert [len(town.payments(customer)) for customer in customers] == [1] * 3


def test_a_clock_set_back_charges_nothing_early_or_twice(town: AutopayTown) -> None:
    _, bill = announced(town)
    town.go_to(due(bill) - days(20))
    town.run()
    assert town.stripe.asked == []
    town.go_to(due(bill))
    town.stripe.lose_answers = 1
    town.run()
    # Our row is from a day that is yet to come, and Stripe's payment from before it.
    town.sql("update public.autopay_attempts set started_at = now() + interval '400 days'")
    town.stripe.forget_keys()
    town.go_to(due(bill) - days(1))
    town.take_up()
    assert len(town.stripe.asked) == 1
    assert town.database.bill(bill.id).status == "paid"


def test_an_amount_below_stripe_s_least_is_dunned_and_pauses_nothing(
    town: AutopayTown, server: StandIn
) -> None:
    customer, bill = announced(town)
    least = stripe_error(400, "Amount must be at least 50 cents", code="amount_too_small")
    server.faults.append(least)
    town.run()
    after = town.state(customer)
    assert after.mandate is not None
    assert (after.mandate.status, after.charges[0].code) == ("active", "amount_too_small")
    town.day(due(bill) + days(1))
    assert town.stripe.asked == []
    assert town.database.bill(bill.id).overdue_since is not None


@pytest.mark.parametrize(("currency", "asked"), [("JPY", 54_035), ("UGX", 5_403_500)])
def test_a_currency_without_minor_units_is_asked_for_in_stripe_s_own(
    town: AutopayTown, currency: str, asked: int
) -> None:
    announced(town)
    (attempt,) = begun(town)
    at_stripe = town.utility.services.autopay.charging.stripe
    assert at_stripe is not None
    at_stripe.charge(
        attempt.model_copy(update={"currency": currency}), return_url="https://bills.example/my"
    )
    assert [i["amount"] for i in town.stripe.asked] == [asked]
    # What came in another currency than the bill's pays nothing of it, and is shown.
    town.deliver()
    assert town.sql("select reason from public.payment_flags") == [("already_paid",)]
    (payment,) = town.payments(attempt.customer_id)
    assert (payment.amount_minor, payment.currency) == (54_035, currency)
