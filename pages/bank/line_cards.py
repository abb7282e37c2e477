"""A line of a bank statement as a card: what it says, what became of it, what can be done."""

from typing import Final

import streamlit as st

from pages.bank.line_decisions import ask_aside, ask_payer
from pages.registry import PAYMENT
from pages.shared.components import description_list
from pages.shared.format import day, escaped, money
from pages.shared.permitted import page_link
from pages.shared.session import called, may
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.bills import invoice_reference
from services.records.reconciliation import BankLine

_NOBODY: Final = "–"


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
        st.info(f"Set aside: {escaped(line.reason)}", icon=":material/inventory_2:")
    elif line.status == "matched":
        st.success(_matched(line), icon=":material/check_circle:")
        page_link(
            PAYMENT,
            label="The payment",
            icon=":material/payments:",
            query_params={"id": line.payment_id or ""},
        )


def _why(line: BankLine) -> str:
    detail = escaped(line.detail)
    if line.why == "several":
        return f"The text names several customers: {detail}."
    if line.why == "other_currency":
        return f"The line is in {line.currency}, the account in {detail}."
    if line.why == "not_payable":
        return f"The bill it names is void or a draft: {detail}."
    if line.why == "entered_already":
        return f"A payment just like it was {detail}: it would count twice."
    return "The text names no bill, account or meter that is known."


def _matched(line: BankLine) -> str:
    whose = f"**{escaped(line.customer_name or '')}**, account {escaped(line.account_no or '')}"
    if line.matched_by == "person":
        return f"{whose}: chosen by {escaped(called(line.decided_by or ''))}."
    if line.matched_by == "bill":
        number = invoice_reference(line.bill_number) if line.bill_number is not None else ""
        named = f"bill {number or escaped(line.detail)}"
    else:
        named = f"{line.matched_by} {escaped(line.detail)}"
    return f"{whose}: its text names {named}. {_compared(line)}"


def _compared(line: BankLine) -> str:
    expected = line.expected_minor
    if expected is None:
        return ""
    shown = escaped(money(abs(expected), line.currency))
    if expected == line.amount_minor:
        return "The amount is just what was open."
    if expected <= 0:
        return "Nothing was open: it stays on the account as credit."
    more = "more" if line.amount_minor > expected else "less"
    return f"The amount is {more} than the {shown} that was open."


def _facts(line: BankLine) -> list[tuple[str, str]]:
    facts = [
        ("Bank account", line.account),
        ("Bank's reference", line.bank_reference),
        ("Imported by", line.imported_by),
    ]
    return [(name, value) for name, value in facts if value]
