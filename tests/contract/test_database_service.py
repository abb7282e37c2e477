"""Every method of DatabaseService over both transports; what is read is compared with a direct
reading of the same database, value by value and type by type."""

import inspect
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import (
    ChainMoved,
    IdempotencyKeyReused,
    IllegalChange,
    LeaseLost,
    NotFound,
    ReadingConflict,
    RunTakenOver,
)
from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.outbox.steps import WaitsForTurn
from services.quantities.period import next_month
from services.records.jobs import DueCursor, SetAside
from services.tariffs import parse_tariff
from tests.contract.over import Over, dsn_of
from tests.integration.utility import ACTOR, ADMIN, ENGINEER, KSEB

Json = dict[str, Any]
RUN: Json = {"job": "monthly_bills", "scheduled_on": date(2026, 10, 1)}


def test_ping_and_what_an_empty_utility_answers(over: Over) -> None:
    over.here.ping()
    assert over.same("find_meters", text="") == []
    assert over.same("bills").total == 0
    assert over.same("readings").total == 0
    assert over.same("job_runs").total == 0
    assert len(over.same("tariff_versions")) == 1
    over.same("overview", currency="INR", today=over.utility.today)
    with pytest.raises(NotFound):
        over.here.bill(str(uuid4()))
    with pytest.raises(NotFound):
        over.here.reading("no uuid")


@pytest.mark.parametrize(
    "word", ["a.b", "a,b", "(x)", 'q"q', "o'k", "50%", "a*b", "a\\b", "ഗ്രാമം", "x_y"]
)
def test_meters_are_found_by_any_word(over: Over, word: str) -> None:
    over.utility.add_meter(f"S-{word}")
    over.utility.add_meter("S-aXb50xyqqok")
    assert [m.serial for m in over.same("find_meters", text=word)] == [f"S-{word}"]
    assert over.same("account_numbers", limit=5) == sorted([f"A-S-{word}", "A-S-aXb50xyqqok"])
    assert sorted(over.same("meter_sample", limit=5)) == sorted([f"S-{word}", "S-aXb50xyqqok"])
    assert len(over.same("meter_sample", limit=1)) == 1


def test_smart_meters_come_in_pages(over: Over) -> None:
    for serial in ("M1", "M2", "M3"):
        over.utility.add_meter(serial, kind="smart")
    over.utility.add_meter("M4")
    assert [m.serial for m in over.same("smart_meters", limit=2)] == ["M1", "M2"]
    assert [m.serial for m in over.same("smart_meters", after="M2", limit=2)] == ["M3"]


def test_a_reading_becomes_a_bill_and_is_read_back(over: Over) -> None:
    meter = over.utility.add_meter("M1")
    submitted = over.utility.submit("M1", 1117, key="key-1")
    assert submitted.bill is not None
    assert submitted.bill.total_minor == 54035
    bill = over.same("bill", submitted.bill.id)
    assert (bill.number, bill.status, bill.consumption_wh) == (1, "issued", 117_000)
    reading = over.same("reading", bill.closing_reading_id)
    assert (reading.register_wh, reading.status) == (1_117_000, "accepted")
    by_whom: tuple[Json, ...] = ({"meter_id": meter}, {"submitted_by": ENGINEER.user})
    for wanted in ({"status": "accepted"}, *by_whom):
        assert over.same("readings", **wanted).total >= 1
    # A period that ends on the first is of the month before.
    month = (bill.period_end - timedelta(days=1)).replace(day=1)
    searches: tuple[Json, ...] = ({"text": "M1"}, {"status": "issued"}, {"month": month})
    for search in (*searches, {"page_size": 1}):
        assert over.same("bills", **search).total == 1
    assert over.same("bills", page=2).items == ()
    assert over.same("customer_bills", customer="A-M1", limit=5) == ([bill], None)
    with pytest.raises(NotFound):
        over.here.customer_bills(customer="nobody", limit=5)
    (outbox,) = over.same("outbox_of", bill.id)
    assert outbox.kind == "bill_issued"
    (read,) = over.same("meter_reads", serials=["M1"])
    assert [r.register_wh for r in read.reads] == [1_000_000, 1_117_000]
    since = over.utility.today
    assert len(over.same("meter_reads", serials=["M1"], since=since)[0].reads) == 1
    assert over.same("overview", currency="INR", today=over.utility.today).meters == 1


