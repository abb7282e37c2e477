"""What the next bill run will bill, what it cannot bill, and what it leaves to a person."""

from typing import Final

import streamlit as st

from pages.drafts.draft_totals import change
from pages.languages.words import Said, _, ngettext, say
from pages.registry import BILL, DRAFTS, JOBS, METER
from pages.shared.components import description_list
from pages.shared.format import (
    count,
    day,
    escaped,
    grouped,
    kwh,
    moment,
    money,
    ordinal,
    period,
)
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
from services.languages.sentence import N_

_WHY: Final = Said(
    {
        "no_reading": N_("No reading yet"),
        "not_estimated": N_("No reading, and it cannot be estimated"),
        "estimated_too_often": N_("Estimated as often as allowed: read the meter"),
        "flagged_reading": N_("The reading waits for review"),
        "fallen_register": N_("The register fell"),
        "tariff_missing": N_("No tariff in force"),
        "not_priced": N_("Cannot be priced"),
    }
)
_DIFFERS: Final[dict[Differs, str]] = {
    "more": N_("more than {factor} times as much a day"),
    "less": N_("less than 1/{factor} as much a day"),
    "no_use": N_("no use after use"),
    "negative": N_("a negative total"),
}


def show_next_run(principal: Principal) -> None:
    """When it is, and on request everything that it would do with today's readings."""
    run = next_bill_run(services(), principal=principal, now=now())
    drafts = services().issuer.approval
    with st.container(border=True):
        st.markdown(f"**{day(run.on)}**")
        description_list(
            [
                (_("Starts"), moment(run.at, zone())),
                (
                    _("Bills"),
                    _("who is billed on the {ordinal}", ordinal=ordinal(run.billing_day)),
                ),
                (_("Agreements"), grouped(str(run.agreements))),
                (
                    _("Makes"),
                    _("drafts, to be approved") if drafts else _("bills, issued at once"),
                ),
            ],
            least_width=150,
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button(_("Show what it will do"), type="primary", key="preview")
            page_link(JOBS, label=_("Run it now"), icon=":material/play_arrow:")
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
    percent = round(found.share * 100)
    part = _("about {percent}%", percent=percent) if found.share >= 0.01 else _("less than 1%")
    st.warning(
        ngettext(
            "This is {count} agreement, {part} of all: the time was up. It was taken from all over "
            "the utility.",
            "These are {count} agreements, {part} of all: the time was up. They were taken from "
            "all over the utility, so they stand for the others.",
            found.looked_at,
            part=part,
        )
    )
    return st.button(_("Look at more"), key="preview-more", icon=":material/more_horiz:")


def _worked_out(
    run: PlannedRun, principal: Principal, found: BillRunPreview | None
) -> BillRunPreview:
    bar = st.progress(0.0, text=_("Working out the bills"))
    made = BillRunPreview(whole=True)
    for made in preview_bill_run(services(), run, principal=principal, now=now(), found=found):
        looked_at = ngettext(
            "{count} agreement looked at", "{count} agreements looked at", made.looked_at
        )
        bar.progress(made.share, text=looked_at)
    bar.empty()
    return made


def _show(found: BillRunPreview, run: PlannedRun) -> None:
    st.caption(_("Worked out from the readings that are stored now; nothing was billed."))
    billed = max(run.agreements - found.looked_at, 0) if found.whole else 0
    if billed and found.looked_at:
        st.caption(
            ngettext(
                "{count} agreement is billed for the month already.",
                "{count} agreements are billed for the month already.",
                billed,
            )
        )
    if not found.looked_at:
        st.info(_("Everybody of this day is billed already."), icon=":material/check_circle:")
        return
    for currency, sums in sorted(found.sums.items()):
        _show_sums(currency, sums)
    _show_left_out(found)
    _show_outliers(found)
    _show_not_billed(found)
    _show_held(found)
    if found.largest:
        st.subheader(_("Largest bills"), anchor=False)
        _show_bills(found.largest)


def _show_left_out(found: BillRunPreview) -> None:
    """How many have no reading of the billing day, and what becomes of them."""
    if found.too_early:
        st.caption(
            ngettext(
                "{count} agreement was read too shortly after the last bill; the next run bills "
                "the time.",
                "{count} agreements were read too shortly after the last bill; the next run bills "
                "the time.",
                found.too_early,
            )
        )
    if found.estimated:
        wait = services().settings.estimate_after_days
        when = (
            ngettext(
                "{count} day after the billing day", "{count} days after the billing day", wait
            )
            if wait
            else _("by this run")
        )
        st.caption(
            ngettext(
                "{count} reading is missing and will be estimated {when}, unless it comes before.",
                "{count} readings are missing and will be estimated {when}, unless it comes "
                "before.",
                found.estimated,
                when=when,
            )
        )
    if found.disconnected:
        st.caption(
            ngettext(
                "{count} agreement is disconnected and not read; a later bill has the time.",
                "{count} agreements are disconnected and not read; a later bill has the time.",
                found.disconnected,
            )
        )


def _show_sums(currency: str, sums: Sums) -> None:
    """What bills of a currency add up to, beside the last bills of the same agreements."""
    rows = (
        (_("Bills"), grouped(str(sums.number)), grouped(str(sums.last_number)), ""),
        (
            _("Energy"),
            kwh(sums.consumption_wh),
            kwh(sums.last_wh),
            change(sums.alike_wh, sums.usual_wh),
        ),
        (
            _("Total"),
            money(sums.total_minor, currency),
            money(sums.last_minor, currency),
            change(sums.alike_minor, sums.usual_minor),
        ),
    )
    with st.container(border=True, gap="small"):
        bills = ngettext(
            "{count} bill in {currency}",
            "{count} bills in {currency}",
            sums.number,
            currency=escaped(currency),
        )
        st.markdown(f"**{bills}**")
        with st.grid("auto", min_column_width=150, gap=("small", "medium")) as grid:
            for label, value, before, a_day in rows:
                with grid.cell(), st.container(gap=None):
                    st.caption(label)
                    st.markdown(f"**{escaped(value)}**")
                    st.caption(_("Last bills: {before}", before=escaped(before)))
                    if a_day:
                        st.caption(_("A day: {change}", change=escaped(a_day)))
        explained = _(
            "The last bills are those of the same agreements; a day says how much more or less "
            "they are billed, however many days a bill has."
        )
        held = ngettext(
            "{count} bill is kept for a person.", "{count} bills are kept for a person.", sums.held
        )
        st.caption(f"{explained} {held}" if sums.held else explained)


def _show_outliers(found: BillRunPreview) -> None:
    """The bills that are least like the last one of the same agreement."""
    if not found.differing:
        return
    st.subheader(_("Unlike the last bill"), anchor=False)
    said = (
        _("{number} {difference}", number=found.differing[why], difference=_differing(why))
        for why in _DIFFERS
        if found.differing[why]
    )
    st.caption(
        _(
            "{differences}. Those whose amount is furthest from the last come first.",
            differences=escaped(", ".join(said)),
        )
    )
    for _currency, bills in sorted(found.outliers.items()):
        with st.grid(2, min_column_width=300, gap="xsmall") as grid:
            for one in bills:
                with grid.cell():
                    _show_outlier(one)
    number = found.differing.total()
    shown = sum(map(len, found.outliers.values()))
    if shown < number:
        st.caption(_first_shown(shown, number))


def _differing(why: Differs) -> str:
    return _(_DIFFERS[why], factor=FACTOR)


def _first_shown(shown: int, number: int) -> str:
    return _("The first {shown} of {number} are shown.", shown=shown, number=number)


def _show_outlier(one: PreviewedBill) -> None:
    total = escaped(money(one.total_minor, one.currency))
    why = _differing(one.differs) if one.differs else ""
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
                label=_("Before: {amount}, {days}, {use}", amount=before, days=days, use=use),
                icon=":material/receipt_long:",
                query_params={"id": one.last.id},
                width="content",
            )


