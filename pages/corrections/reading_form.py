"""A reading that is not billed: what is wrong with it, what the rules say, and correcting it."""

import streamlit as st

from pages.languages.words import _, say
from pages.registry import CORRECT_BILL, METER
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import day, escaped, how_read, kwh
from pages.shared.header import show_header
from pages.shared.history import go_on_to
from pages.shared.number_field import number_field
from pages.shared.permitted import page_link
from pages.shared.registers import ask_registers
from pages.shared.session import now, services, today
from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import WrongReading
from services.corrections.reading_correction import ReadingPlan
from services.database.errors import IllegalChange, NotFound, ReadingConflict
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.registers import WrongRegisters
from services.quantities.energy import InvalidEnergy, format_kwh
from services.readings.submission import InvalidReading
from services.records.corrections import ReadingToCorrect
from services.records.readings import Reading

_REFUSALS = (
    *(CannotRebill, IllegalChange, InvalidEnergy, InvalidReading, NotFound, ReadingConflict),
    *(ReadingTooLong, ReasonMissing, UnableToCompareReads, WrongRegisters),
)


def show_reading_correction(reading_id: str, principal: Principal) -> None:
    """What is stored, what it should be, and what the rules say of that; raises NotFound."""
    found = services().reading_correction.found(reading_id=reading_id, principal=principal)
    reading = found.reading
    page_link(
        METER,
        label=_("Meter {serial}", serial=escaped(reading.meter_serial)),
        icon=":material/arrow_back:",
        query_params={"id": reading.meter_id},
    )
    show_header(_("Correct a reading"))
    st.markdown(
        _(
            "**{value}** on {day} · {how}",
            value=kwh(reading.register_wh),
            day=day(reading.read_on),
            how=how_read(reading),
        )
    )
    if found.bill_id is not None:
        st.info(_("A bill opens or closes at this reading: it is corrected on the bill."))
        page_link(
            CORRECT_BILL,
            label=_("Correct it on the bill"),
            icon=":material/receipt_long:",
            query_params={"id": found.bill_id},
        )
        return
    if reading.status != "accepted":
        st.info(_("This reading was corrected or decided on already."), icon=":material/block:")
        return
    name = f"reading-{reading.id}"
    form = form_id(name)
    if (wrong := _ask(found, form)) is not None:
        st.session_state[f"wrong-{form}"] = wrong
    asked = st.session_state.get(f"wrong-{form}")
    if isinstance(asked, WrongReading):
        _confirm(asked, name, form, reading, principal)


def _ask(found: ReadingToCorrect, form: str) -> WrongReading | None:
    reading = found.reading
    stored = {name: format_kwh(shown) for name, shown in reading.registers.items()}
    with st.form(f"ask-{form}"):
        # First: the calendar that a typed date opens must not lie over the button.
        taken_on = st.date_input(
            _("It was taken on"),
            reading.read_on,
            max_value=max(today(), reading.read_on),
            format="DD/MM/YYYY",
            disabled=found.at_a_change,
            width=200,
            key=f"taken-{form}",
        )
        value = number_field(
            _("It was (kWh)"), key=f"right-{form}", value=format_kwh(reading.register_wh)
        )
        registers = ask_registers(list(stored), stored, key=form)
        withdrawn = st.checkbox(
            _("It was never valid: take it away"), disabled=found.at_a_change, key=f"away-{form}"
        )
        if not st.form_submit_button(_("Show what the rules say"), type="primary"):
            return None
    right = None if withdrawn else value
    return WrongReading("", reading.id, right, registers or None, reading.rolled_over, taken_on)


def _confirm(
    wrong: WrongReading, name: str, form: str, reading: Reading, principal: Principal
) -> None:
    try:
        plan = services().reading_correction.plan(wrong, principal=principal, now=now())
    except _REFUSALS as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    _show(plan)
    with st.form(f"do-{form}"):
        reason = st.text_input(
            _("Why"), key=f"why-{form}", placeholder=_("Photo of the meter seen")
        )
        sure = bool(plan.doubts) and st.checkbox(_("The reading is right"), key=f"sure-{form}")
        if not st.form_submit_button(_("Correct it"), type="primary"):
            return
    try:
        services().reading_correction.execute(
            wrong, reason=reason, acknowledged=sure, principal=principal, now=now()
        )
    except _REFUSALS as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    form_done(name, _("The reading is corrected."))
    go_on_to(METER, id=reading.meter_id)


def _show(plan: ReadingPlan) -> None:
    if plan.right is None:
        st.markdown(_("The reading is taken away; it is kept as evidence."))
        return
    st.markdown(
        _(
            "{wrong} on {wrong_day} becomes **{right} on {right_day}**. The wrong one is kept as "
            "evidence; the next bill goes by the right one.",
            wrong=kwh(plan.wrong.register_wh),
            wrong_day=day(plan.wrong.read_on),
            right=kwh(plan.right.register_wh),
            right_day=day(plan.right.read_on),
        )
    )
    for doubt in plan.doubts:
        st.warning(escaped(say(doubt)), icon=":material/flag:")
