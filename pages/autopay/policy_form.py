"""The autopay policy: what holds, and a form for another version."""

import streamlit as st

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
        st.markdown(f"**{f'Version {policy.version}' if policy.version else 'The default'}**")
        if policy.created_at:
            st.caption(f"From {day(policy.created_at)} · {escaped(called(policy.created_by))}")
        tries = " and ".join(count(number, "day") for number in policy.retry_days)
        st.markdown(
            f"1. Customers hear of a charge {count(policy.notice_days, 'day')} before.\n"
            "2. It is charged on the due date; who hears later is charged later.\n"
            + (
                f"3. Declined, it is tried again {tries} after the first try.\n"
                if tries
                else "3. Declined, it is not tried again.\n"
            )
            + f"4. A bank's question is open for {count(policy.confirm_days, 'day')}.\n"
            f"5. Customers hear {count(policy.expiry_days, 'day')} before their card expires."
        )
        st.caption(
            "Expired, stolen or closed cards and accounts are not tried again. After the last try "
            "autopay of the customer pauses, and dunning goes on."
        )
    if may(Permission.CHANGE_DUNNING):
        with st.expander("Change the policy", icon=":material/edit:"):
            _ask(policy, principal)


def _ask(policy: AutopayPolicy, principal: Principal) -> None:
    form = form_id("autopay-policy")
    with st.form(f"form-{form}", border=False):
        with st.grid(4, min_column_width=150, vertical_alignment="bottom") as grid:
            with grid.cell():
                notice = _days("Days of notice", policy.notice_days, MOST_NOTICE_DAYS, form)
            with grid.cell():
                tries = st.text_input(
                    "Further tries, days after the first",
                    value=", ".join(str(number) for number in policy.retry_days),
                    key=f"tries-{form}",
                )
            with grid.cell():
                wait = _days("Days to confirm", policy.confirm_days, MOST_CONFIRM_DAYS, form)
            with grid.cell():
                expiry = _days(
                    "Days before a card expires", policy.expiry_days, MOST_EXPIRY_DAYS, form
                )
        if not submit_button("Publish", Permission.CHANGE_DUNNING, type="primary"):
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
        st.error(escaped(error), icon=":material/edit:")
    else:
        form_done("autopay-policy", "The policy is published.")
        st.rerun()


def _days(label: str, value: int, most: int, form: str) -> int:
    found = st.number_input(
        label, min_value=1, max_value=most, value=value, step=1, key=f"{label}-{form}"
    )
    return int(found)
