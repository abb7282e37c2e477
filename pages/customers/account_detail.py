"""A customer's account: what is owed and held, and one view of it at a time."""

from typing import Final

import streamlit as st

from pages.bills.credit_note_cards import show_credit_notes_of
from pages.customers.account_actions import show_changes
from pages.customers.account_dunning import show_dunning
from pages.customers.account_lists import show_bills, show_past_payments, show_payments
from pages.customers.account_overview import show_overview
from pages.customers.account_plans import show_plans
from pages.customers.account_statement import show_statement
from pages.customers.contact_form import show_contact
from pages.customers.customer_notes import offer_note
from pages.customers.own_page import show_own_page
from pages.languages.words import _
from pages.registry import CUSTOMERS, RECORD_PAYMENT
from pages.shared.components import description_list
from pages.shared.detail import State, chosen_view, detail_header
from pages.shared.form_ids import show_done
from pages.shared.format import day, money
from pages.shared.session import may, services, zone
from pages.shared.timeline import show_timeline
from pages.system.notification_cards import show_messages_to
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.quantities.period import local_date
from services.records.details import AccountHead
from services.records.ledger import Account

# The words people see are also what stands in the address.
_VIEWS: Final = (
    N_("Overview"),
    N_("Bills"),
    N_("Payments"),
    N_("Statement"),
    N_("Plans"),
    N_("Dunning"),
    N_("Messages"),
    N_("Timeline"),
    N_("Own page"),
    N_("Details"),
)
_OF_ACCOUNT: Final = {
    N_("Overview"): show_overview,
    N_("Statement"): show_statement,
    N_("Plans"): show_plans,
}
_OF_CUSTOMER: Final = {
    N_("Dunning"): show_dunning,
    N_("Messages"): show_messages_to,
    N_("Own page"): show_own_page,
    N_("Details"): show_contact,
}


def show_account(customer_id: str, principal: Principal) -> None:
    """The account as it stands now; the database is asked for one view at a time."""
    head = services().customers.head(customer_id=customer_id, principal=principal)
    account = head.account
    with detail_header(account.name, back=CUSTOMERS, states=_states(account)):
        if may(Permission.RECORD_PAYMENTS) and st.button(
            _("Record a payment"), type="primary", icon=":material/add_circle:"
        ):
            st.switch_page(RECORD_PAYMENT.script, query_params={"customer": account.id})
    show_done()
    _show_head(head)
    _show_view(chosen_view(_VIEWS), account, principal)


def _show_view(view: str, account: Account, principal: Principal) -> None:
    if view == "Bills":
        show_bills(account.id, principal)
        show_credit_notes_of(account.id, principal)
    elif view == "Payments":
        show_payments(account.id, principal)
        show_past_payments(account.id, principal)
        show_changes(account, principal)
    elif view == "Timeline":
        offer_note(account.id, principal)
        show_timeline("customer", account.id, principal)
    elif view in _OF_ACCOUNT:
        _OF_ACCOUNT[view](account, principal)
    else:
        _OF_CUSTOMER[view](account.id, principal)


def _states(account: Account) -> list[State]:
    if account.overdue_minor:
        return [(N_("Overdue"), "red")]
    if account.balance_minor < 0:
        return [(N_("In credit"), "green")]
    return [(N_("Owes"), "blue")] if account.balance_minor else [(N_("Nothing open"), "gray")]


def _phone(head: AccountHead) -> str:
    """The number, and since when it is not reached; how to mend that stands under Details."""
    said = [head.account.phone]
    if head.sms_stopped_at:
        since = day(local_date(head.sms_stopped_at, zone()))
        said.append(_("no texts since {day} (STOP)", day=since))
    if head.phone_unreached_at:
        since = day(local_date(head.phone_unreached_at, zone()))
        said.append(_("texts have not arrived since {day}", day=since))
    return " · ".join(said)


def _email(head: AccountHead) -> str:
    if head.email_bounced_at is None:
        return head.account.email
    since = day(local_date(head.email_bounced_at, zone()))
    return " · ".join((head.account.email, _("mail has come back since {day}", day=since)))


def _show_head(head: AccountHead) -> None:
    account = head.account
    known = (
        (_("Address"), account.address),
        (_("Phone"), _phone(head)),
        (_("Email"), _email(head)),
    )
    description_list(
        [(_("Account"), account.account_no), *(fact for fact in known if fact[1])], least_width=160
    )
    currency = account.currency or services().settings.currency
    owes = account.balance_minor >= 0
    tiles = [
        (_("Owes") if owes else _("In credit"), abs(account.balance_minor)),
        (_("Overdue"), account.overdue_minor),
        (_("Deposit held"), account.deposit_minor),
    ]
    with st.grid(3, min_column_width=150):
        for label, minor in tiles:
            with st.container(border=True, gap=None):
                st.metric(label, money(minor, currency))
    if head.overdue_as_of:
        st.caption(_("Overdue as of {day}.", day=day(head.overdue_as_of)))
