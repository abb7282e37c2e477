"""A year of net metering worked out by hand: slabs, bank, settlement, a correction, moving out."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from services.corrections.plan import WrongReading
from services.importing import Importer, ImportReport
from services.records.bills import Bill
from services.supply.changes import MoveOut, OtherTariff, Stay, TypedRead
from services.web.shapes import bill_json
from tests.integration.correcting import Correcting
from tests.integration.metered import METERS, Metered
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, Utility, make_utility

NOW: Final = datetime(2026, 7, 15, 6, 30, tzinfo=UTC)  # Noon in Kolkata.
SOLAR: dict[str, Any] = {
    "code": "SOLAR",
    "name": "Homes with solar panels",
    "currency": "INR",
    "effective_from": "2020-01-01",
    "net_metering": {"surplus": "paid", "settled_in": 3},
    "charges": [
        {"code": "energy", "description": "Energy", "kind": "energy", "slab_limits_per": "bill"}
        | {
            "slabs": [
                {"up_to_kwh": "50", "rate": "3.00"},
                {"up_to_kwh": "150", "rate": "4.50"},
                {"rate": "6.00"},
            ]
        },
        {"code": "fixed", "description": "Fixed charge", "kind": "fixed", "amount": "40.00"}
        | {"per": "bill"},
        {"code": "surplus", "description": "Surplus paid out", "kind": "energy"}
        | {"quantity": "settled_kwh", "rate": "-2.25"},
    ],
}
# By month from April 2025: imported, exported, billed, closing bank (kWh), total.
YEAR: Final = (
    (200, 150, 50, 0, "190.00"),  # 50 × 3.00 + 40
    (180, 260, 0, 80, "40.00"),
    (190, 240, 0, 130, "40.00"),
    (210, 150, 0, 70, "40.00"),  # 60 of the bank
    (220, 100, 50, 0, "190.00"),  # 120 less the last 70
    (200, 40, 160, 0, "700.00"),  # 50 × 3.00 + 100 × 4.50 + 10 × 6.00 + 40
    (190, 230, 0, 40, "40.00"),
    (180, 200, 0, 60, "40.00"),
    (210, 120, 30, 0, "130.00"),  # 90 less 60: 30 × 3.00 + 40
    (200, 210, 0, 10, "40.00"),
    (190, 250, 0, 70, "40.00"),
    (180, 200, 0, 0, "-162.50"),  # 90 banked, paid out at 2.25
    (200, 100, 100, 0, "415.00"),  # 50 × 3.00 + 50 × 4.50 + 40
)


def first(month: int) -> date:
    """The first of a month, counted from April 2025."""
    return date(2025 + (month + 3) // 12, (month + 3) % 12 + 1, 1)


class Sunny:
    """A utility with the tariff, and a home with a bill a month."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.metered = Metered(utility)
        self.at = Supplied(utility)
        self.database = utility.services.database
        assert self.metered.file("tariffs", json.dumps(SOLAR)).ok

    def home(self, serial: str, months: int = len(YEAR)) -> list[Bill]:
        days = (self.utility.today - first(0)).days
        self.metered.add_meter(serial, "export=0", tariff="SOLAR", days=days)
        used, sent = 1000, 0
        for month, (imported, exported, *_) in enumerate(YEAR[:months], start=1):
            used, sent = used + imported, sent + exported
            self.read(serial, used, sent, on=first(month))
        return self.utility.bills_of(serial)

    def read(self, serial: str, kwh: int, export: int, *, on: date) -> None:
        at = datetime.combine(on, time(12), tzinfo=self.metered.zone)
        done = self.metered.submit(serial, kwh, at=at, export=export)
        if done.bill is None:
            # A person looks at what the rules doubt, and accepts it.
            review = self.utility.services.reading_review
            review.accept(
                reading_id=done.reading.id,
                reason="Sunny",
                principal=ADMIN,
                now=self.utility.now,
            )

    def bank(self, bill: Bill) -> int:
        """What the ledger of kWh holds, in kWh."""
        entries = self.database.kwh_bank(agreement_id=bill.agreement_id)
        return sum(entry.wh for entry in entries) // 1000


