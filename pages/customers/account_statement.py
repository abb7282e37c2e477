"""The statement of an account: its entries with the balance after each, and the same as a file."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.shared.components import chosen_page, page_number
from pages.shared.download import download_button
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped, file_name, money
from pages.shared.money_format import entry_more, entry_name
from pages.shared.session import may, services, today
from services.accounts.statements import NoStatement
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.quantities.period import first_of_month
from services.records.ledger import Account, Book, LedgerEntry

_PAGE_SIZE: Final = 25
_BOOKS: Final[Mapping[Book, str]] = Said({"account": N_("Account"), "deposit": N_("Deposit")})


def show_statement(account: Account, principal: Principal) -> None:
    """The statement as a document, then the entries, the newest first, book by book."""
    _offer_document(account, principal)
    book = _ask_book(account, principal)
    key = f"statement-{account.id}-{book}"
    found = services().customers.statement(
        customer_id=account.id,
        book=book,
        principal=principal,
        page=chosen_page(key),
        page_size=_PAGE_SIZE,
    )
    if not found.total:
        st.caption(_("There is no entry yet."))
        return
    with st.container(border=True, gap="small"):
        for entry in found.items:
            _show_entry(entry)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)
    st.caption(_("Above 0 is owed by the customer; below 0 is in their favour."))
    customers = services().customers
    download_button(
        _("Statement as CSV"),
        lambda: customers.statement_csv(customer_id=account.id, principal=principal),
        file_name=file_name(f"statement-{account.account_no}.csv"),
        mime="text/csv",
        icon=":material/download:",
        key=f"statement-file-{account.id}",
    )


def _offer_document(account: Account, principal: Principal) -> None:
    """The statement of some days as a PDF, one for all agreements, and who wants it so."""
    statements = services().statements
    first = first_of_month(first_of_month(today()) - timedelta(days=1))
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            start = st.date_input(
                _("From"), first, key=f"from-{account.id}", width=160, format="DD/MM/YYYY"
            )
            last = st.date_input(
                _("To"), today(), key=f"to-{account.id}", width=160, format="DD/MM/YYYY"
            )
            end = last + timedelta(days=1)
            try:
                found = statements.of(
                    customer_id=account.id, start=start, end=end, principal=principal
                )
            except NoStatement as error:
                st.caption(escaped(say(error)))
                return
            download_button(
                _("Statement as PDF"),
                lambda: statements.pdf(
                    customer_id=account.id, start=start, end=end, principal=principal
                ),
                file_name=file_name(f"statement-{account.account_no}-{last:%Y-%m-%d}.pdf"),
                mime="application/pdf",
                icon=":material/download:",
                key=f"statement-pdf-{account.id}",
            )
            if may(Permission.SEND_MESSAGES) and st.button(
                _("Send by e-mail"), icon=":material/outgoing_mail:", key=f"mail-{account.id}"
            ):
                _mail(account, start, end, principal)
        key = f"one-statement-{account.id}"
        st.toggle(
            _("One message for all bills that are made together"),
            value=found.one_statement,
            disabled=not may(Permission.SEND_MESSAGES),
            key=key,
            on_change=lambda: statements.send_one(
                customer_id=account.id, one=bool(st.session_state[key]), principal=principal
            ),
            help=_("For a customer with several agreements: one message names each bill."),
        )


def _mail(account: Account, start: date, end: date, principal: Principal) -> None:
    name = f"mail-statement-{account.id}"
    is_sent = services().statements.mail(
        statement_id=form_id(name),
        customer_id=account.id,
        start=start,
        end=end,
        principal=principal,
    )
    if is_sent:
        form_done(name, _("The statement is on its way."))
        st.rerun()
    else:
        st.warning(_("It cannot be sent: this customer, or the system, has no way for mail."))


def _ask_book(account: Account, principal: Principal) -> Book:
    if not services().customers.has_deposit_book(customer_id=account.id, principal=principal):
        return "account"
    return st.segmented_control(
        _("Book"),
        list(_BOOKS),
        default="account",
        required=True,
        format_func=_BOOKS.__getitem__,
        label_visibility="collapsed",
        key=f"book-{account.id}",
    )


def _show_entry(entry: LedgerEntry) -> None:
    with st.container(horizontal=True, wrap=False):
        with st.container(gap="xxsmall"):
            st.markdown(escaped(entry_name(entry, entry.kind)))
            st.caption(entry_more(entry))
        with st.container(width="content", gap="xxsmall", horizontal_alignment="right"):
            amount = escaped(money(entry.amount_minor, entry.currency))
            st.markdown(f"**{amount}**", text_alignment="right")
            balance = escaped(money(entry.balance_minor, entry.currency))
            st.caption(_("balance {balance}", balance=balance), text_alignment="right")
