"""What every record has: frozen, made from a row as the database answered it; and pages of them."""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")
# The value that a row is ordered by, as JSON has it, and the row's id.
Key = tuple[str | int, str]

# How far a list is counted: beyond that, counting would cost more than all else of a page.
COUNTED_TO: Final = 10_000
# Where it is looked for words, each of which may be in a table of its own.
FOUND_COUNTED_TO: Final = 1_000


class Record(BaseModel):
    """A row as the database answered it; columns that a record does not name are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


class Page(BaseModel, Generic[Item]):
    """Some rows of a longer list, and how long the list is."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    items: tuple[Item, ...]
    total: int


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which rows of an ordered list: those after a key, or those before it when `backwards`.

    Without a key the first rows, or the last when `backwards`.
    """

    sort: str
    descending: bool = False
    after: Key | None = None
    backwards: bool = False
    limit: int = 25
    counted_to: int = COUNTED_TO


@dataclass(frozen=True, slots=True)
class KeyPage(Generic[Item]):
    """The rows of a list between two keys, and whether others come before and after them.

    `total` is the length of the whole list, one more than it was counted to where it is longer,
    and None where nobody asked or it is not known. `is_part` says that the list was looked through
    for words only up to the last key, or the first one of a page that was walked backwards.
    """

    items: tuple[Item, ...]
    first: Key | None
    last: Key | None
    has_before: bool
    has_after: bool
    total: int | None
    counted_to: int = COUNTED_TO
    is_part: bool = False

    @property
    def is_counted(self) -> bool:
        """Whether it is known how long the list is."""
        return self.total is not None and self.total <= self.counted_to
