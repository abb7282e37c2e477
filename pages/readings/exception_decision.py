"""The decision on a flagged reading, by tap or by keyboard: one key chooses it, one the reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.readings.exception_words import REASONS, Mode
from pages.shared.form_ids import form_id
from pages.shared.format import escaped, kwh, money
from pages.shared.number_field import focus_field, number_field
from pages.shared.registers import ask_registers
from pages.shared.session import now, services, today
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.quantities.energy import format_kwh
from services.readings.exceptions import request_id_for
from services.readings.outlooks import REFUSALS, Outlook, Outlooks, Proposal
from services.records.readings import Meter, Reading
from services.records.submissions import StoredReading

# Streamlit keeps C and R for itself.
_ACTIONS: Final[tuple[tuple[Mode, str, str, str], ...]] = (
    ("accept", "Accept", "A", "check"),
    ("correct", "Right value", "V", "edit"),
    ("estimate", "Estimate", "E", "calculate"),
    ("read_again", "New read", "N", "directions_walk"),
    ("reject", "Reject", "X", "block"),
)
_RIGHT_VALUE: Final = "Right reading (kWh)"
_ROLLED_OVER: Final = "The register rolled over"
_ROLLED_OVER_HELP: Final = (
    "It passed its last digit and began again at 0. Without this, a register that fell by less "
    "than half of what it can show is not billed."
)
_WHAT_IT_DOES: Final[Mapping[Mode, str]] = {
    "accept": "The meter really shows this value.",
    "correct": "The meter shows another value. The flagged one is kept as evidence.",
    "estimate": "An estimate takes its place; the next actual reading settles the difference.",
    "read_again": "It is set aside, nothing is billed, and the meter is on the round again.",
    "reject": "It is set aside for good and nothing is billed.",
}
_OUTLOOKS: Final = "exception-outlooks"
_SAID: Final = "exception-said"


@dataclass(frozen=True, slots=True)
class Decision:
    """A flagged reading that somebody decides on; `done` takes what was done, in a sentence.

    `skip` is None where there is no next reading to go to.
    """

    reading: Reading
    meter: Meter
    principal: Principal
    done: Callable[[str], None]
    skip: Callable[[], None] | None = None

    def ask(self) -> None:
        """What each decision would bill, the decisions, and what the chosen one needs."""
        outlooks = self._outlooks()
        _show_outlooks(self.reading, outlooks)
        self._offer_proposals(outlooks)
        self._offer_actions()
        mode = st.session_state.get(self._key("mode"))
        if mode is not None:
            self._ask(mode, outlooks)

    def _key(self, name: str) -> str:
        return f"{name}-{self.reading.id}"

    def _outlooks(self) -> Outlooks:
        """They cost some prices each: those of the reading on the page are kept."""
        kept: tuple[str, Outlooks] | None = st.session_state.get(_OUTLOOKS)
        if kept is None or kept[0] != self.reading.id:
            found = services().decision_outlooks.of(
                reading=self.reading, principal=self.principal, now=now()
            )
            kept = (self.reading.id, found)
            st.session_state[_OUTLOOKS] = kept
        return kept[1]

    def _offer_proposals(self, outlooks: Outlooks) -> None:
        for number, (proposal, outlook) in enumerate(outlooks.proposals):
            if st.button(
                f"Use {kwh(proposal.register_wh)}",
                icon=":material/lightbulb:",
                key=self._key(f"use-{number}"),
                help=f"{proposal.reason} {billed(outlook)}",
                shortcut="U" if number == 0 else None,
                type="primary",
                width="stretch",
            ):
                self._use(proposal)

    def _offer_actions(self) -> None:
        chosen = st.session_state.get(self._key("mode"))
        with st.grid(2, min_column_width=140, gap="xsmall") as grid:
            for mode, label, shortcut, icon in _ACTIONS:
                with grid.cell():
                    st.button(
                        label,
                        icon=f":material/{icon}:",
                        key=self._key(f"choose-{mode}"),
                        shortcut=shortcut,
                        type="primary" if mode == chosen else "secondary",
                        on_click=self._choose,
                        args=(mode,),
                        width="stretch",
                    )
            if self.skip is not None:
                with grid.cell():
                    st.button(
                        "Skip",
                        icon=":material/skip_next:",
                        key=self._key("skip"),
                        shortcut="S",
                        on_click=self.skip,
                        width="stretch",
                    )

    def _choose(self, mode: Mode) -> None:
        st.session_state[self._key("mode")] = mode
        if mode == "correct":
            st.session_state[self._key("focus")] = True

    def _ask(self, mode: Mode, outlooks: Outlooks) -> None:
        st.markdown(_WHAT_IT_DOES[mode])
        if mode == "accept":
            self._ask_accept(outlooks)
        elif mode == "correct":
            self._ask_correct()
        elif mode == "estimate":
            self._ask_estimate(outlooks)
        elif reason := self._reason(mode):
            self._set_aside(mode, reason)

    def _ask_accept(self, outlooks: Outlooks) -> None:
        outlook, rolled_over = self._rolled_over(outlooks.accept, None, None)
        if not _possible(outlook):
            return
        if reason := self._reason("accept"):
            self._store(
                lambda: services().reading_review.accept(
                    reading_id=self.reading.id,
                    reason=reason,
                    rolled_over=rolled_over,
                    principal=self.principal,
                    now=now(),
                ),
                f"accepted at {kwh(self.reading.register_wh)}",
            )

    def _ask_correct(self) -> None:
        registers = self.meter.registers
        # With several registers, mostly one of them is wrong: the others need not be typed again.
        value = number_field(
            _RIGHT_VALUE,
            key=self._key("right"),
            value=format_kwh(self.reading.register_wh) if registers else "",
        )
        if st.session_state.pop(self._key("focus"), False):
            focus_field(_RIGHT_VALUE)
        stored = {name: format_kwh(shown) for name, shown in self.reading.registers.items()}
        typed = ask_registers(registers, stored, key=self.reading.id)
        if not value:
            st.caption("Enter or Tab shows what it bills.")
            return
        first = self._if_shown(value, typed)
        outlook, rolled_over = self._rolled_over(first, value, typed)
        if not _possible(outlook):
            return
        st.info(billed(outlook), icon=":material/receipt_long:")
        if reason := self._reason("correct"):
            self._store(
                lambda: services().reading_review.correct(
                    reading_id=self.reading.id,
                    reading_kwh=value,
                    registers=typed or None,
                    rolled_over=rolled_over,
                    reason=reason,
                    principal=self.principal,
                    now=now(),
                ),
                f"corrected to {kwh(outlook.register_wh)}",
            )

    def _if_shown(
        self,
        value: str | None,
        registers: Mapping[str, str] | None,
        *,
        rolled_over: bool = False,
    ) -> Outlook:
        return services().decision_outlooks.if_shown(
            reading=self.reading,
            reading_kwh=value,
            registers=registers or None,
            rolled_over=rolled_over,
            principal=self.principal,
            now=now(),
        )

    def _rolled_over(
        self, outlook: Outlook, value: str | None, registers: Mapping[str, str] | None
    ) -> tuple[Outlook, bool]:
        """Of a register that fell, ask whether it rolled over, and look again if it did."""
        if not outlook.fell:
            return outlook, False
        said = st.checkbox(
            _ROLLED_OVER, help=_ROLLED_OVER_HELP, key=self._key(f"rolled-over-{value}")
        )
        return (
            (self._if_shown(value, registers, rolled_over=True), True) if said else (outlook, False)
        )

    def _ask_estimate(self, outlooks: Outlooks) -> None:
        if not _possible(outlooks.estimate):
            return
        st.caption(escaped(outlooks.estimated_by))
        if reason := self._reason("estimate"):
            self._store(
                lambda: services().reading_estimates.store_in_place(
                    estimate_id=form_id(self._key("estimate")),
                    reading_id=self.reading.id,
                    register_wh=outlooks.estimate.register_wh,
                    reason=reason,
                    principal=self.principal,
                    now=now(),
                ),
                f"estimated at {kwh(outlooks.estimate.register_wh)}",
            )

    def _use(self, proposal: Proposal) -> None:
        self._store(
            lambda: services().reading_review.correct(
                reading_id=self.reading.id,
                reading_kwh=format_kwh(proposal.register_wh),
                reason=proposal.reason,
                principal=self.principal,
                now=now(),
            ),
            f"corrected to {kwh(proposal.register_wh)}",
        )

    def _set_aside(self, mode: Mode, reason: str) -> None:
        review = services().reading_review
        if mode == "reject":
            self._store(
                lambda: review.reject(
                    reading_id=self.reading.id, reason=reason, principal=self.principal
                ),
                "rejected",
            )
            return
        self._store(
            lambda: review.read_again(
                reading_id=self.reading.id,
                request_id=request_id_for(self.reading.id),
                requested_on=today(),
                reason=reason,
                principal=self.principal,
            ),
            "set aside; the meter is on the round again",
        )

    def _reason(self, mode: Mode) -> str | None:
        """The reason, once one is chosen or written: that is the decision."""
        chosen = None
        with st.container(gap="xsmall"):
            for number, reason in enumerate(REASONS[mode], start=1):
                if st.button(
                    reason,
                    key=self._key(f"{mode}-because-{number}"),
                    shortcut=str(number),
                    width="stretch",
                ):
                    chosen = reason
        with st.form(self._key(f"{mode}-own"), border=False):
            own = st.text_input(
                "Another reason", key=self._key(f"{mode}-reason"), placeholder="In your own words"
            )
            if st.form_submit_button(_SEND[mode], type="primary", width="stretch"):
                chosen = own
        return chosen if chosen is None else (chosen or " ")

    def _store(self, decide: Callable[[], StoredReading], said: str) -> None:
        try:
            stored = decide()
        except IllegalChange as error:
            st.warning(f"{escaped(error)} Your decision was not needed and changed nothing.")
            st.button("Go on", icon=":material/refresh:", key=self._key("go-on"))
        except REFUSALS as error:
            st.session_state.pop(_OUTLOOKS, None)
            st.error(escaped(error), icon=":material/edit:")
        else:
            st.session_state.pop(_OUTLOOKS, None)
            self.done(f"{self.reading.meter_serial}: {said}{_bills_of(stored)}.")


_SEND: Final[Mapping[Mode, str]] = {
    "accept": "Accept the reading",
    "correct": "Correct and bill",
    "estimate": "Store the estimate",
    "read_again": "Ask for a new read",
    "reject": "Reject the reading",
}


def say_next(said: str) -> None:
    """Have the next run of the page say what was done: of a run that ends at once nothing shows."""
    st.session_state[_SAID] = said


def show_said() -> None:
    """Say what was done, once."""
    if said := st.session_state.pop(_SAID, None):
        st.toast(escaped(said), icon=":material/check_circle:", duration="long")


def billed(outlook: Outlook) -> str:
    """What a decision would bill, in a sentence."""
    if outlook.total_minor is None:
        return escaped(outlook.remark or "It would not be billed now.")
    total = escaped(money(outlook.total_minor, outlook.currency))
    return f"Bills **{total}** for {kwh(outlook.used_wh)}. {escaped(outlook.remark)}".strip()


def _possible(outlook: Outlook) -> bool:
    if outlook.refused:
        st.error(escaped(outlook.remark), icon=":material/block:")
    return not outlook.refused


def _show_outlooks(reading: Reading, outlooks: Outlooks) -> None:
    """A line for each decision with what it would bill, to compare them by."""
    rows = ["| | Shows | Bills |", "|:---|---:|---:|"]
    rows.append(_row("Accept", reading.register_wh, outlooks.accept))
    for proposal, outlook in outlooks.proposals:
        rows.append(_row("Proposal", proposal.register_wh, outlook))
    if not outlooks.estimate.refused:
        rows.append(_row("Estimate", outlooks.estimate.register_wh, outlooks.estimate))
    st.markdown("\n".join(rows), width="stretch")


def _row(name: str, register_wh: int, outlook: Outlook) -> str:
    if outlook.refused:
        bills = "cannot be billed"
    elif outlook.total_minor is None:
        bills = "not now"
    else:
        bills = f"**{escaped(money(outlook.total_minor, outlook.currency))}**"
    return f"| {name} | {kwh(register_wh)} | {bills} |"


def _bills_of(stored: StoredReading) -> str:
    if stored.bill is None:
        return ""
    total = sum(bill.total_minor for bill in (*stored.earlier, stored.bill))
    return f", billed {money(total, stored.bill.currency)}"
