"""The tenant's keys are fetched over HTTP, kept, and asked for again sparingly."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest

from services.identity import jwks
from services.identity.auth import SignInUnavailable
from services.identity.jwks import KeysNotServed, SigningKeys, fetch_keys
from tests.oidc.keys import KeyServer, Signer, Weak, key_server, published, send

ONE, TWO = Signer("one"), Signer("two")


class Clock:
    """Seconds that pass when a test says so."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as served:
        served.keys = [ONE.jwk]
        yield served


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(server: KeyServer, clock: Clock) -> SigningKeys:
    return SigningKeys(f"{server.issuer}.well-known/jwks.json", monotonic=clock)


def _down(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 500, b"")


def test_the_keys_are_fetched_once_for_many_tokens(server: KeyServer, keys: SigningKeys) -> None:
    assert all(keys.key("one") is not None for _ in range(20))
    assert server.asked == 1


def test_an_unknown_key_id_makes_it_ask_again_once_a_minute(
    server: KeyServer, keys: SigningKeys, clock: Clock
) -> None:
    assert keys.key("one") is not None
    server.keys.append(TWO.jwk)
    assert keys.key("two") is not None
    assert server.asked == 2
    for number in range(20):
        assert keys.key(f"made up {number}") is None
    assert server.asked == 2
    clock.seconds += 59
    assert keys.key("made up") is None
    assert server.asked == 2
    clock.seconds += 2
    assert keys.key("made up") is None
    assert server.asked == 3


def test_many_threads_with_unknown_key_ids_ask_once(server: KeyServer, keys: SigningKeys) -> None:
    keys.key("one")
    server.keys.append(TWO.jwk)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(keys.key, ["two"] * 40))
    assert None not in found
    assert server.asked == 2


def test_many_threads_at_the_start_ask_once(server: KeyServer, keys: SigningKeys) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert None not in list(pool.map(keys.key, ["one"] * 40))
    assert server.asked == 1


def test_a_key_that_the_tenant_withdrew_is_gone_after_an_hour(
    server: KeyServer, keys: SigningKeys, clock: Clock
) -> None:
    assert keys.key("one") is not None
    server.keys[:] = [TWO.jwk]
    clock.seconds += 3599
    assert keys.key("one") is not None
    clock.seconds += 2
    assert keys.key("one") is None
    assert keys.key("two") is not None


def test_while_the_tenant_is_away_known_keys_do_for_a_day(
    server: KeyServer, keys: SigningKeys, clock: Clock
) -> None:
    keys.key("one")
    server.answer = _down
    clock.seconds += 24 * 3600 - 1
    assert keys.key("one") is not None
    with pytest.raises(SignInUnavailable, match="cannot be reached just now"):
        keys.key("two")
    clock.seconds += 2
    with pytest.raises(SignInUnavailable):
        keys.key("one")
    server.answer = None
    clock.seconds += 61
    assert keys.key("one") is not None


def test_a_tenant_that_is_away_is_not_asked_for_every_token(
    server: KeyServer, keys: SigningKeys, clock: Clock
) -> None:
    server.answer = _down
    for _ in range(10):
        with pytest.raises(SignInUnavailable):
            keys.key("one")
    assert server.asked == jwks.MOST_TRIES
    server.answer = None
    clock.seconds += 6
    assert keys.key("one") is not None


def test_whoever_has_a_known_key_does_not_wait_for_the_thread_that_asks(
    server: KeyServer, keys: SigningKeys, clock: Clock
) -> None:
    keys.key("one")
    asked, answer = threading.Event(), threading.Event()

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        answer.wait(10)
        send(handler, 500, b"")

    server.answer = slowly
    clock.seconds += 3601
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(keys.key, "one")
        assert asked.wait(5)
        began = time.monotonic()
        assert keys.key("one") is not None
        assert time.monotonic() - began < 1
        answer.set()
        assert waiting.result(10) is not None


def test_a_500_is_tried_once_more(server: KeyServer, keys: SigningKeys) -> None:
    def first_down(handler: BaseHTTPRequestHandler) -> None:
        server.answer = None
        send(handler, 500, b"")

    server.answer = first_down
    assert keys.key("one") is not None
    assert server.asked == 2


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, b"", "answered 404"),
        (401, b"", "answered 401"),
        (429, b"", "answered 429"),
        (503, b"", "answered 503"),
        (200, b"", "no set of keys"),
        (200, b"<html>", "no set of keys"),
        (200, b"[]", "no set of keys"),
        (200, b'{"keys": 7}', "no set of keys"),
        (200, b"[" * 100_000, "no set of keys"),
        (200, b"\xff", "no set of keys"),
        (200, b" " * 300_000, "far too long"),
    ],
)
def test_an_answer_that_is_no_set_of_keys_is_told_with_its_reason(
    server: KeyServer, keys: SigningKeys, status: int, body: bytes, says: str
) -> None:
    server.answer = lambda handler: send(handler, status, body)
    with pytest.raises(KeysNotServed, match=says):
        keys.refresh()
    with pytest.raises(SignInUnavailable):
        keys.key("one")


def test_a_redirect_is_not_followed(server: KeyServer, keys: SigningKeys) -> None:
    server.answer = lambda handler: send(handler, 302, b"", Location=f"{server.issuer}elsewhere")
    with pytest.raises(KeysNotServed, match="answered 302"):
        keys.refresh()
    assert server.asked == 1


def test_nobody_there_is_told_calmly() -> None:
    with pytest.raises(KeysNotServed, match="cannot be reached"):
        fetch_keys("http://127.0.0.1:9/.well-known/jwks.json")


def test_a_tenant_that_says_nothing_is_given_up_on_in_time(
    server: KeyServer, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT_SECONDS", 1.0)
    over = threading.Event()

    def never(_: BaseHTTPRequestHandler) -> None:
        over.wait(10)

    server.answer = never
    began = time.monotonic()
    try:
        with pytest.raises(KeysNotServed):
            keys.refresh()
    finally:
        over.set()
    assert time.monotonic() - began < 5


def test_only_rsa_keys_for_signatures_of_2048_bits_or_more_are_used(
    server: KeyServer, keys: SigningKeys
) -> None:
    weak = published("weak", Weak().modulus)
    server.keys = [
        ONE.jwk,
        weak,
        TWO.jwk | {"kid": "for encryption", "use": "enc"},
        TWO.jwk | {"kid": "RS512", "alg": "RS512"},
        TWO.jwk | {"kid": 7},
        {"kty": "EC", "kid": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA", "kid": "no numbers"},
        {"kty": "RSA", "kid": "not numbers", "n": 7, "e": []},
        {"kty": "RSA", "kid": "even", "n": TWO.jwk["n"], "e": "Ag"},
    ]
    assert keys.refresh() == 1
    assert keys.key("one") is not None
