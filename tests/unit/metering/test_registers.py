"""The further registers of a meter: what names mean, and which reads of them are refused."""

import pytest

from services.metering.registers import (
    WrongRegisters,
    check_registers,
    measure_of,
    names_for,
    parse_registers,
    register_names,
)


@pytest.mark.parametrize(
    ("name", "label", "is_maximum", "period"),
    [
        ("peak", "Peak, kWh", False, "peak"),
        ("off_peak", "Off peak, kWh", False, "off_peak"),
        ("export", "Export, kWh", False, None),
        ("export:peak", "Export, peak, kWh", False, "peak"),
        ("kvah", "Apparent energy, kVAh", False, None),
        ("kvah:peak", "Apparent energy, peak, kVAh", False, "peak"),
        ("kvarh", "Reactive energy, kVArh", False, None),
        ("max_kw", "Maximum demand, kW", True, None),
        ("max_kva", "Maximum demand, kVA", True, None),
        ("max_kw:peak", "Maximum demand, peak, kW", True, "peak"),
        ("max_kva:peak", "Maximum demand, peak, kVA", True, "peak"),
    ],
)
def test_a_name_says_what_is_measured(
    name: str, label: str, is_maximum: bool, period: str | None
) -> None:
    measure = measure_of(name)
    assert f"{measure.label}, {measure.unit}" == label
    assert (measure.is_maximum, measure.period) == (is_maximum, period)


@pytest.mark.parametrize("name", ["", "a b", "kvarh:peak", "export:", ":peak", "x" * 65, "päk"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(WrongRegisters, match="is no name of a register"):
        measure_of(name)


def test_names_are_kept_in_lower_case_and_once() -> None:
    assert register_names(["Peak", " MAX_KW "]) == ["peak", "max_kw"]
    with pytest.raises(WrongRegisters, match="peak is named twice"):
        register_names(["peak", "PEAK"])
    with pytest.raises(WrongRegisters, match="at most 40"):
        register_names(f"r{n}" for n in range(41))


def test_one_register_may_count_a_period_of_every_season() -> None:
    assert names_for("Summer_peak", seasons=["summer", "winter"]) == ("summer_peak", "peak")
    assert names_for("peak", seasons=["summer"]) == ("peak",)


def test_values_are_whole_thousandths() -> None:
    assert parse_registers({"Peak": "123.4", "max_kw": 5}) == {"peak": 123_400, "max_kw": 5_000}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "The register peak is missing"),
        ("12,5", "Write the register peak without commas"),
        ("-1", "The register peak cannot be negative"),
        ("1.0001", "The register peak can have at most 3 decimals"),
        ("many", "The register peak must be a number"),
    ],
)
def test_what_is_no_value_is_refused_by_name(value: str, why: str) -> None:
    with pytest.raises(WrongRegisters, match=why):
        parse_registers({"peak": value})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"peak": 1, "peek": 1}, "Meter M1 has no register peek; it has peak, max_kw."),
        ({"peak": 1}, "Say what the register max_kw of meter M1 shows."),
        ({"peak": 10**8, "max_kw": 1}, "the register peak must be below 100000 kWh."),
        ({"peak": 1, "max_kw": 10**8}, "the register max_kw must be below 100000 kW."),
    ],
)
def test_a_read_must_have_exactly_the_meter_s_registers(given: dict[str, int], why: str) -> None:
    with pytest.raises(WrongRegisters) as refused:
        check_registers(given, of_meter=["peak", "max_kw"], serial="M1", dials=5)
    assert str(refused.value).endswith(why)


def test_a_plain_meter_has_only_its_total() -> None:
    check_registers({}, of_meter=(), serial="M1", dials=5)
    with pytest.raises(WrongRegisters, match="it has only the total kWh"):
        check_registers({"peak": 1}, of_meter=(), serial="M1", dials=5)
