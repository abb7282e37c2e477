"""A month's books in figures: balances and entries, money by method, what was open at its end."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import streamlit as st

from pages.shared.format import counted, day, escaped, money
from pages.shared.money_format import METHOD_NAME
from pages.shared.session import services
from services.quantities.money import MINUS
from services.records.ledger import Book, EntryKind
from services.records.month_end import AgedKey, AgedTotal, MonthBook, MonthEndReport

_PAGE_SIZE: Final = 10
_BOOKS: Final[dict[Book, str]] = {"account": "Customers' accounts", "deposit": "Deposits held"}
_KINDS: Final[dict[EntryKind, str]] = {
    "bill": "Bills issued",
    "bill_void": "Bills voided",
    "payment": "Payments received",
    "refund": "Payments refunded",
    "reversal": "Payments reversed",
    "dispute": "Payments disputed",
    "payout": "Credit paid out",
    "return_undone": "Returns that came back",
    "credit": "Credits given",
    "credit_undone": "Credits taken back",
    "fee": "Fees charged",
    "fee_undone": "Fees taken back",
    "deposit_used": "Deposits used for bills",
    "opening_balance": "Opening balances brought in",
    "opening_balance_undone": "Opening balances taken back",
}


def show_books(books: MonthEndReport) -> None:
    """For each book and currency what the month opened and closed with, and what lies between."""
    if not books.books:
        st.info("Nothing was ever entered up to the end of this month.")
        return
    st.caption("Above 0 customers owe it; below 0 it is in their favour.")
    with st.grid("auto", min_column_width=320) as grid:
        for book in books.books:
            with grid.cell():
                _show_book(book)


def show_methods(books: MonthEndReport) -> None:
    """Money received and returned, by method."""
    if not books.methods:
        return
    with st.container(border=True):
        st.markdown("**Money by method**")
        rows = [
            (
                f"{METHOD_NAME[m.method]}, {m.currency}",
                money(m.received_minor, m.currency),
                money(m.returned_minor, m.currency),
            )
            for m in books.methods
        ]
        st.markdown(table(("Method", "Received", "Returned"), rows))


def show_receivables(month: date, books: MonthEndReport) -> None:
    """What was open at the month's end by days past due, and who owed the most of it."""
    key = f"receivables-after-{month}"
    found = services().books.receivables(
        month, after=st.session_state.get(key), page_size=_PAGE_SIZE
    )
    if found.permille is not None:
        st.info(
            "What was open at the end of this month is being worked out, "
            f"{found.permille // 10}% so far. It goes on without this page.",
            icon=":material/hourglass_top:",
        )
        st.button("Look again", icon=":material/refresh:", key=f"look-{month}")
        return
    if not found.totals:
        st.caption("Nothing was open at the end of this month.")
        return
    st.caption(
        f"Past due as of {day(found.as_of)}: bills due before that day, without those "
        "in a plan that is kept, those a bank is paying, and those whose money went back."
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
        st.markdown("**Those with the most past due**")
        st.markdown(table(("Customer", "Past due", "Balance"), rows))
        _offer_pages(key, found.after)


def _offer_pages(key: str, after: AgedKey | None) -> None:
    first = key not in st.session_state
    if first and after is None:
        return
    with st.container(horizontal=True, horizontal_alignment="right"):
        if not first and st.button("First page", icon=":material/first_page:", key=f"{key}-first"):
            del st.session_state[key]
            st.rerun()
        if after and st.button("Next page", icon=":material/chevron_right:", key=f"{key}-next"):
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
            (_KINDS[kind.kind], f"{kind.number:,}", money(kind.amount_minor, book.currency))
            for kind in book.kinds
        ]
        first = ("Opening balance", "", money(book.opening_minor, book.currency))
        last = ("Closing balance", "", money(book.closing_minor, book.currency))
        st.markdown(table(("", "Entries", "Sum"), [first, *entries, last]))


def _show_total(total: AgedTotal, books: MonthEndReport) -> None:
    with st.container(border=True):
        of = counted(total.customers, "customer")
        st.markdown(f"**Open at the end of the month, {escaped(total.currency)}** ({of})")
        rows = [
            ("Not due yet", total.not_due_minor),
            ("1 to 30 days past due", total.late_30_minor),
            ("31 to 60 days", total.late_60_minor),
            ("61 to 90 days", total.late_90_minor),
            ("Over 90 days", total.later_minor),
            ("Credit that paid nothing yet", total.credit_minor),
            ("Balance", total.balance_minor),
        ]
        shown = [(label, money(minor, total.currency)) for label, minor in rows]
        st.markdown(table(("", "Sum"), shown))
        closing = sum(
            b.closing_minor
            for b in books.books
            if (b.book, b.currency) == ("account", total.currency)
        )
        if closing != total.balance_minor:
            apart = money(closing - total.balance_minor, total.currency)
            st.error(f"The ledger has {escaped(apart)} more than this. Check the ledger below.")
