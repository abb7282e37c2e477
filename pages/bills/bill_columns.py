"""What a list shows of each bill: its number, whose it is, its period and how it stands."""

from pages.languages.words import _
from pages.shared.format import BILL_STATUS, Color, day, kwh, money, period
from pages.shared.list_columns import Column
from services.languages.sentence import N_
from services.records.bills import BillSummary


def status_color(bill: BillSummary) -> Color:
    """The color of its status."""
    return BILL_STATUS[bill.status][1]


COLUMNS: tuple[Column[BillSummary], ...] = (
    Column(
        label=N_("Number"),
        text=lambda bill: bill.reference if bill.number is not None else _("Draft"),
        sort="number",
        largest_first=True,
        place="title",
    ),
    Column(
        label=N_("Customer"), text=lambda bill: bill.customer_name, sort="customer", place="text"
    ),
    Column(label=N_("Meter"), text=lambda bill: bill.meter_serial),
    Column(
        label=N_("Period"),
        text=lambda bill: period(bill.period_start, bill.period_end),
        sort="period",
        largest_first=True,
    ),
    Column(label=N_("Used"), text=lambda bill: kwh(bill.consumption_wh), right=True),
    Column(
        label=N_("Total"),
        text=lambda bill: money(bill.total_minor, bill.currency),
        sort="total",
        largest_first=True,
        right=True,
        place="amount",
    ),
    Column(
        label=N_("Due"),
        text=lambda bill: day(bill.due_date) if bill.due_date else "–",
        sort="due",
    ),
    Column(
        label=N_("Status"),
        text=lambda bill: BILL_STATUS[bill.status][0],
        color=status_color,
        place="status",
    ),
)


def summary(bill: BillSummary) -> tuple[str, ...]:
    """What a card says of a bill."""
    return (
        bill.customer_name,
        period(bill.period_start, bill.period_end),
        kwh(bill.consumption_wh),
        _("Meter {serial}", serial=bill.meter_serial),
    )
