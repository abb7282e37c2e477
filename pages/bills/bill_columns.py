"""What a list shows of each bill: its number, whose it is, its period and how it stands."""

from pages.shared.format import BILL_STATUS, Color, day, kwh, money, period
from pages.shared.list_columns import Column
from services.records.bills import BillSummary


def status_color(bill: BillSummary) -> Color:
    """The color of its status."""
    return BILL_STATUS[bill.status][1]


COLUMNS: tuple[Column[BillSummary], ...] = (
    Column(
        label="Number",
        text=lambda bill: bill.reference if bill.number is not None else "Draft",
        sort="number",
        largest_first=True,
        place="title",
    ),
    Column(label="Customer", text=lambda bill: bill.customer_name, sort="customer", place="text"),
    Column(label="Meter", text=lambda bill: bill.meter_serial),
    Column(
        label="Period",
        text=lambda bill: period(bill.period_start, bill.period_end),
        sort="period",
        largest_first=True,
    ),
    Column(label="Used", text=lambda bill: kwh(bill.consumption_wh), right=True),
    Column(
        label="Total",
        text=lambda bill: money(bill.total_minor, bill.currency),
        sort="total",
        largest_first=True,
        right=True,
        place="amount",
    ),
    Column(
        label="Due",
        text=lambda bill: day(bill.due_date) if bill.due_date else "–",
        sort="due",
    ),
    Column(
        label="Status",
        text=lambda bill: BILL_STATUS[bill.status][0],
        color=status_color,
        place="status",
    ),
)


def summary(bill: BillSummary) -> str:
    """What a card says of a bill."""
    return (
        f"{bill.customer_name} · {period(bill.period_start, bill.period_end)} · "
        f"{kwh(bill.consumption_wh)} · meter {bill.meter_serial}"
    )
