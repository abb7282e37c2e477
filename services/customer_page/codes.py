"""Codes that are sent to a customer's own channel: to come in without a link, or to see all.

Whatever number is typed, the answer is the same and takes as long. Who guesses or asks too often
waits by address and by visit, so that nobody can keep a customer out: a code that reached the
customer is good in any browser.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from services.customer_page.visits import CustomerVisits, Opened
from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.identity.security_log import SecurityLog
from services.languages.language import Language
from services.languages.sentence import N_, sentence
from services.messages.direct import DirectMessages, Note, WayName
from services.people.customer_links import CustomerLinks
from services.people.hashing import BUSY, TooBusyToVerify
from services.people.limits import Pauses, TryLimits
from services.records.customers.pages import CustomerPage, Visit

CODE_LIFETIME: Final = timedelta(minutes=15)
DIGITS: Final = 8
# Of all that are out; each try of a browser counts with its own pauses before.
MOST_GUESSES: Final = 50
MOST_CODES_AN_HOUR: Final = 12
MOST_CODES_OF_A_DEVICE: Final = 6
# The work differs by some milliseconds.
LEAST_SECONDS: Final = 0.25
_AT_ONCE: Final = 6
_LONGEST_NUMBER: Final = 100
_OF_NAME: Final = Pauses(20, timedelta(seconds=1), timedelta(seconds=10))
_WRONG: Final = N_("That code is not right, or its time is over. Ask for a new one.")


class CodeRefused(Exception):
    """What was typed does not let anybody in; the reason says nothing of an account."""


class NoWayToCustomer(Exception):
    """No code can be sent: the utility knows no address or number that it could go to."""


@dataclass(frozen=True, slots=True)
class From:
    """Where a try comes from: its address, and what the browser shows for a known device."""

    address: str
    device: str = ""


@dataclass(frozen=True)
class CustomerCodes:
    """Sends codes and takes them; `now` is in UTC."""

    database: DatabaseService
    visits: CustomerVisits
    links: CustomerLinks
    direct: DirectMessages
    security_log: SecurityLog
    utility_name: Callable[[], str]
    least_seconds: float = LEAST_SECONDS
    asks: TryLimits = field(default_factory=lambda: TryLimits(of_name=_OF_NAME))
    guesses: TryLimits = field(default_factory=lambda: TryLimits(of_name=_OF_NAME))
    _strangers: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(_AT_ONCE), repr=False
    )

    def ask(self, number: str, *, place: From, now: datetime) -> None:
        """Send a code to the customer of an account number, if there is one who can be reached.

        Raises TooManyTries and TooBusyToVerify, whatever the number.
        """
        number = _folded(number)
        with self._room(), self._taking_as_long():
            page, device = self._page(number, place)
            self.asks.begin(name=number, address=place.address, device=device, now=now)
            if page is not None:
                asked_by, most = ("stranger", MOST_CODES_AN_HOUR)
                if device:
                    asked_by, most = device, MOST_CODES_OF_A_DEVICE
                self._send(page.customer_id, asked_by=asked_by, most=most, now=now)

    def enter(self, number: str, code: str, *, place: From, now: datetime) -> Opened:
        """Let a browser in that shows a code which was sent; raises CodeRefused, and as `ask`."""
        number = _folded(number)
        with self._room(), self._taking_as_long():
            page, device = self._page(number, place)
            tried = self.guesses.begin(name=number, address=place.address, device=device, now=now)
            if not self._is_right(page, code, now) or page is None:
                self.security_log.note(
                    "refused",
                    address=place.address,
                    detail=sentence("Wrong code for a customer's page."),
                )
                raise CodeRefused(_WRONG)
            self.guesses.succeeded(tried)
        try:
            return self.visits.let_in(page, opened_by="code", now=now)
        except IllegalChange:
            raise CodeRefused(_WRONG) from None

    def way_to(self, visit: Visit) -> WayName | None:
        """How a code would reach the customer of a visit."""
        contact = self.database.customer_contact(visit.customer_id)
        return self.direct.way_to(contact, for_code=True)

    def ask_for(self, visit: Visit, *, place: From, now: datetime) -> None:
        """Send a code to the customer of a visit; raises NoWayToCustomer, TooManyTries."""
        if self.way_to(visit) is None:
            raise NoWayToCustomer
        device = self._device(visit.customer_id, visit.generation, place)
        self.asks.begin(
            name=visit.account_no,
            address=place.address,
            device=device or f"visit {visit.id}",
            now=now,
        )
        asked_by, most = (
            (device, MOST_CODES_OF_A_DEVICE) if device else ("link", MOST_CODES_AN_HOUR)
        )
        self._send(visit.customer_id, asked_by=asked_by, most=most, now=now)

    def confirm(self, visit: Visit, code: str, *, place: From, now: datetime) -> str:
        """Let a visit see all; by what its device is known. Raises CodeRefused, TooManyTries."""
        tried = self.guesses.begin(
            name=visit.account_no, address=place.address, device=f"visit {visit.id}", now=now
        )
        page = CustomerPage(
            customer_id=visit.customer_id,
            account_no=visit.account_no,
            generation=visit.generation,
        )
        if not self._is_right(page, code, now):
            raise CodeRefused(_WRONG)
        self.guesses.succeeded(tried)
        return self.visits.confirm(visit, now)

    def _page(self, number: str, place: From) -> tuple[CustomerPage | None, str | None]:
        """Whose page it is, and which known device of theirs asks."""
        page = self.database.customer_page_numbered(number) if number else None
        device = self._device(page.customer_id, page.generation, place) if page else None
        return page, device

    def _device(self, customer_id: str, generation: int, place: From) -> str | None:
        return self.links.known_device(place.device, customer_id=customer_id, generation=generation)

    def _send(self, customer_id: str, *, asked_by: str, most: int, now: datetime) -> None:
        contact = self.database.customer_contact(customer_id)
        if self.direct.way_to(contact, for_code=True) is None:
            return
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        kept = self.database.keep_customer_code(
            code_id=str(uuid4()),
            customer_id=customer_id,
            code_hash=self.links.hash_code(code, customer_id=customer_id),
            asked_by=asked_by,
            at=now,
            expires_at=now + CODE_LIFETIME,
            most_an_hour=most,
        )
        if kept:
            language, shown = Language.of(contact.language), f"{code[:4]} {code[4:]}"
            text = language.ngettext(
                "{code} is the code for your page. It is good for {count} minute. We never ask you "
                "for it: type it on your page alone.",
                "{code} is the code for your page. It is good for {count} minutes. We never ask "
                "you for it: type it on your page alone.",
                CODE_LIFETIME.seconds // 60,
                code=shown,
            )
            subject = language.gettext("Your code: {code}", code=shown)
            self.direct.send(contact, Note(subject, text, code=code))

    def _is_right(self, page: CustomerPage | None, code: str, now: datetime) -> bool:
        digits = "".join(sign for sign in code[:40] if sign in "0123456789")
        customer_id = page.customer_id if page else None
        return self.database.use_customer_code(
            customer_id=customer_id,
            code_hash=self.links.hash_code(digits, customer_id=customer_id or ""),
            at=now,
            most_guesses=MOST_GUESSES,
        )

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Room for a stranger: beyond some at once they are sent away."""
        if not self._strangers.acquire(blocking=False):
            raise TooBusyToVerify(BUSY)
        try:
            yield
        finally:
            self._strangers.release()

    @contextmanager
    def _taking_as_long(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            time.sleep(max(0.0, self.least_seconds - (time.monotonic() - began)))


def _folded(number: str) -> str:
    """A number as it can be looked up; nothing where it cannot be one."""
    text = number.strip()
    return text if len(text) <= _LONGEST_NUMBER and text.isprintable() else ""
