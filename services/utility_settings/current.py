"""The settings that hold now, taken up while the system runs."""

import threading
import time
from collections.abc import Callable
from typing import Final

from services.bill_documents import Utility
from services.billing.issuing import BillingTerms
from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.jurisdictions import (
    PRINTED_FACTS,
    SETTINGS_FACTS,
    jurisdiction_of,
    lack_in_words,
    lacking,
)
from services.records.overview import StoredSettings
from services.records.use_limits import LimitBook
from services.settings import Settings
from services.utility_settings.model import LiveSettings, live_settings

# What another process changed is seen here so many seconds later.
SECONDS_BETWEEN_LOOKS: Final = 3.0
_LOGOS_KEPT: Final = 4


NO_ADDRESS: Final = (
    "A bill in {place} must say where the supply is, and neither the place nor the customer has an "
    "address: give one of them an address."
)


def lack_of(held: LiveSettings) -> str:
    """What the chosen jurisdiction asks of bills and the settings do not have, or nothing."""
    jurisdiction = jurisdiction_of(held.jurisdiction)
    given: dict[str, str] = {fact: getattr(held, fact) for fact in SETTINGS_FACTS}
    given.update((str(fact), text) for fact, text in held.bill_facts.items())
    rules = lacking(jurisdiction, given)
    return lack_in_words(jurisdiction, rules) if jurisdiction and rules else ""


class CurrentSettings:
    """Answers the settings that hold now; may be asked by many threads.

    The time zone is the one of the start: dates that were computed with another one lie about.
    While the database is away, what was known last holds.
    """

    def __init__(
        self,
        deployed: Settings,
        database: DatabaseService,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deployed = deployed
        self._database = database
        self._clock = clock
        self._zone = deployed.timezone
        self._stored = StoredSettings()
        self._held = live_settings(deployed, {})
        self._look_at = clock()
        self._lock = threading.Lock()
        self._logos: dict[str, bytes] = {}

    def start(self) -> LiveSettings:
        """Read what is stored, with the time zone that holds from now on. Raises DatabaseError."""
        stored = self._database.utility_settings()
        self._zone = live_settings(self.deployed, stored.settings).timezone
        self.take_up(stored)
        return self._held

    def __call__(self) -> LiveSettings:
        """The settings that hold now."""
        # Who comes while another thread looks takes what is known, and does not wait.
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._held

    def _look(self) -> None:
        try:
            self.take_up(self._database.utility_settings())
        except DatabaseError:
            self._look_at = self._clock() + SECONDS_BETWEEN_LOOKS

    def take_up(self, stored: StoredSettings) -> None:
        """Let a version hold from now on, unless a later one does."""
        self._look_at = self._clock() + SECONDS_BETWEEN_LOOKS
        if stored.version >= self._stored.version:
            held = live_settings(self.deployed, stored.settings, zone=self._zone)
            self._stored, self._held = stored, held

    @property
    def time_zone_after_restart(self) -> str | None:
        """The time zone that was set since the start, if it is another one."""
        zone = live_settings(self.deployed, self._stored.settings).timezone
        return None if zone == self._zone else zone.key

    def terms(self) -> BillingTerms:
        """On which terms bills are issued now."""
        held = self()
        jurisdiction = jurisdiction_of(held.jurisdiction)
        if jurisdiction is None:
            return BillingTerms(due_days=held.due_days, approval=held.bill_approval)
        asks = jurisdiction.asks_for("service_address")
        return BillingTerms(
            due_days=held.due_days,
            approval=held.bill_approval,
            lacks=lack_of(held),
            no_address=NO_ADDRESS.format(place=jurisdiction.title) if asks else "",
        )

    def limit_book(self) -> LimitBook:
        """What readings are judged by now, beside the meters' own past."""
        held = self()
        return LimitBook(held.unknown_daily_wh, held.validation_limits)

    def printed_on(self, bill_id: str) -> Utility:
        """Who sends a bill, as it was when that was issued. Raises DatabaseError."""
        stored = self._database.utility_settings(bill_id=bill_id)
        return self._sender(live_settings(self.deployed, stored.settings))

    def printed_in(self, version: int) -> Utility:
        """Who sends a document of the time of a version of the settings. Raises DatabaseError."""
        stored = self._database.utility_settings(version=version)
        return self._sender(live_settings(self.deployed, stored.settings))

    def sender(self) -> Utility:
        """Who sends a document that is made now. Raises DatabaseError."""
        return self._sender(self())

    def _sender(self, held: LiveSettings) -> Utility:
        ways = (held.utility_phone, held.utility_email, held.utility_website)
        lines = (held.utility_contact, " · ".join(filter(None, ways)))
        logo = self.logo(held.logo) if held.logo else None
        jurisdiction = jurisdiction_of(held.jurisdiction)
        return Utility(
            held.utility_name,
            "\n".join(filter(None, lines)),
            logo,
            tax_number=held.tax_number,
            facts=tuple(
                (fact, held.bill_facts[fact]) for fact in PRINTED_FACTS if fact in held.bill_facts
            ),
            asks=frozenset(rule.fact for rule in jurisdiction.rules)
            if jurisdiction
            else frozenset(),
        )

    def logo(self, sha256: str) -> bytes | None:
        """An image (PNG) that settings name. Raises DatabaseError."""
        if sha256 not in self._logos:
            image = self._database.utility_logo(sha256)
            if image is None:
                return None
            self._logos = dict([*self._logos.items(), (sha256, image)][-_LOGOS_KEPT:])
        return self._logos.get(sha256)
