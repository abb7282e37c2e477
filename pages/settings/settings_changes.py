"""Who changed which setting when, from what to what."""

from collections.abc import Iterator
from typing import Any, Final

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped, moment, money
from pages.shared.money_format import FEE_NAMES
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.jurisdictions import fact_in_words
from services.languages.sentence import N_
from services.records.overview import SettingsChange
from services.records.reports.account_codes import account_name
from services.utility_settings.model import FEE_KINDS

_NAMES: Final = {
    "utility_name": N_("Name"),
    "utility_contact": N_("Address"),
    "utility_phone": N_("Phone"),
    "utility_email": N_("E-mail"),
    "utility_website": N_("Website"),
    "timezone": N_("Time zone"),
    "currency": N_("Default currency"),
    "default_language": N_("Language of new customers"),
    "due_days": N_("Days until due"),
    "first_bill_number": N_("Number of the first bill"),
    "bill_approval": N_("Approval of bills"),
    "logo": N_("Logo"),
    "four_eyes": N_("Approved by a second person"),
    "refund_limits": N_("Refunds above need a manager"),
    "account_codes": N_("Accounts of the journal"),
    "tax_number": N_("Tax number"),
    "credit_notes": N_("Credit notes"),
    "credit_note_prefix": N_("Credit notes' numbers begin with"),
    "first_credit_note_number": N_("Number of the first credit note"),
    "jurisdiction": N_("Jurisdiction"),
    "bill_facts": N_("What bills say besides"),
}
_EYES: Final = {
    "refunds": N_("refunds"),
    "voids": N_("voids"),
    "tariffs": N_("tariffs"),
}


def show_changes(principal: Principal) -> None:
    """The last changes, the newest first."""
    changes = services().settings_desk.changes(principal=principal)
    if not changes:
        st.caption(_("Nothing was changed yet."))
    for change in changes:
        with st.container(border=True, gap="xxsmall"):
            st.caption(f"{moment(change.at, zone())} · {escaped(called(change.actor))}")
            for name, before, after in _lines(change):
                st.markdown(f"**{name}**: {escaped(before)} → {escaped(after)}")


def _lines(change: SettingsChange) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*change.before, *change.after} - {"fees"}):
        before, after = change.before.get(name), change.after.get(name)
        yield _(_NAMES.get(name, name)), _in_words(name, before), _in_words(name, after)
    yield from _fees(change.before.get("fees") or {}, change.after.get("fees") or {})


def _in_words(name: str, value: Any) -> str:
    if name == "logo":
        return _("image {name}", name=value[:8]) if value else _("none")
    if value is None:
        return _("default")
    if name == "four_eyes":
        return ", ".join(_(_EYES.get(kind, kind)) for kind in value) or _("none")
    if isinstance(value, dict):
        return ", ".join(_of_each(name, value)) or _("none")
    if isinstance(value, bool):
        return _("on") if value else _("off")
    return str(value) or _("none")


def _of_each(name: str, values: dict[str, Any]) -> list[str]:
    if name == "account_codes":
        return [f"{say(account_name(key))} {code}" for key, code in values.items()]
    if name == "bill_facts":
        return [f"{_(fact_in_words(fact))}: {text}" for fact, text in values.items()]
    return [money(of, currency) for currency, of in values.items()]


def _fees(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> Iterator[tuple[str, str, str]]:
    for currency in sorted({*before, *after}):
        was, now = before.get(currency, {}), after.get(currency, {})
        for kind in FEE_KINDS:
            if was.get(kind) != now.get(kind):
                amounts = [
                    money(of[kind], currency) if kind in of else _("none") for of in (was, now)
                ]
                yield f"{FEE_NAMES[kind]} ({currency})", amounts[0], amounts[1]
