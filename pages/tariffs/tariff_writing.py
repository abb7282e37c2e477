"""The editor of tariffs: a draft as a form or as JSON, its problems, and what it would bill."""

from functools import partial

import streamlit as st

from pages.shared.format import count, day, escaped
from pages.shared.session import error_boundary, require_role, services, today
from pages.tariffs.tariff_compare import show_changes, show_version
from pages.tariffs.tariff_detail import version_name
from pages.tariffs.tariff_draft import Start, WrittenDraft, draft_of
from pages.tariffs.tariff_form import show_form, show_json
from pages.tariffs.tariff_impact import show_replay
from pages.tariffs.tariff_preview import show_preview
from pages.tariffs.tariff_publish import ask_publish
from pages.tariffs.tariff_upload import ask_file
from services.identity.auth import Principal, Role
from services.records.tariffs import PublishedVersion
from services.tariff_publishing.drafts import Draft, read_draft
from services.tariffs import Tariff

_WAYS = ("Form", "JSON")
_CHECKS = ("Preview", "Changes", "Last month", "Publish")


def show_editor(*, code: str, begins: str, principal: Principal) -> None:
    """The draft that starts from a version (or from nothing), and what can be done with it."""
    start = _start(code, begins, principal)
    written = draft_of(start)
    st.title("New version" if start.version else "New tariff", anchor=False)
    if start.version:
        since = day(start.version.effective_from)
        st.caption(f"{escaped(start.version.name)}: from the version of {since}.")
    ask_file(written)
    left, right = st.columns(2, gap="medium")
    with left:
        draft = show_writing(written)
    with right:
        show_problems(draft, begun=written.changed)
        if draft.tariff:
            _show_checks(draft.tariff, start.version, written, principal)


def _start(code: str, begins: str, principal: Principal) -> Start:
    if not code:
        return Start(None, None)
    tariff, version = services().tariff_publishing.version(
        code=code, begins=begins, principal=principal
    )
    return Start(version, tariff)


def show_writing(written: WrittenDraft) -> Draft:
    """The draft as it stands after what was typed; every way to write it changes the same text."""
    draft = read_draft(written.text)
    ways = _WAYS if draft.data is not None else _WAYS[1:]
    way = st.segmented_control(
        "Write as",
        ways,
        default=ways[0],
        required=True,
        label_visibility="collapsed",
        key=f"way-{written.key}-{len(ways)}",
    )
    if way == "Form":
        show_form(written, draft)
    else:
        show_json(written)
    if written.changed:
        with st.container(horizontal=True):
            st.download_button(
                "Keep a copy",
                written.text,
                file_name="tariff-draft.json",
                mime="application/json",
                icon=":material/download:",
                on_click="ignore",
            )
            with st.popover("Start over", icon=":material/restart_alt:"):
                st.markdown("What was written here is thrown away.")
                st.button("Yes, start over", on_click=written.start_over, type="primary")
    return draft


def show_problems(draft: Draft, *, begun: bool) -> None:
    """What must be put right before the draft can be used."""
    if not draft.problems:
        st.success("This tariff can be used.", icon=":material/check_circle:")
        return
    listed = "\n".join(
        f"- **{escaped(path)}** {escaped(why)}" if path else f"- {escaped(why)}"
        for path, why in draft.problems
    )
    if begun:
        title = count(len(draft.problems), "problem")
        st.error(f"{title} to put right:\n{listed}", icon=":material/edit:")
    else:
        st.info(f"To be filled in:\n{listed}", icon=":material/edit:")


def _show_checks(
    tariff: Tariff, version: PublishedVersion | None, written: WrittenDraft, principal: Principal
) -> None:
    shown = st.segmented_control(
        "Look at",
        _CHECKS,
        default=_CHECKS[0],
        required=True,
        label_visibility="collapsed",
        key="look-at",
    )
    if shown == "Publish":
        ask_publish(tariff, written, principal)
    elif shown == "Changes":
        if version:
            show_changes(version.tariff, tariff)
        else:
            show_version(tariff)
    else:
        st.fragment(partial(_refreshed, shown, tariff, version, written.key))()


def _refreshed(shown: str, tariff: Tariff, version: PublishedVersion | None, key: str) -> None:
    """What is drawn again as a slider moves; asks for the role itself, as a page does."""
    with error_boundary():
        principal = require_role(Role.ADMIN)
        if shown == "Last month":
            show_replay(tariff, principal, key=f"replay-{key}")
            return
        against = None
        if version:
            against = (version_name(version.effective_from), version.tariff)
        show_preview(tariff, today=today(), key=f"try-{key}", against=against)
