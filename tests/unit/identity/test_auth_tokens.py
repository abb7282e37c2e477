"""Only tokens that we signed, for us and for now, are believed; junk of any kind is refused."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity.auth import LocalTokens, NotSignedIn, Principal, UnableToIssueToken
from services.identity.permissions import Role

KEY = b"k" * 48
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOKENS = LocalTokens(KEY)
CLAIMS: dict[str, Any] = {
    "iss": "electricity-billing",
    "aud": "electricity-billing-api",
    "sub": "user-7",
    "role": "engineer",
    "iat": int(NOW.timestamp()),
    "nbf": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 3600,
}
NO_MOMENTS: list[object] = ["9999999999", None, True, [], {}, -1, 10**30, 1e300]
NO_MOMENTS += [float("inf"), float("-inf"), float("nan")]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(
    payload: bytes,
    *,
    header: bytes = b'{"alg":"HS256","typ":"JWT"}',
    key: bytes = KEY,
    digest: Callable[..., Any] = hashlib.sha256,
) -> str:
    """Make a token by hand, so that it can hold what no library would put into one."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{encoded(hmac.new(key, text.encode(), digest).digest())}"


def with_claims(**changed: object) -> str:
    return signed(json.dumps(CLAIMS | changed).encode())


def without(claim: str) -> str:
    return signed(json.dumps({k: v for k, v in CLAIMS.items() if k != claim}).encode())


