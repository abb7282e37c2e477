"""What an administrator types: what is stored of it, and the sentence for what cannot be."""

from typing import Any

import pytest

from services.settings import Settings
from services.utility_settings.entry import InvalidSettings, checked
from services.utility_settings.model import SENTENCES, LiveSettings, UtilityValues, live_settings

HELD = live_settings(Settings(), {})


def problems(held: LiveSettings = HELD, **body: Any) -> list[str]:
    with pytest.raises(InvalidSettings) as refused:
        checked(body, held=held)
    return refused.value.problems


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("utility_name", "  Hill   Power ", "Hill Power"),
        ("utility_contact", "1  Hill Road\r\n\nKochi ", "1 Hill Road\n\nKochi"),
        ("utility_phone", "+91 484 123-4567 (8-17)", "+91 484 123-4567 (8-17)"),
        ("utility_phone", "", ""),
        ("utility_email", "office@example.org", "office@example.org"),
        ("utility_website", "www.example.org", "www.example.org"),
        ("utility_website", "https://example.org/bills", "https://example.org/bills"),
        ("timezone", "Africa/Nairobi", "Africa/Nairobi"),
        ("currency", "kes", "KES"),
        ("default_language", "pt-BR", "pt-BR"),
        ("due_days", 0, 0),
        ("bill_approval", True, True),
    ],
)
def test_what_is_right_is_stored_as_it_will_be_shown(name: str, value: Any, stored: Any) -> None:
    assert checked({name: value}, held=HELD) == {name: stored}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("utility_name", "   "),
        ("utility_name", "x" * 101),
        ("utility_name", "Hill\x00Power"),
        ("utility_name", "Hill\u202ePower"),
        ("utility_contact", "x" * 201),
        ("utility_phone", "call us"),
        ("utility_phone", "1" * 61),
        ("utility_email", "office"),
        ("utility_email", "a b@example.org"),
        ("utility_website", "javascript:alert(1)"),
        ("utility_website", "ftp://example.org"),
        ("utility_website", "https://user:word@example.org"),
        ("utility_website", "nowhere"),
        ("timezone", "Kerala"),
        ("timezone", "../../etc/passwd"),
        ("timezone", None),
        ("currency", "rupees"),
        ("currency", "XAU"),
        ("default_language", "malayalam!"),
        ("default_language", "xx"),
        ("due_days", -1),
        ("due_days", 366),
        ("due_days", "soon"),
        ("due_days", 1.5),
        ("bill_approval", "perhaps"),
        ("logo", "../../etc/passwd"),
    ],
)
def test_each_wrong_value_has_its_sentence(name: str, value: Any) -> None:
    assert problems(**{name: value}) == [SENTENCES[name]]


def test_every_setting_has_a_sentence() -> None:
    assert set(SENTENCES) == set(UtilityValues.model_fields)


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = problems(utility_name="", due_days=400, utility_email="office@example.org")
    assert said == [SENTENCES["utility_name"], SENTENCES["due_days"]]


def test_what_the_environment_sets_is_refused_with_the_name_of_its_variable() -> None:
    held = live_settings(Settings(utility_name="Hill Power"), {})
    said = problems(held, utility_name="River Power")
    assert said == ["UTILITY_NAME sets this; change it there."]


def test_an_unknown_field_is_a_mistake_of_the_page() -> None:
    assert problems(stripe_secret_key="sk") == ["There is no setting 'stripe_secret_key'."]


class TestFees:
    def test_amounts_are_typed_as_they_are_printed_and_kept_in_minor_units(self) -> None:
        typed = {"INR": {"reconnection": "₹1,250.50", "late_payment": " "}, "JPY": {}}
        assert checked({"fees": typed}, held=HELD) == {"fees": {"INR": {"reconnection": 125050}}}

    def test_the_fees_of_other_currencies_stay(self) -> None:
        held = live_settings(Settings(), {"fees": {"KWD": {"meter_test": 1500}}})
        stored = checked({"fees": {"INR": {"connection": "10"}}}, held=held)
        assert stored == {"fees": {"KWD": {"meter_test": 1500}, "INR": {"connection": 1000}}}
        assert checked({"fees": {"KWD": {"meter_test": ""}}}, held=held) == {"fees": {}}

    @pytest.mark.parametrize("typed", ["0", "-5", "9" * 17])
    def test_a_fee_is_above_zero_and_can_be_one(self, typed: str) -> None:
        assert problems(fees={"INR": {"connection": typed}}) == [SENTENCES["fees"]]

    @pytest.mark.parametrize("typed", ["ten", "1.005", "1e3"])
    def test_what_is_no_amount_is_said_in_a_sentence(self, typed: str) -> None:
        (said,) = problems(fees={"INR": {"connection": typed}})
        assert typed in said

    def test_a_currency_and_a_kind_must_be_known(self) -> None:
        assert "ISO 4217" in problems(fees={"ZZZ": {"connection": "1"}})[0]
        assert problems(fees={"INR": {"bribe": "1"}}) == [SENTENCES["fees"]]
