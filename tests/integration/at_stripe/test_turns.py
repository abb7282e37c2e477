"""Each request to Stripe takes its turn, and a pause that Stripe asks for holds for all of them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.database.service import DatabaseService
from services.database.transport import TemporaryDatabaseError
from services.integrations.http import ServiceUnavailable
from services.payments.stripe.client import StripePayments
from services.payments.stripe.turns import A_SECOND_IN_TESTS, StripeTurns, of_a_job
from tests.integration.at_stripe.shop import Shop
from tests.integration.providers.published import STRIPE_KEY, stripe_error
from tests.integration.providers.stand_in import Reply


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each turn that was taken, whether somebody waited for it."""
    taken: list[bool] = []
    take = DatabaseService.stripe_turn

    def counted(self: DatabaseService, **how: Any) -> tuple[float, bool]:
        taken.append(how["for_somebody"])
        assert how["a_second"] == A_SECOND_IN_TESTS
        return take(self, **how)

    monkeypatch.setattr(DatabaseService, "stripe_turn", counted)
    return taken


def busy(seconds: str) -> Reply:
    """Too many requests, and after how long to ask again."""
    answer = stripe_error(429, "Too many requests", code="rate_limit")
    return Reply(answer.status, answer.body, {"Retry-After": seconds})


def test_links_refunds_looks_and_checks_each_take_a_turn(shop: Shop, turns: list[bool]) -> None:
    _, payment = shop.paid()
    shop.refund(payment)
    shop.reconciliation.catch_up(actor="test", now=datetime.now(UTC))
    shop.services.refunds.take_up(now=datetime.now(UTC))
    asked = [seen for seen in shop.server.seen if seen.path.startswith("/v1/")]
    assert {"/v1/payment_links", "/v1/refunds", "/v1/events"} <= {seen.path for seen in asked}
    assert len(turns) == len(asked)
    assert turns == [True] * len(asked)


def test_what_jobs_ask_waits_behind_those_who_wait(shop: Shop, turns: list[bool]) -> None:
    with of_a_job():
        shop.bill()
    assert turns
    assert not any(turns)


def test_a_link_is_asked_for_once_more_after_the_pause(shop: Shop) -> None:
    shop.server.faults.append(busy("1"))
    began = time.monotonic()
    bill = shop.bill()
    assert bill.payment_url is not None
    assert time.monotonic() - began >= 1
    assert [seen.path for seen in shop.server.seen].count("/v1/payment_links") == 2


def test_during_a_long_pause_nobody_asks_and_all_is_tried_after_it(shop: Shop) -> None:
    _, payment = shop.paid()
    asked = len(shop.server.seen)
    shop.server.faults.append(busy("90"))
    made = shop.refund(payment)
    # It was asked for once, and waits as long as Stripe wants.
    assert len(shop.server.seen) == asked + 1
    assert made.status == "pending"
    (due,) = shop.sql("select next_attempt_at - now() from public.payment_returns")
    assert timedelta(seconds=80) < due[0] <= timedelta(seconds=95)
    bill = shop.bill("M2")
    assert bill.payment_url is None
    (again,) = shop.sql(
        "select next_attempt_at - now() from public.outbox where bill_id = %s and status = 'open' "
        "order by 1 desc limit 1",
        bill.id,
    )
    assert again[0] > timedelta(seconds=70)
    run = shop.reconciliation.catch_up(actor="test", now=datetime.now(UTC))
    assert run.error
    with pytest.raises(ServiceUnavailable, match="pause"):
        shop.reconciliation.at_stripe.payment("pi_1")
    assert len(shop.server.seen) == asked + 1
    shop.sql("update public.message_rates set free_at = now()")
    assert shop.later() == 1
    assert shop.database.payment_return(made.id).status == "done"


def test_without_a_database_nothing_is_asked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise TemporaryDatabaseError("08006", "away")

    stripe = StripePayments(
        secret_key=STRIPE_KEY, base_url=shop.server.url, turns=StripeTurns(shop.database)
    )
    monkeypatch.setattr(DatabaseService, "stripe_turn", away)
    with pytest.raises(ServiceUnavailable, match="No turn"):
        stripe.check()
    assert shop.server.seen == []
