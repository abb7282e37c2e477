"""What explains a doubtful register value: digits, a decimal point, a factor, another register.

They are asked only where another rule doubts the reading, and say what the meter may have shown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.languages.sentence import N_, sentence
from services.metering.outcomes import Rule, RuleOutcome
from services.metering.recent_use import Use, used_text
from services.metering.register_arithmetic import capacity_wh, consumption_wh, is_a_fall
from services.quantities.energy import kwh_value
from services.records.readings import ReadPoint

_KWH: Final = 1000
# A use within half and twice the usual is likely, where nothing more is known.
_LIKELY: Final = 2
_POWERS: Final = (10, 100)


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A doubtful register value in Wh before the multiplier, with what it is compared with."""

    register_wh: int
    last_read: ReadPoint
    use: Use
    dials: int
    multiplier_milli: int

    def used_wh(self, register_wh: int) -> int | None:
        """The use that another register value would mean; None where it would be a fall."""
        opening = self.last_read.register_wh
        if not 0 <= register_wh < capacity_wh(self.dials):
            return None
        if is_a_fall(opening_wh=opening, closing_wh=register_wh, dials=self.dials):
            return None
        return consumption_wh(
            opening_wh=opening,
            closing_wh=register_wh,
            dials=self.dials,
            multiplier_milli=self.multiplier_milli,
        )

    def is_likely(self, used_wh: int | None) -> bool:
        """Whether a use is as expected."""
        usual = self.use.usual_wh
        if used_wh is None or not usual:
            return False
        days = max(self.use.days, 1)
        if (expected := self.use.expected) is not None:
            return expected.low_wh * days <= used_wh <= expected.high_wh * days
        return usual * days <= used_wh * _LIKELY and used_wh <= _LIKELY * usual * days

    def apart(self, used_wh: int) -> int:
        """How far a use is from the usual one, in Wh."""
        return abs(used_wh - int((self.use.usual_wh or 0) * max(self.use.days, 1)))

    def likeliest(self, values: Iterator[int]) -> int | None:
        """The register value whose use is nearest to the usual, of those that are likely."""
        likely = [
            (self.apart(used), value)
            for value in values
            if (used := self.used_wh(value)) is not None and self.is_likely(used)
        ]
        return min(likely)[1] if likely else None


def explanations(
    doubtful: Doubtful, *, other_registers: Mapping[str, int] | None = None
) -> list[RuleOutcome]:
    """What explains the value, the likeliest kind of mistake first; at most two."""
    found = [explanation for rule in _RULES if (explanation := rule(doubtful)) is not None]
    other = _other_register(doubtful, other_registers or {})
    return [*([other] if other else []), *found][:2]


def transposed_digits(doubtful: Doubtful) -> RuleOutcome | None:
    """Two digits side by side were typed the wrong way round."""
    value = doubtful.likeliest(_transpositions(doubtful))
    return _meant(
        "transposed_digits",
        doubtful,
        value,
        N_(
            "If two digits side by side are swapped, the meter showed {kwh} kWh, which is {used}, "
            "as expected."
        ),
    )


def wrong_digit(doubtful: Doubtful) -> RuleOutcome | None:
    """One digit is wrong."""
    value = doubtful.likeliest(_other_digits(doubtful))
    return _meant(
        "wrong_digit",
        doubtful,
        value,
        N_("If one digit is wrong, the meter showed {kwh} kWh, which is {used}, as expected."),
    )


