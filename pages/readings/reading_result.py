"""What became of a submitted reading: the bill, or why there is none, and what happens next."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.bills.bill_card import show_bill
from pages.bills.stored_reading import offer_billing
from pages.languages.words import _, say
from pages.shared.components import doubts_of, show_steps
from pages.shared.format import count, escaped, kwh, moment, money, period
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.outbox.steps import StepOutcome
from services.records.bills import Bill
from services.records.readings import Reading


def show_result(principal: Principal) -> None:
    """The outcome in a sentence and the bill as a card; for the office also each step.

    The card of a draft is for the office: its amount may change before a customer sees it.
    """
    result: dict[str, Any] = st.session_state["reading-result"]
    found = services().readings.submitted(
        reading_id=result["reading_id"],
        bill_id=result["bill_id"],
        earlier=result["earlier"],
        principal=principal,
    )
    _say(result["outcome"], found.reading, found.bill, result["explanation"])
    if principal.may(Permission.DECIDE_READINGS):
        offer_billing(found.reading, principal)
    if st.button(_("Read the next meter"), type="primary", icon=":material/arrow_forward:"):
        del st.session_state["reading-result"]
        st.query_params.clear()
        st.rerun()
    if found.bill is not None:
        _show_earlier(found.earlier)
        if found.bill.number is not None or principal.may(Permission.VIEW_BILLS):
            show_bill(found.bill)
    if principal.may(Permission.VIEW_READINGS):
        _show_steps_of(result)


def _say(outcome: str, reading: Reading, bill: Bill | None, explanation: str) -> None:
    what = _(
        "{register_wh} at meter {meter_serial}",
        register_wh=kwh(reading.register_wh),
        meter_serial=escaped(reading.meter_serial),
    )
    if outcome in ("billed", "needs_review") and bill is not None and bill.number is None:
        said = _(
            "{what} is stored, and not billed yet. {explanation}",
            what=what,
            explanation=escaped(say(explanation)),
        )
        st.warning(said, icon=":material/flag:")
    elif outcome == "billed" and bill is not None:
        total = escaped(money(bill.total_minor, bill.currency))
        said = _(
            "{what} is stored and billed: **{total}**. {explanation}",
            what=what,
            total=total,
            explanation=escaped(say(explanation)),
        )
        st.success(said.strip(), icon=":material/check_circle:")
    elif outcome == "needs_review":
        why = " ".join(doubts_of(reading.validation))
        st.warning(
            _(
                "{what} is stored and waits for the office, which looks at it first. {why} "
                "Nothing is billed until then; there is nothing more for you to do.",
                what=what,
                why=escaped(why),
            ),
            icon=":material/flag:",
        )
    elif outcome == "replay":
        sent = moment(reading.created_at, zone())
        st.info(
            _(
                "{what} was stored on {sent}. {explanation}",
                what=what,
                sent=sent,
                explanation=escaped(say(explanation)),
            ),
            icon=":material/content_copy:",
        )
    else:
        st.info(
            _(
                "{what} is stored without a bill. {explanation}",
                what=what,
                explanation=escaped(say(explanation)),
            ),
            icon=":material/save:",
        )


def _show_earlier(bills: Sequence[Bill]) -> None:
    """The bills of the months before, whose reads had waited."""
    if not bills:
        return
    with st.container(border=True, gap="xxsmall"):
        st.markdown(_("**{counted} billed as well**", counted=count(len(bills), "earlier month")))
        for bill in bills:
            amount = escaped(money(bill.total_minor, bill.currency))
            spans = period(bill.period_start, bill.period_end)
            st.markdown(f"{escaped(bill.reference)} · {spans} · **{amount}**")


def _show_steps_of(result: dict[str, Any]) -> None:
    with st.expander(_("Details: what happened, step by step")):
        show_steps([StepOutcome(*step) for step in sorted(result["steps"])])
