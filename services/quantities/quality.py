"""How sure a measured value is: the quality codes of ESPI (Green Button)."""

from enum import IntEnum


class Quality(IntEnum):
    """QualityOfReading as in the schema of ESPI (NAESB REQ.21, espiDerived.xsd)."""

    VALID = 0
    MANUALLY_EDITED = 7
    ESTIMATED_REFERENCE_DAY = 8
    ESTIMATED_LINEAR = 9
    QUESTIONABLE = 10
    DERIVED = 11
    PROJECTED = 12
    MIXED = 13
    RAW = 14
    NORMALIZED_FOR_WEATHER = 15
    OTHER = 16
    VALIDATED = 17
    VERIFIED = 18
    REVENUE_QUALITY = 19

    @property
    def words(self) -> str:
        """What it says of a value, after "is": "edited by hand"."""
        return _WORDS[self]

    @property
    def is_estimated(self) -> bool:
        """Whether a value was worked out, because none was measured."""
        return self in _ESTIMATED

    @property
    def is_actual(self) -> bool:
        """Whether a value was measured, and nothing is said against it."""
        return self in _ACTUAL


_WORDS = {
    Quality.VALID: "actual",
    Quality.MANUALLY_EDITED: "edited by hand",
    Quality.ESTIMATED_REFERENCE_DAY: "estimated from comparable days",
    Quality.ESTIMATED_LINEAR: "estimated by interpolation",
    Quality.QUESTIONABLE: "questionable",
    Quality.DERIVED: "calculated",
    Quality.PROJECTED: "projected",
    Quality.MIXED: "partly estimated",
    Quality.RAW: "not validated",
    Quality.NORMALIZED_FOR_WEATHER: "adjusted for the weather",
    Quality.OTHER: "substituted",
    Quality.VALIDATED: "validated",
    Quality.VERIFIED: "verified by a person",
    Quality.REVENUE_QUALITY: "fit for billing",
}
_ESTIMATED = frozenset(
    {
        Quality.ESTIMATED_REFERENCE_DAY,
        Quality.ESTIMATED_LINEAR,
        Quality.DERIVED,
        Quality.PROJECTED,
        Quality.MIXED,
        Quality.NORMALIZED_FOR_WEATHER,
    }
)
_ACTUAL = frozenset(
    {
        Quality.VALID,
        Quality.RAW,
        Quality.VALIDATED,
        Quality.VERIFIED,
        Quality.REVENUE_QUALITY,
    }
)


def of_both(one: int, other: int) -> int:
    """The code of a sum of two values: what both have, else mixed."""
    return one if one == other else int(Quality.MIXED)
