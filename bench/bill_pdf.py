"""How long 1,000 bills take as PDFs, beside writing their texts alone, on one core."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

from services.bill_pdf import (
    BillDocument,
    MonthOfUse,
    RegisterLine,
    RegisterRead,
    Utility,
    render,
)
from services.bill_pdf.content import content_of
from services.domain.period import Period, next_month
from services.domain.rating import Usage, rate_usage
from services.domain.tariff import parse_tariff
from services.settings import PROJECT_FOLDER

BILLS = 1_000
ROUNDS = 5
TARIFF = PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json"
LANGUAGES = ("en", "hi", "ar", "th")


def main() -> None:
    """Print the medians of five rounds, the languages taking turns."""
    pdfs, texts = [], []
    render(next(documents()))  # the first one reads the fonts
    for _ in range(ROUNDS):
        texts.append(seconds(content_of))
        pdfs.append(seconds(render))
    pdf, text = statistics.median(pdfs), statistics.median(texts)
    print(f"{BILLS:,} bills as PDFs, medians of {ROUNDS} rounds of one run:")
    print(
        f"{pdf:.1f} s, {pdf / BILLS * 1000:.0f} ms each; their texts alone {text:.1f} s, ", end=""
    )
    print(f"ratio {pdf / text:.1f}")


def seconds(make: Callable[[BillDocument], object]) -> float:
    """How long it takes for a thousand bills, each with numbers of its own."""
    start = time.perf_counter()
    for document in documents():
        make(document)
    return time.perf_counter() - start


def documents() -> Iterator[BillDocument]:
    """Ordinary bills: seven lines and four slabs, a year of use, a link."""
    first = _one()
    for number in range(BILLS):
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
    rated = rate_usage(tariff=tariff, usage=Usage(wh=187_000), period=Period(start, end))
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
