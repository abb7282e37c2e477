"""Importing the grid: transformers, which meter hangs on which, and what went into them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.importing import Importer, ImportReport, WhatToImport
from tests.integration.utility import Utility, make_utility

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACTOR = "cli:tester"
TRANSFORMERS = "code,name,feeder_code,feeder_name,rated_kva"
SUPPLIES = "transformer_code,period_start,period_end,energy_kwh,correction"
METERS = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"
M1 = "M1,A-M1,KSEB-LT1A,manual,5,1,1000,2026-01-01"
JANUARY = "T-1,2026-01-01,2026-02-01"
FEBRUARY = "T-1,2026-02-01,2026-03-01"


class Grid:
    """Imports for a test, and what they left behind."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.database = utility.services.database
        self.importer = Importer(self.database, utility.services.settings.timezone)

    def run(self, what: WhatToImport, header: str, *lines: str) -> ImportReport:
        return self.importer.run(what, "\n".join((header, *lines)), actor=ACTOR, now=NOW)

    def transformers(self, *lines: str) -> ImportReport:
        return self.run("transformers", TRANSFORMERS, *lines)

    def supplies(self, *lines: str) -> ImportReport:
        return self.run("supplies", SUPPLIES, *lines)

    def meter(self, line: str, header: str = f"{METERS},transformer_code") -> ImportReport:
        return self.run("meters", header, line)

    def rows(self, what: str) -> list[dict[str, Any]]:
        return self.database.graph_rows(what=what, after=None, limit=1000)

    def stored(self) -> list[tuple[str, str, int]]:
        found = [
            (s["period_start"], s["period_end"], s["energy_wh"]) for s in self.rows("supplies")
        ]
        return sorted(found)


@pytest.fixture
def grid(database: str, tmp_path: Path) -> Iterator[Grid]:
    """Two transformers on a feeder."""
    utility = make_utility(database, tmp_path, now=NOW)
    grid = Grid(utility)
    assert counts(grid.transformers("T-1,Hill,F-1,North,100", "T-2,Dale,F-1,,")) == (2, 0, 0)
    yield grid
    utility.services.close()


def counts(report: ImportReport) -> tuple[int, int, int]:
    assert report.ok, [str(problem) for problem in report.errors]
    return report.added, report.changed, report.unchanged


def said(report: ImportReport) -> list[str]:
    return [str(problem) for problem in report.errors]


# -- transformers --------------------------------------------------------------------------------


def test_transformers_come_with_their_feeders_and_a_second_import_changes_nothing(
    grid: Grid,
) -> None:
    (feeder,) = grid.rows("feeders")
    assert (feeder["code"], feeder["name"]) == ("F-1", "North")
    kva = {t["code"]: (t["rated_kva"], t["feeder_id"]) for t in grid.rows("transformers")}
    assert kva == {"T-1": (100, feeder["id"]), "T-2": (None, feeder["id"])}
    assert counts(grid.transformers("T-1,Hill,F-1,North,100", "T-2,Dale,F-1,,")) == (0, 0, 2)


def test_a_known_transformer_gets_its_details_updated_and_blank_cells_leave_theirs(
    grid: Grid,
) -> None:
    assert counts(grid.transformers("T-1,Hill top,F-1,,")) == (0, 1, 0)
    assert counts(grid.transformers("T-1,Hill top,F-2,South,")) == (0, 1, 0)
    assert counts(grid.transformers("T-1,Hill top,F-2,South end,160")) == (0, 1, 0)
    t1 = next(t for t in grid.rows("transformers") if t["code"] == "T-1")
    feeders = {f["id"]: f["name"] for f in grid.rows("feeders")}
    assert (t1["name"], t1["rated_kva"], feeders[t1["feeder_id"]]) == ("Hill top", 160, "South end")
    (entry, *_) = grid.database._transport.select("audit_log", order=["id.desc"], limit=1).rows
    assert entry["before"]["rated_kva"] == 100
    assert entry["actor"] == ACTOR


