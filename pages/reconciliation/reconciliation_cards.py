"""What a look at Stripe found, the looks before it, and the ledger added up again."""

from datetime import timedelta
from typing import Final

import streamlit as st

from pages.month_end.ledger_words import NOT_CHECKED_YET, ledger_in_words, when_checked
from pages.shared.components import description_list, status_badge
from pages.shared.format import Color, count, day, escaped, moment, money
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.quantities.money import Money
from services.records.month_end import BookBalance, LedgerCheck
from services.records.reconciliation import Difference, ReconciliationRun

KIND: Final[dict[str, tuple[str, Color]]] = {
    "only_there": ("Only at Stripe", "red"),
    "only_here": ("Only here", "red"),
    "amount": ("Amounts differ", "red"),
    "refunds": ("Refunds differ", "orange"),
}
_WHAT_TO_DO: Final = {
    "only_there": "Bring it in; what did not come by a link of ours is entered by hand.",
    "only_here": "Stripe does not have it: look for it there; it may be of another account.",
    "amount": "Look at it at Stripe: the two must be the same.",
    "refunds": "Bring it in if Stripe has more; if we have more, look at it at Stripe.",
}
_MOST = 50


def show_comparison(principal: Principal) -> None:
    """The newest comparison: where the two differ first, then what both have alike."""
    run = services().stripe.last_comparison(principal=principal)
    if run is None:
        st.caption("Nothing was compared yet.")
        return
    st.subheader(
        count(len(run.found), "difference") if run.found else "No difference", anchor=False
    )
    st.caption(f"{_span(run)} · compared {moment(run.at, zone())} by {escaped(called(run.actor))}")
    if run.detail:
        st.warning(escaped(run.detail))
    with st.container(gap="xsmall"):
        for difference in run.found[:_MOST]:
            _show_difference(difference)
    if len(run.found) > _MOST:
        st.caption(f"And {len(run.found) - _MOST} more: choose fewer days to see them.")
    _show_equal(run)


def show_runs(principal: Principal) -> None:
    """The last looks at Stripe, the newest first."""
    found = services().stripe.recent_runs(principal=principal)
    if not found.runs:
        return
    st.subheader("Last looks at Stripe", anchor=False)
    if found.newest_event_at is not None:
        st.caption(f"The newest event is of {moment(found.newest_event_at, zone())}.")
    with st.container(gap="xsmall"):
        for run in found.runs:
            with st.container(border=True, gap="xxsmall"):
                st.markdown(
                    f"**{_title(run)}** · {moment(run.at, zone())} · {escaped(called(run.actor))}"
                )
                st.caption(_span(run))
                if run.error:
                    st.markdown(f":red[{escaped(run.error)}]")
                if run.detail:
                    st.caption(escaped(run.detail))


def show_ledger(principal: Principal) -> None:
    """Whether every account, bill, payment and refund adds up, and what does not."""
    st.subheader("Ledger", anchor=False)
    found = _ledger(principal)
    if found is None:
        st.info(NOT_CHECKED_YET, icon=":material/schedule:")
        return
    if not found.problems:
        st.success(ledger_in_words(found), icon=":material/verified:")
    else:
        st.error(
            f"{count(len(found.problems), 'problem')}{when_checked(found)}: no month can be closed "
            "before they are understood.",
            icon=":material/error:",
        )
        st.dataframe([one.model_dump() for one in found.problems], hide_index=True)
    if found.balances:
        description_list((_account(row), _balance_of(row)) for row in found.balances)


@st.cache_data(ttl=60, max_entries=1, show_spinner="Adding the ledger up…")
def _ledger(_principal: Principal) -> LedgerCheck | None:
    # The underscore keeps who asks out of the cache's key.
    return services().books.check_ledger(principal=_principal)


def _account(row: BookBalance) -> str:
    name = "Deposits" if row.book == "deposit" else "Accounts"
    return f"{name} in {row.currency}"


def _balance_of(row: BookBalance) -> str:
    minor = row.balance_minor
    amount = money(abs(minor), row.currency)
    if row.book == "deposit":
        return f"{amount} held"
    return f"{amount} {'owed to us' if minor >= 0 else 'in credit'}"


def _show_difference(one: Difference) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            known = [one.bill_reference or "no bill"]
            known += [f"account {one.account_no}"] if one.account_no else []
            st.markdown(f"**{escaped(' · '.join(known))}**")
            status_badge(one.kind, KIND)
        description_list(
            [
                ("At Stripe", _amount(one.there, one.there_refunded_minor)),
                ("Here", _amount(one.here, one.here_refunded_minor)),
                ("When", moment(one.at, zone())),
            ]
        )
        st.caption(f"{_WHAT_TO_DO[one.kind]}  \n:small[{escaped(one.payment_intent)}]")


def _amount(paid: Money | None, refunded_minor: int) -> str:
    if paid is None:
        return "nothing"
    back = f", {money(refunded_minor, paid.currency)} went back" if refunded_minor else ""
    return f"{paid.display()}{back}"


def _show_equal(run: ReconciliationRun) -> None:
    if not run.equal:
        st.caption("No payment of these days is the same on both sides.")
        return
    with st.grid(3, min_column_width=150) as grid:
        for equal in run.equal:
            with grid.cell():
                st.metric(
                    f"{count(equal.number, 'payment')} the same",
                    money(equal.minor, equal.currency),
                )


def _title(run: ReconciliationRun) -> str:
    if run.error:
        return "Stripe could not be read"
    taken = f"{run.applied} taken up" if run.applied else "nothing missed"
    if run.kind == "events":
        return f"Events read, {taken}"
    what = count(len(run.found), "difference") if run.found else "no difference"
    return f"Payments compared, {what}" + (f", {taken}" if run.applied else "")


def _span(run: ReconciliationRun) -> str:
    if run.kind == "events":
        return f"From {moment(run.since, zone())} to {moment(run.until, zone())}"
    # The end is the first moment after the last day.
    first, last = (at.astimezone(zone()) for at in (run.since, run.until - timedelta(seconds=1)))
    return f"Payments of {day(first.date())} – {day(last.date())}"
