"""A bill's document as the texts that its layout (bill.typ) puts in place, and nothing else."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any, Final

from segno import DataOverflowError

from services.bill_documents.document import (
    AccountEntry,
    BillDocument,
    CreditNoteDocument,
    LetterDocument,
    ReceiptDocument,
    RegisterLine,
    RegisterRead,
    StatementDocument,
)
from services.bill_documents.line_names import ChargeName, line_name, line_note
from services.bill_documents.qr import qr_svg
from services.bill_documents.text import pieces, sound, typed, typed_in_one_line
from services.bill_documents.words import Words
from services.metering.registers import measure_of
from services.quantities.energy import format_kwh
from services.quantities.period import Period
from services.rating import Bank, BillLine, NetBill, SlabPart
from services.records.documents.taxes import TaxAtRate

Content = dict[str, Any]
_WEB: Final = ("https://", "http://")
_MONTHS_IN_YEAR: Final = 12
_DAY: Final = timedelta(days=1)
_LOGO_WIDTH_MM: Final = 48
_LOGO_HEIGHT_MM: Final = 14
_HAN: Final = {
    "ja": "CJK JP",
    "ko": "CJK KR",
    "zh-hk": "CJK HK",
    "zh-mo": "CJK HK",
    "zh-tw": "CJK TC",
    "zh-hant": "CJK TC",
}


def content_of(document: BillDocument) -> Content:
    """Everything that is printed, in the customer's language, as JSON can hold it."""
    words = Words.of(language=document.language, currency=document.currency)
    return {
        **sheet_of(document, words),
        "issued": [document.issued_on.year, document.issued_on.month, document.issued_on.day],
        "number": sound(document.number),
        "notices": list(_notices(document, words)),
        "facts": [[words.label(name), text] for name, text in _facts(document, words)],
        "due": _due(document, words),
        "reads": [_register(line, document, words) for line in document.registers],
        "net": None if document.net is None else _net(document.net, words),
        "lines": list(line_rows(document.lines, words, document.charge_names)),
        "sums": list(_sums(document, words)),
        "account": list(_account(document, words)),
        # Each line has its tax's base and rate as well; who has no tax number needs no more.
        "taxes": tax_rows(document.taxes, words, document.charge_names)
        if document.utility.tax_number
        else [],
        "usage": _usage(document, words),
        "pay": _pay(document, words),
        "information": [[words.label(name), typed(text)] for name, text in document.utility.facts],
    }


def sheet_of(
    document: BillDocument
    | StatementDocument
    | ReceiptDocument
    | CreditNoteDocument
    | LetterDocument,
    words: Words,
) -> Content:
    """What every document of the utility has: who sends it, to whom, in which language."""
    return {
        "language": words.tag,
        "han": _han(document.language),
        "right_to_left": words.is_right_to_left,
        "labels": {**words.labels, "amount": words.label("amount", currency=document.currency)},
        "utility": typed_in_one_line(document.utility.name),
        "author": sound(document.utility.name),
        "contact": typed(document.utility.contact),
        "tax_number": _tax_number(document.utility.tax_number, words),
        "logo": _logo(document.utility.logo),
        "customer": typed(document.customer_name),
        "address": typed(document.address),
    }


def _tax_number(number: str, words: Words) -> str:
    """The utility's, as it stands below its contact."""
    return f"{words.label('tax_number')}: {typed_in_one_line(number)}" if number else ""


def tax_rows(
    taxes: Sequence[TaxAtRate], words: Words, names: Sequence[ChargeName] = ()
) -> list[list[str]]:
    """A row for each tax and rate: what it is called, what it is of, the rate, the tax."""
    return [
        [
            typed(words.label("tax_before", tax=name) if tax.is_before else name),
            _taxable(tax, words),
            _rate(tax, words),
            words.amount(tax.amount_minor),
        ]
        for tax in taxes
        for name in [line_name(tax, words.language, names)]
    ]


def _taxable(tax: TaxAtRate, words: Words) -> str:
    if not tax.base:
        return ""
    number = words.number(tax.base)
    return number if tax.is_percent else f"{number} {words.unit(tax.unit, quantity=tax.base)}"


def _rate(tax: TaxAtRate, words: Words) -> str:
    if tax.rate is None:
        return ""
    return f"{words.number(tax.rate)}%" if tax.is_percent else words.number(tax.rate)


def _logo(png: bytes | None) -> Content | None:
    """The logo with the size (mm) at which it fits its place."""
    if png is None:
        return None
    # Where each PNG has its width and height in pixels.
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    scale = min(_LOGO_WIDTH_MM / width, _LOGO_HEIGHT_MM / height)
    size = {"width": round(width * scale, 2), "height": round(height * scale, 2)}
    return {"bytes": list(png), **size}


def _han(language: str) -> str:
    """The font of Chinese characters as the customer's language (an IETF tag) writes them."""
    tag = language.replace("_", "-").lower()
    return next((font for start, font in _HAN.items() if tag.startswith(start)), "CJK SC")


