"""Visits that send more than people do wait; those of another address do not."""

import asyncio

import pytest
from starlette.types import Message

from services.web.pace import Bucket, MessagePace


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    bucket = Bucket(per_second=5, at_once=3, now=0)
    assert [bucket.take(0) for _ in range(5)] == pytest.approx([0, 0, 0, 0.2, 0.4])
    assert bucket.take(1) == 0
    assert [bucket.take(60) for _ in range(4)] == pytest.approx([0, 0, 0, 0.2])


async def _click() -> Message:
    return {"type": "websocket.receive", "bytes": b""}


def test_an_address_waits_whose_visits_together_send_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    paces = MessagePace(clock=lambda: 0.0)

    async def clicks(address: str, number: int) -> float:
        with paces.visit(address, _click) as receive:
            for _ in range(number):
                await receive()
        return waited[-1]

    async def story() -> tuple[float, ...]:
        with paces.visit("203.0.113.9", _click):
            visits = [await clicks("203.0.113.9", 40) for _ in range(5)]
            further = await clicks("203.0.113.9", 30)
            return (*visits, further, await clicks("203.0.113.10", 30))

    assert asyncio.run(story()) == pytest.approx((0, 0, 0, 0, 0, 1, 0))


def test_a_visit_that_ends_is_waited_for_no_longer() -> None:
    async def gone() -> Message:
        return {"type": "websocket.disconnect", "code": 1001}

    async def story() -> Message:
        with MessagePace().visit(None, gone) as receive:
            return [await receive() for _ in range(100)][-1]

    assert asyncio.run(asyncio.wait_for(story(), 1))["type"] == "websocket.disconnect"
