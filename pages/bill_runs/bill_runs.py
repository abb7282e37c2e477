"""Bill runs: what the next one will do, and on which day of the month who is billed."""

from pages.bill_runs.billing_days import show_billing_days
from pages.bill_runs.next_run import show_next_run
from pages.registry import BILL_RUNS
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.header import show_header
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_BILLS)
show_header(BILL_RUNS.title)
show_done()
if chosen_view(("Next run", "Billing days")) == "Billing days":
    show_billing_days(principal)
else:
    show_next_run(principal)
