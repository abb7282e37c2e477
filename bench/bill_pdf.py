"""How long 1,000 bills take as PDFs, printed as the archive does, beside one after another."""

import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

from services.bill_documents import (
    BillDocument,
    MonthOfUse,
    RegisterLine,
    RegisterRead,
    Utility,
    render,
)
from services.bill_documents.archive import AT_ONCE
from services.bill_documents.content import content_of
from services.quantities.period import Period, next_month
from services.rating import BillingDeterminants, rate_usage
from services.settings import PROJECT_FOLDER
from services.tariffs import parse_tariff

A_ROUND = 200
ROUNDS = 5
TARIFF = PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json"
LANGUAGES = ("en", "hi", "ar", "th")


def main() -> None:
    """Print the medians of five rounds, the languages taking turns."""
    together, alone, texts = [], [], []
    round_of(AT_ONCE)  # the first ones read the fonts
    for _ in range(ROUNDS):
        together.append(round_of(AT_ONCE))
        alone.append(round_of(1))
        texts.append(texts_alone())
    many, one, text = map(statistics.median, (together, alone, texts))
    print(f"1,000 bills as PDFs, by medians of {ROUNDS} rounds of {A_ROUND} bills:")
    print(f"{AT_ONCE} at once, as they are printed {many:>8.1f} s")
    print(f"one after another {one:>21.1f} s, ratio {one / many:.2f}")
    print(f"their texts alone {text:>21.1f} s")


def round_of(at_once: int) -> float:
    """Seconds for 1,000 bills, each with numbers of its own."""
    with ThreadPoolExecutor(at_once) as threads:
        start = time.perf_counter()
        list(threads.map(render, documents()))
    return _for_thousand(start)


def texts_alone() -> float:
    """Seconds for what is printed on 1,000 bills, without their layout."""
    start = time.perf_counter()
    for document in documents():
        content_of(document)
    return _for_thousand(start)


def _for_thousand(start: float) -> float:
    return (time.perf_counter() - start) * 1000 / A_ROUND


def documents() -> Iterator[BillDocument]:
    """Ordinary bills: seven lines and four slabs, a year of use, a link."""
    first = _one()
    for number in range(A_ROUND):
        yield replace(
            first,
            language=LANGUAGES[number % len(LANGUAGES)],
            number=f"INV-{number:06d}",
            account_no=f"A{number:06d}",
            customer_name=f"House {number}",
            brought_forward_minor=number * 37,
            payment_url=f"https://buy.stripe.com/test_{number:016x}",
        )


def _one() -> BillDocument:
    start, end = date(2026, 10, 12), date(2026, 11, 12)
    tariff = parse_tariff(json.loads(TARIFF.read_text()))
    rated = rate_usage(
        tariff=tariff, usage=BillingDeterminants(wh=187_000), period=Period(start, end)
    )
    return BillDocument(
        utility=Utility("Demo Electricity Co-operative", "1 Long Road"),
        language="en",
        customer_name="",
        address="1 Long Road\nKochi",
        account_no="",
        meter_serial="B000001",
        tariff_name=tariff.name,
        number="",
        issued_on=end,
        due_date=date(2026, 11, 27),
        period_start=start,
        period_end=end,
        registers=(
            RegisterLine("", 187_000, RegisterRead(930_000, start), RegisterRead(1_117_000, end)),
        ),
        multiplier_milli=1000,
        consumption_wh=187_000,
        currency=rated.currency,
        lines=rated.lines,
        subtotal_minor=rated.subtotal_minor,
        tax_minor=rated.tax_minor,
        total_minor=rated.total_minor,
        months=tuple(_months()),
    )


def _months() -> Iterator[MonthOfUse]:
    month = date(2025, 11, 1)
    for n in range(13):
        yield MonthOfUse(month, 150_000 + n * 7_000)
        month = next_month(month)


if __name__ == "__main__":
    main()
