"""Issuing the chosen drafts together: a confirmation, progress, and what came of it."""

from dataclasses import dataclass
from typing import Final, Literal

import streamlit as st

from pages.drafts.draft_cards import forget_choice
from pages.shared.format import count, escaped, money
from pages.shared.session import now, services
from services.billing.approval import DraftsChanged, IssuedTogether
from services.identity.auth import Principal
from services.records.bills import invoice_reference
from services.records.drafts import DraftChoice, DraftTotals

_PRESSED: Final = "drafts-pressed"
_CAME_OF_IT: Final = "drafts-came-of-it"


@dataclass(frozen=True, slots=True)
class _Pressed:
    """What was shown when somebody pressed the button."""

    choice: DraftChoice
    mark: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    kind: Literal["success", "warning"]
    said: str


def offer_issue(choice: DraftChoice, totals: DraftTotals) -> None:
    """A button behind a confirmation that says what will be billed."""
    number = totals.number
    label = f"Issue {count(number, 'bill')} together"
    with st.popover(label, icon=":material/send:", type="primary", disabled=number == 0):
        for sums in totals.totals:
            total = escaped(money(sums.total_minor, sums.currency))
            st.markdown(f"{count(sums.number, 'bill')}, **{total}**")
        st.markdown(
            "Each gets its number and its due date, and its customer is told. An issued bill "
            "cannot be changed afterwards."
        )
        # The mark of the totals that stand here, not of those at the press.
        st.button(
            "Yes, issue them",
            type="primary",
            key="issue-together",
            on_click=_press,
            args=(_Pressed(choice, totals.mark),),
        )


def issue_if_pressed(principal: Principal) -> None:
    """Issue what was confirmed, with its progress; and say what came of the last time."""
    pressed: _Pressed | None = st.session_state.pop(_PRESSED, None)
    if pressed is not None:
        st.session_state[_CAME_OF_IT] = _issue(pressed, principal)
        st.rerun()
    outcome: _Outcome | None = st.session_state.pop(_CAME_OF_IT, None)
    if outcome is not None and outcome.kind == "success":
        st.success(outcome.said, icon=":material/check_circle:")
    elif outcome is not None:
        st.warning(outcome.said, icon=":material/sync_problem:")


def _press(pressed: _Pressed) -> None:
    st.session_state[_PRESSED] = pressed


def _issue(pressed: _Pressed, principal: Principal) -> _Outcome:
    bar = st.progress(0.0, text="Issuing the bills. Stay on this page.")
    try:
        issued = services().bill_approval.issue_together(
            choice=pressed.choice,
            mark=pressed.mark,
            principal=principal,
            now=now(),
            progress=lambda done, of: _show_progress(bar, done, of),
        )
    except DraftsChanged as error:
        return _Outcome(
            "warning",
            f"{escaped(error)} Nothing was issued. Look at the drafts as they are now, then press "
            "again.",
        )
    if not issued.stopped:
        forget_choice()
    return _in_words(issued)


def _show_progress(bar: st.delta_generator.DeltaGenerator, done: int, of: int) -> None:
    bar.progress(done / of, text=f"{done:,} of {count(of, 'bill')} issued. Stay on this page.")


def _in_words(issued: IssuedTogether) -> _Outcome:
    if issued.first_number is None or issued.last_number is None:
        return _Outcome("warning", "Nothing was chosen, and nothing was issued.")
    first, last = invoice_reference(issued.first_number), invoice_reference(issued.last_number)
    numbers = first if first == last else f"{first} to {last}"
    if not issued.stopped:
        verb = "is" if issued.number == 1 else "are"
        return _Outcome("success", f"{count(issued.number, 'bill')} {verb} issued: {numbers}.")
    return _Outcome(
        "warning",
        f"{issued.number:,} of {count(issued.of, 'bill')} were issued, {numbers}. "
        f"{escaped(issued.stopped)} The others are drafts still.",
    )
