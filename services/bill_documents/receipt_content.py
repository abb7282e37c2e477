"""A payment's receipt as the texts that its layout (receipt.typ) puts in place."""

from collections.abc import Iterator

from services.bill_documents.content import Content, sheet_of
from services.bill_documents.document import ReceiptDocument
from services.bill_documents.text import sound, typed_in_one_line
from services.bill_documents.words import Words


def receipt_content(document: ReceiptDocument) -> Content:
    """Everything that is printed, in the customer's language, as JSON can hold it."""
    words = Words.of(language=document.language, currency=document.currency)
    on = document.received_on
    facts = [
        [words.label("account_no"), typed_in_one_line(document.account_no)],
        [words.label("customer_tax_number"), typed_in_one_line(document.customer_tax_number)],
        [words.label("received_on"), words.long_day(on)],
        [words.label("paid_by"), words.method(document.method)],
        [words.label("reference"), typed_in_one_line(document.reference)],
    ]
    return {
        **sheet_of(document, words),
        "number": sound(document.number),
        "received": [on.year, on.month, on.day],
        "facts": [fact for fact in facts if fact[1]],
        "due": {
            "title": words.label("amount_received"),
            "amount": words.money(document.amount_minor),
            "note": words.label("thanks"),
        },
        "paid": list(_paid(document, words)),
    }


def _paid(document: ReceiptDocument, words: Words) -> Iterator[Content]:
    for number, minor in document.paid:
        what = f"{words.label('bill')} {typed_in_one_line(number)}" if number else ""
        yield {"what": what or words.label("fee"), "amount": words.amount(minor)}
    if document.left_minor:
        what = words.label("kept_on_account")
        yield {"what": what, "amount": words.amount(document.left_minor)}
