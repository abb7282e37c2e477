"""What issuing the chosen drafts would bill, by currency, beside what was issued before."""

from collections.abc import Iterable
from datetime import date, timedelta

import streamlit as st

from pages.languages.words import _, language
from pages.shared.components import description_list
from pages.shared.format import count, escaped, kwh, money, month
from services.quantities.money import MINUS
from services.quantities.period import first_of_month
from services.records.drafts import DraftTotals, IssuedSums, Sums


def months_to_compare(of: date | None) -> list[date]:
    """The month itself, the one before, and the same of the year before; none without a month."""
    if of is None:
        return []
    return [of, first_of_month(of - timedelta(days=1)), of.replace(year=of.year - 1)]


def show_totals(totals: DraftTotals, of: date | None, *, whole: bool) -> None:
    """A card for each currency; nothing is ever added across currencies.

    Only when they are the `whole` month is it said how much more or less they are.
    """
    for sums in totals.totals:
        with st.container(border=True, gap="small"):
            st.markdown(
                _(
                    "**{drafts} in {currency}**",
                    drafts=count(sums.number, "draft"),
                    currency=escaped(sums.currency),
                )
            )
            _show_sums(sums)
            if of is not None:
                past = [i for i in totals.issued if i.currency == sums.currency]
                _compare(sums, past, of, whole=whole)
    if totals.totals and of is None:
        st.caption(_("Choose a month to see what was issued for it and for the months before."))


def change(now_minor: int, then_minor: int) -> str:
    """How much more or less, in percent of what it was: +2.1 %; nothing where it was nothing."""
    if then_minor <= 0:
        return ""
    permille = round((now_minor - then_minor) * 1000 / then_minor)
    return f"{'+' if permille >= 0 else MINUS}{abs(permille) // 10}.{abs(permille) % 10} %"


def _show_sums(sums: Sums) -> None:
    description_list(
        [
            (_("Energy"), kwh(sums.consumption_wh)),
            (_("Subtotal"), money(sums.subtotal_minor, sums.currency)),
            (_("Tax"), money(sums.tax_minor, sums.currency)),
            (_("Total"), money(sums.total_minor, sums.currency)),
            (_("Outliers"), language().write(sums.outliers)),
        ],
        least_width=120,
    )


def _compare(sums: Sums, issued: Iterable[IssuedSums], of: date, *, whole: bool) -> None:
    """A line for each month that something was issued for."""
    for past in sorted(issued, key=lambda i: i.month, reverse=True):
        total = money(past.total_minor, past.currency)
        said = f"{count(past.number, 'bill')}, {kwh(past.consumption_wh)}, {total}"
        if past.month == of:
            st.caption(
                _(
                    "Issued for {month} already: {said}.",
                    month=month(past.month),
                    said=escaped(said),
                )
            )
            continue
        apart = change(sums.total_minor, past.total_minor) if whole else ""
        where = {"month": month(past.month), "said": escaped(said)}
        st.caption(
            _("Issued for {month}: {said}. These drafts: {apart}.", **where, apart=escaped(apart))
            if apart
            else _("Issued for {month}: {said}.", **where)
        )