@pytest.fixture
def sunny(database: str, tmp_path: Path) -> Iterator[Sunny]:
    utility = make_utility(database, tmp_path, now=NOW)
    yield Sunny(utility)
    utility.services.close()


def worked_out(bills: list[Bill]) -> list[tuple[int, int, int, int, str]]:
    """The bills in the columns of YEAR."""
    found = []
    for bill in bills:
        assert bill.net is not None
        net = bill.net.in_all()
        kwh = (net.imported, net.exported, net.netted, net.closing)
        found.append((*(wh // 1000 for wh in kwh), bill.money(bill.total_minor).text))
    return found  # type: ignore[return-value]


def test_a_year_through_slabs_bank_settlement_and_a_correction(sunny: Sunny) -> None:
    bills = sunny.home("S1")
    assert worked_out(bills) == list(YEAR)
    assert sunny.bank(bills[0]) == 0
    shown = bill_json(bills[3])["net_metering"]
    assert shown == {
        "imported_kwh": "210",
        "exported_kwh": "150",
        "netted_kwh": "0",
        "surplus": "paid",
        "banks": [
            {
                "period": None,
                "opening_kwh": "130",
                "added_kwh": "0",
                "used_kwh": "60",
                "moved_kwh": "0",
                "settled_kwh": "0",
                "closing_kwh": "70",
            }
        ],
    }
    # In May 100 kWh fewer were exported, and in June 100 more.
    wrong = WrongReading(bills[1].id, bills[1].closing_reading_id, "1380", {"export": "310"})
    correcting = Correcting(sunny.utility)
    done = correcting.execute(wrong)
    right = list(YEAR)
    right[1] = (180, 160, 20, 0, "100.00")  # 20 × 3.00 + 40
    right[2] = (190, 340, 0, 150, "40.00")
    right[3] = (210, 150, 0, 90, "40.00")
    right[4] = (220, 100, 30, 0, "130.00")  # 120 less the last 90: 30 × 3.00 + 40
    after = sunny.utility.bills_of("S1")
    assert worked_out(after) == right
    # 60 more in May, 60 less in August.
    assert done.difference_minor == 0
    assert after[0].id == bills[0].id
    entries = sunny.database.kwh_bank(agreement_id=after[0].agreement_id)
    assert all(entry.balance_wh >= 0 for entry in entries if entry.kind != "undone")
    live = {bill.id for bill in after}
    kept = [e for e in entries if e.bill_id in live]
    assert sum(e.wh for e in entries if e.bill_id not in live) == 0
    assert [(e.kind, e.wh) for e in reversed(kept)][:3] == [
        ("added", 150_000),
        ("used", -60_000),
        ("used", -90_000),
    ]
    # The last bill voided takes its own entries along, and no others.
    sunny.utility.services.rebilling.void(
        bill_id=after[-1].id, reason="test", principal=ADMIN, now=NOW
    )
    assert sunny.bank(after[0]) == 0


def test_moving_out_settles_and_not_moving_out_banks_again(sunny: Sunny) -> None:
    bills = sunny.home("S2", months=8)
    assert bills[-1].net is not None
    assert bills[-1].net.in_all().closing == 60_000
    point = sunny.at.point("S2")
    # Ten kWh imported until the 10th: 50 of the bank are left, paid out at 2.25.
    read = TypedRead("2580", {"export": "1370"})
    sunny.at.do(MoveOut(point, date(2025, 12, 10), read))
    final = sunny.utility.bills_of("S2")[-1]
    assert worked_out([final]) == [(10, 0, 0, 0, "-72.50")]
    assert sunny.bank(final) == 0
    sunny.at.do(Stay(point))
    again = sunny.utility.bills_of("S2")[-1]
    assert worked_out([again]) == [(10, 0, 0, 50, "40.00")]
    assert sunny.bank(final) == 50


def test_moving_out_on_the_day_of_the_last_bill_settles_with_it(sunny: Sunny) -> None:
    bills = sunny.home("S3", months=3)
    point = sunny.at.point("S3")
    sunny.at.do(MoveOut(point, first(3), TypedRead()))
    final = sunny.utility.bills_of("S3")[-1]
    assert final.id != bills[-1].id
    # 130 kWh at 2.25, less the fixed charge.
    assert worked_out([final]) == [(190, 240, 0, 0, "-252.50")]
    assert sunny.bank(final) == 0


def test_a_bill_whose_exports_nobody_knows_waits_for_a_person(sunny: Sunny) -> None:
    metered = sunny.metered
    metered.add_meter("S5", "", tariff="SOLAR", days=30)
    line = f"S5,A-S5,SOLAR,manual,5,1,1000,{sunny.at.day(30)},export"
    report = metered.file("meters", f"{METERS},registers", line)
    assert report.ok, report.errors
    bill = metered.submit("S5", 1100, export=80).bill
    assert bill is not None
    assert (bill.status, bill.consumption_wh) == ("draft", 100_000)
    assert bill.held_because is not None
    assert bill.held_because.startswith(
        "What was exported is not netted: The register export has no value in the read of"
    )


def test_the_ledger_of_kwh_only_grows_and_is_never_below_zero(sunny: Sunny, database: str) -> None:
    bills = sunny.home("S4", months=3)
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in (
            "update public.kwh_bank_entries set wh = 1",
            "delete from public.kwh_bank_entries",
            "truncate public.kwh_bank_entries",
        ):
            with pytest.raises(psycopg.DatabaseError, match="never"):
                connection.execute(statement)
        with pytest.raises(psycopg.DatabaseError, match="More kWh would be taken"):
            connection.execute(
                "insert into public.kwh_bank_entries (agreement_id, bill_id, period, kind, wh)"
                " values (%s, %s, '', 'used', -130001)",
                (bills[0].agreement_id, bills[0].id),
            )
        # What the next bill would begin with is looked at as it is stored.
        with pytest.raises(psycopg.DatabaseError, match="computed again"):
            _store_again(connection, bills[2], opening_wh=7)


def _store_again(connection: psycopg.Connection[Any], bill: Bill, *, opening_wh: int) -> None:
    """Void a bill, and store it again as if its bank had held so much before."""
    with connection.transaction():
        connection.execute("""select private.set_actor('{"actor": "test"}')""")
        connection.execute(
            "update public.bills set status = 'void', void_reason = 'test' where id = %s",
            (bill.id,),
        )
        connection.execute(
            "insert into public.bills select (jsonb_populate_record(b, jsonb_build_object("
            "'id', gen_random_uuid(), 'created_by', 'test', 'number', null, 'status', 'draft',"
            " 'usage', jsonb_set(b.usage, '{net,banks,\"\",opening}', to_jsonb(%s))))).*"
            " from public.bills b where b.id = %s",
            (opening_wh, bill.id),
        )


AGREEMENTS: Final = "service_point,account_no,tariff_code,starts_on,banked_kwh"


def moved_in(sunny: Sunny, banked: str, *, tariff: str = "SOLAR") -> ImportReport:
    """A home whose customer comes from another system, at the first of April 2025."""
    metered = sunny.metered
    line = f"B1,,,manual,5,1,1000,{first(0)},export=0"
    assert metered.file("meters", f"{METERS},registers", line).ok
    assert metered.file("customers", "account_no,name", "A-B1,Asha").ok
    return metered.file("agreements", AGREEMENTS, f"B1,A-B1,{tariff},{first(0)},{banked}")


def test_what_was_banked_with_another_system_opens_the_first_bill(sunny: Sunny) -> None:
    report = moved_in(sunny, "30.5")
    assert report.ok, report.errors
    line = f"B1,A-B1,SOLAR,{first(0)},30.5"
    assert sunny.metered.file("agreements", AGREEMENTS, line).unchanged == 1
    other = sunny.metered.file("agreements", AGREEMENTS, line.replace("30.5", "31"))
    assert [str(p) for p in other.errors] == [
        (
            "row 2, banked_kwh: Another bank was brought in for this agreement, from which its "
            "bills go on."
        )
    ]
    sunny.read("B1", 1200, 150, on=first(1))
    sunny.read("B1", 1380, 410, on=first(2))
    bills = sunny.utility.bills_of("B1")
    # 50 less the 30.5 of the bank: 19.5 × 3.00 + 40. Then 80 are added.
    assert worked_out(bills) == [(200, 150, 19, 0, "98.50"), (180, 260, 0, 80, "40.00")]
    entries = sunny.database.kwh_bank(agreement_id=bills[0].agreement_id)
    assert [(e.kind, e.wh, e.balance_wh) for e in reversed(entries)] == [
        ("opening", 30_500, 30_500),
        ("used", -30_500, 0),
        ("added", 80_000, 80_000),
    ]
    # 10.5 kWh fewer in the first month: the correction opens with the same bank.
    wrong = WrongReading(bills[0].id, bills[0].closing_reading_id, "1189.5", {"export": "150"})
    Correcting(sunny.utility).execute(wrong)
    after = sunny.utility.bills_of("B1")
    assert [b.money(b.total_minor).text for b in after] == ["67.00", "40.00"]  # 9 × 3.00 + 40


def test_a_look_at_banked_kwh_leaves_none(sunny: Sunny) -> None:
    metered = sunny.metered
    assert moved_in(sunny, "").ok
    look = Importer(sunny.database, metered.zone, dry_run=True)
    lines = "\n".join((AGREEMENTS, f"B1,A-B1,SOLAR,{first(0)},12"))
    report = look.run("agreements", lines, actor="test", now=sunny.utility.now)
    assert (report.ok, report.changed) == (True, 1)
    sunny.read("B1", 1200, 150, on=first(1))
    (bill,) = sunny.utility.bills_of("B1")
    assert worked_out([bill]) == [(200, 150, 50, 0, "190.00")]
    late = metered.file("agreements", *lines.splitlines())
    assert [str(p) for p in late.errors] == [
        (
            "row 2, banked_kwh: This agreement has bills under net metering already, which begin "
            "with an empty bank."
        )
    ]


@pytest.mark.parametrize(
    ("banked", "tariff", "why"),
    [
        ("-1", "SOLAR", "The banked energy cannot be negative."),
        ("lots", "SOLAR", "must be a number"),
        ("5 6", "SOLAR", "names what is banked in all hours twice."),
        ("peak=5", "SOLAR", "'peak' is no bank: tariff SOLAR nets all hours together."),
        ("5", "KSEB-LT1A", "Tariff KSEB-LT1A has no net metering: no kWh are banked under it."),
    ],
)
def test_banked_kwh_that_cannot_be_are_refused(
    sunny: Sunny, banked: str, tariff: str, why: str
) -> None:
    report = moved_in(sunny, banked, tariff=tariff)
    assert len(report.errors) == 1
    assert report.errors[0].column == "banked_kwh"
    assert why in report.errors[0].message


def test_another_tariff_without_net_metering_settles_with_the_bill_before_it(sunny: Sunny) -> None:
    bills = sunny.home("T1", months=3)
    point = sunny.at.point("T1")
    sunny.at.do(OtherTariff(point, first(3), "FLAT"))
    after = sunny.utility.bills_of("T1")
    # 130 kWh at 2.25, less the fixed charge.
    assert worked_out(after) == [*YEAR[:2], (190, 240, 0, 0, "-252.50")]
    assert ("surplus", "130", -29_250) in [
        (line.code, line.quantity, line.amount_minor) for line in after[-1].lines
    ]
    assert sunny.bank(bills[0]) == 0
    sunny.read("T1", 1780, 650, on=first(4))
    flat = sunny.utility.bills_of("T1")[-1]
    assert (flat.net, flat.money(flat.total_minor).text) == (None, "420.00")  # 210 × 2.00
    # Taken back, the kWh are banked again, and used by the next bill.
    sunny.at.do(OtherTariff(point, first(3), "SOLAR"))
    again = sunny.utility.bills_of("T1")
    # Nothing was exported: 210 less the 130 of the bank. 50 × 3.00 + 30 × 4.50 + 40.
    assert worked_out(again) == [*YEAR[:3], (210, 0, 80, 0, "325.00")]
    assert sunny.bank(bills[0]) == 0


def test_a_bill_in_which_net_metering_ends_settles_what_its_first_days_leave(sunny: Sunny) -> None:
    sunny.home("T2", months=3)
    point = sunny.at.point("T2")
    sunny.at.do(OtherTariff(point, date(2025, 7, 16), "FLAT"))
    # Before that day nothing changed: the bank goes on.
    bills = sunny.utility.bills_of("T2")
    assert worked_out(bills) == list(YEAR[:3])
    sunny.read("T2", 1570 + 310, 650 + 155, on=first(4))
    bill = sunny.utility.bills_of("T2")[-1]
    assert bill.net is not None
    bank = bill.net.in_all()
    # Of 31 days 15 are netted: 150 imported, 75 exported. 75 of the bank's 130, 55 are paid out.
    assert (bank.opening, bank.used, bank.settled, bank.closing) == (130_000, 75_000, 55_000, 0)
    found = [(line.code, line.quantity, line.amount_minor) for line in bill.lines]
    assert ("surplus", "55", -12_375) in found
    assert ("energy", "160", 32_000) in found
    assert sunny.bank(bill) == 0


def test_an_import_leaves_no_kwh_unsettled(sunny: Sunny) -> None:
    sunny.home("T3", months=3)
    # The home began on the day of its first read.
    starts_on = sunny.database.place(sunny.at.point("T3"), on=first(3)).agreements[0].starts_on
    ended = f"T3,A-T3,SOLAR,{starts_on},{first(3)}"
    report = sunny.metered.file(
        "agreements", "service_point,account_no,tariff_code,starts_on,ends_on", ended
    )
    assert [str(p) for p in report.errors] == [
        (
            "row 2, ends_on: Its last bill left kWh in the bank: end the agreement on the page of "
            "T3, which settles them."
        )
    ]
    other = f"T3,A-T3,FLAT,{starts_on},{first(3)}"
    report = sunny.metered.file(
        "agreements", "service_point,account_no,tariff_code,starts_on,tariff_from", other
    )
    assert [(p.column, "settles them" in p.message) for p in report.errors] == [
        ("tariff_from", True)
    ]


def test_a_version_that_ends_net_metering_where_a_bill_ended_leaves_no_kwh(sunny: Sunny) -> None:
    bills = sunny.home("T4", months=3)
    plain = {name: value for name, value in SOLAR.items() if name != "net_metering"}
    plain["charges"] = SOLAR["charges"][:2]
    report = sunny.metered.file("tariffs", json.dumps(plain | {"effective_from": f"{first(3)}"}))
    assert [(p.column, "must begin a day later" in p.message) for p in report.errors] == [
        ("effective_from", True)
    ]
    # A day later the bill that has this day settles them.
    ends = first(3) + timedelta(days=1)
    assert sunny.metered.file("tariffs", json.dumps(plain | {"effective_from": f"{ends}"})).ok
    sunny.read("T4", 1570 + 310, 650, on=first(4))
    last = sunny.utility.bills_of("T4")[-1]
    assert last.net is not None
    bank = last.net.in_all()
    # Of 31 days one is netted, and uses 10 of the 130 kWh.
    assert (bank.opening, bank.used, bank.settled, bank.closing) == (130_000, 10_000, 120_000, 0)
    assert sunny.bank(bills[0]) == 0
