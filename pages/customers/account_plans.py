"""Instalment plans of an account: how each stands, agreeing on another, cancelling one."""

from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.payments.payment_actions import attempt
from pages.registry import BILL
from pages.shared.components import status_badge
from pages.shared.form_ids import form_id
from pages.shared.format import day, escaped, money
from pages.shared.money_format import PLAN_STATUS
from pages.shared.permitted import page_link
from pages.shared.session import called, may, now, services, today
from services.accounts.instalments import MOST_PARTS, Part, UnusablePlan, months_later
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.payments.entry_forms import InvalidEntry
from services.records.bills import Bill, invoice_reference
from services.records.ledger import Account, InstalmentPlan

_EQUAL: Final = N_("Equal ones, a month apart")
_TYPED: Final = N_("As typed")


def show_plans(account: Account, principal: Principal) -> None:
    """The plans, the last agreed first, and the form for another where bills are open."""
    found = services().customers.plans(customer_id=account.id, principal=principal)
    plans, bills = found.plans, found.free_bills
    if bills and may(Permission.ARRANGE_ACCOUNTS):
        with st.expander(_("Agree on a plan"), icon=":material/add_circle:", expanded=not plans):
            _ask_plan(account, bills, principal)
    elif not plans:
        st.caption(
            _("There is no plan.")
            if bills
            else _("There is no plan, and no open bill to agree on one for.")
        )
    with st.container(gap="small"):
        for plan in plans:
            _show_plan(plan, principal)


def _ask_plan(account: Account, bills: Sequence[Bill], principal: Principal) -> None:
    name = f"plan-{account.id}"
    form = form_id(name)
    by_id = {bill.id: bill for bill in bills}
    equal = st.segmented_control(
        _("Instalments"),
        [_EQUAL, _TYPED],
        format_func=_,
        default=_EQUAL,
        required=True,
        key=f"how-{form}",
    )
    with st.form(f"form-{form}", border=False):
        chosen = st.multiselect(
            _("Bills"),
            list(by_id),
            default=list(by_id),
            format_func=lambda i: _named(by_id[i]),
            placeholder=_("Choose"),
            key=f"bills-{form}",
        )
        how = _ask_equal(form) if equal == _EQUAL else _ask_typed(form)
        note = st.text_input(
            _("Note"), placeholder=_("Such as: agreed by phone"), key=f"note-{form}"
        )
        look = st.form_submit_button(_("Show the instalments"))
        sent = st.form_submit_button(_("Agree on this plan"), type="primary")
    if not (look or sent):
        return
    of_plan = [by_id[i] for i in chosen]
    try:
        parts = services().account_adjustments.parts(bills=of_plan, now=now(), **how)
    except (InvalidEntry, UnusablePlan) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    if look:
        st.markdown(_parts_table(parts, of_plan[0].currency))
        return
    attempt(
        name,
        _("The plan is agreed. While it is kept, its bills are neither reminded of nor marked."),
        lambda: services().account_adjustments.agree_plan(
            plan_id=form, bills=of_plan, parts=parts, note=note, principal=principal, now=now()
        ),
    )


def _ask_equal(form: str) -> dict[str, Any]:
    with st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            number = st.number_input(
                _("How many"), min_value=2, max_value=MOST_PARTS, value=3, step=1, key=f"n-{form}"
            )
        with grid.cell():
            first = st.date_input(
                _("The first is due on"),
                value=months_later(today(), 1),
                min_value=today(),
                format="DD/MM/YYYY",
                key=f"first-{form}",
            )
    return {"equal": int(number), "first_on": first}


def _ask_typed(form: str) -> dict[str, Any]:
    example = f"{months_later(today(), 1)} 200.00\n{months_later(today(), 2)} 150.00"
    typed = st.text_area(
        _("A date and an amount on each line"), placeholder=example, key=f"typed-{form}"
    )
    return {"typed": typed}


def _show_plan(plan: InstalmentPlan, principal: Principal) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            total = escaped(money(plan.total_minor, plan.currency))
            st.markdown(
                ngettext(
                    "**{total}** in {count} instalment",
                    "**{total}** in {count} instalments",
                    len(plan.instalments),
                    total=total,
                ),
                width="content",
            )
            status_badge(plan.status, PLAN_STATUS)
        paid = escaped(money(plan.paid_minor, plan.currency))
        st.caption(
            _(
                "{paid} paid · agreed {day} by {user}",
                paid=paid,
                day=day(plan.agreed_on),
                user=escaped(called(plan.created_by)),
            )
        )
        if plan.reason:
            st.caption(escaped(plan.reason))
        for bill in plan.bills:
            page_link(
                BILL,
                label=invoice_reference(bill.number),
                icon=":material/receipt_long:",
                query_params={"id": bill.bill_id},
            )
        st.markdown(_instalments_table(plan))
        if plan.status == "active" and may(Permission.ARRANGE_ACCOUNTS):
            with st.popover(_("Cancel the plan"), icon=":material/event_busy:", key=f"c-{plan.id}"):
                _ask_cancel(plan, principal)


def _ask_cancel(plan: InstalmentPlan, principal: Principal) -> None:
    st.markdown(_("Its bills are due as they were; nothing paid is lost."))
    with st.form(f"cancel-{plan.id}", border=False):
        reason = st.text_input(_("Why"), key=f"cancel-reason-{plan.id}")
        if not st.form_submit_button(_("Cancel the plan"), type="primary"):
            return
    attempt(
        f"cancel-{plan.id}",
        _("The plan is cancelled."),
        lambda: services().account_adjustments.cancel_plan(
            plan_id=plan.id, reason=reason, principal=principal
        ),
    )


def _instalments_table(plan: InstalmentPlan) -> str:
    rows = [_("| | Due | Amount | |"), "|---:|:---|---:|:---|"]
    for one in plan.instalments:
        if one.paid:
            state = _(":green[paid]")
        elif plan.status != "active":
            state = _(":gray[not paid]")
        elif one.due_on < today():
            state = _(":red[missed]")
        else:
            state = _(":gray[to come]")
        amount = escaped(money(one.amount_minor, plan.currency))
        rows.append(f"| {one.instalment_no} | {day(one.due_on)} | {amount} | {state} |")
    return "\n".join(rows)


def _parts_table(parts: Sequence[Part], currency: str) -> str:
    rows = [_("| | Due | Amount |"), "|---:|:---|---:|"]
    for number, part in enumerate(parts, start=1):
        amount = escaped(money(part.amount_minor, currency))
        rows.append(f"| {number} | {day(part.due_on)} | {amount} |")
    return "\n".join(rows)


def _named(bill: Bill) -> str:
    return _(
        "{reference}, {balance_minor} open",
        reference=bill.reference,
        balance_minor=money(bill.balance_minor, bill.currency),
    )
