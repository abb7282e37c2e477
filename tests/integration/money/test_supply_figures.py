"""Vacant use, losses and visits in vain as reports say them, each figure worked out by hand."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from services.corrections.plan import WrongReading
from services.graph.answers import TransformerBalance
from services.readings.round import Visit
from services.reports import catalogue
from services.reports.definitions import Asked
from services.supply.changes import Exchange, MoveIn, MoveOut, OtherTariff, TypedRead
from tests.integration.correcting import Correcting
from tests.integration.money.ties import rows_of
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def at(utility: Utility) -> Supplied:
    return Supplied(utility)


def test_what_was_used_while_nobody_was_supplied(at: Supplied) -> None:
    # Vacant from day 40 to day 10, in which the register went from 1,100 to 1,125: 25 kWh.
    first = at.meter("M1")
    at.do(MoveOut(first, at.day(40), TypedRead("1100")))
    at.do(MoveIn(first, at.customer("A-NEW"), at.day(10), TypedRead("1125"), "FLAT"))
    # Vacant since day 20 at 1,130, and at 1,134 two days ago: 4 kWh so far.
    second = at.meter("M2")
    at.do(MoveOut(second, at.day(20), TypedRead("1130")))
    at.read("M2", 1134, 2)
    # Vacant since day 15, and nothing was used.
    third = at.meter("M3")
    at.do(MoveOut(third, at.day(15), TypedRead("1050")))
    services = at.utility.services
    days = Asked(at.day(50), at.day(-1))
    found = {
        row["meter_serial"]: (row["vacant_since"], row["vacant_until"], row["kwh"])
        for row in rows_of(services, catalogue.UNBILLED, days)
    }
    assert found == {
        "M1": (at.day(40), at.day(10), Decimal(25)),
        "M2": (at.day(20), None, Decimal(4)),
    }
    # Of days that end before the second place was vacant it is the first alone.
    before = rows_of(services, catalogue.UNBILLED, Asked(at.day(50), at.day(20)))
    assert [(row["place"], row["kwh"]) for row in before] == [("M1", Decimal(25))]
    # Page by page, in whatever order the places are: of the third there is nothing to show.
    rows, after = 0, None
    for _ in range(4):
        page = services.reports.page(
            catalogue.UNBILLED, days, after=after, limit=1, principal=ADMIN
        )
        rows, after = rows + len(page.rows), page.following
        if after is None:
            break
    assert (rows, after) == (2, None)


def test_visits_in_vain_are_listed_by_their_day(at: Supplied) -> None:
    for serial in ("M1", "M2"):
        at.meter(serial)
    visits = (("M1", 9, "no_access", ""), ("M2", 9, "other", "A dog"), ("M1", 2, "no_access", ""))
    for serial, ago, reason, note in visits:
        at.utility.services.reading_round.miss(
            visit=Visit.model_validate(
                {
                    "id": uuid4(),
                    "meter_serial": serial,
                    "missed_at": at.noon(ago),
                    "reason": reason,
                    "note": note,
                }
            ),
            principal=ADMIN,
        )
    services = at.utility.services
    days = Asked(at.day(9), at.day(2))
    found = rows_of(services, catalogue.READS, days)
    assert sorted((r["date"], r["type"], r["meter_serial"], r["reason"]) for r in found) == [
        (at.day(9), "not read", "M1", "no access"),
        (at.day(9), "not read", "M2", "other: A dog"),
    ]
    assert {(r["register_kwh"], r["entered_by"]) for r in found} == {(None, ADMIN.user)}
    up_to_now = Asked(days.start, at.day(-1))
    assert [r["date"] for r in rows_of(services, catalogue.READS, up_to_now)] == [
        at.day(9),
        at.day(9),
        at.day(2),
    ]


def test_an_estimate_is_of_the_place_where_the_meter_was_then(at: Supplied) -> None:
    first, second = at.meter("M1"), at.meter("M2")
    at.read("M1", 1100, 20, source="estimated")
    at.read("M2", 1150, 20, source="estimated")
    at.do(Exchange(first, at.day(10), TypedRead("1140"), "N1", TypedRead("0")))
    at.do(Exchange(second, at.day(5), TypedRead("1200"), "M1", TypedRead("1140")))
    found = rows_of(at.utility.services, catalogue.READS, Asked(at.day(30), at.day(-1)))
    assert sorted((r["date"], r["meter_serial"], r["place"]) for r in found) == [
        (at.day(20), "M1", "M1"),
        (at.day(20), "M2", "M2"),
    ]
    (meter,) = [m for m in (at.place(second).meter,) if m]
    assert meter.serial == "M1"


def test_an_estimate_that_was_corrected_is_none_any_more(at: Supplied) -> None:
    at.meter("M1")
    at.read("M1", 1100, 20, source="estimated")
    (bill,) = at.bills("M1")
    wrong = WrongReading(bill.id, bill.closing_reading_id, "1090")
    Correcting(at.utility).execute(wrong)
    days = Asked(at.day(30), at.day(-1))
    assert rows_of(at.utility.services, catalogue.READS, days) == []
    assert [b.consumption_wh for b in at.bills("M1")] == [90_000]


def test_use_of_a_place_whose_meter_was_exchanged_while_it_was_vacant(at: Supplied) -> None:
    point = at.meter("M1")
    at.do(MoveOut(point, at.day(40), TypedRead("1100")))
    at.do(Exchange(point, at.day(30), TypedRead("1107"), "N1", TypedRead("50")))
    at.do(MoveIn(point, at.customer("A-NEW"), at.day(10), TypedRead("62"), "FLAT"))
    found = rows_of(at.utility.services, catalogue.UNBILLED, Asked(at.day(50), at.day(-1)))
    # 7 kWh of the meter that was taken out, 12 of the one that was put in.
    assert sorted((r["meter_serial"], r["kwh"]) for r in found) == [
        ("M1", Decimal(7)),
        ("N1", Decimal(12)),
    ]
    assert {(r["vacant_since"], r["vacant_until"]) for r in found} == {(at.day(40), at.day(10))}


def test_losses_are_what_was_supplied_and_not_billed(at: Supplied) -> None:
    start = date(2026, 1, 1)

    def balances(since: date, until: date) -> list[TransformerBalance]:
        assert (since, until) == (start, start + timedelta(days=31))
        # 1,250 kWh in, 1,100 billed: 150 kWh, or 12.0% of what went in.
        lossy = TransformerBalance(
            *("t1", "T-1", "Mill", "F-1", start, until, 1_250_000, 1_100_000, 150_000, 120, 9, 0)
        )
        # Nothing was measured into it.
        blind = TransformerBalance(
            *("t2", "T-2", "Hill", None, start, until, 0, 80_500, -80_500, None, 2, 1)
        )
        return [lossy, blind]

    reports = at.utility.services.reports.with_balances(balances)
    asked = Asked(start, start + timedelta(days=31))
    lossy, blind = reports.rows(catalogue.LOSSES, asked, principal=ADMIN)
    none = Decimal(0)
    assert lossy[5:] == (Decimal(1250), none, Decimal(1100), Decimal(150), Decimal("12.0"))
    assert blind[5:] == (none, none, Decimal("80.5"), Decimal("-80.5"), None)
    assert list(at.utility.services.reports.rows(catalogue.LOSSES, asked, principal=ADMIN)) == []


def test_who_was_supplied_at_a_date_whatever_came_later(at: Supplied) -> None:
    first, second = at.meter("M1"), at.meter("M2")
    at.do(MoveOut(first, at.day(40), TypedRead("1100")))
    at.do(MoveIn(first, at.customer("A-NEW"), at.day(10), TypedRead("1125"), "DEAR"))
    at.do(OtherTariff(second, at.day(5), "DEAR"))

    def supplied(ago: int) -> dict[str, int]:
        year = at.database.report_year(start=at.day(365), until=at.day(ago))
        return {of.tariff_code: of.agreements for of in year.supplied}

    assert {ago: supplied(ago) for ago in (60, 59, 40, 39, 10, 9, 5, 4, -30)} == {
        60: {},
        **{key: {"FLAT": 2} for key in (59, 40)},
        **{key: {"FLAT": 1} for key in (39, 10)},
        **{key: {"FLAT": 1, "DEAR": 1} for key in (9, 5)},
        **{key: {"DEAR": 2} for key in (4, -30)},
    }
