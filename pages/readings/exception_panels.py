"""What each decision on a flagged reading asks for: a value where one is needed, and the reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.readings.exception_outlooks import billed
from pages.readings.exception_words import REASONS, Mode
from pages.shared.form_ids import form_id
from pages.shared.format import escaped, kwh
from pages.shared.number_field import focus_field, number_field
from pages.shared.registers import ask_registers
from pages.shared.session import now, services, today
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.quantities.energy import format_kwh
from services.readings.exceptions import request_id_for
from services.readings.outlooks import Outlook, Outlooks
from services.records.readings import Meter, Reading
from services.records.submissions import StoredReading

_RIGHT_VALUE: Final = N_("Right reading (kWh)")
_ROLLED_OVER: Final = N_("The register rolled over")
_ROLLED_OVER_HELP: Final = N_(
    "It passed its last digit and began again at 0. Without this, a register that fell by less "
    "than half of what it can show is not billed."
)
_WHAT_IT_DOES: Final[Mapping[Mode, str]] = Said(
    {
        "accept": N_("The meter really shows this value."),
        "correct": N_("The meter shows another value. The flagged one is kept as evidence."),
        "estimate": N_(
            "An estimate takes its place; the next actual reading settles the difference."
        ),
        "read_again": N_(
            "It is set aside, nothing is billed, and the meter is on the round again."
        ),
        "reject": N_("It is set aside for good and nothing is billed."),
    }
)
_SEND: Final[Mapping[Mode, str]] = Said(
    {
        "accept": N_("Accept the reading"),
        "correct": N_("Correct and bill"),
        "estimate": N_("Store the estimate"),
        "read_again": N_("Ask for a new read"),
        "reject": N_("Reject the reading"),
    }
)


@dataclass(frozen=True, slots=True)
class Panel:
    """A flagged reading with what decisions on it would bill.

    `store` takes a decision once its reason is chosen, and what it does in words.
    """

    reading: Reading
    meter: Meter
    principal: Principal
    outlooks: Outlooks
    store: Callable[[Callable[[], StoredReading], str], None]

    def ask(self, mode: Mode, *, focus: bool) -> None:
        """The fields and reasons of a decision; `focus` puts the cursor into the first field."""
        st.markdown(_WHAT_IT_DOES[mode])
        if mode == "accept":
            self._ask_accept()
        elif mode == "correct":
            self._ask_correct(focus=focus)
        elif mode == "estimate":
            self._ask_estimate()
        elif reason := self._reason(mode):
            self._set_aside(mode, reason)

    def _ask_accept(self) -> None:
        outlook, rolled_over = self._rolled_over(self.outlooks.accept, None, None)
        if not _possible(outlook):
            return
        if reason := self._reason("accept"):
            self.store(
                lambda: services().reading_review.accept(
                    reading_id=self.reading.id,
                    reason=reason,
                    rolled_over=rolled_over,
                    principal=self.principal,
                    now=now(),
                ),
                _("accepted at {kwh}", kwh=kwh(self.reading.register_wh)),
            )

    def _ask_correct(self, *, focus: bool) -> None:
        registers = self.meter.registers
        # With several registers, mostly one of them is wrong: the others need not be typed again.
        value = number_field(
            _(_RIGHT_VALUE),
            key=self._key("right"),
            value=format_kwh(self.reading.register_wh) if registers else "",
        )
        if focus:
            focus_field(_(_RIGHT_VALUE))
        stored = {name: format_kwh(shown) for name, shown in self.reading.registers.items()}
        typed = ask_registers(registers, stored, key=self.reading.id)
        if not value:
            st.caption(_("Enter or Tab shows what it bills."))
            return
        first = self._if_shown(value, typed)
        outlook, rolled_over = self._rolled_over(first, value, typed)
        if not _possible(outlook):
            return
        st.info(billed(outlook), icon=":material/receipt_long:")
        if reason := self._reason("correct"):
            self.store(
                lambda: services().reading_review.correct(
                    reading_id=self.reading.id,
                    reading_kwh=value,
                    registers=typed or None,
                    rolled_over=rolled_over,
                    reason=reason,
                    principal=self.principal,
                    now=now(),
                ),
                _("corrected to {kwh}", kwh=kwh(outlook.register_wh)),
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
            _(_ROLLED_OVER), help=_(_ROLLED_OVER_HELP), key=self._key(f"rolled-over-{value}")
        )
        return (
            (self._if_shown(value, registers, rolled_over=True), True) if said else (outlook, False)
        )

    def _ask_estimate(self) -> None:
        if not _possible(self.outlooks.estimate):
            return
        st.caption(escaped(say(self.outlooks.estimated_by)))
        if reason := self._reason("estimate"):
            self.store(
                lambda: services().reading_estimates.store_in_place(
                    estimate_id=form_id(self._key("estimate")),
                    reading_id=self.reading.id,
                    register_wh=self.outlooks.estimate.register_wh,
                    reason=reason,
                    principal=self.principal,
                    now=now(),
                ),
                _("estimated at {kwh}", kwh=kwh(self.outlooks.estimate.register_wh)),
            )

    def _set_aside(self, mode: Mode, reason: str) -> None:
        review = services().reading_review
        if mode == "reject":
            self.store(
                lambda: review.reject(
                    reading_id=self.reading.id, reason=reason, principal=self.principal
                ),
                _("rejected"),
            )
            return
        self.store(
            lambda: review.read_again(
                reading_id=self.reading.id,
                request_id=request_id_for(self.reading.id),
                requested_on=today(),
                reason=reason,
                principal=self.principal,
            ),
            _("set aside; the meter is on the round again"),
        )

    def _reason(self, mode: Mode) -> str | None:
        """The reason, once one is chosen or written: that is the decision."""
        chosen = None
        with st.container(gap="xsmall"):
            for number, reason in enumerate(REASONS[mode], start=1):
                if st.button(
                    _(reason),
                    key=self._key(f"{mode}-because-{number}"),
                    shortcut=str(number),
                    width="stretch",
                ):
                    chosen = reason
        with st.form(self._key(f"{mode}-own"), border=False):
            own = st.text_input(
                _("Another reason"),
                key=self._key(f"{mode}-reason"),
                placeholder=_("In your own words"),
            )
            if st.form_submit_button(_SEND[mode], type="primary", width="stretch"):
                chosen = own
        return chosen if chosen is None else (chosen or " ")

    def _key(self, name: str) -> str:
        return f"{name}-{self.reading.id}"


def _possible(outlook: Outlook) -> bool:
    if outlook.refused:
        st.error(escaped(say(outlook.remark)), icon=":material/block:")
    return not outlook.refused
