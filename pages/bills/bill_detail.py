"""One bill with its reads, its payments and the steps after its commit; and issuing it."""

from typing import Final

import streamlit as st

from pages.approvals.asking import show_requests
from pages.bill_download import show_download
from pages.bills.bill_card import show_bill, title_of
from pages.bills.bill_payments import show_bill_payments
from pages.bills.credit_note_cards import show_credit_note
from pages.bills.returned_bills import show_spared
from pages.bills.stored_reading import show_stored_after
from pages.corrections.correction_links import show_corrections
from pages.drafts.draft_cards import offer_send_back
from pages.languages.words import _, say
from pages.registry import BILLS, CORRECT_BILL, NETWORK, RECORD_PAYMENT
from pages.shared.ai_cards import show_second_opinion
from pages.shared.components import description_list, doubts_of, show_steps
from pages.shared.detail import chosen_view, detail_header
from pages.shared.format import (
    BILL_STATUS,
    OCCASION,
    day,
    escaped,
    how_read,
    kwh,
    moment,
    money,
)
from pages.shared.net_metering import show_kwh_bank
from pages.shared.permitted import page_link
from pages.shared.registers import registers_shown
from pages.shared.session import called, may, now, services, zone
from pages.shared.timeline import show_timeline
from pages.system.send_again import offer_to_send_again
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.outbox.steps import StepOutcome
from services.records.bills import Bill
from services.records.details import BillDetail
from services.records.outbox import OutboxEntry
from services.records.readings import Reading

_VIEWS: Final = (N_("Bill"), N_("Timeline"))


def show_bill_detail(bill_id: str, principal: Principal) -> None:
    """The bill, and beside it (below it on a phone) where it comes from and where it stands."""
    found = services().bills.detail(bill_id=bill_id, principal=principal)
    bill = found.bill
    with detail_header(title_of(bill), back=BILLS, states=[BILL_STATUS[bill.status]]):
        _show_main_action(bill, principal)
    if chosen_view(_VIEWS) == "Timeline":
        show_timeline("bill", bill.id, principal)
        return
    show_requests(["correction"], [bill.id], principal)
    if bill.status == "draft":
        _show_draft(bill, principal)
        # It may be why the bill is held: seen before somebody issues it.
        show_second_opinion(bill, found.second_opinion)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_bill(bill, titled=False, place_linked=True)
    with right:
        _show_payment(found)
        show_spared(bill, principal)
        _link_to_correction(bill)
        show_corrections(bill, found.corrections)
        _show_credit_note(bill, principal)
        # Of several meters, whose read it is; the reads between are in the bill.
        several = len(bill.meter_serials) > 1 or bill.meter_id != found.opening.meter_id
        _show_read(_("Opening read"), found.opening, meter_named=several)
        _show_read(_("Closing read"), found.closing, meter_named=several)
        show_stored_after(found, principal)
        show_kwh_bank(found.kwh_bank)
        if services().graph.graph is not None:
            _link_to_network(bill)
        if bill.status != "draft":
            show_second_opinion(bill, found.second_opinion)
        for work in found.outbox:
            _show_outbox(work, principal)


def _show_main_action(bill: Bill, principal: Principal) -> None:
    if bill.status == "draft" and may(Permission.APPROVE_BILLS):
        with st.popover(_("Issue this bill"), icon=":material/send:", type="primary"):
            total = escaped(money(bill.total_minor, bill.currency))
            st.markdown(
                _(
                    "**{customer_name}** will owe **{total}**. The bill gets its number "
                    "and cannot be changed afterwards.",
                    customer_name=escaped(bill.customer_name),
                    total=total,
                )
            )
            if st.button(_("Yes, issue it"), type="primary", key="issue"):
                _issue(bill, principal)
    elif (
        bill.status not in ("draft", "void")
        and may(Permission.RECORD_PAYMENTS)
        and bill.balance_minor > 0
        and st.button(_("Record a payment"), type="primary", icon=":material/add_circle:")
    ):
        st.switch_page(RECORD_PAYMENT.script, query_params={"bill": bill.id})


