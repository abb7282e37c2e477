"""What counts as one client, and which connection has to go."""

import resource
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from services.web import connections
from services.web.connections import ConnectionLimits, address_group, raise_file_limit


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("testclient", None),
    ],
)
def test_what_counts_as_one_client(address: str, group: str | None) -> None:
    assert address_group(address) == group


class Transport:
    def __init__(self) -> None:
        self.ended = False
        self.unread = 0

    def abort(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return self.unread


@dataclass(eq=False)
class Connection:
    client: tuple[str, int]
    cycle: Any
    server_state: Any
    config: Any = field(
        default_factory=lambda: SimpleNamespace(
            forwarded_allow_ips="127.0.0.1,10.0.0.7",
            loaded_app=ProxyHeadersMiddleware(lambda *_: None, "127.0.0.1"),  # type: ignore[arg-type]
        )
    )
    transport: Transport = field(default_factory=Transport)


def connection(open_ones: set[Any], client: str, *, cycle: Any = None) -> Any:
    return Connection((client, 5000), cycle, SimpleNamespace(connections=open_ones))


def admit(limits: ConnectionLimits, client: str, open_ones: set[Any], **more: Any) -> Any:
    one = connection(open_ones, client, **more)
    open_ones.add(one)
    limits._admit(one)
    if one.transport.ended:
        open_ones.discard(one)
    return one


def test_an_address_holds_only_so_many_connections_but_a_proxy_any_number() -> None:
    limits, open_ones = ConnectionLimits(files=5000), set[Any]()
    most = connections.MOST_PER_ADDRESS
    for client, held in (("203.0.113.9", most), ("127.0.0.1", most + 9), ("10.0.0.7", most + 9)):
        ended = [admit(limits, client, open_ones).transport.ended for _ in range(most + 9)]
        assert ended.count(False) == held


def test_beyond_this_machine_uvicorn_believes_nobody_and_the_named_proxy_has_no_limit() -> None:
    limits, open_ones = ConnectionLimits(files=5000, proxies="10.1.0.0/24"), set[Any]()
    most = connections.MOST_PER_ADDRESS
    for client, held in (("10.1.0.9", most + 9), ("10.0.0.7", most)):
        ended = [admit(limits, client, open_ones).transport.ended for _ in range(most + 9)]
        assert ended.count(False) == held
    for one in open_ones:
        assert "127.0.0.1" not in one.config.loaded_app.trusted_hosts


def test_when_all_is_full_the_longest_unfinished_request_goes_first() -> None:
    limits, open_ones = ConnectionLimits(files=0), set[Any]()
    answering = SimpleNamespace(response_complete=False, more_body=False)
    first = admit(limits, "127.0.0.1", open_ones, cycle=answering)
    second = admit(limits, "127.0.0.1", open_ones)
    rest = [admit(limits, "127.0.0.1", open_ones) for _ in range(63)]
    assert second.transport.ended
    assert not first.transport.ended
    assert not any(one.transport.ended for one in rest)


@pytest.mark.parametrize(
    ("cycle", "unread", "seconds"),
    [
        (None, 0, connections.HEADER_SECONDS),
        (SimpleNamespace(response_complete=False, more_body=True), 0, connections.BODY_SECONDS),
        (SimpleNamespace(response_complete=False, more_body=False), 9, connections.STALLED_SECONDS),
        (SimpleNamespace(response_complete=False, more_body=False), 0, None),
    ],
)
def test_what_stands_still_is_ended_in_time(cycle: Any, unread: int, seconds: float | None) -> None:
    limits, open_ones = ConnectionLimits(files=5000), set[Any]()
    one = admit(limits, "203.0.113.9", open_ones, cycle=cycle)
    one.transport.unread = unread
    limits._look([one], 1000.0)
    since = 1000.0 if unread else limits._waiting[one][1]
    limits._look([one], since + (seconds or 10_000) - 1)
    assert not one.transport.ended
    limits._look([one], since + (seconds or 10_000) + 1)
    assert one.transport.ended == (seconds is not None)


def test_the_limit_on_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 524_288))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert raise_file_limit() == connections.FILES_WANTED
    assert asked == [(connections.FILES_WANTED, 524_288)]
