"""The way to a bill's PDF."""

import streamlit as st

from pages.shell import services
from services.domain.records import Bill


def show_download(bill: Bill) -> None:
    """A button that gives the kept PDF; it is rendered when somebody asks for it first."""
    archive = services().bill_archive
    st.download_button(
        "Bill as PDF",
        data=lambda: archive.pdf(bill.id).pdf,
        file_name=f"{bill.reference}.pdf",
        mime="application/pdf",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
    )
