"""Five very different bills, each a whole document, for the tests to print."""

import json
from datetime import date
from typing import Any

from services.bill_documents import (
    AccountEntry,
    BillDocument,
    MonthOfUse,
    RegisterLine,
    RegisterRead,
    Utility,
)
from services.quantities.period import Period
from services.rating import BillingDeterminants, BillLine, SlabPart, rate_usage
from services.settings import PROJECT_FOLDER
from services.tariffs import parse_tariff

OCT, NOV, DEC = date(2026, 10, 12), date(2026, 11, 12), date(2026, 12, 1)


def months(*kwh: int | None) -> tuple[MonthOfUse, ...]:
    """The 13 months up to November 2026."""
    starts = [date(2025 + (10 + n) // 12, (10 + n) % 12 + 1, 1) for n in range(13)]
    return tuple(
        MonthOfUse(month, None if used is None else used * 1000)
        for month, used in zip(starts, kwh, strict=True)
    )


def line(description: str, amount: int, **rest: Any) -> BillLine:
    """A line that need not add up; the code does not print."""
    filled = {"code": "c", "tax": False, "quantity": "1", "unit": "bill", "rate": None, **rest}
    return BillLine(description=description, amount_minor=amount, **filled)


def register(name: str, used: int, opening: int, closing: int) -> RegisterLine:
    """A register read on 12 October and 12 November."""
    return RegisterLine(name, used, RegisterRead(opening, OCT), RegisterRead(closing, NOV))


def hindi() -> BillDocument:
    """Rupees, slabs, an estimated read, arrears, a payment, a link."""
    tariff = json.loads((PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json").read_text())
    rated = rate_usage(
        tariff=parse_tariff(tariff), usage=BillingDeterminants(wh=187_000), period=Period(OCT, NOV)
    )
    return BillDocument(
        utility=Utility(
            "ग्राम विद्युत सहकारी समिति", "मुख्य मार्ग 3, जयपुर\n0141-000000 · office@example.org"
        ),
        language="hi",
        customer_name="शक्ति आश्रम विद्यालय",
        address="कृष्ण मार्ग 14\nज्ञान नगर, जयपुर 302001",
        account_no="A000117",
        meter_serial="KS-4401",
        tariff_name="घरेलू LT-1A",
        number="INV-000117",
        issued_on=NOV,
        due_date=date(2026, 11, 27),
        period_start=OCT,
        period_end=NOV,
        registers=(
            RegisterLine(
                "",
                187_000,
                RegisterRead(9_930_000, OCT),
                RegisterRead(10_117_000, NOV, "estimated"),
            ),
        ),
        multiplier_milli=1000,
        consumption_wh=187_000,
        currency="INR",
        lines=rated.lines,
        subtotal_minor=rated.subtotal_minor,
        tax_minor=rated.tax_minor,
        total_minor=rated.total_minor,
        brought_forward_minor=12_34_567,
        entries=(
            AccountEntry("payment", -12_00_000, date(2026, 10, 20), "mobile_money", "MM-88213"),
        ),
        months=months(210, 180, None, 165, 190, 240, 310, 290, 250, 230, 205, 199, 187),
        payment_url="https://buy.stripe.com/test_8x2aEX6kA0nZ5xV3cc",
        replaces="INV-000112",
    )


def arabic() -> BillDocument:
    """Dinars with three decimals, from right to left, paid at the office."""
    return BillDocument(
        utility=Utility("شركة كهرباء الواحة", "شارع الخليج 7، الكويت\nهاتف 2200-0000"),
        language="ar-KW",
        customer_name="مكتبة النور (Al Noor Bookshop)",
        address="قطعة 4، شارع 12، منزل 9\nالسالمية",
        account_no="KW-20-4471",
        meter_serial="M/88-201",
        tariff_name="تعرفة السكن",
        number="INV-004471",
        issued_on=NOV,
        due_date=date(2026, 11, 30),
        period_start=OCT,
        period_end=NOV,
        registers=(
            RegisterLine(
                "",
                4_812_500,
                RegisterRead(812_300_500, OCT),
                RegisterRead(817_113_000, NOV, "customer"),
            ),
        ),
        multiplier_milli=1000,
        consumption_wh=4_812_500,
        currency="KWD",
        lines=(
            line("الطاقة", 9_625, quantity="4812.5", unit="kWh", rate="0.0020"),
            line("رسم العداد", 1_500, quantity="31", unit="day", rate="0.048387"),
            line("Fuel adjustment", 481, quantity="4812.5", unit="kWh", rate="0.0001",
                 note="from 1 Nov 2026"),
            line("ضريبة", 580, tax=True, quantity="11.606", unit="%", rate="5"),
        ),
        subtotal_minor=11_606,
        tax_minor=580,
        total_minor=12_186,
        brought_forward_minor=-2_000,
        entries=(AccountEntry("credit", -1_250, date(2026, 11, 3), reference="تعويض انقطاع"),),
        months=months(1800, 1500, 1400, 1350, 1600, 2400, 4100, 5600, 6100, 6000, 5500, 5000, 4812),
    )  # fmt: skip


def yen() -> BillDocument:
    """Yen without decimals, in English, for a customer whose name is in another script."""
    return BillDocument(
        utility=Utility("Island Power", "2-1 Harbour Street\nTelephone 098-000-000"),
        language="en",
        customer_name="Ιστορική Βιβλιοθήκη & Café <№ 7>",
        address="5-2 Hill Road",
        account_no="0000815",
        meter_serial="J-100",
        tariff_name="Household 30 A",
        number="INV-000815",
        issued_on=DEC,
        due_date=date(2026, 12, 21),
        period_start=date(2026, 11, 1),
        period_end=DEC,
        registers=(
            RegisterLine("", 312_000, RegisterRead(99_900_000, date(2026, 11, 1)),
                         RegisterRead(212_000, DEC)),
        ),
        multiplier_milli=1000,
        consumption_wh=312_000,
        currency="JPY",
        lines=(
            line("Basic charge, 30 A", 936, quantity="1", unit="month", rate="935.25"),
            line("Energy", 8_672, quantity="312", unit="kWh", slabs=(
                SlabPart("0", "120", "120", "19.88", "2385.6"),
                SlabPart("120", "300", "180", "26.48", "4766.4"),
                SlabPart("300", None, "12", "30.57", "366.84"),
            )),
            line("Renewable energy levy", 1_076, quantity="312", unit="kWh", rate="3.45"),
            line("Consumption tax", 1_068, tax=True, quantity="10684", unit="%", rate="10"),
        ),
        subtotal_minor=10_684,
        tax_minor=1_068,
        total_minor=11_752,
        months=months(*[None] * 9, 280, 275, 290, 312),
        payment_url="https://buy.stripe.com/test_yen",
    )  # fmt: skip


def thai() -> BillDocument:
    """Baht, time of use with registers of their own."""
    return BillDocument(
        utility=Utility("การไฟฟ้าเกาะเหนือ", "99 ถนนท่าเรือ\nโทร 076-000-000"),
        language="th",
        customer_name="ร้านน้ำผึ้งปู่ชื่น",
        address="12/3 หมู่ที่ 4 ตำบลกะรน อำเภอเมืองภูเก็ต จังหวัดภูเก็ต 83100",
        account_no="TH-5512",
        meter_serial="T5512",
        tariff_name="ประเภทที่ 2.2 อัตราตามช่วงเวลาของการใช้ (TOU)",
        number="INV-005512",
        issued_on=NOV,
        due_date=date(2026, 11, 26),
        period_start=OCT,
        period_end=NOV,
        registers=(
            register("", 1_260_000, 50_000_000, 51_260_000),
            register("on_peak", 700_000, 31_000_000, 31_700_000),
            register("off_peak", 560_000, 19_000_000, 19_560_000),
        ),
        multiplier_milli=1000,
        consumption_wh=1_260_000,
        currency="THB",
        lines=(
            line("ค่าพลังงานไฟฟ้า on peak", 406_014, quantity="700", unit="kWh", rate="5.8002"),
            line("ค่าพลังงานไฟฟ้า off peak", 147_655, quantity="560", unit="kWh", rate="2.6367"),
            line("ค่าบริการ", 3_329, quantity="1", unit="month", rate="33.29"),
            line("ค่า Ft", 50_022, quantity="1260", unit="kWh", rate="0.3970"),
            line("ภาษีมูลค่าเพิ่ม", 42_491, tax=True, quantity="6070.20", unit="%", rate="7"),
        ),
        subtotal_minor=607_020,
        tax_minor=42_491,
        total_minor=649_511,
        brought_forward_minor=655_000,
        entries=(AccountEntry("payment", -655_000, date(2026, 10, 25), "bank", "KB-1077"),),
        months=months(1150, 1100, 1210, 1340, 1420, 1500, 1480, 1390, 1330, 1300, 1280, 1250, 1260),
        payment_url="https://buy.stripe.com/test_thb",
    )  # fmt: skip


def commercial() -> BillDocument:
    """Seventy lines in two parts of the period, registers and demand, and a credit at the end."""
    first, second = Period(OCT, date(2026, 11, 1)), Period(date(2026, 11, 1), NOV)
    lines = tuple(
        line(
            f"Feeder charge {n + 1}, {'peak' if n % 2 else 'off peak'}",
            12_345 + n,
            quantity=f"{100 + n}.5",
            unit="kWh",
            rate="1.2345",
            note="measured 96.4 kW; at least 80 kW" if n % 9 == 0 else None,
            part=first if n < 35 else second,
        )
        for n in range(69)
    )
    credit = line("Energy sent to the grid", -12_500_000, quantity="50000", unit="kWh",
                  rate="-2.50", part=second)  # fmt: skip
    subtotal = sum(one.amount_minor for one in lines) + credit.amount_minor
    return BillDocument(
        utility=Utility("Demo Electricity Co-operative", "1 Long Road\nhelp@example.org"),
        language="en-IN",
        customer_name="The Very Long Named Cold Storage, Ice, Fish Processing and General "
        "Provisions Company of the Northern and Eastern Harbour Districts (Private) Limited",
        address="Plot 7\nHarbour Estate\nKochi 682001\nKerala",
        account_no="HT-00017",
        meter_serial="HT-17-A",
        tariff_name="HT-1 Industry, 11 kV",
        number="INV-123456",
        issued_on=NOV,
        due_date=date(2026, 11, 27),
        period_start=OCT,
        period_end=NOV,
        registers=(
            register("", 48_212_000, 1_117_500, 2_322_800),
            register("peak", 20_000_000, 500_000, 1_000_000),
            register("off_peak", 28_212_000, 617_500, 1_322_800),
            register("export", 50_000_000, 0, 1_250_000),
            register("kvarh", 9_000_000, 100_000, 325_000),
            RegisterLine("max_kw", 96_400),
        ),
        multiplier_milli=40_000,
        consumption_wh=48_212_000,
        currency="INR",
        lines=(*lines, credit),
        subtotal_minor=subtotal,
        tax_minor=0,
        total_minor=subtotal,
        brought_forward_minor=5_000_000,
        entries=(
            AccountEntry("payment", -2_500_000, date(2026, 10, 15), "cheque", "CH 004417"),
            AccountEntry("payment", -2_500_000, date(2026, 10, 29), "stripe"),
            AccountEntry("fee", 25_000, date(2026, 11, 2), reference="Late payment"),
        ),
        months=months(
            41_000, 39_500, 44_000, 45_100, 47_000, 52_000, 51_000,
            49_900, 48_000, 47_250, 46_000, 47_800, 48_212,
        ),
        payment_url="https://buy.stripe.com/test_unused",
    )  # fmt: skip


ALL = {"hindi": hindi, "arabic": arabic, "yen": yen, "thai": thai, "commercial": commercial}
