"""A tariff: which version holds, two of them side by side, one tried out, a month replayed."""

from collections.abc import Sequence
from datetime import date
from functools import partial

import streamlit as st

from pages.approvals.asking import show_requests
from pages.languages.addresses import select
from pages.languages.words import _, ngettext
from pages.registry import TARIFF_CORRECTION, TARIFF_EDITOR
from pages.shared.components import description_list
from pages.shared.detail import chosen_view
from pages.shared.format import count, day, escaped, file_name, moment
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import called, error_boundary, require_permission, services, today, zone
from pages.shared.timeline import show_timeline
from pages.tariffs.tariff_compare import show_changes, show_version
from pages.tariffs.tariff_impact import show_replay
from pages.tariffs.tariff_preview import show_preview
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.language import Language
from services.languages.sentence import N_
from services.records.tariffs import PublishedVersion, TariffSummary
from services.tariff_publishing.json_text import pretty

SHOWN = (N_("Charges"), N_("Preview"), N_("Who pays more"), N_("Timeline"))


def show_tariff(code: str, principal: Principal) -> None:
    """The tariff with this code; raises NotFound."""
    found = services().tariff_publishing.tariff(code=code, principal=principal)
    _show_head(found.tariff)
    show_requests(["tariff", "tariff_correction"], [found.tariff.code], principal)
    _show_left(found.tariff, principal)
    chosen, other = _ask_versions(found.versions)
    _show_origin(chosen)
    shown = chosen_view(SHOWN, key="show")
    if shown == "Charges" and other:
        show_changes(other.tariff, chosen.tariff)
    elif shown == "Charges":
        show_version(chosen.tariff)
    elif shown == "Timeline":
        show_timeline("tariff", found.tariff.id, principal)
    else:
        st.fragment(partial(_refreshed, shown, chosen, other))()


def _refreshed(shown: str, chosen: PublishedVersion, other: PublishedVersion | None) -> None:
    """What is drawn again as a slider moves; asks for the permission itself, as a page does."""
    with error_boundary():
        principal = require_permission(Permission.VIEW_TARIFFS)
        if shown == "Preview":
            against = (version_name(other.effective_from), other.tariff) if other else None
            show_preview(chosen.tariff, today=today(), key=f"try-{chosen.id}", against=against)
        else:
            show_replay(chosen.tariff, principal, key=f"replay-{chosen.id}")


def _show_head(tariff: TariffSummary) -> None:
    show_header(tariff.name)
    description_list(
        [
            (_("Code"), tariff.code),
            (_("Currency"), tariff.currency),
            (_("On it"), count(tariff.meters, "meter")),
            (
                _("Billed up to"),
                day(tariff.billed_until) if tariff.billed_until else _("not yet"),
            ),
        ],
        least_width=110,
    )


def _show_left(tariff: TariffSummary, principal: Principal) -> None:
    left = services().tariff_correction.left(tariff_id=tariff.id, limit=1, principal=principal)
    if left.bills:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                ngettext(
                    ":material/history: **{count} bill** is priced by a version that was "
                    "corrected.",
                    ":material/history: **{count} bills** are priced by a version that was "
                    "corrected.",
                    left.bills,
                )
            )
            page_link(
                TARIFF_CORRECTION,
                label=_("Reissue them"),
                query_params={"code": tariff.code},
            )


def _ask_versions(
    versions: Sequence[PublishedVersion],
) -> tuple[PublishedVersion, PublishedVersion | None]:
    """The version to look at, first the one in force, and another to compare it with."""
    by_day = {version.effective_from: version for version in versions}
    days = list(by_day)
    in_force = next((begins for begins in days if begins <= today()), days[-1])
    with st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            chosen = select(
                _("Version"),
                days,
                default=in_force,
                said=_version_in,
                slug_of=date.isoformat,
                key="version",
            )
        begins = chosen or in_force
        others = [other for other in days if other != begins]
        earlier = [other for other in others if other < begins]
        with grid.cell():
            compared = st.selectbox(
                _("Compared with"),
                [None, *others],
                index=1 + others.index(earlier[0]) if earlier else 0,
                format_func=lambda other: version_name(other) if other else _("Nothing"),
                key=f"compared-{begins}",
            )
    return by_day[begins], by_day[compared] if compared else None


def _show_origin(version: PublishedVersion) -> None:
    if version.published_by:
        at = moment(version.published_at, zone())
        by = escaped(called(version.published_by))
        done = (
            _("Corrected by {user}, {at}", user=by, at=at)
            if version.replaces_id
            else _("Published by {user}, {at}", user=by, at=at)
        )
        why = f": {escaped(version.correction_reason)}" if version.correction_reason else ""
        st.caption(f"{done}{why}")
    with st.container(horizontal=True, vertical_alignment="center"):
        page_link(
            TARIFF_EDITOR,
            label=_("Write a new version from this one"),
            icon=":material/edit:",
            query_params={"code": version.code, "from": version.effective_from.isoformat()},
        )
        page_link(
            TARIFF_CORRECTION,
            label=_("Correct this version"),
            icon=":material/edit_document:",
            query_params={"code": version.code, "from": version.effective_from.isoformat()},
        )
        st.download_button(
            "JSON",
            pretty(version.tariff.to_json()),
            file_name=file_name(f"{version.code}-{version.effective_from}.json"),
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            type="tertiary",
        )


def version_name(begins: date) -> str:
    """What a version that holds from a local date is called."""
    return _("From {day}", day=begins)


def _version_in(spoken: Language, begins: date) -> str:
    return spoken.gettext("From {day}", day=begins)
