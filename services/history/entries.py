"""One change with what its words may draw on, and the shape of what is said of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from services.history import values
from services.languages.sentence import sentence
from services.records.details import Change

Page = Literal["bill", "payment", "customer", "meter", "service_point"]
# A page, and the id of what it shows.
Link = tuple[Page, str]
# Said by nothing else than that the change is there, or of no use to people.
_UNSAID: Final = frozenset(
    ("id", "created_at", "updated_at", "created_by", "written_by", "recorded_by", "submitted_by")
)


@dataclass(frozen=True, slots=True)
class Detail:
    """What changed, in words: a label, what it was and what it is; empty where there is none."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A change in words, Sentences where they are ours; `link` leads to what it is about."""

    what: str
    more: str = ""
    details: tuple[Detail, ...] = ()
    link: Link | None = None


def link_to(page: Page, page_id: object) -> Link | None:
    """The way to a thing; None where nothing is named."""
    return (page, str(page_id)) if page_id else None


@dataclass(frozen=True, slots=True)
class NamedChange:
    """A change, the names of what it mentions, and the zone that its times are written in."""

    change: Change
    names: Mapping[str, str]
    zone: ZoneInfo

    @property
    def is_new(self) -> bool:
        """Whether the row came to be with it."""
        return self.change.action == "insert"

    @property
    def row(self) -> dict[str, Any]:
        """All that is known of the row after the change."""
        return {**(self.change.inserted or {}), **self.change.after}

    def changed(self, *columns: str) -> bool:
        """Whether an update changed any of these columns."""
        return not self.is_new and any(column in self.change.after for column in columns)

    def value(self, column: str) -> Any:
        """A column's value after the change; None where there is none."""
        return self.row.get(column)

    def shown(self, column: str) -> str:
        """A column's value as people write it, empty where there is none."""
        return self._words(column, self.value(column))

    def name(self, column: str) -> str:
        """What people call the thing that a column points to, empty where nobody knows."""
        return self.names.get(str(self.value(column) or ""), "")

    def details(
        self, labels: Mapping[str, str] | None = None, *, without: tuple[str, ...] = ()
    ) -> tuple[Detail, ...]:
        """What an update changed, by the labels given first, and what else it changed."""
        labels = labels or {}
        columns = [*labels, *(column for column in self.change.after if column not in labels)]
        found = (
            Detail(
                self._label(column, labels),
                self._words(column, self.change.before.get(column)),
                self._words(column, self.change.after.get(column)),
            )
            for column in columns
            if column in self.change.after and column not in _UNSAID and column not in without
        )
        return tuple(one for one in found if one.before != one.after)

    def facts(
        self, labels: Mapping[str, str] | None = None, *, without: tuple[str, ...] = ()
    ) -> tuple[Detail, ...]:
        """What a new row says, by the labels given first."""
        labels = labels or {}
        columns = [*labels, *(column for column in self.change.after if column not in labels)]
        found = (
            Detail(
                self._label(column, labels),
                "",
                self._words(column, self.change.after.get(column)),
            )
            for column in columns
            if column not in _UNSAID and column not in without
        )
        return tuple(one for one in found if one.after)

    def text(self, column: str) -> str:
        """A column's text as it was typed, empty where there is none."""
        return str(self.value(column) or "")

    @staticmethod
    def _label(column: str, labels: Mapping[str, str]) -> str:
        return sentence(labels[column]) if column in labels else values.label_of(column)

    def _words(self, column: str, value: Any) -> str:
        return values.in_words(
            column, value, currency=self.value("currency"), names=self.names, zone=self.zone
        )


Words = Callable[[NamedChange], Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a timeline shows of a change: when (UTC), by whom, of which kind, and its words."""

    at: datetime
    by: str
    kind: str
    key: tuple[str, str]
    said: Said
