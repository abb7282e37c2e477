"""A load is priced month by month by a rate: from Python, and on the command line."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import services.__main__ as command_line
from services.commands import working
from services.importing.load_file import Load
from services.importing.source import UnreadableFile
from services.settings import PROJECT_FOLDER
from services.tariff_publishing.price_load import (
    MonthPrice,
    price_load,
    tariff_of_file,
    tariff_of_rate,
)
from services.tariffs import parse_tariff

Json = dict[str, Any]
Price = Callable[..., int]

HOURS = 8760
RATE = {
    "label": "x1",
    "energyratestructure": [[{"rate": 0.12}]],
    "fixedchargefirstmeter": 12.5,
    "fixedchargeunits": "$/month",
}
KSEB = PROJECT_FOLDER / "examples" / "tariffs" / "kseb-lt1a.json"


def load_of(wh: int | list[int] = 1000, *, minutes: int = 60) -> Load:
    every = wh if isinstance(wh, list) else [wh] * (HOURS * 60 // minutes)
    return Load(datetime(2018, 1, 1, tzinfo=UTC), minutes, tuple(every))


def priced(rate: Json, load: Load | None = None, **how: Any) -> list[MonthPrice]:
    tariff, _ = tariff_of_rate(json.dumps(rate), **how)
    return price_load(tariff, load or load_of())


def test_a_month_has_its_total_and_its_charges_unrounded() -> None:
    january, february, *_ = priced(RATE)
    assert january.to_json(currency="USD") == {
        "month": "2018-01",
        "total": "101.78",  # 744 kWh at 0.12, and 12.50
        "kwh": "744",
        "peak_kw": "1",
        "charges": {"fixed": "12.5", "energy": "89.28"},
    }
    assert february.charges == {"fixed": Fraction("12.5"), "energy": Fraction("80.64")}


def test_a_total_is_rounded_once_and_half_up() -> None:
    # 744 kWh at 0.000005 and 0.00128 come to 0.005 exactly: each alone would be rounded to 0.00.
    rate = {"energyratestructure": [[{"rate": 0.000005}]], "fixedchargefirstmeter": 0.00128}
    january = priced({**rate, "fixedchargeunits": "$/month"})[0]
    assert january.charges == {"fixed": Fraction("0.00128"), "energy": Fraction("0.00372")}
    assert january.total_minor == 1


def test_an_amount_per_day_is_365_twelfths_or_the_days_of_the_month() -> None:
    rate = {"fixedchargefirstmeter": 0.48, "fixedchargeunits": "$/day"}
    average, actual = priced(rate), priced(rate, days_as="actual")
    assert {month.total_minor for month in average} == {1460}
    assert [month.total_minor for month in actual][:3] == [1488, 1344, 1488]


def test_tiers_are_shared_among_the_periods_of_a_month_by_their_use() -> None:
    # 744 kWh in January, a third of them from 0:00 to 8:00: 500 in the first tier, 244 above.
    night, day = [0] * 8, [1] * 16
    rate = {
        "energyratestructure": [
            [{"rate": 0.1, "max": 500}, {"rate": 0.2}],
            [{"rate": 0.3, "max": 500}, {"rate": 0.4}],
        ],
        "energyweekdayschedule": [night + day] * 12,
        "energyweekendschedule": [night + day] * 12,
    }
    energy = priced(rate)[0].charges["energy"]
    by_hand = (50 + Fraction("48.8")) / 3 + (150 + Fraction("97.6")) * 2 / 3
    assert abs(energy - by_hand) < Fraction(1, 1000)  # shares are whole Wh


def test_demand_is_the_highest_interval_and_a_ratchet_keeps_it() -> None:
    hours = [1000] * HOURS
    hours[24 * 31 + 5] = 9000  # 1 February
    rate = {"flatdemandstructure": [[{"rate": 10}]], "lookbackpercent": 0.5, "lookbackrange": 2}
    totals = [month.total_minor for month in priced(rate, load_of(hours))]
    assert totals[:6] == [1000, 9000, 4500, 4500, 1000, 1000]
    half_hours = priced(rate, load_of(1000, minutes=30))
    assert (half_hours[0].peak_w, half_hours[0].total_minor) == (2000, 2000)


def test_a_load_of_kwh_has_a_power_factor_of_1() -> None:
    rate = {"flatdemandstructure": [[{"rate": 10}]], "flatdemandunit": "kVA"}
    january = priced({**rate, "demandreactivepowercharge": 0.5})[0]
    assert january.charges == {"demand_max": 10, "reactive": 0}


def test_a_minimum_of_the_year_is_made_up_in_december_of_a_whole_year() -> None:
    rate = {**RATE, "mincharge": 1300, "minchargeunits": "$/year"}
    months = priced(rate)
    assert [m.charges["minimum_of_year"] for m in months[:11]] == [0] * 11
    assert months[11].charges["minimum_of_year"] == 1300 - 12 * Fraction("12.5") - 8760 * Fraction(
        "0.12"
    )
    assert sum(month.total_minor for month in months) == 130_000
    part = priced(rate, load_of([1000] * 24 * 59))
    assert [m.month for m in part] == [date(2018, 1, 1), date(2018, 2, 1)]
    assert [m.charges["minimum_of_year"] for m in part] == [0, 0]


def test_what_is_sold_is_nothing() -> None:
    rate = {**RATE, "energyratestructure": [[{"rate": 0.12, "sell": 0.05}]]}
    assert priced(rate)[0].charges["sold"] == 0


def test_a_rate_is_chosen_by_the_name_it_stands_under_or_by_its_label() -> None:
    two = json.dumps({"winter": RATE | {"label": "w"}, "summer": RATE | {"label": "s"}})
    assert tariff_of_rate(two, label="summer")[0].code == "summer"
    assert tariff_of_rate(two, label="w")[0].code == "winter"
    with pytest.raises(UnreadableFile, match=r"2 of them: say which with --label: winter, summer"):
        tariff_of_rate(two)
    with pytest.raises(UnreadableFile, match=r"called 'spring'. There is: winter, summer"):
        tariff_of_rate(two, label="spring")


def test_a_tariff_of_ones_own_is_rounded_as_it_says() -> None:
    tariff = tariff_of_file(KSEB)
    assert tariff == parse_tariff(json.loads(KSEB.read_text()))
    january = price_load(tariff, load_of(200))[0]
    assert january.wh == 148_800
    assert january.total_minor == sum(january.charges.values()) * 100
    with pytest.raises(UnreadableFile, match="called 'none'"):
        tariff_of_file(KSEB, code="none")


@pytest.fixture
def price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Price:
    """Call the command; by keyword what differs from a good rate and a good load."""
    monkeypatch.setattr(working, "open_services", None)  # No database is opened.
    monkeypatch.setattr(command_line, "load_settings", lambda: None)

    def run(*more: str, rate: object = RATE, load: str = "kwh\n" + "1\n" * HOURS) -> int:
        rate_file, load_file = tmp_path / "rate.json", tmp_path / "load.csv"
        rate_file.write_text(rate if isinstance(rate, str) else json.dumps(rate))
        load_file.write_text(load)
        named = [] if "--tariff" in more else ["--urdb", str(rate_file)]
        return command_line.main(["price", *named, "--load", str(load_file), *more])

    return run


Printed = pytest.CaptureFixture[str]


def test_the_command_prints_the_months_as_json(price: Price, capsys: Printed) -> None:
    assert price(rate=RATE | {"demandwindow": 15}) == 0
    printed = capsys.readouterr()
    months = json.loads(printed.out)["months"]
    assert [month["month"] for month in months] == [f"2018-{n:02d}" for n in range(1, 13)]
    assert months[0]["total"] == "101.78"
    assert printed.err == "note, demandwindow: left out: 15.\n"


def test_the_command_takes_a_year_and_a_tariff_of_ones_own(price: Price, capsys: Printed) -> None:
    assert price("--year", "2024", load="kwh\n" + "1\n" * 8784) == 0
    assert json.loads(capsys.readouterr().out)["months"][1]["kwh"] == "696"
    assert price("--tariff", str(KSEB)) == 0
    assert json.loads(capsys.readouterr().out)["months"][0]["kwh"] == "744"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"load": "kwh\n1\n"}, "2018 has 8,760 hours, and the file has 1 value."),
        ({"load": "kwh\n" + "1\n" * 8784}, "and the file has 8,784 values"),
        ({"load": "kwh\nx\n"}, "row 2: kwh must be a number"),
        ({"load": "kwh\n-1\n"}, "row 2: kwh cannot be negative"),
        ({"load": ""}, "The file is empty."),
        ({"rate": "{"}, "This is not JSON"),
        ({"rate": []}, "There is nothing in the file."),
        ({"rate": {}}, "There is nothing in the file."),
        ({"rate": [{"label": "x1"}]}, "has no charge that a bill could be made of"),
        ({"rate": [5]}, "is not an object with named fields"),
        ({"rate": [RATE, RATE]}, "The file has 2 of them: say which with --label: x1, x1."),
        ({"rate": {"energyratestructure": [[{"rate": "x"}]]}}, "x is not a number"),
        ({"rate": {"energyratestructure": [[{"rate": 1, "max": 5}, {"rate": -1}]]}}, "credits"),
    ],
)
def test_bad_input_is_told_in_a_sentence(
    price: Price, capsys: Printed, how: Json, said: str
) -> None:
    assert price(**how) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--year", "20x8"], "must be a year such as 2018"),
        (["--year", "1066"], "must be a year such as 2018"),
        (["--days-as", "some"], "invalid choice"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    price: Price, capsys: Printed, arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as left:
        price(*arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_a_load_whose_numbers_may_be_two_is_priced_once_the_decimal_sign_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load = tmp_path / "load.csv"
    load.write_text("kwh;more\n" + "1.117;\n" * HOURS)
    arguments = ["price", "--tariff", str(KSEB), "--load", str(load)]
    assert command_line.main(arguments) == 2
    assert "1.117 may be 1117 or 1.117" in capsys.readouterr().err
    assert command_line.main([*arguments, "--decimal", "point"]) == 0
    assert json.loads(capsys.readouterr().out)["months"][0]["kwh"] == "831.048"
