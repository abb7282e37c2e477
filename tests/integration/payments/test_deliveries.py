"""Ten thousand deliveries of a thousand events: out of order, many times over, while the database
is killed once. Each payment is counted once, and each delivery is answered 200 in the end.
"""

import http.client
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from app import create_app
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.records.bills import Bill
from tests.integration.api.serving import serving
from tests.integration.payments.office import Office, open_office, signed
from tests.integration.payments.told import (
    Json,
    completed,
    dispute,
    event,
    refund_failed,
    refunded,
    session,
)
from tests.integration.server_process import server_pid
from tests.integration.test_embedded import children, kill_now
from tests.servers import MIGRATIONS

BILLS: Final = 125
TIMES: Final = 10
AT_ONCE: Final = 16
PAID: Final = 54_035
PATIENCE_SECONDS: Final = 60.0


def events_of(bill: Bill, number: int) -> list[Json]:
    """What Stripe tells of a bill: paid twice, one of them refunded in parts, the other disputed.

    Of 200 that go back 50 fail; the dispute is won. So the bill is paid, and 53,885 are credit.
    """
    one, two = f"pi_{number}_one", f"pi_{number}_two"
    again = event("checkout.session.async_payment_succeeded", session(bill, one, PAID), at=1)
    paid = [completed(bill, one), again, completed(bill, two, PAID, at=2)]
    backs = [refunded(one, 150, at=3), refunded(one, 200, at=4)]
    failed = [refund_failed(one, f"re_{number}", 50, at=5)]
    return [
        *paid,
        *backs,
        *failed,
        dispute("funds_withdrawn", two, PAID, at=6),
        dispute("funds_reinstated", two, PAID, at=7),
    ]


class Sender:
    """Sends deliveries as Stripe does: again, until the answer is 200. Each thread has its line."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: Counter[int] = Counter()
        self._lines: dict[int, http.client.HTTPConnection] = {}
        self._lock = threading.Lock()

    def deliver(self, raw: Json) -> None:
        """Send an event until it is taken."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while (status := self._send(raw)) != 200:
            assert time.monotonic() < give_up, f"never taken, last: {status}"
            time.sleep(0.2)

    def close(self) -> None:
        """Hang up on all lines."""
        for line in self._lines.values():
            line.close()

    def _send(self, raw: Json) -> int:
        line = self._line()
        body, headers = signed(raw, at=time.time())
        line.request("POST", "/webhook/stripe", body, headers)
        response = line.getresponse()
        response.read()
        with self._lock:
            self.answers[response.status] += 1
        return response.status

    def _line(self) -> http.client.HTTPConnection:
        with self._lock:
            new = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            return self._lines.setdefault(threading.get_ident(), new)


def killed_and_started_again(server: EmbeddedPostgres, dsn: str, sender: Sender) -> None:
    """kill -9 of the database server with all its children; it is back once a sender noticed."""
    kill_now([server_pid(server), *children(dsn)])
    noticed_by = time.monotonic() + PATIENCE_SECONDS / 2
    while not sender.answers[503] and time.monotonic() < noticed_by:
        time.sleep(0.1)
    server.start()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_payment_is_counted_once_whatever_happens(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    server.start()
    dsn = server.database("billing")
    apply_migrations(dsn, MIGRATIONS)
    office = open_office(dsn, tmp_path)
    bills = [office.bill() for _ in range(BILLS)]
    events = [raw for number, bill in enumerate(bills) for raw in events_of(bill, number)]
    deliveries = events * TIMES
    assert (len(events), len(deliveries)) == (1_000, 10_000)
    random.Random(1795).shuffle(deliveries)  # noqa: S311 - no secret
    app = create_app(office.utility.services)
    with serving(app, payment_workers=4) as port, closing(Sender(port)) as sender:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            taken = [threads.submit(sender.deliver, raw) for raw in deliveries]
            taken[len(taken) // 2].result()
            killed_and_started_again(server, dsn, sender)
        for one in taken:
            one.result()
    assert sender.answers[200] == len(deliveries)
    assert sender.answers[503] > 0, "nobody noticed that the database was away"
    assert set(sender.answers) == {200, 503}
    assert_counted_once(office, bills)
    office.utility.services.close()


def assert_counted_once(office: Office, bills: list[Bill]) -> None:
    database = office.utility.services.database
    office.assert_sound()
    told = database.stripe_events(page_size=2_000)
    assert Counter(e.outcome for e in told.items) == {"applied": 1_000}
    payments = database.payments(page_size=1_000).items
    assert {p.provider_id for p in payments} == {
        f"pi_{number}_{which}" for number in range(BILLS) for which in ("one", "two")
    }
    assert len(payments) == 2 * BILLS
    for bill in bills:
        assert office.now(bill).status == "paid"
        assert office.balance(bill.customer_id) == PAID - 2 * PAID + 150
    assert Counter((p.returned_minor, p.pending_minor) for p in payments) == {
        (150, 0): BILLS,
        (0, 0): BILLS,
    }
