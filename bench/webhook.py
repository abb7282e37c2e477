"""How long Stripe waits for its webhook's answer, at 100 payments a second, beside the bare SQL.

Each request is a new payment that pays a bill whole. The sender is a process of its own and keeps
its pace whatever the answers do: a request that had to wait for its turn has waited.
"""

import http.client
import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any

import psycopg
import stripe

from app import create_app
from bench.database import own_database
from bench.utility import AGENT, drawn_up_months, load_meters
from services.container import Services
from services.database.transports.postgres import DirectTransport
from services.importing.chunks import chunks_of
from services.jobs.monthly_bills import BATCH
from services.payments.stripe.events import translate
from services.records.base import PageRequest
from services.records.bills import NewBill
from services.records.lists import PaymentFilter
from tests.integration.api.serving import serving

A_SECOND = 100
SECONDS = 10
ROUNDS = 5
A_ROUND = A_SECOND * SECONDS
WARM_UP = 1_000
AT_ONCE = 16
# As many as streamlit_app.py has for Stripe.
WORKERS = 4
SECRET = "whsec_of_the_benchmark"  # noqa: S105 - opens nothing

Json = dict[str, Any]


@dataclass(frozen=True)
class Percentiles:
    """Of one round, in milliseconds."""

    p50: float
    p95: float


def main() -> None:
    """Load bills, pay them round by round over HTTP and by SQL alone in turn, print the medians."""
    with own_database() as own:
        services = own.services(
            STRIPE_SECRET_KEY="sk_test_x",  # noqa: S106 - opens nothing
            STRIPE_WEBHOOK_SECRET=SECRET,
        )
        _show(*_measure(services, own.dsn))
        services.database.close()


def _measure(services: Services, dsn: str) -> tuple[list[Percentiles], list[Percentiles]]:
    bills = _load_bills(services, datetime.now(UTC))
    over_http, by_sql = [], []
    spawn = multiprocessing.get_context("spawn")
    with (
        serving(create_app(services), payment_workers=WORKERS) as port,
        ProcessPoolExecutor(1, mp_context=spawn) as sender,
    ):
        sender.submit(send, port, [_paid(bills.pop()) for _ in range(WARM_UP)]).result()
        # A database in use knows the sizes of its tables; a new one plans as if they were empty.
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("analyze")
        for _ in range(ROUNDS):
            paid = [_paid(bills.pop()) for _ in range(A_ROUND)]
            over_http.append(sender.submit(send, port, paid).result())
            told = [_told(services, _paid(bills.pop())) for _ in range(A_ROUND)]
            by_sql.append(sender.submit(call, dsn, told).result())
    answer = services.database.check_ledger()
    assert answer.problems == (), answer
    page = PageRequest("received", counted_to=WARM_UP + 3 * ROUNDS * A_ROUND)
    found = services.database.list_payments(wanted=PaymentFilter(), page=page)
    assert found.total == WARM_UP + 2 * ROUNDS * A_ROUND
    return over_http, by_sql


def _load_bills(services: Services, now: datetime) -> list[NewBill]:
    meters = 2 * A_ROUND
    load_meters(services, meters=meters, now=now)
    bills: list[NewBill] = []
    for drawn_up in islice(drawn_up_months(services, meters=meters, now=now), ROUNDS + 1):
        for batch in chunks_of(drawn_up, BATCH):
            services.database.store_job_bills(actor=AGENT.user, bills=batch)
        bills += drawn_up
    return bills


def _paid(bill: NewBill) -> Json:
    return paid(bill_id=bill.id, total_minor=bill.rated.total_minor, currency=bill.rated.currency)


def paid(*, bill_id: str, total_minor: int, currency: str) -> Json:
    """What Stripe tells when the link of a bill was paid."""
    known = {"bill_id": bill_id, "amount_minor": str(total_minor), "currency": currency}
    session: Json = {"id": f"cs_{bill_id}", "object": "checkout.session", "mode": "payment"}
    session |= {"payment_status": "paid", "payment_intent": f"pi_{bill_id}", "metadata": known}
    session |= {"amount_total": total_minor, "currency": currency.lower()}
    event: Json = {"id": f"evt_{bill_id}", "object": "event", "livemode": False}
    event |= {"created": int(time.time()), "type": "checkout.session.completed"}
    return event | {"data": {"object": session}}


def _told(services: Services, event: Json) -> Json:
    """The parameters of the bare SQL call for it."""
    zone, now = services.settings.timezone, datetime.now(UTC)
    told = translate(event, zone=zone, live=False, now=now)
    params: Json = {"actor": "bench", "event": told.event, "arrived_by": "webhook"}
    return params | {"effect": told.effect, "owed": services.outbox.on_money()}


def send(port: int, events: Sequence[Json]) -> Percentiles:
    """Deliver events to the endpoint at the pace; runs in a process of its own."""
    own = threading.local()

    def deliver(event: Json) -> None:
        if not hasattr(own, "line"):
            own.line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        post(own.line, event)

    return _at_pace(deliver, events)


def post(line: http.client.HTTPConnection, event: Json) -> None:
    """Deliver an event, signed, which must be taken."""
    body = json.dumps(event)
    signature = stripe.WebhookSignature.generate_signature_header(body, SECRET)
    line.request("POST", "/webhook/stripe", body, {"Stripe-Signature": signature})
    response = line.getresponse()
    response.read()
    assert response.status == 200, response.status


def call(dsn: str, told: Sequence[Json]) -> Percentiles:
    """Make the SQL calls alone at the pace; runs in a process of its own."""
    transport = _transport(dsn)
    return _at_pace(lambda params: transport.call("apply_stripe_event", params), told)


@cache
def _transport(dsn: str) -> DirectTransport:
    """As warm as the endpoint's, which lives through all rounds."""
    return DirectTransport(dsn, pool_size=WORKERS)


def _at_pace(do: Callable[[Json], object], each: Sequence[Json]) -> Percentiles:
    began = time.perf_counter() + 0.5

    def timed(number: int) -> float:
        due = began + number / A_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        do(each[number])
        return (time.perf_counter() - due) * 1000

    with ThreadPoolExecutor(AT_ONCE) as threads:
        times = list(threads.map(timed, range(len(each))))
    hundredths = statistics.quantiles(times, n=100)
    return Percentiles(p50=hundredths[49], p95=hundredths[94])


def _show(over_http: Sequence[Percentiles], by_sql: Sequence[Percentiles]) -> None:
    print(f"{A_SECOND} payments a second at the webhook, {ROUNDS} rounds of {SECONDS} s, medians:")
    print(f"{'':34}{'endpoint':>10}{'bare SQL':>12}{'ratio':>9}")
    for name in ("p50", "p95"):
        whole = [getattr(of_round, name) for of_round in over_http]
        bare = [getattr(of_round, name) for of_round in by_sql]
        ratio = statistics.median(w / b for w, b in zip(whole, bare, strict=True))
        medians = f"{statistics.median(whole):>7.1f} ms{statistics.median(bare):>9.1f} ms"
        print(f"{name + ', from due to answered':34}{medians}{ratio:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
