"""What a look at Stripe found, the looks before it, and the ledger added up again."""

from datetime import timedelta
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, ngettext, say
from pages.month_end.ledger_words import NOT_CHECKED_YET, ledger_in_words, when_checked
from pages.shared.components import description_list, status_badge
from pages.shared.format import Color, count, day, escaped, moment, money
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.quantities.money import Money
from services.records.month_end import BookBalance, LedgerCheck
from services.records.reconciliation import Difference, ReconciliationRun

KIND: Final[dict[str, tuple[str, Color]]] = {
    "only_there": (N_("Only at Stripe"), "red"),
    "only_here": (N_("Only here"), "red"),
    "amount": (N_("Amounts differ"), "red"),
    "refunds": (N_("Refunds differ"), "orange"),
}
_WHAT_TO_DO: Final = Said(
    {
        "only_there": N_("Bring it in; what did not come by a link of ours is entered by hand."),
        "only_here": N_(
            "Stripe does not have it: look for it there; it may be of another account."
        ),
        "amount": N_("Look at it at Stripe: the two must be the same."),
        "refunds": N_("Bring it in if Stripe has more; if we have more, look at it at Stripe."),
    }
)
_MOST = 50


def show_comparison(principal: Principal) -> None:
    """The newest comparison: where the two differ first, then what both have alike."""
    run = services().stripe.last_comparison(principal=principal)
    if run is None:
        st.caption(_("Nothing was compared yet."))
        return
    st.subheader(
        count(len(run.found), "difference") if run.found else _("No difference"), anchor=False
    )
    st.caption(
        _(
            "{span} · compared {moment} by {who}",
            span=_span(run),
            moment=moment(run.at, zone()),
            who=escaped(called(run.actor)),
        )
    )
    if run.detail:
        st.warning(escaped(say(run.detail)))
    with st.container(gap="xsmall"):
        for difference in run.found[:_MOST]:
            _show_difference(difference)
    if len(run.found) > _MOST:
        st.caption(
            ngettext(
                "And {count} more: choose fewer days to see them.",
                "And {count} more: choose fewer days to see them.",
                len(run.found) - _MOST,
            )
        )
    _show_equal(run)


def show_runs(principal: Principal) -> None:
    """The last looks at Stripe, the newest first."""
    found = services().stripe.recent_runs(principal=principal)
    if not found.runs:
        return
    st.subheader(_("Last looks at Stripe"), anchor=False)
    if found.newest_event_at is not None:
        st.caption(
            _("The newest event is of {moment}.", moment=moment(found.newest_event_at, zone()))
        )
    with st.container(gap="xsmall"):
        for run in found.runs:
            with st.container(border=True, gap="xxsmall"):
                st.markdown(
                    f"**{_title(run)}** · {moment(run.at, zone())} · {escaped(called(run.actor))}"
                )
                st.caption(_span(run))
                if run.error:
                    st.markdown(f":red[{escaped(say(run.error))}]")
                if run.detail:
                    st.caption(escaped(say(run.detail)))


def show_ledger(principal: Principal) -> None:
    """Whether every account, bill, payment and refund adds up, and what does not."""
    st.subheader(_("Ledger"), anchor=False)
    found = _ledger(principal)
    if found is None:
        st.info(_(NOT_CHECKED_YET), icon=":material/schedule:")
        return
    if not found.problems:
        st.success(ledger_in_words(found), icon=":material/verified:")
    else:
        st.error(_problems(found), icon=":material/error:")
        st.dataframe(
            [one.model_dump() for one in found.problems],
            column_config={"what": _("What"), "detail": _("Detail"), "subject": _("Subject")},
            hide_index=True,
        )
    if found.balances:
        description_list((_account(row), _balance_of(row)) for row in found.balances)


def _problems(found: LedgerCheck) -> str:
    if at := when_checked(found):
        return ngettext(
            "{count} problem as of {moment}: no month can be closed before they are understood.",
            "{count} problems as of {moment}: no month can be closed before they are understood.",
            len(found.problems),
            moment=at,
        )
    return ngettext(
        "{count} problem: no month can be closed before they are understood.",
        "{count} problems: no month can be closed before they are understood.",
        len(found.problems),
    )


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def _kept_ledger(_principal: Principal) -> LedgerCheck | None:
    # The underscore keeps who asks out of the cache's key.
    return services().books.check_ledger(principal=_principal)


def _ledger(principal: Principal) -> LedgerCheck | None:
    with st.spinner(_("Adding the ledger up…")):
        return _kept_ledger(principal)


def _account(row: BookBalance) -> str:
    if row.book == "deposit":
        return _("Deposits in {currency}", currency=row.currency)
    return _("Accounts in {currency}", currency=row.currency)


def _balance_of(row: BookBalance) -> str:
    minor = row.balance_minor
    amount = money(abs(minor), row.currency)
    if row.book == "deposit":
        return _("{amount} held", amount=amount)
    if minor >= 0:
        return _("{amount} owed to us", amount=amount)
    return _("{amount} in credit", amount=amount)


def _show_difference(one: Difference) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            known = [one.bill_reference or _("no bill")]
            if one.account_no:
                known.append(_("account {account_no}", account_no=one.account_no))
            st.markdown(f"**{escaped(' · '.join(known))}**")
            status_badge(one.kind, KIND)
        description_list(
            [
                (_("At Stripe"), _amount(one.there, one.there_refunded_minor)),
                (_("Here"), _amount(one.here, one.here_refunded_minor)),
                (_("When"), moment(one.at, zone())),
            ]
        )
        st.caption(f"{_WHAT_TO_DO[one.kind]}  \n:small[{escaped(one.payment_intent)}]")


def _amount(paid: Money | None, refunded_minor: int) -> str:
    if paid is None:
        return _("nothing")
    amount = money(paid.minor, paid.currency)
    if not refunded_minor:
        return amount
    returned = money(refunded_minor, paid.currency)
    return _("{amount}, {returned} went back", amount=amount, returned=returned)


def _show_equal(run: ReconciliationRun) -> None:
    if not run.equal:
        st.caption(_("No payment of these days is the same on both sides."))
        return
    with st.grid(3, min_column_width=150) as grid:
        for equal in run.equal:
            with grid.cell():
                st.metric(
                    ngettext("{count} payment the same", "{count} payments the same", equal.number),
                    money(equal.minor, equal.currency),
                )


def _title(run: ReconciliationRun) -> str:
    if run.error:
        return _("Stripe could not be read")
    if run.kind == "events":
        if not run.applied:
            return _("Events read, nothing missed")
        return ngettext(
            "Events read, {count} taken up", "Events read, {count} taken up", run.applied
        )
    differences = count(len(run.found), "difference") if run.found else _("no difference")
    if not run.applied:
        return _("Payments compared, {differences}", differences=differences)
    return ngettext(
        "Payments compared, {differences}, {count} taken up",
        "Payments compared, {differences}, {count} taken up",
        run.applied,
        differences=differences,
    )


def _span(run: ReconciliationRun) -> str:
    if run.kind == "events":
        since, until = (moment(at, zone()) for at in (run.since, run.until))
        return _("From {since} to {until}", since=since, until=until)
    # The end is the first moment after the last day.
    first, last = (at.astimezone(zone()) for at in (run.since, run.until - timedelta(seconds=1)))
    return _("Payments of {first} – {last}", first=day(first.date()), last=day(last.date()))
