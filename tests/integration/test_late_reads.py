"""What the monthly job could not bill, why, and that it is billed as soon as it can be."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.container import Services
from services.importing import Importer
from services.jobs import monthly_bills
from services.jobs.by_hand import run_job
from services.records.jobs import SetAside
from tests.integration.job_tools import (
    AFTER_TWO,
    NOV_1,
    OCT_1,
    at_once,
    bills_of,
    expire_leases,
    installed,
    runs_of,
    tick_and_wait,
)
from tests.integration.utility import ADMIN, KSEB, Utility, assert_one_chain, make_utility

DEC_1 = datetime(2026, 11, 30, 21, tzinfo=UTC)  # 02:30 in Kolkata
ON_THE_3RD = AFTER_TWO + timedelta(days=2, hours=8)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=AFTER_TWO)
    installed(database, AFTER_TWO - timedelta(hours=1))
    yield made
    made.services.close()


def add_unread(utility: Utility, *serials: str) -> None:
    for serial in serials:
        utility.add_meter(serial, opening_kwh=1000, opened_on=OCT_1)


def read(utility: Utility, serial: str, kwh: int, *, when: datetime = AFTER_TWO) -> Any:
    """A reading that comes at `utility.now` and was taken `when`, billed by the job alone."""
    return utility.submit(serial, kwh, at=when, source="imported")


def tick(utility: Utility, now: datetime = ON_THE_3RD) -> None:
    tick_and_wait(at_once(utility.services, now))


def aside(services: Services, on: date = NOV_1) -> dict[str, SetAside]:
    rows = services.database.set_aside(job="monthly_bills", scheduled_on=on)
    return {row.subject: row for row in rows}


def waiting(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from public.agreements_to_bill").fetchone()
    assert row is not None
    return int(row[0])


# -- reads that come later -----------------------------------------------------------------------


def test_a_read_of_the_first_that_is_imported_on_the_third_is_billed_by_the_next_tick(
    utility: Utility, database: str
) -> None:
    add_unread(utility, "M1", "M2")
    tick(utility, AFTER_TWO)
    assert set(aside(utility.services)) == {"M1", "M2"}
    utility.now = ON_THE_3RD
    read(utility, "M1", 1117)
    tick(utility)
    (bill,) = utility.bills_of("M1")
    assert (bill.period_start, bill.period_end) == (OCT_1, NOV_1)
    assert (bill.issued_on, bill.total_minor) == (date(2026, 11, 3), 54035)
    assert set(aside(utility.services)) == {"M2"}
    (monthly,) = (r for r in utility.services.database.job_runs().items if r.job == "monthly_bills")
    assert (monthly.status, monthly.done_count, monthly.failed_count) == ("done", 1, 1)
    assert waiting(database) == 0


def test_a_tick_with_nothing_late_claims_nothing(utility: Utility) -> None:
    add_unread(utility, "M1")
    tick(utility, AFTER_TWO)
    utility.now = ON_THE_3RD
    # Of November: it closes that month, or a later one.
    read(utility, "M1", 1117, when=ON_THE_3RD)
    tick(utility)
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("done", 1)}
    assert utility.bills_of("M1") == []


def test_a_field_read_is_billed_at_once_and_the_tick_makes_nothing_of_it(
    utility: Utility, database: str
) -> None:
    add_unread(utility, "M1")
    tick(utility, AFTER_TWO)
    utility.now = ON_THE_3RD
    utility.submit("M1", 1117, at=AFTER_TWO)
    assert bills_of(utility, ["M1"]) == [1]
    tick(utility)
    assert bills_of(utility, ["M1"]) == [1]
    assert waiting(database) == 0
    assert aside(utility.services) == {}


def test_a_flagged_read_is_named_and_billed_once_it_was_accepted(utility: Utility) -> None:
    add_unread(utility, "M1")
    flagged = read(utility, "M1", 900)
    tick(utility, AFTER_TWO)
    row = aside(utility.services)["M1"]
    assert row.reason == "The reading of 1 Nov 2026 (900 kWh) waits for review."
    assert (row.code, row.ref) == ("flagged_reading", flagged.reading.id)
    utility.services.reading_review.correct(
        reading_id=flagged.reading.id,
        reading_kwh="1117",
        reason="Misread",
        principal=ADMIN,
        now=ON_THE_3RD,
    )
    tick(utility)
    assert bills_of(utility, ["M1"]) == [1]
    assert aside(utility.services) == {}


def test_ticks_of_two_processes_and_a_field_read_bill_late_reads_once(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    serials = [f"M{n}" for n in range(5)]
    add_unread(utility, *serials)
    tick(utility, AFTER_TWO)
    utility.now = ON_THE_3RD
    for serial in serials:
        read(utility, serial, 1117)
    database = utility.services.database
    store = database.store_job_bills

    def store_after_a_field_read(**params: Any) -> Any:
        monkeypatch.setattr(database, "store_job_bills", store)
        utility.submit("M0", 1130)
        tick(utility)
        return store(**params)

    monkeypatch.setattr(monthly_bills, "BATCH", 2)
    monkeypatch.setattr(database, "store_job_bills", store_after_a_field_read)
    tick(utility)
    tick(utility, ON_THE_3RD + timedelta(minutes=1))
    assert bills_of(utility, serials) == [1] * 5
    for serial in serials:
        assert_one_chain(utility, serial)


def test_late_work_that_died_is_finished_after_the_restart(
    utility: Utility, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_unread(utility, "M1", "M2", "M3")
    tick(utility, AFTER_TWO)
    utility.now = ON_THE_3RD
    for serial in ("M1", "M2", "M3"):
        read(utility, serial, 1117)

    class Killed(BaseException):
        """The process ends here."""

    done: list[int] = []
    store = utility.services.database.store_job_bills

    def store_once(**params: Any) -> Any:
        if done:
            raise Killed
        done.append(1)
        return store(**params)

    with monkeypatch.context() as dying:
        dying.setattr(monthly_bills, "BATCH", 1)
        dying.setattr(utility.services.database, "store_job_bills", store_once)
        dying.setattr("threading.excepthook", lambda _: None)
        tick(utility)
    assert sum(bills_of(utility, ["M1", "M2", "M3"])) == 1
    expire_leases(database)
    tick(utility)
    tick(utility)
    assert bills_of(utility, ["M1", "M2", "M3"]) == [1, 1, 1]
    assert waiting(database) == 0


def test_a_read_that_comes_between_the_look_and_the_note_is_not_forgotten(
    utility: Utility, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_unread(utility, "M1")
    service = utility.services.database
    candidates = service.monthly_bill_candidates

    def candidates_and_then_a_read(**params: Any) -> Any:
        monkeypatch.setattr(service, "monthly_bill_candidates", candidates)
        found = candidates(**params)
        with psycopg.connect(database) as connection:
            # As though it had begun before the run was claimed.
            connection.execute("alter table public.readings disable trigger readings_come_late")
            connection.commit()
            read(utility, "M1", 1117)
            connection.execute("alter table public.readings enable trigger readings_come_late")
        return found

    monkeypatch.setattr(service, "monthly_bill_candidates", candidates_and_then_a_read)
    tick(utility, AFTER_TWO)
    tick(utility, AFTER_TWO + timedelta(minutes=1))
    assert bills_of(utility, ["M1"]) == [1]


def test_what_can_still_not_be_billed_is_looked_at_once_and_no_more(
    utility: Utility, database: str
) -> None:
    add_unread(utility, "M1")
    tick(utility, AFTER_TWO)
    utility.now = ON_THE_3RD
    fell = read(utility, "M1", 950)
    # The review takes no such read any more; earlier ones may be there.
    utility.services.database.decide_reading(
        actor=ADMIN.user, reading_id=fell.reading.id, status="accepted", reason="Seen"
    )
    for _ in range(3):
        tick(utility)
    assert aside(utility.services)["M1"].code == "fallen_register"
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("done", 2)}
    assert waiting(database) == 0


def test_a_late_read_that_is_too_soon_for_a_bill_is_no_problem_any_more(
    utility: Utility, database: str
) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 10, 31))
    tick(utility, AFTER_TWO)
    assert set(aside(utility.services)) == {"M1"}
    utility.now = ON_THE_3RD
    read(utility, "M1", 1003)
    tick(utility)
    assert utility.bills_of("M1") == []
    assert aside(utility.services) == {}
    assert waiting(database) == 0


# -- the reasons ---------------------------------------------------------------------------------


def test_each_reason_is_the_true_one(utility: Utility) -> None:
    add_unread(utility, "UNREAD", "REJECTED", "LATER")
    rejected = read(utility, "REJECTED", 900)
    utility.services.reading_review.reject(
        reading_id=rejected.reading.id, reason="Wrong meter", principal=ADMIN
    )
    utility.now = ON_THE_3RD
    read(utility, "LATER", 1117, when=ON_THE_3RD)
    tick(utility)
    assert {s: (row.code, row.reason) for s, row in aside(utility.services).items()} == {
        "UNREAD": ("no_reading", "No reading dated up to 1 Nov 2026."),
        "REJECTED": (
            "no_reading",
            "No reading dated up to 1 Nov 2026. That of 1 Nov 2026 was rejected.",
        ),
        "LATER": (
            "no_reading",
            "No reading dated up to 1 Nov 2026. The next one is of 3 Nov 2026.",
        ),
    }


def test_a_fallen_register_leads_to_the_last_bill_which_may_close_too_high(
    utility: Utility,
) -> None:
    add_unread(utility, "M1")
    utility.submit("M1", 1117, at=AFTER_TWO - timedelta(days=20))
    (bill,) = utility.bills_of("M1")
    utility.now = ON_THE_3RD
    fell = read(utility, "M1", 950, when=ON_THE_3RD)
    utility.services.reading_review.accept(
        reading_id=fell.reading.id, reason="Seen", principal=ADMIN, now=ON_THE_3RD
    )
    run_job(utility.services, "monthly_bills", DEC_1, "x")
    row = aside(utility.services, date(2026, 12, 1))["M1"]
    assert (row.code, row.ref) == ("fallen_register", bill.id)


def test_another_register_that_fell_leads_to_the_last_bill_too(utility: Utility) -> None:
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    given: dict[str, Any] = {"actor": "test", "now": ON_THE_3RD}
    assert importer.customers("account_no,name,email,phone,address\nA9,House,,,\n", **given).ok
    assert importer.meters(
        "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,registers\n"
        f"M9,A9,{KSEB['code']},manual,5,1,1000,2026-10-01,export=500\n",
        **given,
    ).ok
    header = "meter_serial,reading_kwh,register:export,read_at\n"
    assert importer.readings(f"{header}M9,1100,550,2026-11-01\n", **given).ok
    run_job(utility.services, "monthly_bills", AFTER_TWO, "x")
    (bill,) = utility.bills_of("M9")
    given["now"] = utility.now = DEC_1
    assert importer.readings(f"{header}M9,1200,400,2026-12-01\n", **given).ok
    (fell,) = utility.services.database.readings(status="needs_review").items
    utility.services.reading_review.accept(
        reading_id=fell.id, reason="Seen", principal=ADMIN, now=DEC_1
    )
    run_job(utility.services, "monthly_bills", DEC_1, "x")
    row = aside(utility.services, date(2026, 12, 1))["M9"]
    assert (row.code, row.ref) == ("fallen_register", bill.id)
    assert row.reason == (
        "The register export fell from 550 to 400 kWh: a person must look at its readings."
    )


def test_a_missing_tariff_is_named_and_its_import_lets_the_bill_be_made(
    utility: Utility, database: str
) -> None:
    later = json.loads(json.dumps(KSEB)) | {"code": "NEW", "effective_from": "2026-10-15"}
    add_tariff(utility, later)
    add_unread(utility, "M1")
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "update public.agreement_tariffs"
            " set tariff_id = (select id from public.tariffs where code = 'NEW')"
        )
    read(utility, "M1", 1117)
    tick(utility, AFTER_TWO)
    row = aside(utility.services)["M1"]
    assert row.code == "tariff_missing"
    assert "No version of NEW is in force on 1 Oct 2026." in row.reason
    add_tariff(utility, later | {"effective_from": "2026-01-01"})
    tick(utility)
    assert bills_of(utility, ["M1"]) == [1]
    assert aside(utility.services) == {}


def add_tariff(utility: Utility, definition: dict[str, Any]) -> None:
    row = {"row": 1, "id": str(uuid4()), "tariff_id": str(uuid4()), "definition": definition}
    row |= {k: definition[k] for k in ("code", "name", "currency", "effective_from")}
    answer = utility.services.database.import_rows(
        what="tariffs", actor="test", rows=[row], dry_run=False
    )
    assert not answer.errors, answer