def _show_not_billed(found: BillRunPreview) -> None:
    if not found.reasons:
        return
    st.subheader(_("Will not be billed"), anchor=False)
    for code, number in sorted(found.reasons.items(), key=lambda one: (-one[1], one[0])):
        why = _WHY[code] if code in _WHY else _("Something else")
        with st.expander(f"{why}: {grouped(str(number))}", type="compact"):
            for row in found.aside:
                if row.code == code:
                    show_set_aside(row)
            shown = sum(row.code == code for row in found.aside)
            if shown < number:
                st.caption(_first_shown(shown, number))


def _show_held(found: BillRunPreview) -> None:
    if not found.held:
        return
    st.subheader(_("Will be kept as drafts for a person to issue"), anchor=False)
    for one in found.held:
        st.markdown(f"**{escaped(one.meter_serial)}** {escaped(say(one.held_because))}")
    if len(found.held) < found.number_held:
        st.caption(_first_shown(len(found.held), found.number_held))
    page_link(DRAFTS, label=_(DRAFTS.title), icon=":material/fact_check:")


def _show_bills(bills: list[PreviewedBill]) -> None:
    heads = (_("Meter"), _("Days"), _("Use"), _("Total"))
    rows = [f"| {' | '.join(heads)} |", "|:---|:---|---:|---:|"]
    rows += [
        f"| {escaped(one.meter_serial)} | {period(one.period_start, one.period_end)} "
        f"| {kwh(one.consumption_wh)} | {escaped(money(one.total_minor, one.currency))} |"
        for one in bills
    ]
    st.markdown("\n".join(rows), width="stretch")
