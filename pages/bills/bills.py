"""Bills: find one by number, name or meter, and see all of it under an address of its own."""

from datetime import date, timedelta

import streamlit as st

from pages.registry import BILL
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.format import BILL_STATUS, count, day, escaped, kwh, money, month, period
from pages.shared.session import require_role, services, today
from services.identity.auth import Role
from services.quantities.period import first_of_month
from services.records.bills import Bill

PAGE_SIZE = 12
MONTHS_BACK = 24
# The words people see are also what stands in the address.
STATUS_OF = {label: status for status, (label, _) in BILL_STATUS.items()}


def months() -> dict[str, date]:
    """The months one can filter by as people write them, newest first, each with its 1st."""
    first, found = first_of_month(today()), {}
    for _ in range(MONTHS_BACK):
        found[month(first)] = first
        first = first_of_month(first - timedelta(days=1))
    return found


def ask_filters() -> tuple[str, str | None, date | None]:
    """What to look for; each filter is part of the address, so a list can be linked to."""
    by_name = months()
    with st.grid(3, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            text = st.text_input(
                "Search",
                key="q",
                type="search",
                placeholder="Number, customer, account or meter",
                live=True,
                bind="query-params",
            )
        with grid.cell():
            status = st.selectbox(
                "Status",
                list(STATUS_OF),
                index=None,
                key="status",
                placeholder="Every status",
                bind="query-params",
            )
        with grid.cell():
            ends_in = st.selectbox(
                "Month",
                list(by_name),
                index=None,
                key="month",
                placeholder="Every month",
                help="The month that the bill is for: its period ends in it, or on the 1st after.",
                bind="query-params",
            )
    return text or "", STATUS_OF.get(status or ""), by_name.get(ends_in or "")


def show_row(bill: Bill) -> None:
    """One bill as a row: whose and for what, then how much and how it stands."""
    with (
        st.container(border=True),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        with st.container(gap="xxsmall"):
            name = bill.reference if bill.number is not None else "Draft"
            st.page_link(
                BILL.script,
                label=f"**{name}**",
                icon=":material/receipt_long:",
                query_params={"id": bill.id},
            )
            st.caption(
                f"**{escaped(bill.customer_name)}** · "
                f"{period(bill.period_start, bill.period_end)} · "
                f"{kwh(bill.consumption_wh)} · meter {escaped(bill.meter_serial)}"
            )
        with st.container(width="content", gap="xxsmall", horizontal_alignment="right"):
            amount = escaped(money(bill.total_minor, bill.currency))
            st.markdown(f"**{amount}**", text_alignment="right")
            status_badge(bill.status, BILL_STATUS)


def show_list() -> None:
    """A page of what fits; the database searches, counts and cuts."""
    text, status, ends_in = ask_filters()
    # Another question starts at its own first page.
    key = f"bills-page-{text}-{status}-{ends_in}"
    found = services().database.bills(
        text=text, status=status, month=ends_in, page=chosen_page(key), page_size=PAGE_SIZE
    )
    said = count(found.total, "bill") if found.total else "No bill fits."
    as_of = services().database.overdue_as_of() if status == "overdue" else None
    st.caption(f"{said}, overdue as of {day(as_of)}" if found.total and as_of else said)
    with st.container(gap="xsmall"):
        for bill in found.items:
            show_row(bill)
    page_number(total=found.total, page_size=PAGE_SIZE, key=key)


require_role(Role.ADMIN)
if "bill" in st.query_params:
    st.switch_page(BILL.script, query_params={"id": st.query_params["bill"]})
st.title("Bills", anchor=False)
show_list()
