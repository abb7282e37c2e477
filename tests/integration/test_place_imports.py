"""Importing places of supply and agreements, after or beside meters."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.importing import Importer, ImportReport, WhatToImport
from tests.integration.utility import Utility, make_utility

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACTOR = "cli:tester"
POINTS = "code,address,route,sequence,phases,connected_kw,access_note"
METERS = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,service_point"
AGREEMENTS = "service_point,account_no,tariff_code,starts_on,ends_on,deposit"
T = "KSEB-LT1A"
M1 = f"M1,A-1,{T},manual,5,1,1000,2026-01-01,P-1"


class Places:
    """Imports for a test, and what they left behind."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.database = utility.services.database
        self.importer = Importer(self.database, utility.services.settings.timezone)
        self.looker = Importer(
            self.database, utility.services.settings.timezone, dry_run=True, allow_similar=True
        )

    def run(self, what: WhatToImport, header: str, *lines: str) -> ImportReport:
        return self.importer.run(what, "\n".join((header, *lines)), actor=ACTOR, now=NOW)

    def points(self, *lines: str) -> ImportReport:
        return self.run("service_points", POINTS, *lines)

    def meters(self, *lines: str) -> ImportReport:
        return self.run("meters", METERS, *lines)

    def read(self, *lines: str) -> None:
        assert self.run("readings", "meter_serial,reading_kwh,read_at", *lines).ok

    def agreements(self, *lines: str) -> ImportReport:
        return self.run("agreements", AGREEMENTS, *lines)

    def look(self, *lines: str) -> ImportReport:
        text = "\n".join((AGREEMENTS, *lines))
        return self.looker.run("agreements", text, actor=ACTOR, now=NOW)

    def spans(self, code: str) -> list[tuple[str, str, str | None]]:
        """Who is supplied at a place from when to when, the first first."""
        rows = self.database._transport.select(
            "service_points", filters=[], order=["code.asc"], limit=100
        ).rows
        point = next(row["id"] for row in rows if row["code"] == code)
        found = self.database.place(point).agreements
        return sorted(
            (a.account_no, str(a.starts_on), str(a.ends_on) if a.ends_on else None) for a in found
        )


@pytest.fixture
def places(database: str, tmp_path: Path) -> Iterator[Places]:
    """Two customers and a place with a meter, which the first has had since January."""
    utility = make_utility(database, tmp_path, now=NOW)
    places = Places(utility)
    assert places.run("customers", "account_no,name", "A-1,Ann", "A-2,Ben").ok
    assert counts(places.points("P-1,1 Hill Road,R1,7,1,3,The dog is loud.", "P-2,,,,,,")) == (
        2, 0, 0,
    )  # fmt: skip
    assert counts(places.meters(M1)) == (1, 0, 0)
    yield places
    utility.services.close()


def counts(report: ImportReport) -> tuple[int, int, int]:
    assert report.ok, [str(problem) for problem in report.errors]
    return report.added, report.changed, report.unchanged


def said(report: ImportReport) -> list[str]:
    return [str(problem) for problem in report.errors]


def test_a_known_place_is_changed_by_what_a_row_gives(places: Places) -> None:
    assert counts(places.points("P-1,1 Hill Road,R1,7,1,3,The dog is loud.")) == (0, 0, 1)
    text = f"{POINTS}\nP-1,,,-,3,,-"
    looked = places.looker.run("service_points", text, actor=ACTOR, now=NOW)
    assert {(d.name, d.field, d.before, d.after) for d in looked.differences} == {
        ("P-1", "sequence", "7", ""),
        ("P-1", "phases", "1", "3"),
        ("P-1", "access_note", "The dog is loud.", ""),
    }
    assert looked.states == {2: "changed"}
    assert counts(places.points("P-1,,,-,3,,-")) == (0, 1, 0)
    assert counts(places.points("P-1,,,-,3,,-", "P-3,,,,,,")) == (1, 0, 1)


