"""A flagged reading as whoever decides sees it: where, who, what speaks against it, and its use."""

import streamlit as st

from pages.languages.words import _, pgettext, say
from pages.readings.exception_outlooks import outlooks_of
from pages.registry import METER
from pages.shared.ai_cards import show_ai_on_reading
from pages.shared.charts import daily_use
from pages.shared.components import description_list, doubts_of
from pages.shared.format import apart, day, escaped, how_read, kwh, moment
from pages.shared.permitted import page_link
from pages.shared.photos import show_reading_photos
from pages.shared.registers import registers_shown
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.metering.outcomes import EXPLANATIONS
from services.records.readings import Reading
from services.records.submissions import ReadingContext

_BARS = 13


def show_exception(reading: Reading, context: ReadingContext, principal: Principal) -> None:
    """The reading with its facts, the rules in words, what AI thinks, and its use in a chart."""
    with st.container(border=True):
        st.subheader(f"{kwh(reading.register_wh)} · {escaped(reading.meter_serial)}", anchor=False)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            at = escaped(reading.address or "")
            st.caption(f"**{escaped(reading.supplied)}** · {at}", width="content")
            page_link(
                METER,
                label=_("Meter"),
                icon=":material/speed:",
                query_params={"id": reading.meter_id},
            )
        _show_facts(reading, context)
        _show_doubts(reading)
        if swapped := outlooks_of(reading, context, principal).swapped:
            st.info(escaped(say(swapped)), icon=":material/swap_horiz:")
        show_ai_on_reading(reading, principal)
        show_reading_photos(reading.id, principal)
    _show_use(reading, context)


def is_below_last(reading: Reading) -> bool:
    """Whether the reading was flagged as lower than the one before it."""
    rules = reading.validation.get("rules", [])
    return any(r["rule"] == "below_last_read" and r["outcome"] == "review" for r in rules)


def _show_facts(reading: Reading, context: ReadingContext) -> None:
    last = context.last_read
    description_list(
        [
            (pgettext("when", "Read"), moment(reading.read_at, zone())),
            (_("By"), f"{apart(called(reading.submitted_by))} ({how_read(reading)})"),
            (_("Last read"), f"{kwh(last.register_wh)}, {day(last.read_on)}" if last else ""),
            *registers_shown(reading.registers),
        ],
        least_width=130,
    )


def _show_doubts(reading: Reading) -> None:
    """What asks for a review first, then what may explain it."""
    rules = reading.validation.get("rules", [])
    explains = {say(rule["message"]) for rule in rules if rule["rule"] in EXPLANATIONS}
    for doubt in doubts_of(reading.validation):
        if doubt not in explains:
            st.warning(escaped(doubt), icon=":material/flag:")
    for explanation in doubts_of(reading.validation):
        if explanation in explains:
            st.info(escaped(explanation), icon=":material/lightbulb:")


def _show_use(reading: Reading, context: ReadingContext) -> None:
    with st.container(border=True):
        st.markdown(_("**Daily use between reads**"))
        daily_use(
            context.history[-_BARS:],
            # Below the last read, nobody knows the use: a rollover's would dwarf every real bar.
            None if is_below_last(reading) else reading.point,
            context.meter,
            expected_daily_wh=services().decision_outlooks.expected_daily_wh(
                context=context, reading=reading
            ),
        )
