"""Random charges of every kind, as their JSON."""

from collections.abc import Callable
from random import Random
from typing import Any

Json = dict[str, Any]

CHANGE_DAYS = [f"20{y}-{m:02d}-{d:02d}" for y in range(19, 33) for m in (1, 2, 7) for d in (1, 11)]


Maker = Callable[[Random, Json, list[str]], Json | None]


def random_charge(random: Random, tariff: Json, earlier: list[str], *, first: bool) -> Json:
    """A charge without its code; `earlier` are the charges that it may be computed from."""
    energy: list[Maker] = [_flat, _slabs, _by_period, _period_slabs]
    others: list[Maker] = [_fixed, _demand, _fixed, _demand, _reactive, _minimum, _power_factor]
    every = energy * 2 + [_fixed, _demand] if first else energy + others + [_percent] * 3
    charge = random.choice(every)(random, tariff, earlier) or _flat(random, tariff, earlier)
    return charge | _common(random, charge)


def rising_charges(random: Random, tariff: Json) -> list[Json]:
    """Energy without credits and cliffs, a percent of it, and a minimum of all."""
    charges = []
    for make in random.choices([_flat, _slabs, _by_period, _period_slabs, _fixed], k=3):
        charge = make(random, tariff, []) or _slabs(random, tariff, [])
        for field in ("changes", "slabs_apply", "quantity"):
            charge.pop(field, None)
        if "rate" in charge:
            charge["rate"] = decimal(random)
        if "rates" in charge:
            charge["rates"] = {name: decimal(random) for name in charge["rates"]}
        if "tiers" in charge:
            charge["tiers"] = "per_period"
        charges.append(charge)
    codes = [f"c{n}" for n in range(3)]
    charges.append({"kind": "percent", "percent": decimal(random, 30), "of": codes})
    if random.random() < 0.5:
        charges.append({**(_minimum(random, tariff, codes) or {}), "of": [*codes, "c3"]})
    return [{"code": f"c{n}", "description": "C", **c} for n, c in enumerate(charges)]


def decimal(
    random: Random, top: int = 20, *, negative: bool = False, positive: bool = False
) -> str:
    """Plain decimals with 0 to 6 places, sometimes 0, sometimes with 12."""
    if random.random() < 0.01:
        return random.choice(("999999999999.999999999999", "123456789012", "99999.000000000001"))
    places = random.choice((0, 1, 2, 2, 3, 4, 4, 6, 12))
    value = random.choice((random.randrange(top * 10**places + 1), random.randrange(100)))
    if positive and not value:
        value = 1
    digits = f"{value:0{places + 1}d}"
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if negative and random.random() < 0.3 and value else text


def random_months(random: Random) -> Json:
    rule: Json = {"count": random.choice(("calendar", "thirtieths", "one"))}
    if rule["count"] != "one" and random.random() < 0.5:
        rule["places"] = random.choice((0, 1, 2, 3, 4, 8))
    if rule["count"] != "one" and random.random() < 0.4:
        rule["one_within_days"] = random.choice(([25, 35], [28, 31], [30, 30]))
    return rule


def _common(random: Random, charge: Json) -> Json:
    common: Json = {}
    if random.random() < 0.2:
        common["when"] = _when(random)
    if random.random() < 0.1:
        common["at_most"] = decimal(random, 500, positive=True)
    if _counts_months(charge, common.get("when", {})) and random.random() < 0.3:
        common["months"] = random_months(random)
    if random.random() < 0.2:
        common["tax"] = True
    if charge["kind"] == "percent" and random.random() < 0.5:
        common.pop("at_most", None)
    return common


def _counts_months(charge: Json, when: Json) -> bool:
    """Whether something in the charge is times the months: else it has no count of its own."""
    return (
        charge.get("proration") == "days"
        or charge.get("days_as") == "average_month"
        or "month" in (charge.get("slab_limits_per"), when.get("per"))
    )


def _when(random: Random) -> Json:
    when: Json = {}
    low, high = sorted(random.sample(range(1, 600), 2))
    kind = random.randrange(8)
    if kind in (0, 1, 2, 6):
        when["kwh_above"] = str(low) if random.random() < 0.9 else "0"
    if kind in (1, 3, 6):
        when["kwh_up_to"] = f"{high}.5" if random.random() < 0.2 else str(high)
    if when:
        when["per"] = random.choice(("bill", "month", "day"))
    if kind in (4, 6, 7):
        when["load_kw_above"] = random.choice(("0", "2", "3.5"))
    if kind in (5, 6, 7):
        when["load_kw_up_to"] = random.choice(("5", "7.5", "10"))
    return when


