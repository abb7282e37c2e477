"""The ids of what is under way, which every line of the log carries; never a person's data."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

# In the order in which a line shows them.
ID_NAMES: Final = ("request_id", "job_run", "meter", "bill", "actor")
_LONGEST: Final = 100

_ids: ContextVar[Mapping[str, str]] = ContextVar("ids_in_the_log", default=MappingProxyType({}))


@contextmanager
def bound(**ids: str | None) -> Iterator[None]:
    """Let lines of this thread carry ids, by names of ID_NAMES, until the block ends."""
    token = _ids.set({**_ids.get(), **_usable(ids)})
    try:
        yield
    finally:
        _ids.reset(token)


def bind(**ids: str | None) -> None:
    """Let lines of this thread carry ids from now on, beside those that it has."""
    _ids.set({**_ids.get(), **_usable(ids)})


def begin(**ids: str | None) -> None:
    """Forget what an earlier piece of work on this thread left, and begin with these ids."""
    _ids.set(_usable(ids))


def current_ids() -> Mapping[str, str]:
    """The ids that lines of this thread carry now."""
    return _ids.get()


def _usable(ids: Mapping[str, str | None]) -> dict[str, str]:
    unknown = ids.keys() - set(ID_NAMES)
    if unknown:
        raise ValueError(f"The log knows no id named {', '.join(sorted(unknown))}.")
    return {name: value[:_LONGEST] for name, value in ids.items() if value}
