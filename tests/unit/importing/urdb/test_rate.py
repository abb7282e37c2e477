"""Rates of the Utility Rate Database become tariffs, and what a tariff cannot say is named."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from services.importing.urdb import ImportedRate, UnusableRate, is_urdb, rates_of, tariff_of
from services.tariffs import compiled, parse_tariff

Json = dict[str, Any]

ALL_DAY = [[0] * 24] * 12
# Summer is June to September; its peak is 16:00 to 19:00 on weekdays, its night 22:00 to 06:00.
SUMMER_DAY = [2] * 6 + [0] * 10 + [1] * 3 + [0] * 3 + [2] * 2
WEEKDAYS = [[3] * 24] * 5 + [SUMMER_DAY] * 4 + [[3] * 24] * 3
WEEKENDS = [[3] * 24] * 5 + [[2] * 24] * 4 + [[3] * 24] * 3
BEGUN = {"label": "abc", "name": "R-1", "utility": "City Power", "startdate": 1388534400}


def imported(rate: Mapping[str, Any], **how: Any) -> ImportedRate:
    """A rate as it comes out of a file: every fraction a Decimal; its tariff must be valid."""
    read = json.loads(json.dumps({**BEGUN, **rate}), parse_float=Decimal)
    result = tariff_of(read, **how)
    assert parse_tariff(result.tariff).to_json() == result.tariff
    return result


def charges(rate: Mapping[str, Any], **how: Any) -> list[Json]:
    listed: list[Json] = imported(rate, **how).tariff["charges"]
    return [{k: v for k, v in charge.items() if k != "description"} for charge in listed]


def remarks(rate: Mapping[str, Any]) -> list[str]:
    return [f"{path}: {text}" if path else text for path, text in imported(rate).remarks]


def why_not(rate: Mapping[str, Any], **how: Any) -> str:
    with pytest.raises(UnusableRate) as refused:
        imported(rate, **how)
    return str(refused.value).removeprefix("This rate cannot be used. ")


def energy(*periods: list[Json], **more: Any) -> Json:
    return {"energyratestructure": list(periods), **more}


def by_hour(*periods: list[Json], **more: Any) -> Json:
    schedules = {"energyweekdayschedule": WEEKDAYS, "energyweekendschedule": WEEKENDS}
    return energy(*periods, **schedules, **more)


V3 = {
    **energy([{"rate": 0.1, "adj": 0.02}]),
    "energyweekdayschedule": ALL_DAY,
    "energyweekendschedule": ALL_DAY,
    "fixedmonthlycharge": 12.5,
    "minmonthlycharge": 20,
    "annualmincharge": 300,
}
V8 = {
    **energy([{"rate": 0.1, "adj": 0.02, "unit": "kWh"}]),
    "energyweekdayschedule": ALL_DAY,
    "energyweekendschedule": ALL_DAY,
    "fixedchargefirstmeter": 12.5,
    "fixedchargeunits": "$/month",
    "mincharge": 20,
    "minchargeunits": "$/month",
}
WHOLE_FILE = {
    "_id": {"$oid": "abc"},
    "rateName": "R-1",
    "utilityName": "City Power",
    "effectiveDate": {"$date": "2014-01-01T00:00:00.000Z"},
    "energyRateStrux": [{"energyRateTiers": [{"rate": 0.1, "adj": 0.02, "unit": "kWh"}]}],
    "energyWeekdaySched": ALL_DAY,
    "energyWeekendSched": ALL_DAY,
    "fixedChargeFirstMeter": 12.5,
    "fixedChargeUnits": "$/month",
    "minCharge": 20,
    "minChargeUnits": "$/month",
}
FIXED = {"code": "fixed", "kind": "fixed", "amount": "12.5", "per": "month", "proration": "days"}
ENERGY = {"code": "energy", "kind": "energy", "rate": "0.12"}
MINIMUM = {
    "code": "minimum",
    "kind": "minimum",
    "amount": "20",
    "per": "month",
    "proration": "days",
    "of": ["fixed", "energy"],
}
YEARLY = {
    "code": "minimum_of_year",
    "kind": "minimum",
    "amount": "300",
    "per": "year",
    "of": ["fixed", "energy", "minimum"],
}


def test_versions_3_and_8_and_the_whole_file_say_the_same() -> None:
    assert charges(V3) == [FIXED, ENERGY, MINIMUM, YEARLY]
    assert charges(V8) == [FIXED, ENERGY, MINIMUM]
    whole_file = tariff_of(json.loads(json.dumps(WHOLE_FILE), parse_float=Decimal))
    assert whole_file == imported(V8)
    assert whole_file.remarks == ()


def test_the_head_names_utility_rate_and_source() -> None:
    uri = "https://example.org/rate/abc"
    tariff = imported({**V8, "uri": uri, "source": "Sheet\r\nNo. 7"}).tariff
    assert tariff["code"] == "abc"
    assert tariff["name"] == "City Power: R-1"
    assert (tariff["currency"], tariff["effective_from"]) == ("USD", "2014-01-01")
    assert tariff["source"] == f"OpenEI Utility Rate Database: {uri} Sheet No. 7"


@pytest.mark.parametrize(
    ("startdate", "begins"),
    [
        (1388534400, "2014-01-01"),
        ("1388534400", "2014-01-01"),
        ("2014-01-01T01:00:00.000Z", "2014-01-01"),
        ({"$date": 1388534400000}, "2014-01-01"),
        ({"$date": {"$numberLong": "1388534400000"}}, "2014-01-01"),
    ],
)
def test_a_start_date_is_read_however_it_is_written(startdate: object, begins: str) -> None:
    assert imported({**V8, "startdate": startdate}).tariff["effective_from"] == begins


def test_a_given_date_wins_over_the_rates_own() -> None:
    tariff = imported(V8, effective_from=date(2026, 4, 1)).tariff
    assert tariff["effective_from"] == "2026-04-01"


@pytest.mark.parametrize("shape", ["one", "list", "items", "named"])
def test_a_file_holds_one_rate_a_list_items_or_rates_by_name(shape: str) -> None:
    rate = {**BEGUN, **V8}
    found = {"one": rate, "list": [rate], "items": {"items": [rate]}, "named": {"x": rate}}[shape]
    assert is_urdb(found)
    assert rates_of(found) == [("x" if shape == "named" else "abc", rate)]


def test_the_projects_own_tariffs_are_not_taken_for_rates() -> None:
    tariff = imported(V8).tariff
    assert not any(map(is_urdb, (tariff, [tariff], {"x": tariff}, [tariff, V8], {}, [], 5, [5])))


@pytest.mark.parametrize(
    ("unit", "per"), [("kWh", "month"), ("kWh daily", "day"), ("kWh/kW", "kw"), (None, "month")]
)
def test_tiers_become_slabs_with_limits_in_their_unit(unit: str | None, per: str) -> None:
    tiers = [{"rate": 0.1, "max": 500.0, "unit": unit}, {"rate": 0.2, "adj": -0.05, "unit": unit}]
    (charge,) = charges(energy(tiers))
    assert charge["slabs"] == [{"rate": "0.1", "up_to_kwh": "500"}, {"rate": "0.15"}]
    assert charge["slab_limits_per"] == per


def test_hours_become_a_calendar_of_few_windows() -> None:
    tariff = imported(by_hour(*([{"rate": rate}] for rate in (0.2, 0.4, 0.1, 0.15)))).tariff
    (charge,) = tariff["charges"]
    rates = {"period_1": "0.2", "period_2": "0.4", "period_3": "0.1", "period_4": "0.15"}
    assert charge["rates"] == rates
    summer = {"months": [6, 7, 8, 9]}
    weekday = summer | {"days": ["weekday"]}
    assert tariff["calendars"]["energy"] == {
        "periods": {
            "period_1": [
                weekday | {"from": "06:00", "to": "16:00"},
                weekday | {"from": "19:00", "to": "22:00"},
            ],
            "period_2": [weekday | {"from": "16:00", "to": "19:00"}],
            "period_3": [
                summer | {"days": ["weekend"]},
                weekday | {"from": "22:00", "to": "06:00"},
            ],
            "period_4": [{"months": [1, 2, 3, 4, 5, 10, 11, 12]}],
        },
        "order": list(rates),
    }


def test_each_hour_of_a_calendar_is_in_the_period_of_its_schedule() -> None:
    rate = by_hour(*([{"rate": rate}] for rate in (0.2, 0.4, 0.1, 0.15)))
    calendar = compiled(parse_tariff(imported(rate).tariff), "energy")
    for month in range(12):
        # 1 to 7 of each month of 2018: every day of the week.
        for day in (date(2018, month + 1, d) for d in range(1, 8)):
            table = WEEKENDS if day.weekday() >= 5 else WEEKDAYS
            wanted = [f"period_{table[month][hour // 2] + 1}" for hour in range(48)]
            assert [calendar.of(day, half_hour) for half_hour in range(48)] == wanted


def test_tiers_are_pooled_and_divided_at_the_bounds_of_every_season() -> None:
    summer = [{"rate": 0.2, "max": 1000.0}, {"rate": 0.3}]
    winter = [{"rate": 0.1, "max": 750.0}, {"rate": 0.15, "max": 1500.0}, {"rate": 0.18}]
    (charge,) = charges(by_hour(summer, summer, summer, winter))
    assert charge["tiers"] == "pooled"
    bounds = [{"up_to_kwh": "750"}, {"up_to_kwh": "1000"}, {"up_to_kwh": "1500"}, {}]
    rates = {"period_1": ("0.2", "0.2", "0.3", "0.3"), "period_4": ("0.1", "0.15", "0.15", "0.18")}
    for period, of_slabs in rates.items():
        slabs = [{"rate": rate} | bound for rate, bound in zip(of_slabs, bounds, strict=True)]
        assert charge["period_slabs"][period] == slabs


def test_seasons_with_tiers_in_different_units_are_charges_of_their_own() -> None:
    summer = [{"rate": 0.2, "max": 10, "unit": "kWh daily"}, {"rate": 0.3, "unit": "kWh daily"}]
    winter = [{"rate": 0.1, "max": 750, "unit": "kWh"}, {"rate": 0.15, "unit": "kWh"}]
    daily, monthly = charges(by_hour(summer, summer, summer, winter))
    assert (daily["slab_limits_per"], monthly["slab_limits_per"]) == ("day", "month")
    free = {"period_1": [{"rate": "0", "up_to_kwh": "750"}, {"rate": "0"}]}
    assert monthly["period_slabs"]["period_1"] == free["period_1"]
    assert [slab["rate"] for slab in daily["period_slabs"]["period_4"]] == ["0", "0"]
    assert [slab["rate"] for slab in monthly["period_slabs"]["period_4"]] == ["0.1", "0.15"]


@pytest.mark.parametrize("days_as", ["actual", "average_month"])
def test_an_amount_per_day_is_the_real_days_or_365_twelfths(days_as: str) -> None:
    rate = {"fixedchargefirstmeter": 0.48, "fixedchargeunits": "$/day", "mincharge": 0.392}
    rate |= {"minchargeunits": "$/day"}
    fixed, minimum = charges(rate, days_as=days_as)
    own = {} if days_as == "actual" else {"days_as": days_as}
    assert fixed == {"code": "fixed", "kind": "fixed", "amount": "0.48", "per": "day"} | own
    per_month = {"amount": "11.923333333333", "per": "month", "proration": "days"}
    assert minimum == {"code": "minimum", "kind": "minimum", "of": ["fixed"]} | (
        {"amount": "0.392", "per": "day"} if days_as == "actual" else per_month
    )


def test_a_minimum_per_year_is_one_of_the_year() -> None:
    rate = {**V8, "mincharge": 300, "minchargeunits": "$/year"}
    assert charges(rate)[-1] == YEARLY | {"of": ["fixed", "energy"]}


def test_a_fixed_charge_per_year_is_a_twelfth_each_month_and_said_so() -> None:
    rate = {"fixedchargefirstmeter": 100, "fixedchargeunits": "$/year"}
    assert charges(rate) == [FIXED | {"amount": "8.333333333333"}]
    assert "fixedchargefirstmeter: an amount per year: taken as 8.333333333333 per month" in (
        remarks(rate)
    )


def test_fuel_adjustments_go_by_the_month() -> None:
    monthly = [0.01] * 3 + [-0.002] * 9
    tariff = imported({**V8, "fueladjustmentsmonthly": monthly}).tariff
    fuel = tariff["charges"][2]
    assert fuel["rates"] == {"period_1": "0.01", "period_2": "-0.002"}
    assert tariff["calendars"]["fuel"]["periods"]["period_1"] == [{"months": [1, 2, 3]}]
    assert charges({**V8, "fueladjustmentsmonthly": [0.01] * 12})[2]["rate"] == "0.01"
    assert charges({**V8, "fueladjustmentsmonthly": [0] * 12}) == charges(V8)


DEMAND = {
    "demandratestructure": [[{"rate": 0}], [{"rate": 8.5, "adj": 0.25}]],
    "demandweekdayschedule": [[0] * 12 + [1] * 6 + [0] * 6] * 12,
    "demandweekendschedule": ALL_DAY,
    "demandrateunit": "kW",
    "flatdemandstructure": [[{"rate": 6}], [{"rate": 13.36, "max": 100.0}, {"rate": 15}]],
    "flatdemandmonths": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
    "flatdemandunit": "kW",
}


def test_demand_goes_by_hours_and_by_months() -> None:
    tariff = imported(DEMAND).tariff
    by_hours, by_months = tariff["charges"]
    assert (by_hours["quantity"], by_hours["calendar"]) == ("kw", "demand")
    assert by_hours["rates"] == {"period_1": "0", "period_2": "8.75"}
    assert by_months["period_slabs"] == {
        "period_1": [{"rate": "6"}],
        "period_2": [{"rate": "13.36", "up_to_kw": "100"}, {"rate": "15"}],
    }
    summer = tariff["calendars"]["demand_max"]["periods"]["period_2"]
    assert summer == [{"months": [5, 6, 7, 8, 9, 10]}]


def test_demand_in_kva_and_reactive_power() -> None:
    flat = {"flatdemandstructure": [[{"rate": 6}]], "flatdemandunit": "kVA"}
    kva, reactive = charges({**flat, "demandreactivepowercharge": 0.51})
    assert kva == {"code": "demand_max", "kind": "demand", "quantity": "kva", "rate": "6"}
    assert (reactive["quantity"], reactive["rate"]) == ("kvar", "0.51")


FLAT = {"flatdemandstructure": [[{"rate": 6}]], "flatdemandmonths": [0] * 12}


@pytest.mark.parametrize(
    ("fields", "ratchet"),
    [
        ({"lookbackpercent": 0.8, "lookbackrange": 6}, {"percent": "80", "months": 6}),
        ({"lookbackPercent": 0.8, "lookbackRange": 6}, {"percent": "80", "months": 6}),
        ({"demandratchetpercentage": [0.5] * 12}, {"percent": "50", "months": 11}),
        ({"demandratchetpercentage": [75] * 12}, {"percent": "75", "months": 11}),
        ({"demandratchetpercentage": [0] * 12}, None),
        ({"demandratchetpercentage": [0.5] * 6 + [0] * 6}, None),
        ({"lookbackpercent": 0.8, "lookbackrange": 0, "lookbackmonths": [True] * 12}, None),
    ],
)
def test_a_ratchet_looks_back_over_months(fields: Json, ratchet: Json | None) -> None:
    (charge,) = charges({**FLAT, **fields})
    assert charge.get("ratchet") == ratchet


def test_what_is_sold_earns_its_price() -> None:
    (_, sold) = charges(energy([{"rate": 0.2, "sell": 0.05}]))
    assert sold == {
        "code": "sold",
        "kind": "energy",
        "quantity": "export_kwh",
        "rate": "-0.05",
    }
    tiers = [{"rate": 0.2, "max": 100, "sell": 0.05}, {"rate": 0.3, "sell": 0.06}]
    assert len(charges(energy(tiers))) == 1
    assert any("energyratestructure.sell: left out" in said for said in remarks(energy(tiers)))


def test_numbers_are_exact_and_what_is_left_of_binary_fractions_is_cut_and_named() -> None:
    rate = energy([{"rate": 0.07, "adj": 0.1}])
    text = (
        json.dumps({**BEGUN, **rate})
        .replace("0.07", "0.07000000000000001")
        .replace("0.1}", "1e-05}")
    )
    result = tariff_of(json.loads(text, parse_float=Decimal))
    assert result.tariff["charges"][0]["rate"] == "0.07001"
    path = "energyratestructure[0][0].rate"
    assert result.remarks == ((path, "0.07000000000000001 is taken as 0.07"),)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"coincidentratestructure": [[{"rate": 5}]]}, "coincidentratestructure: left out"),
        ({"fixedchargeeaaddl": 3}, "fixedchargeeaaddl: left out: 3"),
        ({"demandwindow": 15}, "demandwindow: left out: 15"),
        ({"something_new": {"a": 1}}, "something_new: left out: {'a': 1}"),
        ({"dgrules": "Net Metering"}, "dgrules: Net Metering: exported energy is not set off"),
        ({"usenetmetering": True}, "usenetmetering: True: exported energy is not set off"),
        ({"enddate": 1577836800}, "enddate: this rate ended on 2020-01-01"),
        ({"fixedattrs": [{"Optional": "$30"}]}, "fixedattrs: text for people, not priced"),
        ({"energycomments": "Peak: 4-7"}, "energycomments: text for people, not priced: Peak: 4-7"),
        ({"peakkwcapacitymax": 500, "sector": "Commercial"}, "not enforced: peakkwcapacitymax 500"),
        ({"eiaid": 14328, "approved": False}, "kept in no field: eiaid 14328, approved False"),
        ({"fixedchargefirstmeter": 9, "fixedchargeunits": None}, "has no unit: taken as $/month"),
        ({"mincharge": 5, "minchargeunits": "$/lamp"}, "mincharge: is in $/lamp: taken as $/month"),
        ({"fixedmonthlycharge": 3}, "fixedmonthlycharge: left out: 3"),
        ({"mincharge": -5}, "minimum: left out: -5 is below 0"),
        (
            {"flatdemandstructure": [[{"rate": 6}]], "flatdemandunit": "hp"},
            "flatdemandstructure: left out: demand in hp",
        ),
        (
            {"flatdemandstructure": [[{"rate": 6}]], "flatdemandunit": "kW daily"},
            "flatdemandstructure: left out: demand in kw daily",
        ),
        (
            FLAT | {"demandratchetpercentage": [0.5] * 6 + [0] * 6},
            "demandratchetpercentage: left out: it differs by month",
        ),
        (
            FLAT | {"lookbackpercent": 0.8, "lookbackmonths": [True] * 12},
            "lookbackpercent: left out: a ratchet of 80%, by calendar month",
        ),
        ({"lookbackpercent": 0.8}, "left out: a ratchet of 80%, there is no charge"),
        (
            FLAT | {"demandratchetpercentage": [0.5] * 12},
            "does not say how many months it looks back: taken as 11",
        ),
        (energy([{"rate": 1, "max": 5}]), "[0][0].max: 5 is ignored: the last tier takes all"),
        (energy([{"rate": 1}, {"rate": 2}]), "[0][0]: has no max: the tiers after it are left out"),
        (
            energy([{"rate": 1, "max": 5}, {"rate": 2, "max": 5}, {"rate": 3}]),
            "[0][1]: ends at 5, where it begins: left out",
        ),
        (energy([{"rate": 1, "colour": "red"}]), "[0][0].colour: left out: red"),
        (
            energy([{"rate": 1}], [{"rate": 2}], energyweekdayschedule=ALL_DAY),
            "energyratestructure[1]: no hour of the schedules is in this period: left out",
        ),
        (
            {"energyweekendschedule": None},
            "energyweekendschedule: is missing: its days are taken as the other schedule has them",
        ),
        (energy([]), "energyratestructure[0]: has no tiers: nothing is charged in this period"),
        (
            by_hour(
                [{"rate": 1}], [{"rate": 1, "max": 5}, {"rate": 2}], [{"rate": 1}], [{"rate": 1}]
            ),
            "periods of month 6 have different bounds",
        ),
    ],
)
def test_what_a_tariff_cannot_say_is_named(fields: Json, said: str) -> None:
    found = remarks({**V8, **fields})
    assert any(said in remark for remark in found), found


def test_nothing_of_a_rate_is_dropped_in_silence() -> None:
    assert remarks(V8) == []
    for name in ("never_heard_of", "coincidentrateschedule", "demandcomments", "phasewiring"):
        assert any(name in said for said in remarks({**V8, name: "x"}))


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ({}, "has no charge that a bill could be made of"),
        ({"fixedchargefirstmeter": 0}, "has no charge"),
        (V8 | {"startdate": None}, "startdate: is missing: say from when the tariff holds"),
        (V8 | {"startdate": "soon"}, "startdate: soon is not a date"),
        (V8 | {"startdate": [2014]}, "startdate: [2014] is not a date"),
        (V8 | {"startdate": 1e300}, "startdate: 1E+300 is not a date"),
        (energy([{"rate": "free"}]), "energyratestructure[0][0].rate: free is not a number"),
        (energy([{"rate": True}]), "energyratestructure[0][0].rate: True is not a number"),
        (energy([{"rate": 1e15}]), "larger than any rate"),
        ({"energyratestructure": {}, **FLAT, "flatdemandmonths": [0]}, "each of the twelve months"),
        ({"energyratestructure": 5}, "energyratestructure: must be a list of periods"),
        ({"energyratestructure": [5]}, "energyratestructure[0]: must be a list of tiers"),
        ({"energyratestructure": [[5]]}, "energyratestructure[0][0]: must be an object"),
        (
            energy([{"rate": 1, "max": 9}, {"rate": 2, "max": 5}, {"rate": 3}]),
            "energyratestructure[0][1].max: bounds are cumulative and must rise",
        ),
        (energy([{"rate": 1, "max": 9}, {"rate": -2}]), "slabs cannot be credits"),
        (
            energy([{"rate": 1, "max": 9, "unit": "kWh/kW daily"}, {"rate": 2}]),
            "energyratestructure[0]: tiers in 'kwh/kw daily' are not known here",
        ),
        (
            energy(
                [
                    {"rate": 1, "max": 9, "unit": "kWh"},
                    {"rate": 1, "max": 200, "unit": "kWh/kW"},
                    {"rate": 2},
                ]
            ),
            "energyratestructure[0]: its tiers are in different units: kwh, kwh/kw",
        ),
        (
            energy([{"rate": 1}], [{"rate": 2}]),
            "energyweekdayschedule: is missing, and there are 2",
        ),
        (by_hour([{"rate": 1}]), "energyweekdayschedule[0][0]: there is no period 3"),
        (V8 | {"energyweekdayschedule": [[0] * 24] * 11}, "a list for each of the twelve months"),
        (V8 | {"energyweekendschedule": [[0] * 23] * 12}, "energyweekendschedule[0]: must have"),
        (V8 | {"energyweekendschedule": [["a"] * 24] * 12}, "must be the number of a period"),
        (V8 | {"energyweekendschedule": [[0.5] * 24] * 12}, "there is no period 0.5"),
        (V8 | {"fueladjustmentsmonthly": [1]}, "fueladjustmentsmonthly: must list an amount"),
        (V8 | {"MinCharge": 5}, "MinCharge: stands twice in this rate, also as mincharge"),
    ],
)
def test_a_rate_that_cannot_be_a_tariff_says_where(rate: Json, why: str) -> None:
    assert why in why_not(rate)


def test_what_is_no_rate_at_all_is_refused() -> None:
    with pytest.raises(UnusableRate, match="not an object"):
        tariff_of(["a list"])
