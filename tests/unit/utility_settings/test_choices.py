"""What the Settings page offers can be stored."""

import pytest

from services.languages.writing import locale_of
from services.settings import Settings
from services.utility_settings.choices import currencies, currency_in_words, time_zones
from services.utility_settings.entry import checked
from services.utility_settings.model import live_settings

HELD = live_settings(Settings(), {})


@pytest.mark.parametrize("currency", ["INR", "KES", "KWD", "JPY", "EUR"])
def test_currencies_in_use_are_offered_by_name(currency: str) -> None:
    assert currency in currencies()
    assert currency_in_words("INR", locale_of("en")) == "INR, Indian Rupee"
    assert currency_in_words("INR", locale_of("es")) == "INR, rupia india"


def test_every_choice_is_one_that_can_be_stored() -> None:
    assert len(currencies()) > 140
    assert not {"DEM", "XAU", "XXX"} & set(currencies())
    for currency in currencies():
        assert checked({"currency": currency}, held=HELD) == {"currency": currency}
    for zone in time_zones():
        assert checked({"timezone": zone}, held=HELD) == {"timezone": zone}
