"""Publishing a draft: from when it holds and for whom, a confirmation, and a refusal's reason."""

import streamlit as st

from pages.registry import TARIFF
from pages.shared.components import description_list
from pages.shared.format import count, day, escaped
from pages.shared.history import go_on_to
from pages.shared.session import services
from pages.tariffs.tariff_detail import version_name
from pages.tariffs.tariff_draft import WrittenDraft
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.tariffs import Tariff


def ask_publish(tariff: Tariff, written: WrittenDraft, principal: Principal) -> None:
    """What publishing means, and a button behind a confirmation."""
    tariffs = services().tariff_publishing.tariffs(principal=principal)
    known = next((one for one in tariffs if one.code == tariff.code), None)
    with st.container(border=True):
        description_list(
            [
                ("Tariff", tariff.code),
                ("Effective from", day(tariff.effective_from)),
                ("On it", count(known.meters, "meter") if known else "a new tariff"),
                (
                    "Billed up to",
                    day(known.billed_until) if known and known.billed_until else "not yet",
                ),
            ],
            least_width=120,
        )
        st.markdown("A version that is published never changes; a later one takes its place.")
        with st.popover("Publish", icon=":material/publish:", type="primary"):
            st.markdown(
                f"From **{day(tariff.effective_from)}** on, "
                f"**{escaped(tariff.code)}** is charged so."
            )
            if st.button("Yes, publish it", type="primary", key="publish"):
                _publish(tariff, written, principal)


def _publish(tariff: Tariff, written: WrittenDraft, principal: Principal) -> None:
    try:
        added = services().tariff_publishing.publish(tariff=tariff, principal=principal)
    except IllegalChange as error:
        st.error(f"{escaped(error)} Nothing was published; your draft is kept.")
        return
    written.start_over()
    said = "is published" if added else "was published already"
    st.toast(f"{escaped(tariff.code)} {said}.", icon=":material/check_circle:")
    go_on_to(TARIFF, code=tariff.code, version=version_name(tariff.effective_from))
