"""What a meter is expected to show: the same for the round, the form and the rules that judge."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from services.languages.sentence import N_, sentence
from services.metering.recent_use import UnableToCompareReads
from services.metering.validation import ExpectedRange, expected_range
from services.quantities.energy import kwh_value
from services.records.readings import ReadPoint
from services.records.use_limits import LimitBook, PeerUse, UseLimits


class JudgedMeter(Protocol):
    """A meter with all that its next read is judged by: a ReadingContext, or one of a round."""

    @property
    def last_point(self) -> ReadPoint | None:
        """What its use is counted from."""
        ...

    @property
    def history(self) -> Sequence[ReadPoint]:
        """Its accepted reads of some 500 days."""
        ...

    @property
    def waiting(self) -> Sequence[ReadPoint]:
        """Its readings that nobody has reviewed yet."""
        ...

    @property
    def peers(self) -> Sequence[PeerUse]:
        """How the use of meters beside it moved."""
        ...

    @property
    def dials(self) -> int:
        """Its digits before the point."""
        ...

    @property
    def multiplier_milli(self) -> int:
        """What its register is multiplied by, in thousandths."""
        ...

    def limits(self, book: LimitBook, *, on: date) -> UseLimits:
        """What limits its use up to a local date, beside its own past."""
        ...


def expected_on(meter: JudgedMeter, *, book: LimitBook, on: date) -> ExpectedRange | None:
    """The register values that pass the rules on a local date; None where all may."""
    last = meter.last_point
    if last is None:
        return None
    try:
        return expected_range(
            read_on=on,
            last_read=last,
            history=meter.history,
            dials=meter.dials,
            multiplier_milli=meter.multiplier_milli,
            limits=meter.limits(book, on=on),
            waiting=meter.waiting,
            peers=meter.peers,
        )
    except UnableToCompareReads:
        return None


def expected_text(expected: ExpectedRange | None, *, dials: int) -> str:
    """What may be expected, such as: 1,000 to 1,117 kWh; past a rollover in two parts."""
    if expected is None:
        return N_("not known yet")
    # Whole kWh, downwards: what is promised here must not be flagged.
    low, high = kwh_value(expected.low_wh), expected.high_wh // 1000
    if expected.high_wh < expected.low_wh:
        return sentence(
            "{low} to {most}, or 0 to {high} kWh", low=low, most=10**dials - 1, high=high
        )
    return sentence("{low} to {high} kWh", low=low, high=high)
