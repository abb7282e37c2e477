"""What a meter would show on a day, by which rule, what that bills, and storing it."""

from datetime import date

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.registry import BILL, METER, SUBMIT_READING
from pages.shared.components import description_list
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import READING_SOURCE, day, escaped, kwh, money, period
from pages.shared.header import show_header
from pages.shared.history import go_on_to
from pages.shared.permitted import page_link
from pages.shared.session import now, services, today
from services.billing.chain_retry import MeterTooBusy
from services.database.errors import IllegalChange, NotFound, ReadingConflict
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.metering.estimation import CannotEstimate
from services.quantities.period import months_before, next_billing_day
from services.rating import UnableToPriceBill
from services.readings.estimates import EstimateChanged, EstimatedRead
from services.readings.submission import InvalidReading
from services.records.readings import Meter
from services.records.submissions import ReadingContext

_REFUSALS = (
    *(CannotEstimate, EstimateChanged, IllegalChange, InvalidReading, MeterTooBusy, NotFound),
    *(ReadingConflict, ReasonMissing, UnableToPriceBill),
)


def show_estimate(serial: str, on: str, principal: Principal) -> None:
    """The day to estimate for, then the estimate of that day; raises NotFound."""
    context = services().readings.meter_now(serial=serial, principal=principal, now=now())
    meter = context.meter
    page_link(
        METER,
        label=_("Meter {serial}", serial=escaped(meter.serial)),
        icon=":material/arrow_back:",
        query_params={"id": meter.id},
    )
    show_header(_("Estimate a reading"))
    st.markdown(f"**{escaped(meter.supplied)}** · {escaped(meter.address or '')}")
    st.caption(
        _(
            "For a reading that could not be taken. The bill says that it is estimated, and the "
            "next actual reading settles the difference."
        )
    )
    chosen = st.date_input(
        _("Estimate what it showed on"),
        _asked(on) or _usual_day(context),
        max_value=today(),
        format="DD/MM/YYYY",
        width=240,
        key=f"estimate-on-{meter.id}",
    )
    if isinstance(chosen, date):
        _show_for(meter, chosen, principal)


def _usual_day(context: ReadingContext) -> date:
    """The last billing day; once the meter was read since, today."""
    billed = months_before(next_billing_day(today(), context.billing_day), 1)
    last = context.last_read
    return today() if last and last.read_on >= billed else billed


def _asked(on: str) -> date | None:
    try:
        return min(date.fromisoformat(on), today())
    except ValueError:
        return None


def _show_for(meter: Meter, on: date, principal: Principal) -> None:
    try:
        found = services().reading_estimates.preview(
            meter_serial=meter.serial, on=on, principal=principal, now=now()
        )
    except _REFUSALS as error:
        st.warning(escaped(say(error)), icon=":material/block:")
        page_link(
            SUBMIT_READING,
            label=_("Submit a reading"),
            icon=":material/speed:",
            query_params={"meter": meter.serial},
        )
        return
    _show_found(found)
    _ask(found, meter, on, principal)


def _show_found(found: EstimatedRead) -> None:
    made, last = found.estimate, found.facts.last
    with st.container(border=True):
        st.markdown(_("**{kwh}** estimated", kwh=kwh(made.register_wh)))
        st.markdown(escaped(say(made.sentence)))
        used = ngettext(
            "{kwh} in {count} day", "{kwh} in {count} days", made.days, kwh=kwh(made.used_wh)
        )
        description_list(
            [
                (_("Use"), used),
                (_("Last reading"), f"{kwh(last.register_wh)}, {day(last.read_on)}"),
                (_("That was"), READING_SOURCE[last.source]),
                (_("Estimated in a row"), str(found.facts.in_a_row + 1)),
            ],
            least_width=130,
        )
    for bill in found.assessment.bills:
        total = money(bill.rated.total_minor, bill.rated.currency)
        days = period(bill.opening.read_on, bill.closing.read_on)
        st.markdown(_("It bills **{total}** for {days}.", total=escaped(total), days=days))
    if found.assessment.explanation:
        st.caption(escaped(say(found.assessment.explanation)))


def _ask(found: EstimatedRead, meter: Meter, on: date, principal: Principal) -> None:
    name = f"estimate-{meter.id}-{on}"
    reading_id = form_id(name)
    with st.form(f"store-{reading_id}"):
        reason = st.text_input(
            _("Why it could not be read"),
            key=f"why-{reading_id}",
            placeholder=_("Nobody at home on 1 and 3 December"),
        )
        label = _("Store and bill") if found.assessment.bill else _("Store")
        if not st.form_submit_button(label, type="primary"):
            return
    try:
        stored = services().reading_estimates.store(
            reading_id=reading_id,
            meter_serial=meter.serial,
            on=on,
            register_wh=found.estimate.register_wh,
            reason=reason,
            principal=principal,
            now=now(),
        )
    except _REFUSALS as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    form_done(name, _("The estimate is stored."))
    if stored.bill is not None:
        go_on_to(BILL, id=stored.bill.id)
    go_on_to(METER, id=meter.id)
