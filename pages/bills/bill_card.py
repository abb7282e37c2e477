"""A bill as a card: what was read, what it costs line by line, what is to be paid and when."""

from datetime import date
from itertools import groupby
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, language, say
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
from services.bill_documents.line_names import line_name, line_note
from services.bill_documents.qr import qr_png
from services.bill_documents.words import Words
from services.billing.explain import explain, explain_net
from services.languages.sentence import N_
from services.metering.interval_quality import interval_quality_of
from services.quantities.energy import format_kwh
from services.quantities.quality import Quality
from services.rating import BillLine, RatedBill, SlabPart
from services.records.bills import Bill
from services.records.documents.taxes import taxes_by_rate
from services.records.readings import ReadingSource

_ESTIMATED: Final = N_(
    "Estimated: the meter was not read. The next bill from an actual reading settles the "
    "difference."
)
_KINDS: Final = Said({"estimated": N_("estimated"), "customer": N_("read by the customer")})


def title_of(bill: Bill) -> str:
    """What a bill is called: Bill INV-000117, or a draft."""
    if bill.number is None:
        return _("Draft bill")
    return _("Bill {reference}", reference=bill.reference)


def show_bill(bill: Bill, *, titled: bool = True, place_linked: bool = False) -> None:
    """The whole bill; amounts are in its own currency. `titled` where no page's title names it.

    `place_linked` leads to the place of supply, for whoever may see it.
    """
    with st.container(border=True):
        st.caption(escaped(services().settings.utility_name))
        if titled:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.subheader(title_of(bill), anchor=False, width="content")
                status_badge(bill.status, BILL_STATUS)
        st.markdown(
            _(
                "**{customer_name}** · account {account}  \n{address}",
                customer_name=escaped(bill.customer_name),
                account=escaped(bill.account_no),
                address=escaped(bill.address),
            )
        )
        _show_place(bill, linked=place_linked)
        _show_reads(bill)
        if bill.settles_since:
            st.info(
                _(
                    "Settles the readings since {settles_since} that were not actual ones: "
                    "the whole time is charged by the actual reading, less what was billed for it.",
                    settles_since=day(bill.settles_since),
                ),
                icon=":material/balance:",
            )
        if bill.closing_source == "estimated":
            st.info(_(_ESTIMATED), icon=":material/calculate:")
        if (quality := interval_quality_of(bill.usage)) is not None:
            st.info(say(quality.sentence), icon=":material/query_stats:")
        _show_total(bill)
        st.markdown(lines_table(bill), width="stretch")
        with st.expander(_("How this was calculated"), icon=":material/calculate:"):
            rated = RatedBill(currency=bill.currency, lines=bill.lines)
            netting = f"{explain_net(bill.net, language())}\n" if bill.net else ""
            explained = explain(rated, language())
            st.code(f"{netting}{explained}", language=None, wrap_lines=True)


