"""How sure a measured value is: the quality codes of ESPI (Green Button)."""

from enum import IntEnum

from services.languages.sentence import N_


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
    Quality.VALID: N_("actual"),
    Quality.MANUALLY_EDITED: N_("edited by hand"),
    Quality.ESTIMATED_REFERENCE_DAY: N_("estimated from comparable days"),
    Quality.ESTIMATED_LINEAR: N_("estimated by interpolation"),
    Quality.QUESTIONABLE: N_("questionable"),
    Quality.DERIVED: N_("calculated"),
    Quality.PROJECTED: N_("projected"),
    Quality.MIXED: N_("partly estimated"),
    Quality.RAW: N_("not validated"),
    Quality.NORMALIZED_FOR_WEATHER: N_("adjusted for the weather"),
    Quality.OTHER: N_("substituted"),
    Quality.VALIDATED: N_("validated"),
    Quality.VERIFIED: N_("verified by a person"),
    Quality.REVENUE_QUALITY: N_("fit for billing"),
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
