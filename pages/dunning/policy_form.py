"""The dunning policy of a currency: what holds, its versions, and a form for another version."""

from datetime import date
from typing import Final

import streamlit as st

from pages.dunning.words import STEP_COLORS, STEPS, attempt
from pages.languages.words import _, language, ngettext, say
from pages.shared.form_ids import form_id
from pages.shared.format import escaped, grouped, money
from pages.shared.number_field import number_field
from pages.shared.permitted import submit_button
from pages.shared.session import called, may, now, services, today
from services.dunning.dunning import TypedFee, TypedPolicy
from services.dunning.rules import (
    EARLIEST_DAY,
    LATEST_DAY,
    MOST_GRACE_DAYS,
    MOST_STEPS,
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
        _("Currency"),
        known,
        index=known.index(usual),
        format_func=lambda code: currency_in_words(code, language().locale),
        key="policy-currency",
    )
    found = services().dunning.policy(currency=currency, principal=principal, now=now())
    _show_one(found.in_force, in_force=True)
    for version in found.versions:
        if version.version != found.in_force.version:
            _show_one(version, in_force=False)
    if may(Permission.CHANGE_DUNNING):
        with st.expander(_("Change the policy"), icon=":material/edit:"):
            _ask(found, principal)


def _show_one(policy: DunningPolicy, *, in_force: bool) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            name = (
                _("Version {number}", number=policy.version) if policy.version else _("The default")
            )
            st.markdown(f"**{name}**", width="content")
            if in_force:
                st.badge(_("Holds now"), color="green")
        if policy.valid_from:
            since = _("From {day}", day=policy.valid_from)
            st.caption(f"{since} · {escaped(called(policy.created_by))}")
        for number, step in enumerate(policy.steps, 1):
            fee = _(" · late fee") if step.fee else ""
            color, name = STEP_COLORS[step.action], STEPS[step.action]
            st.markdown(f"{number}. :{color}[{name}] {say(day_in_words(step.day))}{fee}")
        smallest = escaped(money(policy.minimum_minor, policy.currency))
        least = _("Accounts with less than {amount} are left alone.", amount=smallest)
        wait = ngettext(
            "At least {count} day from a disconnection notice to the disconnection.",
            "At least {count} days from a disconnection notice to the disconnection.",
            policy.notice_days,
        )
        st.caption(f"{least} {wait}")
        if policy.late_fee:
            st.caption(_fee_in_words(policy, policy.late_fee))


def _fee_in_words(policy: DunningPolicy, fee: LateFee) -> str:
    cap = _("at most {amount} for one debt", amount=money(fee.cap_minor, policy.currency))
    if fee.tax_bp:
        percent = grouped(percent_text(fee.tax_bp))
        cap = _("{cap}, plus {percent} % tax", cap=cap, percent=percent)
    return escaped(
        ngettext(
            "Late fee: {fee}, {cap}; none for bills that are late by {count} day or less.",
            "Late fee: {fee}, {cap}; none for bills that are late by {count} days or less.",
            fee.grace_days,
            fee=_charged(policy, fee),
            cap=cap,
        )
    )


def _charged(policy: DunningPolicy, fee: LateFee) -> str:
    """The amount, the percentage, or both."""
    amount = money(fee.fixed_minor, policy.currency) if fee.fixed_minor else ""
    if not fee.percent_bp:
        return amount
    percent = grouped(percent_text(fee.percent_bp))
    if not amount:
        return _("{percent} % of what is overdue", percent=percent)
    return _("{amount} and {percent} % of what is overdue", amount=amount, percent=percent)


def _ask(found: PolicyVersions, principal: Principal) -> None:
    last = found.versions[0] if found.versions else found.in_force
    name = f"policy-{last.currency}"
    form = form_id(name)
    number = st.number_input(
        _("How many steps"),
        min_value=1,
        max_value=MOST_STEPS,
        value=len(last.steps),
        step=1,
        key=f"steps-{form}",
    )
    with st.form(f"form-{form}", border=False):
        steps = [_ask_step(last, place, form) for place in range(int(number))]
        typed = _ask_terms(last, form, steps)
        if not submit_button(_("Publish"), Permission.CHANGE_DUNNING, type="primary"):
            return
    attempt(
        name,
        _("The policy is published."),
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
    actions = list(STEPS)
    with st.grid(3, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            action = st.selectbox(
                _("Step {number}", number=place + 1),
                actions,
                index=actions.index(held.action if held else "demand"),
                format_func=STEPS.__getitem__,
                key=f"action-{place}-{form}",
            )
        with grid.cell():
            on = st.number_input(
                _("Days after the due date (before it: below 0)"),
                min_value=EARLIEST_DAY,
                max_value=LATEST_DAY,
                value=held.day if held else last.steps[-1].day + 7 * (place + 1 - len(last.steps)),
                step=1,
                key=f"day-{place}-{form}",
            )
        with grid.cell():
            fee = st.checkbox(
                _("Charge the late fee"), value=bool(held and held.fee), key=f"fee-{place}-{form}"
            )
    return action, int(on), fee


def _ask_terms(
    last: DunningPolicy, form: str, steps: list[tuple[StepAction, int, bool]]
) -> TypedPolicy:
    currency = last.currency
    with st.grid(3, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            minimum = number_field(
                _("Leave alone below ({currency})", currency=currency),
                key=f"minimum-{form}",
                value=last.money(last.minimum_minor).text,
            )
        with grid.cell():
            wait = st.number_input(
                _("Days from notice to disconnection, by law"),
                min_value=1,
                max_value=LATEST_DAY,
                value=last.notice_days,
                step=1,
                key=f"wait-{form}",
            )
        with grid.cell():
            start: date | None = st.date_input(
                _("Holds from"),
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

    st.markdown(_("**Late fee** (empty: none)"))
    with st.grid(5, min_column_width=130, vertical_alignment="bottom") as grid:
        with grid.cell():
            fixed = number_field(
                _("Amount ({currency})", currency=currency),
                key=f"fixed-{form}",
                value=text(held.fixed_minor),
            )
        with grid.cell():
            part = number_field(
                _("Percent of what is overdue"),
                key=f"part-{form}",
                value=percent(held.percent_bp),
            )
        with grid.cell():
            cap = number_field(
                _("At most for one debt ({currency})", currency=currency),
                key=f"cap-{form}",
                value=text(held.cap_minor),
            )
        with grid.cell():
            grace = st.number_input(
                _("Days of grace"),
                min_value=0,
                max_value=MOST_GRACE_DAYS,
                value=held.grace_days,
                step=1,
                key=f"grace-{form}",
            )
        with grid.cell():
            tax = number_field(
                _("Tax on it, percent"), key=f"tax-{form}", value=percent(held.tax_bp)
            )
    if not fixed and not part:
        return None
    return TypedFee(fixed=fixed, percent=part, cap=cap, grace_days=int(grace), tax_percent=tax)
