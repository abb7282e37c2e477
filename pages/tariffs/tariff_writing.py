"""The editor of tariffs: what to begin with, the form and its JSON, and what it would bill."""

from functools import partial
from typing import Final

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.shared.format import escaped
from pages.shared.header import show_header
from pages.shared.session import error_boundary, require_permission, services, today
from pages.tariffs.tariff_compare import show_changes, show_version
from pages.tariffs.tariff_detail import version_name
from pages.tariffs.tariff_draft import Start, WrittenDraft, draft_of
from pages.tariffs.tariff_form import show_form, show_json
from pages.tariffs.tariff_impact import show_replay
from pages.tariffs.tariff_preview import show_preview
from pages.tariffs.tariff_publish import ask_publish
from pages.tariffs.tariff_start import ask_start
from pages.tariffs.tariff_upload import ask_file
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.tariffs import PublishedVersion
from services.tariff_publishing.drafts import Draft, read_draft
from services.tariffs import Tariff

_CHECKS: Final = (N_("Preview"), N_("Changes"), N_("Who pays more"))
# On a desk what is written is followed by what it does, however long the form is.
_BESIDE: Final = """<style>
@media (min-width: 900px) {
    [data-testid="stColumn"]:has(.st-key-beside-form) {
        align-self: flex-start; position: sticky; top: 1rem;
        max-height: calc(100vh - 2rem); overflow-y: auto; padding-right: 0.25rem;
    }
}
</style>"""


def show_editor(*, code: str, begins: str, principal: Principal) -> None:
    """The draft that starts from a version (or from nothing), and what can be done with it."""
    start = _start(code, begins, principal)
    written = draft_of(start)
    show_header(N_("New version") if start.version else N_("New tariff"))
    if not written.text:
        ask_start(written, principal)
        return
    if start.version:
        st.caption(
            _(
                "{tariff}: from the version of {day}.",
                tariff=escaped(start.version.name),
                day=start.version.effective_from,
            )
        )
        ask_file(written)
    left, right = st.columns(2, gap="medium")
    with left:
        draft = show_writing(written)
    with right, st.container(key="beside-form"):
        st.html(_BESIDE)
        show_problems(draft)
        _show_checks(draft, start.version, written, principal)


def _start(code: str, begins: str, principal: Principal) -> Start:
    if not code:
        return Start(None, None)
    tariff, version = services().tariff_publishing.version(
        code=code, begins=begins, principal=principal
    )
    return Start(version, tariff)


def show_writing(written: WrittenDraft) -> Draft:
    """The draft as it stands after what was typed: its form, and beneath it the same as JSON."""
    draft = read_draft(written.text)
    if draft.tariff:
        written.keep_usable()
    if draft.data is not None:
        show_form(written, draft)
    show_json(written, expanded=draft.data is None)
    if written.changed or written.start.version is None:
        with st.popover(_("Start over"), icon=":material/restart_alt:"):
            st.markdown(_("What was written here is thrown away."))
            st.button(_("Yes, start over"), on_click=written.start_over, type="primary")
    return draft


def show_problems(draft: Draft) -> None:
    """What is still to be filled in, and what must be put right, before the draft can be used."""
    if not draft.problems:
        st.success(_("This tariff can be used."), icon=":material/check_circle:")
    if draft.to_fill:
        listed = "\n".join(f"- {escaped(say(place))}" for place in draft.to_fill)
        title = _("Still to be filled in:")
        st.info(f"{title}\n{listed}", icon=":material/edit:")
    if draft.wrong:
        listed = "\n".join(f"- {escaped(say(sentence))}" for sentence in draft.wrong)
        title = ngettext(
            "{count} thing to put right:", "{count} things to put right:", len(draft.wrong)
        )
        st.error(f"{title}\n{listed}", icon=":material/edit:")


def _show_checks(
    draft: Draft, version: PublishedVersion | None, written: WrittenDraft, principal: Principal
) -> None:
    """What can be done with the draft; while it cannot be used, with what it was before."""
    tariff = draft.tariff or read_draft(written.usable).tariff
    if draft.tariff:
        ask_publish(draft.tariff, written, principal)
    elif tariff:
        st.caption(_("Below is what it was when it could last be used."))
    if tariff is None:
        return
    shown = st.segmented_control(
        _("Look at"),
        _CHECKS,
        format_func=_,
        default=_CHECKS[0],
        required=True,
        label_visibility="collapsed",
        key="look-at",
    )
    if shown == "Changes" and version:
        show_changes(version.tariff, tariff)
    elif shown == "Changes":
        show_version(tariff)
    else:
        st.fragment(partial(_refreshed, shown, tariff, version, written.key))()


def _refreshed(shown: str, tariff: Tariff, version: PublishedVersion | None, key: str) -> None:
    """What is drawn again as a slider moves; asks for the permission itself, as a page does."""
    with error_boundary():
        principal = require_permission(Permission.PUBLISH_TARIFFS)
        if shown == "Who pays more":
            show_replay(tariff, principal, key=f"replay-{key}")
            return
        against = None
        if version:
            against = (version_name(version.effective_from), version.tariff)
        show_preview(tariff, today=today(), key=f"try-{key}", against=against)
