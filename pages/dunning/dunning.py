"""Dunning: what tonight's run sends, who owes, what was done, work orders, and the policy."""

from typing import Final

from pages.dunning.debtors import show_debtors
from pages.dunning.orders import show_orders
from pages.dunning.policy_form import show_policy
from pages.dunning.taken import show_taken
from pages.dunning.tonight import show_tonight
from pages.registry import DUNNING
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.header import show_header
from pages.shared.session import require_permission
from services.identity.permissions import Permission
from services.languages.sentence import N_

_VIEWS: Final = {
    N_("Tonight"): show_tonight,
    N_("Who owes"): show_debtors,
    N_("Taken"): show_taken,
    N_("Work orders"): show_orders,
    N_("Policy"): show_policy,
}

principal = require_permission(Permission.VIEW_DUNNING)
show_header(DUNNING.title)
show_done()
_VIEWS[chosen_view(tuple(_VIEWS), key="list")](principal)
