"""Choices that are in the address, by a word that is the same in every language.

Streamlit's own binding puts what people read into the address: a link between two people of
different languages would then open something else.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.languages.words import language
from services.languages.language import ENGLISH_LANGUAGE, Language

Option = TypeVar("Option")
# A choice as people read it in a language.
SaidIn = Callable[[Language, Option], str]

# What was chosen on each page, and what the address had as a page was drawn last.
_KEPT: Final = "choices-of-pages"
_SEEN: Final = "choices-in-address"
_BETWEEN_WORDS: Final = re.compile(r"[^a-z0-9]+")


def slug(text: str) -> str:
    """An English text as an address has it: "Could not be read" is could-not-be-read."""
    return _BETWEEN_WORDS.sub("-", text.lower()).strip("-")


def month_slug(first: date) -> str:
    """A month as an address has it: 2026-11."""
    return f"{first:%Y-%m}"


def segments(
    label: str, options: Sequence[str], *, key: str, said: SaidIn[str] = Language.gettext
) -> str:
    """One of some texts of the catalogues, side by side; the first is the default one."""
    changed, spoken = _read(key, options, options[0], said, slug), language()
    chosen = st.segmented_control(
        label,
        options,
        format_func=lambda option: said(spoken, option),
        required=True,
        label_visibility="collapsed",
        key=key,
        on_change=changed,
    )
    return chosen or options[0]


def select(
    label: str,
    options: Sequence[Option],
    *,
    key: str,
    said: SaidIn[Option],
    slug_of: Callable[[Option], str],
    default: Option | None = None,
    then: Callable[[], None] | None = None,
    **more: Any,
) -> Option | None:
    """One of a list; without a `default` it may be none. `then` is called after another choice.

    Other arguments are those of `st.selectbox`.
    """
    changed, spoken = _read(key, options, default, said, slug_of), language()

    def chosen() -> None:
        changed()
        if then is not None:
            then()

    found: Option | None = st.selectbox(
        label,
        options,
        # An index that is not the first would be a second default beside the state's.
        index=None if default is None else 0,
        format_func=lambda option: said(spoken, option),
        key=key,
        on_change=chosen,
        **more,
    )
    return found


def select_text(label: str, options: Sequence[str], *, key: str, **more: Any) -> str | None:
    """One of some texts of the catalogues, or none."""
    return select(label, options, key=key, said=Language.gettext, slug_of=slug, **more)


def select_name(label: str, options: Sequence[str], *, key: str, **more: Any) -> str | None:
    """One of some names, such as codes and serials, which no language changes."""
    return select(label, options, key=key, said=lambda _, name: name, slug_of=str, **more)


def _read(
    key: str,
    options: Sequence[Option],
    default: Option | None,
    said: SaidIn[Option],
    slug_of: Callable[[Option], str],
) -> Callable[[], None]:
    """Have the widget `key`, which is drawn next, show what the address says.

    Without a word there, a page shows what was chosen on it last, unless somebody went back in the
    browser. The answer writes into the address what was chosen.
    """
    run = get_script_run_ctx(suppress_warning=True)
    page = run.page_script_hash if run else ""
    seen: dict[str, tuple[str, str | None]] = st.session_state.setdefault(_SEEN, {})
    kept: dict[tuple[str, str], Option | None] = st.session_state.setdefault(_KEPT, {})
    asked = st.query_params.get(key)
    shown_on, had = seen.get(key, ("", None))
    begins = key not in st.session_state or shown_on != page
    if begins and asked is None and not (run and run.is_history_navigation):
        st.session_state[key] = kept.get((page, key), default)
        _write(key, st.session_state[key], default, slug_of)
    elif begins or asked != had:
        st.session_state[key] = _meant(asked, options, said, slug_of) or default
    # What was chosen may be gone meanwhile.
    if st.session_state[key] is not None and st.session_state[key] not in options:
        st.session_state[key] = default
    kept[page, key] = st.session_state[key]
    seen[key] = page, st.query_params.get(key)

    def changed() -> None:
        kept[page, key] = st.session_state[key]
        _write(key, st.session_state[key], default, slug_of)
        seen[key] = page, st.query_params.get(key)

    return changed


def _meant(
    asked: str | None,
    options: Sequence[Option],
    said: SaidIn[Option],
    slug_of: Callable[[Option], str],
) -> Option | None:
    """The option that an address means: by its word, or as people read it, as addresses once had
    it; None where it means none."""
    if asked is None:
        return None
    for option in options:
        if asked in (slug_of(option), said(ENGLISH_LANGUAGE, option), said(language(), option)):
            return option
    return None


def _write(
    key: str, chosen: Option | None, default: Option | None, slug_of: Callable[[Option], str]
) -> None:
    """Put a choice into the address; the default one is not in it."""
    if chosen is None or chosen == default:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != slug_of(chosen):
        st.query_params[key] = slug_of(chosen)
