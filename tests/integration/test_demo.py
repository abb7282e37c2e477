"""The demo utility: all is to be seen in it, its sums are right, it is always the same."""

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from services.bootstrap import build_services
from services.container import Services
from services.database.transport import TemporaryDatabaseError
from services.demo import DemoHeadEnd, NotADemoDatabase, load_demo_if_empty
from services.demo import load as load_module
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.importing import Importer
from services.integrations.head_end import HeadEnd
from services.metering.usage_snapshot import usage_of_snapshot
from services.metering.validation import validate_reading
from services.quantities.period import Period, local_date
from services.rating import rate_usage
from services.readings.submission import parse_submission
from services.records.base import Record
from services.records.bills import Bill
from services.records.ledger import LedgerEntry
from services.records.readings import ReadPoint
from services.records.tariffs import version_in_force
from services.settings import load_settings
from tests.integration.balance import losses_permille
from tests.servers import Databases, NewDatabase

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
ENGINEER = Principal("demo.engineer", frozenset({Role.ENGINEER}), None, "demo")


def services_on(dsn: str, folder: Path) -> Services:
    return build_services(
        load_settings({"DATABASE_URL": dsn, "DATA_DIR": str(folder), "DEMO": "on"})
    )


@pytest.fixture(scope="module")
def template(fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The DSN of a database with the demo as of NOW, to copy."""
    dsn = fresh_database()
    services = services_on(dsn, tmp_path_factory.mktemp("template"))
    assert load_demo_if_empty(services, NOW) is not None
    services.close()
    return dsn


@pytest.fixture(scope="module")
def loaded(
    template: str, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    """The demo as of NOW; for tests that change nothing."""
    services = services_on(databases.copy(template), tmp_path_factory.mktemp("demo"))
    yield services
    services.close()


@pytest.fixture
def copied(template: str, databases: Databases, tmp_path: Path) -> Iterator[Services]:
    """The demo as of NOW, for one test to change."""
    services = services_on(databases.copy(template), tmp_path)
    yield services
    services.close()


@pytest.fixture
def empty(database: str, tmp_path: Path) -> Iterator[Services]:
    services = services_on(database, tmp_path)
    yield services
    services.close()


def bills_of(services: Services) -> tuple[Bill, ...]:
    return services.database.bills(page_size=5000).items


_OF_THE_LOAD = frozenset({"id", "created_at", "ended_at", "next_attempt_at"})


def everything(services: Services) -> list[list[Any]]:
    """All that a load wrote, without ids, bill numbers and the times at which it was written.

    Bills of one instant are numbered by their ids.
    """
    database = services.database
    found: tuple[Sequence[Record], ...] = (
        bills_of(services),
        database.readings(page_size=5000).items,
        database.payments(page_size=5000).items,
        database.returns(),
        database.plans(),
        database.accounts(page_size=100).items,
        [database.overview(today=NOW.date(), currency="INR")],
    )
    return [sorted((_what_it_says(row.model_dump()) for row in rows), key=str) for rows in found]


def _what_it_says(found: Any) -> Any:
    if isinstance(found, dict):
        return {
            name: _what_it_says(value)
            for name, value in found.items()
            if not (name in _OF_THE_LOAD or name.endswith(("_id", "number")))
        }
    return [_what_it_says(one) for one in found] if isinstance(found, list | tuple) else found


def test_bills_are_to_be_seen_in_every_state(loaded: Services) -> None:
    states = Counter(bill.status for bill in bills_of(loaded))
    assert set(states) == {"issued", "partially_paid", "paid", "overdue", "void", "draft"}
    assert states["paid"] > 900


def assert_accounts_tell_their_stories(services: Services) -> None:
    """Credit, a refund, a bounced cheque with its fee, deposits, and a plan that runs."""
    database = services.database
    assert sorted(r.kind for r in database.returns()) == ["refund", "reversal"]
    assert database.payments(status="deposit").total == 3
    assert [p.status for p in database.plans()] == ["active"]
    in_credit = [a for a in database.accounts(page_size=100).items if a.balance_minor < 0]
    assert len(in_credit) == 2
    kinds = {
        e.kind for a in database.accounts(page_size=100).items for e in _entries(services, a.id)
    }
    assert kinds == {"bill", "bill_void", "payment", "refund", "reversal", "fee"}
    assert database.check_ledger().problems == ()
    (plan,) = database.plans()
    assert {database.bill(b.bill_id).status for b in plan.bills} <= {"issued", "partially_paid"}


def _entries(services: Services, customer_id: str) -> tuple[LedgerEntry, ...]:
    return services.database.ledger(customer_id=customer_id, page_size=100).items


def test_accounts_tell_their_stories(loaded: Services) -> None:
    assert_accounts_tell_their_stories(loaded)


@pytest.mark.parametrize("day", ["2026-01-01", "2026-03-31", "2028-02-29"])
def test_bills_are_in_every_state_whatever_the_day_of_loading(empty: Services, day: str) -> None:
    now = datetime.fromisoformat(f"{day}T06:00:00+00:00")
    assert load_demo_if_empty(empty, now) is not None
    assert len({bill.status for bill in bills_of(empty)}) == 6
    assert_accounts_tell_their_stories(empty)
    assert empty.database.readings(status="needs_review").total == 3
    today = local_date(now, empty.settings.timezone)
    readings = empty.database.readings(page_size=5000).items
    # The meter to try was opened at the start of a day; all else was read before today.
    assert max(r.read_on for r in readings) < today
    assert max(b.issued_on for b in bills_of(empty) if b.issued_on) < today


def test_every_bill_recomputes_to_the_same_lines_and_total(loaded: Services) -> None:
    versions = loaded.database.tariff_versions()
    for bill in bills_of(loaded):
        of_code = [v for v in versions if v.code == bill.tariff_code]
        tariff = version_in_force(of_code, on=bill.period_start).tariff
        period = Period(bill.period_start, bill.period_end)
        usage = usage_of_snapshot(bill.usage or {"wh": bill.consumption_wh})
        again = rate_usage(tariff=tariff, usage=usage, period=period)
        assert again.lines == bill.lines
        assert again.total_minor == bill.total_minor


def test_a_home_with_panels_banks_what_it_exports(loaded: Services) -> None:
    bills = [b for b in bills_of(loaded) if b.tariff_code == "SOLAR-HOME" and b.net]
    banked = {b.period_start: b.net.in_all() for b in bills if b.net}
    assert len(banked) == len(bills) > 12
    assert any(bank.added for bank in banked.values())
    assert any(bank.used for bank in banked.values())
    entries = loaded.database.kwh_bank(agreement_id=bills[0].agreement_id)
    assert sum(entry.wh for entry in entries) == banked[max(banked)].closing
    for before, after in pairwise(sorted(banked)):
        assert banked[before].closing == banked[after].opening


def test_each_meters_bills_are_one_chain(loaded: Services) -> None:
    chains: dict[str, list[Bill]] = {}
    for bill in sorted(bills_of(loaded), key=lambda b: b.period_start):
        if bill.status != "void":
            chains.setdefault(bill.meter_serial, []).append(bill)
    assert len(chains) == 58
    for chain in chains.values():
        for before, after in pairwise(chain):
            assert before.closing_reading_id == after.opening_reading_id
    numbers = sorted(b.number for b in bills_of(loaded) if b.number)
    assert numbers == list(range(1, len(numbers) + 1))


def test_kseb_bills_are_of_25_to_35_days_and_below_250_kwh(loaded: Services) -> None:
    kseb = [b for b in bills_of(loaded) if b.tariff_code == "KSEB-LT1A"]
    assert len(kseb) > 400
    assert all(25 <= (b.period_end - b.period_start).days <= 35 for b in kseb)
    assert all(b.consumption_wh <= 250_000 for b in kseb)


def test_the_void_bill_has_its_reissue(loaded: Services) -> None:
    bills = bills_of(loaded)
    void = next(b for b in bills if b.status == "void")
    again = [b for b in bills if b.opening_reading_id == void.opening_reading_id and b is not void]
    assert [b.status for b in again] == ["issued"]
    assert "check reading" in (void.void_reason or "")


def test_one_reading_of_each_kind_of_doubt_is_there(loaded: Services) -> None:
    flagged = loaded.database.readings(status="needs_review").items
    rules = {
        rule["rule"]
        for reading in flagged
        for rule in reading.validation["rules"]
        if rule["outcome"] == "review"
    }
    assert rules == {"below_last_read", "high_use", "zero_use"}
    warnings = Counter(
        rule["rule"]
        for reading in loaded.database.readings(page_size=5000).items
        for rule in reading.validation.get("rules", ())
        if rule["outcome"] == "warn"
    )
    # The rollover passes; of the two others the rules say what may have been meant.
    assert warnings.pop("below_last_read") == 1
    assert warnings.keys() <= {"transposed_digits", "wrong_digit", "power_of_ten"}


def test_stored_validations_are_what_the_rules_say(loaded: Services) -> None:
    serials = ["M-112", "M-109", "S-162"]
    stored = {r.id: r for r in loaded.database.readings(page_size=5000).items}
    for meter in loaded.database.meter_reads(serials=serials):
        past: list[ReadPoint] = []
        for read in meter.reads:
            reading = stored[read.id]
            if past:
                recent = [p for p in past if p.read_on > past[-1].read_on - timedelta(days=400)]
                again = validate_reading(
                    register_wh=reading.register_wh,
                    read_on=reading.read_on,
                    last_read=past[-1],
                    history=recent,
                    dials=meter.dials,
                    multiplier_milli=meter.multiplier_milli,
                )
                assert again.verdict == reading.status
            if reading.status == "accepted":
                past.append(reading.point)


def test_one_transformer_of_four_loses_far_too_much_of_late(loaded: Services) -> None:
    losses = losses_permille(loaded.database)
    assert {len(of_one) for of_one in losses.values()} == {16}
    suspect = losses.pop("T-3")
    assert min(suspect[-4:]) > 180
    plausible = [suspect[:-4], *losses.values()]
    assert all(30 <= loss <= 75 for of_one in plausible for loss in of_one)


def test_customers_are_premises_at_addresses_that_reach_nobody(loaded: Services) -> None:
    rows = loaded.database._transport.select("customers", limit=100).rows
    assert len(rows) == 60
    assert all(not r["email"] or r["email"].endswith("@example.org") for r in rows)
    assert all(not r["phone"] or r["phone"].startswith("+999 ") for r in rows)


def test_some_meters_wait_for_this_months_reading(loaded: Services) -> None:
    meters = loaded.database.find_meters(text="M-10", limit=50)
    waiting = {
        m.serial
        for m in meters
        if max(r.read_on for r in loaded.database.readings(meter_id=m.id, page_size=50).items)
        < NOW.date().replace(day=1)
    }
    assert {f"M-{n}" for n in range(101, 107)} <= waiting


def test_the_demo_sends_nothing(loaded: Services) -> None:
    assert loaded.database._transport.select("notifications", limit=1).rows == []
    assert not {9, 10, 12} & set(loaded.outbox.handlers), "no links, and nothing is sent"


def test_the_readmes_first_reading_gives_540_35(copied: Services) -> None:
    body = {"meter_serial": "DEMO-1000", "reading_kwh": "1117", "read_at": NOW.isoformat()}
    answer = copied.reading_to_bill.submit(
        submission=parse_submission(body, zone=copied.settings.timezone, now=NOW),
        principal=ENGINEER,
        now=NOW,
        arrived_by="a test",
    )
    assert answer.bill is not None
    assert answer.bill.money(answer.bill.total_minor).display() == "₹540.35"
    assert (answer.bill.period_end - answer.bill.period_start).days == 31


# -- loading -------------------------------------------------------------------------------------


def test_a_second_load_adds_nothing(copied: Services) -> None:
    before = everything(copied)
    assert load_demo_if_empty(copied, NOW + timedelta(days=40)) is None
    assert everything(copied) == before


def test_the_demo_of_a_date_is_always_the_same(loaded: Services, empty: Services) -> None:
    load_demo_if_empty(empty, NOW + timedelta(hours=7))
    assert everything(empty) == everything(loaded)


def test_a_load_that_was_interrupted_is_finished_on_a_later_day(
    loaded: Services, empty: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty.database
    stored = 0

    def dies_half_way(**bills: Any) -> tuple[int, list[str]]:
        nonlocal stored
        stored += 1
        if stored > 9:
            raise TemporaryDatabaseError("57P01", "the power is out")
        return type(database).store_job_bills(database, **bills)

    with monkeypatch.context() as patched:
        patched.setattr(database, "store_job_bills", dies_half_way)
        with pytest.raises(TemporaryDatabaseError):
            load_demo_if_empty(empty, NOW)
    assert load_demo_if_empty(empty, NOW + timedelta(days=3)) is not None
    assert everything(empty) == everything(loaded)


def test_two_processes_that_load_at_once_make_one_demo(loaded: Services, empty: Services) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: load_demo_if_empty(empty, NOW), range(2)))
    assert everything(empty) == everything(loaded)


def test_a_database_with_other_customers_is_refused_and_untouched(empty: Services) -> None:
    importer = Importer(empty.database, empty.settings.timezone)
    text = "account_no,name,email,phone,address\nA1,One,,,\n"
    assert importer.customers(text, actor="test", now=NOW).ok
    with pytest.raises(NotADemoDatabase, match="DEMO=off"):
        load_demo_if_empty(empty, NOW)
    assert empty.database.account_numbers(limit=5) == ["A1"]


def test_own_customers_beside_the_loaded_demo_do_no_harm(copied: Services) -> None:
    importer = Importer(copied.database, copied.settings.timezone)
    text = "account_no,name,email,phone,address\nA1,One,,,\n"
    assert importer.customers(text, actor="test", now=NOW).ok
    assert load_demo_if_empty(copied, NOW) is None


def test_the_overdue_run_of_the_load_is_not_todays(loaded: Services) -> None:
    runs = loaded.database.job_runs().items
    assert [(r.job, r.scheduled_on.isoformat(), r.status) for r in runs] == [
        ("overdue_marking", "2026-11-21", "done")
    ]
    assert runs[0].started_by == load_module.ACTOR


# -- the head-end --------------------------------------------------------------------------------


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def head_end(loaded: Services, clock: Clock) -> Iterator[DemoHeadEnd]:
    made = DemoHeadEnd(loaded.database, loaded.settings.timezone, clock=clock)
    made.start()
    yield made
    made.stop()


def asked(head_end: DemoHeadEnd, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(  # noqa: S310 - our own address
        head_end.url + path, timeout=5
    ) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_the_head_end_goes_on_where_the_stored_readings_end(
    loaded: Services, head_end: DemoHeadEnd
) -> None:
    meters = loaded.database.smart_meters()
    assert len(meters) == 6
    for meter in meters:
        found = asked(head_end, f"/meters/{meter.serial}/reading")
        assert found["serial"] == meter.serial
        assert found["read_at"] == NOW.isoformat()
        body = {"meter_serial": meter.serial} | {k: found[k] for k in ("reading_kwh", "read_at")}
        zone = loaded.settings.timezone
        decision = loaded.reading_to_bill.preview(
            submission=parse_submission(body, zone=zone, now=NOW), source="smart", now=NOW
        )
        assert decision.status == "accepted"


def test_a_reading_never_goes_down_even_when_the_clock_does(
    head_end: DemoHeadEnd, clock: Clock
) -> None:
    first = asked(head_end, "/meters/S-162/reading")
    clock.now = NOW + timedelta(hours=1)
    second = asked(head_end, "/meters/S-162/reading")
    clock.now = NOW - timedelta(days=1)
    assert float(second["reading_kwh"]) > float(first["reading_kwh"])
    assert asked(head_end, "/meters/S-162/reading") == second


def test_the_systems_own_client_understands_it(head_end: DemoHeadEnd) -> None:
    client = HeadEnd(head_end.url, None)
    try:
        assert client.read("S-162")["serial"] == "S-162"
    finally:
        client.close()


@pytest.mark.parametrize(
    "path", ["/meters/M-101/reading", "/meters/none/reading", "/", "/meters/S-162"]
)
def test_what_it_does_not_know_is_404(head_end: DemoHeadEnd, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked(head_end, path)
    assert refused.value.code == 404
    refused.value.close()


def test_it_can_be_stopped_twice(loaded: Services) -> None:
    head_end = DemoHeadEnd(loaded.database, loaded.settings.timezone)
    head_end.stop()
    head_end.start()
    url = head_end.url
    head_end.stop()
    head_end.stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(  # noqa: S310 - our own address
            f"{url}/meters/S-162/reading", timeout=2
        )


def test_every_write_of_the_load_names_its_actor(loaded: Services) -> None:
    rows = loaded.database._transport.select("audit_log", limit=50_000).rows
    assert {r["actor"] for r in rows} == {
        load_module.ACTOR,
        load_module.ENGINEER,
        load_module.COLLECTOR,
    }
