"""Any transport, with a line in the log for what took long or could not be asked."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from services.database.transport import (
    DatabaseError,
    DatabaseRefused,
    Filter,
    Selection,
    Transport,
)

log = logging.getLogger(__name__)

SLOW_SECONDS: Final = 1.0


class WatchedTransport:
    """Passes everything on; what is logged is the name of the function or view, and no value."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def select(
        self,
        view: str,
        *,
        filters: Sequence[Filter] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        count: bool = False,
    ) -> Selection:
        """See Transport.select."""
        with _watched(view):
            return self._transport.select(
                view, filters=filters, order=order, limit=limit, offset=offset, count=count
            )

    def call(
        self, function: str, params: Mapping[str, Any], *, seconds: float | None = None
    ) -> Any:
        """See Transport.call."""
        with _watched(function):
            return self._transport.call(function, params, seconds=seconds)

    def close(self) -> None:
        """See Transport.close."""
        self._transport.close()


@contextmanager
def _watched(what: str) -> Iterator[None]:
    began = time.monotonic()
    failed = ""
    try:
        yield
    except DatabaseRefused:
        # A rule said no: whoever asked says so to their caller.
        raise
    except DatabaseError as error:
        failed = error.code
        raise
    finally:
        seconds = time.monotonic() - began
        said = {"sql": what, "ms": round(seconds * 1000), "storm": what}
        if failed:
            log.warning("%s could not be asked: %s", what, failed, extra=said)
        elif seconds > SLOW_SECONDS:
            log.warning("%s took %.1f s", what, seconds, extra=said)
