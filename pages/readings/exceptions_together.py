"""Several flagged readings of one cause decided together, each in a transaction of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.readings.exception_queue import at_stake, chosen_cause, start_over
from pages.readings.exception_words import REASONS
from pages.shared.components import doubts_of
from pages.shared.format import count, day, escaped, kwh, money
from pages.shared.session import now, services
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.languages.sentence import N_, NN_
from services.readings.exceptions import (
    MOST_AT_ONCE,
    Decided,
    Together,
    TogetherPreview,
    TooManyAtOnce,
)
from services.records.readings import Reading
from services.records.submissions import FlaggedReading, FlaggedReadings

_ACCEPT_ALL: Final = N_("Accept all")
_DECISIONS: Final[dict[str, Together]] = {
    _ACCEPT_ALL: "accept",
    N_("Ask for new reads"): "read_again",
    N_("Reject all"): "reject",
}
_DO_IT: Final[dict[Together, tuple[str, str]]] = {
    "accept": NN_("Accept {count} reading", "Accept {count} readings"),
    "read_again": NN_("Ask for {count} new read", "Ask for {count} new reads"),
    "reject": NN_("Reject {count} reading", "Reject {count} readings"),
}
_SET_ASIDE: Final[dict[Together, tuple[str, str]]] = {
    "read_again": NN_(
        "{count} reading is set aside and nothing is billed. Its meter is on the round again.",
        "{count} readings are set aside and nothing is billed. Their meters are on the round "
        "again.",
    ),
    "reject": NN_(
        "{count} reading is set aside and nothing is billed.",
        "{count} readings are set aside and nothing is billed.",
    ),
}
_DONE: Final[dict[Together, tuple[str, str]]] = {
    "accept": NN_("{count} reading accepted", "{count} readings accepted"),
    "read_again": NN_("{count} reading asked for again", "{count} readings asked for again"),
    "reject": NN_("{count} reading rejected", "{count} readings rejected"),
}
_NOT_DONE: Final[dict[Together, str]] = {
    "accept": N_("{meter} was not accepted: {problem}"),
    "read_again": N_("{meter} was not asked for again: {problem}"),
    "reject": N_("{meter} was not rejected: {problem}"),
}
_TICKED: Final = N_("Decide")
_COLUMNS: Final = (
    _TICKED,
    N_("Meter"),
    N_("Customer"),
    N_("Reading"),
    N_("Read on"),
    N_("At stake"),
    N_("Why"),
)
_PREVIEW: Final = "together-preview"
_RESULTS: Final = "together-results"
_ROUND: Final = "together-round"


@dataclass(frozen=True, slots=True)
class _Batch:
    """The readings that are ticked, and what is to become of them."""

    decision: Together
    readings: tuple[Reading, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Of its readings."""
        return frozenset(reading.id for reading in self.readings)


def show_together(found: FlaggedReadings, principal: Principal) -> None:
    """The readings of a cause, one reason, and what it would bill."""
    if chosen_cause() is None:
        st.info(
            _("Choose a cause above to decide on its readings together."), icon=":material/rule:"
        )
        return
    if found.total > len(found.items):
        st.caption(
            _(
                "The {shown} of {total} with the most at stake; then the next.",
                shown=MOST_AT_ONCE,
                total=found.total,
            )
        )
    readings = _ticked(found.items)
    decision = st.segmented_control(
        _("Decision"),
        list(_DECISIONS),
        format_func=_,
        default=_ACCEPT_ALL,
        required=True,
        key="together-decision",
    )
    batch = _Batch(_DECISIONS[decision or _ACCEPT_ALL], tuple(readings))
    reason = st.text_input(
        _("One reason for all"),
        key=f"together-reason-{st.session_state.get(_ROUND, 0)}",
        placeholder=_("Such as: {reason}", reason=_(REASONS[batch.decision][-1])),
    )
    listed = frozenset(item.reading.id for item in found.items)
    _ask(batch, listed, reason, principal)


def _ticked(items: Sequence[FlaggedReading]) -> list[Reading]:
    """The readings in a table, all ticked at first; those that still are."""
    rows = [dict(zip(_COLUMNS, _cells(item), strict=True)) for item in items]
    edited: list[dict[str, Any]] = st.data_editor(
        rows,
        hide_index=True,
        disabled=_COLUMNS[1:],
        column_config={name: _(name) for name in _COLUMNS},
        # Ticks are kept by their row: other rows are another table.
        key=f"together-rows-{hash(tuple(item.reading.id for item in items))}",
    )
    return [item.reading for item, row in zip(items, edited, strict=True) if row[_TICKED]]


