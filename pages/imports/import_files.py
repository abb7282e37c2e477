"""Import: choose what and a file, see what it would do row by row, then bring it in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.imports.import_columns import ask_columns
from pages.imports.import_progress import with_progress
from pages.imports.import_report import answers_of, ask_answers, show_report
from pages.imports.kind_names import KINDS
from pages.languages.words import _, say
from pages.registry import BANK_LINES, IMPORTS
from pages.shared.form_ids import form_done, form_id, show_done
from pages.shared.format import escaped
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import (
    allow_upload,
    may,
    now,
    require_permission,
    services,
    while_signed_in,
)
from services.importing.file_imports import FileAnswers, FileLook, permissions_for
from services.importing.kinds import TableKind
from services.importing.report import ImportReport
from services.importing.source import UnreadableFile
from services.languages.sentence import N_

_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TABLES: Final = ("xlsx", "ods", "csv", "tsv", "txt")
_STATEMENTS: Final = ("xml", "sta", "mt940", "940", "swi")
_OTHERS: Final[Mapping[TableKind, tuple[str, ...]]] = {
    "bank_statements": _STATEMENTS,
    "intervals": ("xml", "nem12"),
    "readings": ("nem13",),
}
_A_TABLE: Final = N_("A spreadsheet (XLSX, ODS) or CSV, at most 20 MB")
_LABELS: Final[Mapping[TableKind, str]] = {
    "bank_statements": N_("A statement as CSV, MT940 or camt.053 (XML), at most 20 MB"),
    "intervals": N_("NEM12, Green Button (XML), a spreadsheet or CSV, at most 20 MB"),
    "readings": N_("A spreadsheet (XLSX, ODS), CSV or NEM13, at most 20 MB"),
}
_CHECKED: Final = "import-checked"
_LOOK: Final = "import-look"
_PRESSED: Final = "import-pressed"


@dataclass(frozen=True, slots=True)
class _Checked:
    """A report, and of what it is: the file, its kind, its columns and the answers."""

    of: tuple[object, ...]
    report: ImportReport


def _page() -> None:
    show_header(IMPORTS.title)
    show_done()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kinds = [kind for kind in KINDS if may(*permissions_for(kind))]
        kind = st.selectbox(
            _("What is in the file"), kinds, format_func=KINDS.__getitem__, key="kind"
        )
        _offer_templates(kind)
    allow_upload()
    is_bank = kind == "bank_statements"
    if is_bank:
        page_link(
            BANK_LINES, label=_("Payments from statements so far"), icon=":material/list_alt:"
        )
    file = st.file_uploader(
        _(_LABELS.get(kind, _A_TABLE)),
        type=[*_TABLES, *_OTHERS.get(kind, ())],
        key=f"file-{form_id('import')}",
    )
    if file is None:
        st.caption(_("Nothing is written before you have seen what would be added and changed."))
        return
    _show_file(kind, file.getvalue(), file.file_id)


def _offer_templates(kind: TableKind) -> None:
    imports = services().imports
    with st.popover(_("Template"), icon=":material/download:"):
        st.caption(_("An empty file with every column. A file of your own works as well."))
        st.download_button(
            _("Excel (XLSX)"),
            data=while_signed_in(lambda: imports.template(kind, "xlsx", principal=principal)),
            file_name=f"{kind}.xlsx",
            mime=_XLSX,
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            _("CSV"),
            data=while_signed_in(lambda: imports.template(kind, "csv", principal=principal)),
            file_name=f"{kind}.csv",
            mime="text/csv",
            on_click="ignore",
            width="stretch",
        )


def _show_file(kind: TableKind, content: bytes, file_id: str) -> None:
    key = f"{kind}-{file_id}"
    try:
        look = _look(kind, content, key)
    except UnreadableFile as error:
        st.error(escaped(say(error.problem.said)), icon=":material/error:")
        return
    if not look.format and ask_columns(kind, look, key, principal):
        # What was remembered holds for this look too.
        st.session_state.pop(_LOOK, None)
        st.rerun()
    if look.missing:
        return
    answers = answers_of(key)
    if st.session_state.pop(_PRESSED, None) == key:
        _bring_in(kind, content, answers)
    report = _checked(kind, content, answers, (key, look.fields, answers))
    ask_answers(report, answers, key)
    if report.ok:
        _offer_import(report, key)
    show_report(report, look, principal)


def _look(kind: TableKind, content: bytes, key: str) -> FileLook:
    """What the file holds, read once. Raises UnreadableFile."""
    kept: tuple[str, FileLook] | None = st.session_state.get(_LOOK)
    if kept is None or kept[0] != key:
        with st.spinner(_("Reading the file …")):
            kept = key, services().imports.look(kind, content, principal=principal)
        st.session_state[_LOOK] = kept
    return kept[1]


def _checked(
    kind: TableKind, content: bytes, answers: FileAnswers, of: tuple[object, ...]
) -> ImportReport:
    """The report of this file, which is made once."""
    kept: _Checked | None = st.session_state.get(_CHECKED)
    if kept is not None and kept.of == of:
        return kept.report
    imports, at = services().imports, now()
    report = with_progress(
        lambda progress: imports.check(
            kind, content, answers=answers, principal=principal, now=at, progress=progress
        ),
        text=_("Checking the file …"),
    )
    st.session_state[_CHECKED] = _Checked(of, report)
    return report


def _offer_import(report: ImportReport, key: str) -> None:
    number = report.added + report.changed
    if not number:
        st.success(
            _("Everything in this file is known already: there is nothing to import."),
            icon=":material/check_circle:",
        )
        return

    def press() -> None:
        st.session_state[_PRESSED] = key

    label = _("Import: add {added}, change {changed}", added=report.added, changed=report.changed)
    st.button(label, type="primary", icon=":material/upload:", on_click=press, key="import")


def _bring_in(kind: TableKind, content: bytes, answers: FileAnswers) -> None:
    imports, at = services().imports, now()
    report = with_progress(
        lambda progress: imports.bring_in(
            kind, content, answers=answers, principal=principal, now=at, progress=progress
        ),
        text=_("Importing …"),
    )
    st.session_state.pop(_CHECKED, None)
    if report.ok:
        form_done("import", f"{KINDS[kind]}: {say(report.summary)}")
        if kind == "bank_statements":
            st.switch_page(BANK_LINES.script)
        st.rerun()
    # Somebody else changed the same rows since they were checked.
    st.warning(escaped(say(report.summary)), icon=":material/sync_problem:")


principal = require_permission(*IMPORTS.needs)
_page()
