"""The further registers of a meter on pages: a field for each, and what they show."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped, grouped
from pages.shared.number_field import number_field
from services.metering.registers import measure_of
from services.quantities.energy import format_kwh

Of = TypeVar("Of")


def ask_registers(names: Sequence[str], typed: Mapping[str, str], *, key: str) -> dict[str, str]:
    """A field for each register, with what was typed before; the texts by name."""
    return {
        name: number_field(
            f"{say(measure_of(name).label)} ({measure_of(name).unit})",
            key=f"register-{name}-{key}",
            value=typed.get(name, ""),
        )
        for name in names
    }


def registers_shown(registers: Mapping[str, int]) -> list[tuple[str, str]]:
    """Labels with values, as the registers show them: Peak, 1,117.5 kWh."""
    return [
        (say(measure_of(name).label), _value(name, value)) for name, value in _in_order(registers)
    ]


def show_used_registers(usage: Mapping[str, Any], *, meters: int = 1) -> None:
    """The reads of each further register of a bill, and what was used; or where the hours are from.

    `usage` is what the bill was priced from, as it is kept. What several meters, or multipliers,
    come to has no two reads.
    """
    registers = usage.get("registers", {})
    if registers:
        rows = [_("| Register | Reads | Used |"), "|:---|---:|---:|"]
        rows += [_used_row(name, of, is_sum=meters > 1) for name, of in _in_order(registers)]
        st.markdown("\n".join(rows), width="stretch")
    elif "by_period" in usage or "peak_w" in usage:
        st.caption(_("The hours and the highest demand are from the meter's interval data."))


def _used_row(name: str, of: Mapping[str, int], *, is_sum: bool) -> str:
    if measure_of(name).is_maximum:
        reads, used = _("highest"), _value(name, of["maximum"])
    elif is_sum:
        reads, used = _("in all"), _value(name, of["used"])
    else:
        reads = _(
            "{number} to {number_2}", number=_number(of["opening"]), number_2=_number(of["closing"])
        )
        used = _value(name, of["used"])
    return (
        f"| {escaped(say(measure_of(name).label))} | :small[{escaped(reads)}] | {escaped(used)} |"
    )


def _in_order(registers: Mapping[str, Of]) -> list[tuple[str, Of]]:
    """As a bill has them; the database does not keep the order of an object's names."""
    return sorted(registers.items(), key=lambda item: measure_of(item[0]).order)


def _value(name: str, value: int) -> str:
    return f"{_number(value)} {measure_of(name).unit}"


def _number(thousandths: int) -> str:
    return grouped(format_kwh(thousandths))
