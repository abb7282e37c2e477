"""What was sent to customers and what came of it, as cards; and trying again."""

import math
from datetime import timedelta

import streamlit as st

from pages.languages.words import Said, _, say
from pages.registry import BILL
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.download import download_button
from pages.shared.format import OCCASION, Color, count, counted, escaped, moment
from pages.shared.permitted import page_link
from pages.shared.session import may, services, zone
from pages.system.send_again import offer_to_send_again
from services.history import terms
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.messages.letters import CHANNEL
from services.outbox.steps import STEP_NAMES
from services.records.bills import invoice_reference
from services.records.messages import FailedWork, Notification, NotificationStatus

STATUS: dict[str, tuple[str, Color]] = {
    "waiting": (N_("Waiting"), "orange"),
    "sending": (N_("Being sent"), "blue"),
    "sent": (N_("Sent"), "blue"),
    "delivered": (N_("Delivered"), "green"),
    "read": (N_("Read"), "green"),
    "undelivered": (N_("Not delivered"), "red"),
    "bounced": (N_("Came back"), "red"),
    "failed": (N_("Refused"), "red"),
    "given_up": (N_("Given up"), "red"),
    "unknown": (N_("May have arrived"), "orange"),
    "not_configured": (N_("Not sent"), "gray"),
}
_AFTER_A_FAILURE = STATUS | {"waiting": (N_("Will be tried again"), "orange")}
CHANNELS = Said(terms.CHANNELS)
_BECAME = Said(terms.BECAME)
_FAILED_KEY = "failed-work-page"
_FAILED_AT_ONCE = 5
_PAGE_SIZE = 12


def show_failed_work(principal: Principal) -> None:
    """Outbox entries that need a person, if there is any, each with its reason and a way on."""
    found = services().messages.failed_work(
        principal=principal, page=chosen_page(_FAILED_KEY), page_size=_FAILED_AT_ONCE
    )
    if not found.total:
        return
    st.subheader(_("Needs a look"), anchor=False)
    st.caption(
        _(
            "{pieces} of work ended without success.",
            pieces=counted(found.total, "piece"),
        )
    )
    with st.container(gap="xsmall"):
        for work in found.items:
            _show_work(work, principal)
    page_number(total=found.total, page_size=_FAILED_AT_ONCE, key=_FAILED_KEY)


def show_queues(principal: Principal) -> None:
    """How many messages wait for their turn on each channel, and how long that takes."""
    for queue in services().messages.queues(principal=principal):
        label = CHANNELS.get(queue.channel, queue.channel)
        st.info(
            _(
                "{channel}: {messages} in the queue. At {rate} a minute the last leaves in {time}.",
                channel=label,
                messages=count(queue.waiting, "message"),
                rate=queue.per_minute,
                time=_time_in_words(queue.takes),
            ),
            icon=":material/hourglass_top:",
        )


def _time_in_words(takes: timedelta) -> str:
    minutes = math.ceil(takes.total_seconds() / 60)
    return count(minutes, "minute") if minutes < 120 else count(round(minutes / 60), "hour")


def show_notifications(text: str, status: NotificationStatus | None, principal: Principal) -> None:
    """A page of the messages that fit; the database searches, counts and cuts."""
    key = f"notifications-page-{text}-{status}"
    found = services().messages.notifications(
        text=text,
        status=status,
        principal=principal,
        page=chosen_page(key),
        page_size=_PAGE_SIZE,
    )
    nothing = _("No message fits.") if text or status else _("No message yet.")
    st.caption(counted(found.total, "message") if found.total else nothing)
    with st.container(gap="xsmall"):
        for sent in found.items:
            _show_notification(sent, principal)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def show_messages_to(customer_id: str, principal: Principal) -> None:
    """A page of the messages to one customer."""
    key = f"messages-page-{customer_id}"
    found = services().messages.to_customer(
        customer_id=customer_id, principal=principal, page=chosen_page(key), page_size=_PAGE_SIZE
    )
    st.caption(counted(found.total, "message") if found.total else _("No message was written yet."))
    with st.container(gap="xsmall"):
        for sent in found.items:
            _show_notification(sent, principal)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def _show_work(work: FailedWork, principal: Principal) -> None:
    with st.container(border=True, gap="xsmall"):
        _title(work.bill_id, work.bill_number, work.account_no, work.kind)
        for step, state in sorted(work.steps.items()):
            if state.status == "failed":
                st.markdown(f":red[{_(STEP_NAMES[step])}]: {escaped(say(state.detail))}")
        st.caption(
            _(
                "Ended {at}, {attempts}",
                at=moment(work.finished_at, zone()),
                attempts=count(work.attempts, "attempt"),
            )
        )
        _offer_retry(work.id, f"work-{work.id}", principal)


