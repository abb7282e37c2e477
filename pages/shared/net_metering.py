"""What net metering made of a bill, on its page: netted and banked kWh."""

import streamlit as st

from pages.shared.format import escaped, grouped
from services.quantities.energy import format_kwh
from services.rating import Bank, NetBill
from services.tariffs.values import in_words


def show_net(net: NetBill) -> None:
    """A column for each bank of kWh: what was imported, exported and billed, and the bank."""
    banks = list(net.banks.items())
    names = [escaped(in_words(name).capitalize()) if name else "All hours" for name, _ in banks]
    rows = [f"| Net metering (kWh) | {' | '.join(names)} |", "|:---|" + "---:|" * len(banks)]
    settled = "Paid out" if net.is_paid else "Lapsed"
    rows += [
        _row("Imported", [bank.imported for _, bank in banks]),
        _row("Exported", [bank.exported for _, bank in banks]),
        _row("**Billed after netting**", [bank.netted for _, bank in banks]),
        _row("Banked before", [_before(bank) for _, bank in banks]),
        _row("Added to the bank", [bank.added for _, bank in banks]),
        _row("Used from the bank", [bank.used for _, bank in banks]),
    ]
    if net.in_all().settled:
        rows.append(_row(settled, [bank.settled for _, bank in banks]))
    rows.append(_row("**Banked now**", [bank.closing for _, bank in banks]))
    st.markdown("\n".join(rows), width="stretch")


def _before(bank: Bank) -> int:
    """With what came from periods that the tariff has no more."""
    return bank.opening + bank.moved


def _row(name: str, values: list[int]) -> str:
    return f"| {name} | {' | '.join(grouped(format_kwh(wh)) for wh in values)} |"
