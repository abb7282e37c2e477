"""The autopay policy: what holds, and a form for another version."""

from functools import reduce

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import count, day, escaped
from pages.shared.permitted import submit_button
from pages.shared.session import called, may, services
from services.autopay.rules import (
    MOST_CONFIRM_DAYS,
    MOST_EXPIRY_DAYS,
    MOST_NOTICE_DAYS,
    InvalidAutopay,
    typed_days,
)
from services.database.errors import DatabaseRefused
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.customers.autopay import AutopayPolicy


def show_policy(principal: Principal) -> None:
    """What holds, and for who may change it a form that begins with it."""
    policy = services().autopay.office.policy(principal=principal)
    with st.container(border=True, gap="small"):
        version = str(policy.version)
        title = _("Version {version}", version=version) if policy.version else _("The default")
        st.markdown(f"**{title}**")
        if policy.created_at:
            from_day = _("From {day}", day=day(policy.created_at))
            st.caption(f"{from_day} · {escaped(called(policy.created_by))}")
        rules = enumerate(_rules(policy), start=1)
        st.markdown("\n".join(f"{number}. {said}" for number, said in rules))
        st.caption(
            _(
                "Expired, stolen or closed cards and accounts are not tried again. After the last "
                "try autopay of the customer pauses, and dunning goes on."
            )
        )
    if may(Permission.CHANGE_DUNNING):
        with st.expander(_("Change the policy"), icon=":material/edit:"):
            _ask(policy, principal)


def _rules(policy: AutopayPolicy) -> list[str]:
    """The policy in sentences."""
    tries = [count(number, "day") for number in policy.retry_days]
    return [
        ngettext(
            "Customers hear of a charge {count} day before.",
            "Customers hear of a charge {count} days before.",
            policy.notice_days,
        ),
        _("It is charged on the due date; who hears later is charged later."),
        _(
            "Declined, it is tried again {days} after the first try.",
            days=reduce(lambda some, one: _("{some} and {one}", some=some, one=one), tries),
        )
        if tries
        else _("Declined, it is not tried again."),
        ngettext(
            "A bank's question is open for {count} day.",
            "A bank's question is open for {count} days.",
            policy.confirm_days,
        ),
        ngettext(
            "Customers hear {count} day before their card expires.",
            "Customers hear {count} days before their card expires.",
            policy.expiry_days,
        ),
    ]


def _ask(policy: AutopayPolicy, principal: Principal) -> None:
    form = form_id("autopay-policy")
    with st.form(f"form-{form}", border=False):
        with st.grid(4, min_column_width=150, vertical_alignment="bottom") as grid:
            with grid.cell():
                notice = _days(
                    _("Days of notice"),
                    policy.notice_days,
                    MOST_NOTICE_DAYS,
                    key=f"notice-{form}",
                )
            with grid.cell():
                tries = st.text_input(
                    _("Further tries, days after the first"),
                    value=", ".join(str(number) for number in policy.retry_days),
                    key=f"tries-{form}",
                )
            with grid.cell():
                wait = _days(
                    _("Days to confirm"),
                    policy.confirm_days,
                    MOST_CONFIRM_DAYS,
                    key=f"confirm-{form}",
                )
            with grid.cell():
                expiry = _days(
                    _("Days before a card expires"),
                    policy.expiry_days,
                    MOST_EXPIRY_DAYS,
                    key=f"expiry-{form}",
                )
        if not submit_button(_("Publish"), Permission.CHANGE_DUNNING, type="primary"):
            return
    try:
        services().autopay.office.publish(
            AutopayPolicy(
                id=form,
                version=policy.version + 1,
                notice_days=notice,
                retry_days=typed_days(tries),
                confirm_days=wait,
                expiry_days=expiry,
            ),
            seen_version=policy.version,
            principal=principal,
        )
    except (InvalidAutopay, DatabaseRefused) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
    else:
        form_done("autopay-policy", _("The policy is published."))
        st.rerun()


def _days(label: str, value: int, most: int, *, key: str) -> int:
    return int(st.number_input(label, min_value=1, max_value=most, value=value, step=1, key=key))
