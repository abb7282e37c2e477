"""What every record has: frozen, made from a row as the database answered it; and pages of them."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Record(BaseModel):
    """A row as the database answered it; columns that a record does not name are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


class Page(BaseModel, Generic[Item]):
    """Some rows of a longer list, and how long the list is."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    items: tuple[Item, ...]
    total: int
