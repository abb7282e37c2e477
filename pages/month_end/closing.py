"""Closing a month: whether it is closed and by whom, what closing means, and the ledger's check."""

from datetime import date

import streamlit as st

from pages.month_end.ledger_words import NOT_CHECKED_YET, ledger_in_words, when_checked
from pages.shared.format import count, day, escaped, moment, month
from pages.shared.session import may, now, services, today, zone
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.quantities.period import next_month
from services.records.month_end import MonthClosing, MonthEndReport

_MOST_PROBLEMS = 20


def show_state(of: date, books: MonthEndReport, closings: list[MonthClosing]) -> None:
    """Whether entries can still be dated in the month."""
    if books.is_closed(of):
        closing = books.closing or min((c for c in closings if c.month > of), key=lambda c: c.month)
        with_later = "" if closing.month == of else f" with {month(closing.month)}"
        st.success(
            f"Closed{with_later} by {escaped(closing.closed_by)} on "
            f"{moment(closing.closed_at, zone())}. What is entered for it now is dated "
            f"{_open_from(books)}, in the first month that is open.",
            icon=":material/lock:",
        )
    elif next_month(of) > today():
        st.info("This month is not over: its figures still grow.", icon=":material/schedule:")
    else:
        st.info(
            "This month is open: entries can still be dated in it.", icon=":material/lock_open:"
        )


def offer_closing(of: date, books: MonthEndReport, principal: Principal) -> None:
    """A button behind a confirmation that says what closing means; nothing for a closed month."""
    may_close = may(Permission.CLOSE_BOOKS)
    if not may_close or books.is_closed(of) or next_month(of) > today():
        return
    drafts = services().books.open_drafts(of)
    with st.popover(f"Close {month(of)}", icon=":material/lock:", type="primary"):
        st.markdown(
            f"The books of **{month(of)}** and of every month before it are closed for good. "
            f"What is entered for them later is dated {day(next_month(of))} or after."
        )
        if drafts:
            st.warning(
                f"{count(drafts, 'draft')} for {month(of)} {'is' if drafts == 1 else 'are'} not "
                "issued yet. They go into the books of the month in which they are issued.",
                icon=":material/draft:",
            )
        if st.button("Yes, close it", type="primary", key="close-month"):
            _close(of, principal)


def offer_check(principal: Principal) -> None:
    """Adding the whole ledger up again, and what is wrong with it if anything is."""
    if not st.button("Check the ledger", icon=":material/rule:"):
        return
    found = services().books.check_ledger(principal=principal)
    if found is None:
        st.info(NOT_CHECKED_YET, icon=":material/schedule:")
        return
    if not found.problems:
        st.success(ledger_in_words(found), icon=":material/check_circle:")
        return
    st.error(
        f"The ledger does not add up{when_checked(found)}. No month can be closed until it does."
    )
    for problem in found.problems[:_MOST_PROBLEMS]:
        st.markdown(f"- {escaped(problem.what)}: {escaped(problem.detail)}")


def show_closings(closings: list[MonthClosing]) -> None:
    """Which months were closed, by whom and when."""
    if not closings:
        return
    with st.expander("Closed months", icon=":material/history:"):
        for closing in closings:
            st.markdown(
                f"**{month(closing.month)}** · {escaped(closing.closed_by)}, "
                f"{moment(closing.closed_at, zone())}"
            )


def _open_from(books: MonthEndReport) -> str:
    return day(books.open_from) if books.open_from else "as it is"


def _close(of: date, principal: Principal) -> None:
    try:
        services().books.close(month=of, principal=principal, now=now())
    except IllegalChange as error:
        st.error(f"{escaped(error)} Nothing was closed.", icon=":material/lock_open:")
        return
    st.toast(f"{month(of)} is closed.", icon=":material/lock:")
    st.rerun()
