"""Taxes by rate tie to the bill to the cent, whatever its lines are."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.quantities.period import Period
from services.rating import BillingDeterminants, BillLine, rate_usage
from services.records.documents.taxes import taxes_by_rate
from services.tariffs import parse_tariff
from tests.integration.utility import KSEB
from tests.unit.bill_documents.bills import NOV, OCT, line

RATES = st.sampled_from(["5", "18", "0.5", None])
LINES = st.lists(
    st.builds(
        lambda code, rate, minor, base, tax, before: line(
            f"Tax {code}",
            minor,
            code=code,
            tax=tax,
            rate=None if before else rate,
            unit="bill" if before else "%",
            quantity="1" if before else f"{base // 100}.{base % 100:02}",
            billed_before=before,
        ),
        st.sampled_from(["gst", "duty", "cess"]),
        RATES,
        st.integers(-(10**9), 10**9),
        st.integers(0, 10**9),
        st.booleans(),
        st.booleans(),
    ),
    max_size=20,
)


@given(LINES)
def test_the_amounts_add_up_to_the_bills_tax_and_the_bases_to_what_was_taxed(
    lines: list[BillLine],
) -> None:
    taxes = taxes_by_rate(lines)
    assert sum(tax.amount_minor for tax in taxes) == sum(x.amount_minor for x in lines if x.tax)
    bases = sum((Fraction(tax.base) for tax in taxes if tax.base), Fraction(0))
    taxed = (Fraction(x.quantity) for x in lines if x.tax and not x.billed_before)
    assert bases == sum(taxed, Fraction(0))
    keys = [(tax.code, tax.rate, tax.unit, tax.is_before) for tax in taxes]
    assert len(set(keys)) == len(keys)


@given(st.integers(0, 3_000_000))
def test_a_priced_bill_is_its_subtotal_and_its_taxes_by_rate(wh: int) -> None:
    rated = rate_usage(
        tariff=parse_tariff(KSEB), usage=BillingDeterminants(wh=wh), period=Period(OCT, NOV)
    )
    taxes = taxes_by_rate(rated.lines)
    assert rated.subtotal_minor + sum(tax.amount_minor for tax in taxes) == rated.total_minor


def test_a_tax_that_is_split_over_parts_of_a_bill_is_one_row() -> None:
    lines = [
        line("GST", 900, code="gst", tax=True, unit="%", quantity="50.00", rate="18"),
        line("Energy", 7_500),
        line("GST", 450, code="gst", tax=True, unit="%", quantity="25.00", rate="18"),
        line("Duty", 60, code="duty", tax=True, unit="kWh", quantity="12", rate="0.05"),
    ]
    gst, duty = taxes_by_rate(lines)
    assert (gst.base, gst.rate, gst.amount_minor, gst.is_percent) == ("75", "18", 1350, True)
    assert (duty.base, duty.unit, duty.amount_minor) == ("12", "kWh", 60)
