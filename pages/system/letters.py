"""Letters: messages that reached nobody, to be printed for the post, and what was printed."""

from typing import Final

import streamlit as st

from pages.languages.addresses import slug
from pages.languages.words import _, ngettext, say
from pages.registry import BILL, CUSTOMER, LETTERS
from pages.shared.download import download_button
from pages.shared.form_ids import form_done, form_id, show_done
from pages.shared.format import OCCASION, count, counted, escaped, moment
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import called, may, now, require_permission, services, zone
from services.history import terms
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.messages.letters import AT_ONCE, NothingToPrint
from services.records.customers.letters import LetterBatch, UnreachedAfter, UnreachedMessage

_PLACE: Final = "letters-after"
_LEFT_OUT: Final = "letters-left-out"
_FORM: Final = "letters"


def show_waiting(principal: Principal) -> None:
    """What reached nobody, those that wait for the longest first, and printing it."""
    after = st.session_state.get(_PLACE)
    found = services().letters.waiting(
        principal=principal, after=after if isinstance(after, UnreachedAfter) else None
    )
    if not found.total:
        st.info(_("No message waits for a letter."), icon=":material/done_all:")
        return
    _offer_to_print(found.total, principal)
    st.caption(_("{messages} that went nowhere.", messages=counted(found.total, "message")))
    with st.container(gap="xsmall"):
        for row in found.rows:
            _show(row)
    with st.container(horizontal=True):
        if after is not None and st.button(_("From the beginning")):
            st.session_state.pop(_PLACE)
            st.rerun()
        if found.after is not None and st.button(_("Show the next")):
            st.session_state[_PLACE] = found.after
            st.rerun()


def _offer_to_print(total: int, principal: Principal) -> None:
    if not may(Permission.SEND_MESSAGES):
        return
    form, number = form_id(_FORM), min(total, AT_ONCE)
    if total <= AT_ONCE:
        label = ngettext("Print {count} letter", "Print {count} letters", number)
    else:
        label = _("Print the first {number}", number=number)
    if not st.button(label, type="primary", icon=":material/print:", key=f"print-{form}"):
        return
    try:
        printed = services().letters.print_waiting(batch_id=form, principal=principal, now=now())
    except NothingToPrint as error:
        st.warning(escaped(say(error)), icon=":material/print_disabled:")
        return
    st.session_state[_LEFT_OUT] = printed.left_out
    st.session_state.pop(_PLACE, None)
    form_done(
        _FORM,
        ngettext(
            "{count} letter printed: download the PDF below, and put it into the post.",
            "{count} letters printed: download the PDF below, and put it into the post.",
            printed.batch.letters,
        ),
    )
    st.rerun()


def _show(row: UnreachedMessage) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            page_link(
                CUSTOMER,
                label=_(
                    "**{name}** · account {account_no}",
                    name=escaped(row.customer_name),
                    account_no=escaped(row.account_no),
                ),
                icon=":material/person:",
                query_params={"id": row.customer_id, "view": slug(N_("Messages"))},
            )
            if not row.address:
                st.badge(_("No address"), color="red")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(escaped(OCCASION.get(row.kind, row.kind)), width="content")
            if row.bill_id is not None:
                page_link(BILL, label=escaped(row.reference), query_params={"id": row.bill_id})
        if row.address:
            st.caption(escaped(" · ".join(row.address.splitlines())))
        st.caption(_("{why} · since {at}", why=escaped(_why(row)), at=moment(row.at, zone())))


def _why(row: UnreachedMessage) -> str:
    """Why no channel reached them, the channels in one order."""
    said = [
        f"{_(name)}: {say(row.why[channel]).rstrip('.।')}"
        for channel, name in terms.CHANNELS.items()
        if row.why.get(channel)
    ]
    return "; ".join(said) or _("No channel")


def show_batches(principal: Principal) -> None:
    """What was printed, to be downloaded, also once more."""
    batches = services().letters.batches(principal=principal)
    if not batches:
        return
    st.subheader(_("Printed"), anchor=False)
    for sentence in st.session_state.pop(_LEFT_OUT, ()):
        st.caption(f":material/print_disabled: {escaped(say(sentence))}")
    with st.container(gap="xsmall"):
        for batch in batches:
            _show_batch(batch, principal)


def _show_batch(batch: LetterBatch, principal: Principal) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{count(batch.letters, 'letter')}**", width="content")
        by, at = escaped(called(batch.made_by)), moment(batch.made_at, zone())
        st.caption(
            _("{user} · {at} · dated {day}", user=by, at=at, day=batch.written_on), width="content"
        )
        with st.container(horizontal=True, horizontal_alignment="right"):
            download_button(
                _("PDF"),
                lambda: services().letters.pdf(batch_id=batch.id, principal=principal),
                file_name=f"letters-{batch.written_on}-{batch.id[:8]}.pdf",
                mime="application/pdf",
                key=f"batch-{batch.id}",
                icon=":material/picture_as_pdf:",
            )


principal = require_permission(Permission.VIEW_CUSTOMERS)
show_header(LETTERS.title)
st.caption(
    _(
        "Customers whom no channel reaches get their messages by post: the address stands where "
        "the window of an envelope is, and a bill goes with its letter. A message is printed once; "
        "who wants no messages gets letters only where the law asks for them."
    )
)
show_done()
show_waiting(principal)
show_batches(principal)
