"""Signing tokens by hand, so that they can be bad in every way, and serving keys over HTTP."""

import base64
import hashlib
import hmac
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

AUDIENCE = "https://billing.example/api"
ROLES_CLAIM = "https://electricity-billing/roles"
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def encoded(data: bytes) -> str:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8))


@dataclass(frozen=True)
class Signer:
    """A tenant's key by its id."""

    key_id: str
    private: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    @property
    def jwk(self) -> dict[str, str]:
        """The key as it is published."""
        numbers = self.private.public_key().public_numbers()
        return published(self.key_id, numbers.n)

    @property
    def pem(self) -> bytes:
        """The public key as a text, which anybody can have."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, claims: dict[str, Any] | bytes, **header: Any) -> str:
        """A token with these claims; `header` is added to the usual header."""
        text = unsigned(claims, **{"alg": "RS256", "typ": "JWT", "kid": self.key_id} | header)
        signature = self.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{encoded(signature)}"


def published(key_id: str, modulus: int) -> dict[str, str]:
    """An RSA key as a tenant publishes it."""
    usual = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id}
    return usual | {"n": _number(modulus), "e": "AQAB"}


def unsigned(claims: dict[str, Any] | bytes, **header: Any) -> str:
    """The part of a token that is signed."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f"{encoded(json.dumps(header).encode())}.{encoded(payload)}"


def good_claims(issuer: str, now: datetime, **changed: Any) -> dict[str, Any]:
    """What an Auth0 access token holds, issued a minute ago for an hour, with some changed."""
    issued_at = int(now.timestamp()) - 60
    claims: dict[str, Any] = {"iss": issuer, "sub": "auth0|user-7", "iat": issued_at}
    claims |= {"aud": [AUDIENCE, f"{issuer}userinfo"], "exp": issued_at + 3600}
    claims |= {"azp": "billing-pages", "scope": "openid", ROLES_CLAIM: ["engineer"]}
    return claims | changed


class Weak:
    """A key of 512 bits, which libraries refuse to make."""

    def __init__(self) -> None:
        digits = random.Random(7)  # noqa: S311 - a weak key on purpose
        p, q = _prime(digits), _prime(digits)
        self.modulus = p * q
        self._private = pow(65537, -1, (p - 1) * (q - 1))

    def sign(self, claims: dict[str, Any], key_id: str) -> str:
        """A token that it signs as RS256 wants it."""
        text = unsigned(claims, alg="RS256", typ="JWT", kid=key_id)
        digest = _SHA256_INFO + hashlib.sha256(text.encode()).digest()
        block = b"\x00\x01" + b"\xff" * (64 - 3 - len(digest)) + b"\x00" + digest
        signature = pow(int.from_bytes(block), self._private, self.modulus).to_bytes(64)
        return f"{text}.{encoded(signature)}"


def _prime(digits: random.Random) -> int:
    while True:
        found = digits.getrandbits(256) | 1 | 3 << 254
        if all(pow(base, found - 1, found) == 1 for base in (2, 3, 5, 7, 11)):
            return found


@cache
def _stranger() -> Signer:
    """Somebody else, whose key takes a good part of a second to make."""
    return Signer("x")


def bad_tokens(good: Signer, weak: Weak, issuer: str, now: datetime) -> dict[str, str]:
    """A token for each way to be bad, when `good` and `weak` are published as "good" and "weak"."""
    claims = good_claims(issuer, now)
    token = good.sign(claims)
    header, payload, signature = token.split(".")
    admin = encoded(json.dumps(claims | {ROLES_CLAIM: ["admin"]}).encode())
    by_public_key = unsigned(claims, alg="HS256", typ="JWT", kid="good")
    mac = hmac.new(good.pem, by_public_key.encode(), hashlib.sha256).digest()
    seconds = int(now.timestamp())
    return {
        "no signature": f"{header}.{payload}",
        "empty signature": f"{header}.{payload}.",
        "alg none": f"{unsigned(claims, alg='none', kid='good')}.",
        "alg none but signed": good.sign(claims, alg="none"),
        "HS256 with the public key": f"{by_public_key}.{encoded(mac)}",
        "wrong issuer": good.sign(claims | {"iss": "https://elsewhere.example/"}),
        "issuer without its slash": good.sign(claims | {"iss": issuer.rstrip("/")}),
        "wrong audience": good.sign(claims | {"aud": "another-api"}),
        "audience of a list of others": good.sign(claims | {"aud": ["a", "b"]}),
        "part of the audience": good.sign(claims | {"aud": AUDIENCE[:-1]}),
        "an id token": good.sign(claims | {"aud": "billing-pages"}),
        "expired": good.sign(claims | {"exp": seconds - 61}),
        "not yet valid": good.sign(claims | {"nbf": seconds + 120}),
        "issued in the future": good.sign(claims | {"iat": seconds + 120}),
        "unknown key id": good.sign(claims, kid="nobody's"),
        "no key id": good.sign(claims, kid=None),
        "tampered role": f"{header}.{admin}.{signature}",
        "wrong key with the right id": _stranger().sign(claims, kid="good"),
        "a key of its own in the header": _stranger().sign(claims, kid="good", jwk=good.jwk),
        "a key of 512 bits": weak.sign(claims, "weak"),
        "another header": good.sign(claims, crit=["exp"]),
        "claims that are no object": good.sign(b"[]"),
        "junk": "made.up.token",
        "nothing like a token": "x" * 9000,
    }


@dataclass
class KeyServer:
    """Serves a JWKS on loopback; what it answers can be changed, and how often is counted."""

    port: int
    keys: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None

    @property
    def domain(self) -> str:
        """What stands in AUTH0_DOMAIN for it."""
        return f"localhost:{self.port}"

    @property
    def issuer(self) -> str:
        """Who it says that it is."""
        return f"http://{self.domain}/"


@contextmanager
def key_server() -> Iterator[KeyServer]:
    """A key server on a port of its own; it has no keys at first."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked += 1
            if served.answer is not None:
                served.answer(self)
                return
            found = self.path == "/.well-known/jwks.json"
            send(self, 200 if found else 404, json.dumps({"keys": served.keys}).encode())

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = KeyServer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
