"""Tariffs: what customers are charged by, each with its versions, and the way to a new one."""

from datetime import date

import streamlit as st

from pages.approvals.asking import show_requests
from pages.languages.words import _, language, ngettext
from pages.registry import TARIFF, TARIFF_EDITOR, TARIFFS
from pages.shared.format import count, escaped
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services, today
from services.identity.permissions import Permission
from services.records.tariffs import TariffSummary


def versions_in_words(begins: tuple[date, ...], *, on: date) -> str:
    """Since when a tariff is in force, and what follows."""
    past, coming = [d for d in begins if d <= on], [d for d in begins if d > on]
    words = ngettext("{count} version", "{count} versions", len(begins))
    if past:
        words = _("{versions}, in force since {day}", versions=words, day=past[-1])
    if coming:
        words = _("{versions}, the next from {day}", versions=words, day=coming[0])
    return words


def show_row(tariff: TariffSummary) -> None:
    """One tariff: its name, its versions, and how many meters are on it."""
    with st.container(border=True, gap="xxsmall"):
        # A link to a page is cut at its line's end; a name goes on in the next line.
        st.markdown(f"**{escaped(tariff.name)}**")
        billed = _(" · billed up to {day}", day=tariff.billed_until) if tariff.billed_until else ""
        st.caption(
            f"**{escaped(tariff.code)}** · {escaped(tariff.currency)} · "
            f"{count(tariff.meters, 'meter')} · "
            f"{versions_in_words(tariff.begins, on=today())}{billed}"
        )
        of_it = {"code": tariff.code}
        with st.container(horizontal=True, gap="small"):
            page_link(
                TARIFF,
                label=language().pgettext("link", "Open"),
                icon=":material/price_change:",
                query_params=of_it,
            )
            page_link(
                TARIFF_EDITOR, label=_("New version"), icon=":material/edit:", query_params=of_it
            )


principal = require_permission(Permission.VIEW_TARIFFS)
show_header(TARIFFS.title)
st.caption(
    _(
        "What was billed keeps its version: to change a tariff, write a new version of it and "
        "publish it with the date from which it holds."
    )
)
page_link(TARIFF_EDITOR, label=_("Write a new tariff"), icon=":material/add:")
show_requests(["tariff"], None, principal)
tariffs = services().tariff_publishing.tariffs(principal=principal)
if not tariffs:
    st.info(_("There is no tariff yet. Write one from a template, or bring in a file."))
with st.container(gap="xsmall"):
    for one in tariffs:
        show_row(one)
