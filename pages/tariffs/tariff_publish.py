"""Publishing a draft: from when it holds and for whom, a confirmation, and a refusal's reason."""

import streamlit as st

from pages.approvals.asking import asks_first, label_of
from pages.registry import TARIFF, TARIFFS
from pages.shared.format import count, day, escaped
from pages.shared.history import go_on_to
from pages.shared.session import services
from pages.tariffs.tariff_detail import version_name
from pages.tariffs.tariff_draft import WrittenDraft
from services.approvals.asking import AwaitsApproval
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.records.tariffs import TariffSummary
from services.tariffs import Tariff


def ask_publish(tariff: Tariff, written: WrittenDraft, principal: Principal) -> None:
    """A button, and behind it what publishing means."""
    tariffs = services().tariff_publishing.tariffs(principal=principal)
    known = next((one for one in tariffs if one.code == tariff.code), None)
    with st.popover("Publish", icon=":material/publish:", type="primary"):
        st.markdown(_meaning(tariff, known, is_new=written.start.version is None))
        label = label_of("Yes, publish it", asks=asks_first("tariffs"))
        if st.button(label, type="primary", key="publish"):
            _publish(tariff, written, principal, is_known=known is not None)


def _meaning(tariff: Tariff, known: TariffSummary | None, *, is_new: bool) -> str:
    """What is charged so from when on, and whom that concerns."""
    said = (
        f"From **{day(tariff.effective_from)}** on, **{escaped(tariff.name)}** "
        f"({escaped(tariff.code)}) is charged so. "
    )
    if known is None:
        said += "It is a new tariff; meters are put on it afterwards. "
    else:
        billed = f", billed up to {day(known.billed_until)}" if known.billed_until else ""
        on_it = f"{count(known.meters, 'meter')} {'is' if known.meters == 1 else 'are'} on it"
        said += f"{on_it}{billed}. "
    if known is not None and is_new:
        said += f"**{escaped(known.name)} has this code: this becomes a version of it.** "
    return f"{said}A version that is published never changes; a later one takes its place."


def _publish(
    tariff: Tariff, written: WrittenDraft, principal: Principal, *, is_known: bool
) -> None:
    try:
        added = services().tariff_publishing.publish(tariff=tariff, principal=principal)
    except AwaitsApproval:
        # What waits is shown there; the draft is kept in case that it is rejected.
        if is_known:
            go_on_to(TARIFF, code=tariff.code)
        go_on_to(TARIFFS)
    except IllegalChange as error:
        st.error(f"{escaped(error)} Nothing was published; your draft is kept.")
        return
    written.start_over()
    said = "is published" if added else "was published already"
    st.toast(f"{escaped(tariff.code)} {said}.", icon=":material/check_circle:")
    go_on_to(TARIFF, code=tariff.code, version=version_name(tariff.effective_from))
