"""What holds for a whole tariff: rounding, how months are counted, seasons and calendars."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, StrictInt, Tag

from services.tariffs.values import Clock, Code, DayOfYear, Frozen, Positive

RoundingMode = Literal["half_up", "half_even", "down", "up"]
DayType = Literal["weekday", "weekend", "holiday"]
_Days = Annotated[StrictInt, Field(ge=1, le=3660)]


def _text_or_object(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<object>"


class RoundTo(Frozen):
    """To a multiple of `to` (money; None: the minor unit): "down" is toward zero, "up" away."""

    mode: RoundingMode = "half_up"
    to: Positive | None = None


class RoundTotal(RoundTo):
    """The total's rounding; with `carry_forward` the next bill begins with the difference."""

    carry_forward: StrictBool = False


LineRounding = Annotated[
    Annotated[Literal["none"], Tag("<text>")] | Annotated[RoundTo, Tag("<object>")],
    Discriminator(_text_or_object),
]


class Rounding(Frozen):
    """How amounts are rounded; without `lines` each line is, half up to the minor unit."""

    lines: LineRounding | None = None
    total: RoundTotal | None = None


TariffRounding = Annotated[
    Annotated[Literal["half_up"], Tag("<text>")] | Annotated[Rounding, Tag("<object>")],
    Discriminator(_text_or_object),
]


class MonthCount(Frozen):
    """How many months a period is, which prorated amounts and monthly slab limits are times."""

    count: Literal["calendar", "thirtieths", "one"] = "calendar"
    places: Annotated[StrictInt, Field(ge=0, le=8)] | None = None
    one_within_days: tuple[_Days, _Days] | None = None


class BillingPeriod(Frozen):
    """How many days slab limits and amounts per bill are made for, both ends included.

    What is beyond them is for a person to issue; with "scale" it is instead charged for
    days / `usual_days` bills.
    """

    min_days: _Days
    max_days: _Days
    beyond: Literal["scale"] | None = None
    usual_days: _Days | None = None


class NetMetering(Frozen):
    """Exported kWh offset imported ones, and a surplus is banked for later bills.

    In the month `settled_in`, and as the customer moves out, what is banked is paid out or lapses.
    With energy by time of use each period has its own bank, which offsets the other periods only
    with "all_periods".
    """

    surplus: Literal["paid", "lapses"]
    settled_in: Annotated[StrictInt, Field(ge=1, le=12)] | None = None
    offsets: Literal["own_period", "all_periods"] = "own_period"


class Season(Frozen):
    """Days of every year, both ends included; `begin` after `end` goes over the new year."""

    begin: DayOfYear = Field(alias="from")
    end: DayOfYear = Field(alias="to")


class Window(Frozen):
    """Half hours of a period: in these seasons or months, on these days, from `begin` to `end`.

    What is left out means all. `begin` after `end` is the night of the same date: its evening from
    `begin` and its morning up to `end`.
    """

    seasons: tuple[Code, ...] | None = None
    months: tuple[Annotated[StrictInt, Field(ge=1, le=12)], ...] | None = None
    days: tuple[DayType, ...] | None = None
    begin: Clock = Field(default="00:00", alias="from")
    end: Clock = Field(default="24:00", alias="to")


class CalendarRule(Frozen):
    """Which period each half hour of a year belongs to; `order` is the order of the bill."""

    periods: dict[Code, tuple[Window, ...]]
    order: tuple[Code, ...] | None = None

    @property
    def period_names(self) -> tuple[str, ...]:
        """The periods in the bill's order: as `order` says, else by name.

        Never as the JSON has them: the database does not keep the order of an object's names.
        """
        return self.order if self.order is not None else tuple(sorted(self.periods))
