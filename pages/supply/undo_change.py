"""Taking back the last change at a place, which did not happen."""

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped
from pages.shared.session import may, services
from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.supply import Place, SupplyChange

_DOES = {
    "connect": N_(
        "The agreement and the meter are taken away; the account and the place stay. A deposit "
        "that was taken stays on the account: pay it out there."
    ),
    "move_in": N_(
        "The agreement is taken away as if it had never been; the place is vacant. A deposit that "
        "was taken stays on the account: pay it out there."
    ),
    "exchange": N_(
        "The meter that was there before is back; the new one was never there. The last reading of "
        "the old one stays: if it is wrong, take it away on the page of the meter."
    ),
    "multiplier": N_("The meter counts with the multiplier that it had before."),
    "tariff": N_("The agreement is on the tariff that it had before."),
}


def last_undoable(place: Place) -> SupplyChange | None:
    """The last change of a place that was not taken back, if it can be."""
    last = place.last_change
    return last if last is not None and last.kind in _DOES else None


def offer_undo(change: SupplyChange, principal: Principal) -> None:
    """What taking it back does, the reason, and the button that does it."""
    if not may(Permission.CHANGE_SUPPLY):
        return
    name = f"undo-{change.id}"
    form = form_id(name)
    with st.popover(_("It did not happen"), icon=":material/undo:"):
        st.markdown(
            _(_DOES[change.kind])
            + " "
            + _(
                "This can be done while nothing is billed beyond {day}.",
                day=change.effective_on,
            )
        )
        reason = st.text_input(
            _("Why"), key=f"why-{form}", placeholder=_("Entered for another place")
        )
        if not st.button(_("Undo it"), type="primary", key=f"undo-{form}"):
            return
        try:
            services().supply.undo(change.id, undo_id=form, reason=reason, principal=principal)
        except (IllegalChange, NotFound, ReasonMissing) as error:
            st.error(escaped(say(error)), icon=":material/edit:")
            return
    form_done(name, _("It is undone."))
    st.rerun()
