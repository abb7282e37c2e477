"""Quality flags of NEM12 and NEM13 as the quality codes of ESPI.

AEMO, Meter Data File Format Specification NEM12 & NEM13, "QualityMethod" and its appendix of
substitution and estimation types.
"""

import re
from typing import Final

from services.languages.sentence import sentence
from services.quantities.quality import Quality

_FLAG: Final = re.compile(r"A|N|V|[SFE](?P<method>[0-9]{2})?")
# Types that the specification calls linear interpolation or extrapolation.
_LINEAR: Final = frozenset({"14", "17", "54", "69"})
# Agreed with the customer or retailer, checked against another meter, or set by hand.
_BY_HAND: Final = frozenset({"11", "13", "15", "16", "18", "53", "55", "56", "64", "66", "67"})
_CALCULATED: Final = frozenset({"12", "71", "72", "74", "75"})
NO_VALUE: Final = "N"
VARIES: Final = "V"


class UnknownFlag(ValueError):
    """A text is no quality flag; the message says which there are."""


def quality_of(flag: str) -> Quality | None:
    """The quality that a flag says, such as A, S14 or E64; None for N (no value) and V (varies).

    E is an estimate however it was agreed. A substituted value of another method counts as
    estimated from like days, as most methods are. Raises UnknownFlag.
    """
    found = _FLAG.fullmatch(flag)
    if found is None:
        raise UnknownFlag(
            sentence(
                "the quality must be A, S, F, E, V or N, with a method as in S14, not {flag}",
                flag=repr(flag[:20]),
            )
            if flag
            else sentence(
                "the quality must be A, S, F, E, V or N, with a method as in S14, and here is "
                "nothing"
            )
        )
    if flag in (NO_VALUE, VARIES):
        return None
    if flag == "A":
        return Quality.VALID
    method = found["method"] or ""
    if flag[0] == "E":
        return Quality.ESTIMATED_LINEAR if method in _LINEAR else Quality.ESTIMATED_REFERENCE_DAY
    for methods, quality in (
        (_LINEAR, Quality.ESTIMATED_LINEAR),
        (_BY_HAND, Quality.MANUALLY_EDITED),
        (_CALCULATED, Quality.DERIVED),
    ):
        if method in methods:
            return quality
    return Quality.ESTIMATED_REFERENCE_DAY
