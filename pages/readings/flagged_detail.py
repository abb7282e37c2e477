"""One flagged reading: why it was flagged, what each decision would bill, and the decision."""

from collections.abc import Callable, Mapping

import streamlit as st

from pages.bills.bill_card import show_bill
from pages.bills.stored_reading import offer_billing
from pages.shared.ai_cards import show_ai_on_reading
from pages.shared.charts import daily_use
from pages.shared.components import description_list, doubts_of, status_badge
from pages.shared.format import READING_STATUS, count, day, escaped, kwh, moment, money, period
from pages.shared.number_field import number_field
from pages.shared.photos import show_reading_photos
from pages.shared.registers import ask_registers, registers_shown
from pages.shared.session import now, services, zone
from services.billing.chain_retry import MeterTooBusy
from services.database.errors import IllegalChange
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.registers import WrongRegisters
from services.quantities.energy import InvalidEnergy, format_kwh
from services.rating import UnableToPriceBill
from services.readings.assessment import ReadingAssessment
from services.readings.submission import InvalidReading
from services.records.bills import Bill
from services.records.readings import Meter, Reading
from services.records.submissions import ReadingContext, StoredReading

_WRONG = (
    ReasonMissing,
    InvalidEnergy,
    InvalidReading,
    WrongRegisters,
    ReadingTooLong,
    UnableToCompareReads,
    UnableToPriceBill,
    MeterTooBusy,
)
_ROLLED_OVER = "The register rolled over"
_ROLLED_OVER_HELP = (
    "It passed its last digit and began again at 0. Without this, a register that fell by less "
    "than half of what it can show is not billed."
)
_DECISIONS = ("Accept", "Correct", "Reject")


def show_flagged(reading_id: str, principal: Principal) -> None:
    """The reading as it stands now; once somebody decided, what became of it."""
    found = services().readings.under_review(reading_id=reading_id, principal=principal)
    reading, context = found.reading, found.context
    if context is None:
        _show_decided(reading, found.bill)
        offer_billing(reading, principal)
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _show_reading(reading, context, principal)
    with right, st.container(border=True):
        st.markdown("**Your decision**")
        _ask_decision(reading, context.meter, principal)


def _show_reading(reading: Reading, context: ReadingContext, principal: Principal) -> None:
    with st.container(border=True):
        st.subheader(f"{kwh(reading.register_wh)} · {escaped(reading.meter_serial)}", anchor=False)
        at = escaped(reading.address or "")
        st.caption(f"{escaped(reading.supplied)} · {at}")
        last = context.last_read
        description_list(
            [
                ("Read", moment(reading.read_at, zone())),
                ("By", reading.submitted_by),
                ("Last read", f"{kwh(last.register_wh)}, {day(last.read_on)}" if last else ""),
                *registers_shown(reading.registers),
            ],
            least_width=130,
        )
        for doubt in doubts_of(reading.validation):
            st.warning(escaped(doubt), icon=":material/flag:")
        show_ai_on_reading(reading, principal)
        show_reading_photos(reading.id, principal)
    with st.container(border=True):
        st.markdown("**Daily use between reads**")
        # Below the last read, nobody knows the use: a rollover's would dwarf every real bar.
        flagged = None if _is_below_last(reading) else reading.point
        daily_use(context.history[-12:], flagged, context.meter)


def _is_below_last(reading: Reading) -> bool:
    rules = reading.validation["rules"]
    return any(r["rule"] == "below_last_read" and r["outcome"] == "review" for r in rules)


def _ask_decision(reading: Reading, meter: Meter, principal: Principal) -> None:
    choice = st.segmented_control(
        "Decision",
        _DECISIONS,
        # A meter hardly ever runs backwards; a digit is easily mistyped.
        default="Correct" if _is_below_last(reading) else "Accept",
        required=True,
        label_visibility="collapsed",
        width="stretch",
        key=f"decision-{reading.id}",
    )
    if choice == "Accept":
        _ask_accept(reading, principal)
    elif choice == "Correct":
        _ask_correct(reading, meter, principal)
    else:
        _ask_reject(reading, principal)