def missed_decimal(doubtful: Doubtful) -> RuleOutcome | None:
    """The decimal point was left out or set where there is none."""
    value = doubtful.register_wh
    shifted = [value // by for by in _POWERS] + [value * by for by in _POWERS]
    return _meant(
        "missed_decimal",
        doubtful,
        doubtful.likeliest(iter(shifted)),
        N_(
            "If the decimal point is in the wrong place, the meter showed {kwh} kWh, which is "
            "{used}, as expected."
        ),
    )


def power_of_ten(doubtful: Doubtful) -> RuleOutcome | None:
    """The use is ten times what is expected, or a tenth of it."""
    used = doubtful.used_wh(doubtful.register_wh)
    if not used:
        return None
    for said, factor in (
        (N_("The use is about ten times what is expected."), (1, 10)),
        (N_("The use is about a tenth of what is expected."), (10, 1)),
    ):
        if doubtful.is_likely(used * factor[0] // factor[1]):
            return RuleOutcome("power_of_ten", "warn", sentence(said), {"used_wh": used})
    return None


def exact_multiple(doubtful: Doubtful) -> RuleOutcome | None:
    """The multiplier was applied twice, or a value was given that holds it already."""
    used, milli = doubtful.used_wh(doubtful.register_wh), doubtful.multiplier_milli
    if not used or milli == _KWH:
        return None
    for said, corrected in (
        (
            N_(
                "The use with the multiplier left out is {kwh} kWh, as expected: look at the "
                "multiplier."
            ),
            used * _KWH // milli,
        ),
        (
            N_("The use times the multiplier is {kwh} kWh, as expected: look at the multiplier."),
            used * milli // _KWH,
        ),
    ):
        if doubtful.is_likely(corrected):
            return RuleOutcome(
                "exact_multiple",
                "warn",
                sentence(said, kwh=kwh_value(corrected)),
                {"used_wh": used, "corrected_wh": corrected},
            )
    return None


def fits_the_other(one: Doubtful, other: Doubtful) -> bool:
    """Whether each of two values is as expected of the other's meter: they were swapped."""
    return one.is_likely(one.used_wh(other.register_wh)) and other.is_likely(
        other.used_wh(one.register_wh)
    )


def swapped_meters(serial: str, register_wh: int) -> RuleOutcome:
    """Two readings of one day fit each other's meters."""
    message = sentence(
        "This reading and the one of meter {meter} of the same day fit each other's meters: they "
        "may have been swapped.",
        meter=serial,
    )
    return RuleOutcome("swapped_meters", "warn", message, {"register_wh": register_wh})


def _other_register(doubtful: Doubtful, registers: Mapping[str, int]) -> RuleOutcome | None:
    """The value fits what another register of the meter showed last."""
    for name, shown in sorted(registers.items()):
        read = Doubtful(
            doubtful.register_wh,
            ReadPoint(shown, doubtful.last_read.read_on),
            doubtful.use,
            doubtful.dials,
            doubtful.multiplier_milli,
        )
        used = read.used_wh(doubtful.register_wh)
        if used is not None and (read.is_likely(used) or used <= _most(doubtful)):
            return RuleOutcome(
                "other_register",
                "warn",
                sentence(
                    "Register {register} showed {last_kwh} kWh at the last read, and {kwh} kWh "
                    "follows from that: it may have been read.",
                    register=name,
                    last_kwh=kwh_value(shown),
                    kwh=kwh_value(doubtful.register_wh),
                ),
                {"register_wh": shown},
            )
    return None


def _most(doubtful: Doubtful) -> int:
    limit = doubtful.use.limit_wh
    return int(limit) if limit is not None else 0


def _meant(rule: Rule, doubtful: Doubtful, value: int | None, said: str) -> RuleOutcome | None:
    if value is None:
        return None
    used = doubtful.used_wh(value) or 0
    message = sentence(said, kwh=kwh_value(value), used=used_text(used, doubtful.use.days))
    return RuleOutcome(rule, "warn", message, {"register_wh": value, "used_wh": used})


def _transpositions(doubtful: Doubtful) -> Iterator[int]:
    digits, rest = _digits(doubtful)
    for at in range(len(digits) - 1):
        if digits[at] != digits[at + 1]:
            swapped = [*digits]
            swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
            yield int("".join(swapped)) * _KWH + rest


def _other_digits(doubtful: Doubtful) -> Iterator[int]:
    digits, rest = _digits(doubtful)
    for at, known in enumerate(digits):
        for digit in "0123456789":
            if digit != known:
                changed = [*digits[:at], digit, *digits[at + 1 :]]
                yield int("".join(changed)) * _KWH + rest


def _digits(doubtful: Doubtful) -> tuple[list[str], int]:
    whole, rest = divmod(doubtful.register_wh, _KWH)
    return list(str(whole).zfill(doubtful.dials)), rest


# In the order in which people make them.
_RULES: Final[Sequence[Callable[[Doubtful], RuleOutcome | None]]] = (
    transposed_digits,
    missed_decimal,
    wrong_digit,
    exact_multiple,
    power_of_ten,
)
