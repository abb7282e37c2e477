"""Pricing again where another bill of the meter came between."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from services.database.errors import ChainMoved
from services.languages.sentence import N_

Stored = TypeVar("Stored")
PRICING_ATTEMPTS: Final = 5
READINGS_BILLED: Final = N_("Other readings of this meter are being billed. Try again shortly.")
BILLS_MADE: Final = N_("Other bills of this meter are being made. Try again shortly.")


class MeterTooBusy(Exception):
    """Other bills of the meter kept coming between pricing and storing; nothing was stored."""


def price_until_stored(
    price_and_store: Callable[[], Stored], *, otherwise: str = READINGS_BILLED
) -> Stored:
    """What `price_and_store` answers; while it raises ChainMoved it is called again.

    Each call prices from the meter's bills as they are by then. Raises MeterTooBusy with the
    sentence `otherwise` after PRICING_ATTEMPTS calls.
    """
    for _ in range(PRICING_ATTEMPTS):
        with suppress(ChainMoved):
            return price_and_store()
    raise MeterTooBusy(otherwise)
