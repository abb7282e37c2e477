"""Messages wait in a queue by channel, and leave at its rate whatever number of processes sends."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.messages.channels import SHARED_DISCORD
from services.messages.delivery import Delivery
from services.outbox.outbox import MAX_ATTEMPTS, Outbox
from services.outbox.steps import LANE_STEPS
from services.records.outbox import Lane, OutboxEntry, OutboxKind
from tests.integration.providers.conftest import MakeOffice, Office, Providers
from tests.integration.providers.published import SHARED_PATH
from tests.integration.providers.stand_in import reply

ONE_A_MINUTE = {"MESSAGES_PER_MINUTE_DISCORD": "1"}
# Keeps when each turn of a channel was given, by the database's clock.
KEEP_TURNS = (
    "create table turns (given_at timestamptz not null default clock_timestamp())",
    (
        "create function keep_turn() returns trigger language plpgsql as"
        " 'begin insert into public.turns default values; return null; end'"
    ),
    (
        "create trigger keep_turn after update on message_rates for each row"
        " execute function keep_turn()"
    ),
    "grant insert on turns to public",
)


class CountingClaims(DatabaseService):
    """Keeps how many messages each claim was given."""

    def __init__(self, transport: DirectTransport) -> None:
        super().__init__(transport)
        self.claimed: list[int] = []

    def claim_messages(self, **values: Any) -> tuple[list[OutboxEntry], float | None]:
        claimed, wait = super().claim_messages(**values)
        self.claimed.append(len(claimed))
        return claimed, wait


def submit(office: Office, serial: str) -> str:
    """Bill a meter of a new customer; the id of the bill."""
    office.add_customer(serial, whatsapp_opt_in_at="2026-01-01T00:00:00Z")
    bill = office.utility.submit(serial, 1117).bill
    assert bill is not None
    return bill.id


def work_of(office: Office, bill_id: str, kind: OutboxKind = "bill_issued") -> tuple[str, str, str]:
    """How the work of a bill stands, and how step 12 of it does."""
    (work,) = [w for w in office.database.outbox_of(bill_id) if w.kind == kind]
    return work.status, work.steps[12].status, work.steps[12].detail


def turn_comes(office: Office) -> None:
    """Let the next message leave, without the wait."""
    office.sql("update message_rates set free_at = now()")


def owe_reminder(office: Office, bill_id: str) -> None:
    """A reminder that is due, as the job queues it."""
    plan = office.utility.services.outbox.plan_for_any("payment_reminder")
    bill = office.database.bill(bill_id)
    assert bill.due_date is not None
    _, run = office.database.claim_job_run(
        job="payment_reminders",
        scheduled_on=bill.due_date,
        owner="test",
        lease_seconds=60,
        started_by="test",
    )
    office.database.queue_reminders(
        run=run.ref(lease_seconds=60),
        today=bill.due_date,
        until=bill.due_date,
        limit=10,
        outbox=plan,
    )
    office.utility.services.outbox.sweep(lane="messages")


def amounts(providers: Providers) -> list[str]:
    """The titles of what the shared channel got, in order."""
    posts = [s.json for s in providers.discord.accepted() if s.path == SHARED_PATH]
    return [post["embeds"][0]["title"] for post in posts]


def test_what_is_over_the_rate_waits_and_keeps_back_no_other_channel(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office(rates=ONE_A_MINUTE)
    first, second = submit(office, "M1"), submit(office, "M2")
    assert work_of(office, first)[:2] == ("finished", "done")
    waits = "waits for its turn: Discord: in the queue; WhatsApp: sent"
    assert work_of(office, second) == ("open", "pending", waits)
    assert len(providers.whatsapp.accepted()) == 2
    wait = office.delivery.deliver(SHARED_DISCORD)
    assert wait is not None
    assert 50 < wait <= 60
    # Nobody but the queue takes it up, and waiting is no attempt.
    assert office.utility.services.outbox.sweep(lane="messages") == 0
    assert office.sql("select attempts from outbox where bill_id = %s", second) == [(0,)]
    (queue,) = office.database.message_queue()
    assert (queue.channel, queue.waiting) == (SHARED_DISCORD, 1)
    turn_comes(office)
    office.delivery.deliver(SHARED_DISCORD)
    assert work_of(office, second)[1:] == ("done", "Discord: sent; WhatsApp: sent")
    assert len(amounts(providers)) == 2
    assert len(providers.whatsapp.accepted()) == 2
    assert office.database.message_queue() == []
    assert office.delivery.deliver(SHARED_DISCORD) is None


def test_a_bill_of_today_goes_before_a_backlog_of_reminders(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office(rates=ONE_A_MINUTE)
    first = submit(office, "M1")
    owe_reminder(office, first)
    late = submit(office, "M2")
    assert work_of(office, first, "payment_reminder")[1] == "pending"
    assert work_of(office, late)[1] == "pending"
    for _ in range(2):
        turn_comes(office)
        office.delivery.deliver(SHARED_DISCORD)
    assert amounts(providers)[1:] == ["Electricity bill", "Payment reminder"]


def test_what_is_no_longer_true_leaves_the_queue_unsent(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office(rates=ONE_A_MINUTE)
    submit(office, "M1")
    bill = submit(office, "M2")
    office.database.void_bill(actor="test", bill_id=bill, reason="a test")
    turn_comes(office)
    office.delivery.deliver(SHARED_DISCORD)
    assert work_of(office, bill)[1:] == ("done", "nothing sent: the bill is void by now")
    assert office.log(bill)[SHARED_DISCORD].status == "not_configured"
    assert office.database.message_queue() == []
    assert len(amounts(providers)) == 1


def test_a_pause_that_discord_asks_for_holds_for_every_process(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office()
    providers.discord.faults += [reply(429, {"retry_after": 40.0, "global": False})]
    bill = submit(office, "M1")
    assert "asks to wait 40 seconds" in work_of(office, bill)[2]
    another_process = make_office()
    another_process.later()
    assert work_of(office, bill)[1:] == (
        "pending",
        "waits for its turn: Discord: in the queue; WhatsApp: sent",
    )
    assert len(providers.discord.seen) == 1
    turn_comes(office)
    another_process.delivery.deliver(SHARED_DISCORD)
    assert work_of(office, bill)[1] == "done"


def test_a_channel_that_refuses_from_the_queue_is_given_up_after_ten_attempts(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office(rates=ONE_A_MINUTE)
    submit(office, "M1")
    bill = submit(office, "M2")
    providers.discord.faults += [reply(500, {})] * MAX_ATTEMPTS
    turn_comes(office)
    office.delivery.deliver(SHARED_DISCORD)
    for _ in range(MAX_ATTEMPTS - 1):
        turn_comes(office)
        office.later()
    assert work_of(office, bill)[0] == "given_up"
    assert len([s for s in providers.discord.seen if s.path == SHARED_PATH]) == MAX_ATTEMPTS + 1


def test_a_process_that_dies_with_a_turn_sends_nothing_twice(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office(rates=ONE_A_MINUTE)
    submit(office, "M1")
    bill = submit(office, "M2")
    turn_comes(office)
    (owed,), _ = office.database.claim_messages(
        owner="dies", lease_seconds=0, channel=SHARED_DISCORD, per_minute=1, limit=5
    )
    assert (owed.bill_id, owed.granted) == (bill, SHARED_DISCORD)
    row = office.log(bill)[SHARED_DISCORD]
    begun = office.database.begin_notification(
        notification_id=row.id,
        bill_id=bill,
        kind="bill_issued",
        channel=SHARED_DISCORD,
        recipient="",
        body="",
        per_minute=1,
        granted=True,
    )
    assert begun.send
    # Taken up without the queue, as soon as the lease is over.
    office.utility.services.outbox.sweep(lane="messages")
    assert work_of(office, bill)[1] == "done"
    assert office.log(bill)[SHARED_DISCORD].status == "unknown"
    assert len(amounts(providers)) == 1


def test_eight_senders_keep_the_rate_together_and_save_nothing_up(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office(rates=ONE_A_MINUTE)
    bills = [submit(office, f"M{n}") for n in range(24)]
    handlers = office.utility.services.outbox.handlers
    databases = [CountingClaims(DirectTransport(office.dsn, pool_size=1)) for _ in range(8)]
    # After an hour in which nothing could leave. The turns are read off the database's own clock:
    # a busy machine may bring what left apart in time together again.
    office.sql("update message_rates set free_at = now() - interval '1 hour'")
    for statement in KEEP_TURNS:
        office.sql(statement)
    stop = time.monotonic() + 60

    def send(database: DatabaseService) -> None:
        delivery = Delivery(database, Outbox(database, handlers), {SHARED_DISCORD: 600})
        while time.monotonic() < stop:
            wait = delivery.deliver(SHARED_DISCORD)
            if wait is None:
                return
            time.sleep(wait / 2)

    before = len(amounts(providers))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, databases))
    for database in databases:
        database.close()
    assert {work_of(office, bill)[1] for bill in bills} == {"done"}
    at_once = [count for database in databases for count in database.claimed]
    assert len(amounts(providers)) == len(bills) == before + sum(at_once)
    # 600 a minute is two in 200 ms, after which the next two may leave.
    assert max(at_once) <= 2
    turns = [row[0] for row in office.sql("select given_at from turns order by given_at")]
    assert len(turns) == len([count for count in at_once if count])
    # One or two messages a turn, and the next turn 100 or 200 ms later.
    assert min(b - a for a, b in pairwise(turns)) >= timedelta(milliseconds=100)
    assert turns[-1] - turns[0] >= timedelta(milliseconds=100) * (sum(at_once) - 2)


@pytest.mark.parametrize("slow", [8, 9, 12])
def test_a_provider_that_is_slow_keeps_back_no_other(make_office: MakeOffice, slow: int) -> None:
    office = make_office()
    outbox = office.utility.services.outbox
    handlers = outbox.handlers
    assert isinstance(handlers, dict)
    handlers[8] = handlers[9]
    submit(office, "M1")
    went, at_work = threading.Event(), threading.Event()

    def waits(**_: object) -> object:
        at_work.set()
        assert went.wait(30)
        return handlers[slow]

    office.sql("update outbox set steps = %s, status = 'open', finished_at = null", PENDING)
    lanes: dict[int, Lane] = {8: "graph", 9: "links", 12: "messages"}
    real = handlers[slow]
    handlers[slow] = waits
    office.sql("update outbox set created_at = now() - interval '1 hour', next_attempt_at = now()")
    blocked = threading.Thread(target=outbox.sweep, kwargs={"lane": lanes[slow], "limit": 1})
    blocked.start()
    assert at_work.wait(30)
    handlers[slow] = real
    late = submit(office, "M2")
    office.sql(
        "update outbox set steps = %s, status = 'open', finished_at = null, lease_until = null,"
        " created_at = now() - interval '1 hour', next_attempt_at = now() where bill_id = %s",
        PENDING,
        late,
    )
    others = [lane for step, lane in lanes.items() if step != slow]
    for lane in others:
        assert outbox.sweep(lane=lane) == 1
    (work,) = office.database.outbox_of(late)
    held_back = LANE_STEPS[lanes[slow]]
    assert {s.status for n, s in work.steps.items() if n not in held_back} == {"done"}
    went.set()
    blocked.join()


PENDING = (
    '{"8": {"status": "pending", "detail": ""}, "9": {"status": "pending", "detail": ""},'
    ' "10": {"status": "pending", "detail": ""}, "11": {"status": "pending", "detail": ""},'
    ' "12": {"status": "pending", "detail": ""}, "13": {"status": "pending", "detail": ""}}'
)
