"""Customers' pages of their own, put together: who comes in, what is shown, what is done."""

from dataclasses import dataclass
from datetime import datetime

from services.customer_page.actions import PageActions
from services.customer_page.allowances import Allowance
from services.customer_page.codes import CustomerCodes, NoWayToCustomer
from services.customer_page.lookups import PageLookups
from services.customer_page.paying import CustomerPaying
from services.customer_page.requests import CustomerRequests
from services.customer_page.visits import CustomerVisits
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.language import Language
from services.messages.direct import DirectMessages, Note, WayName
from services.records.customers.pages import Visit


@dataclass(frozen=True, slots=True)
class CustomerPages:
    """Everything behind /my, and what the office does about it."""

    visits: CustomerVisits
    codes: CustomerCodes
    lookups: PageLookups
    actions: PageActions
    requests: CustomerRequests
    paying: CustomerPaying
    direct: DirectMessages
    # How often one address may show a link.
    opening: Allowance
    # Whether there are such pages, and whether messages link to them.
    on: bool
    linked: bool

    def make_link(self, *, customer_id: str, principal: Principal, now: datetime) -> str:
        """A link to hand over, which shows bills alone; raises NotAllowed."""
        require(principal, Permission.CHANGE_CUSTOMERS)
        return self.visits.link_of(customer_id, now)

    def send_link(self, *, customer_id: str, principal: Principal, now: datetime) -> WayName:
        """Send the customer a link; on which way. Raises NoWayToCustomer, NotAllowed, NotFound."""
        require(principal, Permission.SEND_MESSAGES)
        contact = self.visits.database.customer_contact(customer_id)
        way = self.direct.way_to(contact)
        language = Language.of(contact.language)
        note = Note(
            language.gettext("Your page"),
            language.gettext(
                "Your bills, use and payments are on your page. The link is yours alone: {link}",
                link=self.visits.link_of(customer_id, now),
            ),
        )
        if way is None or not self.direct.send(contact, note):
            raise NoWayToCustomer
        return way

    def demo_note(self, visit: Visit) -> str:
        """The last note to a customer where the demo keeps it in the place of sending it."""
        note = self.direct.shown_here(visit.customer_id)
        return note.text if note else ""
