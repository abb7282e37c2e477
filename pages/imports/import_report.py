"""What importing a file would do: its first rows, what is wrong, and what would change."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from pages.imports.kind_names import field_name
from pages.languages.words import Said, _, language, ngettext, say
from pages.shared.format import escaped, grouped
from pages.shared.session import services
from services.identity.auth import Principal
from services.importing.file_imports import FileAnswers, FileLook
from services.importing.report import ImportReport
from services.languages.sentence import N_

_SHOWN: Final = 50
_STATES: Final = Said({"new": N_("New"), "changed": N_("Changed"), "unchanged": N_("The same")})
_DECIMALS: Final = {N_("1,117.5 (point)"): "point", N_("1.117,5 (comma)"): "comma"}
_ORDERS: Final = {
    N_("Day first (31/12/2026)"): "day_first",
    N_("Month first (12/31/2026)"): "month_first",
}


def ask_answers(report: ImportReport, answers: FileAnswers, key: str) -> None:
    """Ask once what the file leaves open; an answer is kept for this file under `key`."""
    if "decimal" in report.asks:
        _ask(
            _("A number such as 1.117 may be two. Which sign is the decimal one in this file?"),
            _DECIMALS,
            f"decimal-{key}",
        )
    if "dates" in report.asks:
        _ask(
            _("A date such as 03/04/2026 may be two. Which comes first in this file?"),
            _ORDERS,
            f"dates-{key}",
        )
    if "account" in report.asks or answers.other_account:
        st.checkbox(
            _("The account is the utility's: take its statements too"), key=f"account-{key}"
        )
    if "meter" in report.asks or answers.meter:
        st.text_input(_("Serial of the meter that the file is of"), key=f"meter-{key}")
    if "similar" in report.asks or answers.allow_similar:
        st.checkbox(
            _("They are different: add what looks like a known one as well"), key=f"similar-{key}"
        )


def answers_of(key: str) -> FileAnswers:
    """What was answered for a file."""
    state = st.session_state
    return FileAnswers(
        decimal=state.get(f"said-decimal-{key}"),
        date_order=state.get(f"said-dates-{key}"),
        allow_similar=bool(state.get(f"similar-{key}")),
        other_account=bool(state.get(f"account-{key}")),
        meter=(state.get(f"meter-{key}") or "").strip() or None,
    )


def _ask(question: str, options: dict[str, str], key: str) -> None:
    def keep() -> None:
        st.session_state[f"said-{key}"] = options[st.session_state[key]]

    st.radio(
        question,
        list(options),
        format_func=_,
        index=None,
        key=key,
        horizontal=True,
        on_change=keep,
    )


def show_report(report: ImportReport, look: FileLook, principal: Principal) -> None:
    """The report, from what matters most: what is wrong, else what would be added and changed."""
    for remark in report.remarks:
        st.info(escaped(say(remark.message)), icon=":material/info:")
    if report.errors:
        _show_problems(report, principal)
    else:
        _show_counts(report)
        _show_differences(report)
    _show_rows(report, look)


def _show_counts(report: ImportReport) -> None:
    with st.grid(3, min_column_width=90) as grid:
        for label, number in (
            (_("To be added"), report.added),
            (_("To be changed"), report.changed),
            (_("The same"), report.unchanged),
        ):
            with grid.cell():
                st.metric(label, grouped(str(number)))


def _show_problems(report: ImportReport, principal: Principal) -> None:
    wrong = report.errors
    way_out = _("Correct the file and choose it again.")
    if report.asks:
        way_out = _("Answer what is asked above, or correct the file and choose it again.")
    said = ngettext(
        "{count} problem; nothing was imported. {way_out}",
        "{count} problems; nothing was imported. {way_out}",
        len(wrong),
        way_out=way_out,
    )
    st.error(said, icon=":material/error:")
    row, column, what = _("Row"), _("Column"), _("What is wrong")
    st.table(
        [
            {
                row: "" if problem.row is None else f"{problem.row}",
                column: field_name(problem.column) if problem.column else "",
                what: escaped(say(problem.message)),
            }
            for problem in wrong[:_SHOWN]
        ],
        hide_index=True,
    )
    if len(wrong) > _SHOWN:
        st.caption(_("The first {shown} of {total}.", shown=_SHOWN, total=len(wrong)))
        st.download_button(
            _("All of them as CSV"),
            data=_problems_file(report, principal),
            file_name="what-is-wrong.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _problems_file(report: ImportReport, principal: Principal) -> Callable[[], bytes]:
    # Of this visit: when the file is asked for, nothing of a page runs.
    spoken = language()
    return lambda: services().imports.problems_file(
        report.errors, language=spoken, principal=principal
    )


def _show_differences(report: ImportReport) -> None:
    if not report.differences:
        return
    st.subheader(_("What changes"), anchor=False)
    which, field, before, after = _("Which"), _("Field"), _("Before"), _("After")
    st.table(
        [
            {
                which: escaped(found.name),
                field: field_name(found.field),
                before: escaped(found.before) or "–",
                after: escaped(found.after) or "–",
            }
            for found in report.differences[:_SHOWN]
        ],
        hide_index=True,
    )
    if len(report.differences) > _SHOWN or len(report.differences) < report.changed:
        st.caption(
            ngettext(
                "The first {count} changed field.",
                "The first {count} changed fields.",
                min(_SHOWN, len(report.differences)),
            )
        )


def _show_rows(report: ImportReport, look: FileLook) -> None:
    wrong = {problem.row for problem in report.errors}
    names = [
        field_name(field) if field else heading or _("(no name)")
        for heading, field in zip(look.headings, look.fields, strict=True)
    ]
    rows = []
    for number, cells in look.rows:
        outcome = _("Wrong") if number in wrong else _STATES.get(report.states.get(number, ""), "")
        first = {_("Row"): number, _("Outcome"): outcome}
        rows.append(first | dict(zip(names, cells, strict=False)))
    if not any(row[_("Outcome")] for row in rows):
        # Of readings and the like a row is not about one thing that is new or changed.
        rows = [{name: cell for name, cell in row.items() if name != _("Outcome")} for row in rows]
    if look.format:
        return
    st.subheader(_("First rows"), anchor=False)
    st.dataframe(rows, hide_index=True, width="stretch")
