"""The form for one reading: typed, checked, doubted once if need be, and submitted with its steps.

What is typed stays in the session until it is stored; the idempotency key is made when the form
opens, so pressing twice, or again after a failure, never stores a reading twice.
"""

from datetime import datetime
from typing import Any
from uuid import uuid4

import streamlit as st

from pages.languages.words import _, say
from pages.shared.components import LiveSteps
from pages.shared.format import escaped
from pages.shared.number_field import number_field
from pages.shared.registers import ask_registers
from pages.shared.session import allow_upload, now, services, zone
from services.billing.chain_retry import MeterTooBusy
from services.database.errors import (
    DiskFull,
    IdempotencyKeyReused,
    NotFound,
    ReadingConflict,
    TemporaryDatabaseError,
)
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.registers import WrongRegisters, plain_registers
from services.outbox.steps import Progress, unobserved
from services.quantities.energy import InvalidEnergy
from services.quantities.typed import plain_kwh
from services.readings.assessment import ReadingAssessment
from services.readings.dial_photo import InvalidPhoto, dial_photo
from services.readings.reading_to_bill import Submitted
from services.readings.submission import InvalidReading, Submission, parse_submission
from services.records.readings import Meter

_NO_ANSWER = N_(
    "The database did not answer in time, so it is not certain yet that the reading is "
    "stored. Try again: the same reading is never stored twice."
)
_WRONG_INPUT = (
    InvalidEnergy,
    InvalidPhoto,
    InvalidReading,
    ReadingTooLong,
    UnableToCompareReads,
    WrongRegisters,
    NotFound,
    ReadingConflict,
)
_FORM = "reading-form"
_DOUBT = "reading-doubt"
_ACCEPTED_FORM = "reading-accepted-form"
_RESULT = "reading-result"


def ask_reading(meter: Meter) -> None:
    """The form, or the question whether the engineer is sure of what was typed."""
    form = _open_form(meter.serial)
    if _DOUBT in st.session_state:
        _ask_really()
        return
    _ask_photo(form)
    with st.form("reading"):
        read_at = _ask_time(form)
        typed = number_field(
            _("Reading (kWh)"),
            key=f"reading-{form['key']}",
            value=form["reading_kwh"],
            placeholder=_("Such as 1117 or 1117.5"),
        )
        registers = ask_registers(meter.registers, form["registers"], key=form["key"])
        problem = st.empty()
        sent = st.form_submit_button(_("Submit reading"), type="primary", width="stretch")
    if sent:
        form |= {"reading_kwh": typed, "registers": registers, "read_at": read_at}
        _check(form, problem)


def _ask_time(form: dict[str, Any]) -> datetime | None:
    """When it was read: now, unless somebody opens this.

    It stands before the value, since its calendar would lie over a button beneath it.
    """
    is_another = form["read_at"] != form["opened_at"]
    with st.expander(_("Read at another time"), expanded=is_another, icon=":material/schedule:"):
        read_at: datetime | None = st.datetime_input(
            _("Read on"),
            value=form["read_at"],
            format="DD/MM/YYYY",
            step=60,
            key=f"read-at-{form['key']}",
        )
    return read_at


def _open_form(serial: str) -> dict[str, Any]:
    """The form of this meter; a new one, with a new key, when another meter was chosen."""
    form: dict[str, Any] | None = st.session_state.get(_FORM)
    if form is None or form["meter_serial"] != serial:
        st.session_state.pop(_DOUBT, None)
        local = now().astimezone(zone()).replace(second=0, microsecond=0, tzinfo=None)
        form = {"meter_serial": serial, "reading_kwh": "", "registers": {}, "read_at": local}
        form |= {"opened_at": local, "photo": None}
        form["key"] = str(uuid4())
        st.session_state[_FORM] = form
    return form


def _ask_photo(form: dict[str, Any]) -> None:
    """A photo by the phone's camera, which is asked for only when somebody wants it."""
    form["photo"] = None
    if st.toggle(_("Photo of the dial"), key=f"with-photo-{form['key']}"):
        allow_upload()
        taken = st.camera_input(
            _("Photo of the dial"), key=f"photo-{form['key']}", label_visibility="collapsed"
        )
        form["photo"] = taken.getvalue() if taken else None


