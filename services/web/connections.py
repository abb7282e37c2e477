"""Limits on what one client can hold open: connections, half-sent headers, half-sent bodies.

Uvicorn ends a connection that idles between two requests, but waits without end for the rest of a
request that has begun. No ASGI app sees such a connection, so the limits hang on uvicorn's own
protocol: each new connection is admitted here, and all of them are looked at once a second.

Behind a reverse proxy that is trusted (TRUSTED_PROXY, or what uvicorn trusts by itself) every
connection has the proxy's address, which says nothing of the client: there only the total counts.
"""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from services.web.heads import HeadLimits

if sys.platform != "win32":
    import resource

HEADER_SECONDS: Final = 10.0
# Longer than the API waits itself: a photograph or a file of 20 MB may come from a slow phone.
BODY_SECONDS: Final = 120.0
# For a client that does not read what it asked for.
STALLED_SECONDS: Final = 60.0
MOST_CONNECTIONS: Final = 4096
# An office of 30 people behind one address holds some 200.
MOST_PER_ADDRESS: Final = 256
# From a browser to us: clicks and what is typed. Streamlit's own limit is 200 MB, for anybody.
LARGEST_MESSAGE: Final = 2 * 1024 * 1024
FILES_WANTED: Final = 16_384
_FILES_FOR_THE_REST: Final = 512  # The database, the graph, files, providers.
_FEWEST_CONNECTIONS: Final = 64

_log = logging.getLogger(__name__)


def raise_file_limit() -> int:
    """Raise the limit on open files as far as is allowed and useful; return what holds now."""
    if sys.platform == "win32":
        return FILES_WANTED  # It has no such limit.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return FILES_WANTED if soft == resource.RLIM_INFINITY else soft


def address_group(address: str) -> str | None:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one.

    None for loopback and for what is no address: a proxy on this machine, or a local program.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    if ip.is_loopback:
        return None
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))


class ConnectionLimits:
    """Admits connections to this process's server, and ends those that stand still."""

    def __init__(self, *, files: int, proxies: str | None = None) -> None:
        """`proxies` is who may name clients instead of those that uvicorn believes; "" is nobody.

        Then nothing is taken up here: uvicorn's middleware would hide who the peer is.
        """
        self._proxies = proxies
        self._most = max(_FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, files - _FILES_FOR_THE_REST))
        self._open: set[Any] = set()
        # What each connection waits for, and since when.
        self._waiting: dict[Any, tuple[object, float]] = {}

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Hold the limits on every connection that uvicorn accepts inside the block."""
        accept = AutoHTTPProtocol.connection_made

        def connection_made(protocol: Any, transport: Any) -> None:
            accept(protocol, transport)
            self._admit(protocol)

        receive = AutoHTTPProtocol.data_received
        heads = HeadLimits(receive, end=_end)

        def data_received(protocol: Any, data: bytes) -> None:
            heads.receive(protocol, data)

        # Streamlit makes uvicorn's configuration, and lets nobody choose the protocol's class.
        setattr(AutoHTTPProtocol, "connection_made", connection_made)  # noqa: B010
        setattr(AutoHTTPProtocol, "data_received", data_received)  # noqa: B010
        looking = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            looking.cancel()
            setattr(AutoHTTPProtocol, "connection_made", accept)  # noqa: B010
            setattr(AutoHTTPProtocol, "data_received", receive)  # noqa: B010

    def _admit(self, protocol: Any) -> None:
        self._open = protocol.server_state.connections
        if self._proxies is not None:
            protocol.config.forwarded_allow_ips = self._proxies
            # Its middleware stands around the app already, and believes loopback.
            protocol.config.loaded_app.trusted_hosts = _NOBODY
        # Read when a connection becomes a WebSocket; only messages to us are limited by it.
        protocol.config.ws_max_size = LARGEST_MESSAGE
        self._waiting[protocol] = (("header", None), time.monotonic())
        group = _group_of(protocol)
        if group is not None and self._count(group) > MOST_PER_ADDRESS:
            _end(protocol)
        elif len(self._open) > self._most:
            # Whoever has kept a request unfinished the longest goes first, perhaps this one.
            _end(self._longest_unfinished() or protocol)

    def _count(self, group: str) -> int:
        return sum(_group_of(one) == group for one in self._open)

    def _longest_unfinished(self) -> Any:
        unfinished = (p for p in self._open if _phase(p)[0] in {"header", "body"})
        return min(unfinished, key=lambda p: self._waiting.get(p, (None, 0.0))[1], default=None)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(1)
            try:
                self._look(list(self._open), time.monotonic())
            except Exception:
                # Without this task the limits in time would be gone.
                _log.exception("The connections could not be looked at.")

    def _look(self, protocols: Iterable[Any], now: float) -> None:
        before, self._waiting = self._waiting, {}
        for protocol in protocols:
            phase = _phase(protocol)
            was, since = before.get(protocol, (phase, now))
            if was != phase:
                since = now
            self._waiting[protocol] = (phase, since)
            if now - since > _SECONDS.get(phase[0], float("inf")):
                _end(protocol)


_SECONDS: Final = {"header": HEADER_SECONDS, "body": BODY_SECONDS, "stalled": STALLED_SECONDS}


def _phase(protocol: Any) -> tuple[str, object]:
    """What a connection waits for; unequal as soon as it has got on."""
    unread = 0 if protocol.transport is None else protocol.transport.get_write_buffer_size()
    if unread:
        return "stalled", unread
    if not hasattr(protocol, "cycle"):
        return "websocket", None  # Its pings end it.
    cycle = protocol.cycle
    if cycle is None:
        return "header", None
    if cycle.response_complete:
        return "header", id(cycle)
    return ("body" if cycle.more_body else "answer"), id(cycle)


def _group_of(protocol: Any) -> str | None:
    client = protocol.client
    if client is None:
        return None
    allowed = protocol.config.forwarded_allow_ips
    return _group(client[0], allowed if isinstance(allowed, str) else ",".join(allowed))


@functools.lru_cache(maxsize=2 * MOST_CONNECTIONS)
def _group(address: str, proxies: str) -> str | None:
    # Uvicorn's own list of proxies to believe; it never calls the app here.
    trusted = ProxyHeadersMiddleware(_no_app, proxies).trusted_hosts
    return None if address in trusted else address_group(address)


async def _no_app(*_: object) -> None:
    raise NotImplementedError


def _end(protocol: Any) -> None:
    # Not close(): that would first wait for the client to read the rest.
    protocol.transport.abort()


_NOBODY: Final = ProxyHeadersMiddleware(_no_app, []).trusted_hosts
