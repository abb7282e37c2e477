"""Finding a meter, and the card that an engineer sees before a reading is typed."""

from datetime import date

import streamlit as st

from pages.languages.words import _, say
from pages.shared.components import description_list
from pages.shared.format import count, day, escaped, kwh, times
from pages.shared.registers import registers_shown
from pages.shared.session import now, services, today
from services.database.errors import NotFound
from services.identity.auth import Principal
from services.metering.recent_use import usual_daily_use
from services.metering.register_arithmetic import consumption_wh
from services.metering.validation import ExpectedRange
from services.readings.expected import expected_on, expected_text
from services.records.readings import Meter, Reading
from services.records.submissions import ReadingContext

_SHOWN = 8


def search_meter(principal: Principal) -> None:
    """A search box and what it finds; choosing a meter puts its serial into the address."""
    text = st.text_input(
        _("Find the meter"),
        key="meter-search",
        type="search",
        placeholder=_("Serial, customer, account or address"),
        live=True,
    )
    found = services().readings.find_meters(text=text or "", limit=_SHOWN + 1, principal=principal)
    if not found:
        st.info(
            _("No active meter fits. Try fewer letters, or another part of the name or address.")
            if text
            else _("No active meter yet.")
        )
    with st.container(gap="xsmall"):
        for meter in found[:_SHOWN]:
            _result(meter)
    if len(found) > _SHOWN:
        st.caption(_("The first {SHOWN} are shown. Type more to find the right one.", SHOWN=_SHOWN))


def _result(meter: Meter) -> None:
    with (
        st.container(border=True),
        st.container(horizontal=True, vertical_alignment="center", wrap=False),
    ):
        with st.container(gap=None):
            st.markdown(f"**{escaped(meter.serial)}** · {escaped(meter.supplied)}")
            st.caption(escaped(meter.address or meter.account_no or ""))
        if st.button(_("Read"), key=f"meter-{meter.id}", icon=":material/speed:"):
            st.query_params["meter"] = meter.serial
            st.rerun()


def meter_context(serial: str, principal: Principal) -> ReadingContext | None:
    """What is known of a meter now; None, after a sentence, when there is no such meter."""
    try:
        return services().readings.meter_now(serial=serial, principal=principal, now=now())
    except NotFound as error:
        st.warning(escaped(say(error)))
        return None


def show_meter(context: ReadingContext) -> None:
    """The customer, the last read, and what the register is expected to show today."""
    meter, last = context.meter, context.last_read
    with st.container(border=True):
        st.subheader(escaped(meter.supplied), anchor=False)
        account = (
            _(" · account {account_no}", account_no=escaped(meter.account_no))
            if meter.account_no
            else ""
        )
        st.caption(f"{escaped(meter.address or '')}{account}")
        shown = [(_("Meter"), meter.serial), (_("Tariff"), meter.tariff_name or _("none"))]
        if last is not None:
            shown.append(
                (
                    _("Last read"),
                    _(
                        "{register_wh} on {read_on}",
                        register_wh=kwh(last.register_wh),
                        read_on=day(last.read_on),
                    ),
                )
            )
            expected = say(expected_text(_expected(context, today()), dials=meter.dials))
            shown.append((_("Expected today"), expected))
            shown += registers_shown(last.registers)
        if meter.multiplier_milli != 1000:
            shown.append((_("Multiplier"), times(meter.multiplier_milli)))
        description_list(shown, least_width=135)
        if last is not None:
            _explain(context, last)


def _explain(context: ReadingContext, last: Reading) -> None:
    expected = _expected(context, today())
    days = (today() - last.read_on).days
    if expected is None:
        st.caption(_("There are not yet enough reads of this meter to know its usual use."))
        return
    usual = usual_daily_use(context.history, context.meter.dials, context.meter.multiplier_milli)
    meter = context.meter
    most = consumption_wh(
        opening_wh=expected.low_wh,
        closing_wh=expected.high_wh,
        dials=meter.dials,
        multiplier_milli=meter.multiplier_milli,
    )
    if usual is None:
        why = _("what is expected of the first reading of such a meter")
    else:
        why = _("the most that its past and other meters let expect")
    st.caption(
        _(
            "Up to {kwh} in {counted} is {why}. Anything else can be submitted too; the "
            "office looks at it first.",
            kwh=kwh(most // 1000 * 1000),
            counted=count(days, "day"),
            why=why,
        )
    )


def _expected(context: ReadingContext, on: date) -> ExpectedRange | None:
    return expected_on(context, book=services().assessor.limit_book(), on=on)
