"""What net metering made of a bill, on its page: netted and banked kWh."""

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.shared.format import day, escaped, grouped
from services.languages.sentence import N_
from services.quantities.energy import format_kwh
from services.quantities.money import with_minus_signs
from services.rating import Bank, NetBill
from services.records.bills import KwhBankEntry, KwhBankKind, invoice_reference
from services.tariffs.values import in_words

_KINDS: Final[Mapping[KwhBankKind, str]] = Said(
    {
        "opening": N_("brought in"),
        "added": N_("added"),
        "used": N_("used"),
        "settled": N_("settled"),
        "moved": N_("from other hours"),
        "undone": N_("undone"),
    }
)


def show_net(net: NetBill) -> None:
    """A column for each bank of kWh: what was imported, exported and billed, and the bank."""
    banks = list(net.banks.items())
    names = [
        escaped(_(in_words(name).capitalize())) if name else _("All hours") for name, __ in banks
    ]
    heading = _("Net metering (kWh)")
    rows = [f"| {heading} | {' | '.join(names)} |", "|:---|" + "---:|" * len(banks)]
    settled = _("Paid out") if net.is_paid else _("Lapsed")
    rows += [
        _row(_("Imported"), [bank.imported for __, bank in banks]),
        _row(_("Exported"), [bank.exported for __, bank in banks]),
        _row(_("**Billed after netting**"), [bank.netted for __, bank in banks]),
        _row(_("Banked before"), [_before(bank) for __, bank in banks]),
        _row(_("Added to the bank"), [bank.added for __, bank in banks]),
        _row(_("Used from the bank"), [bank.used for __, bank in banks]),
    ]
    if net.in_all().settled:
        rows.append(_row(settled, [bank.settled for __, bank in banks]))
    rows.append(_row(_("**Banked now**"), [bank.closing for __, bank in banks]))
    st.markdown("\n".join(rows), width="stretch")


def show_kwh_bank(entries: Sequence[KwhBankEntry]) -> None:
    """What bills put into an agreement's banks of kWh and took out, the last first."""
    if not entries:
        return
    rows = [_("| Bank of kWh | kWh | Then |"), "|:---|---:|---:|"]
    with st.expander(_("Bank of kWh"), icon=":material/savings:"):
        st.markdown("\n".join(rows + [_entry_row(entry) for entry in entries]), width="stretch")


def _entry_row(entry: KwhBankEntry) -> str:
    number = ""
    if entry.bill_id:
        number = invoice_reference(entry.bill_number) if entry.bill_number else _("draft")
    words = [number, _KINDS[entry.kind], say(in_words(entry.period))]
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
