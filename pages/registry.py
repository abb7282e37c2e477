"""Every page: its script, its address, its title and its icon."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page; `script` is its path below pages/, `path` its address, `icon` a Material symbol."""

    script: str
    path: str
    title: str
    icon: str = ""


HOME: Final = PageEntry("home.py", "home", "Home")
SUBMIT_READING: Final = PageEntry(
    "readings/submit_reading.py", "submit-reading", "Submit reading", "speed"
)
MY_READINGS: Final = PageEntry("readings/my_readings.py", "my-readings", "My readings", "history")
OVERVIEW: Final = PageEntry("system/overview.py", "overview", "Overview", "monitoring")
FLAGGED_READINGS: Final = PageEntry(
    "readings/flagged_readings.py", "flagged-readings", "Exceptions", "flag"
)
DRAFTS: Final = PageEntry("drafts/drafts.py", "drafts", "Drafts", "fact_check")
BILL_RUNS: Final = PageEntry(
    "bill_runs/bill_runs.py", "bill-runs", "Bill runs", "playlist_add_check"
)
BILLS: Final = PageEntry("bills/bills.py", "bills", "Bills", "receipt_long")
CUSTOMERS: Final = PageEntry("customers/customers.py", "customers", "Customers", "group")
SERVICE_POINTS: Final = PageEntry(
    "supply/service_points.py", "service-points", "Service points", "location_on"
)
PAYMENTS: Final = PageEntry("payments/payments.py", "payments", "Payments", "payments")
BANK_LINES: Final = PageEntry("bank/bank_lines.py", "bank-lines", "Bank lines", "account_balance")
RECONCILIATION: Final = PageEntry(
    "reconciliation/reconciliation.py", "reconciliation", "Reconciliation", "compare_arrows"
)
BOOKS: Final = PageEntry("month_end/books.py", "books", "Month's books", "menu_book")
TARIFFS: Final = PageEntry("tariffs/tariffs.py", "tariffs", "Tariffs", "price_change")
NETWORK: Final = PageEntry("network/network.py", "network", "Network", "hub")
JOBS: Final = PageEntry("system/jobs.py", "jobs", "Jobs", "event_repeat")
NOTIFICATIONS: Final = PageEntry(
    "system/notifications.py", "notifications", "Notifications", "notifications"
)
API_KEYS: Final = PageEntry("system/api_keys.py", "api-keys", "API keys", "key")
SIGN_INS: Final = PageEntry("sign_ins/sign_ins.py", "sign-ins", "Sign-ins", "badge")
SECURITY_LOG: Final = PageEntry(
    "sign_ins/security_log.py", "security-log", "Security log", "security"
)
SETTINGS: Final = PageEntry("settings/settings.py", "settings", "Settings", "settings")
IMPORTS: Final = PageEntry("imports/import_files.py", "import", "Import", "upload_file")
EXPORT: Final = PageEntry("imports/full_export.py", "export", "Export", "archive")
SERVICES: Final = PageEntry("system/services.py", "services", "Services", "lan")
BILL: Final = PageEntry("bills/bill.py", "bill", "Bill")
PAYMENT: Final = PageEntry("payments/payment.py", "payment", "Payment")
RECORD_PAYMENT: Final = PageEntry(
    "payments/record_payment.py", "record-payment", "Record a payment"
)
STRIPE_EVENTS: Final = PageEntry(
    "reconciliation/stripe_events.py", "stripe-events", "Stripe's events"
)
SEARCH: Final = PageEntry("search/search.py", "search", "Search")
SERVICE_POINT: Final = PageEntry("supply/service_point.py", "service-point", "Service point")
CHANGE_SUPPLY: Final = PageEntry("supply/change_supply.py", "change-supply", "Change the supply")
CONNECT: Final = PageEntry("supply/connect.py", "connect", "Connect a customer")
CUSTOMER: Final = PageEntry("customers/customer.py", "customer", "Customer")
FLAGGED_READING: Final = PageEntry(
    "readings/flagged_reading.py", "flagged-reading", "Flagged reading"
)
ESTIMATE_READING: Final = PageEntry(
    "readings/estimate_reading.py", "estimate-reading", "Estimate a reading"
)
METER: Final = PageEntry("meters/meter.py", "meter", "Meter")
TARIFF: Final = PageEntry("tariffs/tariff.py", "tariff", "Tariff")
TARIFF_EDITOR: Final = PageEntry("tariffs/tariff_editor.py", "tariff-editor", "Write a tariff")
CORRECT_BILL: Final = PageEntry("corrections/correct_bill.py", "correct-bill", "Correct a bill")
CORRECT_READING: Final = PageEntry(
    "corrections/correct_reading.py", "correct-reading", "Correct a reading"
)
TARIFF_CORRECTION: Final = PageEntry(
    "tariffs/tariff_correction.py", "tariff-correction", "Correct a tariff"
)
