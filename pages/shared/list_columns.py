"""What a list is made of: its columns, where its rows come from, and the page of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Generic, Literal, Protocol, TypeVar

from pages.registry import PageEntry
from pages.shared.format import Color
from services.lists.office_lists import FileKind
from services.records.base import KeyPage, PageRequest
from services.records.lists import ListFilter


class HasId(Protocol):
    """A row of a list."""

    @property
    def id(self) -> str:
        """What no other row has."""
        ...


Row = TypeVar("Row", bound=HasId)
Place = Literal["", "text", "title", "amount", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """A column: its text of a row, how the list is sorted by it, and its place on a card.

    `largest_first` is how a first click sorts; `flag` is said beside the text, unless empty.
    """

    label: str
    text: Callable[[Row], str]
    sort: str | None = None
    largest_first: bool = False
    right: bool = False
    place: Place = ""
    color: Callable[[Row], Color | None] = lambda _: None
    flag: Callable[[Row], str] = lambda _: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Row]):
    """A list of rows that have a page each, `page`; without a choice it is in the order `sort`.

    `summary` is what a card says beside title, amount and status, without what is empty of it.
    `asked` is what is looked for: another question begins at its first page. `file` makes a file of
    what fits, or of the rows chosen. `nothing` is said where there is no row at all.
    """

    noun: str
    page: PageEntry
    columns: Sequence[Column[Row]]
    summary: Callable[[Row], Sequence[str]]
    sort: str
    descending: bool
    asked: ListFilter
    fetch: Callable[[PageRequest], KeyPage[Row]]
    file: Callable[[PageRequest, FileKind, tuple[str, ...] | None], bytes]
    nothing: str = ""

    @property
    def is_narrowed(self) -> bool:
        """Whether something is looked for, beside whose rows they are."""
        return any(
            getattr(self.asked, one.name) != one.default
            for one in fields(self.asked)
            if one.name != "customer_id"
        )
