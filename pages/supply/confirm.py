"""What a change would do, shown before it is done; then why, and doing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.approvals.asking import asks_first, label_of
from pages.corrections.correction_preview import show_bill_change
from pages.languages.words import _, ngettext, say
from pages.registry import SERVICE_POINT
from pages.shared.form_ids import form_done
from pages.shared.format import escaped, kwh, money, period
from pages.shared.history import go_on_to
from pages.shared.session import now, services
from services.approvals.asking import AwaitsApproval
from services.billing.chain_retry import MeterTooBusy
from services.corrections.affected_bills import CannotRebill
from services.corrections.rebilling import FiguresChanged, NotAcknowledged
from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.registers import WrongRegisters
from services.payments.entry_forms import InvalidEntry
from services.quantities.energy import InvalidEnergy
from services.rating import UnableToPriceBill
from services.readings.submission import InvalidReading
from services.records.bills import NewBill
from services.records.supply import SupplyChangeKind
from services.supply.approval import lowers_bills
from services.supply.changes import CannotChangeSupply, Change, Connect, Exchange, MoveIn, TypedRead
from services.supply.plan import SupplyPlan

# What was typed cannot be; the sentences are for the person who typed it.
REFUSALS = (
    *(CannotChangeSupply, CannotRebill, UnableToPriceBill, IllegalChange, NotFound),
    *(InvalidEnergy, InvalidEntry, InvalidReading, ReadingTooLong, WrongRegisters),
)


_WHAT_IT_DOES: Final[Mapping[SupplyChangeKind, str]] = {
    "move_out": N_("The agreement of {who} ends."),
    "move_in": N_("{who} is supplied from that day on."),
    "stay": N_(
        "The agreement of {who} goes on as if they had not moved out. The bill up to that day "
        "stays; a deposit that paid it was used."
    ),
    "connect": N_("{who} gets a place of supply and a meter with its first reading."),
    "exchange": N_("Meter {removed} goes and {installed} comes; the next bill runs over both."),
    "multiplier": N_("The meter counts with the other multiplier from that reading on."),
    "disconnect": N_(
        "{who} is disconnected from that day on; the agreement goes on. Charges by the day or "
        "month are billed as before, with the next reading."
    ),
    "reconnect": N_("{who} is supplied again from that day on."),
    "not_disconnected": N_("{who} is supplied as if there had been no disconnection."),
    "not_reconnected": N_("{who} is disconnected as before."),
    "tariff": N_("From that day on the tariff is {tariff}."),
}
_WITH_ACCOUNT: Final = N_(
    "{who} gets an account, a place of supply and a meter with its first reading."
)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A change that was looked at."""

    change: Change
    previewed: str


def look_at(change: Change, form: str, principal: Principal) -> None:
    """Keep a change to be shown below the form; say what is wrong with it otherwise."""
    try:
        plan = services().supply.plan(change, change_id=form, principal=principal, now=now())
    except REFUSALS as error:
        st.session_state.pop(f"shown-{form}", None)
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    st.session_state[f"shown-{form}"] = _Shown(change, plan.fingerprint)


def show_and_ask(name: str, form: str, said: str, principal: Principal) -> None:
    """What the change that is kept would do, and the button that does it."""
    shown = st.session_state.get(f"shown-{form}")
    if not isinstance(shown, _Shown):
        return
    try:
        plan = services().supply.plan(shown.change, change_id=form, principal=principal, now=now())
    except REFUSALS as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    st.subheader(_("What it does"), anchor=False)
    if said_of := _facts(shown.change):
        st.markdown(f"- {escaped(said_of)}")
    _show_plan(plan)
    with st.form(f"do-{form}", border=False):
        reason = st.text_input(
            _("Why"), key=f"why-{form}", placeholder=_("As reported by the customer")
        )
        sure = not plan.doubts or st.checkbox(_("The readings are right"), key=f"sure-{form}")
        if plan.warning:
            sure &= st.checkbox(
                _("I have seen the warning about back-billing, and do it nevertheless"),
                key=f"warned-{form}",
            )
        asks = lowers_bills(plan) and asks_first("voids")
        if st.form_submit_button(label_of(_("Do it"), asks=asks), type="primary"):
            _do(shown, form, reason=reason, sure=sure, principal=principal, name=name, said=said)


def _do(
    shown: _Shown,
    form: str,
    *,
    reason: str,
    sure: bool,
    principal: Principal,
    name: str,
    said: str,
) -> None:
    try:
        done = services().supply.execute(
            shown.change,
            previewed=shown.previewed,
            change_id=form,
            reason=reason,
            acknowledged=sure,
            principal=principal,
            now=now(),
        )
    except AwaitsApproval:
        # The place's page shows what waits.
        change = shown.change
        go_on_to(SERVICE_POINT, id="" if isinstance(change, Connect) else change.service_point_id)
    except (*REFUSALS, ReasonMissing, NotAcknowledged, MeterTooBusy) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    except FiguresChanged as error:
        st.session_state.pop(f"shown-{form}", None)
        st.error(escaped(say(error)), icon=":material/sync_problem:")
        return
    form_done(name, said)
    go_on_to(SERVICE_POINT, id=done.service_point_id)


