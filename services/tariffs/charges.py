"""The kinds of charge a tariff may have, each as it is written in JSON."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from services.tariffs.rules import MonthCount, RoundingMode
from services.tariffs.values import (
    Code,
    Day,
    Description,
    Frozen,
    LanguageTag,
    NotNegative,
    Positive,
    Rate,
    Ratio,
)

Per = Literal["bill", "month", "day"]
Times = Literal["one", "connected_kw", "connected_kva", "billed_kw"]
Proration = Literal["days", "none"]


class When(Frozen):
    """A charge is there only if use and connected load are in these ranges: above, up to and with.

    kWh is what was imported on the bill, against bounds scaled by `per` as slab limits are.
    """

    kwh_above: NotNegative | None = None
    kwh_up_to: Positive | None = None
    per: Per | None = None
    load_kw_above: NotNegative | None = None
    load_kw_up_to: Positive | None = None


class _Charge(Frozen):
    code: Code
    description: Description
    # By language, where the description is in another one than customers read.
    names: dict[LanguageTag, Description] | None = None
    tax: StrictBool = False
    when: When | None = None
    at_most: Positive | None = None
    months: MonthCount | None = None


class Slab(Frozen):
    """`rate` per kWh (kVAh, kVArh) up to a cumulative bound (None: no bound)."""

    up_to_kwh: Positive | None = None
    rate: NotNegative


class DemandSlab(Frozen):
    """`rate` per kW (kVA, kVAr) up to a cumulative bound (None: no bound)."""

    up_to_kw: Positive | None = None
    rate: NotNegative


class RateChange(Frozen):
    """The rate that holds from the start of a local date on."""

    begin: Day = Field(alias="from")
    rate: Rate


class EnergyCharge(_Charge):
    """A charge per kWh (or what `quantity` says): `rate`, `slabs`, or by period of a `calendar`.

    Under net metering kWh are those imported less those exported, and settled_kwh the surplus that
    is paid out, at a rate below 0.

    `print` says whether the bill shows one line for all slabs or a line for each slab used.
    """

    kind: Literal["energy"]
    quantity: Literal["kwh", "export_kwh", "kvah", "kvarh", "settled_kwh"] = "kwh"
    rate: Rate | None = None
    changes: tuple[RateChange, ...] | None = None
    slabs: tuple[Slab, ...] | None = None
    slab_limits_per: Literal["bill", "month", "day", "kw"] | None = None
    slabs_apply: Literal["telescopic", "whole_use"] = "telescopic"
    limits_to: Literal["wh", "kwh"] = "wh"
    calendar: Code | None = None
    rates: dict[Code, Rate] | None = None
    period_slabs: dict[Code, tuple[Slab, ...]] | None = None
    tiers: Literal["pooled", "per_period"] | None = None
    print: Literal["one_line", "line_per_slab"] = "one_line"


class FixedCharge(_Charge):
    """An amount per bill, month or day; `proration` says if a month's amount follows its days."""

    kind: Literal["fixed"]
    amount: Rate
    per: Per
    proration: Proration | None = None
    days_as: Literal["actual", "average_month"] = "actual"
    times: Times = "one"


class Ratchet(Frozen):
    """Billed demand is at least `percent` of the highest of the last `months` months."""

    percent: Positive
    months: Annotated[StrictInt, Field(ge=1, le=60)]


class DemandRounding(Frozen):
    """Billed demand is rounded to a multiple of `to` kW (kVA, kVAr)."""

    to: Positive
    mode: RoundingMode = "half_up"


class DemandCharge(_Charge):
    """A charge per kW, kVA or kVAr of the bill's highest demand, or of each calendar period's."""

    kind: Literal["demand"]
    quantity: Literal["kw", "kva", "kvar"]
    rate: Rate | None = None
    slabs: tuple[DemandSlab, ...] | None = None
    calendar: Code | None = None
    rates: dict[Code, Rate] | None = None
    period_slabs: dict[Code, tuple[DemandSlab, ...]] | None = None
    ratchet: Ratchet | None = None
    at_least_kw: NotNegative | None = None
    demand_to: DemandRounding | None = None
    free_per_kw: Ratio | None = None
    proration: Proration = "none"


class PowerFactorStep(Frozen):
    """Each 0.01 below the power factor `pf` costs `percent_per_point` instead."""

    pf: Positive
    percent_per_point: NotNegative


class PowerFactorCharge(_Charge):
    """Percent of the charges in `of` for each 0.01 that the power factor is below the target.

    `below` lists further steps down; above `bonus_above` (else the target) each 0.01 is a rebate
    of `bonus_percent_per_point`. `at_most_percent` bounds both.
    """

    kind: Literal["power_factor"]
    target: Positive
    percent_per_point: NotNegative
    below: tuple[PowerFactorStep, ...] | None = None
    bonus_percent_per_point: Positive | None = None
    bonus_above: Positive | None = None
    of: tuple[Code, ...]
    at_most_percent: Positive | None = None


class ReactiveCharge(_Charge):
    """A rate per kVArh above what is free with each kWh."""

    kind: Literal["reactive"]
    rate: Rate
    free_kvarh_per_kwh: Ratio = "0"


class PercentCharge(_Charge):
    """A percent of the rounded amounts of the charges named in `of`; below 0 it is a rebate.

    With `gross_up` it is the percent of an amount that contains it: base × p / (100 − p).
    """

    kind: Literal["percent"]
    percent: Rate
    of: tuple[Code, ...]
    gross_up: StrictBool = False


class MinimumCharge(_Charge):
    """What the charges in `of` lack to an amount per bill, month, day or year."""

    kind: Literal["minimum"]
    amount: Positive
    per: Literal["bill", "month", "day", "year"]
    proration: Proration | None = None
    times: Times = "one"
    of: tuple[Code, ...]


Charge = Annotated[
    EnergyCharge
    | FixedCharge
    | DemandCharge
    | PowerFactorCharge
    | ReactiveCharge
    | PercentCharge
    | MinimumCharge,
    Field(discriminator="kind"),
]
