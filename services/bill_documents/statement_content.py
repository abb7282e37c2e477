"""A statement of account as the texts that its layout (statement.typ) puts in place."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import accumulate

from services.bill_documents.content import Content, sheet_of
from services.bill_documents.document import StatementDocument, StatementEntry
from services.bill_documents.text import sound, typed_in_one_line
from services.bill_documents.words import Words

_DAY = timedelta(days=1)


def statement_content(document: StatementDocument) -> Content:
    """Everything that is printed, in the customer's language, as JSON can hold it."""
    words = Words.of(language=document.language, currency=document.currency)
    last = document.end - _DAY
    return {
        **sheet_of(document, words),
        "number": sound(document.account_no),
        "ends": [last.year, last.month, last.day],
        "facts": [
            [words.label("account_no"), typed_in_one_line(document.account_no)],
            *_customer_tax_number(document, words),
            [words.label("from"), words.long_day(document.start)],
            [words.label("until"), words.long_day(last)],
        ],
        "due": _balance(document, words),
        "bills": [
            {
                "number": typed_in_one_line(bill.number),
                "place": typed_in_one_line(bill.place),
                "meter": typed_in_one_line(bill.meter_serial),
                "days": f"{words.day(bill.period_start)} – {words.day(bill.period_end)}",
                "used": f"{words.quantity(bill.consumption_wh)} kWh",
                "amount": words.amount(bill.total_minor),
            }
            for bill in document.bills
        ],
        "entries": list(_entries(document, words)),
    }


def _customer_tax_number(document: StatementDocument, words: Words) -> list[list[str]]:
    number = typed_in_one_line(document.customer_tax_number)
    return [[words.label("customer_tax_number"), number]] if number else []


def _balance(document: StatementDocument, words: Words) -> Content:
    closing = document.closing_minor
    title = words.label("in_credit" if closing < 0 else "balance_after")
    note = words.label("nothing_to_pay") if closing <= 0 else ""
    return {"title": title, "amount": words.money(abs(closing)), "note": note}


def _entries(document: StatementDocument, words: Words) -> Iterator[Content]:
    """The balance before, each entry with the balance after it, and the balance at the end."""
    opening = words.amount(document.opening_minor)
    yield {"on": "", "what": words.label("balance_before"), "amount": "", "balance": opening}
    amounts = (entry.amount_minor for entry in document.entries)
    balances = list(accumulate(amounts, initial=document.opening_minor))[1:]
    for entry, balance in zip(document.entries, balances, strict=True):
        yield {
            "on": words.day(entry.on),
            "what": _what(entry, words),
            "amount": words.amount(entry.amount_minor),
            "balance": words.amount(balance),
        }
    closing = words.amount(document.closing_minor)
    yield {"on": "", "what": words.label("balance_after"), "amount": "", "balance": closing}


def _what(entry: StatementEntry, words: Words) -> str:
    parts = [words.label(entry.kind)]
    parts += [words.method(entry.method)] if entry.method else []
    parts += [typed_in_one_line(entry.detail)] if entry.detail else []
    return " · ".join(parts)
