"""New passwords are long, uncommon and not made of the name; which characters is people's own."""

import pytest

from services.people.password_rules import UnusablePassword, check_new_password, normalized


def check(password: str, *, sign_in_name: str = "asha", display_name: str = "Asha Pillai") -> None:
    check_new_password(password, sign_in_name=sign_in_name, display_name=display_name)


@pytest.mark.parametrize(
    "password",
    [
        "quiet lantern under water",
        "xkqzvwpmtrgb",
        "ഇന്ന് മഴ പെയ്യുന്നു",
        "a" * 6 + "quiet lantern",
        "q" * 5 + "w" * 5 + "zebra lamp",
        "z9#kfmq2xTw!",
        "x7Lk" * 2 + "quietlantern" * 10,
    ],
)
def test_long_and_uncommon_ones_are_taken_whatever_they_are_made_of(password: str) -> None:
    check(password)


@pytest.mark.parametrize("password", ["", "short", "elevenchars", "ａ" * 11])
def test_fewer_than_twelve_characters_are_refused(password: str) -> None:
    with pytest.raises(UnusablePassword, match="at least 12"):
        check(password)


def test_more_than_128_characters_are_refused() -> None:
    check("quiet lantern under water" + "!z" * 51)
    with pytest.raises(UnusablePassword, match="at most 128"):
        check("quiet lantern under water" + "!z" * 52)


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "PASSWORD1234",
        "12345password!",
        "qwerty123456",
        "111111111111",
        "1234512345123451",
        "passwordpassword",
        "abcabcabcabc",
        "abcdefghijklm",
        "098765432109",
        "qwertyuiopas",
        "justinbieber",
        "1q2w3e4r5t6y",
        "ｐａｓｓｗｏｒｄ１２３４",
        "............",
    ],
)
def test_what_everybody_tries_first_is_refused(password: str) -> None:
    with pytest.raises(UnusablePassword, match="first that others"):
        check(password)


@pytest.mark.parametrize(
    ("password", "sign_in_name", "display_name"),
    [
        ("ASHA likes tea best", "asha", "A. P."),
        ("the pillai household", "asha", "Asha Pillai"),
        ("max lantern copper nine", "max", "M. Lane"),
        ("lantern copper max77", "max", "M. Lane"),
        ("lantern jo.ma copper", "jo.ma", "J. M."),
        ("meera.nair has a plan", "meera.nair@example.org", "M"),
    ],
)
def test_the_name_is_refused(password: str, sign_in_name: str, display_name: str) -> None:
    with pytest.raises(UnusablePassword, match="Leave your name out"):
        check(password, sign_in_name=sign_in_name, display_name=display_name)


def test_a_name_of_three_letters_may_be_part_of_a_word() -> None:
    check("bananas under water", sign_in_name="ana", display_name="Ana")


def test_a_name_of_two_letters_forbids_nothing() -> None:
    check("jo lantern copper nine", sign_in_name="jo", display_name="Jo X")


@pytest.mark.parametrize("password", ["quiet lantern\nwater", "quiet\ud800lantern water"])
def test_what_cannot_be_typed_again_is_refused(password: str) -> None:
    with pytest.raises(UnusablePassword, match="cannot be seen"):
        check(password)


def test_the_same_letters_are_the_same_however_they_are_composed() -> None:
    assert normalized("café Ⅳ") == normalized("café IV")
