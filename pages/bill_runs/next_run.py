"""What the next bill run will bill, what it cannot bill, and what it leaves to a person."""

from typing import Final

import streamlit as st

from pages.drafts.draft_totals import change
from pages.registry import BILL, DRAFTS, JOBS, METER
from pages.shared.components import description_list
from pages.shared.format import count, day, escaped, kwh, moment, money, ordinal, period
from pages.shared.permitted import page_link
from pages.shared.session import now, services, zone
from pages.system.job_set_aside import show_set_aside
from services.billing.against_last import FACTOR, Differs
from services.identity.auth import Principal
from services.jobs.bill_run_preview import (
    BillRunPreview,
    PlannedRun,
    PreviewedBill,
    Sums,
    next_bill_run,
    preview_bill_run,
)

_WHY: Final = {
    "no_reading": "No reading yet",
    "not_estimated": "No reading, and it cannot be estimated",
    "estimated_too_often": "Estimated as often as allowed: read the meter",
    "flagged_reading": "The reading waits for review",
    "fallen_register": "The register fell",
    "tariff_missing": "No tariff in force",
    "not_priced": "Cannot be priced",
}
_DIFFERS: Final[dict[Differs, str]] = {
    "more": f"more than {FACTOR} times as much a day",
    "less": f"less than 1/{FACTOR} as much a day",
    "no_use": "no use after use",
    "negative": "a negative total",
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
    found = st.session_state.get(kept)
    if pressed:
        found = _worked_out(run, principal, None)
    if not isinstance(found, BillRunPreview):
        return
    if not found.whole and _asked_to_go_on(found):
        st.session_state[kept] = _worked_out(run, principal, found)
        st.rerun()
    st.session_state[kept] = found
    _show(found, run)


def _asked_to_go_on(found: BillRunPreview) -> bool:
    part = f"about {found.share:.0%}" if found.share >= 0.01 else "less than 1%"
    st.warning(
        f"These are {count(found.looked_at, 'agreement')}, {part} of all: the time was up. They "
        "are taken in the order of their ids, which are random, so they stand for the others."
    )
    return st.button("Look at more", key="preview-more", icon=":material/more_horiz:")


def _worked_out(
    run: PlannedRun, principal: Principal, found: BillRunPreview | None
) -> BillRunPreview:
    bar = st.progress(0.0, text="Working out the bills")
    made = BillRunPreview(whole=True)
    for made in preview_bill_run(services(), run, principal=principal, now=now(), found=found):
        bar.progress(made.share, text=f"{count(made.looked_at, 'agreement')} looked at")
    bar.empty()
    return made


def _show(found: BillRunPreview, run: PlannedRun) -> None:
    st.caption("Worked out from the readings that are stored now; nothing was billed.")
    billed = max(run.agreements - found.looked_at, 0) if found.whole else 0
    if billed and found.looked_at:
        st.caption(
            f"{count(billed, 'agreement is', 'agreements are')} billed for the month already."
        )
    if not found.looked_at:
        st.info("Everybody of this day is billed already.", icon=":material/check_circle:")
        return
    for currency, sums in sorted(found.sums.items()):
        _show_sums(currency, sums)
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
    _show_outliers(found)
    _show_not_billed(found)
    _show_held(found)
    if found.largest:
        st.subheader("Largest bills", anchor=False)
        _show_bills(found.largest)


def _show_sums(currency: str, sums: Sums) -> None:
    """What bills of a currency add up to, beside the last bills of the same agreements."""
    rows = (
        ("Bills", f"{sums.number:,}", f"{sums.last_number:,}", ""),
        (
            "Energy",
            kwh(sums.consumption_wh),
            kwh(sums.last_wh),
            change(sums.alike_wh, sums.usual_wh),
        ),
        (
            "Total",
            money(sums.total_minor, currency),
            money(sums.last_minor, currency),
            change(sums.alike_minor, sums.usual_minor),
        ),
    )
    with st.container(border=True, gap="small"):
        st.markdown(f"**{count(sums.number, 'bill')} in {escaped(currency)}**")
        with st.grid("auto", min_column_width=150, gap=("small", "medium")) as grid:
            for label, value, before, a_day in rows:
                with grid.cell(), st.container(gap=None):
                    st.caption(label)
                    st.markdown(f"**{escaped(value)}**")
                    st.caption(f"Last bills: {escaped(before)}")
                    if a_day:
                        st.caption(f"A day: {escaped(a_day)}")
        held = (
            f" {count(sums.held, 'bill is', 'bills are')} kept for a person." if sums.held else ""
        )
        st.caption(
            "The last bills are those of the same agreements; a day says how much more or less "
            f"they are billed, however many days a bill has.{held}"
        )


def _show_outliers(found: BillRunPreview) -> None:
    """The bills that are least like the last one of the same agreement."""
    if not found.differing:
        return
    st.subheader("Unlike the last bill", anchor=False)
    said = (f"{found.differing[why]:,} {_DIFFERS[why]}" for why in _DIFFERS if found.differing[why])
    st.caption(
        f"{escaped(', '.join(said))}. Those whose amount is furthest from the last come first."
    )
    for _, bills in sorted(found.outliers.items()):
        with st.grid(2, min_column_width=300, gap="xsmall") as grid:
            for one in bills:
                with grid.cell():
                    _show_outlier(one)
    number = found.differing.total()
    shown = sum(map(len, found.outliers.values()))
    if shown < number:
        st.caption(f"The first {shown} of {number:,} are shown.")


def _show_outlier(one: PreviewedBill) -> None:
    total = escaped(money(one.total_minor, one.currency))
    why = _DIFFERS[one.differs] if one.differs else ""
    with st.container(border=True, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            page_link(
                METER,
                label=f"**{escaped(one.meter_serial)}**",
                icon=":material/electric_meter:",
                query_params={"id": one.meter_id},
                width="content",
            )
            st.markdown(f"**{total}**, {escaped(why)}", width="content")
        st.caption(f"{period(one.period_start, one.period_end)} · {kwh(one.consumption_wh)}")
        if one.last is not None:
            before = escaped(money(one.last.total_minor, one.last.currency))
            days, use = count(one.last.days, "day"), kwh(one.last.consumption_wh)
            page_link(
                BILL,
                label=f"Before: {before}, {days}, {use}",
                icon=":material/receipt_long:",
                query_params={"id": one.last.id},
                width="content",
            )


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
