"""The difference of two register values: dials, rollover, multiplier."""

from fractions import Fraction

from services.languages.sentence import nsentence
from services.quantities.money import round_half_up


class ReadingTooLong(ValueError):
    """The reading has more digits than the meter shows."""


def check_fits_dials(register_wh: int, dials: int) -> None:
    """Raise ReadingTooLong when a meter with so many digits cannot show the value."""
    if register_wh >= capacity_wh(dials):
        raise ReadingTooLong(
            nsentence(
                "This meter shows {count} digit, so a reading must be below {limit} kWh.",
                "This meter shows {count} digits, so a reading must be below {limit} kWh.",
                dials,
                limit=str(10**dials),
            )
        )


def consumption_wh(*, opening_wh: int, closing_wh: int, dials: int, multiplier_milli: int) -> int:
    """Wh used between two register values, at most one rollover apart, rounded half up to a Wh.

    Rollover as published by Cirro and others: 10^dials − previous + current (99,986 → 11 is 25).
    Raises ReadingTooLong.
    """
    check_fits_dials(opening_wh, dials)
    check_fits_dials(closing_wh, dials)
    turned = (closing_wh - opening_wh) % capacity_wh(dials)
    return round_half_up(Fraction(turned * multiplier_milli, 1000))


def is_a_fall(*, opening_wh: int, closing_wh: int, dials: int) -> bool:
    """Whether a register fell back rather than rolled over: more than half a turn would be use."""
    capacity = capacity_wh(dials)
    return closing_wh < opening_wh and 2 * ((closing_wh - opening_wh) % capacity) > capacity


def capacity_wh(dials: int) -> int:
    """The first value that a register of so many digits cannot show: 10^dials kWh."""
    return int(10 ** (dials + 3))
