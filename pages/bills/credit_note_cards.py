"""Credit notes as cards: of a bill, of a customer, and in their list."""

import streamlit as st

from pages.languages.words import _
from pages.registry import BILL, CUSTOMER
from pages.shared.download import download_button
from pages.shared.format import day, escaped, file_name, money
from pages.shared.permitted import page_link
from pages.shared.session import called, services
from services.identity.auth import Principal
from services.records.documents.credit_notes import CreditNote


def show_credit_note(note: CreditNote, principal: Principal, *, here: bool = False) -> None:
    """One with its PDF; `here` says that its bill and customer are on the page already."""
    with st.container(border=True, gap="xsmall"):
        st.markdown(
            _(
                "**Credit note {reference}** · {total}",
                reference=escaped(note.reference),
                total=escaped(money(note.total_minor, note.currency)),
            )
        )
        st.caption(
            f"{day(note.on_date)} · {escaped(called(note.created_by))}: {escaped(note.reason)}"
        )
        if not here:
            with st.container(horizontal=True):
                page_link(
                    BILL,
                    label=_("Takes back {reference}", reference=escaped(note.bill_reference)),
                    icon=":material/receipt_long:",
                    query_params={"id": note.bill_id},
                    width="content",
                )
                page_link(
                    CUSTOMER,
                    label=escaped(f"{note.customer_name}, {note.account_no}"),
                    icon=":material/person:",
                    query_params={"id": note.customer_id},
                    width="content",
                )
        credit_notes = services().credit_notes
        download_button(
            _("Credit note as PDF"),
            lambda: credit_notes.pdf(credit_note_id=note.id, principal=principal),
            file_name=file_name(f"{note.reference}.pdf"),
            mime="application/pdf",
            icon=":material/picture_as_pdf:",
            key=f"credit-note-{note.id}",
        )


def show_credit_notes_of(customer_id: str, principal: Principal) -> None:
    """A customer's last ones; nothing where there are none."""
    found = services().credit_notes.of_customer(
        customer_id=customer_id, limit=12, principal=principal
    )
    if found:
        st.markdown(_("**Credit notes**"))
    for note in found:
        show_credit_note(note, principal)
