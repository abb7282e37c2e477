"""How pages speak of dunning: steps, why one is not taken, who is on hold; and pages of lists."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from pages.registry import CUSTOMER
from pages.shared.form_ids import form_done
from pages.shared.format import Color, escaped
from pages.shared.permitted import page_link
from services.database.errors import DatabaseRefused
from services.dunning.holds import InvalidHold
from services.dunning.rules import STEP_NAMES, InvalidPolicy, day_in_words
from services.history.terms import HOLD_REASONS
from services.records.bills import invoice_reference
from services.records.dunning.holds import HoldReason
from services.records.dunning.policy import (
    CHARGES,
    DueStep,
    DunningAction,
    RowsAfter,
    StepAction,
    StepTotal,
    Wait,
)

STEP_COLORS: Final[dict[StepAction, Color]] = {
    "reminder": "blue",
    "overdue": "orange",
    "demand": "orange",
    "notice": "red",
    "disconnection": "red",
}
WAITS: Final[dict[Wait, str]] = {
    "held": "on hold",
    "notice": "waits: the disconnection notice has reached nobody",
}
REASON_NAMES: Final[dict[HoldReason, str]] = {
    "hand": "Held back by hand",
    "dispute": "A dispute",
    "plan": "A plan is being agreed",
    "vulnerable": "A vulnerable customer",
}


def reason_in_words(reason: str) -> str:
    """Why an account is on hold."""
    said = HOLD_REASONS[reason]
    return f"{said[0].upper()}{said[1:]}"


def step_badge(step: DueStep | DunningAction | StepTotal) -> None:
    """Which step it is, in its colour."""
    st.badge(STEP_NAMES[step.action], color=STEP_COLORS[step.action])


def about(step: DueStep | DunningAction) -> str:
    """When in the ladder, and the bill that it is about, or that it is about charges."""
    words = [day_in_words(step.day)]
    if step.occasion.startswith(CHARGES):
        words.append("fees and other charges")
    elif step.bill_number is not None:
        words.append(invoice_reference(step.bill_number))
    return " · ".join(words)


def amounts(step: DueStep | DunningAction) -> str:
    """What is open, and the late fee with its tax."""
    said = escaped(step.money(step.amount_minor).display())
    if step.fee_minor:
        fee = step.money(step.fee_minor + step.tax_minor).display()
        said += f" · late fee {escaped(fee)}"
    return said


def customer_link(customer_id: str, name: str, account_no: str) -> None:
    """The way to a customer's dunning."""
    page_link(
        CUSTOMER,
        label=f"{escaped(name)}, {escaped(account_no)}",
        query_params={"id": customer_id, "view": "Dunning"},
    )


def next_page(key: str, after: RowsAfter | None) -> None:
    """The way on in a list, and back to its beginning."""
    with st.container(horizontal=True):
        if key in st.session_state and st.button("From the beginning", key=f"{key}-first"):
            st.session_state.pop(key)
            st.rerun()
        if after is not None and st.button("Show the next", key=f"{key}-next"):
            st.session_state[key] = after
            st.rerun()


def place_in(key: str) -> RowsAfter | None:
    """Where the list of `next_page` goes on."""
    found = st.session_state.get(key)
    return found if isinstance(found, RowsAfter) else None


def attempt(name: str, said: str, change: Callable[[], object]) -> None:
    """Do what a form asks and show the page again, or say what is wrong, a sentence a line."""
    try:
        change()
    except InvalidPolicy as error:
        for problem in error.problems:
            st.error(escaped(problem), icon=":material/edit:")
    except (InvalidHold, DatabaseRefused) as error:
        st.error(escaped(error), icon=":material/edit:")
    else:
        form_done(name, said)
        st.rerun()