def _check(form: dict[str, Any], problem: Any) -> None:
    """Say what is wrong beside the field, ask "really?", or go on to submit."""
    try:
        if form["photo"]:
            dial_photo(form["photo"])
        submission = _submission(form)
        assessment = services().reading_to_bill.preview(
            submission=submission, source="field", now=now()
        )
    except _WRONG_INPUT as error:
        problem.error(escaped(say(error)), icon=":material/edit:")
        return
    if assessment.status == "needs_review":
        st.session_state[_DOUBT] = _doubts(assessment)
    else:
        st.session_state[_ACCEPTED_FORM] = True
    st.rerun()


def _submission(form: dict[str, Any]) -> Submission:
    read_at: datetime | None = form["read_at"]
    return parse_submission(
        {
            "meter_serial": form["meter_serial"],
            "reading_kwh": plain_kwh(form["reading_kwh"]),
            "registers": plain_registers(form["registers"]),
            "read_at": read_at.isoformat(timespec="minutes") if read_at else "",
            "idempotency_key": form["key"],
        },
        zone=zone(),
        now=now(),
    )


def _doubts(assessment: ReadingAssessment) -> list[str]:
    return [r.message for r in assessment.validation.outcomes if r.outcome == "review"]


def _ask_really() -> None:
    typed = st.session_state[_FORM]["reading_kwh"]
    with st.container(border=True):
        st.subheader(_("Really {typed} kWh?", typed=escaped(typed)), anchor=False)
        for doubt in st.session_state[_DOUBT]:
            st.warning(escaped(say(doubt)), icon=":material/help:")
        st.markdown(_("If it is what the meter shows, submit it: the office looks at it first."))
        with st.container(horizontal=True):
            if st.button(_("Correct it"), type="primary", icon=":material/edit:"):
                del st.session_state[_DOUBT]
                st.rerun()
            if st.button(_("Submit anyway"), icon=":material/flag:"):
                del st.session_state[_DOUBT]
                st.session_state[_ACCEPTED_FORM] = True
                st.rerun()


def submit_now(principal: Principal) -> None:
    """Submit what the form holds; for the office the steps appear as they happen."""
    form = st.session_state[_FORM]
    try:
        submitted = _submitted(form, principal)
    except IdempotencyKeyReused:
        _give_up(_("An earlier reading from this form was stored. Look at My readings first."))
    except _WRONG_INPUT as error:
        _give_up(say(error))
    except DiskFull as error:
        _offer_again(escaped(say(error)))
    except (MeterTooBusy, TemporaryDatabaseError):
        _offer_again(_(_NO_ANSWER))
    else:
        _finish(submitted)


def _submitted(form: dict[str, Any], principal: Principal) -> Submitted:
    if form["photo"]:
        # Before the reading, which is compared with it.
        services().meter_photos.keep(
            content=form["photo"],
            key=form["key"],
            meter_serial=form["meter_serial"],
            principal=principal,
        )
    of_office = principal.may(Permission.VIEW_READINGS)
    with st.status(_("Submitting the reading …"), expanded=of_office):
        progress: Progress = LiveSteps() if of_office else unobserved
    return services().reading_to_bill.submit(
        submission=_submission(form),
        principal=principal,
        now=now(),
        arrived_by="page",
        progress=progress,
    )


def _give_up(sentence: str) -> None:
    """Back to the form, with what was typed; the sentence stands above."""
    st.error(escaped(sentence))
    # A refused key would be refused again.
    st.session_state[_FORM]["key"] = str(uuid4())
    del st.session_state[_ACCEPTED_FORM]
    st.button(_("Back to the form"), icon=":material/arrow_back:")


def _offer_again(sentence: str) -> None:
    st.error(sentence, icon=":material/cloud_off:")
    st.button(_("Try again"), type="primary", icon=":material/refresh:")


def _finish(submitted: Submitted) -> None:
    st.session_state[_RESULT] = {
        "outcome": submitted.outcome,
        "reading_id": submitted.reading.id,
        "bill_id": submitted.bill.id if submitted.bill else None,
        "earlier": [bill.id for bill in submitted.earlier],
        "explanation": submitted.explanation,
        "steps": [(o.step, o.status, o.detail) for o in submitted.steps],
    }
    for name in (_FORM, _ACCEPTED_FORM):
        del st.session_state[name]
    st.rerun()
