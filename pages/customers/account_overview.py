"""The first view of a customer: what is to pay and used, meters, what is held, the last notes."""

from typing import Final

import streamlit as st

from pages.customers.account_columns import in_currency
from pages.customers.customer_notes import offer_note
from pages.languages.words import _, ngettext, say
from pages.registry import BILL, METER, RECORD_PAYMENT
from pages.shared.components import status_badge
from pages.shared.format import (
    BILL_STATUS,
    READING_SOURCE,
    day,
    escaped,
    kwh,
    moment,
    money,
    period,
)
from pages.shared.permitted import page_link
from pages.shared.session import services, today, zone
from pages.shared.usage import show_usage
from services.identity.auth import Principal
from services.records.bills import Bill
from services.records.details import CustomersMeter
from services.records.ledger import Account, InstalmentPlan, LedgerEntry

_NOTES_AT_ONCE: Final = 3


def show_overview(account: Account, principal: Principal) -> None:
    """What is open beside the meters and plans (above them on a phone), and the use below."""
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(border=True, gap="small"):
        st.markdown(_("**To pay**"))
        _show_open(account, principal)
    with right:
        _show_meters(account, principal)
        _show_held(account, principal)
        _show_notes(account, principal)
    with st.container(border=True):
        show_usage(
            services().usage.by_customer(customer_id=account.id, today=today(), principal=principal)
        )


def _show_open(account: Account, principal: Principal) -> None:
    found = services().customers.open_items(customer_id=account.id, principal=principal)
    if not found.bills and not found.fees:
        st.caption(_(":material/check_circle: Nothing is open."))
    for bill in found.bills:
        _show_bill(bill)
    for entry in found.fees:
        _show_fee(entry)
    if found.credits_left:
        credit = -sum(entry.open_minor for entry in found.credits_left)
        total = escaped(money(credit, found.credits_left[0].currency))
        st.info(
            _("**{total}** of credit pays nothing yet.", total=total), icon=":material/savings:"
        )


def _show_bill(bill: Bill) -> None:
    with st.container(gap="xxsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            with st.container(gap="xxsmall"):
                page_link(
                    BILL,
                    label=f"**{bill.reference}**",
                    icon=":material/receipt_long:",
                    query_params={"id": bill.id},
                )
                spans = period(bill.period_start, bill.period_end)
                st.caption(
                    _("{period} · due {day}", period=spans, day=day(bill.due_date))
                    if bill.due_date
                    else spans
                )
            with st.container(width="content", gap="xxsmall", horizontal_alignment="right"):
                st.markdown(f"**{escaped(money(bill.balance_minor, bill.currency))}**")
                status_badge(bill.status, BILL_STATUS)
        page_link(
            RECORD_PAYMENT,
            label=_("Record its payment"),
            icon=":material/payments:",
            query_params={"bill": bill.id},
        )


def _show_fee(entry: LedgerEntry) -> None:
    with st.container(gap="xxsmall"):
        left = escaped(money(entry.open_minor, entry.currency))
        st.markdown(_("**{note}** · {left} to pay", note=escaped(entry.note), left=left))
        st.caption(_("Since {day}", day=day(entry.on_date)))


def _show_meters(account: Account, principal: Principal) -> None:
    meters = services().readings.meters_of_customer(customer_id=account.id, principal=principal)
    with st.container(border=True, gap="small"):
        st.markdown(_("**Meters**"))
        if not meters:
            st.caption(_("No meter is connected for this customer."))
        for meter in meters:
            _show_meter(meter)


def _show_meter(meter: CustomersMeter) -> None:
    with st.container(gap="xxsmall"):
        page_link(
            METER,
            label=f"**{escaped(meter.serial)}**",
            icon=":material/electric_meter:",
            query_params={"id": meter.id},
        )
        if meter.disconnected_on:
            st.markdown(_(":red-badge[Disconnected since {day}]", day=day(meter.disconnected_on)))
        st.caption(escaped(meter.tariff_name or _("No tariff")))
        if meter.last_read_on and meter.last_register_wh is not None:
            source = READING_SOURCE.get(meter.last_source or "", "")
            read = _(
                "{value} on {day}, {source}",
                value=kwh(meter.last_register_wh),
                day=day(meter.last_read_on),
                source=source,
            )
            st.caption(escaped(read))


def _show_held(account: Account, principal: Principal) -> None:
    plans = services().customers.plans(customer_id=account.id, principal=principal).plans
    running = [plan for plan in plans if plan.status == "active"]
    if not account.deposit_minor and not running:
        return
    with st.container(border=True, gap="small"):
        if account.deposit_minor:
            held = escaped(in_currency(account, account.deposit_minor))
            st.markdown(_(":material/savings: Deposit held: **{held}**", held=held))
        for plan in running:
            _show_plan(plan)


def _show_plan(plan: InstalmentPlan) -> None:
    ahead = [one for one in plan.instalments if not one.paid]
    total, paid = (escaped(money(m, plan.currency)) for m in (plan.total_minor, plan.paid_minor))
    st.markdown(
        _(
            ":material/event_note: Instalment plan: **{paid}** of **{total}** paid",
            paid=paid,
            total=total,
        )
    )
    if ahead:
        next_one = escaped(money(ahead[0].amount_minor, plan.currency))
        st.caption(
            ngettext(
                "{count} instalment left; the next, {amount}, is due {day}",
                "{count} instalments left; the next, {amount}, is due {day}",
                len(ahead),
                amount=next_one,
                day=day(ahead[0].due_on),
            )
        )


def _show_notes(account: Account, principal: Principal) -> None:
    with st.container(border=True, gap="small"):
        st.markdown(_("**Notes**"))
        for entry in (
            services()
            .timeline.of(
                subject="customer",
                subject_id=account.id,
                kind="note",
                limit=_NOTES_AT_ONCE,
                principal=principal,
            )
            .entries
        ):
            with st.container(gap="xxsmall"):
                # As it was typed, line by line.
                st.text(entry.said.more)
                st.caption(escaped(f"{moment(entry.at, zone())} · {say(entry.by)}"))
        offer_note(account.id, principal)
