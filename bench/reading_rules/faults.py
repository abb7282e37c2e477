"""Meters read each month for two years, with one fault each, and good readings that look odd."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.reading_rules.profiles import CHARGERS, monthly_uses

EARLIEST_FAULT: Final = 5
# Small meters have five digits, large ones six.
_FIVE_DIGITS: Final = 40_000_000
_ROLLS_OVER: Final = 0.1
_HOLIDAY, _VACANT = 0.15, 0.06


@dataclass
class ReadMeter:
    """What a meter showed each month in whole kWh, the opening read first, and what it should have.

    `fault` is the kind and the month of its fault, `vacant` a month in which a tenth of the usual
    was truly used; None without one.
    """

    name: str
    dials: int
    connected_kw: int
    right: list[int]
    shown: list[int] = field(default_factory=list)
    fault: tuple[str, int] | None = None
    vacant: int | None = None

    @property
    def capacity(self) -> int:
        """The first value that it cannot show, in kWh."""
        return int(10**self.dials)

    def used(self, month: int) -> int:
        """kWh truly used in a month, from 1."""
        return (self.right[month] - self.right[month - 1]) % self.capacity

    def is_wrong(self, month: int) -> bool:
        """Whether the reading of a month is the wrong one."""
        return self.fault is not None and self.fault[1] == month

    def effect(self, month: int) -> float:
        """How many times too large or too small the use of a month looks."""
        shown = (self.shown[month] - self.right[month - 1]) % self.capacity
        ratio = max(shown, 1) / max(self.used(month), 1)
        return max(ratio, 1 / ratio)


def meters(seed: int, *, chargers: bool) -> list[ReadMeter]:
    """All meters of the profiles, each with at most one fault of the kinds in turn."""
    rng = random.Random(seed)
    found = [
        _meter(name, uses, rng)
        for name, uses in monthly_uses(seed).items()
        if chargers or not name.startswith(CHARGERS)
    ]
    rng.shuffle(found)
    waiting = iter(found)
    for number, meter in enumerate(waiting):
        kind = KINDS[number % len(KINDS)]
        if kind == "two meters swapped":
            if (other := next(waiting, None)) is not None:
                _swap(meter, other, rng)
        else:
            _spoil(meter, kind, rng)
    return found


def _meter(name: str, uses: list[int], rng: random.Random) -> ReadMeter:
    months = list(uses)
    odd, vacant = rng.random(), None
    if odd < _HOLIDAY:
        months[rng.randrange(4, len(months))] //= 2
    elif odd < _HOLIDAY + _VACANT:
        vacant = rng.randrange(4, len(months))
        months[vacant] //= 10
    total = sum(months)
    dials = 5 if total < _FIVE_DIGITS else 6
    capacity = 10**dials
    start = rng.randrange(capacity - total // 1000 - 1)
    if rng.random() < _ROLLS_OVER:
        start = capacity - 1 - int(total / 1000 * rng.uniform(0.2, 0.8))
    register, right = start * 1000, [start]
    for wh in months:
        register += wh
        right.append(register // 1000 % capacity)
    # Nobody uses more than half of all that is connected over a whole month.
    year_kw, month_kw = total / 2 / 8_760_000, max(months) / 720_000
    load = math.ceil(max(year_kw / rng.uniform(0.08, 0.35), 2 * month_kw))
    return ReadMeter(name, dials, load, right, list(right), vacant=vacant and vacant + 1)


def _spoil(meter: ReadMeter, kind: str, rng: random.Random) -> None:
    month = rng.randrange(EARLIEST_FAULT, len(meter.right))
    wrong = _FAULTS[kind](meter, month, rng)
    if 0 <= wrong != meter.right[month] and meter.used(month) > 2:
        meter.shown[month] = wrong
        meter.fault = (kind, month)


def _swap(one: ReadMeter, other: ReadMeter, rng: random.Random) -> None:
    month = rng.randrange(EARLIEST_FAULT, len(one.right))
    a, b = one.right[month], other.right[month]
    if a != b and a < 10**other.dials and b < 10**one.dials:
        one.shown[month], other.shown[month] = b, a
        one.fault = other.fault = ("two meters swapped", month)


Fault = Callable[[ReadMeter, int, random.Random], int]


def _use_times(factor: float) -> Fault:
    def shown(meter: ReadMeter, month: int, _: random.Random) -> int:
        return (meter.right[month - 1] + int(meter.used(month) * factor)) % meter.capacity

    return shown


def _transposed(meter: ReadMeter, month: int, rng: random.Random) -> int:
    digits = list(str(meter.right[month]).zfill(meter.dials))
    at = rng.randrange(len(digits) - 1)
    digits[at], digits[at + 1] = digits[at + 1], digits[at]
    return int("".join(digits))


def _wrong_digit(meter: ReadMeter, month: int, rng: random.Random) -> int:
    digits = list(str(meter.right[month]).zfill(meter.dials))
    at = rng.randrange(len(digits))
    digits[at] = str((int(digits[at]) + rng.randrange(1, 10)) % 10)
    return int("".join(digits))


def _negative(meter: ReadMeter, month: int, rng: random.Random) -> int:
    return meter.right[month - 1] - rng.randrange(1, 2 + 3 * meter.used(month))


def _other_register(meter: ReadMeter, month: int, rng: random.Random) -> int:
    return int(meter.right[month] * rng.uniform(0.2, 0.8))


def _missed_decimal(meter: ReadMeter, month: int, _: random.Random) -> int:
    # A digit too many: the last ones are kept, as a form with so many places keeps them.
    return meter.right[month] * 10


_FAULTS: Final[Mapping[str, Fault]] = {
    "× 10": _use_times(10),
    "÷ 10": _use_times(0.1),
    "digits transposed": _transposed,
    "one digit wrong": _wrong_digit,
    "stuck": _use_times(0),
    "negative": _negative,
    "× 3 in one month": _use_times(3),
    "× 5 in one month": _use_times(5),
    "theft to 30 %": _use_times(0.3),
    "other register": _other_register,
    "missed decimal": _missed_decimal,
}
KINDS: Final = (*_FAULTS, "two meters swapped")
