"""The form of a payment or a deposit: it keeps what was typed until that is stored."""

from typing import Any, Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.registry import PAYMENT
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped, money
from pages.shared.history import go_on_to
from pages.shared.money_format import OFFICE_METHODS, received
from pages.shared.number_field import number_field
from pages.shared.permitted import page_link
from pages.shared.session import now, services, today
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.payments.entry_forms import EARLIEST, InvalidEntry
from services.payments.office_payments import LooksLikeTwice, Receipt
from services.quantities.money import Money
from services.records.bills import Bill
from services.records.ledger import Account

_FOR_BILL: Final = Said(
    {
        "oldest": N_("This bill, then the oldest open one"),
        "bill": N_("This bill only; the rest stays on the account"),
        "none": N_("Nothing yet: leave it unapplied"),
    }
)
_FOR_ACCOUNT: Final = Said(
    {
        "oldest": N_("The oldest open bill first"),
        "none": N_("Nothing yet: leave it unapplied"),
    }
)


def ask_payment(
    account: Account, principal: Principal, *, bill: Bill | None = None, deposit: bool = False
) -> None:
    """The form; once it is stored, the payment's page is the receipt."""
    name = f"{'deposit' if deposit else 'payment'}-{bill.id if bill else account.id}"
    form = form_id(name)
    with st.form(f"form-{form}", border=False):
        body = _ask_fields(form, account, bill)
        if not deposit:
            ways = _FOR_BILL if bill else _FOR_ACCOUNT
            body["apply"] = st.radio(
                _("It pays"), list(ways), format_func=ways.__getitem__, key=f"apply-{form}"
            )
        label = _("Take the deposit") if deposit else _("Record the payment")
        sent = st.form_submit_button(label, type="primary", icon=":material/payments:")
    confirmed = not sent and _asks_again(form, principal)
    if not (sent or confirmed):
        return
    st.session_state.pop(f"twice-{form}", None)
    call: dict[str, Any] = {
        "body": body,
        "principal": principal,
        "now": now(),
        "confirmed": confirmed,
    }
    call |= {"payment_id": form, "customer_id": account.id}
    office = services().office_payments
    try:
        if deposit:
            receipt = office.take_deposit(**call)
        else:
            receipt = office.record_payment(**call, bill_id=bill.id if bill else None)
    except (InvalidEntry, IllegalChange) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
    except LooksLikeTwice as twice:
        st.session_state[f"twice-{form}"] = [payment.id for payment in twice.alike]
        _asks_again(form, principal)
    else:
        form_done(name, _said(receipt))
        go_on_to(PAYMENT, id=receipt.payment.id)


def _ask_fields(form: str, account: Account, bill: Bill | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    with st.grid(2, min_column_width=200, vertical_alignment="bottom") as grid:
        with grid.cell():
            body["amount"] = number_field(
                _("Amount ({account})", account=_currency(account, bill)),
                key=f"amount-{form}",
                value=_open_text(bill),
                placeholder=_("Such as 540.35"),
            )
        with grid.cell():
            body["method"] = st.selectbox(
                _("Paid by"),
                list(OFFICE_METHODS),
                format_func=OFFICE_METHODS.__getitem__,
                key=f"method-{form}",
            )
        with grid.cell():
            body["received_on"] = st.date_input(
                _("Received on"),
                value=today(),
                min_value=EARLIEST,
                max_value=today(),
                format="DD/MM/YYYY",
                key=f"on-{form}",
            )
        with grid.cell():
            body["reference"] = st.text_input(
                _("Reference"),
                placeholder=_("Cheque or transaction number"),
                autocomplete="off",
                key=f"reference-{form}",
            )
    return body


def _asks_again(form: str, principal: Principal) -> bool:
    """Show the payments that look the same, if there are any; True when this one is meant."""
    alike = st.session_state.get(f"twice-{form}")
    if not alike:
        return False
    with st.container(border=True):
        st.warning(
            _(
                "A payment with this reference, or just like this one, is there already. Is "
                "this another one?"
            ),
            icon=":material/content_copy:",
        )
        for one in services().payments.of_ids(alike, principal=principal):
            amount = money(one.amount_minor, one.currency)
            whose = one.account_no or _("nobody known")
            said = _(
                "Account {whose}: {amount}, {method}",
                whose=whose,
                amount=amount,
                method=received(one.method, one.received_on, one.reference),
            )
            page_link(
                PAYMENT,
                label=escaped(said),
                icon=":material/payments:",
                query_params={"id": one.id},
            )
        return st.button(_("Yes, book it all the same"), key=f"confirm-{form}")


def _said(receipt: Receipt) -> str:
    payment = receipt.payment
    amount = escaped(money(payment.amount_minor, payment.currency))
    what = "deposit" if payment.book == "deposit" else "payment"
    return _("The {what} of **{amount}** is recorded.", what=what, amount=amount)


def _currency(account: Account, bill: Bill | None) -> str:
    return bill.currency if bill else account.currency or services().settings.currency


def _open_text(bill: Bill | None) -> str:
    return Money(bill.balance_minor, bill.currency).text if bill and bill.balance_minor > 0 else ""
