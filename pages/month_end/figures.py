"""A month's books in figures: balances and entries, money by method, what was open at its end."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import streamlit as st

from pages.languages.words import Said, _
from pages.shared.format import counted, day, escaped, grouped, money
from pages.shared.money_format import METHOD_NAME
from pages.shared.session import services
from services.languages.sentence import N_
from services.quantities.money import MINUS
from services.records.ledger import Book, EntryKind
from services.records.month_end import AgedKey, AgedTotal, MonthBook, MonthEndReport

_PAGE_SIZE: Final = 10
_BOOKS: Final[Mapping[Book, str]] = Said(
    {"account": N_("Customers' accounts"), "deposit": N_("Deposits held")}
)
_KINDS: Final[Mapping[EntryKind, str]] = Said(
    {
        "bill": N_("Bills issued"),
        "bill_void": N_("Bills voided"),
        "payment": N_("Payments received"),
        "refund": N_("Payments refunded"),
        "reversal": N_("Payments reversed"),
        "dispute": N_("Payments disputed"),
        "payout": N_("Credit paid out"),
        "return_undone": N_("Returns that came back"),
        "credit": N_("Credits given"),
        "credit_undone": N_("Credits taken back"),
        "fee": N_("Fees charged"),
        "fee_undone": N_("Fees taken back"),
        "deposit_used": N_("Deposits used for bills"),
        "opening_balance": N_("Opening balances brought in"),
        "opening_balance_undone": N_("Opening balances taken back"),
    }
)


def show_books(books: MonthEndReport) -> None:
    """For each book and currency what the month opened and closed with, and what lies between."""
    if not books.books:
        st.info(_("Nothing was ever entered up to the end of this month."))
        return
    st.caption(_("Above 0 customers owe it; below 0 it is in their favour."))
    with st.grid("auto", min_column_width=320) as grid:
        for book in books.books:
            with grid.cell():
                _show_book(book)


def show_methods(books: MonthEndReport) -> None:
    """Money received and returned, by method."""
    if not books.methods:
        return
    with st.container(border=True):
        st.markdown(_("**Money by method**"))
        rows = [
            (
                f"{METHOD_NAME[m.method]}, {m.currency}",
                money(m.received_minor, m.currency),
                money(m.returned_minor, m.currency),
            )
            for m in books.methods
        ]
        st.markdown(table((_("Method"), _("Received"), _("Returned")), rows))


def show_receivables(month: date, books: MonthEndReport) -> None:
    """What was open at the month's end by days past due, and who owed the most of it."""
    key = f"receivables-after-{month}"
    found = services().books.receivables(
        month, after=st.session_state.get(key), page_size=_PAGE_SIZE
    )
    if found.permille is not None:
        st.info(
            _(
                "What was open at the end of this month is being worked out, {percent}% so far. "
                "It goes on without this page.",
                percent=found.permille // 10,
            ),
            icon=":material/hourglass_top:",
        )
        st.button(_("Look again"), icon=":material/refresh:", key=f"look-{month}")
        return
    if not found.totals:
        st.caption(_("Nothing was open at the end of this month."))
        return
    st.caption(
        _(
            "Past due as of {day}: bills due before that day, without those in a plan that is "
            "kept, those a bank is paying, and those whose money went back.",
            day=day(found.as_of),
        )
    )
    with st.grid("auto", min_column_width=320) as grid:
        for total in found.totals:
            with grid.cell():
                _show_total(total, books)
    rows = [
        (
            f"{c.account_no} {c.customer_name}",
            money(c.past_due_minor, c.currency),
            money(c.balance_minor, c.currency),
        )
        for c in found.customers
    ]
    with st.container(border=True):
        st.markdown(_("**Those with the most past due**"))
        st.markdown(table((_("Customer"), _("Past due"), _("Balance")), rows))
        _offer_pages(key, found.after)


def _offer_pages(key: str, after: AgedKey | None) -> None:
    first = key not in st.session_state
    if first and after is None:
        return
    with st.container(horizontal=True, horizontal_alignment="right"):
        if not first and st.button(
            _("First page"), icon=":material/first_page:", key=f"{key}-first"
        ):
            del st.session_state[key]
            st.rerun()
        if after and st.button(_("Next page"), icon=":material/chevron_right:", key=f"{key}-next"):
            st.session_state[key] = after
            st.rerun()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with words in its first column and figures in the others."""
    lines = [f"| {' | '.join(heads)} |", f"|:--|{'--:|' * (len(heads) - 1)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    # A narrow column must not part an amount from its sign.
    return escaped(text).replace(MINUS, f"{MINUS}\N{WORD JOINER}")


def _show_book(book: MonthBook) -> None:
    with st.container(border=True):
        st.markdown(f"**{_BOOKS[book.book]}, {escaped(book.currency)}**")
        entries = [
            (_KINDS[kind.kind], grouped(str(kind.number)), money(kind.amount_minor, book.currency))
            for kind in book.kinds
        ]
        first = (_("Opening balance"), "", money(book.opening_minor, book.currency))
        last = (_("Closing balance"), "", money(book.closing_minor, book.currency))
        st.markdown(table(("", _("Entries"), _("Sum")), [first, *entries, last]))


def _show_total(total: AgedTotal, books: MonthEndReport) -> None:
    with st.container(border=True):
        st.markdown(
            _(
                "**Open at the end of the month, {currency}** ({customers})",
                currency=escaped(total.currency),
                customers=counted(total.customers, "customer"),
            )
        )
        rows = [
            (_("Not due yet"), total.not_due_minor),
            (_("1 to 30 days past due"), total.late_30_minor),
            (_("31 to 60 days"), total.late_60_minor),
            (_("61 to 90 days"), total.late_90_minor),
            (_("Over 90 days"), total.later_minor),
            (_("Credit that paid nothing yet"), total.credit_minor),
            (_("Balance"), total.balance_minor),
        ]
        shown = [(label, money(minor, total.currency)) for label, minor in rows]
        st.markdown(table(("", _("Sum")), shown))
        closing = sum(
            b.closing_minor
            for b in books.books
            if (b.book, b.currency) == ("account", total.currency)
        )
        if closing != total.balance_minor:
            apart = money(closing - total.balance_minor, total.currency)
            st.error(
                _(
                    "The ledger has {amount} more than this. Check the ledger below.",
                    amount=escaped(apart),
                )
            )
