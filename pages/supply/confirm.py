"""What a change would do, shown before it is done; then why, and doing it."""

from dataclasses import dataclass

import streamlit as st

from pages.approvals.asking import asks_first, label_of
from pages.corrections.correction_preview import show_bill_change
from pages.registry import SERVICE_POINT
from pages.shared.form_ids import form_done
from pages.shared.format import count, day, escaped, kwh, money, period
from pages.shared.history import go_on_to
from pages.shared.session import now, services
from services.approvals.asking import AwaitsApproval
from services.billing.chain_retry import MeterTooBusy
from services.corrections.affected_bills import CannotRebill
from services.corrections.rebilling import FiguresChanged, NotAcknowledged
from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.registers import WrongRegisters
from services.payments.entry_forms import InvalidEntry
from services.quantities.energy import InvalidEnergy
from services.rating import UnableToPriceBill
from services.readings.submission import InvalidReading
from services.records.bills import NewBill
from services.supply.approval import lowers_bills
from services.supply.changes import CannotChangeSupply, Change, Connect, Exchange, MoveIn, TypedRead
from services.supply.plan import SupplyPlan

# What was typed cannot be; the sentences are for the person who typed it.
REFUSALS = (
    *(CannotChangeSupply, CannotRebill, UnableToPriceBill, IllegalChange, NotFound),
    *(InvalidEnergy, InvalidEntry, InvalidReading, ReadingTooLong, WrongRegisters),
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
        st.error(escaped(error), icon=":material/edit:")
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
        st.error(escaped(error), icon=":material/edit:")
        return
    st.subheader("What it does", anchor=False)
    if said_of := _facts(shown.change):
        st.markdown(f"- {escaped(said_of)}")
    _show_plan(plan)
    with st.form(f"do-{form}", border=False):
        reason = st.text_input("Why", key=f"why-{form}", placeholder="As reported by the customer")
        sure = not plan.doubts or st.checkbox("The readings are right", key=f"sure-{form}")
        if plan.warning:
            sure &= st.checkbox(
                "I have seen the warning about back-billing, and do it nevertheless",
                key=f"warned-{form}",
            )
        asks = lowers_bills(plan) and asks_first("voids")
        if st.form_submit_button(label_of("Do it", asks=asks), type="primary"):
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
        st.error(escaped(error), icon=":material/edit:")
        return
    except FiguresChanged as error:
        st.session_state.pop(f"shown-{form}", None)
        st.error(escaped(error), icon=":material/sync_problem:")
        return
    form_done(name, said)
    go_on_to(SERVICE_POINT, id=done.service_point_id)


def _show_plan(plan: SupplyPlan) -> None:
    for doubt in plan.doubts:
        st.warning(escaped(doubt), icon=":material/flag:")
    if plan.warning:
        st.warning(escaped(plan.warning), icon=":material/history:")
    for line in _lines(plan):
        st.markdown(f"- {line}")
    for change in plan.changes:
        show_bill_change(change, change.affected.bills[0].currency, expanded=len(plan.changes) < 3)
    for bill in plan.bills:
        _show_new(bill)


def _facts(change: Change) -> str:
    """What was typed of who is supplied how, to be read once more before it is done."""
    if isinstance(change, Connect | MoveIn):
        meter = f"meter {change.serial} begins" if isinstance(change, Connect) else "it begins"
        return (
            f"From {day(change.on)}, on tariff {change.tariff_code}; {meter} at "
            f"{_typed(change.read)}."
        )
    if isinstance(change, Exchange):
        return (
            f"On {day(change.on)}: the old meter's last reading is {_typed(change.last)}, the new "
            f"one, {change.serial}, begins at {_typed(change.first)}."
        )
    return ""


def _typed(read: TypedRead) -> str:
    return f"{read.kwh} kWh" if read.kwh else "the reading that is stored of that day"


def _lines(plan: SupplyPlan) -> list[str]:
    details = plan.rows.get("details", {})
    who = escaped(str(details.get("customer", "")))
    said = {
        "move_out": f"The agreement of {who} ends.",
        "move_in": f"{who} is supplied from that day on.",
        "stay": f"The agreement of {who} goes on as if they had not moved out. The bill up to that "
        "day stays; a deposit that paid it was used.",
        "connect": f"{who} gets {'an account, ' if plan.rows.get('customer') else ''}a place of "
        "supply and a meter with its first reading.",
        "exchange": f"Meter {escaped(str(details.get('removed')))} goes and "
        f"{escaped(str(details.get('installed')))} comes; the next bill runs over both.",
        "multiplier": "The meter counts with the other multiplier from that reading on.",
        "disconnect": f"{who} is disconnected from that day on; the agreement goes on. Charges by "
        "the day or month are billed as before, with the next reading.",
        "reconnect": f"{who} is supplied again from that day on.",
        "not_disconnected": f"{who} is supplied as if there had been no disconnection.",
        "not_reconnected": f"{who} is disconnected as before.",
        "tariff": f"From that day on the tariff is {escaped(str(details.get('tariff')))}.",
    }[plan.kind]
    found = [said]
    if plan.changes:
        found.append(f"{count(len(plan.changes), 'bill')} that ran beyond that day change.")
    if plan.deposit is not None:
        amount = money(plan.deposit["amount_minor"], plan.deposit["currency"])
        found.append(f"A deposit of {escaped(amount)} is taken.")
    found += _lines_of_supply(plan)
    if plan.rows.get("deposit_entry_id"):
        found.append("A deposit that is held pays what is open; the rest can be paid out.")
    return found


def _lines_of_supply(plan: SupplyPlan) -> list[str]:
    """What a reconnection charges and bills, and what else is said of a disconnection."""
    found, details = [], plan.rows.get("details", {})
    disconnection = plan.rows.get("disconnection") or {}
    if fee := disconnection.get("fee"):
        charged = escaped(money(fee["amount_minor"], fee["currency"]))
        found.append(f"A reconnection fee of **{charged}** is charged to the account.")
    elif plan.kind == "reconnect":
        found.append("No fee is charged.")
    if used_wh := details.get("used_wh"):
        found.append(
            f"The {kwh(used_wh)} that were counted meanwhile are billed to them, with the next "
            "bill if they are not in one yet. Give a credit on the customer's page if they are "
            "not to pay for it."
        )
    return [*found, *_lines_of_others(plan)]


def _lines_of_others(plan: SupplyPlan) -> list[str]:
    """What changes beside a disconnection, or takes one back, do with it."""
    found: list[str] = []
    last = plan.place.disconnection if plan.place else None
    if plan.rows.get("details", {}).get("fee_taken_back"):
        found.append("The reconnection fee is taken back.")
    if plan.kind in ("not_disconnected", "not_reconnected"):
        found.append("The reading of that day stays. Correct it if it is wrong, too.")
    elif last is not None and last.reconnected_on is None:
        if plan.kind == "move_out":
            found.append("They are disconnected; that ends with the agreement, without a fee.")
        elif plan.kind == "exchange":
            found.append("The place stays disconnected.")
    return found


def _show_new(bill: NewBill) -> None:
    total = money(bill.rated.total_minor, bill.rated.currency)
    days = period(bill.opening.read_on, bill.closing.read_on)
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**A bill of {escaped(total)}** · {days} · {kwh(bill.consumption_wh)}")
        for line in bill.rated.lines:
            amount = escaped(money(line.amount_minor, bill.rated.currency))
            st.caption(f"{escaped(line.description)}: {amount}")
        if bill.held_because:
            st.warning(escaped(bill.held_because), icon=":material/date_range:")