@pytest.mark.parametrize(
    ("row", "said_of_it"),
    [
        (",Dale,F-1,,", "row 3, code: is empty"),
        ("T-3,,F-1,,", "row 3, name: is empty"),
        ("T-3,Dale,,,", "row 3, feeder_code: is empty"),
        ("T-3,Dale,F-1,,37.5", "row 3, rated_kva: must be a whole number of kVA"),
        ("T-3,Dale,F-1,,0", "row 3, rated_kva: must be a whole number of kVA"),
        ("T-3,Dale,F-1,,-100", "row 3, rated_kva: must be a whole number of kVA"),
        ("T-1,Dale,F-1,,", "row 3, code: T-1 stands in row 2 already"),
        ("T-3,Dale,F-9,West,", "row 3, feeder_name: Feeder F-9 has another name in row 2."),
        ("T-3,Dale", "row 3: has 2 cells where the header names 5."),
    ],
)
def test_a_transformer_that_does_not_fit_is_named_and_nothing_is_written(
    grid: Grid, row: str, said_of_it: str
) -> None:
    report = grid.transformers("T-1,Hill,F-9,East,100", row)
    assert len(report.errors) == 1
    assert said(report)[0].startswith(said_of_it)
    assert [f["code"] for f in grid.rows("feeders")] == ["F-1"]


# -- meters ---------------------------------------------------------------------------------------


def test_a_meters_transformer_is_set_kept_changed_and_taken_away(grid: Grid) -> None:
    code_of = {t["id"]: str(t["code"]) for t in grid.rows("transformers")}

    def feeding() -> str | None:
        (meter,) = grid.rows("meters")
        return code_of.get(meter["transformer_id"])

    grid.run("customers", "account_no,name,email,phone,address", "A-M1,House,,,")
    assert counts(grid.meter(f"{M1},T-1")) == (1, 0, 0)
    assert feeding() == "T-1"
    assert counts(grid.meter(f"{M1},T-1")) == (0, 0, 1)
    assert counts(grid.meter(M1, header=METERS)) == (0, 0, 1)
    assert feeding() == "T-1"
    assert counts(grid.meter(f"{M1},T-2")) == (0, 1, 0)
    assert feeding() == "T-2"
    assert counts(grid.meter(f"{M1},")) == (0, 0, 1)
    assert feeding() == "T-2"
    assert counts(grid.meter(f"{M1},-")) == (0, 1, 0)
    assert feeding() is None
    report = grid.meter(f"{M1},T-9")
    assert said(report) == ["row 2, transformer_code: No transformer has the code T-9."]
    report = grid.meter(f"{M1.replace(',5,', ',6,')},T-1")
    assert "serial: Meter M1 is already connected with other details." in said(report)[0]
    assert feeding() is None


# -- supplies -------------------------------------------------------------------------------------


def test_supplies_are_stored_once(grid: Grid) -> None:
    rows = (f"{JANUARY},1200.5,", f"{FEBRUARY},0,", "T-2,2026-01-10,2026-02-10,7,no")
    assert counts(grid.supplies(*rows)) == (3, 0, 0)
    assert grid.stored()[0] == ("2026-01-01", "2026-02-01", 1_200_500)
    assert counts(grid.supplies(*rows)) == (0, 0, 3)


@pytest.mark.parametrize(
    ("row", "said_of_it"),
    [
        ("T-9,2026-02-01,2026-03-01,5,", "transformer_code: No transformer has the code T-9."),
        (",2026-02-01,2026-03-01,5,", "transformer_code: is empty"),
        (f"{FEBRUARY},-5,", "energy_kwh: The energy cannot be negative."),
        (f"{FEBRUARY},,", "energy_kwh: The energy is missing"),
        (f"{FEBRUARY},1.2345,", "energy_kwh: The energy can have at most 3 decimals."),
        (f"{FEBRUARY},nan,", "energy_kwh: The energy must be a number"),
        ("T-1,2026-03-01,2026-02-01,5,", "period_end: must come after 2026-03-01"),
        ("T-1,2026-02-01,2026-02-01,5,", "period_end: must come after 2026-02-01"),
        ("T-1,2026-03-01,2026-04-01,5,", "period_end: 2026-04-01 is in the future"),
        ("T-1,1/2/2026,2026-03-01,5,", "period_start: 1/2/2026 may be 2026-02-01 or 2026-01-02"),
        (f"{FEBRUARY},5,maybe", "correction: must be yes, no or empty, not 'maybe'."),
        (f"{FEBRUARY},5,yes", "correction: Nothing is stored for transformer T-1 in this period"),
        (f"{JANUARY},1200,", "period_start: The period overlaps that of row 2"),
        ("T-1,2026-01-31,2026-03-01,5,", "period_start: The period overlaps that of row 2"),
    ],
)
def test_a_supply_that_does_not_fit_is_named_and_nothing_is_written(
    grid: Grid, row: str, said_of_it: str
) -> None:
    report = grid.supplies(f"{JANUARY},1200,", row)
    assert len(report.errors) == 1
    assert said(report)[0].startswith(f"row 3, {said_of_it}")
    assert grid.stored() == []


