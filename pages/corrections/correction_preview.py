"""What a correction would do, before it is done: bills, lines before and after, money, doubts."""

from datetime import date

import streamlit as st

from pages.languages.words import _, language, say
from pages.shared.components import description_list
from pages.shared.format import count, escaped, kwh, money, period
from services.bill_documents.line_names import line_name
from services.corrections.bill_changes import BillChange, LineChange
from services.corrections.plan import Plan
from services.quantities.money import MINUS
from services.records.bills import NewBill
from services.records.corrections import name_of

_OPEN = 2


def show_plan(plan: Plan) -> None:
    """The whole plan; nothing of it is stored."""
    currency = plan.voided[0].currency
    st.subheader(_("What it changes"), anchor=False)
    balance = plan.chain.balance_minor
    with st.container(border=True):
        description_list(
            [
                (_("Bills"), count(len(plan.voided), "bill")),
                (_("The customer owes"), more_or_less(plan.difference_minor, currency)),
                (_("Paid on them"), _paid(plan.paid_minor, currency)),
                (_("Account now"), due_or_credit(balance, currency)),
                (_("Account then"), due_or_credit(balance + plan.difference_minor, currency)),
            ],
            least_width=150,
        )
    for found in plan.validation.outcomes if plan.validation else ():
        if found.outcome in ("review", "warn"):
            st.warning(escaped(say(found.message)), icon=":material/flag:")
    if plan.warning:
        st.warning(escaped(say(plan.warning)), icon=":material/history:")
    for index, change in enumerate(plan.changes):
        show_bill_change(change, currency, expanded=index < _OPEN)


def more_or_less(minor: int, currency: str) -> str:
    """₹12.00 more, ₹3.00 less, or the same."""
    if minor == 0:
        return _("the same")
    amount = money(abs(minor), currency)
    if minor > 0:
        return _("{amount} more", amount=amount)
    return _("{amount} less", amount=amount)


def due_or_credit(minor: int, currency: str) -> str:
    """A balance as people say it."""
    if minor < 0:
        return _("{amount} in credit", amount=money(-minor, currency))
    return _("{amount} owed", amount=money(minor, currency))


def _paid(minor: int, currency: str) -> str:
    if not minor:
        return _("nothing")
    return _("{amount}, stays with the account", amount=money(minor, currency))


def show_bill_change(change: BillChange, currency: str, *, expanded: bool) -> None:
    """One bill, or two that become one: its lines before and after."""
    first, last = change.affected.bills[0], change.affected.bills[-1]
    names, *others = (say(name_of(bill.number)) for bill in change.affected.bills)
    for other in others:
        names = _("{first} and {last}", first=names, last=other)
    title = (
        f"**{escaped(names)}** · {period(first.period_start, last.period_end)} · "
        f"{escaped(money(change.before_minor, currency))} → "
        f"{escaped(money(change.after_minor, currency))}"
    )
    with st.expander(title, expanded=expanded):
        st.caption(escaped(say(change.affected.why)))
        if change.new:
            used = sum(bill.consumption_wh for bill in change.affected.bills)
            st.caption(f"{kwh(used)} → **{kwh(change.new.consumption_wh)}**")
            _show_days(first.period_start, last.period_end, change.new)
        if change.new and change.new.held_because:
            st.warning(escaped(say(change.new.held_because)), icon=":material/date_range:")
        st.markdown(_table(change, currency), width="stretch")


def _show_days(start: date, end: date, new: NewBill) -> None:
    """Which days the new bill covers, where they are others."""
    opened, closed = new.opening.read_on, new.closing.read_on
    if (opened, closed) != (start, end):
        st.caption(f"{period(start, end)} → **{period(opened, closed)}**")


def _table(change: BillChange, currency: str) -> str:
    """Three columns, so that it fits on a phone."""
    rows = [_("| Charge | Before → after | Difference |"), "|:---|---:|---:|"]
    rows += [_row(line, currency) for line in change.lines()]
    total = (
        f"{_amount(change.before_minor, currency)} → **{_amount(change.after_minor, currency)}**"
    )
    difference = _signed(change.difference_minor, currency)
    rows.append(
        _(
            "| **Total** | {total} | **{difference}** |",
            total=total,
            difference=difference,
        )
    )
    return "\n".join(rows)


def _row(line: LineChange, currency: str) -> str:
    before, after = _amount(line.before_minor, currency), _amount(line.after_minor, currency)
    amounts = f"{before} → {after}" if line.difference_minor else f":gray[{after}]"
    change = _signed(line.difference_minor, currency)
    return f"| {escaped(line_name(line, language()))} | {amounts} | {change} |"


def _amount(minor: int | None, currency: str) -> str:
    return "–" if minor is None else escaped(money(minor, currency))


def _signed(minor: int, currency: str) -> str:
    """A difference with its sign: +₹12.00; a plain 0 is grey."""
    if minor == 0:
        return ":gray[–]"
    return escaped(f"{'+' if minor > 0 else MINUS}{money(abs(minor), currency)}")
