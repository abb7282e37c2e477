"""Who is let in to a customer's page: by a signed link, and for more than bills by a code."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.identity.security_log import SecurityLog
from services.languages.sentence import N_, sentence
from services.people.customer_links import OPEN_PATH, CustomerLinks, LinkNotGood
from services.records.customers.pages import CustomerPage, OpenedBy, Visit, actor_of

# A link may have been passed on: its visit is short, and shows bills alone.
VISIT_BY_LINK: Final = timedelta(hours=12)
VISIT_BY_CODE: Final = timedelta(days=30)
_LONGEST: Final = 200
_ENDED: Final = N_("This link was ended. Ask for a code, or wait for the next bill's link.")


class CodeWanted(Exception):
    """This is shown or done only once a code that was sent to the customer is entered."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A browser that was let in: what its cookie holds, and by what the device is known later."""

    token: str
    visit: Visit
    device: str


@dataclass(frozen=True, slots=True)
class CustomerVisits:
    """Lets browsers in, knows them again, and ends what let them in; `now` is in UTC."""

    database: DatabaseService
    links: CustomerLinks
    security_log: SecurityLog
    # The site's address without a slash at its end.
    address: str

    def link_of(self, customer_id: str, now: datetime) -> str:
        """A new link to a customer's page; raises NotFound."""
        page = self.database.customer_page(customer_id)
        generation = page.generation if page else 0
        text = self.links.make(customer_id=customer_id, generation=generation, now=now)
        return f"{self.address}{OPEN_PATH}?k={text}"

    def check_link(self, text: str, now: datetime) -> None:
        """Whether a link could be opened, which opens nothing; raises LinkNotGood."""
        self._page_of(text, now)

    def open_by_link(self, text: str, *, address: str, now: datetime) -> Opened:
        """Let a browser in that shows a link; raises LinkNotGood."""
        try:
            page = self._page_of(text, now)
            return self.let_in(page, opened_by="link", now=now)
        except (LinkNotGood, IllegalChange) as error:
            self.security_log.note(
                "link_refused", address=address, detail=sentence("A customer's page.")
            )
            raise LinkNotGood(str(error)) from None

    def let_in(self, page: CustomerPage, *, opened_by: OpenedBy, now: datetime) -> Opened:
        """A new visit; raises IllegalChange where the links were ended meanwhile."""
        token = secrets.token_urlsafe(32)
        lifetime = VISIT_BY_CODE if opened_by == "code" else VISIT_BY_LINK
        self.database.open_customer_session(
            actor=actor_of(page.account_no),
            session_id=str(uuid4()),
            customer_id=page.customer_id,
            token_hash=_hashed(token),
            generation=page.generation,
            opened_by=opened_by,
            at=now,
            expires_at=now + lifetime,
        )
        visit = self.find(token, now)
        if visit is None:
            raise IllegalChange("EB005", _ENDED)
        return Opened(token, visit, self._new_mark(page) if opened_by == "code" else "")

    def find(self, token: str, now: datetime) -> Visit | None:
        """The visit of a cookie; None where it is over, was ended or never was."""
        if not 0 < len(token) <= _LONGEST:
            return None
        return self.database.customer_session(token_hash=_hashed(token), at=now)

    def confirm(self, visit: Visit, now: datetime) -> str:
        """The code was right: from now on the visit shows all; by what the device is known."""
        self.database.confirm_customer_session(
            actor=visit.actor, session_id=visit.id, at=now, expires_at=now + VISIT_BY_CODE
        )
        return self._new_mark(
            CustomerPage(
                customer_id=visit.customer_id,
                account_no=visit.account_no,
                generation=visit.generation,
            )
        )

    def sign_out(self, visit: Visit, now: datetime) -> None:
        """End one visit."""
        self.database.end_customer_session(actor=visit.actor, session_id=visit.id, at=now)

    def end_all(self, visit: Visit, now: datetime) -> None:
        """The customer ends every link, visit and code; who has a link alone may do that too."""
        self.database.end_customer_links(actor=visit.actor, customer_id=visit.customer_id, at=now)

    def end_all_of(self, *, customer_id: str, principal: Principal, now: datetime) -> None:
        """The office ends every link, visit and code of a customer; raises NotFound, NotAllowed."""
        require(principal, Permission.CHANGE_CUSTOMERS)
        self.database.end_customer_links(actor=principal.user, customer_id=customer_id, at=now)

    def _page_of(self, text: str, now: datetime) -> CustomerPage:
        link = self.links.verify(text, now)
        page = self.database.customer_page(link.customer_id)
        if page is None or page.generation != link.generation:
            raise LinkNotGood(_ENDED)
        if page.restored_at is not None and link.made_at < page.restored_at:
            # Which links were ended since the backup nobody knows.
            raise LinkNotGood(_ENDED)
        return page

    def _new_mark(self, page: CustomerPage) -> str:
        return self.links.mark_device(
            customer_id=page.customer_id,
            generation=page.generation,
            number=secrets.randbelow(2**32),
        )


def confirmed(visit: Visit) -> Visit:
    """The visit if it showed a code; raises CodeWanted."""
    if not visit.confirmed:
        raise CodeWanted
    return visit


def _hashed(token: str) -> str:
    # A plain hash is enough for 256 random bits.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
