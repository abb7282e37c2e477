"""What the next bill run will bill, what it cannot bill, and what it leaves to a person."""

from typing import Final

import streamlit as st

from pages.registry import DRAFTS, JOBS
from pages.shared.components import description_list
from pages.shared.format import count, day, escaped, kwh, moment, money, ordinal, period
from pages.shared.permitted import page_link
from pages.shared.session import now, services, zone
from pages.system.job_set_aside import show_set_aside
from services.identity.auth import Principal
from services.jobs.bill_run_preview import (
    BillRunPreview,
    PlannedRun,
    PreviewedBill,
    next_bill_run,
    preview_bill_run,
)

_WHY: Final = {
    "no_reading": "No reading yet",
    "not_estimated": "No reading, and it cannot be estimated",
    "estimated_too_often": "Estimated as often as may be: read the meter",
    "flagged_reading": "The reading waits for review",
    "fallen_register": "The register fell",
    "tariff_missing": "No tariff in force",
    "not_priced": "Cannot be priced",
}


def show_next_run(principal: Principal) -> None:
    """When it is, and on request everything that it would do with today's readings."""
    run = next_bill_run(services(), principal=principal, now=now())
    drafts = services().issuer.approval
    with st.container(border=True):
        st.markdown(f"**{day(run.on)}**")
        description_list(
            [
                ("Starts", moment(run.at, zone())),
                ("Bills", f"who is billed on the {ordinal(run.billing_day)}"),
                ("Agreements", f"{run.agreements:,}"),
                ("Makes", "drafts, to be approved" if drafts else "bills, issued at once"),
            ],
            least_width=150,
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button("Show what it will do", type="primary", key="preview")
            page_link(JOBS, label="Run it now", icon=":material/play_arrow:")
    kept = f"bill-run-{run.on}"
    if pressed:
        st.session_state[kept] = _worked_out(run, principal)
    found = st.session_state.get(kept)
    if isinstance(found, BillRunPreview):
        _show(found, run)


def _worked_out(run: PlannedRun, principal: Principal) -> BillRunPreview:
    found = BillRunPreview(whole=True)
    bar = st.progress(0.0, text="Working out the bills")
    for found in preview_bill_run(services(), run, principal=principal, now=now()):
        share = found.looked_at / max(run.agreements, found.looked_at, 1)
        bar.progress(share, text=f"{count(found.looked_at, 'agreement')} looked at")
    bar.empty()
    return found


def _show(found: BillRunPreview, run: PlannedRun) -> None:
    st.caption(
        "Worked out from the readings that are stored now; nothing was billed."
        + ("" if found.whole else f" These are {found.looked_at:,} of {run.agreements:,}.")
    )
    billed = max(run.agreements - found.looked_at, 0) if found.whole else 0
    if billed and found.looked_at:
        st.caption(
            f"{count(billed, 'agreement is', 'agreements are')} billed for the month already."
        )
    if not found.looked_at:
        st.info("Everybody of this day is billed already.", icon=":material/check_circle:")
        return
    for currency, sums in sorted(found.sums.items()):
        with st.container(border=True, gap="small"):
            st.markdown(f"**{count(sums.number, 'bill')} in {escaped(currency)}**")
            description_list(
                [
                    ("Energy", kwh(sums.consumption_wh)),
                    ("Total", money(sums.total_minor, currency)),
                    ("Kept for a person", f"{sums.held:,}"),
                ],
                least_width=120,
            )
    if found.too_early:
        said = count(found.too_early, "agreement was", "agreements were")
        st.caption(f"{said} read too shortly after the last bill; the next run bills the time.")
    if found.estimated:
        said = count(found.estimated, "reading is", "readings are")
        wait = services().settings.estimate_after_days
        when = f"{count(wait, 'day')} after the billing day" if wait else "by this run"
        st.caption(f"{said} missing and will be estimated {when}, unless it comes before.")
    if found.disconnected:
        said = count(found.disconnected, "agreement is", "agreements are")
        st.caption(f"{said} disconnected and not read; a later bill has the time.")
    _show_not_billed(found)
    _show_held(found)
    if found.largest:
        st.subheader("Largest bills", anchor=False)
        _show_bills(found.largest)


def _show_not_billed(found: BillRunPreview) -> None:
    if not found.reasons:
        return
    st.subheader("Will not be billed", anchor=False)
    for code, number in sorted(found.reasons.items(), key=lambda one: (-one[1], one[0])):
        label = f"{_WHY.get(code, 'Something else')}: {number:,}"
        with st.expander(label, type="compact"):
            for row in found.aside:
                if row.code == code:
                    show_set_aside(row)
            shown = sum(row.code == code for row in found.aside)
            if shown < number:
                st.caption(f"The first {shown} of {number:,} are shown.")


def _show_held(found: BillRunPreview) -> None:
    if not found.held:
        return
    st.subheader("Will be kept as drafts for a person to issue", anchor=False)
    for one in found.held:
        st.markdown(f"**{escaped(one.meter_serial)}** {escaped(one.held_because)}")
    if len(found.held) < found.number_held:
        st.caption(f"The first {len(found.held)} of {found.number_held:,} are shown.")
    page_link(DRAFTS, label="Drafts", icon=":material/fact_check:")


def _show_bills(bills: list[PreviewedBill]) -> None:
    rows = ["| Meter | Days | Use | Total |", "|:---|:---|---:|---:|"]
    rows += [
        f"| {escaped(one.meter_serial)} | {period(one.period_start, one.period_end)} "
        f"| {kwh(one.consumption_wh)} | {escaped(money(one.total_minor, one.currency))} |"
        for one in bills
    ]
    st.markdown("\n".join(rows), width="stretch")
