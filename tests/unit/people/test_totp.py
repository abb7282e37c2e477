"""Codes of RFC 6238, one step around, and recovery codes whose dashes do not matter."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from services.people.totp import (
    address_of,
    code_at,
    hash_recovery_code,
    new_recovery_codes,
    new_secret,
    step_of,
)

# The secret and the times of RFC 6238, appendix B; its eight digits end with our six.
SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 3, 1, 12, 0, 15, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // 30) == code
    assert step_of(code, secret=SECRET, now=datetime.fromtimestamp(seconds, UTC)) == seconds // 30


@pytest.mark.parametrize("away", [-1, 0, 1])
def test_the_code_before_and_after_are_taken(away: int) -> None:
    assert step_of(code_at(SECRET, STEP + away), secret=SECRET, now=NOW) == STEP + away


@pytest.mark.parametrize("away", [-2, 2])
def test_others_are_not(away: int) -> None:
    assert step_of(code_at(SECRET, STEP + away), secret=SECRET, now=NOW) is None


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "12345\ud800"])
def test_what_is_no_code_is_nobodys(typed: str) -> None:
    assert step_of(typed, secret=SECRET, now=NOW) is None


def test_a_space_in_the_middle_does_not_matter() -> None:
    code = code_at(SECRET, STEP)
    assert step_of(f" {code[:3]} {code[3:]} ", secret=SECRET, now=NOW) == STEP


def test_secrets_are_of_160_bits_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(base64.b32decode(secret)) == 20 for secret in secrets)


def test_an_apps_address_names_the_user_the_utility_and_the_secret() -> None:
    parts = urlsplit(address_of(SECRET, user="asha@example.org", issuer="Green Valley: Power"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path == "/Green%20Valley%3A%20Power:asha%40example.org"
    assert parse_qs(parts.query) == {"secret": [SECRET], "issuer": ["Green Valley: Power"]}


def test_ten_recovery_codes_are_known_by_their_hash_however_they_are_typed() -> None:
    codes = new_recovery_codes()
    assert len({hash_recovery_code(code) for code in codes}) == 10
    assert all(len(code) == 19 for code in codes)
    first = codes[0]
    assert hash_recovery_code(f" {first.replace('-', '').upper()} ") == hash_recovery_code(first)
    assert hash_recovery_code(first + "a") != hash_recovery_code(first)


def test_a_clock_at_the_very_end_of_a_step_still_takes_its_code() -> None:
    late = NOW + timedelta(seconds=14, milliseconds=999)
    assert step_of(code_at(SECRET, STEP), secret=SECRET, now=late) == STEP
