"""How pages speak of dunning: steps, why one is not taken, who is on hold; and pages of lists."""

from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

from pages.languages.addresses import slug
from pages.languages.words import Said, _, say
from pages.registry import CUSTOMER
from pages.shared.form_ids import form_done
from pages.shared.format import Color, escaped, money
from pages.shared.permitted import page_link
from services.database.errors import DatabaseRefused
from services.dunning.holds import InvalidHold
from services.dunning.rules import STEP_NAMES, STEP_WORDS, InvalidPolicy, day_in_words
from services.languages.sentence import N_
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
STEPS: Final[Mapping[StepAction, str]] = Said(STEP_NAMES)
STEPS_IN_TEXT: Final[Mapping[StepAction, str]] = Said(STEP_WORDS)
WAITS: Final[Mapping[Wait, str]] = Said(
    {
        "held": N_("on hold"),
        "notice": N_("waits: the disconnection notice has reached nobody"),
    }
)
REASON_NAMES: Final[Mapping[HoldReason, str]] = Said(
    {
        "hand": N_("Held back by hand"),
        "dispute": N_("A dispute"),
        "plan": N_("A plan is being agreed"),
        "vulnerable": N_("A vulnerable customer"),
    }
)


def step_badge(step: DueStep | DunningAction | StepTotal) -> None:
    """Which step it is, in its colour."""
    st.badge(STEPS[step.action], color=STEP_COLORS[step.action])


def about(step: DueStep | DunningAction) -> str:
    """When in the ladder, and the bill that it is about, or that it is about charges."""
    words = [say(day_in_words(step.day))]
    if step.occasion.startswith(CHARGES):
        words.append(_("fees and other charges"))
    elif step.bill_number is not None:
        words.append(invoice_reference(step.bill_number))
    return " · ".join(words)


def amounts(step: DueStep | DunningAction) -> str:
    """What is open, and the late fee with its tax."""
    amount = escaped(money(step.amount_minor, step.currency))
    if not step.fee_minor:
        return amount
    fee = escaped(money(step.fee_minor + step.tax_minor, step.currency))
    return _("{amount} · late fee {fee}", amount=amount, fee=fee)


def customer_link(customer_id: str, name: str, account_no: str) -> None:
    """The way to a customer's dunning."""
    page_link(
        CUSTOMER,
        label=_("{name}, {account_no}", name=escaped(name), account_no=escaped(account_no)),
        query_params={"id": customer_id, "view": slug(N_("Dunning"))},
    )


def next_page(key: str, after: RowsAfter | None) -> None:
    """The way on in a list, and back to its beginning."""
    with st.container(horizontal=True):
        if key in st.session_state and st.button(_("From the beginning"), key=f"{key}-first"):
            st.session_state.pop(key)
            st.rerun()
        if after is not None and st.button(_("Show the next"), key=f"{key}-next"):
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
            st.error(escaped(say(problem)), icon=":material/edit:")
    except (InvalidHold, DatabaseRefused) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
    else:
        form_done(name, said)
        st.rerun()