def test_the_same_reading_twice_is_one(over: Over) -> None:
    over.utility.add_meter("M1")
    first = over.utility.submit("M1", 1117, key="key-1")
    again = over.utility.submit("M1", 1117, key="key-1")
    assert first.bill is not None
    assert again.outcome == "replay"
    assert over.same("bills").total == 1
    with pytest.raises(IdempotencyKeyReused):
        over.utility.submit("M1", 1118, key="key-1")
    with pytest.raises(ReadingConflict):
        over.utility.submit("M1", 1118, key="key-2")
    with pytest.raises(NotFound):
        over.utility.submit("M2", 1, key="key-3")


def test_a_bill_priced_from_a_moved_chain_is_refused_and_its_repeat_is_not(over: Over) -> None:
    over.utility.add_meter("M1")
    draft = over.draft("M1", 1117)
    row: Json = {"id": str(uuid4()), "meter_id": draft.constants.meter_id}
    at = over.utility.now + timedelta(minutes=1)
    row |= {"read_at": at.isoformat(), "read_on": over.utility.today.isoformat()}
    row |= {"register_wh": 1_200_000, "source": "field", "submitted_by": "x"}
    row |= {"status": "accepted", "validation": {}}
    opening = draft.opening.model_copy(update={"id": draft.closing.id})
    closing = draft.closing.model_copy(update={"id": row["id"], "register_wh": 1_200_000})
    stale = replace(draft, id=str(uuid4()), opening=opening, closing=closing)
    commit: Json = {"actor": ACTOR, "reading": row, "neighbours": (draft.closing.id, None)}
    with pytest.raises(ChainMoved):
        over.here.commit_reading(**commit, bill=stale)
    with pytest.raises(ChainMoved):
        over.here.commit_reading(**{**commit, "neighbours": (None, None)}, bill=None)
    first = over.here.commit_reading(**commit, bill=None)
    assert over.here.commit_reading(**commit, bill=None) == first
    over.here.keep_idempotency_key(
        caller=ACTOR, idempotency_key="k", body_hash="h", reading_id=row["id"]
    )


def test_who_read_a_meter_and_what_came_after_a_day(over: Over) -> None:
    meter = over.utility.add_meter("M1")
    read = over.utility.submit("M1", 1117).reading
    asked: Json = {"meter_id": meter}
    assert over.same("has_read_meter", user=read.submitted_by, **asked)
    assert not over.same("has_read_meter", user="somebody.else", **asked)
    (after,) = over.same("accepted_after", after=read.read_on - timedelta(days=1), **asked)
    assert after.id == read.id
    assert over.same("accepted_after", after=read.read_on, **asked) == []


def test_what_a_meter_measured_in_some_days(over: Over) -> None:
    meter = over.utility.add_meter("M1")
    read = over.utility.submit("M1", 1117).reading
    day = over.utility.today - timedelta(days=1)
    half: Json = {"row": 2, "meter_serial": "M1", "day": day.isoformat(), "minutes": 60}
    half |= {"wh": [None] * 12 + [5] * 12, "quality": [None] * 12 + [8] * 12}
    over.here.import_rows(what="intervals", actor="t", rows=[half], dry_run=False)
    asked: Json = {"meter_id": meter, "start": day, "end": over.utility.today + timedelta(days=1)}
    found = over.same("meter_series", **asked)
    (part,) = found.days
    assert (part.day, part.wh, part.quality) == (day, tuple(half["wh"]), tuple(half["quality"]))
    assert [one.register_wh for one in found.reads] == [read.register_wh]
    assert over.same("meter_series", **asked | {"start": asked["end"]}).days == ()


def test_what_an_estimate_rests_on(over: Over) -> None:
    over.utility.add_meter("M1")
    context = over.here.reading_context(
        meter_serial="M1", read_at=over.utility.now, read_on=over.utility.today
    )
    agreement = context.meter.agreement_id
    assert agreement is not None
    (facts,) = over.same("estimate_facts", at={agreement: over.utility.today})
    assert (facts.serial, facts.last.id, facts.in_a_row) == ("M1", context.opening.id, 0)
    assert facts.class_use is not None
    assert facts.class_use.meters == 0
    opened = over.utility.today - timedelta(days=40)
    assert over.same("estimate_facts", at={agreement: opened}) == []


