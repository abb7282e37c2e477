"""A line of a bank statement as a card: what it says, what became of it, what can be done."""

from datetime import date

import streamlit as st

from pages.bank.line_decisions import ask_aside, ask_payer
from pages.languages.words import _
from pages.registry import PAYMENT
from pages.shared.components import description_list
from pages.shared.format import day, escaped, money
from pages.shared.permitted import page_link
from pages.shared.session import called, may
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.bills import invoice_reference
from services.records.reconciliation import BankLine


def show_line(line: BankLine, principal: Principal) -> None:
    """The line, and what a person can say of it while it waits."""
    with st.container(border=True, gap="small"):
        amount = escaped(money(line.amount_minor, line.currency))
        payer = f" · {escaped(line.payer)}" if line.payer else ""
        st.markdown(f"**{amount}** · {day(line.booked_on)}{payer}")
        if line.reference:
            st.markdown(f"“{escaped(line.reference)}”")
        _show_what_became(line)
        description_list(_facts(line), least_width=140)
        if line.status in ("open", "set_aside") and may(Permission.RECORD_PAYMENTS):
            with st.container(horizontal=True):
                ask_payer(line, principal)
                if line.status == "open":
                    ask_aside(line, principal)


def _show_what_became(line: BankLine) -> None:
    if line.status == "open":
        st.warning(_why(line), icon=":material/help:")
    elif line.status == "set_aside":
        st.info(
            _("Set aside: {reason}", reason=escaped(line.reason)), icon=":material/inventory_2:"
        )
    elif line.status == "matched":
        st.success(_matched(line), icon=":material/check_circle:")
        page_link(
            PAYMENT,
            label=_("The payment"),
            icon=":material/payments:",
            query_params={"id": line.payment_id or ""},
        )


def _why(line: BankLine) -> str:
    detail = escaped(line.detail)
    if line.why == "several":
        return _("The text names several customers: {detail}.", detail=detail)
    if line.why == "other_currency":
        return _(
            "The line is in {currency}, the account in {other}.",
            currency=line.currency,
            other=detail,
        )
    if line.why == "not_payable":
        return _("The bill it names is void or a draft: {detail}.", detail=detail)
    if line.why == "entered_already":
        return _counted_already(line.detail)
    return _("The text names no bill, account or meter that is known.")


def _counted_already(detail: str) -> str:
    """`detail` is as the database writes it: "entered on 2026-11-12"."""
    how, _space, written = detail.rpartition(" ")
    on = date.fromisoformat(written)
    if how == "entered on":
        return _("A payment just like it was entered on {day}: it would count twice.", day=on)
    return _(
        "A payment just like it was imported from another file, of {day}: it would count twice.",
        day=on,
    )


def _matched(line: BankLine) -> str:
    whose = _(
        "**{name}**, account {account_no}",
        name=escaped(line.customer_name or ""),
        account_no=escaped(line.account_no or ""),
    )
    if line.matched_by == "person":
        who = escaped(called(line.decided_by or ""))
        return _("{whose}: chosen by {who}.", whose=whose, who=who)
    return f"{_named(line, whose)} {_compared(line)}"


def _named(line: BankLine, whose: str) -> str:
    named = escaped(line.detail)
    if line.matched_by == "bill":
        if line.bill_number is not None:
            named = invoice_reference(line.bill_number)
        return _("{whose}: its text names bill {number}.", whose=whose, number=named)
    if line.matched_by == "account":
        return _("{whose}: its text names account {number}.", whose=whose, number=named)
    return _("{whose}: its text names meter {number}.", whose=whose, number=named)


def _compared(line: BankLine) -> str:
    expected = line.expected_minor
    if expected is None:
        return ""
    shown = escaped(money(abs(expected), line.currency))
    if expected == line.amount_minor:
        return _("The amount is just what was open.")
    if expected <= 0:
        return _("Nothing was open: it stays on the account as credit.")
    if line.amount_minor > expected:
        return _("The amount is more than the {amount} that was open.", amount=shown)
    return _("The amount is less than the {amount} that was open.", amount=shown)


def _facts(line: BankLine) -> list[tuple[str, str]]:
    facts = [
        (_("Bank account"), line.account),
        (_("Bank's reference"), line.bank_reference),
        (_("Imported by"), line.imported_by),
    ]
    return [(name, value) for name, value in facts if value]
