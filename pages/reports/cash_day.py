"""Close the day: what a cashier took by method, what was counted, and the days that are closed."""

import streamlit as st

from pages.languages.words import _, language, ngettext, say
from pages.month_end.figures import table
from pages.registry import CASH_DAY
from pages.shared.form_ids import form_done, form_id, show_done
from pages.shared.format import day, escaped, moment, money
from pages.shared.header import show_header
from pages.shared.money_format import METHOD_NAME
from pages.shared.number_field import number_field
from pages.shared.session import called, may, now, require_permission, services, zone
from services.database.errors import IllegalChange
from services.identity.permissions import Permission
from services.quantities.money import InvalidMoney
from services.records.reports.rows import CashClosing, CashDay

_FORM = "cash-day"


def _show_day() -> None:
    today = services().reports.cash_days.today(principal=principal, now=now())
    if today.closing:
        st.success(
            _(
                "Your day is closed, since {moment}. What you enter from now on is in your next "
                "closing.",
                moment=moment(today.closing.closed_at, zone()),
            ),
            icon=":material/lock:",
        )
    since = moment(today.since, zone())
    if not today.rows:
        st.info(_("You have entered nothing since {moment}.", moment=since))
    else:
        st.caption(_("What you entered since {moment}, Stripe's left out.", moment=since))
        rows = [
            (
                ngettext(
                    "{method}, {currency} ({count} payment)",
                    "{method}, {currency} ({count} payments)",
                    row.payments,
                    method=METHOD_NAME[row.method],
                    currency=row.currency,
                ),
                money(row.received_minor, row.currency),
                money(row.returned_minor, row.currency),
                money(row.expected_minor, row.currency),
            )
            for row in today.rows
        ]
        heads = (_("Method"), language().pgettext("cash", "Taken"), _("Given back"), _("Expected"))
        st.markdown(table(heads, rows))
    if not today.closing:
        _ask(today)


def _ask(today: CashDay) -> None:
    form = form_id(_FORM)
    # Compared with what is stored when it is sent: nothing may have come meanwhile.
    seen: CashDay = st.session_state.setdefault(f"seen-{form}", today)
    with st.form(f"form-{form}", border=True):
        st.markdown(_("**Count and close**"))
        typed: dict[tuple[str, str], str] = {
            (row.currency, row.method): number_field(
                _(
                    "{method} counted ({currency})",
                    method=METHOD_NAME[row.method],
                    currency=row.currency,
                ),
                key=f"counted-{row.currency}-{row.method}-{form}",
                value="",
            )
            for row in seen.rows
        }
        note = st.text_input(
            _("Note"),
            max_chars=300,
            help=_("Needed where another amount was counted."),
            key=f"n-{form}",
        )
        if st.form_submit_button(_("Close my day"), type="primary", icon=":material/lock:"):
            _close(form, seen, typed, note or "")


def _close(form: str, seen: CashDay, typed: dict[tuple[str, str], str], note: str) -> None:
    try:
        services().reports.cash_days.close(
            closing_id=form, seen=seen, typed=typed, note=note, principal=principal, now=now()
        )
    except InvalidMoney as error:
        enter = _("Enter 0 where there is nothing.")
        st.error(f"{escaped(say(error))} {enter}", icon=":material/edit:")
    except IllegalChange as error:
        st.error(escaped(say(error)), icon=":material/sync_problem:")
        st.session_state.pop(f"seen-{form}", None)
    else:
        form_done(_FORM, _("Your day is closed."))
        st.rerun()


def _show_closings() -> None:
    closings = services().reports.cash_days.closings(principal=principal)
    if not closings:
        st.caption(_("No day was closed yet."))
        return
    st.subheader(_("Closed days"), anchor=False)
    for closing in closings:
        _show_closing(closing)


def _show_closing(closing: CashClosing) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(
            _(
                "**{day} · {cashier}**, closed by {who} on {moment}",
                day=day(closing.on_date),
                cashier=escaped(called(closing.cashier)),
                who=escaped(called(closing.closed_by)),
                moment=moment(closing.closed_at, zone()),
            )
        )
        rows = []
        for one in closing.counts:
            apart = one.counted_minor - one.expected_minor
            amounts = (money(m, one.currency) for m in (one.expected_minor, one.counted_minor))
            named = f"{METHOD_NAME[one.method]}, {one.currency}"
            rows.append((named, *amounts, money(apart, one.currency) if apart else _("none")))
        if rows:
            heads = (_("Method"), _("Expected"), _("Counted"), _("Difference"))
            st.markdown(table(heads, rows))
        if closing.note:
            st.caption(escaped(closing.note))


principal = require_permission(Permission.RECORD_PAYMENTS, Permission.VIEW_BOOKS)
show_header(CASH_DAY.title)
show_done()
if may(Permission.RECORD_PAYMENTS):
    _show_day()
_show_closings()
