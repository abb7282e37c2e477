"""Imports into a real database: all or nothing, and nothing twice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.importing import Importer, ImportReport
from services.importing.source import Source
from services.records.imports import JudgedRead
from services.settings import PROJECT_FOLDER
from tests.integration.utility import KSEB, Utility, make_utility

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACTOR = "cli:tester"
EXAMPLES = PROJECT_FOLDER / "examples"
CUSTOMERS = "account_no,name,email,phone,address"
METERS = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"
READINGS = "meter_serial,reading_kwh,read_at"


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=NOW)
    yield made
    made.services.close()


@pytest.fixture
def database_of(utility: Utility) -> DatabaseService:
    return utility.services.database


class Imports:
    """Imports for a test: lines below a header."""

    def __init__(self, utility: Utility) -> None:
        self.importer = Importer(utility.services.database, utility.services.settings.timezone)

    def customers(self, *lines: str, header: str = CUSTOMERS) -> ImportReport:
        return self.importer.customers("\n".join((header, *lines)), actor=ACTOR, now=NOW)

    def meters(self, *lines: str) -> ImportReport:
        return self.importer.meters("\n".join((METERS, *lines)), actor=ACTOR, now=NOW)

    def readings(self, *lines: str) -> ImportReport:
        return self.importer.readings("\n".join((READINGS, *lines)), actor=ACTOR, now=NOW)

    def tariffs(self, source: Source) -> ImportReport:
        return self.importer.tariffs(source, actor=ACTOR, now=NOW)


@pytest.fixture
def imports(utility: Utility) -> Imports:
    return Imports(utility)


@pytest.fixture
def with_meter(imports: Imports) -> Imports:
    """A customer A1 with the meter M1, opened on 1 January at 1,000 kWh."""
    assert imports.customers("A1,12 Canal Road,,,").added == 1
    assert imports.meters("M1,A1,KSEB-LT1A,manual,5,1,1000,2026-01-01").added == 1
    return imports


def counts(report: ImportReport) -> tuple[int, int, int]:
    assert report.ok, [str(problem) for problem in report.errors]
    return report.added, report.changed, report.unchanged


def said(report: ImportReport) -> list[str]:
    return [str(problem) for problem in report.errors]


def reads_of(database: DatabaseService, serial: str) -> Sequence[JudgedRead]:
    return database.meter_reads(serials=[serial], every_status=True)[0].reads


# -- all or nothing ------------------------------------------------------------------------------


def test_an_error_in_the_last_of_2500_customers_leaves_nothing_behind(
    imports: Imports, database_of: DatabaseService
) -> None:
    lines = [f"A{n:04},House {n},,,Ward 1" for n in range(2499)]
    report = imports.customers(*lines, "A2499,,,,Ward 1")
    assert said(report) == ["row 2501, name: is empty: fill it in."]
    assert database_of.account_numbers(limit=10) == []
    assert counts(imports.customers(*lines, "A2499,House 2499,,,Ward 1")) == (2500, 0, 0)


def test_what_only_the_database_knows_is_found_before_anything_is_written(
    imports: Imports, database_of: DatabaseService
) -> None:
    lines = [f"A{n:04},House {n},,,Ward 1" for n in range(2500)]
    assert imports.customers(*lines).ok
    meters = [f"M{n:04},A{n:04},KSEB-LT1A,manual,5,,0,2026-01-01" for n in range(2499)]
    report = imports.meters(*meters, "M2499,A2499,NO-SUCH,manual,5,,0,2026-01-01")
    assert said(report) == ["row 2501, tariff_code: No tariff has the code NO-SUCH."]
    assert database_of.find_meters(text="M0000") == []
    readings = [f"M{n:04},5,2026-02-01" for n in range(2499)]
    assert imports.meters(*meters).added == 2499
    report = imports.readings(*readings, "M9999,5,2026-02-01")
    assert said(report) == ["row 2501, meter_serial: No meter has the serial M9999."]
    assert len(reads_of(database_of, "M0000")) == 1
    assert counts(imports.readings(*readings)) == (2499, 0, 0)


def test_one_accounts_meters_in_two_currencies_leave_nothing_behind(
    imports: Imports, database_of: DatabaseService
) -> None:
    assert imports.tariffs(EXAMPLES / "tariffs" / "seymour-winter.json").added == 1
    imports.importer = Importer(database_of, imports.importer.zone, chunk_rows=1)
    assert imports.customers("A1,12 Canal Road,,,", "A2,14 Canal Road,,,").ok
    report = imports.meters(
        "M1,A1,KSEB-LT1A,manual,5,,0,2026-01-01",
        "M2,A2,KSEB-LT1A,manual,5,,0,2026-01-01",
        "M3,A1,SEYMOUR-WINTER,manual,5,,0,2026-01-01",
    )
    assert "Account A1 would have tariffs in different currencies." in said(report)[0]
    assert database_of.find_meters(text="M") == []


# -- identifiers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "damaged"),
    [
        ("00123", "123"),
        ("AB-1", "ab-1"),
        ("AB-1", "AB\u20131"),
        ("A 12", "A12"),
        ("7001", "7001.0"),
        ("K9", "\uff2b\uff19"),
        ("0", "00"),
    ],
)
def test_a_customer_that_looks_like_a_known_one_is_asked_about(
    imports: Imports, database_of: DatabaseService, known: str, damaged: str
) -> None:
    assert imports.customers(f"{known},House,,,").ok
    report = imports.customers(f"{damaged},House,,,")
    (why,) = said(report)
    assert why.startswith(f"row 2, account_no: {damaged} looks like {known}, which is known")
    assert report.asks == {"similar"}
    imports.importer = replace(imports.importer, allow_similar=True)
    assert counts(imports.customers(f"{damaged},House,,,")) == (1, 0, 0)
    # Now that both are known there is nothing to ask.
    imports.importer = replace(imports.importer, allow_similar=False)
    assert counts(imports.customers(f"{damaged},House,,,", f"{known},House,,,")) == (0, 0, 2)
    assert len(database_of.account_numbers(limit=10)) == 2


def test_two_rows_of_a_file_that_look_alike_are_asked_about(imports: Imports) -> None:
    lines = [f"B{n:04},House {n},,," for n in range(5200)]
    (why,) = said(imports.customers("ab-1,First,,,", *lines, "AB-1,Second,,,"))
    assert why.startswith("row 5203, account_no: AB-1 looks like ab-1 in row 2")


def test_house_numbers_that_share_their_digits_are_different_customers(imports: Imports) -> None:
    assert counts(imports.customers("1-11,House,,,", "11-1,House,,,", "111,House,,,")) == (3, 0, 0)


def test_a_meter_that_looks_like_a_known_one_is_asked_about(with_meter: Imports) -> None:
    (why,) = said(with_meter.meters("m1,A1,KSEB-LT1A,manual,5,1,1000,2026-01-01"))
    assert why.startswith("row 2, serial: m1 looks like M1, which is known")


def test_a_reference_to_what_is_not_there_says_what_may_be_meant(
    with_meter: Imports, utility: Utility
) -> None:
    (why,) = said(with_meter.meters("M2,a1,KSEB-LT1A,manual,5,1,1000,2026-01-01"))
    assert why == "row 2, account_no: No customer has the account number a1. Do you mean A1?"
    (why,) = said(with_meter.readings("m1,1100,2026-02-01"))
    assert why == "row 2, meter_serial: No meter has the serial m1. Do you mean M1?"
    with pytest.raises(NotFound, match=r"No meter has the serial m1\. Do you mean M1\?"):
        utility.submit("m1", 1100)


# -- empty cells ---------------------------------------------------------------------------------


def test_an_empty_cell_leaves_what_is_known_and_a_dash_takes_it_away(
    imports: Imports, database_of: DatabaseService
) -> None:
    header = f"{CUSTOMERS},discord_webhook"
    hook = "https://discord.com/api/webhooks/123/ab"

    def known() -> tuple[str, str, str, str | None]:
        (account,) = database_of.accounts(text="A1", page=1, page_size=5).items
        contact = database_of.customer_contact(account.id)
        url = contact.discord_webhook_url
        return (
            account.email,
            account.phone,
            account.address,
            url.get_secret_value() if url else None,
        )

    full = f"A1,House,a1@example.org,+254 (0)712-345678,12 Canal Road,{hook}"
    assert counts(imports.customers(full, header=header)) == (1, 0, 0)
    first = ("a1@example.org", "+254712345678", "12 Canal Road", hook)
    assert known() == first
    assert counts(imports.customers("A1,House,,,,", header=header)) == (0, 0, 1)
    assert counts(imports.customers("A1,House,,,")) == (0, 0, 1)
    assert known() == first
    assert counts(imports.customers("A1,House,-,,-,-", header=header)) == (0, 1, 0)
    assert known() == ("", "+254712345678", "", None)


# -- nothing twice -------------------------------------------------------------------------------


def test_importing_a_file_again_changes_nothing(with_meter: Imports) -> None:
    assert counts(with_meter.customers("A1,12 Canal Road,,,")) == (0, 0, 1)
    assert counts(with_meter.meters("M1,A1,KSEB-LT1A,manual,5,1,1000,2026-01-01")) == (0, 0, 1)
    rows = ("M1,1117,2026-02-01T10:00", "M1,1230,2026-03-01T10:00")
    assert counts(with_meter.readings(*rows)) == (2, 0, 0)
    assert counts(with_meter.readings(*rows)) == (0, 0, 2)
    assert counts(with_meter.tariffs(EXAMPLES / "tariffs" / "kseb-lt1a.json")) == (0, 0, 1)


_IN_ORDER = """
    select count(distinct x.id), bool_and(coalesce(x.before <= x.began, true)) from (
        select y.id, y.began, lag(y.began) over (order by y.place) as before from (
            select {of}.id, left({of}.id::text, 13) as began, c.account_no as place
            from customers c join service_agreements a on a.customer_id = c.id
            join service_points p on p.id = a.service_point_id
            join meter_installations i on i.service_point_id = p.id
            join meters m on m.id = i.meter_id
            join readings r on r.id = a.opening_reading_id) y) x"""


@pytest.mark.parametrize("of", ["c", "p", "m", "a", "i", "r"])
def test_rows_of_a_file_get_ids_in_its_order(database: str, imports: Imports, of: str) -> None:
    many = 1200
    assert imports.customers(*(f"A{n:04},House {n},,," for n in range(many))).added == many
    meters = (f"M{many - n:04},A{n:04},KSEB-LT1A,manual,5,1,0,2026-01-01" for n in range(many))
    assert imports.meters(*meters).added == many
    with psycopg.connect(database) as connection:
        assert connection.execute(_IN_ORDER.format(of=of).encode()).fetchone() == (many, True)


def test_an_interrupted_import_is_finished_by_importing_the_file_again(
    with_meter: Imports,
) -> None:
    rows = [f"A{n},House {n},,," for n in range(1, 6)]
    assert counts(with_meter.customers(*rows[:3])) == (2, 1, 0)  # A1 had another name
    assert counts(with_meter.customers(*rows)) == (2, 0, 3)


def test_a_customers_details_are_updated_and_the_change_is_kept_in_the_audit_trail(
    with_meter: Imports, database_of: DatabaseService
) -> None:
    assert counts(with_meter.customers("A1,12 Canal Road,a@example.org,,Ward 9")) == (0, 1, 0)
    assert database_of.find_meters(text="ward 9")[0].serial == "M1"
    rows = database_of._transport.select("audit_log", order=["id.desc"], limit=1).rows
    assert (rows[0]["actor"], rows[0]["before"]) == (ACTOR, {"email": "", "address": ""})


def test_the_same_value_on_the_same_day_is_the_same_reading(with_meter: Imports) -> None:
    assert counts(with_meter.readings("M1,1117,2026-02-01T10:00")) == (1, 0, 0)
    assert counts(with_meter.readings("M1,1117.000,2026-02-01T18:00")) == (0, 0, 1)
    assert counts(with_meter.readings("M1,1000,2026-01-01")) == (0, 0, 1)  # the opening read


def test_a_rejected_reading_does_not_come_back_with_its_file(
    with_meter: Imports, database_of: DatabaseService
) -> None:
    assert counts(with_meter.readings("M1,900,2026-02-01")) == (1, 0, 0)
    flagged = database_of.readings(status="needs_review").items[0]
    database_of.decide_reading(
        actor="admin", reading_id=flagged.id, status="rejected", reason="misread"
    )
    assert counts(with_meter.readings("M1,900,2026-02-01")) == (0, 0, 1)
    assert database_of.readings(status="needs_review").total == 0


# -- rows that the database refuses --------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said_of_it"),
    [
        ("M9,A9,KSEB-LT1A,manual,5,,0,2026-01-01", "account_no: No customer has the account"),
        ("M9,A1,NONE,manual,5,,0,2026-01-01", "tariff_code: No tariff has the code NONE."),
        ("M1,A1,KSEB-LT1A,manual,6,,1000,2026-01-01", "serial: Meter M1 is already connected"),
        ("M1,A1,KSEB-LT1A,manual,5,,1001,2026-01-01", "serial: Meter M1 is already connected"),
        ("M9,A1,SEYMOUR-WINTER,manual,5,,0,2026-01-01", "tariff_code: Tariff SEYMOUR-WINTER is in"),
    ],
)
def test_a_meter_that_does_not_fit_is_named(with_meter: Imports, row: str, said_of_it: str) -> None:
    assert with_meter.tariffs(EXAMPLES / "tariffs" / "seymour-winter.json").added == 1
    assert said(with_meter.meters(row))[0].startswith(f"row 2, {said_of_it}")


@pytest.mark.parametrize(
    ("row", "said_of_it"),
    [
        ("M9,5,2026-02-01", "meter_serial: No meter has the serial M9."),
        ("M1,1117,2025-12-31", "Meter M1 was connected on 1 Jan 2026"),
        ("M1,1001,2026-01-01", "Another value is stored for this meter at this very time."),
        ("M1,100000,2026-02-01", "This meter shows 5 digits"),
        ("M1,x,2026-02-01", "The reading must be a number"),
        ("M1,1117,2026-04-01", "The reading is dated 01 Apr 2026 00:00, which is in the future."),
    ],
)
def test_a_reading_that_does_not_fit_is_named(
    with_meter: Imports, row: str, said_of_it: str, database_of: DatabaseService
) -> None:
    report = with_meter.readings("M1,1050,2026-01-15", row)
    assert len(report.errors) == 1
    assert said_of_it in str(report.errors[0])
    assert report.errors[0].row == 3
    assert len(reads_of(database_of, "M1")) == 1


def test_duplicates_in_a_file_are_named(imports: Imports) -> None:
    report = imports.customers("A1,One,,,", "A2,Two,,,", "A1,Three,,,")
    assert said(report) == ["row 4, account_no: A1 stands in row 2 already: keep one of the two."]


def test_an_accounts_currency_does_not_change(with_meter: Imports) -> None:
    header = f"{CUSTOMERS},currency"
    assert counts(with_meter.customers("A1,12 Canal Road,,,,INR", header=header)) == (0, 0, 1)
    report = with_meter.customers("A1,12 Canal Road,,,,USD", header=header)
    assert "row 2, currency: Account A1 is in INR" in said(report)[0]


def test_a_published_version_of_a_tariff_does_not_change(imports: Imports) -> None:
    import json  # noqa: PLC0415

    other = KSEB | {"name": "Another"}
    report = imports.tariffs(json.dumps(other))
    assert "row 1, effective_from: Tariff KSEB-LT1A already has another version" in said(report)[0]
    assert counts(imports.tariffs(json.dumps(other | {"effective_from": "2027-01-01"})))[0] == 1


# -- reads are judged, not billed ----------------------------------------------------------------


def test_reads_are_judged_in_order_of_time_whatever_their_order_in_the_file(
    with_meter: Imports, database_of: DatabaseService
) -> None:
    report = with_meter.readings(
        "M1,1300,2026-03-01", "M1,1100,2026-01-16", "M1,1200,2026-02-01", "M1,1150,2026-03-02"
    )
    assert counts(report) == (4, 0, 0)
    found = database_of.readings(page_size=10).items
    by_value = {reading.register_wh // 1000: reading for reading in found}
    assert {kwh: r.status for kwh, r in by_value.items()} == {
        1000: "accepted",
        1100: "accepted",
        1200: "accepted",
        1300: "accepted",
        1150: "needs_review",
    }
    assert by_value[1150].validation["verdict"] == "needs_review"
    assert {r.source for r in found} == {"imported"}
    assert database_of.bills().total == 0
    assert by_value[1300].submitted_by == ACTOR


def test_a_flagged_read_is_not_what_later_reads_are_judged_by(
    with_meter: Imports, database_of: DatabaseService
) -> None:
    report = with_meter.readings("M1,1100,2026-01-16", "M1,9100,2026-02-01", "M1,1300,2026-03-01")
    assert counts(report) == (3, 0, 0)
    flagged = database_of.readings(status="needs_review").items
    assert [r.register_wh for r in flagged] == [9_100_000]


def test_a_late_read_is_judged_by_the_stored_read_after_it_too(
    with_meter: Imports, database_of: DatabaseService
) -> None:
    assert with_meter.readings("M1,1100,2026-01-16", "M1,1300,2026-03-01").ok
    assert counts(with_meter.readings("M1,1310,2026-02-01")) == (1, 0, 0)
    assert [r.register_wh for r in database_of.readings(status="needs_review").items] == [1_310_000]


def test_a_large_file_is_judged_twice_with_the_same_outcome(
    with_meter: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.importing.importer.KEPT_ROWS", 1)
    rows = ("M1,1100,2026-01-16", "M1,900,2026-02-01", "M1,1300,2026-03-01")
    assert counts(with_meter.readings(*rows)) == (3, 0, 0)
    assert counts(with_meter.readings(*rows)) == (0, 0, 3)


# -- the acceptance example ----------------------------------------------------------------------


def test_seymour_imported_from_its_file_bills_1200_kwh_at_171_55(
    imports: Imports, utility: Utility
) -> None:
    assert imports.tariffs(EXAMPLES / "tariffs" / "seymour-winter.json").added == 1
    assert imports.customers("S1,1 Main Street,,,").ok
    opened: date = utility.today - timedelta(days=30)
    assert imports.meters(f"SEY-1,S1,SEYMOUR-WINTER,manual,5,,5000,{opened}").ok
    answer = utility.submit("SEY-1", 6200)
    assert answer.bill is not None
    assert answer.bill.money(answer.bill.total_minor).display() == "$171.55"
