"""Stripe's events, each once, and what became of it."""

from pages.reconciliation.stripe_event_cards import OUTCOME, show_events
from pages.registry import RECONCILIATION
from pages.shared.components import search_and_status
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from services.identity.permissions import Permission
from services.records.reconciliation import EventOutcome

# The words people see are also what stands in the address.
OUTCOME_OF: dict[str, EventOutcome] = {
    OUTCOME[outcome][0]: outcome for outcome in ("applied", "waiting", "kept", "ignored")
}


principal = require_permission(Permission.VIEW_PAYMENTS)
page_link(RECONCILIATION, label="Reconciliation", icon=":material/arrow_back:")
show_header("Stripe's events")
asked = search_and_status("Bill, account, or an id or type of Stripe's", OUTCOME_OF)
show_events(*asked, principal)
