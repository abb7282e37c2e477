"""How long a backlog of messages takes to leave, and whether anything else waits for it.

`python -m bench.delivery [BACKLOG]`: over a server on loopback that answers after 100 ms,
with no limit but the machine's and then at the default rate.
"""

import os
import statistics
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from bench.database import own_database
from bench.large_utility import fill
from services.bootstrap_providers import Addresses, message_steps
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.messages.channels import WHATSAPP
from services.messages.delivery import Delivery
from services.messages.sending import notification_id
from services.messages.templates import TemplateWriter
from services.outbox.outbox import Outbox
from services.outbox.steps import LANE_STEPS
from services.settings import Settings
from tests.integration.providers import published
from tests.integration.providers.stand_in import Reply, Seen, StandIn, running

BACKLOG: Final = 100_000
A_ROUND: Final = 200
ROUNDS: Final = 5
UNLIMITED: Final = 100_000
ANSWERS_AFTER: Final = 0.1
STEPS: Final = {
    "11": {"status": "done", "detail": "", "facts": {"text": "A text."}},
    "12": {"status": "pending", "detail": ""},
    "13": {"status": "pending", "detail": ""},
}
_OWED: Final = """
    set session_replication_role = replica;
    update customers set phone = '+91 98765 43210';
    insert into customer_channels (customer_id, whatsapp_opt_in_at)
    select id, now() from customers"""
_OPEN: Final = """
    insert into outbox (id, bill_id, kind, steps, next_attempt_at)
    select gen_random_uuid(), b.id, 'overdue_notice', %s, now() + interval '12 hours'
    from bills b where b.status = 'issued' and b.amount_paid_minor < b.total_minor
    returning bill_id"""
_QUEUED: Final = "copy notifications (id, bill_id, kind, channel, status, queued_at) from stdin"


def main() -> None:
    """Queue a backlog, send parts of it, and look for other work beside it."""
    backlog = int(sys.argv[1]) if len(sys.argv) > 1 else BACKLOG
    with own_database() as own, running(published.whatsapp()) as whatsapp:
        with own.owner() as connection:
            # Half of the bills are paid.
            fill(connection, customers=backlog * 2)
            queued = _queue(connection)
        answer = whatsapp.behave

        def slowly(seen: Seen) -> Reply:
            time.sleep(ANSWERS_AFTER)
            return answer(seen)

        whatsapp.behave = slowly
        settings = own.settings(
            WHATSAPP_TOKEN=published.WHATSAPP_TOKEN, WHATSAPP_PHONE_NUMBER_ID=published.PHONE_ID
        )
        database = DatabaseService(DirectTransport(own.dsn))
        _report(database, settings, whatsapp, queued)
        database.close()


def _queue(connection: psycopg.Connection[Any]) -> int:
    connection.execute(_OWED.encode())
    bills = connection.execute(_OPEN.encode(), (Jsonb(STEPS),)).fetchall()
    now = datetime.now(UTC)
    with connection.cursor().copy(_QUEUED) as copy:
        for (bill,) in bills:
            key = notification_id(bill_id=str(bill), kind="overdue_notice", channel=WHATSAPP)
            copy.write_row((key, bill, "overdue_notice", WHATSAPP, "waiting", now))
    connection.execute("reset session_replication_role")
    connection.execute("vacuum analyze")
    return len(bills)


def _report(database: DatabaseService, settings: Settings, whatsapp: StandIn, queued: int) -> None:
    steps = message_steps(
        settings=settings,
        database=database,
        writer=TemplateWriter(lambda: "Bench"),
        addresses=Addresses(whatsapp=whatsapp.url),
    )
    outbox = Outbox(database, steps)
    print(f"{queued:,} messages in the queue; load {os.getloadavg()[0]:.1f}")
    unlimited = Delivery(database, outbox, {WHATSAPP: UNLIMITED})
    free = [_a_round(unlimited, whatsapp) for _ in range(ROUNDS)]
    rate = settings.messages_per_minute_whatsapp
    paced = _a_round(Delivery(database, outbox, {WHATSAPP: rate}), whatsapp)
    for label, each in (("no limit", statistics.median(free)), (f"{rate:,} a minute", paced)):
        print(f"{label:20}{each:>8.1f} a second, 100,000 in {100_000 / each / 60:,.0f} min")
    for lane in LANE_STEPS:
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            outbox.sweep(lane=lane)
            times.append((time.perf_counter() - start) * 1000)
        print(f"a look of {lane:10}{statistics.median(times):>8.1f} ms beside the backlog")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def _a_round(delivery: Delivery, whatsapp: StandIn) -> float:
    """Messages a second, of so many."""
    before, start = len(whatsapp.accepted()), time.perf_counter()
    while (sent := len(whatsapp.accepted()) - before) < A_ROUND:
        time.sleep(delivery.deliver(WHATSAPP) or 0)
    return sent / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
