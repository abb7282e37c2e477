"""The flags of one payment in words, whose it is, and saying that somebody has looked."""

from collections.abc import Sequence

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done
from pages.shared.format import escaped, moment
from pages.shared.money_format import FLAG
from pages.shared.session import may, now, services, zone
from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.ledger import Payment, PaymentFlag


def ask_resolution(payment: Payment, flags: Sequence[PaymentFlag], principal: Principal) -> None:
    """What is to be looked at, with the form that says it was; what was looked at before."""
    may_decide = may(Permission.RECORD_PAYMENTS)
    if payment.status == "unidentified" and may_decide:
        _ask_whose(payment, principal)
    for flag in flags:
        with st.container(border=True, gap="small"):
            if flag.resolved_at:
                st.caption(f"{FLAG[flag.reason]} {escaped(say(flag.detail))}")
                by = f"{flag.resolved_by}, {moment(flag.resolved_at, zone())}"
                st.caption(f":material/check: {escaped(f'{flag.resolution} ({by})')}")
            else:
                st.warning(
                    f"{FLAG[flag.reason]} {escaped(say(flag.detail))}", icon=":material/flag:"
                )
                if may_decide:
                    _ask_resolved(flag, principal)


def _ask_resolved(flag: PaymentFlag, principal: Principal) -> None:
    with st.form(f"flag-{flag.payment_id}-{flag.reason}", border=False):
        reason = st.text_input(_("What was found or done"), key=f"found-{flag.reason}")
        if st.form_submit_button(_("It is settled")):
            try:
                services().refunds.resolve_flag(
                    payment_id=flag.payment_id,
                    flag=flag.reason,
                    reason=reason,
                    principal=principal,
                    now=now(),
                )
            except ReasonMissing as error:
                st.error(escaped(error), icon=":material/edit:")
            else:
                form_done("flag", _("The flag is settled."))
                st.rerun()


def _ask_whose(payment: Payment, principal: Principal) -> None:
    with st.container(border=True), st.form(f"whose-{payment.id}", border=False):
        st.markdown(_("**Whose is it?**"))
        to = st.text_input(
            _("Bill or account"),
            placeholder=_("INV-000117, or an account number"),
            autocomplete="off",
            key="whose",
        )
        if st.form_submit_button(_("Put it in that account"), type="primary"):
            try:
                services().refunds.assign(
                    payment_id=payment.id, to=to, principal=principal, now=now()
                )
            except (NotFound, IllegalChange) as error:
                st.error(escaped(error), icon=":material/edit:")
            else:
                form_done("whose", _("The payment is in its account and has paid what is open."))
                st.rerun()
