"""What each decision on a flagged reading would bill, side by side."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped, kwh, money
from pages.shared.session import now, services
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.readings.outlooks import Outlook, Outlooks
from services.records.readings import Reading
from services.records.submissions import ReadingContext

_OUTLOOKS: Final = "exception-outlooks"


def outlooks_of(reading: Reading, context: ReadingContext, principal: Principal) -> Outlooks:
    """They cost some prices each: those of the reading on the page are kept."""
    kept: tuple[str, Outlooks] | None = st.session_state.get(_OUTLOOKS)
    if kept is None or kept[0] != reading.id:
        found = services().decision_outlooks.of(
            reading=reading, context=context, principal=principal, now=now()
        )
        kept = (reading.id, found)
        st.session_state[_OUTLOOKS] = kept
    return kept[1]


def forget_outlooks() -> None:
    """Look again: something was decided, or came between."""
    st.session_state.pop(_OUTLOOKS, None)


def show_outlooks(reading: Reading, outlooks: Outlooks) -> None:
    """A line for each decision with what it would bill, to compare them by."""
    rows = [_("| | Shows | Bills |"), "|:---|---:|---:|"]
    rows.append(_row(_("Accept"), reading.register_wh, outlooks.accept))
    for proposal, outlook in outlooks.proposals:
        rows.append(_row(_("Proposal"), proposal.register_wh, outlook))
    if not outlooks.estimate.refused:
        rows.append(_row(_("Estimate"), outlooks.estimate.register_wh, outlooks.estimate))
    st.markdown("\n".join(rows), width="stretch")


def _row(name: str, register_wh: int, outlook: Outlook) -> str:
    if outlook.refused:
        bills = _("cannot be billed")
    elif outlook.total_minor is None:
        bills = _("not now")
    else:
        bills = f"**{escaped(money(outlook.total_minor, outlook.currency))}**"
    return f"| {name} | {kwh(register_wh)} | {bills} |"


def billed(outlook: Outlook) -> str:
    """What a decision would bill, in a sentence."""
    if outlook.total_minor is None:
        return escaped(say(outlook.remark or N_("It would not be billed now.")))
    total = escaped(money(outlook.total_minor, outlook.currency))
    said = _("Bills **{total}** for {kwh}.", total=total, kwh=kwh(outlook.used_wh))
    return f"{said} {escaped(say(outlook.remark))}".strip()
