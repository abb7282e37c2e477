"""HTTP calls that end in time, however slowly their answer's bytes drip in.

A timeout of the socket starts again with each byte. So a thread of the process looks after all
calls that are under way, and cuts the connection of one whose time is over.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_LOOK_SECONDS: Final = 0.1


@dataclass
class LimitedCall:
    """A call of one thread; `cut` says that its time was over before it ended."""

    ends_at: float
    connection: socket.socket | None = None
    cut: bool = False


class TimeLimits:
    """The calls that are under way, one a thread at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, LimitedCall] = {}
        self._watches = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[LimitedCall]:
        """Cut the connection that this thread uses in the block, if it lasts longer."""
        call, thread = LimitedCall(time.monotonic() + seconds), threading.get_ident()
        with self._lock:
            self._calls[thread] = call
            if not self._watches:
                self._watches = True
                threading.Thread(target=self._watch, name="time-limits", daemon=True).start()
        try:
            yield call
        finally:
            with self._lock:
                del self._calls[thread]

    def uses(self, connection: socket.socket | None) -> None:
        """The thread's call waits for an answer on a connection from now on."""
        with self._lock:
            call = self._calls.get(threading.get_ident())
            if call is not None:
                call.connection = connection

    def _watch(self) -> None:
        """Look at the calls until there is none."""
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                if not self._calls:
                    self._watches = False
                    return
                now = time.monotonic()
                for call in self._calls.values():
                    if call.ends_at <= now and call.connection is not None and not call.cut:
                        call.cut = True
                        with suppress(OSError):
                            call.connection.shutdown(socket.SHUT_RDWR)


time_limits: Final = TimeLimits()


class _Connection(HTTPConnection):
    def getresponse(self) -> Any:
        time_limits.uses(self.sock)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        time_limits.uses(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class LimitedAdapter(HTTPAdapter):
    """For a `requests.Session` whose calls are made within `time_limits`, by so many threads."""

    def __init__(self, *, threads: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=threads)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As inherited, with connections that can be cut."""
        super().init_poolmanager(*args, **kwargs)
        _watch_connections_of(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As inherited, with connections that can be cut."""
        manager = super().proxy_manager_for(*args, **kwargs)
        _watch_connections_of(manager)
        return manager


def _watch_connections_of(manager: Any) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