def _notices(document: BillDocument, words: Words) -> Iterator[str]:
    if any(line.billed_before for line in document.lines):
        yield words.label("settles_bill")
    elif document.is_estimated:
        yield words.label("estimated_bill")
    if (quality := document.interval_quality) is not None:
        yield words.label(
            "unsure_intervals",
            unsure=words.number(str(quality.estimated + quality.other)),
            intervals=words.number(str(quality.intervals)),
            minutes=words.number(str(quality.minutes)),
        )
    if document.replaces:
        yield words.label("replaces", number=typed_in_one_line(document.replaces))
    if document.autopaid and not document.is_left_to_autopay and document.total_minor > 0:
        yield _by_autopay(document, words)


def _facts(document: BillDocument, words: Words) -> Iterator[tuple[str, str]]:
    yield "account_no", typed_in_one_line(document.account_no)
    yield "bill_number", typed_in_one_line(document.number)
    yield "issued_on", words.long_day(document.issued_on)
    yield "period", days_of(Period(document.period_start, document.period_end), words)
    yield "meter", typed_in_one_line(document.meter_serial)
    yield "tariff", typed_in_one_line(document.tariff_name)
    if document.service_address:
        yield "service_address", typed_in_one_line(document.service_address)
    if document.customer_tax_number:
        yield "customer_tax_number", typed_in_one_line(document.customer_tax_number)
    yield from _asked_facts(document, words)


def _asked_facts(document: BillDocument, words: Words) -> Iterator[tuple[str, str]]:
    """What a bill says because a rule asks for it."""
    asks, ends_on = document.utility.asks, document.contract_ends_on
    if "supply_point" in asks and document.supply_point:
        yield "supply_point", typed_in_one_line(document.supply_point)
    if "contract_end" in asks:
        # The first day without it is kept; people name the last one with it.
        last = None if ends_on is None else ends_on - _DAY
        yield "contract_end", words.label("contract_open") if last is None else words.long_day(last)


def days_of(period: Period, words: Words) -> str:
    days = words.days(period.days)
    return f"{words.day(period.start)} – {words.day(period.end)} ({days})"


def _due(document: BillDocument, words: Words) -> Content:
    due = document.amount_due_minor
    if due > 0:
        by = (
            f"{_by_autopay(document, words)} {words.label('nothing_to_do')}"
            if document.is_left_to_autopay
            else f"{words.label('due_on')} {words.long_day(document.due_date)}"
        )
        return {"title": words.label("amount_due"), "amount": words.money(due), "note": by}
    if due < 0:
        note = words.label("credit_kept")
        return {"title": words.label("in_credit"), "amount": words.money(-due), "note": note}
    note = words.label("nothing_to_pay")
    return {"title": words.label("amount_due"), "amount": words.money(0), "note": note}


def _by_autopay(document: BillDocument, words: Words) -> str:
    return words.label("autopaid", day=words.long_day(document.due_date))


def _register(line: RegisterLine, document: BillDocument, words: Words) -> Content:
    measure = measure_of(line.name) if line.name else None
    unit = measure.unit if measure else "kWh"
    multiplier_milli = line.multiplier_milli or document.multiplier_milli
    times = words.quantity(multiplier_milli)
    written: Content = {
        "name": typed_in_one_line(_register_name(line, words)),
        "opening": _read(line.opening, words),
        "closing": _read(line.closing, words),
        "difference": "",
        "multiplier": f"× {times}" if line.opening else "",
        "used": f"{words.quantity(line.used)} {unit}",
    }
    if line.opening and line.closing:
        # Where the register rolled over, the present reading is the lower one.
        difference = line.used * 1000 // multiplier_milli
        written["difference"] = words.quantity(difference)
    return written


def _register_name(line: RegisterLine, words: Words) -> str:
    """What it counts or, of one meter among several, which meter it is of."""
    if line.meter_serial:
        return f"{words.label('meter')} {line.meter_serial}"
    return words.register(line.name)


def _read(read: RegisterRead | None, words: Words) -> Content | None:
    if read is None:
        return None
    return {
        "value": words.quantity(read.value),
        "on": words.day(read.on),
        "kind": words.label(read.kind),
        "estimated": read.kind == "estimated",
    }


def _net(net: NetBill, words: Words) -> Content:
    """A row for each bank of kWh: what was imported, exported and billed, and the bank itself."""
    names = ("imported", "export", "net_billed", "bank_before", "bank_added", "bank_used")
    last = ("bank_paid" if net.is_paid else "bank_lapsed", "bank_after")
    return {
        "head": [words.label("net_metering"), *(words.label(name) for name in (*names, *last))],
        "rows": [
            [
                typed_in_one_line(words.register(name)) if name else words.label("total_energy"),
                *(words.quantity(wh) for wh in _in_order(bank)),
            ]
            for name, bank in net.banks.items()
        ],
    }


def _in_order(bank: Bank) -> tuple[int, ...]:
    before = bank.opening + bank.moved
    return (
        *(bank.imported, bank.exported, bank.netted),
        *(before, bank.added, bank.used, bank.settled, bank.closing),
    )