def _ask_accept(reading: Reading, principal: Principal) -> None:
    st.markdown("The meter really shows this value.")
    rolled_over = _is_below_last(reading) and st.checkbox(
        _ROLLED_OVER, help=_ROLLED_OVER_HELP, key=f"rolled-over-{reading.id}"
    )
    assessment = _show_preview(reading, None, rolled_over=rolled_over)
    label = "Accept and bill" if assessment and assessment.bill else "Accept"
    with st.form(f"accept-{reading.id}", border=False):
        reason = st.text_input("Reason", placeholder="Such as: photo of the meter seen")
        if st.form_submit_button(label, type="primary", width="stretch"):
            _decide(
                lambda: services().reading_review.accept(
                    reading_id=reading.id,
                    reason=reason,
                    rolled_over=rolled_over,
                    principal=principal,
                    now=now(),
                )
            )


def _ask_correct(reading: Reading, meter: Meter, principal: Principal) -> None:
    st.markdown("The meter shows another value. The flagged one is kept as evidence.")
    with st.form(f"correct-{reading.id}", border=False):
        # With several registers, mostly one of them is wrong: the others need not be typed again.
        value = number_field(
            "Right reading (kWh)",
            key=f"right-{reading.id}",
            value=format_kwh(reading.register_wh) if meter.registers else "",
        )
        stored = {name: format_kwh(shown) for name, shown in reading.registers.items()}
        registers = ask_registers(meter.registers, stored, key=reading.id)
        rolled_over = st.checkbox(
            _ROLLED_OVER, help=_ROLLED_OVER_HELP, key=f"right-rolled-over-{reading.id}"
        )
        reason = st.text_input("Reason", placeholder="Such as: two digits were swapped")
        look = st.form_submit_button("Show what it bills", width="stretch")
        sent = st.form_submit_button("Correct and bill", type="primary", width="stretch")
    if look:
        _show_preview(reading, value, registers, rolled_over=rolled_over)
    if sent:
        _decide(
            lambda: services().reading_review.correct(
                reading_id=reading.id,
                reading_kwh=value,
                registers=registers,
                rolled_over=rolled_over,
                reason=reason,
                principal=principal,
                now=now(),
            )
        )


def _ask_reject(reading: Reading, principal: Principal) -> None:
    st.markdown("The reading is not to be used. Nothing is billed; the meter is read again.")
    with st.form(f"reject-{reading.id}", border=False):
        reason = st.text_input("Reason", placeholder="Such as: another meter was read")
        if st.form_submit_button("Reject", type="primary", width="stretch"):
            _decide(
                lambda: services().reading_review.reject(
                    reading_id=reading.id, reason=reason, principal=principal
                )
            )


def _show_preview(
    reading: Reading,
    value: str | None,
    registers: Mapping[str, str] | None = None,
    *,
    rolled_over: bool,
) -> ReadingAssessment | None:
    try:
        assessment = services().reading_review.preview(
            reading_id=reading.id,
            reading_kwh=value,
            registers=registers,
            rolled_over=rolled_over,
            now=now(),
        )
    except _WRONG as error:
        st.error(escaped(error), icon=":material/edit:")
        return None
    st.info(_what_it_bills(assessment), icon=":material/receipt_long:")
    return assessment


def _what_it_bills(assessment: ReadingAssessment) -> str:
    bill = assessment.bill
    if bill is None:
        return escaped(assessment.explanation or "It would not be billed now.")
    total = money(bill.rated.total_minor, bill.rated.currency)
    spans = period(bill.opening.read_on, bill.closing.read_on)
    billed = f"Bills **{escaped(total)}** for {kwh(bill.consumption_wh)}, {spans}."
    if assessment.earlier:
        billed += (
            f" Before that {count(len(assessment.earlier), 'earlier month')}, each on its own."
        )
    return f"{billed} {escaped(assessment.explanation)}".strip()


def _decide(decide: Callable[[], StoredReading]) -> None:
    try:
        decide()
    except _WRONG as error:
        st.error(escaped(error), icon=":material/edit:")
    except IllegalChange as error:
        st.warning(f"{escaped(error)} Your decision was not needed and changed nothing.")
        st.button("See what was decided", icon=":material/refresh:")
    else:
        st.toast("Your decision is stored.", icon=":material/check_circle:")
        st.rerun()


def _show_decided(reading: Reading, bill: Bill | None) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(
                f"{kwh(reading.register_wh)} · {escaped(reading.meter_serial)}",
                anchor=False,
                width="content",
            )
            status_badge(reading.status, READING_STATUS)
        st.caption(escaped(reading.supplied))
        if reading.decided_by and reading.decided_at:
            st.markdown(
                f"Decided by {escaped(reading.decided_by)} "
                f"on {moment(reading.decided_at, zone())}: {escaped(reading.decision_reason or '')}"
            )
    if bill:
        show_bill(bill)
