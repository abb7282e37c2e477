"""Credit notes as they are printed, and what bills print of taxes and of a jurisdiction's facts."""

from dataclasses import replace
from datetime import date

import pytest

from services.bill_documents import CreditNoteDocument, Utility, render, render_credit_note
from tests.unit.bill_documents import bills, printed
from tests.unit.bill_documents.test_pdf_printed import squeezed

UTILITY = Utility(
    "Island Power",
    "2-1 Harbour Street",
    tax_number="DE136695976",
    facts=(("outage_line", "0800 111 222, day and night"), ("energy_mix", "Wind 80%\nHydro 20%")),
    asks=frozenset({"supply_point", "contract_end"}),
)


def note(language: str = "en") -> CreditNoteDocument:
    """Of the Hindi bill's charges."""
    bill = bills.hindi()
    return CreditNoteDocument(
        utility=UTILITY,
        language=language,
        customer_name=bill.customer_name,
        address=bill.address,
        account_no=bill.account_no,
        currency=bill.currency,
        number="CN-000007",
        given_on=date(2026, 11, 20),
        bill_number=bill.number,
        bill_issued_on=bill.issued_on,
        period_start=bill.period_start,
        period_end=bill.period_end,
        meter_serial=bill.meter_serial,
        reason="The meter was misread",
        lines=bill.lines,
        subtotal_minor=bill.subtotal_minor,
        tax_minor=bill.tax_minor,
        total_minor=bill.total_minor,
        replaced_by="INV-000118",
        customer_tax_number="08AAACB1234C1Z5",
    )


def test_a_credit_note_names_the_bill_the_reason_and_what_it_takes_back() -> None:
    (page,) = printed.pages(render_credit_note(note()))
    for text in (
        *("Credit note", "CN-000007", "INV-000117", "20 November 2026", "12 Nov 2026"),
        *("The meter was misread", "₹982.07", "Bill INV-000118 takes its place."),
        *("Tax number: DE136695976", "08AAACB1234C1Z5", "Fixed charge", "Tax by rate"),
    ):
        assert squeezed(text) in squeezed(page), text


@pytest.mark.parametrize("language", ["hi", "ar", "th"])
def test_it_is_in_the_customers_language_and_always_the_same(language: str) -> None:
    made = render_credit_note(note(language))
    assert made == render_credit_note(note(language))
    (page,) = printed.pages(made)
    assert "Credit note" not in page
    assert "000007" in squeezed(page)


def test_the_taxes_of_a_bill_stand_by_rate_and_tie_to_its_sums() -> None:
    bill = bills.hindi()
    assert len(bill.taxes) > 1
    assert sum(tax.amount_minor for tax in bill.taxes) == bill.tax_minor
    assert "Taxbyrate" not in squeezed(printed.text_of(replace(bill, language="en")))
    bill = replace(bill, utility=Utility("Island Power", tax_number="DE136695976"))
    text = squeezed(printed.text_of(replace(bill, language="en")))
    table = text[text.index("Taxbyrate") : text.index("Youraccount")]
    for tax in bill.taxes:
        assert squeezed(f"{tax.rate}% {tax.amount_minor / 100:.2f}") in table
    without = replace(bill, language="en", lines=tuple(x for x in bill.lines if not x.tax))
    assert "Taxbyrate" not in squeezed(printed.text_of(without))


def test_a_bill_says_what_its_jurisdiction_asks_for_and_else_nothing_more() -> None:
    bill = replace(bills.hindi(), language="en", supply_point="SP-77")
    plain = printed.text_of(bill)
    assert "Supply point" not in plain
    assert "What you should know" not in plain
    asked = replace(bill, utility=UTILITY, customer_tax_number="08AAACB1234C1Z5")
    text = " ".join(printed.pages(render(asked)))
    for said in (
        *("What you should know", "To report an outage", "0800 111 222, day and night"),
        *("Energy sources", "Wind 80%", "Hydro 20%", "Supply point", "SP-77", "no fixed end"),
        *("Tax number: DE136695976", "Your tax number", "08AAACB1234C1Z5"),
    ):
        assert squeezed(said) in squeezed(text), said
    ends = replace(asked, contract_ends_on=date(2027, 1, 1))
    assert squeezed("31 December 2026") in squeezed(printed.text_of(ends))