def test_an_estimate_is_stored_once_and_where_no_read_came(over: Over) -> None:
    over.utility.add_meter("M1")
    over.utility.add_meter("M2")
    rows: list[Json] = []
    for serial in ("M1", "M2"):
        context = over.here.reading_context(
            meter_serial=serial, read_at=over.utility.now, read_on=over.utility.today
        )
        row: Json = {"id": str(uuid4()), "meter_id": context.meter.id, "register_wh": 1_100_000}
        row |= {"read_at": over.utility.now.isoformat(), "read_on": str(over.utility.today)}
        rows.append(row | {"validation": {}, "last_id": context.opening.id})
    over.utility.submit("M2", 1050, at=over.utility.now - timedelta(hours=1))
    today = over.utility.today
    # Of yesterday, whose cycle does not end today, on whatever day this is.
    yesterday = today - timedelta(days=1)
    claimed, run = over.here.claim_job_run(
        job="monthly_bills", scheduled_on=yesterday, owner="a", lease_seconds=60, started_by="test"
    )
    assert claimed
    ref = run.ref(lease_seconds=60)
    ask = {"id": str(uuid4()), "meter_id": rows[1]["meter_id"], "reason": "Read it"}
    asked: Json = {"actor": "job", "run": ref, "rows": rows}
    asked["ask"] = [ask | {"requested_on": str(today)}]
    for _ in range(2):
        assert over.here.store_estimates(**asked) == {rows[0]["id"]}
    assert over.here.reading(rows[0]["id"]).source == "estimated"
    over.here.queue_for_estimates(run=ref, before=today)
    history = over.same("job_history", estimate_before=None)
    assert not history.late_reads
    assert over.same("installed_at") == history.installed_at


def test_a_flagged_reading_is_decided_once(over: Over) -> None:
    over.utility.add_meter("M1")
    assert over.utility.submit("M1", 990).outcome == "needs_review"
    (flagged,) = over.same("readings", status="needs_review").items
    decided = over.here.decide_reading(
        actor=ADMIN.user, reading_id=flagged.id, status="rejected", reason="misread"
    )
    assert decided.reading.status == "rejected"
    with pytest.raises(IllegalChange):
        over.here.decide_reading(
            actor=ADMIN.user, reading_id=flagged.id, status="accepted", reason="no"
        )
    over.same("reading", flagged.id)
    (meter,) = over.same("meter_reads", serials=["M1"], every_status=True)
    assert [r.status for r in meter.reads] == ["accepted", "rejected"]


def test_a_draft_is_stored_issued_paid_and_never_voided_out_of_turn(over: Over) -> None:
    over.utility.add_meter("M1")
    draft = over.draft("M1", 1117)
    assert over.here.store_job_bills(actor=ACTOR, bills=[draft]) == (1, [])
    assert over.here.store_job_bills(actor=ACTOR, bills=[draft])[0] in {0, 1}
    assert over.same("bills", status="draft").total == 1
    today = over.utility.today
    outbox = over.utility.services.outbox.plan(bill_id=draft.id, kind="bill_issued")
    issue: Json = {"actor": ADMIN.user, "bills": [{"bill_id": draft.id, "owed": outbox}]}
    issue |= {"issued_at": over.utility.now, "issued_on": today}
    issue["due_date"] = today + timedelta(days=15)
    issued, (bill,) = over.here.issue_bills(**issue)
    assert (issued, bill.number, bill.status) == (1, 1, "issued")
    issued, (bill,) = over.here.issue_bills(**issue)
    assert (issued, bill.number) == (0, 1)
    payment_id = str(uuid4())
    assert over.pay(bill, 40_000, payment_id=payment_id) == 1
    assert over.pay(bill, 40_000, payment_id=payment_id) == 0
    assert over.same("bill", bill.id).status == "partially_paid"
    assert over.pay(bill, 20_000) == 1
    assert over.same("account", bill.customer_id).balance_minor == bill.total_minor - 60_000
    over.same("overview", currency="INR", today=today, months=3)
    with pytest.raises(NotFound):
        over.here.void_bill(actor=ADMIN.user, bill_id=str(uuid4()), reason="none")


