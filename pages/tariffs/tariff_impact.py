"""A month's bills priced again under a version: the totals, who pays more, who less, as CSV too."""

from collections.abc import Sequence
from datetime import date, timedelta

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.shared.format import count, escaped, file_name, grouped, money, month
from pages.shared.session import services, today
from pages.tariffs import tariff_charts
from pages.tariffs.tariff_compare import change_in_words
from services.identity.auth import Principal
from services.quantities.period import first_of_month
from services.records.tariffs import TariffSummary
from services.tariff_publishing.bill_impact import BillImpact, ImpactedBill
from services.tariffs import Tariff

_MONTHS_BACK = 12


def show_replay(tariff: Tariff, principal: Principal, *, key: str) -> None:
    """What a month's issued bills would have been under `tariff`."""
    known = services().tariff_publishing.tariffs(principal=principal)
    others = [one for one in known if one.currency == tariff.currency]
    if not others:
        st.info(
            _(
                "No tariff in {currency} has been billed with yet.",
                currency=escaped(tariff.currency),
            )
        )
        return
    chosen, in_month = _ask(others, tariff.code, key)
    found = services().tariff_publishing.impact(
        tariff=tariff, of=chosen, month=in_month, principal=principal
    )
    for why, bills in found.left_out.items():
        st.warning(
            ngettext(
                "{count} bill left out: this version needs more than was kept of it. {why}",
                "{count} bills left out: this version needs more than was kept of them. {why}",
                bills,
                why=escaped(say(why)),
            ),
            icon=":material/calculate:",
        )
    if found.replayed:
        _show(found, name=f"{tariff.code}-{in_month:%Y-%m}.csv", key=key)
    elif not found.left_out:
        st.info(
            _(
                "No bill of {tariff} was issued for {month}.",
                tariff=escaped(chosen.code),
                month=month(in_month),
            )
        )


def _ask(others: Sequence[TariffSummary], code: str, key: str) -> tuple[TariffSummary, date]:
    months = [first_of_month(first_of_month(today()) - timedelta(days=1))]
    while len(months) < _MONTHS_BACK:
        months.append(first_of_month(months[-1] - timedelta(days=1)))
    own = next((index for index, one in enumerate(others) if one.code == code), 0)
    with st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            in_month = st.selectbox(
                _("Bills of"),
                months,
                format_func=month,
                key=f"{key}-month",
                help=_("The month that a bill is for: its period ends in it, or on the 1st after."),
            )
        with grid.cell():
            chosen = st.selectbox(
                _("Customers on"),
                others,
                index=own,
                format_func=lambda one: one.code,
                key=f"{key}-tariff",
            )
    return chosen, in_month


def _show(found: BillImpact, *, name: str, key: str) -> None:
    currency, bills = found.tariff.currency, len(found.replayed)
    same = bills - found.lose - found.gain
    change = change_in_words(found.before_minor, found.after_minor, currency)
    with st.grid(4, min_column_width=130):
        st.metric(_("Billed"), money(found.before_minor, currency))
        st.metric(_("Under this version"), money(found.after_minor, currency))
        st.metric(_("Pay more"), grouped(str(found.lose)))
        st.metric(_("Pay less"), grouped(str(found.gain)))
    together = _(
        "{bills}, together **{change}**.", bills=count(bills, "bill"), change=escaped(change)
    )
    stay = (
        ngettext("{count} would stay the same.", "{count} would stay the same.", same)
        if same
        else _("None would stay the same.")
    )
    st.markdown(f"{together} {stay}")
    if same < bills:
        with st.container(border=True):
            st.markdown(_("**By how much a bill changes**"))
            tariff_charts.distribution(found.distribution(), currency=currency)
    for title, ones in (
        (_("Pay most more"), found.losers()),
        (_("Pay most less"), found.gainers()),
    ):
        if ones:
            with st.container(border=True):
                st.markdown(f"**{title}**")
                st.markdown(_table(ones, currency), width="stretch")
    st.download_button(
        _("Download all as CSV"),
        found.csv,
        file_name=file_name(name),
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"{key}-csv",
    )


def _table(ones: Sequence[ImpactedBill], currency: str) -> str:
    rows = [_("| Account, meter | Before → after | Change |"), "|:---|---:|---:|"]
    for one in ones:
        before, after = one.bill.total_minor, one.after_minor
        cells = [
            f"{escaped(one.bill.account_no)} :gray[:small[{escaped(one.bill.meter_serial)}]]",
            f"{escaped(money(before, currency))} → {escaped(money(after, currency))}",
            escaped(change_in_words(before, after, currency)),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
