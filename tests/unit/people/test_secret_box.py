"""What is kept encrypted opens with the same signing key, for its owner, unchanged."""

import pytest

from services.people.secret_box import SecretBox, UnableToOpen, derived_key

KEY = b"k" * 48


def test_it_opens_for_its_owner_alone() -> None:
    box = SecretBox(KEY)
    sealed = box.seal("secret", owner="asha")
    assert "secret" not in sealed
    assert SecretBox(KEY).open(sealed, owner="asha") == "secret"
    assert box.seal("secret", owner="asha") != sealed
    with pytest.raises(UnableToOpen):
        box.open(sealed, owner="meera")


def test_another_key_or_a_change_does_not_open_it() -> None:
    sealed = SecretBox(KEY).seal("secret", owner="asha")
    with pytest.raises(UnableToOpen):
        SecretBox(b"x" * 48).open(sealed, owner="asha")
    for wrong in ("", "not base64!", sealed[:-4], "A" + sealed[1:] if sealed[0] != "A" else "B"):
        with pytest.raises(UnableToOpen):
            SecretBox(KEY).open(wrong, owner="asha")


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert derived_key(KEY, "one") != derived_key(KEY, "other")
    assert len(derived_key(KEY, "one")) == 32
