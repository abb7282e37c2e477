"""Passwords are kept as argon2id, made again with other parameters, verified a few at a time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.people.hashing import PasswordHashing, TooBusyToVerify

PASSWORD = "quiet lantern under water"


@pytest.fixture(scope="module")
def hashing() -> PasswordHashing:
    return PasswordHashing()


@pytest.fixture(scope="module")
def hashed(hashing: PasswordHashing) -> str:
    return hashing.hash(PASSWORD)


def test_a_hash_names_the_parameters_that_owasp_recommends(hashed: str) -> None:
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_only_the_password_verifies(hashing: PasswordHashing, hashed: str) -> None:
    assert hashing.verify(hashed, PASSWORD)
    assert hashing.verify(hashed, PASSWORD, known=True)
    assert not hashing.verify(hashed, PASSWORD + " ")
    assert not hashing.verify(hashed, "")
    assert not hashing.verify("not a hash", PASSWORD)
    assert hashing.hash(PASSWORD) != hashed


def test_letters_composed_in_another_way_verify(hashing: PasswordHashing) -> None:
    assert hashing.verify(hashing.hash("café at the river"), "café at the river")


def test_longer_than_may_be_is_never_right(hashing: PasswordHashing) -> None:
    most = "ab" * 64
    kept = hashing.hash(most + "c")
    assert not hashing.verify(kept, most + "c")
    assert not hashing.verify(kept, most + "c" + "x" * 1_000_000)
    assert hashing.verify(hashing.hash(most), most)


def test_without_a_hash_it_takes_as_long_and_is_wrong(hashing: PasswordHashing) -> None:
    assert not hashing.verify(None, PASSWORD)


def test_other_parameters_make_a_hash_outdated(hashing: PasswordHashing, hashed: str) -> None:
    old = PasswordHashing(memory_kib=8 * 1024, passes=1).hash(PASSWORD)
    assert hashing.is_outdated(old)
    assert hashing.verify(old, PASSWORD)
    assert not hashing.is_outdated(hashed)


def test_strangers_wait_in_line_and_a_known_device_has_a_place_of_its_own(hashed: str) -> None:
    hashing = PasswordHashing(at_once=1, wait_seconds=0.05)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with hashing._place(known=False):
            held.set()
            release.wait(10)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        held.wait(10)
        began = time.monotonic()
        with pytest.raises(TooBusyToVerify):
            hashing.verify(hashed, PASSWORD)
        assert time.monotonic() - began < 5
        assert hashing.verify(hashed, PASSWORD, known=True)
        release.set()
        holding.result()
    assert hashing.verify(hashed, PASSWORD)
