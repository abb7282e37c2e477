"""A credit note as the texts that its layout (credit_note.typ) puts in place."""

from services.bill_documents.content import Content, days_of, line_rows, sheet_of, tax_rows
from services.bill_documents.document import CreditNoteDocument
from services.bill_documents.text import sound, typed, typed_in_one_line
from services.bill_documents.words import Words
from services.quantities.period import Period


def credit_note_content(document: CreditNoteDocument) -> Content:
    """Everything that is printed, in the customer's language, as JSON can hold it."""
    words = Words.of(language=document.language, currency=document.currency)
    on, bill = document.given_on, typed_in_one_line(document.bill_number)
    facts = [
        [words.label("account_no"), typed_in_one_line(document.account_no)],
        [words.label("customer_tax_number"), typed_in_one_line(document.customer_tax_number)],
        [words.label("credit_note_number"), typed_in_one_line(document.number)],
        [words.label("issued_on"), words.long_day(on)],
        [words.label("credited_bill"), f"{bill} ({words.day(document.bill_issued_on)})"],
        [words.label("period"), days_of(Period(document.period_start, document.period_end), words)],
        [words.label("meter"), typed_in_one_line(document.meter_serial)],
    ]
    replaced_by = typed_in_one_line(document.replaced_by)
    note = words.label("in_its_place", number=replaced_by) if replaced_by else ""
    sums = [[words.label("credited_total"), words.amount(document.total_minor)]]
    if document.tax_minor:
        taxes = [words.label("taxes"), words.amount(document.tax_minor)]
        sums = [[words.label("subtotal"), words.amount(document.subtotal_minor)], taxes, *sums]
    return {
        **sheet_of(document, words),
        "number": sound(document.number),
        "given": [on.year, on.month, on.day],
        "facts": [fact for fact in facts if fact[1]],
        "due": {
            "title": words.label("credited_total"),
            "amount": words.money(document.total_minor),
            "note": note,
        },
        "reason": typed(document.reason),
        "lines": list(line_rows(document.lines, words, document.charge_names)),
        "sums": sums,
        "taxes": tax_rows(document.taxes, words, document.charge_names),
    }
