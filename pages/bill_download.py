"""The way to a bill's PDF, or why there is none yet."""

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped, file_name
from pages.shared.session import services, while_signed_in
from services.records.bills import Bill


def show_download(bill: Bill, unprinted_because: str | None) -> None:
    """A button that gives the kept PDF; it is rendered when somebody asks for it first.

    Where it could not be printed in full, the reason; the button tries again.
    """
    archive = services().bill_archive
    if unprinted_because:
        st.warning(
            _("This bill is not printed. {why}", why=escaped(say(unprinted_because))),
            icon=":material/print_error:",
        )
    st.download_button(
        _("Bill as PDF"),
        data=while_signed_in(lambda: archive.pdf(bill.id).pdf),
        file_name=file_name(f"{bill.reference}.pdf"),
        mime="application/pdf",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
    )