def _show_notification(sent: Notification, principal: Principal) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            with st.container(gap="xxsmall"):
                _title(sent.bill_id, sent.bill_number, sent.account_no, sent.kind)
            again = sent.status == "waiting" and sent.attempts
            status_badge(sent.status, _AFTER_A_FAILURE if again else STATUS)
        st.caption(_in_words(sent))
        if sent.error:
            st.markdown(escaped(say(sent.error)))
        _show_life(sent)
        if sent.body:
            unsent = sent.status == "not_configured"
            with st.expander(_("What would be sent") if unsent else _("Text"), type="compact"):
                st.text(sent.body)
        if (
            sent.status in ("failed", "given_up")
            and sent.outbox_id
            and sent.outbox_status != "open"
        ):
            _offer_retry(sent.outbox_id, sent.id, principal)
        if sent.channel == CHANNEL:
            _offer_letter(sent, principal)
        elif sent.outbox_id and sent.outbox_status != "open":
            offer_to_send_again(sent.outbox_id, sent.id, sent.kind, principal)


def _offer_letter(sent: Notification, principal: Principal) -> None:
    """The letter as it was printed."""
    download_button(
        _("Letter as PDF"),
        lambda: services().letters.pdf_of(letter_id=sent.id, principal=principal),
        file_name=f"letter-{sent.id[:8]}.pdf",
        mime="application/pdf",
        key=f"letter-{sent.id}",
        icon=":material/picture_as_pdf:",
    )


def _show_life(sent: Notification) -> None:
    """What happened to it, where that is more than its state says."""
    if len(sent.life) < 2:
        return
    with st.expander(_("What became of it"), type="compact"):
        for event in sent.life:
            at, why = moment(event.at, zone()), f": {say(event.why)}" if event.why else ""
            st.caption(escaped(f"{at} · {_BECAME.get(event.state, event.state)}{why}"))


def _title(bill_id: str | None, number: int | None, account_no: str | None, kind: str) -> None:
    name = invoice_reference(number) if number is not None else _("Bill")
    if bill_id:
        page_link(
            BILL,
            label=_(
                "**{name}** · account {account_no}", name=name, account_no=escaped(account_no or "")
            ),
            icon=":material/receipt_long:",
            query_params={"id": bill_id},
        )
    elif account_no:
        st.markdown(f"**Account {escaped(account_no)}**")
    st.caption(OCCASION.get(kind, escaped(kind)))


def _in_words(sent: Notification) -> str:
    parts = [CHANNELS.get(sent.channel, escaped(sent.channel))]
    if sent.recipient and sent.channel != CHANNEL:
        parts.append(_("to {recipient}", recipient=escaped(sent.recipient)))
    parts.append(moment(sent.updated_at, zone()))
    if sent.attempts:
        parts.append(count(sent.attempts, "attempt"))
    return " · ".join(parts)


def _offer_retry(work_id: str, key: str, principal: Principal) -> None:
    may_send = may(Permission.SEND_MESSAGES)
    if may_send and st.button(_("Try again"), icon=":material/refresh:", key=f"retry-{key}"):
        services().messages.retry(work_id=work_id, principal=principal)
        st.toast(_("It is tried again within a minute."), icon=":material/schedule:")
        st.rerun()