@pytest.mark.parametrize(
    ("row", "said_of_it"),
    [
        (",x,,,,,", "row 3, code: is empty"),
        ("P-9,x,,7.5,,,", "row 3, sequence: must be a whole number"),
        ("P-9,x,,,4,,", "row 3, phases: must be 1, 2 or 3"),
        ("P-9,x,,,,0,", "row 3, connected_kw: The connected load must be more than 0"),
        ("P-8,x,,,,,", "row 3, code: P-8 stands in row 2 already"),
        ("p-1,x,,,,,", "row 3, code: p-1 looks like P-1, which is known"),
    ],
)
def test_a_place_that_does_not_fit_is_named_and_nothing_is_written(
    places: Places, row: str, said_of_it: str
) -> None:
    (why,) = said(places.points("P-8,x,,,,,", row))
    assert why.startswith(said_of_it)
    assert counts(places.points("P-8,x,,,,,")) == (1, 0, 0)


def test_a_meter_is_installed_at_a_known_place_also_a_vacant_one(places: Places) -> None:
    assert places.spans("P-1") == [("A-1", "2026-01-01", None)]
    assert counts(places.meters(M1)) == (0, 0, 1)
    assert counts(places.meters("M2,,,manual,5,1,5,2026-01-01,P-2")) == (1, 0, 0)
    assert places.spans("P-2") == []
    assert counts(places.meters("M2,,,manual,5,1,5,2026-01-01,P-2")) == (0, 0, 1)
    assert said(places.meters(f"M3,A-1,{T},manual,5,1,0,2026-01-01,P-1")) == [
        (
            "row 2, service_point: Meter M1 is installed at P-1: exchange it on the page of the "
            "service point."
        )
    ]
    assert said(places.meters(f"M3,A-1,{T},manual,5,1,0,2026-01-01,P-7")) == [
        (
            "row 2, service_point: No service point has the code P-7: import it first, or leave "
            "the cell empty."
        )
    ]
    assert said(places.meters(M1.replace("P-1", "P-2"))) == [
        "row 2, service_point: Meter M1 is installed at another service point."
    ]


def test_one_moves_out_another_in_at_one_read_and_a_repeat_changes_nothing(places: Places) -> None:
    places.read("M1,1100,2026-02-01", "M1,1150,2026-03-01")
    rows = (
        f"P-1,A-1,{T},2026-01-01,2026-02-01,500",
        f"P-1,A-2,{T},2026-02-01,2026-03-01,750.50",
        f"P-1,A-1,{T},2026-03-01,,500",
    )
    looked = places.look(*rows)
    assert counts(looked) == (2, 1, 0)
    (currency, ends) = sorted(looked.differences, key=lambda found: found.name)
    assert (currency.name, currency.field, currency.after) == ("A-2", "currency", "INR")
    assert (ends.name, ends.field, ends.after) == (
        "P-1, A-1 from 2026-01-01", "ends_on", "2026-02-01",
    )  # fmt: skip
    assert places.spans("P-1") == [("A-1", "2026-01-01", None)]
    assert counts(places.agreements(*rows)) == (2, 1, 0)
    assert counts(places.agreements(*rows)) == (0, 0, 3)
    assert counts(places.meters(M1)) == (0, 0, 1)
    assert places.spans("P-1") == [
        ("A-1", "2026-01-01", "2026-02-01"),
        ("A-1", "2026-03-01", None),
        ("A-2", "2026-02-01", "2026-03-01"),
    ]
    header = AGREEMENTS.replace("deposit", "billing_day")
    fifth = f"P-1,A-1,{T},2026-03-01,,5"
    assert counts(places.run("agreements", header, fifth)) == (0, 1, 0)
    assert counts(places.run("agreements", header, fifth)) == (0, 0, 1)
    first, second, _ = sorted(
        places.database._transport.select(
            "service_agreements", filters=[], order=["starts_on.asc"], limit=9
        ).rows,
        key=lambda row: str(row["starts_on"]),
    )
    assert first["closing_reading_id"] == second["opening_reading_id"]
    ben = places.database.account_numbered("A-2")
    assert (ben.deposit_minor, ben.balance_minor) == (75_050, 0)
    assert places.database.account_numbered("A-1").deposit_minor == 100_000
    (entry,) = places.database.ledger(customer_id=ben.id, book="deposit").items
    assert (entry.kind, entry.note) == ("opening_balance", "Deposit for P-1, brought in")
    assert places.database.check_ledger().problems == ()