def _show_draft(bill: Bill, principal: Principal) -> None:
    with st.container(border=True):
        st.markdown(_("This bill is a **draft**: nobody has been asked to pay it yet."))
        if bill.held_because:
            st.warning(escaped(say(bill.held_because)), icon=":material/flag:")
        offer_send_back(bill.id, principal)


def _issue(bill: Bill, principal: Principal) -> None:
    services().bill_approval.issue(bill_id=bill.id, principal=principal, now=now())
    st.toast(_("The bill is issued."), icon=":material/check_circle:")
    st.rerun()


def _show_payment(found: BillDetail) -> None:
    bill = found.bill
    with st.container(border=True):
        st.markdown(_("**Payment**"))
        description_list(
            [
                (_("Billed"), money(bill.total_minor, bill.currency)),
                (_("Paid"), money(bill.amount_paid_minor, bill.currency)),
                (_("Left to pay"), money(bill.balance_minor, bill.currency)),
                (_("Issued"), moment(bill.issued_at, zone()) if bill.issued_at else _("not yet")),
                (_("Due"), day(bill.due_date) if bill.due_date else ""),
            ],
            least_width=110,
        )
        if bill.overdue_since and bill.balance_minor > 0:
            st.markdown(_(":red[Overdue since {day}]", day=day(bill.overdue_since)))
        show_bill_payments(found)
    if bill.number is not None:
        show_download(bill, found.unprinted_because)


def _show_credit_note(bill: Bill, principal: Principal) -> None:
    if bill.status != "void":
        return
    note = services().credit_notes.of_bill(bill_id=bill.id, principal=principal)
    if note is not None:
        show_credit_note(note, principal, here=True)


def _show_read(title: str, reading: Reading, *, meter_named: bool) -> None:
    with st.container(border=True, gap="xxsmall"):
        st.markdown(f"**{title}** · {kwh(reading.register_wh)}")
        if meter_named:
            st.caption(_("Meter {serial}", serial=escaped(reading.meter_serial)))
        if reading.registers:
            shown = (f"{label} {value}" for label, value in registers_shown(reading.registers))
            st.caption(escaped(" · ".join(shown)))
        st.caption(
            _(
                "Read {moment} · {how} · by {user}",
                moment=moment(reading.read_at, zone()),
                how=how_read(reading),
                user=escaped(called(reading.submitted_by)),
            )
        )
        if reading.estimated_by:
            st.caption(f":material/calculate: {escaped(say(reading.estimated_by))}")
        for doubt in doubts_of(reading.validation):
            st.caption(f":material/flag: {escaped(doubt)}")
        if reading.decided_by:
            st.caption(
                f"{escaped(called(reading.decided_by))}: {escaped(reading.decision_reason or '')}"
            )


def _link_to_correction(bill: Bill) -> None:
    if bill.status == "void":
        return
    page_link(
        CORRECT_BILL,
        label=_("Correct this bill"),
        icon=":material/edit_document:",
        query_params={"id": bill.id},
    )


def _link_to_network(bill: Bill) -> None:
    page_link(
        NETWORK,
        label=_("Related to this bill"),
        icon=":material/hub:",
        query_params={"bill": bill.id},
    )
    page_link(
        NETWORK,
        label=_("What correcting the closing read would touch"),
        icon=":material/edit_note:",
        query_params={"meter": bill.meter_serial, "reading": bill.closing_reading_id},
    )


def _show_outbox(work: OutboxEntry, principal: Principal) -> None:
    with st.container(border=True):
        st.markdown(f"**{OCCASION.get(work.kind, escaped(work.kind))}**")
        show_steps(
            [
                StepOutcome(step, state.status, state.detail)
                for step, state in sorted(work.steps.items())
            ]
        )
        if work.status == "given_up":
            st.caption(_(":red[Given up after many attempts. Please handle it by hand.]"))
        written = work.steps.get(11)
        if work.status != "open" and written is not None and written.facts.get("text"):
            offer_to_send_again(work.id, work.id, work.kind, principal)
