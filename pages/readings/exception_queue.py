"""Flagged readings one after another: after each decision the next one."""

from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.readings.exception_card import show_exception
from pages.readings.exception_decision import Decision, say_next
from pages.readings.exception_words import cause_words, route_words
from pages.shared.format import count, escaped, kwh, money
from pages.shared.session import services
from services.identity.auth import Principal
from services.records.submissions import FlaggedReading, FlaggedReadings

_CURRENT: Final = "exceptions-current"
_SKIPPED: Final = "exceptions-skipped"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which flagged readings are looked at: of a cause, of a route; None for all."""

    cause: str | None
    route: str | None

    def found(self, principal: Principal, *, limit: int) -> FlaggedReadings:
        """Those readings, the most at stake first, and skipped ones last."""
        return services().reading_exceptions.queue(
            principal=principal,
            limit=limit,
            cause=self.cause,
            route=self.route,
            skipped=st.session_state.get(_SKIPPED, []),
        )


def ask_filter(principal: Principal) -> Chosen | None:
    """The filters, with how many there are of each; None where nothing waits at all."""
    of_all = Chosen(None, None).found(principal, limit=0)
    if not of_all.ranked:
        st.success("No reading waits for a decision.", icon=":material/check_circle:")
        return None
    with st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            cause = _choice("Cause", of_all.causes, "Every cause")
        with grid.cell():
            route = _choice("Route", of_all.routes, "Every route")
    return Chosen(cause, route)


def show_next(chosen: Chosen, principal: Principal) -> None:
    """How many are left, the reading that is next, and the decision on it."""
    found = chosen.found(principal, limit=1)
    if not found.items:
        st.success("Nothing of this kind waits any more.", icon=":material/check_circle:")
        return
    current = st.session_state.setdefault(_CURRENT, found.items[0].reading.id)
    seen = services().readings.under_review(reading_id=current, principal=principal)
    if seen.context is None:
        # Somebody else decided meanwhile.
        _go_on()
        st.rerun()
    _show_progress(found, found.items[0])
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_exception(seen.reading, seen.context, principal)
    with right, st.container(border=True):
        Decision(seen.reading, seen.context.meter, principal, _done, _skip).ask()


def at_stake(item: FlaggedReading) -> str:
    """How much is at stake, in money where it is known."""
    if item.at_stake_minor is None or item.currency is None:
        return kwh(item.at_stake_wh)
    return money(item.at_stake_minor, item.currency)


def start_over() -> None:
    """Another filter, another order: begin with the first again."""
    st.session_state.pop(_CURRENT, None)


def _choice(label: str, numbers: dict[str, int], every: str) -> str | None:
    """One of those that there are, the most frequent first."""
    key = f"exceptions-{label.lower()}"
    words = cause_words if label == "Cause" else route_words
    options = sorted(numbers, key=lambda name: (-numbers[name], words(name)))
    kept = st.session_state.get(key)
    if kept is not None and kept not in options:
        options.append(kept)
    return st.selectbox(
        label,
        options,
        index=None,
        placeholder=every,
        format_func=lambda name: f"{words(name)} ({numbers.get(name, 0):,})",
        on_change=start_over,
        key=key,
    )


def _show_progress(found: FlaggedReadings, item: FlaggedReading) -> None:
    left = f"**{found.total:,} left**"
    if item.reading.id == st.session_state[_CURRENT]:
        left += f" · about {escaped(at_stake(item))} at stake"
    if skipped := len(st.session_state.get(_SKIPPED, [])):
        left += f" · {count(skipped, 'reading')} skipped, at the end"
    st.markdown(left)


def _done(said: str) -> None:
    say_next(said)
    _go_on()
    st.rerun()


def _skip() -> None:
    current = st.session_state.get(_CURRENT)
    skipped = [one for one in st.session_state.get(_SKIPPED, []) if one != current]
    st.session_state[_SKIPPED] = [*skipped, current]
    start_over()


def _go_on() -> None:
    current = st.session_state.get(_CURRENT)
    st.session_state[_SKIPPED] = [o for o in st.session_state.get(_SKIPPED, []) if o != current]
    start_over()
