"""The signing key is made once, for everybody who starts at once, and kept from others."""

from pathlib import Path

import pytest

from services.identity import signing_key
from services.identity.signing_key import UnableToUseSigningKey, load_or_create_signing_key
from services.workers import Workers


def test_the_first_start_makes_a_key_that_later_starts_find(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    key = load_or_create_signing_key(folder)
    assert len(key) >= 32
    assert load_or_create_signing_key(folder) == key


def test_every_installation_has_a_key_of_its_own(tmp_path: Path) -> None:
    first, second = (load_or_create_signing_key(tmp_path / name) for name in "ab")
    assert first != second


def test_only_its_owner_can_read_it_and_nothing_else_is_left(tmp_path: Path) -> None:
    load_or_create_signing_key(tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    # Without the main module, whose place a page of another test may have taken.
    with Workers(dict, 4).executor() as processes:
        keys = set(processes.map(load_or_create_signing_key, [tmp_path] * 16))
    assert len(keys) == 1


def test_a_process_that_comes_second_leaves_the_first_ones_key_in_place(tmp_path: Path) -> None:
    key = load_or_create_signing_key(tmp_path)
    signing_key._create(tmp_path / "signing.key")
    assert load_or_create_signing_key(tmp_path) == key
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    load_or_create_signing_key(tmp_path)
    (tmp_path / "signing.key").chmod(mode)
    with pytest.raises(UnableToUseSigningKey, match="chmod 600"):
        load_or_create_signing_key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"x" * 31])
def test_a_short_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "signing.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(UnableToUseSigningKey, match="too short"):
        load_or_create_signing_key(tmp_path)


def test_a_folder_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnableToUseSigningKey, match=r"signing\.key cannot be made or read"):
        load_or_create_signing_key(tmp_path / "file")


def test_a_folder_in_the_keys_place_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "signing.key").mkdir()
    with pytest.raises(UnableToUseSigningKey):
        load_or_create_signing_key(tmp_path)
