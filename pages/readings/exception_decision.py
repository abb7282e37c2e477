"""The decision on a flagged reading, by tap or by keyboard: one key chooses it, one the reason."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.readings.exception_outlooks import (
    billed,
    forget_outlooks,
    outlooks_of,
    show_outlooks,
)
from pages.readings.exception_panels import Panel
from pages.readings.exception_words import Mode
from pages.shared.format import escaped, kwh, money
from pages.shared.session import may, now, people_with, services
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.quantities.energy import format_kwh
from services.readings.outlooks import REFUSALS, Outlooks, Proposal
from services.records.readings import Reading
from services.records.submissions import ReadingContext, StoredReading

# Streamlit keeps C and R for itself.
_ACTIONS: Final[tuple[tuple[Mode, str, str, str], ...]] = (
    ("accept", N_("Accept"), "A", "check"),
    ("correct", N_("Right value"), "V", "edit"),
    ("estimate", N_("Estimate"), "E", "calculate"),
    ("read_again", N_("New read"), "N", "directions_walk"),
    ("reject", N_("Reject"), "X", "block"),
)
_SAID: Final = "exception-said"


@dataclass(frozen=True, slots=True)
class Decision:
    """A flagged reading that somebody decides on; `done` takes what was done, in a sentence.

    `skip` is None where there is no next reading to go to.
    """

    reading: Reading
    context: ReadingContext
    principal: Principal
    done: Callable[[str], None]
    skip: Callable[[], None] | None = None

    def ask(self) -> None:
        """What each decision would bill, the decisions, and what the chosen one needs."""
        outlooks = outlooks_of(self.reading, self.context, self.principal)
        show_outlooks(self.reading, outlooks)
        if not may(Permission.DECIDE_READINGS):
            st.caption(
                _("To be decided by {people}.", people=people_with(Permission.DECIDE_READINGS))
            )
            self._offer_skip()
            return
        self._offer_proposals(outlooks)
        self._offer_actions()
        mode = st.session_state.get(self._key("mode"))
        if mode is not None:
            panel = Panel(self.reading, self.context.meter, self.principal, outlooks, self._store)
            panel.ask(mode, focus=st.session_state.pop(self._key("focus"), False))

    def _key(self, name: str) -> str:
        return f"{name}-{self.reading.id}"

    def _offer_proposals(self, outlooks: Outlooks) -> None:
        for number, (proposal, outlook) in enumerate(outlooks.proposals):
            if st.button(
                _("Use {kwh}", kwh=kwh(proposal.register_wh)),
                icon=":material/lightbulb:",
                key=self._key(f"use-{number}"),
                help=f"{say(proposal.reason)} {billed(outlook)}",
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
                        _(label),
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
                    self._offer_skip()

    def _offer_skip(self) -> None:
        if self.skip is not None:
            st.button(
                _("Skip"),
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

    def _use(self, proposal: Proposal) -> None:
        self._store(
            lambda: services().reading_review.correct(
                reading_id=self.reading.id,
                reading_kwh=format_kwh(proposal.register_wh),
                reason=proposal.reason,
                principal=self.principal,
                now=now(),
            ),
            _("corrected to {kwh}", kwh=kwh(proposal.register_wh)),
        )

    def _store(self, decide: Callable[[], StoredReading], said: str) -> None:
        try:
            stored = decide()
        except IllegalChange as error:
            st.warning(_("{problem} Nothing was changed.", problem=escaped(say(error))))
            st.button(_("Go on"), icon=":material/refresh:", key=self._key("go-on"))
        except REFUSALS as error:
            forget_outlooks()
            st.error(escaped(say(error)), icon=":material/edit:")
        else:
            forget_outlooks()
            self.done(_what_was_done(self.reading.meter_serial, said, stored))


def say_next(said: str) -> None:
    """Have the next run of the page say what was done: of a run that ends at once nothing shows."""
    st.session_state[_SAID] = said


def show_said() -> None:
    """Say what was done, once."""
    if said := st.session_state.pop(_SAID, None):
        st.toast(escaped(said), icon=":material/check_circle:", duration="long")


def _what_was_done(serial: str, said: str, stored: StoredReading) -> str:
    if stored.bill is None:
        return f"{serial}: {said}."
    total = sum(bill.total_minor for bill in (*stored.earlier, stored.bill))
    return _(
        "{serial}: {said}, billed {total}.",
        serial=serial,
        said=said,
        total=money(total, stored.bill.currency),
    )
