"""Random tariffs, as their JSON, with every kind of charge and option; the same from a seed."""

from itertools import pairwise
from random import Random

from tests.oracle.random_charges import Json, random_charge, random_months, rising_charges

HALF_HOURS = 48
DAY_GROUPS = (
    (None,),
    (("weekday",), ("weekend",)),
    (("weekday",), ("weekend",), ("holiday",)),
    (("weekday",), ("weekend", "holiday")),
    (("weekday", "holiday"), ("weekend",)),
    (("weekday", "weekend"), ("holiday",)),
)
HOLIDAYS = ["2020-01-01", "2023-08-15", "2024-02-29", "2024-12-25", "2024-12-26", "2025-05-01"]
PLACES = {"USD": 2, "INR": 2, "EUR": 2, "JPY": 0, "KWD": 3}


def random_tariff(random: Random) -> Json:
    """A valid tariff of up to six charges."""
    code = f"T{random.randrange(10**9)}"
    tariff: Json = {"code": code, "name": "T", "effective_from": "2000-01-01"}
    tariff["currency"] = random.choice(list(PLACES))
    if random.random() < 0.5:
        tariff["rounding"] = _rounding(random, PLACES[tariff["currency"]])
    if random.random() < 0.3:
        tariff["months"] = random_months(random)
    if random.random() < 0.2:
        tariff["whole_kwh"] = True
    if random.random() < 0.6:
        _add_calendars(random, tariff)
    count = random.choice((1, 1, 2, 2, 3, 4, 6))
    codes = [f"c{n}" for n in range(count)]
    # A charge may be of those that come before it in this order, wherever they are printed.
    order = random.sample(codes, count)
    tariff["charges"] = []
    for code in codes:
        earlier = order[: order.index(code)]
        charge = random_charge(random, tariff, earlier, first=code == codes[0])
        tariff["charges"].append({"code": code, "description": code.upper(), **charge})
    return tariff


def rising_tariff(random: Random) -> Json:
    """A tariff in which more energy can never cost less.

    Without credits, cliffs and tiers that periods share; and without half_even, whole kWh and
    rates that change, where rounding alone may take back a minor unit or a Wh.
    """
    tariff = random_tariff(random)
    for field in ("whole_kwh", "rounding"):
        tariff.pop(field, None)
    places = PLACES[tariff["currency"]]
    rounding = _rounding(random, places)
    if "half_even" not in str(rounding):
        tariff["rounding"] = rounding
    tariff["charges"] = rising_charges(random, tariff)
    return tariff


def _rounding(random: Random, places: int) -> Json | str:
    rounding: Json = {}
    minor = "1" if places == 0 else f"0.{'0' * (places - 1)}1"
    tos = [minor, "1", "5", "10", *(["0.05", "0.5"] if places >= 2 else [])]
    modes = ("half_up", "half_even", "down", "up")
    kind = random.random()
    if kind < 0.3:
        rounding["lines"] = "none"
    elif kind < 0.6:
        rounding["lines"] = {"mode": random.choice(modes), "to": random.choice(tos)}
    if random.random() < 0.6:
        rounding["total"] = {"mode": random.choice(modes), "to": random.choice(tos)}
        if random.random() < 0.4:
            rounding["total"]["carry_forward"] = True
        if random.random() < 0.2:
            del rounding["total"]["to"]
    return rounding if random.random() < 0.95 else "half_up"


def _add_calendars(random: Random, tariff: Json) -> None:
    year = _parts_of_year(random, tariff)
    tariff["calendars"] = {"hours": _calendar_of_hours(random, year)}
    if random.random() < 0.5:
        periods = {f"s{n}": [dict(part)] for n, part in enumerate(year)}
        tariff["calendars"]["season"] = {"periods": periods}
    for calendar in tariff["calendars"].values():
        if random.random() < 0.5:
            calendar["order"] = random.sample(list(calendar["periods"]), len(calendar["periods"]))
    tariff["holidays"] = random.sample(HOLIDAYS, random.randrange(len(HOLIDAYS)))


def _parts_of_year(random: Random, tariff: Json) -> list[Json]:
    """Windows that share the year among them: whole, by months, or by seasons that may wrap."""
    kind = random.random()
    if kind < 0.3:
        return [{}]
    if kind < 0.6:
        some = sorted(random.sample(range(1, 13), random.randint(1, 11)))
        return [{"months": some}, {"months": [m for m in range(1, 13) if m not in some]}]
    spring, autumn = random.choice(
        (("04-01", "10-01"), ("03-01", "12-16"), ("06-15", "09-01"), ("01-01", "07-01"))
    )
    before = {"04-01": "03-31", "10-01": "09-30", "03-01": "02-29", "12-16": "12-15"}
    before |= {"06-15": "06-14", "09-01": "08-31", "01-01": "12-31", "07-01": "06-30"}
    tariff["seasons"] = {
        "summer": {"from": spring, "to": before[autumn]},
        "winter": {"from": autumn, "to": before[spring]},
    }
    return [{"seasons": ["summer"]}, {"seasons": ["winter"]}]


def _calendar_of_hours(random: Random, year: list[Json]) -> Json:
    names = random.sample(["peak", "off_peak", "shoulder", "night"], random.randint(1, 3))
    periods: dict[str, list[Json]] = {name: [] for name in names}
    unused = list(names)
    # Once a window speaks of holidays, each part of the year must say what they are.
    groups = [group for group in DAY_GROUPS if "holiday" not in str(group)]
    if random.random() < 0.5:
        groups = [group for group in DAY_GROUPS if group not in groups or group == (None,)]
    for part in year:
        for days in random.choice(groups):
            on = part | ({"days": list(days)} if days else {})
            for window in _blocks(random):
                name = unused.pop() if unused else random.choice(names)
                periods[name].append(on | window)
    return {"periods": {name: windows for name, windows in periods.items() if windows}}


def _blocks(random: Random) -> list[Json]:
    """Windows that share the day: one whole, or blocks between half hours, the last may wrap."""
    cuts = sorted(random.sample(range(1, HALF_HOURS), random.choice((0, 1, 2, 2, 3))))
    if not cuts:
        return [{}]
    if len(cuts) > 1 and random.random() < 0.6:
        pairs = [*pairwise(cuts), (cuts[-1], cuts[0])]
        return [{"from": _clock(start), "to": _clock(end)} for start, end in pairs]
    first: Json = {"to": _clock(cuts[0])}
    between = pairwise(cuts)
    middle = [{"from": _clock(start), "to": _clock(end)} for start, end in between]
    return [first, *middle, {"from": _clock(cuts[-1])}]


def _clock(half_hour: int) -> str:
    return f"{half_hour // 2:02d}:{half_hour % 2 * 30:02d}"
