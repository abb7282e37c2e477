"""A bill as a card: what was read, what it costs line by line, what is to be paid and when."""

from datetime import date
from itertools import groupby
from typing import Final

import streamlit as st

from pages.registry import SERVICE_POINT
from pages.shared.components import description_list, status_badge
from pages.shared.format import (
    BILL_STATUS,
    day,
    escaped,
    grouped,
    kwh,
    money,
    period,
    times,
    unsure,
)
from pages.shared.net_metering import show_net
from pages.shared.permitted import page_link
from pages.shared.registers import show_used_registers
from pages.shared.session import services
from services.bill_documents.qr import qr_png
from services.billing.explain import explain, explain_net
from services.metering.interval_quality import interval_quality_of
from services.quantities.energy import format_kwh
from services.quantities.quality import Quality
from services.rating import BillLine, RatedBill, SlabPart
from services.records.bills import Bill
from services.records.documents.taxes import taxes_by_rate
from services.records.readings import ReadingSource

_UNITS = {"day": "days", "month": "months"}
_ESTIMATED: Final = (
    "Estimated: the meter was not read. The next bill from an actual reading settles the "
    "difference."
)
_KINDS: Final = {"estimated": "estimated", "customer": "read by the customer"}


def show_bill(bill: Bill, *, titled: bool = True, place_linked: bool = False) -> None:
    """The whole bill; amounts are in its own currency. `titled` where no page's title names it.

    `place_linked` leads to the place of supply, for whoever may see it.
    """
    with st.container(border=True):
        st.caption(escaped(services().settings.utility_name))
        if titled:
            with st.container(horizontal=True, vertical_alignment="center"):
                title = f"Bill {bill.reference}" if bill.number is not None else "Draft bill"
                st.subheader(title, anchor=False, width="content")
                status_badge(bill.status, BILL_STATUS)
        st.markdown(
            f"**{escaped(bill.customer_name)}** · account {escaped(bill.account_no)}"
            f"  \n{escaped(bill.address)}"
        )
        _show_place(bill, linked=place_linked)
        _show_reads(bill)
        if bill.settles_since:
            st.info(
                f"Settles the readings since {day(bill.settles_since)} that were not actual ones: "
                "the whole time is charged by the actual reading, less what was billed for it.",
                icon=":material/balance:",
            )
        if bill.closing_source == "estimated":
            st.info(_ESTIMATED, icon=":material/calculate:")
        if (quality := interval_quality_of(bill.usage)) is not None:
            st.info(quality.sentence, icon=":material/query_stats:")
        _show_total(bill)
        st.markdown(lines_table(bill), width="stretch")
        with st.expander("How this was calculated", icon=":material/calculate:"):
            rated = RatedBill(currency=bill.currency, lines=bill.lines)
            netting = f"{explain_net(bill.net)}\n" if bill.net else ""
            st.code(f"{netting}{explain(rated)}", language=None, wrap_lines=True)


def _show_place(bill: Bill, *, linked: bool) -> None:
    where = [f"Service point {bill.service_point_code}", bill.service_address]
    label = escaped(" · ".join(filter(None, where)))
    if linked:
        page_link(
            SERVICE_POINT,
            label=label,
            icon=":material/location_on:",
            query_params={"id": bill.service_point_id},
        )
    else:
        st.markdown(label)


def _show_reads(bill: Bill) -> None:
    several = len(bill.metered) > 1
    used = [] if several else _reads_of(bill)
    description_list(
        [
            ("Meters" if len(bill.meter_serials) > 1 else "Meter", ", ".join(bill.meter_serials)),
            *used,
            ("Used", kwh(bill.consumption_wh)),
            ("Period", period(bill.period_start, bill.period_end)),
            ("Tariff", bill.tariff_name),
        ],
        least_width=130,
    )
    if several:
        st.markdown(_segments_table(bill), width="stretch")
    show_used_registers(bill.usage or {}, meters=len(bill.metered))
    if bill.net:
        show_net(bill.net)


def _reads_of(bill: Bill) -> list[tuple[str, str]]:
    (one,) = bill.metered
    opened = _kind(bill.opening_source, bill.opening_quality)
    closed = _kind(bill.closing_source, bill.closing_quality)
    reads = [
        ("Opening read", f"{kwh(one.opening_wh)}{opened}"),
        ("Closing read", f"{kwh(one.closing_wh)}{closed}"),
    ]
    if one.multiplier_milli != 1000:
        reads.append(("Multiplier", times(one.multiplier_milli)))
    return reads


def _segments_table(bill: Bill) -> str:
    """A row of reads for each meter, or multiplier, and what they come to."""
    rows = ["| Meter | From | To | Used (kWh) |", "|:---|---:|---:|---:|"]
    for one in bill.metered:
        by = (
            ""
            if one.multiplier_milli == 1000
            else f" :small[{_unbroken(times(one.multiplier_milli))}]"
        )
        opened = _kind(one.opening_source, one.opening_quality)
        closed = _kind(one.closing_source, one.closing_quality)
        first = _read(one.opening_wh, one.opened_on, opened)
        last = _read(one.closing_wh, one.closed_on, closed)
        meter, used = f"{escaped(one.meter_serial)}{by}", grouped(format_kwh(one.consumption_wh))
        rows.append(f"| {meter} | {first} | {last} | {used} |")
    rows.append(f"| **In all** | | | **{grouped(format_kwh(bill.consumption_wh))}** |")
    return "\n".join(rows)


