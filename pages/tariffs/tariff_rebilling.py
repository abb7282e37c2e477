"""The bills that a corrected version of a tariff priced: what is left, and reissuing them."""

from collections.abc import Sequence
from datetime import date

import streamlit as st

from pages.corrections.correction_preview import more_or_less
from pages.languages.words import _, ngettext, say
from pages.shared.format import count, counted, escaped, money
from pages.shared.session import now, services, today
from services.corrections.bill_changes import back_billing_limit
from services.corrections.tariff_correction import MeterOutcome, MeterPreview
from services.identity.auth import Principal
from services.records.base import COUNTED_TO
from services.records.corrections import BillsToCorrect
from services.records.tariffs import PublishedVersion

_PREVIEWED = 10
_AT_ONCE = 50
_FAILED = "tariff-rebilling-failed"


def show_left(versions: Sequence[PublishedVersion], principal: Principal) -> None:
    """What earlier corrections of a tariff left, with before and after, and the way to do it."""
    tariff_id, currency = versions[0].tariff_id, versions[0].currency
    left = services().tariff_correction.left(
        tariff_id=tariff_id, limit=_PREVIEWED, principal=principal
    )
    _show_failed()
    if not left.bills:
        if any(version.replaces_id for version in versions):
            st.success(
                _("All bills are priced by the versions as they are now."),
                icon=":material/check:",
            )
        return
    with st.container(border=True):
        st.markdown(
            ngettext(
                "**{count} bill** of {meters}, together {amount}, is still priced by a version "
                "that was corrected.",
                "**{count} bills** of {meters}, together {amount}, are still priced by a version "
                "that was corrected.",
                left.bills,
                meters=counted(left.meters_in_all, "meter"),
                amount=escaped(money(left.total_minor, currency)),
            )
        )
        meters_table(services().tariff_correction.preview(left.meters, now=now()), currency)
        show_more(left)
        acknowledged = ask_warning(left.since, confirm=True)
        st.caption(
            _(
                "One meter after the other is corrected. You may leave this page and come back: "
                "what is done is done, and what is left is shown here. Each customer gets one "
                "message for each meter."
            )
        )
        if st.button(
            _("Reissue them"), type="primary", key="rebill-all", disabled=not acknowledged
        ):
            _rebill_all(tariff_id, left, _reason(versions), principal)


def ask_warning(since: date | None, *, confirm: bool) -> bool:
    """The back-billing limit where it is reached; whether one may go on."""
    months = services().settings.back_billing_months
    limit = back_billing_limit(today=today(), months=months)
    if since is None or since >= limit:
        return True
    st.warning(
        _(
            "Back-billing: some bills reach back before {day}, more than {months}. Rules may "
            "forbid to charge more for days so long ago.",
            day=limit,
            months=count(months, "month"),
        ),
        icon=":material/history:",
    )
    return not confirm or st.checkbox(_("I have seen this, and correct them nevertheless"))


def show_more(found: BillsToCorrect) -> None:
    """How many meters there are beside those that are shown."""
    if found.meters_in_all > COUNTED_TO:
        st.caption(_("And many more."))
    elif found.meters_in_all > len(found.meters):
        more = found.meters_in_all - len(found.meters)
        st.caption(ngettext("And {count} more meter.", "And {count} more meters.", more))


def meters_table(previews: Sequence[MeterPreview], currency: str) -> None:
    """Meters with their bills, before and after."""
    rows = [_("| Account, meter | Before → after | Change |"), "|:---|---:|---:|"]
    rows += [_row(one, currency) for one in previews]
    st.markdown("\n".join(rows), width="stretch")


def _row(one: MeterPreview, currency: str) -> str:
    name = f"{escaped(one.meter.account_no)} :gray[:small[{escaped(one.meter.serial)}]]"
    if one.plan is None:
        return f"| {name} | :orange[{escaped(say(one.why))}] | |"
    before = sum(change.before_minor for change in one.plan.changes)
    after = sum(change.after_minor for change in one.plan.changes)
    bills = count(len(one.plan.voided), "bill")
    amounts = f"{escaped(money(before, currency))} → {escaped(money(after, currency))}"
    change = escaped(more_or_less(after - before, currency))
    return f"| {name} :gray[:small[{bills}]] | {amounts} | {change} |"


def _reason(versions: Sequence[PublishedVersion]) -> str:
    """Why the version that was corrected last was."""
    corrected = [version for version in versions if version.replaces_id]
    return max(corrected, key=lambda version: version.published_at).correction_reason


def _rebill_all(tariff_id: str, left: BillsToCorrect, reason: str, principal: Principal) -> None:
    bar, done, failed, after = st.progress(0.0), 0, [], None
    in_all = max(left.meters_in_all, 1)
    corrections = services().tariff_correction
    while meters := corrections.left(
        tariff_id=tariff_id, after=after, limit=_AT_ONCE, principal=principal
    ).meters:
        for meter in meters:
            said = _("{done} of {meters}", done=done, meters=counted(in_all, "meter"))
            bar.progress(min(done / in_all, 1.0), text=said)
            found = corrections.rebill(
                meter, reason=reason, acknowledged=True, principal=principal, now=now()
            )
            done += 1
            failed += [found] if found.correction is None else []
        after = meters[-1]
    st.session_state[_FAILED] = failed
    corrected = ngettext(
        "{count} meter corrected.", "{count} meters corrected.", done - len(failed)
    )
    st.toast(corrected, icon=":material/check_circle:")
    st.rerun()


def _show_failed() -> None:
    failed: list[MeterOutcome] = st.session_state.pop(_FAILED, [])
    for one in failed:
        said = _(
            "Meter {serial}: {why}", serial=escaped(one.meter.serial), why=escaped(say(one.why))
        )
        st.error(said, icon=":material/error:")
