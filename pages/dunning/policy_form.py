"""The dunning policy of a currency: what holds, its versions, and a form for another version."""

from datetime import date
from typing import Final

import streamlit as st

from pages.dunning.words import STEP_COLORS, attempt
from pages.shared.form_ids import form_id
from pages.shared.format import count, day, escaped
from pages.shared.number_field import number_field
from pages.shared.permitted import submit_button
from pages.shared.session import called, may, now, services, today
from services.dunning.dunning import TypedFee, TypedPolicy
from services.dunning.rules import (
    EARLIEST_DAY,
    LATEST_DAY,
    MOST_GRACE_DAYS,
    MOST_STEPS,
    STEP_NAMES,
    day_in_words,
    percent_text,
)
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.dunning.policy import DunningPolicy, LateFee, PolicyVersions, StepAction
from services.utility_settings.choices import currencies, currency_in_words

_NO_FEE: Final = LateFee(fixed_minor=0, percent_bp=0, cap_minor=0, grace_days=0, tax_bp=0)


def show_policy(principal: Principal) -> None:
    """What holds, and for who may change it a form that begins with the last version."""
    usual = services().settings.currency
    known = sorted({*currencies(), usual})
    currency = st.selectbox(
        "Currency",
        known,
        index=known.index(usual),
        format_func=currency_in_words,
        key="policy-currency",
    )
    found = services().dunning.policy(currency=currency, principal=principal, now=now())
    _show_one(found.in_force, in_force=True)
    for version in found.versions:
        if version.version != found.in_force.version:
            _show_one(version, in_force=False)
    if may(Permission.CHANGE_DUNNING):
        with st.expander("Change the policy", icon=":material/edit:"):
            _ask(found, principal)


def _show_one(policy: DunningPolicy, *, in_force: bool) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            name = f"Version {policy.version}" if policy.version else "The default"
            st.markdown(f"**{name}**", width="content")
            if in_force:
                st.badge("Holds now", color="green")
        if policy.valid_from:
            st.caption(f"From {day(policy.valid_from)} · {escaped(called(policy.created_by))}")
        for number, step in enumerate(policy.steps, 1):
            fee = " · late fee" if step.fee else ""
            color, name = STEP_COLORS[step.action], STEP_NAMES[step.action]
            st.markdown(f"{number}. :{color}[{name}] {day_in_words(step.day)}{fee}")
        smallest = escaped(policy.money(policy.minimum_minor).display())
        wait = count(policy.notice_days, "day")
        st.caption(
            f"Accounts with less than {smallest} are left alone. "
            f"At least {wait} from a disconnection notice to the disconnection."
        )
        if policy.late_fee:
            st.caption(_fee_in_words(policy, policy.late_fee))


def _fee_in_words(policy: DunningPolicy, fee: LateFee) -> str:
    parts = []
    if fee.fixed_minor:
        parts.append(policy.money(fee.fixed_minor).display())
    if fee.percent_bp:
        parts.append(f"{percent_text(fee.percent_bp)} % of what is overdue")
    cap = policy.money(fee.cap_minor).display()
    tax = f", plus {percent_text(fee.tax_bp)} % tax" if fee.tax_bp else ""
    grace = count(fee.grace_days, "day")
    return escaped(
        f"Late fee: {' and '.join(parts)}, at most {cap} for one debt{tax}; "
        f"none for bills that are late by {grace} or less."
    )


def _ask(found: PolicyVersions, principal: Principal) -> None:
    last = found.versions[0] if found.versions else found.in_force
    name = f"policy-{last.currency}"
    form = form_id(name)
    number = st.number_input(
        "How many steps",
        min_value=1,
        max_value=MOST_STEPS,
        value=len(last.steps),
        step=1,
        key=f"steps-{form}",
    )
    with st.form(f"form-{form}", border=False):
        steps = [_ask_step(last, place, form) for place in range(int(number))]
        typed = _ask_terms(last, form, steps)
        if not submit_button("Publish", Permission.CHANGE_DUNNING, type="primary"):
            return
    attempt(
        name,
        "The policy is published.",
        lambda: services().dunning.publish(
            typed,
            policy_id=form,
            seen_version=found.versions[0].version if found.versions else 0,
            principal=principal,
            now=now(),
        ),
    )


def _ask_step(last: DunningPolicy, place: int, form: str) -> tuple[StepAction, int, bool]:
    held = last.steps[place] if place < len(last.steps) else None
    actions = list(STEP_NAMES)
    with st.grid(3, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            action = st.selectbox(
                f"Step {place + 1}",
                actions,
                index=actions.index(held.action if held else "demand"),
                format_func=STEP_NAMES.__getitem__,
                key=f"action-{place}-{form}",
            )
        with grid.cell():
            on = st.number_input(
                "Days after the due date (before it: below 0)",
                min_value=EARLIEST_DAY,
                max_value=LATEST_DAY,
                value=held.day if held else last.steps[-1].day + 7 * (place + 1 - len(last.steps)),
                step=1,
                key=f"day-{place}-{form}",
            )
        with grid.cell():
            fee = st.checkbox(
                "Charge the late fee", value=bool(held and held.fee), key=f"fee-{place}-{form}"
            )
    return action, int(on), fee


def _ask_terms(
    last: DunningPolicy, form: str, steps: list[tuple[StepAction, int, bool]]
) -> TypedPolicy:
    currency = last.currency
    with st.grid(3, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            minimum = number_field(
                f"Leave alone below ({currency})",
                key=f"minimum-{form}",
                value=last.money(last.minimum_minor).text,
            )
        with grid.cell():
            wait = st.number_input(
                "Days from notice to disconnection, by law",
                min_value=1,
                max_value=LATEST_DAY,
                value=last.notice_days,
                step=1,
                key=f"wait-{form}",
            )
        with grid.cell():
            start: date | None = st.date_input(
                "Holds from",
                value=today(),
                min_value=today(),
                format="DD/MM/YYYY",
                key=f"from-{form}",
            )
    fee = _ask_fee(last, form)
    return TypedPolicy(
        currency=currency,
        valid_from=start or today(),
        minimum=minimum,
        notice_days=int(wait),
        steps=steps,
        late_fee=fee,
    )


def _ask_fee(last: DunningPolicy, form: str) -> TypedFee | None:
    """The late fee; none where no amount and no percentage is typed."""
    held, currency = last.late_fee or _NO_FEE, last.currency

    def text(minor: int) -> str:
        return last.money(minor).text if minor else ""

    def percent(bp: int) -> str:
        return percent_text(bp) if bp else ""

    st.markdown("**Late fee** (empty: none)")
    with st.grid(5, min_column_width=130, vertical_alignment="bottom") as grid:
        with grid.cell():
            fixed = number_field(
                f"Amount ({currency})", key=f"fixed-{form}", value=text(held.fixed_minor)
            )
        with grid.cell():
            part = number_field(
                "Percent of what is overdue", key=f"part-{form}", value=percent(held.percent_bp)
            )
        with grid.cell():
            cap = number_field(
                f"At most for one debt ({currency})",
                key=f"cap-{form}",
                value=text(held.cap_minor),
            )
        with grid.cell():
            grace = st.number_input(
                "Days of grace",
                min_value=0,
                max_value=MOST_GRACE_DAYS,
                value=held.grace_days,
                step=1,
                key=f"grace-{form}",
            )
        with grid.cell():
            tax = number_field("Tax on it, percent", key=f"tax-{form}", value=percent(held.tax_bp))
    if not fixed and not part:
        return None
    return TypedFee(fixed=fixed, percent=part, cap=cap, grace_days=int(grace), tax_percent=tax)
