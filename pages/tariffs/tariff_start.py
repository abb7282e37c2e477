"""What a new tariff begins with: a template, a copy of another, or a file."""

from datetime import date

import streamlit as st

from pages.languages.words import _
from pages.shared.format import escaped
from pages.shared.session import services, today
from pages.tariffs.tariff_draft import WrittenDraft
from pages.tariffs.tariff_upload import ask_file
from services.identity.auth import Principal
from services.quantities.period import next_month
from services.tariff_publishing.templates import TEMPLATES, Template


def ask_start(written: WrittenDraft, principal: Principal) -> None:
    """Offer what to begin with; the choice is made with one click."""
    st.markdown(
        _("Begin with the way you charge. Its rates are examples: put yours in their place.")
    )
    known = services().tariff_publishing.tariffs(principal=principal)
    # The first one is of what is charged already: the first readings are billed by it.
    begins = next_month(today()) if known else date(today().year - 1, 1, 1)
    with st.grid(3, min_column_width=240) as grid:
        for template in TEMPLATES:
            with grid.cell(), st.container(border=True, gap="xsmall", height="stretch"):
                _offer(template, begins, written, principal)
    if known:
        with st.container(border=True, horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                _("Or with a copy of"),
                known,
                format_func=lambda one: f"{one.name} ({one.code})",
                key="copy-of",
            )
            if st.button(_("Copy it")):
                written.begin(
                    services().tariff_publishing.copy_of(
                        code=chosen.code, begins=next_month(today()), principal=principal
                    )
                )
                st.rerun()
    ask_file(written)


def _offer(template: Template, begins: date, written: WrittenDraft, principal: Principal) -> None:
    if st.button(_(template.name), key=f"template-{template.code}", width="stretch"):
        written.begin(
            services().tariff_publishing.from_template(
                template,
                currency=services().settings.currency,
                begins=begins,
                principal=principal,
            )
        )
        st.rerun()
    st.caption(escaped(_(template.about)))
