"""What net metering made of a bill, on its page: netted and banked kWh."""

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from pages.shared.format import day, escaped, grouped
from services.quantities.energy import format_kwh
from services.quantities.money import with_minus_signs
from services.rating import Bank, NetBill
from services.records.bills import KwhBankEntry, KwhBankKind, invoice_reference
from services.tariffs.values import in_words

_KINDS: Final[Mapping[KwhBankKind, str]] = {
    "opening": "brought in",
    "added": "added",
    "used": "used",
    "settled": "settled",
    "moved": "from other hours",
    "undone": "undone",
}


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


def show_kwh_bank(entries: Sequence[KwhBankEntry]) -> None:
    """What bills put into an agreement's banks of kWh and took out, the last first."""
    if not entries:
        return
    rows = ["| Bank of kWh | kWh | Then |", "|:---|---:|---:|"]
    with st.expander("Bank of kWh", icon=":material/savings:"):
        st.markdown("\n".join(rows + [_entry_row(entry) for entry in entries]), width="stretch")


def _entry_row(entry: KwhBankEntry) -> str:
    number = ""
    if entry.bill_id:
        number = invoice_reference(entry.bill_number) if entry.bill_number else "draft"
    words = [number, _KINDS[entry.kind], in_words(entry.period)]
    said = escaped(" · ".join(filter(None, words)))
    change = with_minus_signs(format_kwh(entry.wh))
    then = grouped(format_kwh(entry.balance_wh))
    until = f" :gray[:small[{day(entry.period_end)}]]" if entry.period_end else ""
    return f"| {said}{until} | {change} | {then} |"


def _before(bank: Bank) -> int:
    """With what came from periods that the tariff has no more."""
    return bank.opening + bank.moved


def _row(name: str, values: list[int]) -> str:
    return f"| {name} | {' | '.join(grouped(format_kwh(wh)) for wh in values)} |"
