"""What a browser shows holds for one purpose and one user, until the password is another."""

from datetime import UTC, datetime, timedelta

import pytest

from services.identity.auth import LocalTokens, NotSignedIn
from services.people.proofs import (
    DEVICE_LIFETIME,
    SECOND_STEP_LIFETIME,
    Proofs,
    Purpose,
    device_cookie,
    holds,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = b"k" * 48
PROOFS = Proofs(KEY)


def test_a_device_stays_the_same_from_sign_in_to_sign_in() -> None:
    first = PROOFS.verify(
        "device", PROOFS.issue("device", user="asha", password_set_at=NOW, now=NOW), NOW
    )
    again = PROOFS.issue("device", user="asha", password_set_at=NOW, now=NOW, id_=first.id)
    assert PROOFS.verify("device", again, NOW) == first
    assert holds(first, user="asha", password_set_at=NOW)


def test_it_is_no_ones_else_and_ends_with_the_password() -> None:
    proof = PROOFS.verify(
        "device", PROOFS.issue("device", user="asha", password_set_at=NOW, now=NOW), NOW
    )
    assert not holds(proof, user="meera", password_set_at=NOW)
    assert not holds(proof, user="asha", password_set_at=NOW + timedelta(seconds=1))
    assert not holds(proof, user="asha", password_set_at=None)


def test_neither_purpose_is_the_other_and_neither_is_a_session() -> None:
    pairs: tuple[tuple[Purpose, Purpose], ...] = (
        ("device", "second-step"),
        ("second-step", "device"),
    )
    for purpose, other in pairs:
        proof = PROOFS.issue(purpose, user="asha", password_set_at=NOW, now=NOW)
        with pytest.raises(NotSignedIn):
            PROOFS.verify(other, proof, NOW)
        with pytest.raises(NotSignedIn):
            LocalTokens(KEY).verify(proof, NOW)
        with pytest.raises(NotSignedIn):
            Proofs(b"x" * 48).verify(purpose, proof, NOW)


@pytest.mark.parametrize(
    ("purpose", "lifetime"),
    [("device", DEVICE_LIFETIME), ("second-step", SECOND_STEP_LIFETIME)],
)
def test_each_ends_with_its_time(purpose: Purpose, lifetime: timedelta) -> None:
    proof = PROOFS.issue(purpose, user="asha", password_set_at=NOW, now=NOW)
    PROOFS.verify(purpose, proof, NOW + lifetime - timedelta(seconds=1))
    with pytest.raises(NotSignedIn):
        PROOFS.verify(purpose, proof, NOW + lifetime)


@pytest.mark.parametrize("wrong", [None, "", "a.b.c", 7, "x" * 10_000])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(NotSignedIn):
        PROOFS.verify("device", wrong, NOW)


def test_users_of_one_browser_have_a_cookie_each() -> None:
    assert device_cookie("asha") != device_cookie("meera")
    assert "asha" not in device_cookie("asha")
