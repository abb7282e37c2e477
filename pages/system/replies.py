"""What customers answered to messages, for the office to see to."""

from typing import Final

import streamlit as st

from pages.languages.words import _
from pages.registry import CUSTOMER
from pages.shared.components import chosen_page, page_number
from pages.shared.format import counted, escaped, moment
from pages.shared.permitted import page_link
from pages.shared.session import may, services, zone
from services.history import terms
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.messages import CustomerReply

_KEY: Final = "replies-page"
_AT_ONCE: Final = 5


def show_replies(principal: Principal) -> None:
    """The answers that nobody has seen to, if there is any."""
    found = services().messages.replies(
        principal=principal, page=chosen_page(_KEY), page_size=_AT_ONCE
    )
    if not found.total:
        return
    st.subheader(_("Customers answered"), anchor=False)
    st.caption(_("{answers} that nobody has seen to.", answers=counted(found.total, "answer")))
    with st.container(gap="xsmall"):
        for reply in found.items:
            _show(reply, principal)
    page_number(total=found.total, page_size=_AT_ONCE, key=_KEY)


def _show(reply: CustomerReply, principal: Principal) -> None:
    with st.container(border=True, gap="xsmall"):
        if reply.customer_id is None:
            st.markdown(_("**{sender}** is no customer's address", sender=escaped(reply.sender)))
        else:
            name, account = escaped(reply.customer_name or ""), escaped(reply.account_no or "")
            page_link(
                CUSTOMER,
                label=_("**{name}** · account {account_no}", name=name, account_no=account),
                icon=":material/person:",
                query_params={"id": reply.customer_id},
            )
        how = _(terms.CHANNELS.get(reply.channel, reply.channel))
        st.caption(
            escaped(
                _(
                    "{channel} from {sender} · {at}",
                    channel=how,
                    sender=reply.sender,
                    at=moment(reply.received_at, zone()),
                )
            )
        )
        if reply.subject:
            st.markdown(f"**{escaped(reply.subject)}**")
        st.text(reply.body)
        if may(Permission.SEND_MESSAGES) and st.button(
            _("Seen to"), icon=":material/done:", key=f"reply-{reply.id}"
        ):
            services().messages.handle_reply(reply_id=reply.id, principal=principal)
            st.rerun()