def _show_plan(plan: SupplyPlan) -> None:
    for doubt in plan.doubts:
        st.warning(escaped(say(doubt)), icon=":material/flag:")
    if plan.warning:
        st.warning(escaped(say(plan.warning)), icon=":material/history:")
    for line in _lines(plan):
        st.markdown(f"- {line}")
    for change in plan.changes:
        show_bill_change(change, change.affected.bills[0].currency, expanded=len(plan.changes) < 3)
    for bill in plan.bills:
        _show_new(bill)


def _facts(change: Change) -> str:
    """What was typed of who is supplied how, to be read once more before it is done."""
    if isinstance(change, Connect):
        return _(
            "From {day}, on tariff {tariff}; meter {serial} begins at {read}.",
            day=change.on,
            tariff=change.tariff_code,
            serial=change.serial,
            read=_typed(change.read),
        )
    if isinstance(change, MoveIn):
        return _(
            "From {day}, on tariff {tariff}; it begins at {read}.",
            day=change.on,
            tariff=change.tariff_code,
            read=_typed(change.read),
        )
    if isinstance(change, Exchange):
        return _(
            "On {day}: the old meter's last reading is {last}, the new one, {serial}, begins at "
            "{first}.",
            day=change.on,
            last=_typed(change.last),
            serial=change.serial,
            first=_typed(change.first),
        )
    return ""


def _typed(read: TypedRead) -> str:
    return f"{read.kwh} kWh" if read.kwh else _("the reading that is stored of that day")


def _lines(plan: SupplyPlan) -> list[str]:
    details = plan.rows.get("details", {})
    who = escaped(str(details.get("customer", "")))
    # A new account is one more thing that connecting makes.
    is_new = plan.kind == "connect" and plan.rows.get("customer")
    found = [
        _(
            _WITH_ACCOUNT if is_new else _WHAT_IT_DOES[plan.kind],
            who=who,
            removed=escaped(str(details.get("removed"))),
            installed=escaped(str(details.get("installed"))),
            tariff=escaped(str(details.get("tariff"))),
        )
    ]
    if plan.changes:
        found.append(
            ngettext(
                "{count} bill that ran beyond that day change.",
                "{count} bills that ran beyond that day change.",
                len(plan.changes),
            )
        )
    if plan.deposit is not None:
        amount = money(plan.deposit["amount_minor"], plan.deposit["currency"])
        found.append(_("A deposit of {amount} is taken.", amount=escaped(amount)))
    found += _lines_of_supply(plan)
    if plan.rows.get("deposit_entry_id"):
        found.append(_("A deposit that is held pays what is open; the rest can be paid out."))
    return found


def _lines_of_supply(plan: SupplyPlan) -> list[str]:
    """What a reconnection charges and bills, and what else is said of a disconnection."""
    found, details = [], plan.rows.get("details", {})
    disconnection = plan.rows.get("disconnection") or {}
    if fee := disconnection.get("fee"):
        charged = escaped(money(fee["amount_minor"], fee["currency"]))
        found.append(_("A reconnection fee of **{fee}** is charged to the account.", fee=charged))
    elif plan.kind == "reconnect":
        found.append(_("No fee is charged."))
    if used_wh := details.get("used_wh"):
        found.append(
            _(
                "The {kwh} that were counted meanwhile are billed to them, with the next bill if "
                "they are not in one yet. Give a credit on the customer's page if they are not to "
                "pay for it.",
                kwh=kwh(used_wh),
            )
        )
    return [*found, *_lines_of_others(plan)]


def _lines_of_others(plan: SupplyPlan) -> list[str]:
    """What changes beside a disconnection, or takes one back, do with it."""
    found: list[str] = []
    last = plan.place.disconnection if plan.place else None
    if plan.rows.get("details", {}).get("fee_taken_back"):
        found.append(_("The reconnection fee is taken back."))
    if plan.kind in ("not_disconnected", "not_reconnected"):
        found.append(_("The reading of that day stays. Correct it if it is wrong, too."))
    elif last is not None and last.reconnected_on is None:
        if plan.kind == "move_out":
            found.append(_("They are disconnected; that ends with the agreement, without a fee."))
        elif plan.kind == "exchange":
            found.append(_("The place stays disconnected."))
    return found


def _show_new(bill: NewBill) -> None:
    total = money(bill.rated.total_minor, bill.rated.currency)
    days = period(bill.opening.read_on, bill.closing.read_on)
    with st.container(border=True, gap="xsmall"):
        a_bill = _("**A bill of {total}**", total=escaped(total))
        st.markdown(f"{a_bill} · {days} · {kwh(bill.consumption_wh)}")
        for line in bill.rated.lines:
            amount = escaped(money(line.amount_minor, bill.rated.currency))
            st.caption(f"{escaped(line.description)}: {amount}")
        if bill.held_because:
            st.warning(escaped(say(bill.held_because)), icon=":material/date_range:")
