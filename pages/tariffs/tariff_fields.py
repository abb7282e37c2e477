"""The fields of a tariff's form: each shows one place of the draft and changes it there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped
from pages.tariffs.tariff_draft import WrittenDraft
from services.tariff_publishing.drafts import Draft
from services.tariff_publishing.edits import Edit, at, put
from services.tariff_publishing.json_text import Path, path_text
from services.tariff_publishing.typed import typed_number
from services.tariffs.describe import Fact

_Makes = Callable[[Any], Edit]
Visibility = Literal["visible", "hidden", "collapsed"]


@dataclass(frozen=True, slots=True)
class Form:
    """A draft as fields. What was typed is kept, right or wrong, with what is wrong beneath it."""

    written: WrittenDraft
    draft: Draft

    def value(self, *path: str | int) -> Any:
        """What the draft has at a place; None where it has nothing."""
        return at(self.draft.data, path)

    def text(
        self,
        path: Path,
        label: str,
        *,
        number: bool = False,
        optional: bool = False,
        label_visibility: Visibility = "visible",
        said: bool = True,
        makes: _Makes | None = None,
        **more: Any,
    ) -> None:
        """A text or, however it is printed, a number; an optional one that is empty is left out."""
        key, value = self._key(path), self.value(*path)
        st.session_state[key] = "" if value is None else str(value)

        def typed() -> None:
            text = str(st.session_state[key] or "").strip()
            text = typed_number(text) if number else text
            kept = None if optional and not text else text
            self.written.edit(makes(text) if makes else put(path, kept))

        st.text_input(
            label,
            key=key,
            autocomplete="off",
            label_visibility=label_visibility,
            on_change=typed,
            **more,
        )
        if said:
            self.say_wrong(path)

    def number(self, path: Path, label: str, **more: Any) -> None:
        """A number, as people print it."""
        self.text(path, label, number=True, **more)

    def choose(
        self,
        path: Path,
        label: str,
        options: Mapping[Any, str],
        makes: _Makes,
        *,
        value: Any = None,
        label_visibility: Visibility = "visible",
        help: str | None = None,  # noqa: A002 - as Streamlit calls it
    ) -> None:
        """One of some options, each with its words; another one that the draft has stays one."""
        value = self.value(*path) if value is None else value
        there = dict(options)
        # What else the draft has here can be kept, unless it is no text at all.
        if isinstance(value, str) and value:
            there = {value: value} | there
        key = self._key(path)
        known = isinstance(value, str | tuple) and value in there
        st.session_state[key] = value if known else None
        st.selectbox(
            label,
            list(there),
            # What has a value cannot be left without one.
            index=0 if known else None,
            key=key,
            format_func=lambda one: there.get(one, str(one)),
            placeholder=_("Choose"),
            label_visibility=label_visibility,
            help=help,
            on_change=lambda: self._chosen(key, makes),
        )
        self.say_wrong(path)

    def choose_many(self, path: Path, label: str, options: Mapping[str, str]) -> None:
        """Some of the options, in their order."""
        listed = self.value(*path)
        chosen = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
        there = dict(options) | {one: one for one in chosen if one not in options}
        key = self._key(path)
        st.session_state[key] = chosen
        st.multiselect(
            label,
            list(there),
            key=key,
            format_func=lambda one: there[one],
            placeholder=_("Choose"),
            on_change=lambda: self.written.edit(put(path, list(st.session_state[key]))),
        )
        self.say_wrong(path)
        for position in range(len(chosen)):
            self.say_wrong((*path, position))

    def tick(self, path: Path, label: str, *, on: Any = True, value: Any = None) -> None:
        """Whether the draft has `on` at a place; else the field is left out."""
        value = self.value(*path) if value is None else value
        key = self._key(path)
        st.session_state[key] = value == on
        st.checkbox(
            label,
            key=key,
            on_change=lambda: self.written.edit(put(path, on if st.session_state[key] else None)),
        )

    def day(self, path: Path, label: str, **more: Any) -> None:
        """A date; where what was written is none, a text to be put right."""
        try:
            value = date.fromisoformat(self.value(*path))
        except (TypeError, ValueError):
            self.text(path, label)
            return
        key = f"{self._key(path)}-date"
        st.session_state[key] = value

        def picked() -> None:
            chosen = st.session_state[key]
            self.written.edit(put(path, chosen.isoformat() if chosen else ""))

        st.date_input(label, key=key, format="YYYY-MM-DD", on_change=picked, **more)
        self.say_wrong(path)

    def act(self, label: str, edit: Edit, *, name: str, **more: Any) -> None:
        """A button that changes the draft."""
        st.button(
            label,
            key=f"{self.written.key}-{name}",
            on_click=self.written.edit,
            args=(edit,),
            type="tertiary",
            **more,
        )

    def menu(self, label: str, edits: Mapping[str, Edit], *, name: str, **more: Any) -> None:
        """A menu whose entries change the draft."""
        key = f"{self.written.key}-{name}"
        st.menu_button(
            label,
            list(edits),
            key=key,
            on_click=lambda: self._chosen(key, lambda chosen: edits[chosen]),
            **more,
        )

    def say_wrong(self, path: Path) -> None:
        """What is wrong with a field, in words, beneath it."""
        for sentence in self.draft.wrong_at(path):
            st.caption(f":red[{escaped(say(sentence))}]")

    def say_wrong_in(self, paths: Sequence[Path]) -> None:
        """What is wrong with the fields of a row."""
        for path in paths:
            self.say_wrong(path)

    def _key(self, path: Path) -> str:
        return f"{self.written.key}-{path_text(path)}"

    def _chosen(self, key: str, makes: _Makes) -> None:
        chosen = st.session_state.get(key)
        if chosen is not None:
            self.written.edit(makes(chosen))


def show_facts(facts: Sequence[Fact]) -> None:
    """What a form has no fields for, in words: it stays as it is."""
    if facts:
        said = " · ".join(
            f"{escaped(say(fact.label))}: {escaped(say(fact.text))}" for fact in facts
        )
        st.caption(_("Also: {facts}. It stays so; the JSON below can change it.", facts=said))
