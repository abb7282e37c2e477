"""Five very different bills: what each one prints, on how many pages, and that it adds up."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest

from services.bill_documents import AccountEntry, RegisterLine, RegisterRead, render
from services.quantities.period import Period
from services.rating import Bank, NetBill
from tests.unit.bill_documents import bills, printed


def squeezed(text: str) -> str:
    """Without spaces: a PDF has places for letters, and readers guess the spaces."""
    return "".join(text.split())


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (
            "hindi",
            [
                "बिजली बिल", "शक्ति आश्रम विद्यालय", "ज्ञान नगर, जयपुर 302001",
                "A000117", "INV-000117",
                "KS-4401", "घरेलू LT-1A", "12 अक्टू॰ 2026 – 12 नव॰ 2026 (31 दिन)", "9,930",
                "10,117", "अनुमानित बिल", "× 1", "187 kWh", "0 से 50 kWh",
                "स्थिर प्रभार", "कर से पहले का योग 899.00",
                "कर 83.07", "इस बिल का योग 982.07", "पिछले बिलों का बकाया 12,345.67",
                "20 अक्टू॰ 2026 · मोबाइल मनी · MM-88213 −12,000.00",
                "अब देय राशि 1,327.74", "₹1,327.74",
                "भुगतान की अंतिम तिथि 27 नवंबर 2026", "बिल INV-000112 के स्थान पर", "310 290",
                "https://buy.stripe.com/test_8x2aEX6kA0nZ5xV3cc", "औसतन 6.0 kWh",
            ],
        ),
        (
            "arabic",
            [
                "004471", "812,300.5", "817,113", "4,812.5", "9.625", "0.048387", "0.580",
                "12.186", "−2.000", "−1.250", "8.936", "Fuel", "KWD",
            ],
        ),
        (
            "yen",
            [
                "Electricity bill", "Ιστορική Βιβλιοθήκη & Café <No 7>", "¥11,752",
                "99,900 1 Nov 2026 · read", "212 1 Dec 2026 · read", "above 300 kWh 12 kWh 30.57",
                "Subtotal before taxes 10,684", "Total of this bill 11,752", "10% 1,068",
                "Please pay by 21 December 2026", "280 275 290 312", "Page 1 of 1",
            ],
        ),
        (
            "thai",
            [
                "การไฟฟ้าเกาะเหนือ", "TH-5512", "มิเตอร์ T5512", "฿6,495.11", "51,260",
                "31,700", "700 kWh",
                "19,560", "560 kWh", "5.8002 4,060.14", "424.91", "6,550.00", "−6,550.00",
                "KB-1077", "1,500",
            ],
        ),
        (
            "commercial",
            [
                "(Private) Limited", "Kerala", "1,117.5", "2,322.8", "1,205.3", "× 40",
                "48,212 kWh",
                "Peak", "Off peak", "Sent to the grid", "Reactive energy", "9,000 kVArh",
                "Maximum demand", "96.4 kW", "Feeder charge 69",
                "1 Nov 2026 – 12 Nov 2026 (11 days)",
                "Your credit ₹1,16,208.49", "Nothing to pay", "cheque · CH 004417 −25,000.00",
                "online −25,000.00", "Late payment 250.00", "Amount due now −1,16,208.49",
            ],
        ),
    ],
)  # fmt: skip
def test_a_bill_prints_everything_that_its_customer_needs(name: str, texts: list[str]) -> None:
    text = squeezed(printed.text_of(bills.ALL[name]()))
    missing = [one for one in texts if squeezed(one) not in text]
    assert not missing


@pytest.mark.parametrize(
    ("name", "pages"), [("hindi", 1), ("arabic", 1), ("yen", 1), ("thai", 1), ("commercial", 3)]
)
def test_an_ordinary_bill_is_one_page_and_a_long_one_flows_onto_more(name: str, pages: int) -> None:
    texts = printed.pages(render(bills.ALL[name]()))
    assert len(texts) == pages
    # Each page with lines says what its columns are.
    assert all("Amount (INR)" in text for text in texts if "Feeder charge" in text)


@pytest.mark.parametrize("name", bills.ALL)
def test_the_same_bill_gives_the_same_bytes(name: str) -> None:
    first, second = (render(bills.ALL[name]()) for _ in range(2))
    assert first == second
    assert render(replace(bills.ALL[name](), account_no="another")) != first


def test_bills_printed_at_once_are_those_printed_alone() -> None:
    made = [make() for make in bills.ALL.values()] * 3
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(render, made)) == [render(bill) for bill in made]


@pytest.mark.parametrize("name", bills.ALL)
def test_no_text_leaves_the_page(name: str) -> None:
    left, right = printed.text_span(bills.ALL[name]())
    assert left > 0.05
    assert right < 0.95


def test_the_account_adds_up_to_what_is_due() -> None:
    bill = replace(
        bills.yen(),
        brought_forward_minor=500,
        entries=(
            AccountEntry("payment", -700, date(2026, 11, 5), "cash"),
            AccountEntry("refund", 200, date(2026, 11, 6)),
        ),
    )
    assert bill.amount_due_minor == 500 - 700 + 200 + 11_752
    text = printed.text_of(bill)
    assert "Unpaid from earlier bills 500" in text
    assert "Payment received, thank you 5 Nov 2026 · cash −700" in text
    assert "Refund paid to you 6 Nov 2026 200" in text


def test_nothing_due_asks_for_no_payment() -> None:
    bill = replace(bills.yen(), brought_forward_minor=-bills.yen().total_minor)
    text = printed.text_of(bill)
    assert "¥0 Nothing to pay" in text
    assert "How to pay" not in text
    assert "buy.stripe.com" not in text


def test_who_is_charged_by_autopay_is_not_asked_to_pay() -> None:
    bill = replace(bills.yen(), autopaid=True)
    said = f"Autopay pays this bill, on {bill.due_date:%-d %B %Y} at the earliest."
    text = printed.text_of(bill)
    assert f"¥11,752 {said} There is nothing to do." in text
    assert "Please pay by" not in text
    assert "How to pay" not in text
    assert "buy.stripe.com" not in text


def test_what_was_open_before_is_paid_beside_autopay() -> None:
    bill = replace(bills.yen(), autopaid=True, brought_forward_minor=500)
    text = printed.text_of(bill)
    assert text.count("Autopay pays this bill") == 1
    assert "There is nothing to do" not in text
    assert "¥12,252 Please pay by" in text
    assert "Pay at our office" in text
    assert "buy.stripe.com" not in text


def test_a_real_reading_is_not_called_estimated() -> None:
    assert "Estimated" not in printed.text_of(bills.yen())


def test_a_bill_that_settles_estimates_takes_off_what_was_billed() -> None:
    plain = replace(bills.yen(), language="en")
    before = replace(
        plain.lines[0],
        amount_minor=-700,
        slabs=(),
        note=None,
        part=Period(date(2026, 9, 1), date(2026, 10, 1)),
        billed_before=True,
    )
    text = printed.text_of(replace(plain, lines=(*plain.lines, before)))
    assert "This bill settles estimated readings" in text
    assert "Less what was billed for" in text
    assert "−700" in text
    assert "Estimated bill" not in text


def test_without_a_link_the_office_takes_the_reference() -> None:
    text = printed.text_of(replace(bills.yen(), payment_url=None))
    assert "Pay at our office and show this code, or give this reference: INV-000815" in text


def test_an_unknown_language_is_printed_in_english() -> None:
    assert "Amount due now" in printed.text_of(replace(bills.yen(), language="xx-Zzzz-notag"))


def test_each_meter_of_an_exchange_is_a_row_with_its_own_multiplier() -> None:
    split = date(2026, 10, 30)
    rows = (
        RegisterLine("", 40_000, RegisterRead(99_000_000, bills.OCT),
                     RegisterRead(99_040_000, split), "OLD-1", 1000),
        RegisterLine("", 400_000, RegisterRead(5_000, split),
                     RegisterRead(15_000, bills.NOV, "estimated"), "NEW-2", 40_000),
        RegisterLine("", 440_000),
        RegisterLine("peak", 31_000),
        RegisterLine("max_kw", 4_200),
    )  # fmt: skip
    made = replace(
        bills.yen(), meter_serial="OLD-1, NEW-2", registers=rows, multiplier_milli=40_000,
        consumption_wh=440_000, service_address="3 Canal Road",
    )  # fmt: skip
    text = squeezed(printed.text_of(made))
    for shown in (
        "Meter OLD-1, NEW-2",
        "Place of supply 3 Canal Road",
        "Meter OLD-1 99,000 12 Oct 2026 · read 99,040 30 Oct 2026 · read 40 × 1 40 kWh",
        "Meter NEW-2 5 30 Oct 2026 · read 15 12 Nov 2026 · Estimated 10 × 40 400 kWh",
        "Total energy – – 440 kWh",
        "Peak – – 31 kWh",
        "Maximum demand – – 4.2 kW",
        "Estimated bill",
    ):
        assert squeezed(shown) in text, shown
    left, right = printed.text_span(made)
    assert (left > 0.05, right < 0.95) == (True, True)


def test_a_bill_of_one_meter_names_neither_its_place_nor_its_meter_again() -> None:
    text = squeezed(printed.text_of(bills.yen()))
    assert "Placeofsupply" not in text
    assert text.count("J-100") == 1


def test_net_metering_prints_a_row_for_each_bank() -> None:
    banks = {
        "peak": Bank(opening=0, imported=30_000, exported=10_500, netted=19_500),
        "off_peak": Bank(
            opening=1_250_000, imported=60_000, exported=90_000, added=30_000, settled=1_280_000
        ),
    }
    document = replace(bills.yen(), net=NetBill(banks, is_paid=True))
    text = printed.text_of(document)
    assert "Net metering (kWh) Imported Sent to the grid Billed Banked before" in text
    assert "Peak 30 10.5 19.5 0 0 0 0 0" in text
    assert "Off peak 60 90 0 1,250 30 0 1,280 0" in text
    assert "Paid out" in text
    assert "Lapsed" in printed.text_of(replace(document, net=NetBill(banks, is_paid=False)))
    left, right = printed.text_span(replace(bills.thai(), net=NetBill(banks, is_paid=True)))
    assert left > 0.05
    assert right < 0.95
