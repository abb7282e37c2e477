"""What readers of interval files hand on: intervals of one meter that follow each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from services.languages.sentence import sentence
from services.quantities.money import round_half_up

MOST_WH: Final = 2_000_000_000  # 2 GWh in an interval: more than any meter, and a Postgres integer
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Intervals of `minutes` from `start` on, in minutes since 1970-01-01 UTC.

    `line` is where they stand in the file. Of an interval without a value, `wh` and `quality` are
    None; `quality` is None as a whole where the file says nothing of it. Channels of a meter are
    added up.
    """

    line: int
    serial: str
    channel: str
    start: int
    minutes: int
    wh: Sequence[int | None]
    quality: Sequence[int | None] | None


class TooLarge(ValueError):
    """An interval has more energy than any meter measures."""


def whole_wh(values: Sequence[Decimal | None]) -> list[int | None]:
    """Wh without fractions: the running total is rounded, so that the sum is right to half a Wh.

    Raises TooLarge.
    """
    whole: list[int | None] = []
    total, rounded = Decimal(0), 0
    for value in values:
        if value is None:
            whole.append(None)
            continue
        if value > MOST_WH:
            raise TooLarge(sentence("the energy is larger than any meter measures in an interval"))
        total += value
        now = int(total) if total == int(total) else round_half_up(Fraction(total))
        whole.append(now - rounded)
        rounded = now
    return whole
