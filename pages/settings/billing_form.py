"""How bills are made: currency, language, days until due, approval, time zone."""

import streamlit as st

from pages.languages.words import _, language
from pages.settings.settings_form import ask_text, is_fixed, is_locked, may_change, opened, save
from pages.shared.format import escaped
from pages.shared.permitted import submit_button
from pages.shared.session import zone
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.utility_settings.choices import currencies, currency_in_words, time_zones
from services.utility_settings.desk import ShownSettings


def ask_billing(principal: Principal) -> None:
    """The terms on which bills are made from now on."""
    form, shown = opened("settings-billing", principal)
    with st.container(border=True), st.form(f"form-{form}", border=False):
        st.markdown(_("**Bills from now on**"))
        body: dict[str, object] = {}
        with st.grid(2, min_column_width=240) as grid:
            with grid.cell():
                body |= _ask_due_days(shown, form)
            with grid.cell():
                body |= _ask_currency(shown, form)
            with grid.cell():
                body |= ask_text(
                    _("Language of new customers"),
                    "default_language",
                    shown,
                    form,
                    help=_(
                        "A tag such as en, hi, ml or th, for bills and messages of customers "
                        "whose file names none, and pages of users who chose none."
                    ),
                )
            with grid.cell():
                body |= _ask_first_number(shown, form)
            with grid.cell():
                body |= _ask_days_to_wait(shown, form)
            with grid.cell():
                body |= _ask_estimates(shown, form)
        body |= _ask_whether_to_estimate(shown, form)
        body |= _ask_approval(shown, form)
        if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
            save("settings-billing", form, body, shown, principal)


def _ask_due_days(shown: ShownSettings, form: str) -> dict[str, object]:
    days = st.number_input(
        _("Days until due"),
        min_value=0,
        max_value=365,
        value=shown.held.due_days,
        step=1,
        disabled=is_fixed(shown, "due_days"),
        key=f"due-{form}",
    )
    return {} if is_locked(shown, "due_days") else {"due_days": days}


def _ask_first_number(shown: ShownSettings, form: str) -> dict[str, object]:
    number = st.number_input(
        _("Number of the first bill"),
        min_value=1,
        max_value=999_999_999,
        value=shown.held.first_bill_number,
        step=1,
        disabled=shown.has_numbers or not may_change(),
        help=_(
            "To go on with the numbers of an earlier system. A bill's reference is INV- and its "
            "number with six digits or more; numbers have no gaps."
        ),
        key=f"first-{form}",
    )
    if shown.has_numbers:
        st.caption(_(":material/lock: Bills have numbers already."))
        return {}
    return {"first_bill_number": number}


def _ask_currency(shown: ShownSettings, form: str) -> dict[str, object]:
    known = sorted({*currencies(), shown.held.currency})
    currency = st.selectbox(
        _("Default currency"),
        known,
        index=known.index(shown.held.currency),
        format_func=lambda code: currency_in_words(code, language().locale),
        disabled=is_fixed(shown, "currency"),
        help=_("Of new tariffs, and of accounts without one. What has a currency keeps it."),
        key=f"currency-{form}",
    )
    return {} if is_locked(shown, "currency") else {"currency": currency}


def _ask_whether_to_estimate(shown: ShownSettings, form: str) -> dict[str, object]:
    wanted = st.checkbox(
        _("Estimate missing reads"),
        shown.held.estimate_missing_reads,
        disabled=is_fixed(shown, "estimate_missing_reads"),
        help=_("The monthly bills then estimate a read that did not come; else its bill waits."),
        key=f"estimate-{form}",
    )
    locked = is_locked(shown, "estimate_missing_reads")
    return {} if locked else {"estimate_missing_reads": wanted}


def _ask_days_to_wait(shown: ShownSettings, form: str) -> dict[str, object]:
    days = st.number_input(
        _("Days to wait before a read is estimated"),
        min_value=0,
        max_value=25,
        value=shown.held.estimate_after_days,
        step=1,
        disabled=is_fixed(shown, "estimate_after_days"),
        help=_("After the billing day."),
        key=f"estimate-after-{form}",
    )
    return {} if is_locked(shown, "estimate_after_days") else {"estimate_after_days": days}


def _ask_estimates(shown: ShownSettings, form: str) -> dict[str, object]:
    number = st.number_input(
        _("Estimates in a row"),
        min_value=1,
        max_value=12,
        value=shown.held.estimates_in_a_row,
        step=1,
        disabled=is_fixed(shown, "estimates_in_a_row"),
        help=_(
            "How often a meter may be billed without an actual reading, one time after the other. "
            "A customer's own reading counts."
        ),
        key=f"in-a-row-{form}",
    )
    return {} if is_locked(shown, "estimates_in_a_row") else {"estimates_in_a_row": number}


def _ask_approval(shown: ShownSettings, form: str) -> dict[str, object]:
    approval = st.checkbox(
        _("Every bill is a draft until the office issues it"),
        shown.held.bill_approval,
        disabled=is_fixed(shown, "bill_approval"),
        key=f"approval-{form}",
    )
    return {} if is_locked(shown, "bill_approval") else {"bill_approval": approval}


def ask_time_zone(principal: Principal) -> None:
    """The utility's time zone, which holds from the next start."""
    form, shown = opened("settings-zone", principal)
    waiting = shown.time_zone_after_restart
    wanted = waiting or zone().key
    known = sorted({*time_zones(), wanted})
    with st.container(border=True), st.form(f"form-{form}", border=False):
        st.markdown(_("**Time zone**"))
        chosen = st.selectbox(
            _("Time zone of bills, jobs and pages"),
            known,
            index=known.index(wanted),
            disabled=is_fixed(shown, "timezone"),
            key=f"zone-{form}",
        )
        if is_locked(shown, "timezone"):
            return
        st.caption(
            _(
                "It holds from the next start of the system: stop it and run `make run` again. "
                "Dates of bills and readings that are stored stay as they are."
            )
        )
        if waiting:
            st.warning(
                _(
                    "{zone} is saved and waits for the next start. Until then it is {present}.",
                    zone=escaped(waiting),
                    present=escaped(zone().key),
                ),
                icon=":material/restart_alt:",
            )
        if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
            save("settings-zone", form, {"timezone": chosen}, shown, principal)