def _show_place(bill: Bill, *, linked: bool) -> None:
    where = [_("Service point {code}", code=bill.service_point_code), bill.service_address]
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
    several_meters = len(bill.meter_serials) > 1
    used = [] if several else _reads_of(bill)
    description_list(
        [
            (
                _("Meters") if several_meters else _("Meter"),
                ", ".join(bill.meter_serials),
            ),
            *used,
            (_("Used"), kwh(bill.consumption_wh)),
            (_("Period"), period(bill.period_start, bill.period_end)),
            (_("Tariff"), bill.tariff_name),
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
        (_("Opening read"), f"{kwh(one.opening_wh)}{opened}"),
        (_("Closing read"), f"{kwh(one.closing_wh)}{closed}"),
    ]
    if one.multiplier_milli != 1000:
        reads.append((_("Multiplier"), times(one.multiplier_milli)))
    return reads


def _segments_table(bill: Bill) -> str:
    """A row of reads for each meter, or multiplier, and what they come to."""
    rows = [_("| Meter | From | To | Used (kWh) |"), "|:---|---:|---:|---:|"]
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
    rows.append(_("| **In all** | | | **{used}** |", used=grouped(format_kwh(bill.consumption_wh))))
    return "\n".join(rows)


def _kind(source: ReadingSource | None, quality: Quality) -> str:
    """How a read came about, in brackets, where it was not simply read."""
    kinds = [_KINDS[source]] if source and source in _KINDS else []
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
            st.metric(_("Total"), money(bill.total_minor, bill.currency))
        with grid.cell(), st.container(gap=None):
            if bill.due_date:
                st.markdown(_("Due **{due_date}**", due_date=day(bill.due_date)))
            if bill.number is not None:
                st.markdown(_("Payment reference **{reference}**", reference=bill.reference))
            if bill.amount_paid_minor:
                paid = money(bill.amount_paid_minor, bill.currency)
                left = money(bill.balance_minor, bill.currency)
                st.markdown(
                    _("Paid {paid}, left to pay **{left}**", paid=escaped(paid), left=escaped(left))
                )
    if bill.payment_url and bill.balance_minor > 0 and bill.number is not None:
        st.link_button(_("Pay online"), bill.payment_url, icon=":material/credit_card:")
        st.image(qr_png(bill.payment_url), width=160, caption=_("Scan to pay"))
    if bill.void_reason:
        st.warning(_("Void: {void_reason}", void_reason=escaped(bill.void_reason)))


def lines_table(bill: Bill | RatedBill) -> str:
    """The lines as Markdown: three columns, so that a phone shows a name in one or two rows."""
    rows = [_("| Charge | Basis | Amount |"), "|:---|---:|---:|"]
    for (days, is_before), lines in groupby(bill.lines, key=lambda x: (x.part, x.billed_before)):
        # A tariff that changed within the bill, or bills that it settles: days above their lines.
        if days:
            heading = period(days.start, days.end)
            if is_before:
                heading = _("Less what was billed for {days}", days=heading)
            rows.append(f"| **{heading}** | | |")
        for line in lines:
            rows.append(_line_row(line, bill.currency))
            rows += [_slab_row(part, line.unit) for part in line.slabs if len(line.slabs) > 1]
    rows.append(_sum_row(_("**Total**"), bill.total_minor, bill.currency))
    if bill.tax_minor:
        rows.append(_sum_row(_(":gray[:small[of which taxes]]"), bill.tax_minor, bill.currency))
    rows += _tax_rows(bill)
    return "\n".join(rows)


def _tax_rows(bill: Bill | RatedBill) -> list[str]:
    """What each tax comes to at each rate, where it stands in several lines above."""
    taxes = taxes_by_rate(bill.lines)
    if len(taxes) == sum(line.tax for line in bill.lines):
        return []
    rows = []
    for tax in taxes:
        name = line_name(tax, language())
        if tax.is_before:
            name = _("{tax}, billed before", tax=name)
        basis = _percent(tax.rate, tax.base) if tax.rate and tax.is_percent else ""
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
        basis = _percent(line.rate, line.quantity)
    else:
        unit = Words(language(), currency).unit(line.unit, quantity=line.quantity)
        basis = f"{grouped(line.quantity)} {unit}"
        if line.rate is not None:
            basis += f" × {grouped(line.rate)}"
    name = escaped(line_name(line, language()))
    row = f"| {name} | :small[{escaped(basis)}] | {amount} |"
    if not line.note:
        return row
    note = escaped(line_note(line.note, language()))
    return f"{row}\n| &emsp;:gray[:small[{note}]] | | |"


def _percent(rate: str, base: str) -> str:
    return _("{percent}% of {base}", percent=grouped(rate), base=grouped(base))


def _slab_row(part: SlabPart, unit: str) -> str:
    first, last = grouped(part.from_kwh), part.to_kwh
    if last:
        end = _("{start} to {end} {unit}", start=first, end=grouped(last), unit=unit)
    else:
        end = _("above {start} {unit}", start=first, unit=unit)
    cells = (end, f"{grouped(part.quantity)} {unit} × {grouped(part.rate)}", grouped(part.amount))
    name, basis, amount = (f":gray[:small[{escaped(cell)}]]" for cell in cells)
    return f"| &emsp;{name} | {basis} | {amount} |"


def _sum_row(name: str, minor: int, currency: str) -> str:
    return f"| {name} | | **{escaped(money(minor, currency))}** |"
