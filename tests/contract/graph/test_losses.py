"""Losses of a utility made through the services, each figure worked out by hand."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

import pytest

from services.database.errors import IllegalChange
from services.graph import Graph
from services.importing import WhatToImport
from services.reports import catalogue
from services.reports.definitions import Asked
from services.supply.changes import Exchange, MoveIn, MoveOut, TypedRead
from services.supply.places import InvalidPlace
from tests.contract.graph.conftest import NewStory
from tests.integration.metered import Metered
from tests.integration.money.ties import rows_of
from tests.integration.supply.supplied import Supplied
from tests.integration.test_net_metering import SOLAR
from tests.integration.utility import ADMIN, Utility

NOW: Final = datetime(2026, 6, 1, 6, 30, tzinfo=UTC)  # Noon in Kolkata.
JAN, FEB, MAR, APR, MAY = (date(2026, month, 1) for month in range(1, 6))
# Supplied, exported, billed, lost, all in kWh; and the percent lost.
Figures = tuple[str, str, str, str, str | None]


class Grid:
    """Two transformers on a feeder, and places behind them whose bills the services make."""

    def __init__(self, graph: Graph, utility: Utility) -> None:
        utility.now = NOW
        self.graph, self.utility = graph, utility
        self.at, self.metered = Supplied(utility), Metered(utility)
        self.bring(
            "transformers",
            "code,name,feeder_code,feeder_name",
            "T-1,Mill,F-1,North",
            "T-2,Hill,F-1,North",
        )

    def bring(self, what: WhatToImport, header: str, *lines: str) -> None:
        report = self.metered.file(what, header, *lines)
        assert report.ok, report.errors

    def fed(self, transformer: str, start: date, end: date, kwh: str) -> None:
        header = "transformer_code,period_start,period_end,energy_kwh"
        self.bring("supplies", header, f"{transformer},{start},{end},{kwh}")

    def place(self, serial: str, opened: date, transformer: str = "T-1") -> str:
        """A meter at 1,000 kWh on the flat tariff; the id of its place."""
        point = self.at.meter(serial, opened=(self.utility.today - opened).days)
        self.hang(serial, transformer)
        return point

    def hang(self, code: str, transformer: str | None, moved_on: date | None = None) -> None:
        """Say on which transformer a place hangs, as the office does."""
        (seen,) = self.at.points(code)
        kept = seen.model_dump(
            include={"code", "address", "route", "sequence", "phases", "access_note"}
        )
        self.utility.services.places.change(
            seen=seen,
            body=kept | {"transformer_code": transformer or ""},
            principal=ADMIN,
            moved_on=moved_on,
            today=self.utility.today,
        )

    def read(self, serial: str, kwh: int, on: date, **how: Any) -> None:
        """A reading at noon, accepted by a person where the rules doubt it."""
        at = datetime.combine(on, time(12), tzinfo=self.metered.zone)
        done = self.utility.submit(serial, kwh, at=at, **how)
        if done.reading.status == "needs_review":
            self.utility.services.reading_review.accept(
                reading_id=done.reading.id, reason="Seen", principal=ADMIN, now=NOW
            )

    def keep(self) -> None:
        """Keep the balances as the background does."""
        for _ in range(2):
            self.graph.keep_balances(settled_ms=0)

    def losses(
        self, start: date = JAN, until: date = MAY, *, compared: bool = True
    ) -> dict[tuple[str, date], Figures]:
        """The report of these days by transformer and first day, of a graph that is compared."""
        database = self.utility.services.database
        if compared:
            self.graph.rebuild(database, thorough=False)
        while self.graph.follow(database):
            pass

        def balances(since: date, until: date) -> Any:
            return self.graph.energy_balance(since=since, until=until)

        services = replace(
            self.utility.services, reports=self.utility.services.reports.with_balances(balances)
        )
        return {
            (row["transformer"], row["from"]): figures(row)
            for row in rows_of(services, catalogue.LOSSES, Asked(start, until))
        }


def figures(row: Mapping[str, Any]) -> Figures:
    kwh = [text(row[f"{of}_kwh"]) for of in ("supplied", "exported", "billed", "loss")]
    percent = row["loss_percent"]
    return (kwh[0], kwh[1], kwh[2], kwh[3], None if percent is None else str(percent))


def text(number: Decimal) -> str:
    return str(number)


@pytest.fixture
def grid(graph: Graph, new_story: NewStory) -> Grid:
    return Grid(graph, new_story(graph))


def test_a_meter_that_was_exchanged_within_a_month_and_a_month_that_is_a_part(grid: Grid) -> None:
    point = grid.place("M1", FEB)
    grid.at.do(Exchange(point, date(2026, 2, 15), TypedRead("1140"), "N1", TypedRead("0")))
    # 140 kWh of the old meter and 140 of the new; then 450 kWh in 45 days.
    grid.read("N1", 140, MAR)
    grid.read("N1", 590, date(2026, 4, 15))
    grid.fed("T-1", FEB, MAR, "300")
    # 31 days of 10 kWh in March, and 4 of 10 until the 5th of April.
    grid.fed("T-1", MAR, date(2026, 4, 5), "400")
    assert grid.losses() == {
        ("T-1", FEB): ("300", "0", "280", "20", "6.7"),
        ("T-1", MAR): ("400", "0", "350", "50", "12.5"),
    }
    # A day is enough to be asked for the period that it is in.
    assert set(grid.losses(date(2026, 4, 4), date(2026, 4, 5))) == {("T-1", MAR)}
    assert grid.losses(date(2026, 4, 5), MAY) == {}


def test_who_moves_out_and_in_within_a_month_and_what_nobody_is_billed_for(grid: Grid) -> None:
    point = grid.place("M1", FEB)
    grid.at.do(MoveOut(point, date(2026, 2, 11), TypedRead("1100")))
    new = grid.at.customer("A-NEW")
    grid.at.do(MoveIn(point, new, date(2026, 2, 21), TypedRead("1125"), "FLAT"))
    grid.read("M1", 1205, MAR)
    grid.fed("T-1", FEB, MAR, "220")
    # 100 and 80 kWh are billed; 25 of the 40 that are lost were used while nobody lived there.
    assert grid.losses() == {("T-1", FEB): ("220", "0", "180", "40", "18.2")}
    (vacant,) = rows_of(grid.utility.services, catalogue.UNBILLED, Asked(FEB, MAR))
    assert (vacant["kwh"], vacant["vacant_since"]) == (Decimal(25), date(2026, 2, 11))
    (balance,) = grid.graph.energy_balance(since=FEB, until=MAR)
    assert (balance.meters, balance.meters_unread) == (1, 0)


def test_an_estimate_that_is_settled_counts_on_the_days_that_it_was_of(grid: Grid) -> None:
    grid.place("M1", JAN)
    grid.read("M1", 1310, FEB)
    grid.read("M1", 1750, MAR, source="estimated")
    grid.fed("T-1", JAN, FEB, "320")
    grid.fed("T-1", FEB, MAR, "180")
    grid.fed("T-1", MAR, APR, "200")
    assert grid.losses() == {
        ("T-1", JAN): ("320", "0", "310", "10", "3.1"),
        # More is billed than came: the estimate was too high.
        ("T-1", FEB): ("180", "0", "440", "-260", "-144.4"),
        ("T-1", MAR): ("200", "0", "0", "200", "100.0"),
    }
    # 354 kWh in the 59 days of both months: 6 a day, 168 and 186. The bill's own use is below 0.
    grid.read("M1", 1664, APR)
    assert [b.consumption_wh for b in grid.at.bills("M1")] == [310_000, 440_000, -86_000]
    settled = {
        ("T-1", JAN): ("320", "0", "310", "10", "3.1"),
        ("T-1", FEB): ("180", "0", "168", "12", "6.7"),
        ("T-1", MAR): ("200", "0", "186", "14", "7.0"),
    }
    assert grid.losses() == settled
    # Kept balances say the same as those that are worked out now.
    grid.keep()
    assert grid.losses(compared=False) == settled
    # Taken back, the estimate counts again.
    last = grid.at.bills("M1")[-1]
    grid.utility.services.rebilling.void(
        bill_id=last.id, reason="misread", principal=ADMIN, now=NOW
    )
    assert grid.losses(compared=False)["T-1", FEB] == ("180", "0", "440", "-260", "-144.4")


def test_what_places_export_is_fed_in_too(grid: Grid) -> None:
    grid.bring("tariffs", json.dumps(SOLAR))
    grid.metered.add_meter("S1", "export=0", tariff="SOLAR", days=(grid.utility.today - FEB).days)
    grid.hang("S1", "T-1")
    grid.place("M1", FEB)
    at = datetime.combine(MAR, time(12), tzinfo=grid.metered.zone)
    done = grid.metered.submit("S1", 1050, at=at, export=100)
    if done.bill is None:
        review = grid.utility.services.reading_review
        review.accept(reading_id=done.reading.id, reason="Sunny", principal=ADMIN, now=NOW)
    grid.read("M1", 1200, MAR)
    grid.fed("T-1", FEB, MAR, "160")
    # 160 kWh came, and 100 from the roof: 250 of these 260 were billed, 10 are lost.
    assert grid.losses() == {("T-1", FEB): ("160", "100", "250", "10", "3.8")}


def test_a_place_that_was_moved_leaves_what_was_billed_before_where_it_was(grid: Grid) -> None:
    grid.place("M1", FEB)
    grid.place("M2", FEB)
    for serial in ("M1", "M2"):
        grid.read(serial, 1280, MAR)
        grid.read(serial, 1590, APR)
    for month, until, kwh in ((FEB, MAR, "600"), (MAR, APR, "500")):
        grid.fed("T-1", month, until, kwh)
        grid.fed("T-2", month, until, "250")
    before = {
        ("T-1", FEB): ("600", "0", "560", "40", "6.7"),
        ("T-1", MAR): ("500", "0", "620", "-120", "-24.0"),
        ("T-2", FEB): ("250", "0", "0", "250", "100.0"),
        ("T-2", MAR): ("250", "0", "0", "250", "100.0"),
    }
    assert grid.losses() == before
    grid.keep()
    grid.hang("M2", "T-2", date(2026, 3, 11))
    # 10 of March's 31 days at the first, 21 at the second: 100 and 210 kWh.
    moved = before | {
        ("T-1", MAR): ("500", "0", "410", "90", "18.0"),
        ("T-2", MAR): ("250", "0", "210", "40", "16.0"),
    }
    # With its next bill the graph hears of it, and forgets what it kept.
    grid.read("M2", 1890, MAY)
    assert grid.losses(JAN, APR, compared=False) == moved
    assert grid.losses(JAN, APR) == moved
    # A day is wrong, or comes too late.
    with pytest.raises(InvalidPlace, match="still to come"):
        grid.hang("M2", "T-1", date(2026, 6, 2))
    with pytest.raises(IllegalChange, match="on a later day"):
        grid.hang("M2", "T-1", date(2026, 3, 10))
    with pytest.raises(InvalidPlace, match="Name the transformer"):
        grid.hang("M2", "T-2", date(2026, 4, 1))
    # Back again from the 21st on: 10 days at the second.
    grid.hang("M2", "T-1", date(2026, 3, 21))
    assert grid.losses(MAR, APR) == {
        ("T-1", MAR): ("500", "0", "520", "-20", "-4.0"),
        ("T-2", MAR): ("250", "0", "100", "150", "60.0"),
    }


def test_a_transformer_that_was_wrong_from_the_start_is_corrected_for_all_days(grid: Grid) -> None:
    grid.place("M1", FEB, "T-2")
    grid.read("M1", 1280, MAR)
    grid.fed("T-1", FEB, MAR, "300")
    grid.hang("M1", "T-1")
    assert grid.losses() == {("T-1", FEB): ("300", "0", "280", "20", "6.7")}


def test_a_file_says_since_when_a_place_hangs_there(grid: Grid) -> None:
    grid.place("M1", FEB)
    grid.read("M1", 1280, MAR)
    grid.fed("T-1", FEB, MAR, "300")
    grid.fed("T-2", FEB, MAR, "100")
    header = "code,transformer_code,transformer_since"
    for _ in range(2):
        grid.bring("service_points", header, "M1,T-2,2026-02-22")
    # 7 of 28 days at the second.
    assert grid.losses() == {
        ("T-1", FEB): ("300", "0", "210", "90", "30.0"),
        ("T-2", FEB): ("100", "0", "70", "30", "30.0"),
    }
    for row, said in (
        ("M1,T-1,2026-02-20", "on 2026-02-22 already"),
        ("M1,,2026-03-01", "not on which transformer"),
        ("M1,T-1,2027-01-01", "is in the future"),
    ):
        report = grid.metered.file("service_points", header, row)
        assert said in str(report.errors[0])


def test_hourly_meters_beside_one_that_is_read_on_other_days(grid: Grid) -> None:
    grid.utility.now = datetime(2026, 3, 11, 6, 30, tzinfo=UTC)
    grid.place("M1", date(2026, 1, 11))
    # 10 kWh a day up to the 11th of February, 20 from then on.
    grid.read("M1", 1310, date(2026, 2, 11))
    grid.read("M1", 1870, date(2026, 3, 11))
    grid.utility.now = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
    grid.metered.add_meter("H1", kind="smart", days=28)
    grid.hang("H1", "T-1")
    # 3.6 kWh a day in hours: 100.8 in February.
    assert grid.metered.import_intervals("H1", 28).ok
    done = grid.metered.submit("H1", "1100.8")
    assert done.bill is not None
    grid.fed("T-1", FEB, MAR, "600")
    # 10 days of 10, 18 of 20: 460 kWh; with the other 560.8.
    assert grid.losses() == {("T-1", FEB): ("600", "0", "560.8", "39.2", "6.5")}
