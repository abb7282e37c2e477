"""Closing a month: whether it is closed and by whom, what closing means, and the ledger's check."""

from datetime import date

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.month_end.ledger_words import NOT_CHECKED_YET, ledger_in_words, when_checked
from pages.shared.format import day, escaped, moment, month
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
        st.success(f"{_closed(of, closing)} {_dated(books)}", icon=":material/lock:")
    elif next_month(of) > today():
        st.info(_("This month is not over: its figures still grow."), icon=":material/schedule:")
    else:
        st.info(
            _("This month is open: entries can still be dated in it."), icon=":material/lock_open:"
        )


def offer_closing(of: date, books: MonthEndReport, principal: Principal) -> None:
    """A button behind a confirmation that says what closing means; nothing for a closed month."""
    may_close = may(Permission.CLOSE_BOOKS)
    if not may_close or books.is_closed(of) or next_month(of) > today():
        return
    drafts = services().books.open_drafts(of)
    label = _("Close {month}", month=month(of))
    with st.popover(label, icon=":material/lock:", type="primary"):
        st.markdown(
            _(
                "The books of **{month}** and of every month before it are closed for good. "
                "What is entered for them later is dated {day} or after.",
                month=month(of),
                day=day(next_month(of)),
            )
        )
        if drafts:
            waiting = ngettext(
                "{count} draft for {month} is not issued yet.",
                "{count} drafts for {month} are not issued yet.",
                drafts,
                month=month(of),
            )
            books_of = _("They go into the books of the month in which they are issued.")
            st.warning(f"{waiting} {books_of}", icon=":material/draft:")
        if st.button(_("Yes, close it"), type="primary", key="close-month"):
            _close(of, principal)


def offer_check(principal: Principal) -> None:
    """Adding the whole ledger up again, and what is wrong with it if anything is."""
    if not st.button(_("Check the ledger"), icon=":material/rule:"):
        return
    found = services().books.check_ledger(principal=principal)
    if found is None:
        st.info(_(NOT_CHECKED_YET), icon=":material/schedule:")
        return
    if not found.problems:
        st.success(ledger_in_words(found), icon=":material/check_circle:")
        return
    at, until = when_checked(found), _("No month can be closed until it does.")
    not_so = (
        _("The ledger does not add up as of {moment}.", moment=at)
        if at
        else _("The ledger does not add up.")
    )
    st.error(f"{not_so} {until}")
    for problem in found.problems[:_MOST_PROBLEMS]:
        st.markdown(f"- {escaped(problem.what)}: {escaped(problem.detail)}")


def show_closings(closings: list[MonthClosing]) -> None:
    """Which months were closed, by whom and when."""
    if not closings:
        return
    with st.expander(_("Closed months"), icon=":material/history:"):
        for closing in closings:
            st.markdown(
                f"**{month(closing.month)}** · {escaped(closing.closed_by)}, "
                f"{moment(closing.closed_at, zone())}"
            )


def _closed(of: date, closing: MonthClosing) -> str:
    who, at = escaped(closing.closed_by), moment(closing.closed_at, zone())
    if closing.month == of:
        return _("Closed by {who} on {moment}.", who=who, moment=at)
    return _(
        "Closed with {month} by {who} on {moment}.", month=month(closing.month), who=who, moment=at
    )


def _dated(books: MonthEndReport) -> str:
    return _(
        "What is entered for it now is dated {day}, in the first month that is open.",
        day=books.open_from,
    )


def _close(of: date, principal: Principal) -> None:
    try:
        services().books.close(month=of, principal=principal, now=now())
    except IllegalChange as error:
        nothing = _("Nothing was closed.")
        st.error(f"{escaped(say(error))} {nothing}", icon=":material/lock_open:")
        return
    st.toast(_("{month} is closed.", month=month(of)), icon=":material/lock:")
    st.rerun()
