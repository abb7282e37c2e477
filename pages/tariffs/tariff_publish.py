"""Publishing a draft: from when it holds and for whom, a confirmation, and a refusal's reason."""

import streamlit as st

from pages.approvals.asking import asks_first, label_of
from pages.languages.words import _, ngettext, say
from pages.registry import TARIFF, TARIFFS
from pages.shared.format import escaped
from pages.shared.history import go_on_to
from pages.shared.session import services
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
    with st.popover(_("Publish"), icon=":material/publish:", type="primary"):
        st.markdown(_meaning(tariff, known, is_new=written.start.version is None))
        label = label_of(_("Yes, publish it"), asks=asks_first("tariffs"))
        if st.button(label, type="primary", key="publish"):
            _publish(tariff, written, principal, is_known=known is not None)


def _meaning(tariff: Tariff, known: TariffSummary | None, *, is_new: bool) -> str:
    """What is charged so from when on, and whom that concerns."""
    said = [
        _(
            "From **{day}** on, **{tariff}** ({code}) is charged so.",
            day=tariff.effective_from,
            tariff=escaped(tariff.name),
            code=escaped(tariff.code),
        ),
        _on_it(known) if known else _("It is a new tariff; meters are put on it afterwards."),
    ]
    if known is not None and is_new:
        said.append(
            _(
                "**{tariff} has this code: this becomes a version of it.**",
                tariff=escaped(known.name),
            )
        )
    said.append(_("A version that is published never changes; a later one takes its place."))
    return " ".join(said)


def _on_it(known: TariffSummary) -> str:
    if known.billed_until is None:
        return ngettext("{count} meter is on it.", "{count} meters are on it.", known.meters)
    return ngettext(
        "{count} meter is on it, billed up to {day}.",
        "{count} meters are on it, billed up to {day}.",
        known.meters,
        day=known.billed_until,
    )


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
        kept = _("Nothing was published; your draft is kept.")
        st.error(f"{escaped(say(error))} {kept}")
        return
    written.start_over()
    code = escaped(tariff.code)
    said = (
        _("{code} is published.", code=code)
        if added
        else _("{code} was published already.", code=code)
    )
    st.toast(said, icon=":material/check_circle:")
    go_on_to(TARIFF, code=tariff.code, version=tariff.effective_from.isoformat())
