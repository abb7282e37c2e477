"""What people read of the columns of reports; files have their names."""

from collections.abc import Mapping
from typing import Final

from pages.languages.words import language
from services.languages.sentence import P_
from services.reports.definitions import Column

_REPORT: Final = "report"
LABELS: Final[Mapping[str, str]] = {
    "account": P_("report", "Account"),
    "account_name": P_("report", "Account name"),
    "account_no": P_("report", "Account no"),
    "address": P_("report", "Address"),
    "amount": P_("report", "Amount"),
    "balance": P_("report", "Balance"),
    "base": P_("report", "Base"),
    "bill": P_("report", "Bill"),
    "billed_kwh": P_("report", "Billed kWh"),
    "cashier": P_("report", "Cashier"),
    "code": P_("report", "Code"),
    "credit": P_("report", "Credit"),
    "credit_note": P_("report", "Credit note"),
    "currency": P_("report", "Currency"),
    "customer": P_("report", "Customer"),
    "date": P_("report", "Date"),
    "days_1_30": P_("report", "1 to 30 days"),
    "days_31_60": P_("report", "31 to 60 days"),
    "days_61_90": P_("report", "61 to 90 days"),
    "days_over_90": P_("report", "Over 90 days"),
    "days_past_due": P_("report", "Days past due"),
    "debit": P_("report", "Debit"),
    "document": P_("report", "Document"),
    "due_date": P_("report", "Due date"),
    "entered_by": P_("report", "Entered by"),
    "exported_kwh": P_("report", "Exported kWh"),
    "feeder": P_("report", "Feeder"),
    "figure": P_("report", "Figure"),
    "first_taken_on": P_("report", "First taken on"),
    "from": P_("report", "From"),
    "held": P_("report", "Held"),
    "issued": P_("report", "Issued"),
    "kwh": P_("report", "kWh"),
    "loss_kwh": P_("report", "Loss kWh"),
    "loss_percent": P_("report", "Loss percent"),
    "meter_serial": P_("report", "Meter serial"),
    "method": P_("report", "Method"),
    "month": P_("report", "Month"),
    "name": P_("report", "Name"),
    "net": P_("report", "Net"),
    "not_due": P_("report", "Not due"),
    "note": P_("report", "Note"),
    "of_that_deposits": P_("report", "Of that deposits"),
    "of_unit": P_("report", "Of unit"),
    "past_due_since": P_("report", "Past due since"),
    "payments": P_("report", "Payments"),
    "period_end": P_("report", "Period end"),
    "period_start": P_("report", "Period start"),
    "place": P_("report", "Place"),
    "rate": P_("report", "Rate"),
    "reason": P_("report", "Reason"),
    "received": P_("report", "Received"),
    "register_kwh": P_("report", "Register kWh"),
    "returned": P_("report", "Returned"),
    "supplied_kwh": P_("report", "Supplied kWh"),
    "tariff": P_("report", "Tariff"),
    "tax": P_("report", "Tax"),
    "text": P_("report", "Text"),
    "total": P_("report", "Total"),
    "transformer": P_("report", "Transformer"),
    "type": P_("report", "Type"),
    "unapplied_credit": P_("report", "Unapplied credit"),
    "unit": P_("report", "Unit"),
    "until": P_("report", "Until"),
    "vacant_since": P_("report", "Vacant since"),
    "vacant_until": P_("report", "Vacant until"),
    "value": P_("report", "Value"),
    "voided": P_("report", "Voided"),
}


def column_name(column: Column) -> str:
    """What people read of a column, in the language of the visit: of "due_date" it is Due date."""
    return language().pgettext(_REPORT, LABELS[column.name])
