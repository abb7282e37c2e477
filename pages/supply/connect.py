"""Connect a customer: customer, place, agreement, meter and opening reading on one page."""

from pages.languages.words import _
from pages.registry import CONNECT, SERVICE_POINTS
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from pages.supply.connect_form import show_connect
from services.identity.permissions import Permission

principal = require_permission(Permission.CHANGE_SUPPLY)
page_link(SERVICE_POINTS, label=_("All service points"), icon=":material/arrow_back:")
show_header(CONNECT.title)
show_connect(principal)
