"""How much time the providers of one request still have together."""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of this process's own clock, handed along from one outside call to the next."""

    ends_at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds until then; 0 when it has passed."""
        return max(0.0, self.ends_at - time.monotonic())

    def leaving(self, seconds: float) -> "Deadline":
        """An earlier one that leaves so many seconds to those who come later."""
        return Deadline(self.ends_at - seconds)

    def at_most(self, seconds: float) -> "Deadline":
        """This one, or so many seconds from now if that is earlier."""
        return Deadline(min(self.ends_at, time.monotonic() + seconds))
