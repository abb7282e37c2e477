"""Several flagged readings of one cause decided together, each in a transaction of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from pages.readings.exception_queue import at_stake, chosen_cause, start_over
from pages.readings.exception_words import REASONS
from pages.shared.components import doubts_of
from pages.shared.format import count, day, escaped, kwh, money
from pages.shared.session import now, services
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.readings.exceptions import (
    MOST_AT_ONCE,
    Decided,
    Together,
    TogetherPreview,
    TooManyAtOnce,
)
from services.records.readings import Reading
from services.records.submissions import FlaggedReading, FlaggedReadings

_DECISIONS: Final[dict[str, Together]] = {
    "Accept all": "accept",
    "Ask for new reads": "read_again",
    "Reject all": "reject",
}
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
        st.info("Choose a cause above to decide on its readings together.", icon=":material/rule:")
        return
    if found.total > len(found.items):
        st.caption(f"The {MOST_AT_ONCE} of {found.total:,} with the most at stake; then the next.")
    readings = _ticked(found.items)
    decision = st.segmented_control(
        "Decision",
        list(_DECISIONS),
        default="Accept all",
        required=True,
        key="together-decision",
    )
    batch = _Batch(_DECISIONS[decision or "Accept all"], tuple(readings))
    reason = st.text_input(
        "One reason for all",
        key=f"together-reason-{st.session_state.get(_ROUND, 0)}",
        placeholder=f"Such as: {REASONS[batch.decision][-1]}",
    )
    listed = frozenset(item.reading.id for item in found.items)
    _ask(batch, listed, reason, principal)


def _ticked(items: Sequence[FlaggedReading]) -> list[Reading]:
    """The readings in a table, all ticked at first; those that still are."""
    rows = [
        {
            "Decide": True,
            "Meter": item.reading.meter_serial,
            "Customer": item.reading.supplied,
            "Reading": kwh(item.reading.register_wh),
            "Read on": day(item.reading.read_on),
            "At stake": at_stake(item),
            "Why": " ".join(doubts_of(item.reading.validation)[:1]),
        }
        for item in items
    ]
    edited: list[dict[str, Any]] = st.data_editor(
        rows,
        hide_index=True,
        disabled=["Meter", "Customer", "Reading", "Read on", "At stake", "Why"],
        # Ticks are kept by their row: other rows are another table.
        key=f"together-rows-{hash(tuple(item.reading.id for item in items))}",
    )
    return [item.reading for item, row in zip(items, edited, strict=True) if row["Decide"]]


def _ask(batch: _Batch, listed: frozenset[str], reason: str, principal: Principal) -> None:
    """First what it comes to, then doing it, also where somebody decided on some meanwhile."""
    if st.button("Show what it comes to", icon=":material/receipt_long:", width="content"):
        try:
            seen = _preview(batch, principal)
        except TooManyAtOnce as error:
            st.error(escaped(error), icon=":material/edit:")
            return
        st.session_state[_PREVIEW] = (batch, seen)
    kept: tuple[_Batch, TogetherPreview | None] | None = st.session_state.get(_PREVIEW)
    if kept is None or (kept[0].decision, kept[0].ids & listed) != (batch.decision, batch.ids):
        return
    batch, seen = kept
    number = count(len(batch.readings), "reading")
    _show_preview(batch, seen)
    label = {
        "accept": f"Accept {number}",
        "read_again": f"Ask for {len(batch.readings):,} new reads",
        "reject": f"Reject {number}",
    }[batch.decision]
    if st.button(label, type="primary", icon=":material/done_all:"):
        _decide(batch, reason, principal)


def _preview(batch: _Batch, principal: Principal) -> TogetherPreview | None:
    if batch.decision != "accept":
        return None
    with st.spinner(f"Pricing {count(len(batch.readings), 'reading')} …"):
        return services().reading_exceptions.preview_together(
            readings=batch.readings, principal=principal, now=now()
        )


def _show_preview(batch: _Batch, seen: TogetherPreview | None) -> None:
    number = count(len(batch.readings), "reading")
    if seen is None:
        said = f"{number} are set aside and nothing is billed."
        if batch.decision == "read_again":
            said += " Their meters are on the round again."
        st.info(said, icon=":material/receipt_long:")
        return
    totals = " and ".join(escaped(money(of, name)) for name, of in seen.totals_minor.items())
    said = f"{number}: {count(seen.bills, 'bill')}"
    st.info(
        f"{said}, **{totals}** in all." if totals else f"{said}.", icon=":material/receipt_long:"
    )
    for reading, problem in seen.refused:
        st.warning(f"{escaped(reading.meter_serial)}: {escaped(problem)}", icon=":material/block:")


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
        st.error(escaped(error), icon=":material/edit:")
        return
    progress = st.progress(0.0, "Deciding …")
    for result in deciding:
        results.append(result)
        # What is done by now is shown also where the rest fails.
        st.session_state[_RESULTS] = (batch.decision, results)
        progress.progress(len(results) / len(batch.readings), f"{len(results):,} decided")
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
    verb = {"accept": "accepted", "read_again": "asked for again", "reject": "rejected"}[decision]
    said = f"{count(len(done), 'reading')} {verb}"
    billed: dict[str, int] = {}
    for one in done:
        if one.billed_minor is not None:
            billed[one.currency] = billed.get(one.currency, 0) + one.billed_minor
    if billed:
        said += ", " + " and ".join(escaped(money(of, name)) for name, of in billed.items())
        said += " billed"
    if done:
        st.success(f"{said}.", icon=":material/done_all:")
    for one in results:
        if one.problem:
            st.warning(
                f"{escaped(one.reading.meter_serial)} was not {verb}: {escaped(one.problem)}",
                icon=":material/block:",
            )
