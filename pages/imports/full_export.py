"""Export: all that the utility owns as a ZIP of CSV files, made here and fetched from here."""

from typing import Final

import streamlit as st

from pages.imports.import_progress import with_progress
from pages.registry import EXPORT
from pages.shared.form_ids import form_done, show_done
from pages.shared.format import count, escaped
from pages.shared.header import show_header
from pages.shared.session import now, require_permission, services, zone
from services.identity.permissions import Permission
from services.importing.full_export.exports import KEPT, ExportFile, UnableToExport
from services.web.export_route import EXPORT_PATH

_FAILED: Final = (
    "The export could not be made, and nothing of it was kept: {reason}. Try again; where that "
    "does not help, make room on the disk or look at the page Services."
)


def _page() -> None:
    show_header(EXPORT.title)
    show_done()
    st.markdown(
        "A ZIP of CSV files with all that the utility owns: files that *Import* takes back, and an "
        "archive of every table with bills, payments, the ledger, readings and the audit trail."
    )
    st.caption(
        "Billing goes on where it stopped when these files are brought into an empty system. Bills "
        "are in the archive. README.txt in the ZIP says how. Sign-ins and keys are not in it."
    )
    if st.button("Make an export", type="primary", icon=":material/archive:", key="make-export"):
        _make()
    _show_made(services().exports.made(principal=principal))


def _make() -> None:
    exports, at = services().exports, now()
    try:
        exported = with_progress(
            lambda progress: exports.make(principal=principal, now=at, progress=progress),
            text="Making the export …",
        )
    except UnableToExport as error:
        st.error(_FAILED.format(reason=escaped(error)), icon=":material/error:")
        return
    rows = count(sum(exported.rows.values()), "row")
    form_done("export", f"The export is made: {rows}.")
    st.rerun()


def _show_made(made: list[ExportFile]) -> None:
    if not made:
        st.caption("There is no export yet.")
        return
    st.subheader("Ready to download", anchor=False)
    for file in made:
        with (
            st.container(border=True),
            st.container(horizontal=True, vertical_alignment="center"),
        ):
            at = file.made_at.astimezone(zone())
            st.markdown(f"**{at:%d %b %Y, %H:%M}** · {_size(file.size)}", width="stretch")
            st.link_button("Download", f"{EXPORT_PATH}/{file.name}", icon=":material/download:")
    st.caption(f"The last {KEPT} are kept. Whoever has the file has the data: keep it safe.")


def _size(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB" if size >= 100_000 else f"{-(-size // 1000)} KB"


principal = require_permission(Permission.EXPORT_FILES)
_page()
