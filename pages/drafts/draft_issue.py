"""Issuing the chosen drafts together: a confirmation, the progress of it, and what came of it."""

from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.drafts.draft_cards import forget_choice
from pages.languages.words import _, ngettext, say
from pages.shared.format import count, escaped, moment, money
from pages.shared.session import (
    called,
    error_boundary,
    require_permission,
    scheduler,
    services,
    zone,
)
from services.billing.approval import DraftsChanged
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.bills import invoice_reference
from services.records.drafts import DraftChoice, DraftTotals, IssueRun

_PRESSED: Final = "drafts-pressed"
_REFUSED: Final = "drafts-refused"
# The run that this visitor began, whose end they are shown.
_BEGUN: Final = "drafts-begun"


@dataclass(frozen=True, slots=True)
class _Pressed:
    """What was shown when somebody pressed the button."""

    choice: DraftChoice
    mark: str


def offer_issue(choice: DraftChoice, totals: DraftTotals) -> None:
    """A button behind a confirmation that says what will be billed."""
    number = totals.number
    label = ngettext("Issue {count} bill together", "Issue {count} bills together", number)
    with st.popover(label, icon=":material/send:", type="primary", disabled=number == 0):
        for sums in totals.totals:
            total = escaped(money(sums.total_minor, sums.currency))
            st.markdown(f"{count(sums.number, 'bill')}, **{total}**")
        st.markdown(
            _(
                "Each gets its number and its due date, and its customer is notified. An issued "
                "bill cannot be changed afterwards. It is done in the background; you may leave "
                "this page."
            )
        )
        # The mark of the totals that stand here, not of those at the press.
        st.button(
            _("Yes, issue them"),
            type="primary",
            key="issue-together",
            on_click=_press,
            args=(_Pressed(choice, totals.mark),),
        )


def issue_if_pressed(principal: Principal) -> bool:
    """Begin what was confirmed, and show how it or the last one stands; whether one is under way.

    While one is, no other is to be offered.
    """
    pressed: _Pressed | None = st.session_state.pop(_PRESSED, None)
    if pressed is not None:
        _begin(pressed, principal)
        st.rerun()
    refused: str = st.session_state.pop(_REFUSED, "")
    if refused:
        st.warning(refused, icon=":material/sync_problem:")
    run = services().bill_approval.last_issue_run(principal=principal)
    if run is None:
        return False
    if run.status == "running":
        st.fragment(_show_progress, run_every=2)(run.id)
        return True
    if st.session_state.pop(_BEGUN, None) == run.id:
        _say_what_came_of(run)
    else:
        at = moment(run.finished_at or run.started_at, zone())
        st.caption(
            _(
                "{result} By {user}, {at}.",
                result=_in_words(run),
                user=escaped(called(run.started_by)),
                at=at,
            )
        )
    return False


def _press(pressed: _Pressed) -> None:
    st.session_state[_PRESSED] = pressed


def _begin(pressed: _Pressed, principal: Principal) -> None:
    try:
        run = services().bill_approval.issue_together(
            choice=pressed.choice, mark=pressed.mark, principal=principal
        )
    except DraftsChanged as error:
        st.session_state[_REFUSED] = _(
            "{error} Nothing was issued. Look at the drafts as they are now, then press again.",
            error=escaped(say(error)),
        )
        return
    forget_choice()
    st.session_state[_BEGUN] = run.id
    scheduler().issue_soon()


def _show_progress(run_id: str) -> None:
    """Drawn again while the run goes on; asks itself who looks, as a page does."""
    with error_boundary():
        principal = require_permission(Permission.VIEW_BILLS)
        run = services().bill_approval.last_issue_run(principal=principal)
        if run is None or run.id != run_id or run.status != "running":
            # Draw the page once more, without the clock.
            st.rerun()
        text = ngettext(
            "Bills are being issued: {reached} of {count} draft",
            "Bills are being issued: {reached} of {count} drafts",
            run.number,
            reached=run.reached,
        )
        st.progress(run.reached / run.number, text=text)


def _say_what_came_of(run: IssueRun) -> None:
    if run.issued == run.number:
        st.success(_in_words(run), icon=":material/check_circle:")
    else:
        st.warning(_in_words(run), icon=":material/sync_problem:")


def _in_words(run: IssueRun) -> str:
    of, why = count(run.number, "draft"), run.refusal
    why = escaped(say(why)) if why else _("Somebody issued or sent back the others meanwhile.")
    if run.first_number is None or run.last_number is None:
        if not run.number:
            return _("Nothing was issued.")
        return _("Nothing was issued, of {drafts}. {why}", drafts=of, why=why)
    first, last = invoice_reference(run.first_number), invoice_reference(run.last_number)
    numbers = first if first == last else _("{first} to {last}", first=first, last=last)
    if run.issued == run.number:
        return ngettext(
            "{count} bill is issued: {numbers}.",
            "{count} bills are issued: {numbers}.",
            run.issued,
            numbers=numbers,
        )
    return ngettext(
        "{count} bill is issued: {numbers}, of {drafts}. {why}",
        "{count} bills are issued: {numbers}, of {drafts}. {why}",
        run.issued,
        numbers=numbers,
        drafts=of,
        why=why,
    )