def _cells(item: FlaggedReading) -> tuple[object, ...]:
    reading = item.reading
    return (
        True,
        reading.meter_serial,
        reading.supplied,
        kwh(reading.register_wh),
        day(reading.read_on),
        at_stake(item),
        " ".join(doubts_of(reading.validation)[:1]),
    )


def _ask(batch: _Batch, listed: frozenset[str], reason: str, principal: Principal) -> None:
    """First what it comes to, then doing it, also where somebody decided on some meanwhile."""
    if st.button(_("Show what it comes to"), icon=":material/receipt_long:", width="content"):
        try:
            seen = _preview(batch, principal)
        except TooManyAtOnce as error:
            st.error(escaped(say(error)), icon=":material/edit:")
            return
        st.session_state[_PREVIEW] = (batch, seen)
    kept: tuple[_Batch, TogetherPreview | None] | None = st.session_state.get(_PREVIEW)
    if kept is None or (kept[0].decision, kept[0].ids & listed) != (batch.decision, batch.ids):
        return
    batch, seen = kept
    _show_preview(batch, seen)
    label = ngettext(*_DO_IT[batch.decision], len(batch.readings))
    if st.button(label, type="primary", icon=":material/done_all:"):
        _decide(batch, reason, principal)


def _preview(batch: _Batch, principal: Principal) -> TogetherPreview | None:
    if batch.decision != "accept":
        return None
    number = len(batch.readings)
    with st.spinner(ngettext("Pricing {count} reading …", "Pricing {count} readings …", number)):
        return services().reading_exceptions.preview_together(
            readings=batch.readings, principal=principal, now=now()
        )


def _show_preview(batch: _Batch, seen: TogetherPreview | None) -> None:
    number = len(batch.readings)
    if seen is None:
        said = ngettext(*_SET_ASIDE[batch.decision], number)
        st.info(said, icon=":material/receipt_long:")
        return
    said = f"{count(number, 'reading')}: {count(seen.bills, 'bill')}"
    if totals := _in_all(seen.totals_minor):
        said = _("{said}, **{totals}** in all.", said=said, totals=totals)
    else:
        said += "."
    st.info(said, icon=":material/receipt_long:")
    for reading, problem in seen.refused:
        st.warning(
            f"{escaped(reading.meter_serial)}: {escaped(say(problem))}", icon=":material/block:"
        )


def _decide(batch: _Batch, reason: str, principal: Principal) -> None:
    results: list[Decided] = []
    try:
        deciding = services().reading_exceptions.decide_together(
            decision=batch.decision,
            reading_ids=[reading.id for reading in batch.readings],
            reason=reason,
            principal=principal,
            now=now(),
        )
    except (ReasonMissing, TooManyAtOnce) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    progress = st.progress(0.0, "Deciding …")
    for result in deciding:
        results.append(result)
        # What is done by now is shown also where the rest fails.
        st.session_state[_RESULTS] = (batch.decision, results)
        progress.progress(
            len(results) / len(batch.readings),
            ngettext("{count} decided", "{count} decided", len(results)),
        )
    st.session_state.pop(_PREVIEW, None)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    start_over()
    st.rerun()


def show_results() -> None:
    """What became of the last batch, once."""
    kept: tuple[Together, list[Decided]] | None = st.session_state.pop(_RESULTS, None)
    if kept is None:
        return
    decision, results = kept
    done = [one for one in results if not one.problem]
    said = ngettext(*_DONE[decision], len(done))
    billed: dict[str, int] = {}
    for one in done:
        if one.billed_minor is not None:
            billed[one.currency] = billed.get(one.currency, 0) + one.billed_minor
    if billed:
        said = _("{said}, {totals} billed", said=said, totals=_in_all(billed))
    if done:
        st.success(f"{said}.", icon=":material/done_all:")
    for one in results:
        if one.problem:
            st.warning(
                _(
                    _NOT_DONE[decision],
                    meter=escaped(one.reading.meter_serial),
                    problem=escaped(say(one.problem)),
                ),
                icon=":material/block:",
            )


def _in_all(totals_minor: Mapping[str, int]) -> str:
    """Amounts of several currencies, one after the other."""
    said = [escaped(money(of, currency)) for currency, of in totals_minor.items()]
    return reduce(lambda one, other: _("{one} and {other}", one=one, other=other), said or [""])