def line_rows(
    lines: Sequence[BillLine], words: Words, names: Sequence[ChargeName] = ()
) -> Iterator[Content]:
    for (part, is_before), of_part in groupby(lines, key=lambda x: (x.part, x.billed_before)):
        if part:
            days = days_of(part, words)
            less = words.label("billed_before", days=days) if is_before else days
            yield {"heading": less}
        for line in of_part:
            yield _line(line, words, names)


def _line(line: BillLine, words: Words, names: Sequence[ChargeName]) -> Content:
    is_percent = line.unit == "%"
    rate = words.number(line.rate) if line.rate is not None else ""
    quantity = words.number(line.quantity)
    unit = words.unit(line.unit, quantity=line.quantity)
    return {
        "description": typed(line_name(line, words.language, names)),
        "note": typed_in_one_line(line_note(line.note, words.language)) if line.note else "",
        "quantity": ""
        if line.billed_before
        else (quantity if is_percent else f"{quantity} {unit}"),
        "rate": f"{rate}%" if rate and is_percent else rate,
        "amount": words.amount(line.amount_minor),
        "slabs": [_slab(slab, line.unit, words) for slab in line.slabs],
    }


def _slab(slab: SlabPart, unit: str, words: Words) -> Content:
    start = words.number(slab.from_kwh)
    if slab.to_kwh is None:
        bounds = words.label("above", start=start, unit=unit)
    else:
        bounds = words.label("to", start=start, end=words.number(slab.to_kwh), unit=unit)
    return {
        "bounds": bounds,
        "quantity": f"{words.number(slab.quantity)} {unit}",
        "rate": words.number(slab.rate),
        "amount": words.number(slab.amount),
    }


def _sums(document: BillDocument, words: Words) -> Iterator[list[str]]:
    if document.tax_minor:
        yield [words.label("subtotal"), words.amount(document.subtotal_minor)]
        yield [words.label("taxes"), words.amount(document.tax_minor)]
    yield [words.label("total"), words.amount(document.total_minor)]


def _account(document: BillDocument, words: Words) -> Iterator[Content]:
    """From what was owed before to what is owed now; the last row is the sum."""
    before = document.brought_forward_minor
    name = "arrears" if before > 0 else "credit_forward" if before < 0 else "forward"
    yield {"what": words.label(name), "detail": "", "amount": words.amount(before)}
    for entry in document.entries:
        yield _entry(entry, words)
    total = words.amount(document.total_minor)
    yield {"what": words.label("total"), "detail": "", "amount": total}
    due = words.amount(document.amount_due_minor)
    yield {"what": words.label("amount_due"), "detail": "", "amount": due}


def _entry(entry: AccountEntry, words: Words) -> Content:
    how = [words.method(entry.method)] if entry.method else []
    how += [entry.reference] if entry.reference else []
    details = [words.day(entry.on), *map(typed_in_one_line, how)]
    return {
        "what": words.label(entry.kind),
        "detail": " · ".join(details),
        "amount": words.amount(entry.amount_minor),
    }


def _usage(document: BillDocument, words: Words) -> Content:
    """The bars with their heights as fractions of the highest, and how this bill compares."""
    months = document.months
    highest = max((month.wh or 0 for month in months), default=0) or 1
    bars = [
        {
            "share": round(max(month.wh or 0, 0) / highest, 4),
            "kwh": "" if month.wh is None else words.number(_whole_kwh(month.wh)),
            "month": words.month_alone(month.month),
            "year": str(month.month.year) if i == 0 or month.month.month == 1 else "",
        }
        for i, month in enumerate(months)
    ]
    days = (document.period_end - document.period_start).days
    notes = [words.label("a_day", kwh=words.number(_tenths(document.consumption_wh, days)))]
    if len(months) > _MONTHS_IN_YEAR and (year_ago := months[-1 - _MONTHS_IN_YEAR]).wh is not None:
        kwh = words.quantity(year_ago.wh)
        notes.append(words.label("year_ago", month=words.month(year_ago.month), kwh=kwh))
    return {"title": words.label("usage", count=len(months)), "bars": bars, "notes": notes}


def _whole_kwh(wh: int) -> str:
    # 0.4 kWh is not nothing: what is less than one keeps its decimals.
    return format_kwh(wh) if abs(wh) < 1000 else str((wh + 500) // 1000)


def _tenths(wh: int, days: int) -> str:
    tenths = (wh * 2 // (100 * days) + 1) // 2
    return f"{tenths // 10}.{tenths % 10}"


def _pay(document: BillDocument, words: Words) -> Content | None:
    """The link or, without one, the reference to pay by at the office; None if nothing is to do."""
    if document.amount_due_minor <= 0 or document.is_left_to_autopay:
        return None
    # Its link would pay what autopay pays.
    url = None if document.autopaid else document.payment_url
    target = sound(url or document.number)
    return {
        "how": words.label("scan" if url else "office"),
        "target": pieces(target),
        "link": target if target.startswith(_WEB) else "",
        "qr": _qr(target),
    }


def _qr(target: str) -> str:
    try:
        return qr_svg(target).decode()
    except DataOverflowError:
        return ""  # more than any code holds: the address itself is printed
