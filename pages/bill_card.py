"""A bill as a card: what was read, what it costs line by line, what is to be paid and when."""

import streamlit as st

from pages.parts import facts, status_badge
from pages.words import BILL_STATUS, day, kwh, money, period, plain, times
from services.domain.rating import BillLine, SlabPart
from services.domain.records import Bill


def show_bill(bill: Bill) -> None:
    """The whole bill; amounts are in its own currency."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            title = f"Bill {bill.reference}" if bill.number is not None else "Draft bill"
            st.subheader(title, anchor=False, width="content")
            status_badge(bill.status, BILL_STATUS)
        st.markdown(
            f"**{plain(bill.customer_name)}** · account {plain(bill.account_no)}"
            f"  \n{plain(bill.address)}"
        )
        _show_reads(bill)
        st.markdown(_lines_table(bill), width="stretch")
        _show_total(bill)


def _show_reads(bill: Bill) -> None:
    used = [("Opening read", kwh(bill.opening_wh)), ("Closing read", kwh(bill.closing_wh))]
    if bill.multiplier_milli != 1000:
        used.append(("Multiplier", times(bill.multiplier_milli)))
    facts(
        [
            ("Meter", bill.meter_serial),
            *used,
            ("Used", kwh(bill.consumption_wh)),
            ("Period", period(bill.period_start, bill.period_end)),
            ("Tariff", bill.tariff_name),
        ],
        least_width=130,
    )


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
                st.markdown(f"Paid {plain(paid)}, left to pay **{plain(left)}**")
    if bill.payment_url and bill.balance_minor > 0 and bill.number is not None:
        st.link_button("Pay online", bill.payment_url, icon=":material/credit_card:")
    if bill.void_reason:
        st.warning(f"Void: {plain(bill.void_reason)}")


def _lines_table(bill: Bill) -> str:
    """Three columns, so that a phone still shows a line's name in one or two rows."""
    rows = ["| Charge | How it was worked out | Amount |", "|:---|---:|---:|"]
    for line in bill.lines:
        rows.append(_line_row(line, bill.currency))
        rows += [_slab_row(part) for part in line.slabs if len(line.slabs) > 1]
    if bill.tax_minor:
        rows.append(_sum_row("Subtotal", bill.subtotal_minor, bill.currency))
        rows.append(_sum_row("Tax", bill.tax_minor, bill.currency))
    rows.append(_sum_row("Total", bill.total_minor, bill.currency, strong=True))
    return "\n".join(rows)


def _line_row(line: BillLine, currency: str) -> str:
    amount = plain(money(line.amount_minor, currency))
    if line.unit == "%":
        worked_out = f"{line.rate} % of {line.quantity}"
    else:
        worked_out = f"{line.quantity} {line.unit}"
        if line.rate is not None:
            worked_out += f" × {line.rate}"
    return f"| {plain(line.description)} | :small[{_unbroken(worked_out)}] | {amount} |"


def _slab_row(part: SlabPart) -> str:
    end = f"{part.from_kwh} to {part.to_kwh} kWh" if part.to_kwh else f"above {part.from_kwh} kWh"
    worked_out = f"{part.quantity} kWh × {part.rate}"
    cells = (plain(end), _unbroken(worked_out), plain(part.amount))
    name, how, amount = (f":gray[:small[{cell}]]" for cell in cells)
    return f"| &emsp;{name} | {how} | {amount} |"


def _unbroken(text: str) -> str:
    return plain(text).replace(" ", "&nbsp;")


def _sum_row(name: str, minor: int, currency: str, *, strong: bool = False) -> str:
    amount = plain(money(minor, currency))
    mark = "**" if strong else ""
    return f"| {mark}{name}{mark} | | {mark}{amount}{mark} |"
