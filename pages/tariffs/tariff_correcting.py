"""A published version that was wrong: writing what it should say, and seeing whom that touches."""

import streamlit as st

from pages.approvals.asking import asks_first, label_of, show_requests
from pages.languages.words import _, ngettext, say
from pages.registry import TARIFF, TARIFF_CORRECTION
from pages.shared.format import counted, escaped
from pages.shared.header import show_header
from pages.shared.history import go_on_to
from pages.shared.session import now, services
from pages.tariffs.tariff_compare import show_changes
from pages.tariffs.tariff_draft import Start, WrittenDraft, draft_of
from pages.tariffs.tariff_rebilling import ask_warning, meters_table, show_left, show_more
from pages.tariffs.tariff_writing import show_problems, show_writing
from services.approvals.asking import AwaitsApproval
from services.corrections.affected_bills import CannotRebill
from services.corrections.tariff_correction import replacement_version
from services.database.errors import IllegalChange
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.records.tariffs import PublishedVersion
from services.tariffs import Tariff

_PREVIEWED = 10


def show_tariff_correction(*, code: str, begins: str, principal: Principal) -> None:
    """First the bills that an earlier correction left to reissue, then a new correction."""
    versions = services().tariff_publishing.tariff(code=code, principal=principal).versions
    show_header(N_("Correct a version"))
    show_requests(["tariff_correction"], [code], principal)
    show_left(versions, principal)
    if not begins:
        return
    _tariff, version = services().tariff_publishing.version(
        code=code, begins=begins, principal=principal
    )
    st.caption(
        _(
            "**{tariff}**, from {day}. Write here what it should have said from the beginning. "
            "What changes from a later date on is a new version instead.",
            tariff=escaped(version.name),
            day=version.effective_from,
        )
    )
    written = draft_of(Start(version, None, corrects=True))
    left, right = st.columns(2, gap="medium")
    with left:
        draft = show_writing(written)
    with right:
        show_problems(draft)
        if draft.tariff and draft.tariff != version.tariff:
            show_changes(version.tariff, draft.tariff)
            _ask(version, draft.tariff, written, principal)


def _ask(
    version: PublishedVersion, tariff: Tariff, written: WrittenDraft, principal: Principal
) -> None:
    try:
        replacement = replacement_version(version, tariff)
    except CannotRebill as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    found = services().tariff_correction.priced_by(
        version_id=version.id, limit=_PREVIEWED, principal=principal
    )
    with st.container(border=True):
        st.markdown(
            ngettext(
                "**{count} bill** of {meters} was priced by it.",
                "**{count} bills** of {meters} were priced by it.",
                found.bills,
                meters=counted(found.meters_in_all, "meter"),
            )
        )
        if found.meters:
            previews = services().tariff_correction.preview(
                found.meters, now=now(), replacement=replacement, instead_of=version.id
            )
            meters_table(previews, version.currency)
            show_more(found)
            ask_warning(found.since, confirm=False)
        with st.form(f"correct-{version.id}", border=False):
            reason = st.text_input(
                _("Reason"), placeholder=_("Such as: the order says 6.40, not 6.04")
            )
            st.caption(_("The bills stay as they are until you reissue them on this page."))
            label = label_of(_("Correct this version"), asks=asks_first("voids"))
            if st.form_submit_button(label, type="primary"):
                _correct(version, tariff, reason, written, principal)


def _correct(
    version: PublishedVersion,
    tariff: Tariff,
    reason: str,
    written: WrittenDraft,
    principal: Principal,
) -> None:
    try:
        services().tariff_correction.correct(
            version=version, tariff=tariff, reason=reason, principal=principal
        )
    except AwaitsApproval:
        # What waits is shown there; what was written is kept in case that it is rejected.
        go_on_to(TARIFF, code=version.code)
    except (ReasonMissing, IllegalChange) as error:
        kept = _("Nothing was changed; what you wrote is kept.")
        st.error(f"{escaped(say(error))} {kept}")
        return
    written.start_over()
    st.toast(_("{code} is corrected.", code=escaped(version.code)), icon=":material/check_circle:")
    # Without a version: there the bills wait to be reissued.
    go_on_to(TARIFF_CORRECTION, code=version.code)
