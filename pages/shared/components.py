"""Pieces that several pages show: status badges, page numbers, the thirteen steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.languages.words import _, say
from pages.shared.format import Color, escaped
from pages.shared.list_filters import ask_status, ask_text
from services.outbox.steps import STEP_NAMES, StepOutcome
from services.records.base import COUNTED_TO
from services.records.outbox import StepStatus

_STEP_ICONS: Final[dict[StepStatus, str]] = {
    "done": ":green[:material/check_circle:]",
    "running": ":blue[:material/sync:]",
    "pending": ":orange[:material/schedule:]",
    "skipped": ":gray[:material/do_not_disturb_on:]",
    "failed": ":red[:material/error:]",
}
_NOT_BEGUN: Final = ":gray[:material/radio_button_unchecked:]"
_LONG: Final = 30
Status = TypeVar("Status")


def status_badge(status: str, names: dict[str, tuple[str, Color]]) -> None:
    """A status as people call it, in its colour; the words alone say it too."""
    label, color = names.get(status, (status, "gray"))
    st.badge(_(label), color=color)


def search_and_status(
    placeholder: str, status_of: Mapping[str, Status]
) -> tuple[str, Status | None]:
    """What to look for in a list; each filter is part of the address, so it can be linked to."""
    with st.grid(3, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell(column_span=2):
            text = ask_text(placeholder)
        with grid.cell():
            status = ask_status(status_of)
    return text, status


def page_number(*, total: int, page_size: int, key: str) -> int:
    """The page people are on, from page numbers that show only when there are several."""
    # A longer list is neither counted nor walked to its end.
    pages = max(1, -(-min(total, COUNTED_TO) // page_size))
    if pages == 1:
        return 1
    # The list above may have become shorter since the page was chosen.
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = pages
    return st.pagination(pages, key=key, max_visible_pages=5)


def chosen_page(key: str) -> int:
    """The page that `page_number` with this key was last set to."""
    return int(st.session_state.get(key, 1))


def doubts_of(validation: Mapping[str, Any]) -> list[str]:
    """What speaks against a reading, in the language of the visit: the rules, and AI's doubt."""
    rules = validation.get("rules", [])
    doubts = [say(rule["message"]) for rule in rules if rule["outcome"] in ("review", "warn")]
    ai = validation.get("ai") or {}
    return [*doubts, ai_opinion(ai)] if ai.get("verdict") == "suspicious" else doubts


def ai_opinion(ai: Mapping[str, Any]) -> str:
    """What AI thinks of a reading, from its verdict as it is kept."""
    if ai["verdict"] == "suspicious":
        sure = _("AI finds it suspicious ({percent}% sure)", percent=ai["confidence"])
    else:
        sure = _("AI finds it plausible ({percent}% sure)", percent=ai["confidence"])
    return f"{sure}: {' '.join(ai['reasons'])}" if ai["reasons"] else f"{sure}."


def description_list(pairs: Iterable[tuple[str, str]], *, least_width: int = 150) -> None:
    """Labels with their values, side by side where there is room; values are shown as they are."""
    with st.grid("auto", min_column_width=least_width, gap=("small", "medium")) as grid:
        for label, value in pairs:
            with grid.cell(), st.container(gap=None):
                st.caption(label)
                st.markdown(escaped(value) if value else "–")


class LiveSteps:
    """The thirteen steps as a list that is written again as each one begins and ends."""

    def __init__(self) -> None:
        self._places: dict[int, DeltaGenerator] = {}
        with st.container(gap="xsmall"):
            for step in STEP_NAMES:
                self._places[step] = st.empty()
                self._places[step].markdown(f"{_NOT_BEGUN} {_(STEP_NAMES[step])}")

    def __call__(self, outcome: StepOutcome) -> None:
        """Show how a step stands."""
        self._places[outcome.step].markdown(_step_line(outcome))


def show_steps(outcomes: Sequence[StepOutcome]) -> None:
    """How the steps came out, one under the other; a long reason is given once."""
    given: set[str] = set()
    with st.container(gap="xsmall"):
        for outcome in outcomes:
            again = outcome.detail in given and len(outcome.detail) > _LONG
            st.markdown(_step_line(replace(outcome, detail="") if again else outcome))
            given.add(outcome.detail)


def _step_line(outcome: StepOutcome) -> str:
    said = ": ".join(filter(None, (say(outcome.state), escaped(say(outcome.detail)))))
    detail = f" — :gray[:small[{said}]]" if said else ""
    return f"{_STEP_ICONS[outcome.status]} {_(STEP_NAMES[outcome.step])}{detail}"
