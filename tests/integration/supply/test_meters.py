"""Exchanging meters, their multipliers and registers: each bill worked out by hand."""

from uuid import uuid4

import pytest

from services.corrections.rebilling import NotAcknowledged
from services.database.errors import IllegalChange, NotFound
from services.identity.auth import NotAllowed
from services.metering.registers import WrongRegisters
from services.quantities.period import next_month
from services.readings.submission import InvalidReading
from services.supply.changes import (
    CannotChangeSupply,
    Exchange,
    OtherMultiplier,
    TypedRead,
)
from tests.integration.metered import Metered
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, ENGINEER


class TestExchange:
    def test_one_bill_runs_over_both_meters(self, at: Supplied) -> None:
        point = at.meter("M1", kwh=99_000)
        at.do(Exchange(point, at.day(20), TypedRead("99040"), "N1", TypedRead("5"), multiplier="2"))
        answer = at.read("N1", 15, 0)
        assert answer.bill is not None
        # 40 kWh of the old one, 10 × 2 of the new one, at 2.00.
        assert (answer.bill.consumption_wh, answer.bill.total_minor) == (60_000, 12_000)
        (bill,) = at.bills("N1")
        assert [
            (s.meter_serial, s.opening_wh, s.closing_wh, s.multiplier_milli, s.consumption_wh)
            for s in bill.segments
        ] == [
            ("M1", 99_000_000, 99_040_000, 1000, 40_000),
            ("N1", 5_000, 15_000, 2000, 20_000),
        ]
        assert (bill.period_start, bill.period_end) == (at.day(60), at.day(0))
        place = at.place(point)
        assert [m.serial for m in place.installations] == ["N1", "M1"]

    def test_the_last_reading_shown_is_that_of_the_meter_that_is_there(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Exchange(point, at.day(10), TypedRead("1020"), "N1", TypedRead("3")))
        last = at.place(point).last_read
        assert last is not None
        assert (last.meter_serial, last.register_wh) == ("N1", 3_000)

    def test_the_old_one_may_roll_over_on_the_day(self, at: Supplied) -> None:
        point = at.meter("M1", kwh=99_980)
        last = TypedRead("15", rolled_over=True)
        at.do(Exchange(point, at.day(20), last, "N1", TypedRead("0")))
        answer = at.read("N1", 10, 0)
        assert answer.bill is not None
        # 99,980 to 100,015 are 35 kWh, and 10 of the new one: 45 at 2.00.
        assert answer.bill.total_minor == 9_000

    def test_the_monthly_job_bills_over_both(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Exchange(point, at.day(20), TypedRead("1040"), "N1", TypedRead("0")))
        at.read("N1", 10, 1, source="imported")
        (candidate,) = at.database.monthly_bill_candidates(
            on=next_month(at.day(0)), after=None, limit=10
        ).agreements
        assert (candidate.serial, len(candidate.installations)) == ("N1", 2)

    def test_after_a_bill_that_ended_at_the_exchange_the_next_is_of_the_new_one(
        self, at: Supplied
    ) -> None:
        point = at.meter("M1")
        at.read("M1", 1040, 20)
        at.do(Exchange(point, at.day(20), TypedRead(), "N1", TypedRead("7")))
        at.read("N1", 17, 0)
        bills = at.bills("A-M1")
        assert [b.consumption_wh for b in bills] == [40_000, 10_000]
        assert (bills[1].opening_wh, bills[1].period_start) == (7_000, at.day(20))

    def test_what_cannot_be_is_said_in_words(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.meter("M2")
        at.read("M1", 1100, 10)
        with pytest.raises(CannotChangeSupply, match="is billed up to"):
            at.plan(Exchange(point, at.day(20), TypedRead("1050"), "N1", TypedRead("0")))
        with pytest.raises(CannotChangeSupply, match="installed at another place"):
            at.plan(Exchange(point, at.day(5), TypedRead("1110"), "M2", TypedRead("0")))
        with pytest.raises(CannotChangeSupply, match="is the one that is there"):
            at.plan(Exchange(point, at.day(5), TypedRead("1110"), "M1", TypedRead("0")))
        change = Exchange(point, at.day(5), TypedRead("9000"), "N1", TypedRead("0"))
        assert at.plan(change).doubts
        with pytest.raises(NotAcknowledged):
            at.do(change, sure=False)

    def test_a_meter_that_was_read_later_is_not_taken_away_before(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1050, 3, source="imported")
        with pytest.raises(IllegalChange, match="was read after that time"):
            at.do(Exchange(point, at.day(5), TypedRead("1040"), "N1", TypedRead("0")))
        assert at.place(point).meter is not None
        assert at.place(point).changes[0].kind == "tariff", "nothing of it is there"

    def test_a_meter_that_was_removed_can_be_installed_elsewhere(self, at: Supplied) -> None:
        first, second = at.meter("M1"), at.meter("M2")
        at.do(Exchange(first, at.day(20), TypedRead("1040"), "N1", TypedRead("0")))
        at.do(Exchange(second, at.day(10), TypedRead("1010"), "M1", TypedRead("1040")))
        at.read("M1", 1050, 0)
        (bill,) = at.bills("A-M2")
        assert bill.consumption_wh == 20_000
        assert at.bills("A-M1") == []


class TestMultiplier:
    def test_bills_beyond_the_day_are_priced_again_in_segments(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1100, 10)
        change = OtherMultiplier(point, at.day(30), TypedRead("1060"), "40")
        (changed,) = at.plan(change).changes
        # 60 × 1 and 40 × 40 are 1,660 kWh for the 100 that were billed, at 2.00.
        assert changed.difference_minor == (1_660 - 100) * 200
        at.do(change)
        (bill,) = at.bills("M1")
        assert bill.total_minor == 332_000
        assert [s.multiplier_milli for s in bill.segments] == [1000, 40_000]
        at.read("M1", 1101, 0)
        assert at.bills("M1")[1].consumption_wh == 40_000
        at.ledger_is_whole()


class TestFurtherRegisters:
    """A meter that counts by time of day: each change asks for each of its registers."""

    @pytest.fixture
    def point(self, at: Supplied) -> str:
        Metered(at.utility).add_meter("T1", "peak=400 off_peak=600", days=30)
        return at.point("T1")

    def test_an_exchange_reads_each_of_both_meters(self, at: Supplied, point: str) -> None:
        last = TypedRead("1100", {"peak": "440", "off_peak": "660"})
        first = TypedRead("5", {"peak": "2", "off_peak": "3"})
        at.do(Exchange(point, at.day(10), last, "T2", first))
        meter = at.place(point).meter
        assert meter is not None
        assert meter.registers == ("peak", "off_peak")
        answer = Metered(at.utility).submit("T2", 55, peak=12, off_peak=43)
        assert answer.bill is not None
        # 40 + 10 kWh at 9 and 60 + 40 kWh at 4.
        assert answer.bill.total_minor == 45_000 + 40_000

    @pytest.mark.parametrize(
        ("last", "first", "says"),
        [
            ({"peak": "440"}, {"peak": "2", "off_peak": "3"}, "off_peak"),
            ({}, {"peak": "2", "off_peak": "3"}, "peak"),
        ],
    )
    def test_a_register_that_is_missing_or_unknown_is_named(
        self, at: Supplied, point: str, last: dict[str, str], first: dict[str, str], says: str
    ) -> None:
        with pytest.raises((WrongRegisters, InvalidReading), match=says):
            at.plan(
                Exchange(point, at.day(10), TypedRead("1100", last), "T2", TypedRead("5", first))
            )


def test_a_manual_meter_becomes_smart_and_is_collected_from_then_on(at: Supplied) -> None:
    point = at.meter("M1")
    (meter,) = at.database.find_meters(text="M1")
    assert (meter.kind, at.place(point).meter) != ("smart", None)
    places = at.utility.services.places
    for _ in range(2):
        places.read_by(meter.id, "smart", principal=ADMIN)
    assert [m.serial for m in at.database.smart_meters()] == ["M1"]
    with pytest.raises(NotAllowed):
        places.read_by(meter.id, "manual", principal=ENGINEER)
    with pytest.raises(NotFound):
        places.read_by(str(uuid4()), "manual", principal=ADMIN)
    at.do(Exchange(point, at.day(0), TypedRead("1040"), "N1", TypedRead("0")))
    with pytest.raises(IllegalChange, match="installed nowhere"):
        places.read_by(meter.id, "manual", principal=ADMIN)


def test_a_meter_goes_and_comes_elsewhere_on_one_past_day(at: Supplied) -> None:
    point, other = at.meter("M1"), at.meter("M2")
    at.do(Exchange(point, at.day(5), TypedRead("1040"), "N1", TypedRead("0")))
    at.do(Exchange(other, at.day(5), TypedRead("1020"), "M1", TypedRead("1040")))
    meter = at.place(other).meter
    assert meter is not None
    assert (meter.serial, meter.installed_on) == ("M1", at.day(5))
    bill = at.read("M1", 1060, 0).bill
    assert bill.consumption_wh == 40_000
    assert at.read("N1", 7, 0).bill.consumption_wh == 47_000
