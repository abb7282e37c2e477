"""Collecting smart meters over real HTTP from a head-end on loopback."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.container import Services
from services.database.errors import RunTakenOver
from services.integrations.head_end import HeadEnd, HeadEndAway, HeadEndRefused
from services.jobs import meter_collection
from services.jobs.by_hand import run_job
from services.jobs.runs import claim, perform
from services.records.jobs import JobRun
from tests.certificates import make_certificate
from tests.integration.head_end import SUNDAY, Answer, StandIn, reading, standing_in
from tests.integration.metered import Metered
from tests.integration.utility import Utility, make_utility

OPENED = date(2026, 10, 1)


@pytest.fixture
def head_end() -> Iterator[StandIn]:
    with standing_in() as stand_in:
        yield stand_in


@contextmanager
def client(url: str, token: str | None = None) -> Iterator[HeadEnd]:
    made = HeadEnd(url, token, pause=lambda _: None)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def utility(database: str, tmp_path: Path, head_end: StandIn) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=SUNDAY)
    made.services = replace(made.services, headend_url=head_end.url)
    yield made
    made.services.close()


def add_smart_meters(utility: Utility, *serials: str) -> None:
    for serial in serials:
        utility.add_meter(serial, opening_kwh=1000, opened_on=OPENED, kind="smart")


def collect(services: Services, at: datetime = SUNDAY) -> JobRun:
    return run_job(services, "meter_collection", at, "test")


def reasons(utility: Utility, run: JobRun) -> dict[str, str]:
    rows = utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    return {row.subject: row.reason for row in rows}


# -- the client --------------------------------------------------------------------------------


def test_a_reading_comes_with_exact_numbers_and_the_token_is_sent(head_end: StandIn) -> None:
    head_end.answers = lambda s: (
        200,
        f'{{"serial": "{s}", "reading_kwh": 1117.10, "read_at": "2026-11-01T08:00", "x": 1}}',
    )
    with client(head_end.url, "s3cret") as made:
        answer = made.read("S 1/a?b")
    expected = {"serial": "S 1/a?b", "reading_kwh": Decimal("1117.10")}
    assert answer == expected | {"read_at": "2026-11-01T08:00"}
    assert head_end.paths == ["/meters/S%201%2Fa%3Fb/reading"]
    assert head_end.headers["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, "{}", "does not know meter S1"),
        (401, "{}", "does not let us in"),
        (400, "{}", "answered 400"),
        (302, "{}", "sends us elsewhere"),
        (200, "<html>", "is not JSON"),
        (200, "[" * 50_000, "is not JSON"),
        (200, '{"serial": "S1", "reading_kwh": NaN, "read_at": "x"}', "is not JSON"),
        (200, '{"serial": "S1", "reading_kwh": %s, "read_at": "x"}' % ("9" * 5000), "is not JSON"),
        (200, '["serial", "reading_kwh", "read_at"]', "lacks one of"),
        (200, '{"serial": "S1", "reading_kwh": 1}', "lacks one of"),
        (200, reading("S2", 1117)[1], "Asked for meter S1, the head-end answered for 'S2'"),
        (200, " " * 70_000, "longer than 64 kB"),
    ],
)
def test_what_asking_again_will_not_change_is_refused_at_once(
    head_end: StandIn, status: int, body: str, sentence: str
) -> None:
    head_end.answers = lambda _: (status, body)
    head_end.answer_headers["Location"] = "/meters/S2/reading"
    with client(head_end.url) as made, pytest.raises(HeadEndRefused, match=sentence):
        made.read("S1")
    assert len(head_end.paths) == 1


@pytest.mark.parametrize("serial", ["", ".", ".."])
def test_a_serial_that_would_change_the_address_is_not_asked_for(
    head_end: StandIn, serial: str
) -> None:
    with client(head_end.url) as made, pytest.raises(HeadEndRefused):
        made.read(serial)
    assert head_end.paths == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_head_end_is_asked_three_times(head_end: StandIn, status: int) -> None:
    head_end.answers = lambda _: (status, "")
    with client(head_end.url) as made, pytest.raises(HeadEndAway, match=f"answered {status}"):
        made.read("S1")
    assert len(head_end.paths) == 3


def test_the_second_try_may_succeed(head_end: StandIn) -> None:
    head_end.answers = lambda s: reading(s, 5) if len(head_end.paths) > 1 else (503, "")
    with client(head_end.url) as made:
        assert made.read("S1")["reading_kwh"] == 5


def test_nobody_at_the_address_is_a_temporary_failure() -> None:
    pauses: list[float] = []
    made = HeadEnd("http://127.0.0.1:9", pause=pauses.append)
    with pytest.raises(HeadEndAway, match="cannot be reached"):
        made.read("S1")
    made.close()
    assert len(pauses) == 2
    assert 0.5 <= pauses[0] <= 1.0 <= pauses[1] <= 2.0


def test_headers_that_drip_in_are_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.integrations.head_end.TIMEOUT_SECONDS", 0.5)

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        began = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with client(url) as made, pytest.raises(HeadEndAway, match="in time"):
            made.read("S1")
        assert time.monotonic() - began < 3
        thread.join(20)


def test_all_tries_for_a_meter_have_one_time_limit(
    head_end: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.integrations.head_end.CALL_SECONDS", 0.3)
    head_end.answers = lambda _: (503, "")
    with client(head_end.url) as made, pytest.raises(HeadEndAway, match="answered 503"):
        made.read("S1")
    assert len(head_end.paths) == 1


def test_the_token_goes_to_no_other_host_and_into_no_log(
    head_end: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    head_end.answers = lambda _: (307, "")
    head_end.answer_headers["Location"] = f"{head_end.url.replace('127.0.0.1', 'localhost')}/x"
    with (
        caplog.at_level("DEBUG"),
        client(head_end.url, "s3cret") as made,
        pytest.raises(HeadEndRefused, match="sends us elsewhere") as refused,
    ):
        made.read("S1")
    assert len(head_end.paths) == 1
    assert "s3cret" not in caplog.text + str(refused.value)


def test_a_certificate_that_nobody_vouches_for_is_not_believed(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = make_certificate(tmp_path, "localhost")
    tls.load_cert_chain(files.certificate, files.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"https://localhost:{server.server_port}"
        with client(url) as made, pytest.raises(HeadEndAway, match="prove who it is"):
            made.read("S1")
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("field", ["silence_seconds", "drip_seconds"])
def test_an_answer_that_takes_too_long_is_given_up_whether_silent_or_dripping(
    head_end: StandIn, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr("services.integrations.head_end.TIMEOUT_SECONDS", 0.5)
    # A drop in time each time, but never done.
    setattr(head_end, field, {"silence_seconds": 1.5, "drip_seconds": 0.1}[field])
    began = time.monotonic()
    with client(head_end.url) as made, pytest.raises(HeadEndAway, match="in time"):
        made.read("S1")
    assert time.monotonic() - began < 1.4
    assert len(head_end.paths) == 1


# -- the job -----------------------------------------------------------------------------------


def test_each_active_smart_meter_is_collected_and_not_billed_at_once(
    utility: Utility, head_end: StandIn
) -> None:
    add_smart_meters(utility, *(f"S{n}" for n in range(7)))
    utility.add_meter("MANUAL", opened_on=OPENED)
    run = collect(utility.services)
    assert (run.status, run.done_count, run.failed_count) == ("done", 7, 0)
    assert run.detail == "Readings of the smart meters."
    stored = utility.services.database.readings(submitted_by="job:meter_collection").items
    assert {(r.meter_serial, r.register_wh, r.source, r.status) for r in stored} == {
        (f"S{n}", 1_117_000, "smart", "accepted") for n in range(7)
    }
    assert utility.bills_of("S0") == []
    assert head_end.times_asked("MANUAL") == 0


def test_a_meter_that_fails_is_set_aside_and_the_others_are_collected(
    utility: Utility, head_end: StandIn
) -> None:
    answers = {
        "UNKNOWN": (404, ""),
        "BUSY": (503, ""),
        "FUTURE": reading("FUTURE", 1117, SUNDAY + timedelta(days=1)),
        "LONG": reading("LONG", 1234567),
        "TEXT": reading("TEXT", "many"),
        "LOW": reading("LOW", 900),
    }
    add_smart_meters(utility, "GOOD", *answers)
    head_end.answers = lambda s: answers.get(s) or reading(s, 1117)
    run = collect(utility.services)
    # A reading that needs review is collected, too: a person decides on it.
    assert (run.status, run.done_count, run.failed_count) == ("done", 2, 5)
    said = reasons(utility, run)
    assert set(said) == {"UNKNOWN", "BUSY", "FUTURE", "LONG", "TEXT"}
    assert said["UNKNOWN"] == "The head-end does not know meter UNKNOWN."
    assert said["BUSY"] == "The head-end answered 503."
    assert "in the future" in said["FUTURE"]
    assert "digits" in said["LONG"]
    assert "number" in said["TEXT"]


def test_the_same_reading_collected_again_counts_as_done_and_is_stored_once(
    utility: Utility,
) -> None:
    add_smart_meters(utility, "S1")
    runs = [collect(utility.services), collect(utility.services, SUNDAY + timedelta(hours=1))]
    assert [r.done_count for r in runs] == [1, 1]
    stored = utility.services.database.readings(submitted_by="job:meter_collection")
    assert stored.total == 1


def test_a_reading_taken_while_a_long_run_goes_on_is_not_in_its_future(
    utility: Utility, head_end: StandIn
) -> None:
    add_smart_meters(utility, "S1")
    head_end.answers = lambda s: reading(s, 1117, SUNDAY + timedelta(hours=2))
    now = [SUNDAY]
    context, _ = claim(
        utility.services,
        job="meter_collection",
        scheduled_on=SUNDAY.date(),
        started_by="test",
        clock=lambda: now[0],
    )
    assert context is not None
    now[0] += timedelta(hours=2)
    run = perform(context, meter_collection.run)
    assert run is not None
    assert (run.done_count, run.failed_count) == (1, 0)


def test_without_a_head_end_the_run_says_so(utility: Utility) -> None:
    add_smart_meters(utility, "S1")
    run = collect(replace(utility.services, headend_url=None))
    assert (run.status, run.done_count, run.detail) == ("done", 0, "No head-end is configured.")


def test_a_head_end_that_is_down_fails_the_run_instead_of_every_meter(
    utility: Utility, head_end: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter_collection, "MOST_FAILURES_IN_A_ROW", 5)
    monkeypatch.setattr("services.integrations.head_end.PAUSE_SECONDS", 0.0)
    # The readers run ahead of the count: the last of many is far enough away on a busy machine.
    add_smart_meters(utility, *(f"S{n:02}" for n in range(80)))
    head_end.answers = lambda _: (503, "")
    run = collect(utility.services)
    assert run.status == "failed"
    assert run.detail.startswith("The head-end failed for ")
    assert head_end.times_asked("S79") == 0


def test_a_slow_head_end_does_not_cost_the_run_its_lease(
    utility: Utility, database: str, head_end: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter_collection, "NOTE_SECONDS", 0.2)
    add_smart_meters(utility, "S1")
    asked, answer_now = threading.Event(), threading.Event()

    def slowly(serial: str) -> Answer:
        asked.set()
        answer_now.wait(20)
        return reading(serial, 1117)

    def lease_is_over() -> bool:
        with psycopg.connect(database) as connection:
            row = connection.execute("select lease_until < now() from public.job_runs").fetchone()
        return bool(row and row[0])

    head_end.answers = slowly
    runs: list[JobRun] = []
    thread = threading.Thread(target=lambda: runs.append(collect(utility.services)))
    thread.start()
    assert asked.wait(20)
    with psycopg.connect(database) as connection:
        connection.execute("update public.job_runs set lease_until = now() - interval '1 second'")
    deadline = time.monotonic() + 10
    while lease_is_over():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    answer_now.set()
    thread.join(20)
    assert [(r.status, r.attempt, r.done_count) for r in runs] == [("done", 1, 1)]


def test_an_older_attempt_stores_no_reading(utility: Utility, database: str) -> None:
    add_smart_meters(utility, "S1")
    first, _ = claim(
        utility.services,
        job="meter_collection",
        scheduled_on=SUNDAY.date(),
        started_by="test",
        clock=lambda: SUNDAY,
    )
    assert first is not None
    with psycopg.connect(database) as connection:
        connection.execute("update public.job_runs set lease_until = now() - interval '1 second'")
    claim(utility.services, job="meter_collection", scheduled_on=SUNDAY.date(), started_by="test")
    assert perform(first, meter_collection.run) is None
    with pytest.raises(RunTakenOver):
        utility.submit("S1", 1117, source="smart", run=first.ref)
    assert utility.services.database.readings(submitted_by="job:meter_collection").total == 0


def test_a_continued_run_asks_only_for_the_meters_that_are_left(
    utility: Utility, head_end: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_smart_meters(utility, "S1", "S2", "S3")
    monkeypatch.setattr(meter_collection, "BATCH", 1)
    context, _ = claim(
        utility.services,
        job="meter_collection",
        scheduled_on=SUNDAY.date(),
        started_by="test",
        clock=lambda: SUNDAY,
    )
    assert context is not None
    database = utility.services.database
    store = database.store_collected

    def store_and_stop(**given: Any) -> tuple[set[str], set[str]]:
        context.stop.set()
        return store(**given)

    with monkeypatch.context() as patched:
        patched.setattr(database, "store_collected", store_and_stop)
        assert perform(context, meter_collection.run) is None
    [stored] = database.readings(submitted_by="job:meter_collection").items
    head_end.paths.clear()
    run = collect(utility.services)
    assert (run.status, run.attempt, run.done_count) == ("done", 2, 3)
    assert sorted(head_end.paths) == [
        f"/meters/{serial}/reading"
        for serial in ("S1", "S2", "S3")
        if serial != stored.meter_serial
    ]


def test_the_monthly_job_bills_what_was_collected(utility: Utility) -> None:
    add_smart_meters(utility, "S1")
    collect(utility.services)
    run: Any = run_job(utility.services, "monthly_bills", SUNDAY + timedelta(hours=1), "test")
    assert run.done_count == 1
    [bill] = utility.bills_of("S1")
    assert (bill.period_end, bill.total_minor) == (date(2026, 11, 1), 54035)


def test_a_meter_s_own_registers_are_collected_and_no_others(
    utility: Utility, head_end: StandIn
) -> None:
    metered = Metered(utility)
    for serial in ("T1", "T2", "T3"):
        metered.add_meter(serial, "peak=400 off_peak=600", kind="smart")
    sent = {"peak": "430", "OFF_PEAK": 670, "voltage": "231"}
    answers = {"T1": {"registers": sent}, "T2": {}, "T3": {"registers": [1]}}

    def with_registers(serial: str) -> Answer:
        status, text = reading(serial, 1100)
        return status, json.dumps(json.loads(text) | answers[serial])

    head_end.answers = with_registers
    run = collect(utility.services)
    assert set(reasons(utility, run)) == {"T2", "T3"}
    assert reasons(utility, run)["T2"].startswith("Say what the register peak of meter T2 shows")
    (meter,) = utility.services.database.meter_reads(serials=["T1"])
    assert meter.reads[-1].registers == {"peak": 430_000, "off_peak": 670_000}
