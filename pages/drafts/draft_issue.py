"""Issuing the chosen drafts together: a confirmation, the progress of it, and what came of it."""

from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.drafts.draft_cards import forget_choice
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
    label = f"Issue {count(number, 'bill')} together"
    with st.popover(label, icon=":material/send:", type="primary", disabled=number == 0):
        for sums in totals.totals:
            total = escaped(money(sums.total_minor, sums.currency))
            st.markdown(f"{count(sums.number, 'bill')}, **{total}**")
        st.markdown(
            "Each gets its number and its due date, and its customer is notified. An issued bill "
            "cannot be changed afterwards. It is done in the background; you may leave this page."
        )
        # The mark of the totals that stand here, not of those at the press.
        st.button(
            "Yes, issue them",
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
        st.caption(f"{_in_words(run)} By {escaped(called(run.started_by))}, {at}.")
    return False


def _press(pressed: _Pressed) -> None:
    st.session_state[_PRESSED] = pressed


def _begin(pressed: _Pressed, principal: Principal) -> None:
    try:
        run = services().bill_approval.issue_together(
            choice=pressed.choice, mark=pressed.mark, principal=principal
        )
    except DraftsChanged as error:
        st.session_state[_REFUSED] = (
            f"{escaped(error)} Nothing was issued. Look at the drafts as they are now, then press "
            "again."
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
        done = f"{run.reached:,} of {count(run.number, 'draft')}"
        st.progress(run.reached / run.number, text=f"Bills are being issued: {done}")


def _say_what_came_of(run: IssueRun) -> None:
    if run.issued == run.number:
        st.success(_in_words(run), icon=":material/check_circle:")
    else:
        st.warning(_in_words(run), icon=":material/sync_problem:")


def _in_words(run: IssueRun) -> str:
    if run.first_number is None or run.last_number is None:
        said = "Nothing was issued"
    else:
        first, last = invoice_reference(run.first_number), invoice_reference(run.last_number)
        numbers = first if first == last else f"{first} to {last}"
        said = f"{count(run.issued, 'bill is', 'bills are')} issued: {numbers}"
    left = run.number - run.issued
    if not left:
        return f"{said}."
    why = run.refusal or "Somebody issued or sent back the others meanwhile."
    return f"{said}, of {count(run.number, 'draft')}. {escaped(why)}"