def _flat(random: Random, _tariff: Json, _earlier: list[str]) -> Json:
    charge: Json = {"kind": "energy", "rate": decimal(random, negative=True)}
    charge |= _quantity(random)
    if random.random() < 0.25:
        days = sorted(random.sample(CHANGE_DAYS, random.randint(1, 3)))
        charge["changes"] = [{"from": day, "rate": decimal(random, negative=True)} for day in days]
    return charge


def _quantity(random: Random) -> Json:
    if random.random() < 0.65:
        return {}
    return {"quantity": random.choice(("kwh", "export_kwh", "kvah", "kvarh"))}


def _slab_list(random: Random, unit: str = "kwh", like: list[Json] | None = None) -> list[Json]:
    """Slabs with rising limits, or with those of other slabs and rates of their own."""
    if like is not None:
        return [{**slab, "rate": decimal(random)} for slab in like]
    bounds = sorted(random.sample(range(1, 600), random.randint(0, 4)))
    texts = [
        f"{bound}.{random.randrange(10)}" if random.random() < 0.2 else str(bound)
        for bound in bounds
    ]
    slabs: list[Json] = [{f"up_to_{unit}": text, "rate": decimal(random)} for text in texts]
    return [*slabs, {"rate": decimal(random)}]


def _limits(random: Random) -> Json:
    options: Json = {"slab_limits_per": random.choice(("bill", "month", "month", "day", "kw"))}
    if random.random() < 0.3:
        options["slabs_apply"] = "whole_use"
    if random.random() < 0.3:
        options["limits_to"] = "kwh"
    if random.random() < 0.4:
        options["print"] = random.choice(("line_per_slab", "one_line"))
    return options


def _slabs(random: Random, _tariff: Json, _earlier: list[str]) -> Json:
    return {
        "kind": "energy",
        "slabs": _slab_list(random),
        **_limits(random),
        **_quantity(random),
    }


def _pick_calendar(random: Random, tariff: Json) -> tuple[str, list[str]] | None:
    calendars = tariff.get("calendars")
    if not calendars:
        return None
    name = random.choice(list(calendars))
    return name, list(calendars[name]["periods"])


def _calendar_quantity(random: Random, calendar: str) -> Json:
    if calendar == "season":
        return _quantity(random)
    kind = random.random()
    return {"quantity": "export_kwh" if kind < 0.2 else "kvah"} if kind < 0.35 else {}


def _by_period(random: Random, tariff: Json, _earlier: list[str]) -> Json | None:
    picked = _pick_calendar(random, tariff)
    if picked is None:
        return None
    calendar, names = picked
    rates = {name: decimal(random, negative=True) for name in names}
    quantity = _calendar_quantity(random, calendar)
    return {"kind": "energy", "calendar": calendar, "rates": rates, **quantity}


def _period_slabs(random: Random, tariff: Json, _earlier: list[str]) -> Json | None:
    picked = _pick_calendar(random, tariff)
    if picked is None:
        return None
    calendar, names = picked
    tiers = random.choice(("pooled", "per_period"))
    first = _slab_list(random)
    like = first if tiers == "pooled" else None
    return {
        "kind": "energy",
        "calendar": calendar,
        "tiers": tiers,
        "period_slabs": {names[0]: first}
        | {name: _slab_list(random, like=like) for name in names[1:]},
        **_limits(random),
        **_calendar_quantity(random, calendar),
    }


def _times(random: Random) -> Json:
    if random.random() < 0.6:
        return {}
    return {"times": random.choice(("one", "connected_kw", "connected_kva", "billed_kw"))}


def _amount_per(random: Random, pers: tuple[str, ...]) -> Json:
    charge: Json = {"per": random.choice(pers), **_times(random)}
    if charge["per"] == "month":
        charge["proration"] = random.choice(("days", "days", "none"))
    return charge


