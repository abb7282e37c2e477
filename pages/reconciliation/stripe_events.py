"""Stripe's events, each once, and what became of it."""

from pages.languages.words import _
from pages.reconciliation.stripe_event_cards import outcomes, show_events
from pages.registry import RECONCILIATION, STRIPE_EVENTS
from pages.shared.components import search_and_status
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from services.identity.permissions import Permission
from services.records.reconciliation import EventOutcome

ALL: tuple[EventOutcome, ...] = ("applied", "waiting", "kept", "ignored")

principal = require_permission(Permission.VIEW_PAYMENTS)
page_link(RECONCILIATION, label=_(RECONCILIATION.title), icon=":material/arrow_back:")
show_header(STRIPE_EVENTS.title)
# The words people see are also what stands in the address.
named = outcomes()
outcome_of: dict[str, EventOutcome] = {named[outcome][0]: outcome for outcome in ALL}
asked = search_and_status(_("Bill, account, or an id or type of Stripe's"), outcome_of)
show_events(*asked, principal)
