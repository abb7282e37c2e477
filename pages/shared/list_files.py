"""A list as a file: all that is filtered, or the rows that were chosen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import streamlit as st

from pages.languages.words import Said, _
from pages.shared.download import download_button
from pages.shared.format import file_name
from pages.shared.list_columns import Listing, Row
from pages.shared.session import today
from services.languages.sentence import N_
from services.lists.office_lists import ROWS_IN_A_FILE, FileKind
from services.records.base import KeyPage, PageRequest

_MIME: Final[dict[FileKind, str]] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_FILES: Final[Mapping[FileKind, str]] = Said({"csv": "CSV", "xlsx": N_("Excel (XLSX)")})


def offer_files(
    listing: Listing[Row], request: PageRequest, found: KeyPage[Row], chosen: Sequence[Row]
) -> None:
    """Buttons for a file of the rows chosen, or of all that fit; it is made when asked for."""
    ids = tuple(row.id for row in chosen) or None
    label = _("Export {chosen} chosen", chosen=len(chosen)) if chosen else _("Export")
    name = f"{listing.noun}s-{today().isoformat()}"
    with st.popover(label, icon=":material/download:"):
        if not chosen and not found.is_counted:
            st.caption(
                _(
                    "What is filtered, in this order; the first {ROWS_IN_A_FILE} rows.",
                    ROWS_IN_A_FILE=ROWS_IN_A_FILE,
                )
            )
        for kind, called in _FILES.items():
            download_button(
                called,
                _maker(listing, request, kind, ids),
                file_name=file_name(f"{name}.{kind}"),
                mime=_MIME[kind],
                width="stretch",
                key=f"export-{kind}",
            )


def _maker(
    listing: Listing[Row], request: PageRequest, kind: FileKind, ids: tuple[str, ...] | None
) -> Callable[[], bytes]:
    return lambda: listing.file(request, kind, ids)
