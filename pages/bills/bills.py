"""Bills: find them by number, name or meter, sort, choose, export; each has a page of its own."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import streamlit as st

from pages.bills.bill_columns import COLUMNS, summary
from pages.languages.addresses import month_slug, select
from pages.languages.words import _
from pages.registry import BILL, BILLS
from pages.shared.download import download_button
from pages.shared.format import BILL_STATUS, count, day
from pages.shared.header import show_header
from pages.shared.history import go_on_to
from pages.shared.list_columns import Listing
from pages.shared.list_filters import ask_days, ask_status, ask_text
from pages.shared.listing import show_list
from pages.shared.session import require_permission, services, today
from services.identity.permissions import Permission
from services.languages.language import Language
from services.quantities.period import first_of_month, next_month
from services.records.bills import BillStatus, BillSummary
from services.records.lists import BillFilter

MONTHS_BACK = 24
STATUS_OF: dict[str, BillStatus] = {
    BILL_STATUS[status][0]: status
    for status in ("draft", "issued", "partially_paid", "overdue", "paid", "void")
}


def months() -> list[date]:
    """The first days of the months one can filter by, newest first."""
    found = [first_of_month(today())]
    while len(found) < MONTHS_BACK:
        found.append(first_of_month(found[-1] - timedelta(days=1)))
    return found


def ask_filters() -> BillFilter:
    """What to look for; each filter is part of the address, so a list can be linked to."""
    with st.grid(6, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell(column_span=2):
            text = ask_text(_("Number, customer, account or meter"))
        with grid.cell():
            status = ask_status(STATUS_OF)
        with grid.cell():
            first = select(
                _("Month"),
                months(),
                said=Language.month,
                slug_of=month_slug,
                key="month",
                placeholder=_("Every month"),
                help=_(
                    "The month that the bill is for: its period ends in it, or on the 1st after."
                ),
            )
        with grid.cell(column_span=2):
            issued_from, issued_to = ask_days(_("Issued"))
    return BillFilter(
        text=text,
        status=status,
        ended_after=first,
        ended_by=next_month(first) if first else None,
        issued_from=issued_from,
        issued_to=issued_to,
    )


def offer_pdfs(bills: Sequence[BillSummary]) -> None:
    """The PDFs of the bills chosen, in one file."""
    issued = [bill for bill in bills if bill.number is not None]
    if issued:
        download_button(
            count(len(issued), "PDF"),
            lambda: services().lists.bill_pdfs(bills=issued, principal=principal),
            file_name=f"bills-{today().isoformat()}.zip",
            mime="application/zip",
            icon=":material/picture_as_pdf:",
            key="pdfs",
        )


principal = require_permission(Permission.VIEW_BILLS)
if "bill" in st.query_params:
    go_on_to(BILL, id=st.query_params["bill"])
show_header(BILLS.title)
wanted = ask_filters()
lists = services().lists
as_of = lists.overdue_as_of(principal=principal) if wanted.status == "overdue" else None
show_list(
    Listing(
        noun="bill",
        page=BILL,
        columns=COLUMNS,
        summary=summary,
        sort="period",
        descending=True,
        asked=wanted,
        fetch=lambda page: lists.bills(wanted=wanted, page=page, principal=principal),
        file=lambda page, kind, ids: lists.bills_file(
            wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
        ),
    ),
    note=_(", overdue as of {as_of}", as_of=day(as_of)) if as_of else "",
    actions=offer_pdfs,
)
