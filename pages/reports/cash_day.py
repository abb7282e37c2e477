"""Close the day: what a cashier took by method, what was counted, and the days that are closed."""

import streamlit as st

from pages.month_end.figures import table
from pages.registry import CASH_DAY
from pages.shared.form_ids import form_done, form_id, show_done
from pages.shared.format import count, day, escaped, moment, money
from pages.shared.header import show_header
from pages.shared.money_format import METHOD_NAME
from pages.shared.number_field import number_field
from pages.shared.session import called, may, now, require_permission, services, zone
from services.database.errors import IllegalChange
from services.identity.permissions import Permission
from services.quantities.money import InvalidMoney, Money
from services.records.reports.rows import CashClosing, CashDay

_FORM = "cash-day"


def _show_day() -> None:
    today = services().reports.cash_days.today(principal=principal, now=now())
    if today.closing:
        st.success(
            f"Your day is closed, since {moment(today.closing.closed_at, zone())}. What you enter "
            "from now on is in your next closing.",
            icon=":material/lock:",
        )
    if not today.rows:
        st.info(f"You have entered nothing since {moment(today.since, zone())}.")
    else:
        st.caption(f"What you entered since {moment(today.since, zone())}, Stripe's left out.")
        rows = [
            (
                f"{METHOD_NAME[row.method]}, {row.currency} ({count(row.payments, 'payment')})",
                money(row.received_minor, row.currency),
                money(row.returned_minor, row.currency),
                money(row.expected_minor, row.currency),
            )
            for row in today.rows
        ]
        st.markdown(table(("Method", "Taken", "Given back", "Expected"), rows))
    if not today.closing:
        _ask(today)


def _ask(today: CashDay) -> None:
    form = form_id(_FORM)
    # Compared with what is stored when it is sent: nothing may have come meanwhile.
    seen: CashDay = st.session_state.setdefault(f"seen-{form}", today)
    with st.form(f"form-{form}", border=True):
        st.markdown("**Count and close**")
        typed: dict[tuple[str, str], str] = {
            (row.currency, row.method): number_field(
                f"{METHOD_NAME[row.method]} counted ({row.currency})",
                key=f"counted-{row.currency}-{row.method}-{form}",
                value="",
            )
            for row in seen.rows
        }
        note = st.text_input(
            "Note", max_chars=300, help="Needed where another amount was counted.", key=f"n-{form}"
        )
        if st.form_submit_button("Close my day", type="primary", icon=":material/lock:"):
            _close(form, seen, typed, note or "")


def _close(form: str, seen: CashDay, typed: dict[tuple[str, str], str], note: str) -> None:
    try:
        services().reports.cash_days.close(
            closing_id=form, seen=seen, typed=typed, note=note, principal=principal, now=now()
        )
    except InvalidMoney as error:
        st.error(f"{escaped(error)} Enter 0 where there is nothing.", icon=":material/edit:")
    except IllegalChange as error:
        st.error(escaped(error), icon=":material/sync_problem:")
        st.session_state.pop(f"seen-{form}", None)
    else:
        form_done(_FORM, "Your day is closed.")
        st.rerun()


def _show_closings() -> None:
    closings = services().reports.cash_days.closings(principal=principal)
    if not closings:
        st.caption("No day was closed yet.")
        return
    st.subheader("Closed days", anchor=False)
    for closing in closings:
        _show_closing(closing)


def _show_closing(closing: CashClosing) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(
            f"**{day(closing.on_date)} · {escaped(called(closing.cashier))}**, closed by "
            f"{escaped(called(closing.closed_by))} on {moment(closing.closed_at, zone())}"
        )
        rows = []
        for one in closing.counts:
            apart = Money(one.counted_minor - one.expected_minor, one.currency)
            amounts = (money(m, one.currency) for m in (one.expected_minor, one.counted_minor))
            named = f"{METHOD_NAME[one.method]}, {one.currency}"
            rows.append((named, *amounts, apart.display() if apart.minor else "none"))
        if rows:
            st.markdown(table(("Method", "Expected", "Counted", "Difference"), rows))
        if closing.note:
            st.caption(escaped(closing.note))


principal = require_permission(Permission.RECORD_PAYMENTS, Permission.VIEW_BOOKS)
show_header(CASH_DAY.title)
show_done()
if may(Permission.RECORD_PAYMENTS):
    _show_day()
_show_closings()
