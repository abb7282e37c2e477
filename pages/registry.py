"""Every page: its script, its address, its title and its icon."""

from dataclasses import dataclass
from typing import Final

from services.identity.permissions import Permission
from services.languages.sentence import N_


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page; `script` is its path below pages/, `path` its address, `icon` a Material symbol.

    `needs` are the permissions of which one opens it; none: everybody who is signed in.
    """

    script: str
    path: str
    title: str
    needs: tuple[Permission, ...]
    icon: str = ""


HOME: Final = PageEntry("home.py", "home", N_("Home"), ())
SUBMIT_READING: Final = PageEntry(
    "readings/submit_reading.py",
    "submit-reading",
    N_("Submit reading"),
    (Permission.SUBMIT_READINGS,),
    "speed",
)
MY_READINGS: Final = PageEntry(
    "readings/my_readings.py",
    "my-readings",
    N_("My readings"),
    (Permission.SUBMIT_READINGS,),
    "history",
)
OVERVIEW: Final = PageEntry(
    "system/overview.py", "overview", N_("Overview"), (Permission.VIEW_BILLS,), "monitoring"
)
FLAGGED_READINGS: Final = PageEntry(
    "readings/flagged_readings.py",
    "flagged-readings",
    N_("Exceptions"),
    (Permission.VIEW_READINGS,),
    "flag",
)
ROUNDS: Final = PageEntry(
    "readings/rounds.py", "rounds", N_("Rounds"), (Permission.VIEW_READINGS,), "route"
)
SMART_METERS: Final = PageEntry(
    "readings/smart_meters.py",
    "smart-meters",
    N_("Smart meters"),
    (Permission.VIEW_READINGS,),
    "sensors",
)
DRAFTS: Final = PageEntry(
    "drafts/drafts.py", "drafts", N_("Drafts"), (Permission.VIEW_BILLS,), "fact_check"
)
BILL_RUNS: Final = PageEntry(
    "bill_runs/bill_runs.py",
    "bill-runs",
    N_("Bill runs"),
    (Permission.VIEW_BILLS,),
    "playlist_add_check",
)
CREDIT_NOTES: Final = PageEntry(
    "bills/credit_notes.py",
    "credit-notes",
    N_("Credit notes"),
    (Permission.VIEW_BILLS,),
    "assignment_return",
)
BILLS: Final = PageEntry(
    "bills/bills.py", "bills", N_("Bills"), (Permission.VIEW_BILLS,), "receipt_long"
)
CUSTOMERS: Final = PageEntry(
    "customers/customers.py", "customers", N_("Customers"), (Permission.VIEW_CUSTOMERS,), "group"
)
CUSTOMER_REQUESTS: Final = PageEntry(
    "customers/customer_requests.py",
    "customer-requests",
    N_("Customers' requests"),
    (Permission.VIEW_CUSTOMERS,),
    "contact_support",
)
SERVICE_POINTS: Final = PageEntry(
    "supply/service_points.py",
    "service-points",
    N_("Service points"),
    (Permission.VIEW_CUSTOMERS,),
    "location_on",
)
PAYMENTS: Final = PageEntry(
    "payments/payments.py", "payments", N_("Payments"), (Permission.VIEW_PAYMENTS,), "payments"
)
BANK_LINES: Final = PageEntry(
    "bank/bank_lines.py",
    "bank-lines",
    N_("Bank lines"),
    (Permission.VIEW_PAYMENTS,),
    "account_balance",
)
AUTOPAY: Final = PageEntry(
    "autopay/autopay.py", "autopay", N_("Autopay"), (Permission.VIEW_PAYMENTS,), "autorenew"
)
DUNNING: Final = PageEntry(
    "dunning/dunning.py", "dunning", N_("Dunning"), (Permission.VIEW_DUNNING,), "campaign"
)
WORK_ORDERS: Final = PageEntry(
    "dunning/work_orders.py",
    "work-orders",
    N_("Work orders"),
    (Permission.SUBMIT_READINGS, Permission.VIEW_DUNNING),
    "power_settings_new",
)
RECONCILIATION: Final = PageEntry(
    "reconciliation/reconciliation.py",
    "reconciliation",
    N_("Reconciliation"),
    (Permission.VIEW_PAYMENTS,),
    "compare_arrows",
)
BOOKS: Final = PageEntry(
    "month_end/books.py", "books", N_("Month's books"), (Permission.VIEW_BOOKS,), "menu_book"
)
REPORTS: Final = PageEntry(
    "reports/reports.py", "reports", N_("Reports"), (Permission.VIEW_BOOKS,), "summarize"
)
CASH_DAY: Final = PageEntry(
    "reports/cash_day.py",
    "cash-day",
    N_("Close the day"),
    (Permission.RECORD_PAYMENTS, Permission.VIEW_BOOKS),
    "point_of_sale",
)
REPORT: Final = PageEntry("reports/report.py", "report", N_("Report"), (Permission.VIEW_BOOKS,))
TARIFFS: Final = PageEntry(
    "tariffs/tariffs.py", "tariffs", N_("Tariffs"), (Permission.VIEW_TARIFFS,), "price_change"
)
NETWORK: Final = PageEntry(
    "network/network.py", "network", N_("Network"), (Permission.VIEW_READINGS,), "hub"
)
JOBS: Final = PageEntry(
    "system/jobs.py", "jobs", N_("Jobs"), (Permission.VIEW_SYSTEM,), "event_repeat"
)
NOTIFICATIONS: Final = PageEntry(
    "system/notifications.py",
    "notifications",
    N_("Notifications"),
    (Permission.VIEW_CUSTOMERS,),
    "notifications",
)
LETTERS: Final = PageEntry(
    "system/letters.py", "letters", N_("Letters"), (Permission.VIEW_CUSTOMERS,), "mail"
)
API_KEYS: Final = PageEntry(
    "system/api_keys.py", "api-keys", N_("API keys"), (Permission.VIEW_SECURITY,), "key"
)
USERS: Final = PageEntry(
    "users/users.py", "users", N_("Users"), (Permission.VIEW_SECURITY,), "manage_accounts"
)
USER: Final = PageEntry("users/user.py", "user", N_("User"), (Permission.VIEW_SECURITY,))
INVITE_USER: Final = PageEntry(
    "users/invite_user.py", "invite-user", N_("Invite a user"), (Permission.MANAGE_USERS,)
)
MY_ACCOUNT: Final = PageEntry("users/my_account.py", "my-account", N_("My account"), ())
SIGN_INS: Final = PageEntry(
    "sign_ins/sign_ins.py", "sign-ins", N_("Sign-ins"), (Permission.VIEW_SECURITY,), "badge"
)
SECURITY_LOG: Final = PageEntry(
    "sign_ins/security_log.py",
    "security-log",
    N_("Security log"),
    (Permission.VIEW_SECURITY,),
    "security",
)
APPROVALS: Final = PageEntry(
    "approvals/approvals.py",
    "approvals",
    N_("Approvals"),
    (Permission.VIEW_BILLS,),
    "approval_delegation",
)
PERMISSIONS: Final = PageEntry(
    "system/permissions.py", "permissions", N_("Permissions"), (), "key_visualizer"
)
SETTINGS: Final = PageEntry(
    "settings/settings.py", "settings", N_("Settings"), (Permission.VIEW_SYSTEM,), "settings"
)
IMPORTS: Final = PageEntry(
    "imports/import_files.py",
    "import",
    N_("Import"),
    (Permission.IMPORT_FILES, Permission.RECORD_PAYMENTS),
    "upload_file",
)
EXPORT: Final = PageEntry(
    "imports/full_export.py", "export", N_("Export"), (Permission.EXPORT_FILES,), "archive"
)
SERVICES: Final = PageEntry(
    "system/services.py", "services", N_("Services"), (Permission.VIEW_SYSTEM,), "lan"
)
BILL: Final = PageEntry(
    "bills/bill.py", "bill", N_("Bill"), (Permission.VIEW_BILLS, Permission.SUBMIT_READINGS)
)
PAYMENT: Final = PageEntry(
    "payments/payment.py", "payment", N_("Payment"), (Permission.VIEW_PAYMENTS,)
)
RECORD_PAYMENT: Final = PageEntry(
    "payments/record_payment.py",
    "record-payment",
    N_("Record a payment"),
    (Permission.RECORD_PAYMENTS,),
)
STRIPE_EVENTS: Final = PageEntry(
    "reconciliation/stripe_events.py",
    "stripe-events",
    N_("Stripe's events"),
    (Permission.VIEW_PAYMENTS,),
)
SEARCH: Final = PageEntry("search/search.py", "search", N_("Search"), (Permission.VIEW_CUSTOMERS,))
SERVICE_POINT: Final = PageEntry(
    "supply/service_point.py", "service-point", N_("Service point"), (Permission.VIEW_CUSTOMERS,)
)
CHANGE_SUPPLY: Final = PageEntry(
    "supply/change_supply.py", "change-supply", N_("Change the supply"), (Permission.CHANGE_SUPPLY,)
)
CONNECT: Final = PageEntry(
    "supply/connect.py", "connect", N_("Connect a customer"), (Permission.CHANGE_SUPPLY,)
)
CUSTOMER: Final = PageEntry(
    "customers/customer.py", "customer", N_("Customer"), (Permission.VIEW_CUSTOMERS,)
)
FLAGGED_READING: Final = PageEntry(
    "readings/flagged_reading.py",
    "flagged-reading",
    N_("Flagged reading"),
    (Permission.VIEW_READINGS,),
)
ESTIMATE_READING: Final = PageEntry(
    "readings/estimate_reading.py",
    "estimate-reading",
    N_("Estimate a reading"),
    (Permission.DECIDE_READINGS,),
)
METER: Final = PageEntry("meters/meter.py", "meter", N_("Meter"), (Permission.VIEW_CUSTOMERS,))
TARIFF: Final = PageEntry("tariffs/tariff.py", "tariff", N_("Tariff"), (Permission.VIEW_TARIFFS,))
TARIFF_EDITOR: Final = PageEntry(
    "tariffs/tariff_editor.py", "tariff-editor", N_("Write a tariff"), (Permission.PUBLISH_TARIFFS,)
)
CORRECT_BILL: Final = PageEntry(
    "corrections/correct_bill.py", "correct-bill", N_("Correct a bill"), (Permission.VOID_BILLS,)
)
CORRECT_READING: Final = PageEntry(
    "corrections/correct_reading.py",
    "correct-reading",
    N_("Correct a reading"),
    (Permission.DECIDE_READINGS,),
)
TARIFF_CORRECTION: Final = PageEntry(
    "tariffs/tariff_correction.py",
    "tariff-correction",
    N_("Correct a tariff"),
    (Permission.VOID_BILLS,),
)
