"""A file that a draft begins from: the project's JSON, or a rate of OpenEI's URDB."""

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.shared.format import escaped
from pages.shared.session import allow_upload, today
from pages.tariffs.tariff_draft import WrittenDraft
from services.importing.source import UnreadableFile
from services.languages.sentence import Sentence
from services.tariff_publishing.drafts import Candidate, candidates


def ask_file(written: WrittenDraft) -> None:
    """Offer to take the draft from a file, and say what of the file it then has not."""
    allow_upload()
    with st.expander(_("Take it from a file"), icon=":material/upload_file:"):
        file = st.file_uploader(
            _("A tariff in this project's format, or rates of OpenEI's URDB"),
            type=["json"],
            key=f"file-{written.key}",
        )
        if file is not None:
            _offer(file.getvalue(), written)
    if written.remarks:
        label = ngettext(
            "{count} thing of the file not taken over",
            "{count} things of the file not taken over",
            len(written.remarks),
        )
        with st.expander(label, type="compact"):
            st.markdown("\n".join(f"- {escaped(say(remark))}" for remark in written.remarks))


def _offer(content: bytes, written: WrittenDraft) -> None:
    try:
        found = candidates(content, today=today())
    except UnreadableFile as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    chosen = found[0]
    if len(found) > 1:
        chosen = st.selectbox(_("Which one"), found, format_func=_name)
    st.caption(
        _("{tariff}. It takes the place of what is written below.", tariff=escaped(_name(chosen)))
    )
    st.button(_("Use it"), on_click=_use, args=(chosen, written), key=f"use-{written.key}")


def _name(one: Candidate) -> str:
    """A name of the file's own stays as it is."""
    return say(one.name) if isinstance(one.name, Sentence) else one.name


def _use(chosen: Candidate, written: WrittenDraft) -> None:
    written.write(chosen.text, remarks=chosen.remarks)
