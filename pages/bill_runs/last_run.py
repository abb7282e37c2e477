"""What the last bill run made, beside what its preview said; and issuing its drafts together."""

from typing import Final

import streamlit as st

from pages.drafts.draft_issue import issue_if_pressed, offer_issue
from pages.languages.words import _, ngettext, say
from pages.registry import BILL, DRAFTS, JOBS
from pages.shared.components import description_list, status_badge
from pages.shared.format import RUN_STATUS, day, escaped, grouped, kwh, moment, money
from pages.shared.permitted import page_link
from pages.shared.session import may, services, zone
from services.billing.draft_signs import signs_of
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.drafts import (
    BillRunPreviewed,
    BillRunResult,
    BillRunSums,
    DraftChoice,
    DraftFilter,
    DraftReview,
)
from services.records.jobs import JobRun

_OUTLIERS: Final = 10
# A person decides on each of those held.
_FREE: Final = DraftFilter(of_last_run=True, without_held=True)
_OF_IT: Final = {"last-run": "true"}


def show_last_run(principal: Principal) -> None:
    """How it ended, what it made by currency, and its drafts: the outliers, and all together."""
    result = services().bill_approval.last_bill_run(principal=principal)
    if result.run is None:
        st.info(_("No bill run has begun yet."), icon=":material/info:")
        return
    _show_run(result.run)
    _show_sums(result)
    under_way = issue_if_pressed(principal)
    if any(sums.drafts for sums in result.made):
        _show_drafts(result.run, principal, may_issue=not under_way)


def _show_run(run: JobRun) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{day(run.scheduled_on)}**", width="content")
            status_badge(run.status, RUN_STATUS)
        description_list(
            [
                (_("Started"), moment(run.started_at, zone())),
                (_("Bills made"), grouped(str(run.done_count))),
                (_("Set aside"), grouped(str(run.failed_count))),
            ],
            least_width=150,
        )
        page_link(JOBS, label=_("The run and what it set aside"), icon=":material/event_repeat:")


def _show_sums(result: BillRunResult) -> None:
    """A card for each currency that was previewed or billed."""
    foreseen = {sums.currency: sums for sums in result.preview.totals} if result.preview else {}
    made = {sums.currency: sums for sums in result.made}
    for currency in sorted({*foreseen, *made}):
        _show_currency(currency, made.get(currency), foreseen.get(currency))
    st.caption(_of_preview(result.preview))


def _of_preview(preview: BillRunPreviewed | None) -> str:
    if preview is None:
        return _("Nobody looked at a preview of this run.")
    at = moment(preview.worked_out_at, zone())
    if preview.whole:
        return _("The preview was worked out {moment}, from the readings of then.", moment=at)
    return ngettext(
        "The preview was worked out {moment} and looked at {count} agreement, a part of all.",
        "The preview was worked out {moment} and looked at {count} agreements, a part of all.",
        preview.looked_at,
        moment=at,
    )


def _show_currency(currency: str, made: BillRunSums | None, foreseen: BillRunSums | None) -> None:
    none = BillRunSums(currency=currency, number=0, held=0, consumption_wh=0, total_minor=0)
    is_there, was_said = made or none, foreseen or none
    rows = (
        (_("Bills"), grouped(str(is_there.number)), grouped(str(was_said.number))),
        (_("Energy"), kwh(is_there.consumption_wh), kwh(was_said.consumption_wh)),
        (_("Total"), money(is_there.total_minor, currency), money(was_said.total_minor, currency)),
        (_("Held for a person"), grouped(str(is_there.held)), grouped(str(was_said.held))),
    )
    with st.container(border=True, gap="small"):
        bills = ngettext(
            "{count} bill in {currency}",
            "{count} bills in {currency}",
            is_there.number,
            currency=escaped(currency),
        )
        st.markdown(f"**{bills}**")
        with st.grid("auto", min_column_width=150, gap=("small", "medium")) as grid:
            for label, value, before in rows:
                with grid.cell(), st.container(gap=None):
                    st.caption(label)
                    st.markdown(f"**{escaped(value)}**")
                    if foreseen:
                        st.caption(_("Preview: {before}", before=escaped(before)))
        st.caption(
            ngettext(
                "{count} is still to be issued, {issued} issued.",
                "{count} are still to be issued, {issued} issued.",
                is_there.drafts,
                issued=is_there.number - is_there.drafts,
            )
        )


def _show_drafts(run: JobRun, principal: Principal, *, may_issue: bool) -> None:
    """The outliers among the drafts that nothing holds, and a button that issues all of them."""
    review = services().bill_approval.review(
        fitting=DraftFilter(of_last_run=True, without_held=True, outliers_only=True),
        choice=DraftChoice(_FREE),
        compare=(),
        principal=principal,
        page=1,
        page_size=_OUTLIERS,
    )
    st.subheader(_("Drafts of this run"), anchor=False)
    _show_outliers(review)
    if run.status in ("running", "interrupted", "paused"):
        st.caption(_("The run is not over: its drafts can be issued together when it is."))
    elif may_issue and may(Permission.APPROVE_BILLS):
        offer_issue(DraftChoice(_FREE), review.totals)
    page_link(
        DRAFTS,
        label=_("Look at the drafts, and at those held"),
        icon=":material/fact_check:",
        query_params=_OF_IT,
    )


def _show_outliers(review: DraftReview) -> None:
    number = review.drafts.total
    if not number:
        st.caption(_("Nothing is unusual about those that are not held."))
        return
    said = ngettext(
        "{count} draft has something unusual to look at, beside those held.",
        "{count} drafts have something unusual to look at, beside those held.",
        number,
    )
    first = _("These are the first.") if number > len(review.drafts.items) else ""
    st.caption(f"{said} {first}")
    with st.grid(2, min_column_width=300, gap="xsmall") as grid:
        for draft in review.drafts.items:
            with grid.cell(), st.container(border=True, gap="xxsmall"):
                total = escaped(money(draft.total_minor, draft.currency))
                page_link(
                    BILL,
                    label=f"**{escaped(draft.meter_serial)}** · {total}",
                    icon=":material/receipt_long:",
                    query_params={"id": draft.id},
                    width="content",
                )
                for sign in signs_of(draft):
                    st.markdown(f":orange[:material/flag:] {escaped(say(sign))}")
    page_link(
        DRAFTS,
        label=_("All outliers"),
        icon=":material/flag:",
        query_params={**_OF_IT, "outliers": "true", "without-held": "true"},
        width="content",
    )