def test_of_a_batch_those_are_stored_whose_chain_did_not_move(over: Over) -> None:
    drafts = []
    for serial in ("M1", "M2", "M3"):
        over.utility.add_meter(serial)
        drafts.append(over.draft(serial, 1117))
    stays, billed_before, voided = drafts
    # Another bill came between, and the very bill was stored and voided.
    earlier = over.utility.submit("M2", 1050, at=over.utility.now - timedelta(days=10)).bill
    assert earlier is not None
    assert over.here.store_job_bills(actor=ACTOR, bills=[voided]) == (1, [])
    over.here.void_bill(actor=ADMIN.user, bill_id=voided.id, reason="wrong meter")
    stored, moved = over.here.store_job_bills(actor=ACTOR, bills=drafts)
    # The bill that came between has the id of the one that it came before.
    assert (stored, moved) == (1, [voided.agreement_id])
    assert over.same("bill", billed_before.id).closing_reading_id == earlier.closing_reading_id
    assert over.same("bill", stays.id).status == "draft"
    assert over.same("bill", voided.id).status == "void"


def test_a_void_bill_leaves_its_place_to_another(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    void = over.here.void_bill(actor=ADMIN.user, bill_id=bill.id, reason="wrong meter")
    assert void.status == "void"
    assert over.same("bill", bill.id) == void


def test_amounts_beyond_two_to_the_53rd_stay_exact(over: Over) -> None:
    over.utility.add_meter("M1")
    draft = over.draft("M1", 1117)
    huge = 2**60 + 1
    (line,) = draft.rated.lines[:1]
    lines = (replace(line, amount_minor=huge),)
    rated = replace(draft.rated, lines=lines)
    over.here.store_job_bills(actor=ACTOR, bills=[replace(draft, rated=rated)])
    bill = over.same("bill", draft.id)
    assert (bill.total_minor, bill.lines[0].amount_minor) == (huge, huge)


def test_outbox_is_leased_saved_and_lost(over: Over) -> None:
    over.utility.add_meter("M1")

    def away(**_: Any) -> Any:
        raise TemporaryFailure("away")

    handlers = over.utility.services.outbox.handlers
    assert isinstance(handlers, dict)
    handlers[8] = away
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("update public.outbox set next_attempt_at = now(), lease_until = null")
    (work,) = over.here.claim_outbox(owner="here", lease_seconds=60, limit=5)
    assert work.bill_id == bill.id
    assert over.here.claim_outbox(owner="there", lease_seconds=60, limit=5) == []
    saved: Json = {"id": work.id, "steps": {}, "status": "finished", "attempts": 2}
    saved |= {"retry_in_seconds": 0, "release": True, "lease_seconds": 60, "payment_url": None}
    with pytest.raises(LeaseLost):
        over.here.save_outbox(actor=ACTOR, work=saved | {"owner": "there", "notifications": []})
    over.here.save_outbox(actor=ACTOR, work=saved | {"owner": "here", "notifications": []})
    (row,) = over.same("outbox_of", bill.id)
    assert row.status == "finished"


def test_messages_wait_for_their_turn_and_are_handed_out_by_it(over: Over) -> None:
    over.utility.add_meter("M1")
    handlers = over.utility.services.outbox.handlers
    assert isinstance(handlers, dict)

    def waits(**_: Any) -> Any:
        raise WaitsForTurn("Discord")

    handlers[12] = waits
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    say: Json = {"bill_id": bill.id, "kind": "bill_issued", "recipient": "r", "body": "b"}
    say |= {"channel": "discord", "per_minute": 1, "notification_id": str(uuid4())}
    over.here.pause_channel(channel="discord", ms=60_000)
    claim = over.here.begin_notification(**say)
    assert (claim.send, claim.status, claim.queued) == (False, "waiting", True)
    (queue,) = over.same("message_queue")
    assert (queue.channel, queue.waiting) == ("discord", 1)
    over.here.message_book.hold_message(bill_id=bill.id, kind="bill_issued", occasion="")
    assert over.here.message_queue() == []
    assert over.here.begin_notification(**say).queued
    hand_out: Json = {"owner": "here", "lease_seconds": 60, "channel": "discord", "limit": 5}
    owed, wait = over.here.claim_messages(**hand_out, per_minute=1)
    assert owed == []
    assert wait is not None
    assert 50 < wait <= 60
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("update public.message_rates set free_at = now()")
    (work,), wait = over.here.claim_messages(**hand_out, per_minute=1)
    assert (work.bill_id, work.granted) == (bill.id, "discord")
    assert over.here.begin_notification(**say, granted=True).send
    assert over.here.message_queue() == []
    assert over.here.claim_messages(**hand_out, per_minute=1) == ([], None)


def test_refused_work_is_listed_and_taken_up_again(over: Over) -> None:
    over.utility.add_meter("M1")

    def refused(**_: Any) -> Any:
        raise FinalFailure("the account is closed")

    handlers = over.utility.services.outbox.handlers
    assert isinstance(handlers, dict)
    handlers[8] = refused
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    (work,) = over.same("failed_work").items
    assert work.bill_id == bill.id
    over.here.retry_outbox(actor=ADMIN.user, work_id=work.id)
    assert over.same("failed_work").total == 0
    with pytest.raises(NotFound):
        over.here.retry_outbox(actor=ADMIN.user, work_id=str(uuid4()))


def test_a_payment_link_is_kept_for_the_balance_and_closed(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    link: Json = {"actor": ACTOR, "link_id": "plink_1", "bill_id": bill.id, "currency": "INR"}
    link["url"] = "https://pay.example.org/1?a=b&c=d"
    assert over.here.save_payment_link(**link, amount_minor=54_035)
    assert over.same("bill", bill.id).payment_url == link["url"]
    other = link | {"link_id": "plink_2"}
    assert not over.here.save_payment_link(**other, amount_minor=54_034)
    over.here.close_payment_link(actor=ACTOR, link_id="plink_1")
    assert over.same("bill", bill.id).payment_url is None
    assert not any(kept.active for kept in over.same("payment_links", bill_id=bill.id))


def test_customers_are_reached_as_they_agreed(over: Over) -> None:
    over.utility.add_meter("M1")
    customer = over.here.find_meters(text="M1")[0].customer_id
    assert over.same("customer_contact", customer).discord_webhook_url is None
    row: Json = {"account_no": "A-M1", "whatsapp_opt_in_at": "2026-11-01T00:00:00+00:00"}
    row["discord_webhook_url"] = "https://discord.com/api/webhooks/1/secret"
    assert over.here.set_customer_channels(actor=ADMIN.user, rows=[row]) == 1
    contact = over.same("customer_contact", customer)
    assert contact.discord_webhook_url.get_secret_value() == row["discord_webhook_url"]
    assert contact.whatsapp_opt_in_at is not None
    with pytest.raises(NotFound):
        over.here.set_customer_channels(actor=ADMIN.user, rows=[row | {"account_no": "none"}])


def test_a_message_is_sent_once_and_its_fate_is_kept(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    message: Json = {"notification_id": str(uuid4()), "bill_id": bill.id, "kind": "bill_issued"}
    message |= {"channel": "discord", "recipient": "shared", "body": "Your bill, *ready*"}
    assert over.here.begin_notification(**message).send
    over.here.end_notification(
        notification_id=message["notification_id"], status="sent", message_id="42"
    )
    assert not over.here.begin_notification(**message).send
    (kept,) = over.same("notifications", bill_id=bill.id).items
    assert (kept.status, kept.body, kept.message_id) == ("sent", message["body"], "42")


def test_the_clock_is_looked_at_doubted_and_confirmed(over: Over) -> None:
    at = over.utility.now
    seen: Json = {"machine": "boot:1", "at": at, "uptime_seconds": 60}
    over.here.note_clock(**seen, doubt=None)
    state = over.here.clock_state(machine="boot:1")
    assert state.seen is not None
    assert (state.newest_seen, state.seen.seen_at, state.seen.uptime_seconds) == (at, at, 60)
    assert abs(state.now - over.direct.clock_state(machine="boot:2").now) < timedelta(minutes=1)
    over.here.note_clock(**seen, doubt="Too late.")
    doubted = over.here.clock_state(machine="boot:2")
    assert (doubted.doubted_at, doubted.doubt, doubted.seen) == (at, "Too late.", None)
    over.here.confirm_clock(actor=ACTOR, **seen)
    assert over.here.clock_state(machine="boot:1").doubted_at is None


def test_a_job_s_run_is_claimed_counted_and_taken_over(over: Over) -> None:
    claim: Json = {**RUN, "owner": "a", "lease_seconds": 60, "started_by": "test"}
    mine, run = over.here.claim_job_run(**claim)
    assert mine
    assert not over.here.claim_job_run(**{**claim, "owner": "b"})[0]
    ref = run.ref(lease_seconds=60)
    aside = [SetAside(subject="M1, (x)", reason='no "reading"')]
    over.here.note_job_progress(run=ref, done=3, set_aside=aside)
    (kept,) = over.same("set_aside", **RUN)
    assert (kept.subject, kept.reason) == ("M1, (x)", 'no "reading"')
    assert over.same("job_runs").items[0].done_count == 3
    assert over.here.release_job_run(run=ref).attempt == run.attempt
    again, second = over.here.claim_job_run(**{**claim, "owner": "b"})
    assert again
    with pytest.raises(RunTakenOver):
        over.here.note_job_progress(run=ref, done=1)
    ref = second.ref(lease_seconds=60)
    over.here.note_job_progress(run=ref, expected=40)
    paused = over.here.pause_job_run(actor="a", **RUN, detail="Paused by a.")
    assert (paused.status, paused.expected_count, paused.detail) == ("paused", 40, "Paused by a.")
    with pytest.raises(RunTakenOver):
        over.here.note_job_progress(run=ref, done=1)
    assert over.here.resume_job_run(actor="a", **RUN).status == "interrupted"
    assert over.here.finish_job_run(run=ref, status="done", detail="ok").status == "done"
    history = over.same("job_history", since={"monthly_bills": date(2026, 1, 1)})
    assert [run.job for run in history.runs] == ["monthly_bills"]


def test_a_meter_that_a_read_comes_late_for_is_queued_and_leaves_the_queue(over: Over) -> None:
    first = over.utility.today.replace(day=1)
    job: Json = {"job": "monthly_bills", "scheduled_on": first}
    _, run = over.here.claim_job_run(**job, owner="a", lease_seconds=60, started_by="test")
    ref = run.ref(lease_seconds=60)
    meter = over.utility.add_meter("LATE", opened_on=first - timedelta(days=31))
    (reads,) = over.same("meter_reads", serials=["LATE"])
    asked: Json = {"on": first, "after": None, "limit": 10, "only": [reads.agreement_id]}
    (candidate,) = over.same("monthly_bill_candidates", **asked).agreements
    assert over.here.monthly_bill_candidates(**(asked | {"only": []})).agreements == ()
    over.utility.submit("LATE", 900, at=over.utility.now.replace(day=1, hour=0), source="imported")
    facts = over.same("unbilled_facts", agreements=[candidate.agreement_id], on=first)
    assert facts[candidate.agreement_id].kept_back.status == "needs_review"
    assert over.same("agreements_to_bill", after=None, limit=10) == []
    aside = SetAside(
        subject="LATE",
        reason="x",
        code="moved",
        meter_id=meter,
        agreement_id=candidate.agreement_id,
        again=True,
    )
    over.here.note_job_progress(run=ref, set_aside=[aside])
    (queued,) = over.same("agreements_to_bill", after=None, limit=10)
    assert queued.agreement_id == candidate.agreement_id
    (kept,) = over.same("set_aside", **job)
    assert (kept.code, kept.ref) == ("moved", None)
    over.here.note_job_progress(run=ref, looked_at=[queued], settled=[candidate.agreement_id])
    assert over.same("agreements_to_bill", after=None, limit=10) == []
    assert over.same("set_aside", **job) == []
    assert over.same("job_runs").items[0].failed_count == 0
    over.here.finish_job_run(run=ref, status="done", detail="")
    claim: Json = {**job, "owner": "b", "lease_seconds": 60, "started_by": "test"}
    assert not over.here.claim_job_run(**claim, resume_attempt=2)[0]
    assert over.here.claim_job_run(**claim, resume_attempt=1)[1].attempt == run.attempt + 1


def test_candidates_reminders_and_overdue_bills(over: Over) -> None:
    for serial in ("M1", "M2"):
        over.utility.add_meter(serial)
    today = over.utility.today
    asked: Json = {"on": today, "billing_day": 1, "after": None, "limit": 1}
    page = over.same("monthly_bill_candidates", **asked)
    assert len(page.agreements) <= 1
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    assert bill.due_date is not None
    claim: Json = {"owner": "a", "lease_seconds": 60, "started_by": "test"}
    _, run = over.here.claim_job_run(job="payment_reminders", scheduled_on=today, **claim)
    ref = run.ref(lease_seconds=60)
    steps = over.utility.services.outbox
    reminder = steps.plan_for_any("payment_reminder")
    due: Json = {"today": bill.due_date, "until": bill.due_date, "limit": 10, "outbox": reminder}
    key = DueCursor(due_date=bill.due_date, id=bill.id)
    assert over.here.queue_reminders(run=ref, **due | {"limit": 1}) == (1, key)
    assert over.here.queue_reminders(run=ref, **due, after=key) == (0, None)
    assert over.here.queue_reminders(run=ref, **due) == (0, None)
    _, run = over.here.claim_job_run(job="overdue_marking", scheduled_on=today, **claim)
    ref = run.ref(lease_seconds=60)
    late: Json = {"today": bill.due_date + timedelta(days=1), "limit": 10}
    late["outbox"] = steps.plan_for_any("overdue_notice")
    assert over.here.mark_overdue(actor=ACTOR, run=ref, **late) == (1, None)
    assert over.same("bill", bill.id).status == "overdue"
    assert len(over.same("outbox_of", bill.id)) == 3


def test_an_import_says_what_is_wrong_and_writes_what_is_right(over: Over) -> None:
    row: Json = {"row": 1, "id": str(uuid4()), "account_no": "A, (1)"}
    row |= {"name": 'Ann "₹" O\'Neil', "email": "", "phone": "", "address": "1\nHill; Road"}
    ask: Json = {"what": "customers", "actor": ACTOR, "rows": [row]}
    assert over.here.import_rows(**ask, dry_run=True).errors == ()
    assert over.same("account_numbers", limit=5) == []
    assert over.here.import_rows(**ask, dry_run=False).added == 1
    assert over.same("account_numbers", limit=5) == ["A, (1)"]
    meter: Json = {"row": 7, "id": str(uuid4()), "serial": "M1", "account_no": "none", "dials": 5}
    meter |= {"tariff_code": KSEB["code"], "kind": "manual", "multiplier_milli": 1000}
    meter |= {"opened_on": "2026-01-01", "opening_wh": 0}
    answer = over.here.import_rows(what="meters", actor=ACTOR, rows=[meter], dry_run=False)
    assert [error.row for error in answer.errors] == [7]


def test_what_an_import_would_do_is_seen_and_not_done(over: Over) -> None:
    row: Json = {"row": 1, "id": str(uuid4()), "account_no": "A1", "name": "Ann"}
    ask: Json = {"what": "customers", "actor": ACTOR}
    new = over.same("preview_import", **ask, rows=[row], most=5)
    assert (new.added, new.new_names, new.differences) == (1, ("A1",), ())
    assert over.same("account_numbers", limit=5) == []
    assert over.here.import_rows(**ask, rows=[row], dry_run=False).added == 1
    changed = over.same("preview_import", **ask, rows=[row | {"name": "Eve"}], most=5)
    (found,) = changed.differences
    assert (found.of, found.name, found.field) == ("customers", "A1", "name")
    assert (found.before, found.after) == ("Ann", "Eve")
    assert over.here.account_numbered("A1").name == "Ann"


def test_what_headings_mean_is_remembered(over: Over) -> None:
    assert over.same("import_headings", kind="customers") == []
    heading: Json = {"id": str(uuid4()), "heading": "Konto, Nr.", "heading_key": "kontonr"}
    for field in ("account_no", "", ""):
        over.here.set_import_headings(
            actor=ACTOR, kind="customers", headings=[heading | {"field": field}]
        )
    (said,) = over.same("import_headings", kind="customers")
    assert (said.heading, said.heading_key, said.field) == ("Konto, Nr.", "kontonr", "")
    assert over.same("import_headings", kind="meters") == []


@pytest.mark.parametrize("kind", ["customers", "meters", "transformers"])
def test_identifiers_that_look_alike_have_one_key(over: Over, kind: str) -> None:
    (one, other) = over.same("identifier_keys", kind=kind, identifiers=["00NEW", " new"])
    assert (one.key, one.known) == (other.key, None) == ("NEW", None)


def test_api_keys_are_kept_found_and_revoked(over: Over) -> None:
    key: Json = {"actor": ADMIN.user, "key_id": str(uuid4()), "name": "Head, (end)"}
    key |= {"scope": "all", "expires_at": over.utility.now + timedelta(days=1)}
    over.here.add_api_key(**key, key_hash="ab" * 32, role="engineer")
    with pytest.raises(IllegalChange):
        over.here.add_api_key(**key | {"key_id": str(uuid4())}, key_hash="cd" * 32, role="engineer")
    found = over.same("api_key", key_hash="ab" * 32)
    assert (found.name, found.role) == ("Head, (end)", "engineer")
    assert over.same("api_key", key_hash="00" * 32) is None
    over.here.revoke_api_key(actor=ADMIN.user, key_id=key["key_id"])
    assert over.same("api_key", key_hash="ab" * 32) is None
    (revoked,) = over.same("api_keys")
    assert revoked.revoked_by == ADMIN.user
    with pytest.raises(NotFound):
        over.here.revoke_api_key(actor=ADMIN.user, key_id=str(uuid4()))


def test_more_readings_than_rest_gives_at_once(over: Over) -> None:
    meter = over.utility.add_meter("M1", opened_on=over.utility.today - timedelta(days=1500))
    rows = []
    for day in range(1, 1301):
        at = over.utility.now - timedelta(days=1400 - day)
        row: Json = {"id": str(uuid4()), "meter_id": meter, "read_at": at.isoformat()}
        row |= {"read_on": at.date().isoformat(), "register_wh": 1_000_000 + day}
        rows.append(row | {"status": "accepted", "validation": {}})
    assert over.here.import_readings(actor=ACTOR, rows=rows).added == 1300
    page = over.same("readings", meter_id=meter, page_size=1200)
    assert (len(page.items), page.total) == (1200, 1301)
    assert len({reading.id for reading in page.items}) == 1200
    assert len(over.same("meter_reads", serials=["M1"])[0].reads) == 1301


def test_a_tariff_is_published_once_and_shows_who_did(over: Over) -> None:
    tariff = parse_tariff(KSEB | {"code": "NEW", "name": "New, (1)"})
    given: Json = {"version_id": str(uuid4()), "tariff_id": str(uuid4()), "tariff": tariff}
    assert over.here.publish_tariff(actor=ADMIN.user, **given)
    assert not over.here.publish_tariff(actor=ADMIN.user, **given)
    other = parse_tariff(KSEB | {"code": "NEW", "name": "Another"})
    with pytest.raises(IllegalChange, match="already has another version"):
        over.here.publish_tariff(actor=ADMIN.user, **given | {"tariff": other})
    (version,) = over.same("published_versions", code="NEW")
    assert (version.published_by, version.tariff) == (ADMIN.user, tariff)
    assert over.same("published_versions", code="n, (1)") == []
    kseb, new = over.same("tariffs")
    assert (new.code, new.meters, new.billed_until) == ("NEW", 0, None)
    assert (kseb.code, kseb.begins) == (KSEB["code"], (date(2020, 1, 1),))


def test_what_a_tariff_billed_comes_in_pages(over: Over) -> None:
    (kseb,) = over.same("tariffs")
    bills = []
    for serial in ("M1", "M2", "M3"):
        over.utility.add_meter(serial)
        submitted = over.utility.submit(serial, 1117)
        assert submitted.bill is not None
        bills.append(submitted.bill)
    month = bills[0].period_start.replace(day=1)
    while not bills[0].period_end <= next_month(month):
        month = next_month(month)
    asked: Json = {"tariff_id": kseb.id, "month": month}
    first = over.same("billed_uses", **asked, limit=2)
    rest = over.same("billed_uses", **asked, after=first[-1], limit=2)
    assert {use.id for use in (*first, *rest)} == {bill.id for bill in bills}
    assert {(use.consumption_wh, use.total_minor) for use in first} == {(117_000, 54035)}
    assert over.same("billed_uses", **asked | {"month": next_month(month)}, limit=2) == []
    assert over.same("tariffs")[0].billed_until == bills[0].period_end


def test_no_method_is_left_out_here() -> None:
    """A method that DatabaseService gains must be tried on both transports too."""
    files = [Path(__file__).with_name("over.py"), *Path(__file__).parent.glob("test_*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    public = {n for n, _ in inspect.getmembers(DatabaseService, inspect.isfunction) if n[0] != "_"}
    used = {name for name in public if re.search(rf'((here|database)\.{name}\()|("{name}")', text)}
    # Through build_services, and closed with it.
    assert public - used - {"close", "reading_context"} == set()
