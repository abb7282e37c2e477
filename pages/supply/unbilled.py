"""What was used while nobody had an agreement: measured, and billed to nobody."""

import streamlit as st

from pages.languages.words import _
from pages.shared.components import chosen_page, page_number
from pages.shared.format import day, escaped, kwh
from pages.shared.session import services
from services.identity.auth import Principal
from services.records.supply import UnbilledUse

_AT_ONCE = 25


def show_unbilled(service_point_id: str | None, principal: Principal) -> None:
    """Of one place, or of all, the latest first; nothing where there is none."""
    key = f"unbilled-{service_point_id}"
    found = services().supply.unbilled_use(
        principal=principal,
        service_point_id=service_point_id,
        page=chosen_page(key),
        page_size=_AT_ONCE,
    )
    if not found.total:
        return
    st.subheader(_("Used while nobody had an agreement"), anchor=False)
    rows = [_("| Place | Days | Meter | Use |"), "|:---|:---|:---|---:|"]
    st.markdown("\n".join([*rows, *map(_row, found.items)]), width="stretch")
    page_number(total=found.total, page_size=_AT_ONCE, key=key)


def _row(use: UnbilledUse) -> str:
    until = day(use.until) if use.until else _("today")
    place = escaped(f"{use.service_point_code} {use.address}")
    days = _("{first} to {last}", first=use.since, last=until)
    return f"| {place} | {days} | {escaped(use.meter_serial)} | {kwh(use.wh)} |"