def _kind(source: ReadingSource | None, quality: Quality) -> str:
    """How a read came about, in brackets, where it was not simply read."""
    kinds = [_KINDS[source]] if source in _KINDS else []
    kinds += [how] if (how := unsure(quality)) else []
    return f" ({', '.join(kinds)})" if kinds else ""


def _read(wh: int, on: date, kind: str) -> str:
    """What it showed and, on a phone below it, when and how."""
    return f"{grouped(format_kwh(wh))} :gray[:small[{_unbroken(day(on))}{escaped(kind)}]]"


def _unbroken(text: str) -> str:
    return text.replace(" ", "&nbsp;")


def _show_total(bill: Bill) -> None:
    with st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            st.metric("Total", money(bill.total_minor, bill.currency))
        with grid.cell(), st.container(gap=None):
            if bill.due_date:
                st.markdown(f"Due **{day(bill.due_date)}**")
            if bill.number is not None:
                st.markdown(f"Payment reference **{bill.reference}**")
            if bill.amount_paid_minor:
                paid = money(bill.amount_paid_minor, bill.currency)
                left = money(bill.balance_minor, bill.currency)
                st.markdown(f"Paid {escaped(paid)}, left to pay **{escaped(left)}**")
    if bill.payment_url and bill.balance_minor > 0 and bill.number is not None:
        st.link_button("Pay online", bill.payment_url, icon=":material/credit_card:")
        st.image(qr_png(bill.payment_url), width=160, caption="Scan to pay")
    if bill.void_reason:
        st.warning(f"Void: {escaped(bill.void_reason)}")


def lines_table(bill: Bill | RatedBill) -> str:
    """The lines as Markdown: three columns, so that a phone shows a name in one or two rows."""
    rows = ["| Charge | Basis | Amount |", "|:---|---:|---:|"]
    for (days, is_before), lines in groupby(bill.lines, key=lambda x: (x.part, x.billed_before)):
        # A tariff that changed within the bill, or bills that it settles: days above their lines.
        less = "Less what was billed for " if is_before else ""
        rows += [f"| **{less}{period(days.start, days.end)}** | | |"] if days else []
        for line in lines:
            rows.append(_line_row(line, bill.currency))
            rows += [_slab_row(part, line.unit) for part in line.slabs if len(line.slabs) > 1]
    rows.append(_sum_row("**Total**", bill.total_minor, bill.currency))
    if bill.tax_minor:
        rows.append(_sum_row(":gray[:small[of which taxes]]", bill.tax_minor, bill.currency))
    rows += _tax_rows(bill)
    return "\n".join(rows)


def _tax_rows(bill: Bill | RatedBill) -> list[str]:
    """What each tax comes to at each rate, where it stands in several lines above."""
    taxes = taxes_by_rate(bill.lines)
    if len(taxes) == sum(line.tax for line in bill.lines):
        return []
    rows = []
    for tax in taxes:
        name = f"{tax.description}, billed before" if tax.is_before else tax.description
        basis = (
            f"{grouped(tax.rate)}% of {grouped(tax.base)}" if tax.rate and tax.is_percent else ""
        )
        amount = money(tax.amount_minor, bill.currency)
        cells = (
            f":gray[:small[{escaped(cell)}]]" if cell else "" for cell in (name, basis, amount)
        )
        rows.append(f"| &emsp;{' | '.join(cells)} |")
    return rows


def _line_row(line: BillLine, currency: str) -> str:
    amount = escaped(money(line.amount_minor, currency))
    if line.billed_before:
        basis = ""
    elif line.unit == "%" and line.rate is not None:
        basis = f"{grouped(line.rate)}% of {grouped(line.quantity)}"
    else:
        unit = line.unit if line.quantity == "1" else _UNITS.get(line.unit, line.unit)
        basis = f"{grouped(line.quantity)} {unit}"
        if line.rate is not None:
            basis += f" × {grouped(line.rate)}"
    row = f"| {escaped(line.description)} | :small[{escaped(basis)}] | {amount} |"
    return f"{row}\n| &emsp;:gray[:small[{escaped(line.note)}]] | | |" if line.note else row


def _slab_row(part: SlabPart, unit: str) -> str:
    first, last = grouped(part.from_kwh), part.to_kwh
    end = f"{first} to {grouped(last)} {unit}" if last else f"above {first} {unit}"
    cells = (end, f"{grouped(part.quantity)} {unit} × {grouped(part.rate)}", grouped(part.amount))
    name, basis, amount = (f":gray[:small[{escaped(cell)}]]" for cell in cells)
    return f"| &emsp;{name} | {basis} | {amount} |"


def _sum_row(name: str, minor: int, currency: str) -> str:
    return f"| {name} | | **{escaped(money(minor, currency))}** |"
