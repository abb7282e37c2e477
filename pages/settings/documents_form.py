"""What documents say and which there are: tax number, credit notes, a jurisdiction's facts."""

import streamlit as st

from pages.languages.words import _, say
from pages.settings.settings_form import ask_text, may_change, opened, save
from pages.shared.format import escaped
from pages.shared.permitted import submit_button
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.jurisdictions import (
    PRINTED_FACTS,
    Jurisdiction,
    PrintedFact,
    fact_in_words,
    jurisdiction_of,
    jurisdictions,
)
from services.utility_settings.current import lack_of
from services.utility_settings.desk import ShownSettings
from services.utility_settings.model import MOST_OF_A_FACT


def ask_documents(principal: Principal) -> None:
    """The tax number and the series of credit notes, then the jurisdiction and what it asks."""
    _ask_numbers(principal)
    _ask_jurisdiction(principal)
    _ask_facts(principal)


def _ask_numbers(principal: Principal) -> None:
    form, shown = opened("settings-documents", principal)
    with st.container(border=True), st.form(f"form-{form}", border=False):
        st.markdown(_("**Tax number and credit notes**"))
        body: dict[str, object] = {
            **ask_text(
                _("Tax number"),
                "tax_number",
                shown,
                form,
                help=_(
                    "A VAT number, GSTIN or the like, on bills, credit notes, receipts and "
                    "statements. Customers have theirs among their details."
                ),
            )
        }
        body["credit_notes"] = st.checkbox(
            _("A voided bill has a credit note"),
            shown.held.credit_notes,
            disabled=not may_change(),
            help=_(
                "A document with a number of its own, without gaps, that takes the bill back. A "
                "corrected bill is voided and another one takes its place. Bills voided before "
                "have none."
            ),
            key=f"credit-notes-{form}",
        )
        body |= ask_text(_("Credit notes' numbers begin with"), "credit_note_prefix", shown, form)
        body |= _ask_first_number(shown, form)
        if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
            save("settings-documents", form, body, shown, principal)


def _ask_first_number(shown: ShownSettings, form: str) -> dict[str, object]:
    number = st.number_input(
        _("Number of the first credit note"),
        min_value=1,
        max_value=999_999_999,
        value=shown.held.first_credit_note_number,
        step=1,
        disabled=shown.has_credit_notes or not may_change(),
        help=_("To go on with the numbers of an earlier system. Numbers have no gaps."),
        key=f"first-credit-note-{form}",
    )
    if shown.has_credit_notes:
        st.caption(_(":material/lock: Credit notes have numbers already."))
        return {}
    return {"first_credit_note_number": number}


def _ask_jurisdiction(principal: Principal) -> None:
    form, shown = opened("settings-jurisdiction", principal)
    names = ["", *jurisdictions()]
    with st.container(border=True), st.form(f"form-{form}", border=False):
        st.markdown(_("**Jurisdiction**"))
        name = st.selectbox(
            _("Whose rules bills must meet"),
            names,
            index=names.index(shown.held.jurisdiction),
            format_func=_title,
            disabled=not may_change(),
            help=_("A bill that lacks what they ask for is not issued: it stays a draft."),
            key=f"jurisdiction-{form}",
        )
        if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
            save("settings-jurisdiction", form, {"jurisdiction": name}, shown, principal)
    chosen = jurisdiction_of(shown.held.jurisdiction)
    if chosen is not None:
        _show_rules(chosen, shown)


def _title(name: str) -> str:
    chosen = jurisdiction_of(name)
    if chosen is None:
        return _("None: nothing is checked")
    title = _(chosen.title)
    return f"{title[:1].upper()}{title[1:]}"


def _show_rules(chosen: Jurisdiction, shown: ShownSettings) -> None:
    if lack := lack_of(shown.held):
        st.warning(escaped(say(lack)), icon=":material/rule:")
    else:
        st.success(_("All that the rules ask the utility for is set."), icon=":material/rule:")
    with st.expander(_("The rules")):
        for rule in chosen.rules:
            st.markdown(f"{escaped(_(rule.asks))} :gray[{escaped(rule.source)}]")


def _ask_facts(principal: Principal) -> None:
    """The texts that the chosen rules ask for, and others that are set."""
    form, shown = opened("settings-facts", principal)
    chosen = jurisdiction_of(shown.held.jurisdiction)
    facts = [
        fact
        for fact in PRINTED_FACTS
        if fact in shown.held.bill_facts or (chosen is not None and chosen.asks_for(fact))
    ]
    if not facts:
        return
    with st.container(border=True), st.form(f"form-{form}", border=False):
        st.markdown(_("**What bills say besides**"))
        st.caption(_("Each is printed at the end of a bill, as it is written here."))
        body = {fact: _ask_fact(fact, shown, form) for fact in facts}
        if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
            save("settings-facts", form, {"bill_facts": body}, shown, principal)


def _ask_fact(fact: PrintedFact, shown: ShownSettings, form: str) -> str:
    words = _(fact_in_words(fact))
    return (
        st.text_area(
            words[:1].upper() + words[1:],
            shown.held.bill_facts.get(fact, ""),
            height=70,
            max_chars=MOST_OF_A_FACT,
            disabled=not may_change(),
            key=f"{fact}-{form}",
        )
        or ""
    )
