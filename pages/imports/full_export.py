"""Export: all that the utility owns as a ZIP of CSV files, made here and fetched from here."""

from typing import Final

import streamlit as st

from pages.imports.import_progress import with_progress
from pages.languages.words import _, ngettext, say
from pages.registry import EXPORT
from pages.shared.form_ids import form_done, show_done
from pages.shared.format import escaped, grouped, moment
from pages.shared.header import show_header
from pages.shared.session import now, require_permission, services, zone
from services.identity.permissions import Permission
from services.importing.full_export.exports import KEPT, ExportFile, UnableToExport
from services.languages.sentence import N_
from services.web.export_route import EXPORT_PATH

_FAILED: Final = N_(
    "The export could not be made, and nothing of it was kept: {reason}. Try again; where that "
    "does not help, make room on the disk or look at the page Services."
)


def _page() -> None:
    show_header(EXPORT.title)
    show_done()
    st.markdown(
        _(
            "A ZIP of CSV files with all that the utility owns: files that *Import* takes back, "
            "and an archive of every table with bills, payments, the ledger, readings and the "
            "audit trail."
        )
    )
    st.caption(
        _(
            "Billing goes on where it stopped when these files are brought into an empty system. "
            "Bills are in the archive. README.txt in the ZIP says how. Sign-ins and keys are not "
            "in it."
        )
    )
    if st.button(_("Make an export"), type="primary", icon=":material/archive:", key="make-export"):
        _make()
    _show_made(services().exports.made(principal=principal))


def _make() -> None:
    exports, at = services().exports, now()
    try:
        exported = with_progress(
            lambda progress: exports.make(principal=principal, now=at, progress=progress),
            text=_("Making the export …"),
        )
    except UnableToExport as error:
        st.error(_(_FAILED, reason=escaped(say(error))), icon=":material/error:")
        return
    said = ngettext(
        "The export is made: {count} row.",
        "The export is made: {count} rows.",
        sum(exported.rows.values()),
    )
    form_done("export", said)
    st.rerun()


def _show_made(made: list[ExportFile]) -> None:
    if not made:
        st.caption(_("There is no export yet."))
        return
    st.subheader(_("Ready to download"), anchor=False)
    for file in made:
        with (
            st.container(border=True),
            st.container(horizontal=True, vertical_alignment="center"),
        ):
            at = moment(file.made_at, zone())
            st.markdown(f"**{at}** · {_size(file.size)}", width="stretch")
            st.link_button(_("Download"), f"{EXPORT_PATH}/{file.name}", icon=":material/download:")
    st.caption(
        _(
            "The last {number} are kept. Whoever has the file has the data: keep it safe.",
            number=KEPT,
        )
    )


def _size(size: int) -> str:
    if size < 100_000:
        return f"{-(-size // 1000)} KB"
    tenths = (size + 50_000) // 100_000
    return f"{grouped(f'{tenths // 10}.{tenths % 10}')} MB"


principal = require_permission(Permission.EXPORT_FILES)
_page()
