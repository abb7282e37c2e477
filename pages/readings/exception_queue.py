"""Flagged readings one after another: after each decision the next one."""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

import streamlit as st

from pages.languages.words import _, ngettext
from pages.readings.exception_card import show_exception
from pages.readings.exception_decision import Decision, say_next
from pages.readings.exception_words import cause_words, route_words
from pages.shared.format import escaped, grouped, kwh, money
from pages.shared.session import services
from services.identity.auth import Principal
from services.readings.exceptions import RANKED_TO
from services.records.submissions import FlaggedReading, FlaggedReadings

# On a phone the decision stands below the reading: the next reading is to be seen first.
_TO_THE_TOP: Final = (
    "<script>/* {} */ document.querySelector('[data-testid=stMain]').scrollTo(0, 0)</script>"
)
_CURRENT: Final = "exceptions-current"
_SKIPPED: Final = "exceptions-skipped"
_CAUSE: Final = "exceptions-cause"
_ROUTE: Final = "exceptions-route"


def found_with(principal: Principal, *, limit: int) -> FlaggedReadings:
    """What the filters let through, the most at stake first, and skipped ones last."""
    return services().reading_exceptions.queue(
        principal=principal,
        limit=limit,
        cause=chosen_cause(),
        route=st.session_state.get(_ROUTE),
        skipped=st.session_state.get(_SKIPPED, []),
    )


def chosen_cause() -> str | None:
    """The cause whose readings are looked at; None for every one."""
    cause: str | None = st.session_state.get(_CAUSE)
    return cause


def ask_filter(found: FlaggedReadings) -> None:
    """The filters, with how many readings there are of each."""
    with st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            _choice(_("Cause"), found.causes, cause_words, every=_("Every cause"), key=_CAUSE)
        with grid.cell():
            _choice(_("Route"), found.routes, route_words, every=_("Every route"), key=_ROUTE)


def show_next(found: FlaggedReadings, principal: Principal) -> None:
    """How many are left, the reading that is next, and the decision on it."""
    if _CURRENT not in st.session_state:
        st.session_state[_CURRENT] = found.items[0].reading.id
        st.html(_TO_THE_TOP.format(uuid4()), unsafe_allow_javascript=True, width="content")
    current = st.session_state[_CURRENT]
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
        Decision(seen.reading, seen.context, principal, _done, _skip).ask()


def at_stake(item: FlaggedReading) -> str:
    """How much is at stake, in money where it is known; nothing where no use tells of any."""
    if item.at_stake_minor is None or item.currency is None:
        return kwh(item.at_stake_wh) if item.at_stake_wh else ""
    return money(item.at_stake_minor, item.currency) if item.at_stake_minor else ""


def start_over() -> None:
    """Another filter, another order: begin with the first again."""
    st.session_state.pop(_CURRENT, None)


def _choice(
    label: str,
    numbers: Mapping[str, int],
    words: Callable[[str], str],
    *,
    every: str,
    key: str,
) -> None:
    """One of those that there are, the most frequent first."""
    options = sorted(numbers, key=lambda name: (-numbers[name], words(name)))
    kept = st.session_state.get(key)
    if kept is not None and kept not in options:
        options.append(kept)
    st.selectbox(
        label,
        options,
        index=None,
        placeholder=every,
        format_func=lambda name: f"{words(name)} ({grouped(str(numbers.get(name, 0)))})",
        on_change=start_over,
        key=key,
    )


def _show_progress(found: FlaggedReadings, item: FlaggedReading) -> None:
    if found.ranked >= RANKED_TO:
        said = [ngettext("**More than {count} left**", "**More than {count} left**", found.total)]
    else:
        said = [ngettext("**{count} left**", "**{count} left**", found.total)]
    stake = at_stake(item)
    if stake and item.reading.id == st.session_state[_CURRENT]:
        said.append(_("about {stake} at stake", stake=escaped(stake)))
    if skipped := len(st.session_state.get(_SKIPPED, [])):
        said.append(
            ngettext(
                "{count} reading skipped, at the end",
                "{count} readings skipped, at the end",
                skipped,
            )
        )
    st.markdown(" · ".join(said))


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
