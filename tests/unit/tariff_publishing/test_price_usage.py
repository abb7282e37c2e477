"""One bill is priced by the command line: published bills, versions, intervals, what is refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import services.__main__ as command_line
from services.commands import working
from services.quantities.energy import format_kwh
from tests.unit.rating.test_engine_published import CASES, DATA, Case, bill_of

Json = dict[str, Any]
JUNE: Json = {"period_start": "2026-06-01", "period_end": "2026-07-01"}
FLAT: Json = {
    "code": "FLAT",
    "name": "One rate",
    "currency": "INR",
    "effective_from": "2026-01-01",
    "charges": [{"code": "energy", "description": "Energy", "kind": "energy", "rate": "2.00"}],
}
ENERGY: Json = FLAT["charges"][0]
TOU: Json = FLAT | {
    "calendars": {
        "tou": {
            "order": ["day", "night"],
            "periods": {
                "day": [{"from": "06:00", "to": "22:00"}],
                "night": [{"from": "22:00", "to": "06:00"}],
            },
        }
    },
    "charges": [
        {k: v for k, v in ENERGY.items() if k != "rate"}
        | {"calendar": "tou", "rates": {"day": "3.00", "night": "1.00"}}
    ],
}


def reads(opening: object, closing: object, **more: object) -> Json:
    return {"opening_kwh": opening, "closing_kwh": closing, **more}


def usage(total: Json | None = None, **more: object) -> Json:
    registers = {"registers": {"total": total or reads(0, 100)}}
    return JUNE | registers | more


@dataclass
class Answer:
    """What the command gave: its exit code, its JSON if any, and what it said."""

    code: int
    bill: Json
    said: str

    @property
    def amounts(self) -> list[tuple[str, str, str]]:
        return [(line["code"], line["quantity"], line["amount"]) for line in self.bill["lines"]]


Price = Callable[..., Answer]


@pytest.fixture
def price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Price:
    """Call the command with tariffs (JSON or paths) and a usage (JSON or text)."""

    class Settings:
        timezone = ZoneInfo("Europe/London")
        log_level = None
        secrets = ()

    monkeypatch.setattr(working, "open_services", None)  # No database is opened.
    monkeypatch.setattr(command_line, "load_settings", Settings)

    def run(*tariffs: object, by: object, more: tuple[str, ...] = ()) -> Answer:
        arguments = ["price", *more]
        for number, tariff in enumerate(tariffs):
            path = tariff if isinstance(tariff, Path) else tmp_path / f"tariff{number}.json"
            if not isinstance(tariff, Path):
                path.write_text(tariff if isinstance(tariff, str) else json.dumps(tariff))
            arguments += ["--tariff", str(path)]
        file = tmp_path / "usage.json"
        file.write_text(by if isinstance(by, str) else json.dumps(by))
        code = command_line.main([*arguments, "--usage", str(file)])
        printed = capsys.readouterr()
        assert bool(printed.out) == (code == 0)
        return Answer(code, json.loads(printed.out or "{}"), printed.err)

    return run


def as_file(case: Case) -> Json:
    """The usage of a published bill as a file has it, opening at some value."""
    used = case.usage

    def counted(wh: int) -> Json:
        return reads("1000.5", format_kwh(1_000_500 + wh), dials=7)

    registers = {"total": counted(used.wh)}
    for periods in used.by_period.values():
        registers |= {period: counted(wh) for period, wh in periods.items()}
    for name, peak in (("max_kw", used.peak_w), ("max_kvar", used.peak_var)):
        if peak is not None:
            registers[name] = {"closing_kwh": format_kwh(peak)}
    found: Json = {
        "period_start": case.period.start.isoformat(),
        "period_end": case.period.end.isoformat(),
        "registers": registers,
    }
    if used.connected_w is not None:
        found["connected_kw"] = format_kwh(used.connected_w)
    return found


@pytest.mark.parametrize("name", CASES)
def test_published_bills_come_out_of_the_command(name: str, price: Price) -> None:
    """That these are the printed figures is proved beside them, in test_engine_published."""
    case = CASES[name]
    answer = price(DATA / "published_tariffs" / f"{case.file or name}.json", by=as_file(case))
    expected = bill_of(name)
    assert answer.said == ""
    assert answer.bill["currency"] == expected.currency
    places = len(answer.bill["total"].partition(".")[2])
    minor = [int(line["amount"].replace(".", "")) for line in answer.bill["lines"]]
    assert minor == [line.amount_minor for line in expected.lines]
    sums = [int(answer.bill[part].replace(".", "")) for part in ("subtotal", "tax", "total")]
    assert sums == [expected.subtotal_minor, expected.tax_minor, expected.total_minor]
    assert places == 2


def test_a_bill_has_the_fields_of_the_contract(price: Price) -> None:
    answer = price(FLAT, by=usage(reads("99950.5", 25.25, dials=5)))
    assert answer.bill == {
        "lines": [
            {
                "code": "energy",
                "description": "Energy",
                "quantity": "74.75",
                "unit": "kWh",
                "rate": "2.00",
                "amount": "149.50",
            }
        ],
        "subtotal": "149.50",
        "tax": "0.00",
        "total": "149.50",
        "currency": "INR",
    }


def test_versions_of_a_tariff_price_their_days_in_any_order(price: Price) -> None:
    second = FLAT | {
        "effective_from": "2026-06-21",
        "charges": [ENERGY | {"rate": "4.00"}],
    }
    for versions in ((FLAT, second), (second, FLAT), ([FLAT, second],)):
        answer = price(*versions, by=usage(reads(0, 300)))
        assert answer.amounts == [("energy", "200", "400.00"), ("energy", "100", "400.00")]
        assert answer.bill["lines"][1]["period_start"] == "2026-06-21"


def test_registers_of_periods_of_export_and_of_reactive_energy(price: Price) -> None:
    tariff = TOU | {
        "charges": [
            *TOU["charges"],
            {
                "code": "export",
                "description": "Sent to the grid",
                "kind": "energy",
                "quantity": "export_kwh",
                "rate": "-1.50",
            },
            {"code": "kvarh", "description": "Reactive", "kind": "reactive", "rate": "0.10"},
        ]
    }
    registers = {
        "Day": reads(100, 160),
        "night": reads(9990, 30, dials=4),
        "export": reads(5, 15),
        "kvarh": reads(0, 50),
    }
    answer = price(tariff, by=JUNE | {"registers": registers, "multiplier": "2"})
    # Day 60 × 2, night 40 × 2; the total is what both counted.
    assert answer.amounts == [
        ("energy", "120", "360.00"),
        ("energy", "80", "80.00"),
        ("export", "20", "-30.00"),
        ("kvarh", "100", "10.00"),
    ]


@pytest.mark.parametrize(
    ("registers", "said"),
    [
        (
            {"total": reads(0, 100), "day": reads(0, 60), "night": reads(0, 43)},
            "",
        ),
        (
            {"total": reads(0, 100), "day": reads(0, 5000), "night": reads(0, 2000)},
            "The registers day, night counted 7000 kWh, the total 100 kWh: correct one of them.",
        ),
        (
            {"total": reads(0, 100), "day": reads(0, 5000)},
            "The registers day counted 5000 kWh, the total 100 kWh: correct one of them.",
        ),
        (
            {"day": reads(0, 60)},
            "Without a total the usage needs a register of each period: night of tariff FLAT",
        ),
    ],
)
def test_registers_of_periods_must_be_all_and_add_up(
    price: Price, registers: Json, said: str
) -> None:
    answer = price(TOU, by=JUNE | {"registers": registers})
    assert (answer.code, said in answer.said) == (2 if said else 0, True)


def test_import_is_another_name_of_the_total(price: Price) -> None:
    answer = price(FLAT, by=JUNE | {"registers": {"import": reads(10, 30)}})
    assert answer.bill["total"] == "40.00"
    both = JUNE | {"registers": {"import": reads(1, 3), "total": reads(1, 3)}}
    assert "The register total is given twice." in price(FLAT, by=both).said


def hours(days: range, month: int = 6, column: str = "start") -> str:
    rows = [f"2026-{month:02}-{day:02}T{hour:02}:00,0.5" for day in days for hour in range(24)]
    return "\n".join([f"{column},kwh", *rows])


@pytest.mark.parametrize("column", ["start", "timestamp"])
def test_intervals_share_the_total_or_stand_for_it(
    price: Price, tmp_path: Path, column: str
) -> None:
    (tmp_path / "load.csv").write_text(hours(range(1, 31), column=column))
    alone = price(TOU, by=JUNE | {"intervals": "load.csv"})
    # 30 days of 16 hours by day and 8 by night at 0.5 kWh.
    assert alone.amounts == [("energy", "240", "720.00"), ("energy", "120", "120.00")]
    # They may be a hundredth of the total beside it, and two kWh.
    shared = price(TOU, by=usage(reads(0, 363), intervals=str(tmp_path / "load.csv")))
    assert shared.amounts == [("energy", "242", "726.00"), ("energy", "121", "121.00")]


@pytest.mark.parametrize("total", [354, 366, 720, 0])
def test_intervals_that_do_not_add_up_to_the_total_are_not_stretched_to_it(
    price: Price, tmp_path: Path, total: int
) -> None:
    (tmp_path / "load.csv").write_text(hours(range(1, 31)))
    answer = price(TOU, by=usage(reads(0, total), intervals="load.csv"))
    assert (answer.code, answer.said) == (
        2,
        (
            f"The intervals add up to 360 kWh, the total register counted {total} kWh: correct one "
            "of them.\n"
        ),
    )


def test_intervals_must_cover_the_period(price: Price, tmp_path: Path) -> None:
    file = tmp_path / "load.csv"
    by = usage(intervals="load.csv")
    file.write_text(hours(range(1, 30)))
    assert price(FLAT, by=by).said == (
        "The intervals do not cover the period: they lack 1 of 30 days, the first 30 Jun 2026.\n"
    )
    file.write_text(hours(range(1, 31), month=5))
    assert "they lack 30 of 30 days, the first 1 Jun 2026" in price(FLAT, by=by).said
    file.write_text(hours(range(1, 31)).replace("2026-06-11T07:00,0.5\n", ""))
    assert "the interval of 11 Jun 2026, 07:00 is missing" in price(FLAT, by=by).said
    file.write_text("kwh\n1\n")
    assert "lacks the column start" in price(FLAT, by=by).said
    file.unlink()
    answer = price(FLAT, by=by)
    assert (answer.code, "load.csv cannot be read" in answer.said) == (2, True)


def total_of(**changed: object) -> Json:
    return usage(reads(0, 100) | changed)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (usage() | {"registers": {"foo:bar": reads(0, 1)}}, "'foo:bar' is no name of a register"),
        (
            usage() | {"registers": {"total": reads(0, 1), "peek": reads(0, 1)}},
            "The register peek is of no period of tariff FLAT: it has no periods.",
        ),
        (usage(reads(50, 40)), "The register total closes at 40, below 50: correct it, or give"),
        (usage(reads(90000, 40000, dials=5)), ""),
        (usage(reads(40000, 30000, dials=5)), "too far for one rollover of 5 dials"),
        (usage(reads(0, 10000, dials=4)), "This meter shows 4 digits"),
        (total_of(dials=0), "registers.total.dials must be greater than or equal to 1."),
        (total_of(closing_kwh=-1), "registers.total.closing_kwh: The value cannot be negative."),
        (total_of(closing_kwh="1,000"), "Write the value without commas"),
        (total_of(closing_kwh="12.3456"), "at most 3 decimals"),
        (total_of(closing_kwh=None), "must be written as a number"),
        (total_of(reading=1), "registers.total.reading is not a field of a usage file."),
        (JUNE | {"registers": {"total": {"opening_kwh": 1}}}, "total.closing_kwh is missing."),
        (JUNE | {"registers": {"total": {"closing_kwh": 1}}}, "total needs an opening value"),
        (JUNE | {"registers": {}}, "The usage needs a register total, or intervals."),
        (JUNE | {"registers": []}, "registers must be an object with named fields."),
        (usage(period_end="2026-06-01"), "The period has no days: period_end (2026-06-01)"),
        (usage(period_end="2026-05-01"), "The period has no days"),
        (usage(period_end="2066-05-01"), "The period has 14,579 days, more than any bill."),
        (usage(period_end="1 July"), "period_end must be a date such as 2025-04-01."),
        (usage(multiplier=0), "multiplier: The multiplier must be more than 0"),
        (usage(period_start="2025-12-31"), "No version of FLAT is in force on 31 Dec 2025."),
        ("{", "This is not JSON"),
        ("[]", "usage.json: a usage is an object with named fields."),
        ("", "The file is empty."),
        ('{"period_start": 1, "period_start": 2}', "'period_start' stands twice in one object"),
    ],
)
def test_bad_usage_is_told_in_a_sentence(price: Price, by: object, said: str) -> None:
    answer = price(FLAT, by=by)
    assert answer.code == (2 if said else 0)
    assert said in answer.said
    assert "Traceback" not in answer.said


@pytest.mark.parametrize(
    ("tariffs", "said"),
    [
        (["{"], "tariff0.json: This is not JSON"),
        ([FLAT, "nope"], "tariff1.json: This is not JSON"),
        ([[]], "there is no tariff in the file"),
        ([[5]], "a tariff is an object with named fields"),
        ([FLAT | {"charges": []}], "charges: must have at least one charge"),
        ([FLAT, FLAT], "Two versions of FLAT are effective from 2026-01-01: keep one."),
        ([FLAT, FLAT | {"code": "B"}], "These are 2 tariffs, not versions of one"),
        ([TOU], "needs the energy in each period of the calendar tou"),
        (
            [FLAT, FLAT | {"effective_from": "2026-06-11", "currency": "USD"}],
            "must be in one currency",
        ),
    ],
)
def test_bad_tariffs_are_told_in_a_sentence(price: Price, tariffs: list[object], said: str) -> None:
    answer = price(*tariffs, by=usage())
    assert answer.code == 2
    assert said in answer.said
    assert "Traceback" not in answer.said


def test_a_tariff_is_chosen_from_a_list_by_its_label(price: Price) -> None:
    other = FLAT | {"code": "B", "charges": [ENERGY | {"rate": "5"}]}
    assert price([FLAT, other], by=usage(), more=("--label", "B")).bill["total"] == "500.00"
    answer = price([FLAT, other], by=usage(), more=("--label", "C"))
    assert "No tariff is called 'C'. There is: FLAT, B." in answer.said


@pytest.mark.usefixtures("price")
def test_a_rate_of_urdb_and_two_versions_go_with_their_own_kind_of_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tariff0.json", "usage.json", "load.csv"):
        (tmp_path / name).write_text("{}")
    file, load = str(tmp_path / "tariff0.json"), str(tmp_path / "load.csv")
    (tmp_path / "load.csv").write_text("kwh\n" + "1\n" * 8760)
    assert command_line.main(["price", "--urdb", file, "--usage", file]) == 2
    assert "a --usage needs a --tariff" in capsys.readouterr().err
    assert command_line.main(["price", "--tariff", file, "--tariff", file, "--load", load]) == 2
    assert "give one file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command_line.main(["price", "--tariff", file])


def test_net_metering_is_priced_with_an_empty_bank(price: Price) -> None:
    solar = FLAT | {"net_metering": {"surplus": "lapses"}}
    registers = {"total": reads(0, 100), "export": reads(0, 130)}
    answer = price(solar, by=JUNE | {"registers": registers})
    assert answer.amounts == [("energy", "0", "0.00")]
    (bank,) = answer.bill["net_metering"]["banks"]
    assert (bank["added_kwh"], bank["closing_kwh"]) == ("30", "30")
    assert price(solar, by=usage(reads(0, 7))).bill["total"] == "14.00"
