"""What importing a file would do: its first rows, what is wrong, and what would change."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from pages.imports.kind_names import field_name
from pages.shared.format import escaped
from pages.shared.session import services
from services.identity.auth import Principal
from services.importing.file_imports import FileAnswers, FileLook
from services.importing.report import ImportReport
from services.quantities.counting import count

_SHOWN: Final = 50
_STATES: Final = {"new": "New", "changed": "Changed", "unchanged": "The same"}
_DECIMALS: Final = {"1,117.5 (point)": "point", "1.117,5 (comma)": "comma"}
_ORDERS: Final = {"Day first (31/12/2026)": "day_first", "Month first (12/31/2026)": "month_first"}


def ask_answers(report: ImportReport, answers: FileAnswers, key: str) -> None:
    """Ask once what the file leaves open; an answer is kept for this file under `key`."""
    if "decimal" in report.asks:
        _ask(
            "A number such as 1.117 may be two. Which sign is the decimal one in this file?",
            _DECIMALS,
            f"decimal-{key}",
        )
    if "dates" in report.asks:
        _ask(
            "A date such as 03/04/2026 may be two. Which comes first in this file?",
            _ORDERS,
            f"dates-{key}",
        )
    if "account" in report.asks or answers.other_account:
        st.checkbox("The account is the utility's: take its statements too", key=f"account-{key}")
    if "meter" in report.asks or answers.meter:
        st.text_input("Serial of the meter that the file is of", key=f"meter-{key}")
    if "similar" in report.asks or answers.allow_similar:
        st.checkbox(
            "They are different: add what looks like a known one as well", key=f"similar-{key}"
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

    st.radio(question, list(options), index=None, key=key, horizontal=True, on_change=keep)


def show_report(report: ImportReport, look: FileLook, principal: Principal) -> None:
    """The report, from what matters most: what is wrong, else what would be added and changed."""
    for remark in report.remarks:
        st.info(escaped(remark.message), icon=":material/info:")
    if report.errors:
        _show_problems(report, principal)
    else:
        _show_counts(report)
        _show_differences(report)
    _show_rows(report, look)


def _show_counts(report: ImportReport) -> None:
    with st.grid(3, min_column_width=90) as grid:
        for label, number in (
            ("To be added", report.added),
            ("To be changed", report.changed),
            ("The same", report.unchanged),
        ):
            with grid.cell():
                st.metric(label, f"{number:,}")


def _show_problems(report: ImportReport, principal: Principal) -> None:
    wrong = report.errors
    way_out = "Correct the file and choose it again."
    if report.asks:
        way_out = "Answer what is asked above, or correct the file and choose it again."
    st.error(
        f"{count(len(wrong), 'problem')}; nothing was imported. {way_out}",
        icon=":material/error:",
    )
    st.table(
        [
            {
                "Row": "" if problem.row is None else f"{problem.row}",
                "Column": field_name(problem.column) if problem.column else "",
                "What is wrong": escaped(problem.message),
            }
            for problem in wrong[:_SHOWN]
        ],
        hide_index=True,
    )
    if len(wrong) > _SHOWN:
        st.caption(f"The first {_SHOWN} of {len(wrong):,}.")
        st.download_button(
            "All of them as CSV",
            data=_problems_file(report, principal),
            file_name="what-is-wrong.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _problems_file(report: ImportReport, principal: Principal) -> Callable[[], bytes]:
    return lambda: services().imports.problems_file(report.errors, principal=principal)


def _show_differences(report: ImportReport) -> None:
    if not report.differences:
        return
    st.subheader("What changes", anchor=False)
    st.table(
        [
            {
                "Which": escaped(found.name),
                "Field": field_name(found.field),
                "Before": escaped(found.before) or "–",
                "After": escaped(found.after) or "–",
            }
            for found in report.differences[:_SHOWN]
        ],
        hide_index=True,
    )
    if len(report.differences) > _SHOWN or len(report.differences) < report.changed:
        st.caption(f"The first {min(_SHOWN, len(report.differences))} changed fields.")


def _show_rows(report: ImportReport, look: FileLook) -> None:
    wrong = {problem.row for problem in report.errors}
    names = [
        field_name(field) if field else heading or "(no name)"
        for heading, field in zip(look.headings, look.fields, strict=True)
    ]
    rows = []
    for number, cells in look.rows:
        outcome = "Wrong" if number in wrong else _STATES.get(report.states.get(number, ""), "")
        first = {"Row": number, "Outcome": outcome}
        rows.append(first | dict(zip(names, cells, strict=False)))
    if not any(row["Outcome"] for row in rows):
        # Of readings and the like a row is not about one thing that is new or changed.
        rows = [{name: cell for name, cell in row.items() if name != "Outcome"} for row in rows]
    if look.format:
        return
    st.subheader("First rows", anchor=False)
    st.dataframe(rows, hide_index=True, width="stretch")
