"""The drafts of one visit: one for each version it started from, kept until it is published."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import streamlit as st

from pages.shared.session import today
from services.quantities.period import next_month
from services.records.tariffs import PublishedVersion, TariffSummary
from services.tariff_publishing.edits import Edit, edited
from services.tariff_publishing.json_text import pretty

_DRAFTS = "tariff-drafts"


@dataclass(frozen=True, slots=True)
class Start:
    """What a draft starts from: a version of a tariff, or nothing; `corrects` keeps its date."""

    version: PublishedVersion | None
    tariff: TariffSummary | None
    corrects: bool = False

    @property
    def key(self) -> str:
        """The name of the draft that starts here."""
        if self.version is None:
            return "new"
        return f"correct-{self.version.id}" if self.corrects else self.version.id

    def text(self) -> str:
        """The JSON to begin with, none for a new tariff; a version's holds from its next date."""
        if self.version and self.corrects:
            return pretty(self.version.tariff.to_json())
        if self.version is None or self.tariff is None:
            return ""
        begins = next_free_date(self.tariff, on=today())
        definition = self.version.tariff.to_json()
        return pretty(definition | {"effective_from": begins.isoformat()})


@dataclass(frozen=True, slots=True)
class WrittenDraft:
    """A draft of this visit. Its text is kept apart from the widgets, which come and go."""

    start: Start

    @property
    def key(self) -> str:
        """The name of this draft."""
        return self.start.key

    @property
    def text(self) -> str:
        """The JSON as it was written last; empty until a new tariff was begun."""
        return str(self._kept()["text"])

    @property
    def usable(self) -> str:
        """The JSON as it was when it last was a tariff that can be used; empty before."""
        return str(self._kept()["usable"])

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the file that it was made of has, and the draft has not."""
        return tuple(self._kept()["remarks"])

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        kept = self._kept()
        return bool(kept["text"] != kept["began"])

    def begin(self, definition: Mapping[str, Any]) -> None:
        """Begin a new tariff with a template or a copy."""
        text = pretty(dict(definition))
        self._kept().update(text=text, began=text, usable="", remarks=())

    def write(self, text: str, *, remarks: tuple[str, ...] | None = None) -> None:
        """Keep another text."""
        self._kept()["text"] = text
        if remarks is not None:
            self._kept()["remarks"] = remarks

    def edit(self, edit: Edit) -> None:
        """Change what a field of the form is about."""
        self.write(edited(self.text, edit))

    def keep_usable(self) -> None:
        """The text as it stands is a tariff that can be used."""
        self._kept()["usable"] = self.text

    def start_over(self) -> None:
        """Throw away what was written."""
        _drafts().pop(self.key, None)

    def _kept(self) -> dict[str, Any]:
        if self.key not in _drafts():
            text = self.start.text()
            _drafts()[self.key] = {"text": text, "began": text, "usable": "", "remarks": ()}
        kept: dict[str, Any] = _drafts()[self.key]
        return kept


def draft_of(start: Start) -> WrittenDraft:
    """The draft of this visit that starts here, begun now if there is none."""
    return WrittenDraft(start)


def next_free_date(tariff: TariffSummary, *, on: date) -> date:
    """The first of a coming month on which a version of a tariff can begin."""
    begins = next_month(on)
    while begins < (tariff.billed_until or begins) or begins in tariff.begins:
        begins = next_month(begins)
    return begins


def _drafts() -> dict[str, Any]:
    drafts: dict[str, Any] = st.session_state.setdefault(_DRAFTS, {})
    return drafts