class TestTokens:
    def test_an_issued_token_says_who_and_until_when(self) -> None:
        token = TOKENS.issue("user-7", Role.ADMIN, NOW)
        expected = Principal("user-7", frozenset({Role.ADMIN}), NOW + timedelta(hours=12), "token")
        assert TOKENS.verify(token, NOW) == expected

    def test_a_token_of_the_demo_says_so(self) -> None:
        token = TOKENS.issue("user-7", Role.ENGINEER, NOW, via="demo")
        assert TOKENS.verify(token, NOW).via == "demo"

    def test_a_token_made_by_hand_as_the_tests_do_is_good(self) -> None:
        assert TOKENS.verify(with_claims(), NOW).user == "user-7"

    def test_it_is_good_until_the_second_it_expires(self) -> None:
        token = TOKENS.issue("user-7", Role.ADMIN, NOW, timedelta(minutes=5))
        end = NOW + timedelta(minutes=5)
        assert TOKENS.verify(token, end - SECOND).user == "user-7"
        with pytest.raises(NotSignedIn, match="expired"):
            TOKENS.verify(token, end)

    def test_the_clock_is_the_one_passed_in(self) -> None:
        long_ago = datetime(1999, 1, 1, tzinfo=UTC)
        token = TOKENS.issue("user-7", Role.ADMIN, long_ago)
        assert TOKENS.verify(token, long_ago).user == "user-7"

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    def test_it_may_start_a_minute_ahead_of_our_clock_and_no_more(self, claim: str) -> None:
        start = CLAIMS["nbf"]
        assert TOKENS.verify(with_claims(**{claim: start + 60}), NOW).user == "user-7"
        with pytest.raises(NotSignedIn):
            TOKENS.verify(with_claims(**{claim: start + 61}), NOW)

    def test_one_signed_with_another_key_is_refused(self) -> None:
        other = LocalTokens(b"o" * 48).issue("user-7", Role.ADMIN, NOW)
        with pytest.raises(NotSignedIn):
            TOKENS.verify(other, NOW)

    def test_a_changed_role_breaks_the_signature(self) -> None:
        header, _, signature = with_claims().split(".")
        payload = encoded(json.dumps(CLAIMS | {"role": "admin"}).encode())
        with pytest.raises(NotSignedIn):
            TOKENS.verify(f"{header}.{payload}.{signature}", NOW)

    @pytest.mark.parametrize(
        "algorithm", ["none", "None", "HS384", "HS512", "RS256", "ES256", "hs256", "", None, 1, []]
    )
    def test_another_algorithm_is_refused_even_when_well_signed(self, algorithm: object) -> None:
        header = json.dumps({"alg": algorithm}).encode()
        digest = hashlib.sha512 if algorithm == "HS512" else hashlib.sha256
        token = signed(json.dumps(CLAIMS).encode(), header=header, digest=digest)
        with pytest.raises(NotSignedIn):
            TOKENS.verify(token, NOW)
        with pytest.raises(NotSignedIn):
            TOKENS.verify(token.rpartition(".")[0] + ".", NOW)

    def test_a_header_that_demands_what_we_do_not_know_is_refused(self) -> None:
        header = b'{"alg":"HS256","crit":["exp"],"exp":0}'
        with pytest.raises(NotSignedIn):
            TOKENS.verify(signed(json.dumps(CLAIMS).encode(), header=header), NOW)

    def test_a_key_that_reads_like_json_works_as_plain_bytes(self) -> None:
        tokens = LocalTokens(b'{"keys": []}' + b" " * 40)
        assert tokens.verify(tokens.issue("user-7", Role.ADMIN, NOW), NOW).user == "user-7"

    @pytest.mark.parametrize("claim", sorted(CLAIMS))
    def test_every_claim_is_needed(self, claim: str) -> None:
        with pytest.raises(NotSignedIn):
            TOKENS.verify(without(claim), NOW)

    @pytest.mark.parametrize(
        ("claim", "value"),
        [
            ("iss", "somebody-else"),
            ("iss", None),
            ("aud", "another-api"),
            ("aud", ["electricity-billing-api"]),
            ("sub", ""),
            ("sub", "  "),
            ("sub", " user-7"),
            ("sub", "user-7\n"),
            ("sub", "\ud800"),
            ("sub", "x" * 201),
            ("sub", 7),
            ("sub", ["user-7"]),
            ("roles", ["owner"]),
            ("roles", ["admin", "owner"]),
            ("roles", []),
            ("roles", None),
            ("roles", "admin"),
            ("role", "owner"),
            ("role", "Admin"),
            ("role", ""),
            ("role", None),
            ("role", ["admin"]),
            ("role", {"admin": True}),
            *((claim, moment) for claim in ("exp", "nbf", "iat") for moment in NO_MOMENTS),
        ],
    )
    def test_a_claim_of_another_kind_is_refused(self, claim: str, value: object) -> None:
        with pytest.raises(NotSignedIn):
            TOKENS.verify(with_claims(**{claim: value}), NOW)

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"null",
            b"[]",
            b'"text"',
            b"1",
            b"{",
            b"\xff",
            b"[" * 4000,
            b'{"exp":' + b"9" * 5000,
        ],
    )
    def test_signed_junk_is_refused(self, payload: bytes) -> None:
        with pytest.raises(NotSignedIn):
            TOKENS.verify(signed(payload), NOW)

    @pytest.mark.parametrize(
        "junk",
        [
            None,
            b"bytes",
            with_claims().encode(),
            0,
            [],
            {},
            "",
            ".",
            "..",
            "....",
            "a.b",
            "a.b.c.d",
            "é.é.é",
            "\ud800",
            " " + with_claims(),
            "Bearer " + with_claims(),
            with_claims() + ".",
            "." + with_claims(),
            "x" * 1_000_000,
            "." * 1_000_000,
            encoded(b"[" * 5000) + ".e30.e30",
        ],
    )
    def test_junk_is_refused(self, junk: object) -> None:
        with pytest.raises(NotSignedIn):
            TOKENS.verify(junk, NOW)

    @given(st.one_of(st.text(), st.binary(), st.none(), st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*")))
    def test_nothing_made_up_is_believed_or_breaks_it(self, junk: object) -> None:
        with pytest.raises(NotSignedIn):
            TOKENS.verify(junk, NOW)

    @given(
        st.dictionaries(
            st.sampled_from(sorted(CLAIMS)),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
                st.lists,
                max_leaves=3,
            ),
            min_size=1,
        )
    )
    def test_signed_claims_of_any_kind_give_a_principal_or_not_signed_in(
        self, changed: dict[str, object]
    ) -> None:
        try:
            principal = TOKENS.verify(with_claims(**changed), NOW)
        except NotSignedIn:
            return
        assert principal.user.strip()
        assert principal.expires_at is not None
        assert principal.expires_at > NOW

    def test_the_reason_never_repeats_the_token(self) -> None:
        with pytest.raises(NotSignedIn) as caught:
            TOKENS.verify("very.secret.text", NOW)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__

    @pytest.mark.parametrize("user", ["", " ", "a ", "a\tb", "x" * 201])
    def test_no_token_is_issued_for_a_user_id_that_could_not_be_verified(self, user: str) -> None:
        with pytest.raises(UnableToIssueToken):
            TOKENS.issue(user, Role.ADMIN, NOW)

    @pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(hours=-1)])
    def test_no_token_is_issued_that_is_over_already(self, lifetime: timedelta) -> None:
        with pytest.raises(UnableToIssueToken):
            TOKENS.issue("user-7", Role.ADMIN, NOW, lifetime)

    def test_a_moment_without_a_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            TOKENS.issue("user-7", Role.ADMIN, NOW.replace(tzinfo=None))
