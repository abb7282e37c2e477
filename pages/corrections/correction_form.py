"""Correcting a bill: what is wrong, what that touches, and the confirmation with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import streamlit as st

from pages.approvals.asking import asks_first, label_of, show_requests
from pages.corrections.correction_links import link_to_bill
from pages.corrections.correction_preview import show_plan
from pages.languages.words import _, say
from pages.registry import BILL
from pages.shared.format import day, escaped, kwh, period
from pages.shared.header import show_header
from pages.shared.history import go_on_to
from pages.shared.number_field import number_field
from pages.shared.registers import ask_registers
from pages.shared.session import now, services, today
from services.approvals.asking import AwaitsApproval
from services.billing.chain_retry import MeterTooBusy
from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import Plan, Wrong, WrongBill, WrongReading, WrongTariff
from services.corrections.rebilling import FiguresChanged, NotAcknowledged
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.registers import WrongRegisters
from services.quantities.energy import InvalidEnergy, format_kwh
from services.readings.submission import InvalidReading
from services.records.bills import Bill
from services.records.corrections import BillToCorrect
from services.records.readings import Reading
from services.records.tariffs import TariffSummary

_WRONG_INPUT = (
    CannotRebill,
    InvalidEnergy,
    InvalidReading,
    ReadingTooLong,
    UnableToCompareReads,
    WrongRegisters,
)
_NOT_DONE = (ReasonMissing, NotAcknowledged, FiguresChanged, MeterTooBusy)
_CLOSING, _OPENING = N_("Closing read"), N_("Opening read")
_TARIFF, _BILL = N_("Tariff"), N_("The whole bill")


@dataclass
class _Asked:
    """What was said to be wrong in this visit, and the figures that were shown for it last."""

    wrong: Wrong
    correction_id: str = field(default_factory=lambda: str(uuid4()))
    shown: str = ""


def show_correction(bill_id: str, principal: Principal) -> None:
    """What is wrong with this bill; and once that is said, what correcting it would do."""
    found = services().corrections.bill_to_correct(bill_id=bill_id, principal=principal)
    bill = found.bill
    show_header(_("Correct {reference}", reference=bill.reference))
    st.caption(
        _(
            "**{customer_name}** · {period} · meter {serial}",
            customer_name=escaped(bill.customer_name),
            period=period(bill.period_start, bill.period_end),
            serial=escaped(bill.meter_serial),
        )
    )
    if bill.status == "void":
        st.info(
            _("This bill is void: what took its place can be corrected."), icon=":material/block:"
        )
        if bill.replaced_by_id:
            link_to_bill(bill.replaced_by_id, _("The bill that took its place"))
        return
    show_requests(["correction"], [bill.id], principal)
    with st.container(border=True):
        _ask(found)
    asked = st.session_state.get(_key(bill))
    if isinstance(asked, _Asked):
        _show_asked(bill, asked, principal)


def _key(bill: Bill) -> str:
    return f"correction-{bill.id}"


def _ask(found: BillToCorrect) -> None:
    bill = found.bill
    st.markdown(_("**What is wrong?**"))
    what = st.segmented_control(
        _("What is wrong?"),
        (_CLOSING, _OPENING, _TARIFF, _BILL),
        format_func=_,
        default=_CLOSING,
        required=True,
        label_visibility="collapsed",
        key=f"wrong-{bill.id}",
    )
    if what == _TARIFF:
        _ask_tariff(bill, found.other_tariffs)
    elif what == _BILL:
        _ask_void(bill)
    else:
        _ask_reading(bill, found.closing if what == _CLOSING else found.opening)


def _ask_reading(bill: Bill, reading: Reading) -> None:
    st.caption(
        _(
            "Stored: **{value}** on {day}.",
            value=kwh(reading.register_wh),
            day=day(reading.read_on),
        )
    )
    stored = {name: format_kwh(shown) for name, shown in reading.registers.items()}
    with st.form(f"reading-{reading.id}", border=False):
        # First: the calendar that a typed date opens must not lie over the button.
        taken_on = st.date_input(
            _("It was taken on"),
            reading.read_on,
            max_value=max(today(), reading.read_on),
            format="DD/MM/YYYY",
            disabled=reading.is_opening,
            width=200,
            key=f"taken-{reading.id}",
        )
        value = number_field(
            _("It was (kWh)"), key=f"right-{reading.id}", value=format_kwh(reading.register_wh)
        )
        registers = ask_registers(list(stored), stored, key=reading.id)
        rolled_over = st.checkbox(
            _("The register rolled over before it"),
            value=reading.rolled_over,
            disabled=reading.is_opening,
            help=_(
                "It passed its last digit and began again at 0; what that bills is shown first."
            ),
        )
        withdrawn = st.checkbox(
            _("It was never valid: take it away"),
            disabled=reading.is_opening,
            help=_(
                "The bills before and after it become one; the last one of a meter becomes void."
            ),
        )
        if st.form_submit_button(_("Show what it changes"), type="primary"):
            wrong = WrongReading(
                bill.id,
                reading.id,
                None if withdrawn else value,
                registers or None,
                rolled_over,
                taken_on,
            )
            _keep(bill, wrong)


def _ask_tariff(bill: Bill, others: Sequence[TariffSummary]) -> None:
    st.caption(
        _(
            "This meter was never on **{tariff_name}**: this bill and all after it are "
            "reissued under another tariff, and the meter stays on that. If the tariff itself is "
            "wrong, correct its version on the tariff's page.",
            tariff_name=escaped(bill.tariff_name),
        )
    )
    if not others:
        st.info(_("There is no other tariff in {currency}.", currency=escaped(bill.currency)))
        return
    with st.form(f"tariff-{bill.id}", border=False):
        chosen = st.selectbox(
            _("It is on"), others, format_func=lambda one: f"{one.code}: {one.name}"
        )
        if st.form_submit_button(_("Show what it changes"), type="primary"):
            _keep(bill, WrongTariff(bill.id, chosen.code))


def _ask_void(bill: Bill) -> None:
    st.caption(
        _(
            "The bill becomes void and no other takes its place; what was paid on it stays with "
            "the account. The meter's next bill begins where this one began. Only the last bill "
            "of a meter can be voided so."
        )
    )
    if st.button(_("Show what it changes"), type="primary", key=f"void-{bill.id}"):
        _keep(bill, WrongBill(bill.id))


def _keep(bill: Bill, wrong: Wrong) -> None:
    st.session_state[_key(bill)] = _Asked(wrong)


def _show_asked(bill: Bill, asked: _Asked, principal: Principal) -> None:
    try:
        plan = services().rebilling.plan(asked.wrong, now=now(), correction_id=asked.correction_id)
    except _WRONG_INPUT as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    seen, asked.shown = asked.shown or plan.fingerprint, plan.fingerprint
    show_plan(plan)
    _ask_confirmation(bill, asked, plan, seen, principal)


def _ask_confirmation(
    bill: Bill, asked: _Asked, plan: Plan, seen: str, principal: Principal
) -> None:
    again = any(change.new for change in plan.changes)
    with st.form(f"do-{bill.id}"):
        reason = st.text_input(
            _("Reason"), placeholder=_("Such as: two digits were swapped, photo of the meter seen")
        )
        acknowledged = bool(plan.warning) and st.checkbox(
            _("I have seen the warning about back-billing, and correct it nevertheless")
        )
        st.caption(
            _("The void bills keep their numbers. The customer gets one message about all of it.")
        )
        label = label_of(_("Void and reissue") if again else _("Void"), asks=asks_first("voids"))
        if not st.form_submit_button(label, type="primary"):
            return
    try:
        done = services().rebilling.execute(
            asked.wrong,
            previewed=seen,
            correction_id=asked.correction_id,
            reason=reason,
            acknowledged=acknowledged,
            principal=principal,
            now=now(),
        )
    except AwaitsApproval:
        # The bill's page shows what waits.
        del st.session_state[_key(bill)]
        go_on_to(BILL, id=bill.id)
    except _NOT_DONE as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    del st.session_state[_key(bill)]
    st.toast(_("The bills are corrected."), icon=":material/check_circle:")
    made = [one.new_bill_id for one in done.bills if one.new_bill_id]
    go_on_to(BILL, id=made[0] if made else bill.id)