def _fixed(random: Random, _tariff: Json, _earlier: list[str]) -> Json:
    amount = decimal(random, 200, negative=True)
    charge = {"kind": "fixed", "amount": amount, **_amount_per(random, ("bill", "month", "day"))}
    if charge["per"] == "day" and random.random() < 0.4:
        charge["days_as"] = random.choice(("average_month", "actual"))
    return charge


def _demand(random: Random, tariff: Json, _earlier: list[str]) -> Json:
    quantity = random.choice(("kw", "kw", "kva", "kvar"))
    picked = _pick_calendar(random, tariff) if random.random() < 0.5 else None
    if picked and (picked[0] == "season" or quantity != "kvar"):
        charge = _demand_by_period(random, *picked)
    elif random.random() < 0.5:
        charge = {"rate": decimal(random, negative=True)}
    else:
        charge = {"slabs": _slab_list(random, "kw")}
    if quantity == "kvar" and random.random() < 0.6:
        charge["free_per_kw"] = random.choice(("1/3", "0.5", "0.62", "0"))
    by_hours = charge.get("calendar") == "hours"
    return {"kind": "demand", "quantity": quantity, **charge, **_billed(random, by_hours)}


def _demand_by_period(random: Random, calendar: str, names: list[str]) -> Json:
    if random.random() < 0.5:
        return {
            "calendar": calendar,
            "rates": {name: decimal(random, negative=True) for name in names},
        }
    slabs = {name: _slab_list(random, "kw") for name in names}
    return {"calendar": calendar, "period_slabs": slabs}


def _billed(random: Random, by_hours: bool) -> Json:
    """How the measured demand becomes the billed."""
    charge: Json = {}
    if random.random() < 0.3 and not by_hours:
        percent = random.choice(("80", "62.5", "100"))
        charge["ratchet"] = {"percent": percent, "months": random.randint(1, 12)}
    if random.random() < 0.3:
        charge["at_least_kw"] = random.choice(("5", "0.5", "20"))
    if random.random() < 0.3:
        mode = random.choice(("half_up", "half_even", "down", "up"))
        charge["demand_to"] = {"to": random.choice(("0.1", "1", "0.5", "5")), "mode": mode}
    if random.random() < 0.4:
        charge["proration"] = random.choice(("days", "none"))
    return charge


def _reactive(random: Random, _tariff: Json, _earlier: list[str]) -> Json:
    charge: Json = {"kind": "reactive", "rate": decimal(random, 2)}
    if random.random() < 0.8:
        charge["free_kvarh_per_kwh"] = random.choice(("0.5", "1/3", "0.4843", "0"))
    return charge


def _of(random: Random, earlier: list[str]) -> list[str]:
    return random.sample(earlier, random.randint(1, len(earlier)))


def _percent(random: Random, _tariff: Json, earlier: list[str]) -> Json | None:
    if not earlier:
        return None
    charge: Json = {"kind": "percent", "of": _of(random, earlier)}
    charge["percent"] = decimal(random, 30, negative=True)
    if random.random() < 0.3:
        charge |= {"gross_up": True, "percent": random.choice(("18", "2.5", "99.9", "-5"))}
    return charge


def _power_factor(random: Random, _tariff: Json, earlier: list[str]) -> Json | None:
    if not earlier:
        return None
    charge: Json = {"kind": "power_factor", "of": _of(random, earlier)}
    charge |= {"target": random.choice(("0.90", "0.95", "0.8")), "percent_per_point": "1"}
    if random.random() < 0.4:
        charge["below"] = [{"pf": "0.70", "percent_per_point": "2"}]
        if random.random() < 0.5:
            charge["below"].append({"pf": "0.50", "percent_per_point": "2.5"})
    if random.random() < 0.5:
        charge["bonus_percent_per_point"] = random.choice(("0.5", "1"))
        if random.random() < 0.5:
            charge["bonus_above"] = "0.95"
    if random.random() < 0.4:
        charge["at_most_percent"] = random.choice(("10", "3.5"))
    return charge


def _minimum(random: Random, _tariff: Json, earlier: list[str]) -> Json | None:
    if not earlier:
        return None
    return {
        "kind": "minimum",
        "amount": decimal(random, 5000, positive=True),
        "of": _of(random, earlier),
        **_amount_per(random, ("bill", "month", "day", "year", "year")),
    }
