"""Who changed which setting when, from what to what."""

from collections.abc import Iterator
from typing import Any, Final

import streamlit as st

from pages.shared.format import escaped, moment, money
from pages.shared.money_format import FEE_NAMES
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.jurisdictions import fact_in_words
from services.records.overview import SettingsChange
from services.records.reports.account_codes import account_name
from services.utility_settings.model import FEE_KINDS

_NAMES: Final = {
    "utility_name": "Name",
    "utility_contact": "Address",
    "utility_phone": "Phone",
    "utility_email": "E-mail",
    "utility_website": "Website",
    "timezone": "Time zone",
    "currency": "Default currency",
    "default_language": "Language of new customers",
    "due_days": "Days until due",
    "first_bill_number": "Number of the first bill",
    "bill_approval": "Approval of bills",
    "logo": "Logo",
    "four_eyes": "Approved by a second person",
    "refund_limits": "Refunds above need a manager",
    "account_codes": "Accounts of the journal",
    "tax_number": "Tax number",
    "credit_notes": "Credit notes",
    "credit_note_prefix": "Credit notes' numbers begin with",
    "first_credit_note_number": "Number of the first credit note",
    "jurisdiction": "Jurisdiction",
    "bill_facts": "What bills say besides",
}
_DEFAULT: Final = "default"


def show_changes(principal: Principal) -> None:
    """The last changes, the newest first."""
    changes = services().settings_desk.changes(principal=principal)
    if not changes:
        st.caption("Nothing was changed yet.")
    for change in changes:
        with st.container(border=True, gap="xxsmall"):
            st.caption(f"{moment(change.at, zone())} · {escaped(called(change.actor))}")
            for name, before, after in _lines(change):
                st.markdown(f"**{name}**: {escaped(before)} → {escaped(after)}")


def _lines(change: SettingsChange) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*change.before, *change.after} - {"fees"}):
        before, after = change.before.get(name), change.after.get(name)
        yield _NAMES.get(name, name), _in_words(name, before), _in_words(name, after)
    yield from _fees(change.before.get("fees") or {}, change.after.get("fees") or {})


def _in_words(name: str, value: Any) -> str:
    if name == "logo":
        return f"image {value[:8]}" if value else "none"
    if value is None:
        return _DEFAULT
    if name == "four_eyes":
        return ", ".join(value) or "none"
    if isinstance(value, dict):
        return ", ".join(_of_each(name, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) or "none"


def _of_each(name: str, values: dict[str, Any]) -> list[str]:
    if name == "account_codes":
        return [f"{account_name(key)} {code}" for key, code in values.items()]
    if name == "bill_facts":
        return [f"{fact_in_words(fact)}: {text}" for fact, text in values.items()]
    return [money(of, currency) for currency, of in values.items()]


def _fees(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> Iterator[tuple[str, str, str]]:
    for currency in sorted({*before, *after}):
        was, now = before.get(currency, {}), after.get(currency, {})
        for kind in FEE_KINDS:
            if was.get(kind) != now.get(kind):
                amounts = [money(of[kind], currency) if kind in of else "none" for of in (was, now)]
                yield f"{FEE_NAMES[kind]} ({currency})", amounts[0], amounts[1]