def test_a_long_period_that_swallows_others_of_the_file_is_named_each_time(grid: Grid) -> None:
    report = grid.supplies("T-1,2026-01-01,2026-03-10,9,", f"{JANUARY},5,", f"{FEBRUARY},5,")
    assert [problem.row for problem in report.errors] == [3, 4]


def test_another_value_for_a_stored_period_is_refused_and_the_way_out_is_said(grid: Grid) -> None:
    assert grid.supplies(f"{JANUARY},1200.5,").ok
    (why,) = said(grid.supplies(f"{FEBRUARY},1100,", f"{JANUARY},1300,"))
    assert why.startswith(
        "row 3, energy_kwh: Transformer T-1 has another value for this period, 1200.5 kWh."
    )
    assert why.endswith("add a column named correction with yes in this row.")
    (why,) = said(grid.supplies("T-1,2026-01-31,2026-02-15,1,"))
    assert why == (
        "row 2, period_start: The period overlaps that from 2026-01-01 up to 2026-02-01, which is "
        "stored for transformer T-1."
    )
    assert grid.stored() == [("2026-01-01", "2026-02-01", 1_200_500)]


def test_a_correction_replaces_the_stored_value_and_the_audit_trail_keeps_it(grid: Grid) -> None:
    assert grid.supplies(f"{JANUARY},1200,").ok
    (before,) = grid.rows("supplies")
    assert counts(grid.supplies(f"{JANUARY},1300,yes")) == (0, 1, 0)
    assert counts(grid.supplies(f"{JANUARY},1300,yes")) == (0, 0, 1)
    (after,) = grid.rows("supplies")
    assert after == before | {"energy_wh": 1_300_000}
    (entry,) = grid.database._transport.select("audit_log", order=["id.desc"], limit=1).rows
    assert (entry["before"], entry["actor"]) == ({"energy_wh": 1_200_000}, ACTOR)


def test_a_correction_may_move_a_period_and_the_next_ones_with_it(grid: Grid) -> None:
    assert grid.supplies(f"{JANUARY},1200,", f"{FEBRUARY},1100,").ok
    moved = ("T-1,2026-01-01,2026-02-03,1280,yes", "T-1,2026-02-03,2026-03-01,1020,yes")
    assert "overlaps that from 2026-02-01 up to 2026-03-01" in said(grid.supplies(moved[0]))[0]
    assert counts(grid.supplies(*moved, "T-1,2026-03-01,2026-03-15,600,")) == (1, 2, 0)
    assert [start for start, _, _ in grid.stored()] == ["2026-01-01", "2026-02-03", "2026-03-01"]
    halves = ("T-1,2026-01-01,2026-01-15,640,yes", "T-1,2026-01-15,2026-02-03,640,yes")
    assert "Another row of the file corrects the same" in said(grid.supplies(*halves))[0]
    assert counts(grid.supplies(halves[0], halves[1].removesuffix("yes"))) == (1, 1, 0)


def test_two_imports_at_once_do_not_store_overlapping_periods(grid: Grid) -> None:
    def bring(day: int) -> ImportReport:
        return grid.supplies(f"T-1,2026-01-{day:02},2026-02-20,5,")

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(bring, range(1, 9)))
    assert [report.ok for report in reports].count(True) == 1
    assert len(grid.stored()) == 1


@pytest.mark.parametrize(
    "attempt",
    [
        """insert into public.supplies (transformer_id, period_start, period_end, energy_wh)
           select transformer_id, period_start + 30, period_end + 30, 1 from public.supplies""",
        "delete from public.supplies",
        "truncate public.supplies",
    ],
)
def test_the_database_itself_refuses_overlaps_and_deletes(
    grid: Grid, database: str, attempt: str
) -> None:
    assert grid.supplies(f"{JANUARY},1200,").ok
    with psycopg.connect(database, options="-c billing.actor=somebody") as connection:
        with pytest.raises(psycopg.Error) as refused:
            connection.execute(attempt.encode())
        assert refused.value.sqlstate == "EB005"