def test_another_tariff_from_a_day(places: Places) -> None:
    header = "service_point,account_no,tariff_code,starts_on,tariff_from"
    path = Path("examples/tariffs/delhi-domestic-3kw.json")
    tariff = path.read_text().replace('"2025-', '"2020-')
    assert places.importer.run("tariffs", tariff, actor=ACTOR, now=NOW).ok
    code = next(v.code for v in places.database.tariff_versions() if v.code != T)
    row = f"P-1,A-1,{code},2026-01-01,2026-02-10"
    wrong = places.run("agreements", header, row.replace("2026-02-10", ""))
    assert said(wrong) == [
        (
            f"row 2, tariff_code: The agreement began on tariff {T}: put the day from which "
            "another holds under tariff_from."
        )
    ]
    looked = places.looker.run("agreements", f"{header}\n{row}", actor=ACTOR, now=NOW)
    assert [(d.field, d.after) for d in looked.differences] == [("tariff_id", code)]
    assert counts(places.run("agreements", header, row)) == (0, 1, 0)
    assert counts(places.run("agreements", header, row)) == (0, 0, 1)


@pytest.mark.parametrize(
    ("row", "said_of_it"),
    [
        (f"P-9,A-1,{T},2026-01-01,,", "service_point: No service point has the code P-9"),
        (f"P-1,A-9,{T},2026-02-01,,", "account_no: No customer has the account number A-9."),
        ("P-1,A-2,NONE,2026-02-01,,", "tariff_code: No tariff has the code NONE."),
        (f"P-1,A-2,{T},2026-01-01,,", "account_no: Account A-1 is supplied at P-1 from 2026-01-01"),
        (f"P-1,A-2,{T},2026-02-01,,", "starts_on: Account A-1 is supplied at P-1 from 2026-01-01"),
        (f"P-1,A-1,{T},2026-01-01,2026-02-02,", "ends_on: No read of 2026-02-02 is accepted"),
        (f"P-2,A-2,{T},2026-02-01,,", "starts_on: No meter stands at P-2 on 2026-02-01"),
        (f"P-1,A-2,{T},2026-02-01,2026-02-01,", "ends_on: must come after 2026-02-01"),
        (f"P-1,A-2,{T},2026-04-01,,", "starts_on: 2026-04-01 is in the future"),
        (f"P-1,A-2,{T},2026-02-01,,-5", "deposit: The deposit cannot be negative."),
        (f"P-1,a-2,{T},2026-02-01,,", "account_no: No customer has the account number a-2. Do you"),
    ],
)
def test_an_agreement_that_does_not_fit_is_named_and_nothing_is_written(
    places: Places, row: str, said_of_it: str
) -> None:
    places.read("M1,1100,2026-02-01")
    (why,) = said(places.agreements(row))
    assert why.startswith(f"row 2, {said_of_it}")
    assert places.spans("P-1") == [("A-1", "2026-01-01", None)]


def test_agreements_of_one_file_that_overlap_are_both_named(places: Places) -> None:
    places.read("M1,1100,2026-02-01", "M1,1150,2026-03-01")
    report = places.agreements(f"P-1,A-1,{T},2026-01-01,2026-03-01,", f"P-1,A-2,{T},2026-02-01,,")
    assert [(problem.row, problem.column) for problem in report.errors] == [
        (2, "starts_on"), (3, "starts_on"),
    ]  # fmt: skip


def test_an_agreement_does_not_end_within_a_bill(places: Places) -> None:
    places.read("M1,1100,2026-02-10")
    submitted = places.utility.submit("M1", 1200, at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert submitted.bill is not None
    (why,) = said(places.agreements(f"P-1,A-1,{T},2026-01-01,2026-02-10,"))
    assert "which corrects the bill" in why
