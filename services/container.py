"""What the system is made of once it is wired."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.accounts.adjustments import AccountAdjustments
from services.accounts.contact import CustomerContacts
from services.accounts.lookups import CustomerLookups
from services.accounts.month_end import MonthEnd
from services.accounts.search import Search
from services.accounts.statements import Statements
from services.accounts.usage import Usage
from services.ai.usage import AiUsage
from services.approvals.deciding import Approvals
from services.autopay.autopay import Autopay
from services.backups.backups import Backups
from services.bill_documents.archive import BillArchive
from services.billing.approval import BillApproval
from services.billing.credit_notes import CreditNotes
from services.billing.cycles import BillingCycles
from services.billing.issuing import BillIssuer
from services.billing.lookups import BillLookups
from services.corrections.lookups import CorrectionLookups
from services.corrections.reading_correction import ReadingCorrection
from services.corrections.rebilling import Rebilling
from services.corrections.tariff_correction import TariffCorrection
from services.customer_page.pages import CustomerPages
from services.database.service import DatabaseService
from services.dunning.dunning import Dunning
from services.dunning.holds import DunningHolds
from services.graph import OpenedGraph
from services.health.alert_book import AlertBook
from services.health.checks import Check
from services.health.disk import DiskWatch
from services.health.last_errors import LastErrors
from services.history.notes import CustomerNotes
from services.history.timeline import Timeline
from services.identity.api_keys import ApiKeys
from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInTickets,
    SignInUnavailable,
    Tokens,
)
from services.identity.passwordless import Passwordless
from services.identity.security_log import SecurityLog
from services.identity.sessions import Sessions
from services.identity.upload_rights import UploadRights
from services.importing.file_imports import FileImports
from services.importing.full_export.exports import FullExports
from services.lists.office_lists import OfficeLists
from services.messages.delivery import Delivery
from services.messages.inbox import Inbox
from services.messages.letters import Letters
from services.messages.lookups import MessageLookups
from services.messages.reports import TwilioReports, WhatsAppReports
from services.messages.texts import TwilioTexts
from services.outbox.outbox import Outbox
from services.payments.bank_lines import BankLines
from services.payments.lookups import PaymentLookups
from services.payments.office_payments import OfficePayments
from services.payments.payment_received import PaymentReceived
from services.payments.reconciliation import Reconciliation
from services.payments.refunds import Refunds
from services.payments.stripe.lookups import StripeLookups
from services.people.languages import UserLanguages
from services.people.own_account import OwnAccount
from services.people.sign_in import PasswordSignIn
from services.people.users import Users
from services.readings.assessment import ReadingAssessor
from services.readings.estimates import ReadingEstimates
from services.readings.exceptions import ReadingExceptions
from services.readings.limits_trial import LimitsTrial
from services.readings.lookups import ReadingLookups
from services.readings.outlooks import DecisionOutlooks
from services.readings.photos import MeterPhotos
from services.readings.reading_to_bill import ReadingToBill
from services.readings.review import ReadingReview
from services.readings.round import ReadingRound
from services.readings.swapped import SwappedMeters
from services.reports.reports import Reports
from services.supply.places import Places
from services.supply.supply import Supply
from services.tariff_publishing.publishing import TariffPublishing
from services.utility_settings.current import CurrentSettings
from services.utility_settings.desk import SettingsDesk
from services.utility_settings.model import LiveSettings
from services.workers import Workers


@dataclass(frozen=True)
class Services:
    """Everything that pages, the HTTP API, the scheduler and the command line work with."""

    current_settings: CurrentSettings
    settings_desk: SettingsDesk
    database: DatabaseService
    tokens: Tokens
    tickets: SignInTickets
    sessions: Sessions
    security_log: SecurityLog
    api_keys: ApiKeys
    users: Users
    user_languages: UserLanguages
    outbox: Outbox
    delivery: Delivery
    alert_book: AlertBook
    bank_lines: BankLines
    messages: MessageLookups
    letters: Letters
    assessor: ReadingAssessor
    issuer: BillIssuer
    billing_cycles: BillingCycles
    reading_to_bill: ReadingToBill
    readings: ReadingLookups
    swapped_meters: SwappedMeters
    limits_trial: LimitsTrial
    reading_review: ReadingReview
    decision_outlooks: DecisionOutlooks
    reading_exceptions: ReadingExceptions
    reading_round: ReadingRound
    reading_estimates: ReadingEstimates
    meter_photos: MeterPhotos
    bills: BillLookups
    bill_approval: BillApproval
    bill_archive: BillArchive
    credit_notes: CreditNotes
    backups: Backups
    books: MonthEnd
    reports: Reports
    customers: CustomerLookups
    contacts: CustomerContacts
    customer_page: CustomerPages
    notes: CustomerNotes
    timeline: Timeline
    usage: Usage
    payments: PaymentLookups
    lists: OfficeLists
    search: Search
    imports: FileImports
    exports: FullExports
    office_payments: OfficePayments
    account_adjustments: AccountAdjustments
    dunning: Dunning
    dunning_holds: DunningHolds
    autopay: Autopay
    refunds: Refunds
    stripe: StripeLookups
    rebilling: Rebilling
    reading_correction: ReadingCorrection
    places: Places
    statements: Statements
    supply: Supply
    corrections: CorrectionLookups
    tariff_correction: TariffCorrection
    approvals: Approvals
    tariff_publishing: TariffPublishing
    # The version of the newest migration that this program knows, which the database has.
    schema_version: str
    # Sign-in without a password, where no Auth0 is set.
    passwordless: Passwordless | None = None
    # Sign-in with a password of one's own, where no Auth0 is set; what people change of it.
    password_sign_in: PasswordSignIn | None = None
    own_account: OwnAccount | None = None
    # What does the HTTPS for others than this machine; None while only this machine gets in.
    https: Literal["certificate", "proxy"] | None = None
    # Handles Stripe's events, where Stripe is configured.
    payment_received: PaymentReceived | None = None
    # Take what Twilio and WhatsApp report of messages, where those are configured.
    twilio_reports: TwilioReports | None = None
    whatsapp_reports: WhatsAppReports | None = None
    # Takes the texts that customers send over Twilio, where that is configured.
    twilio_texts: TwilioTexts | None = None
    # Reads the mailbox of the sender's address, where that is configured.
    inbox: Inbox | None = None
    # Looks at Stripe for what the webhook missed, where Stripe is configured.
    reconciliation: Reconciliation | None = None
    # What AI cost, where it is configured.
    ai_usage: AiUsage | None = None
    # Where smart meters are read: the operator's head-end, the demo's own, or nowhere.
    headend_url: str | None = None
    # The bills as a network, or why there is none.
    graph: OpenedGraph = field(default_factory=OpenedGraph)
    # What the Services page tests beside our own systems.
    checks: tuple[Check, ...] = ()
    # Room on the disks, where the process that was wired looks at them.
    disk: DiskWatch | None = None
    # What went wrong with them in use.
    last_errors: LastErrors = field(default_factory=LastErrors)
    # Brings a dead server of our own back; does nothing where the database is somebody else's.
    revive_database: Callable[[], None] = lambda: None
    # Connections to the database, where this process keeps a pool of them.
    pool_figures: Callable[[], Mapping[str, int]] = dict
    # The processes that large jobs are spread over.
    workers: Workers = field(default_factory=lambda: Workers(lambda: None))
    # Visits whose page offers an upload.
    uploads: UploadRights = field(default_factory=UploadRights)
    # Undone in reverse order by close().
    closers: tuple[Callable[[], None], ...] = field(default=(), repr=False)

    @property
    def settings(self) -> LiveSettings:
        """The settings that hold now: the environment's, then those of the Settings page."""
        return self.current_settings()

    def who(self, token: object, now: datetime, *, address: str = "") -> Principal:
        """The principal of a token at `now`, if it was not ended; `address` is recorded.

        Raises NotSignedIn, NotAllowed, SignInUnavailable; TemporaryDatabaseError when the database
        cannot say whether it was ended.
        """
        principal = self.tokens.verify(token, now)
        if principal.via == "demo" and not self.roles_can_be_chosen():
            raise NotSignedIn("People sign in with a password here. Sign in with yours.")
        return self.sessions.admit(principal, address=address)

    def exchange(self, token: object, now: datetime, *, address: str = "") -> str:
        """A token of our own for a provider's, which is of use once; raises as `who`."""
        principal = self.who(token, now, address=address)
        ours = self.tokens.issue(principal.user, principal.roles, now)
        if principal.session is not None:
            self.sessions.end(principal.session, actor="system:sign-in")
        return ours

    def keeps_users(self) -> bool:
        """Whether roles are those of users here: with passwords, or invited by e-mail address."""
        settings = self.settings
        by_email = settings.oidc_issuer is not None and settings.oidc_roles_claim is None
        return self.password_sign_in is not None or by_email

    def roles_can_be_chosen(self) -> bool:
        """Whether a role may be chosen without a password: in the demo, and before any user.

        Never where others than this machine get in: through a proxy everybody seems to sit here.
        """
        if self.passwordless is None or self.https is not None:
            return False
        return self.settings.demo or not self.users.exist()

    def links_are_of_use(self) -> bool:
        """Whether the link of the terminal leads anywhere: to roles, or to the first user."""
        return self.roles_can_be_chosen() or self.awaits_first_user()

    def may_choose_role(self, right: object, now: datetime, *, address: str = "") -> bool:
        """Whether a browser that shows `right` may choose a role without a password."""
        if not self.roles_can_be_chosen():
            return False
        return self._holds_open_right(right, now, address)

    def awaits_first_user(self) -> bool:
        """Whether the first administrator is still to be created, by who opened the link."""
        return self.passwordless is not None and not self.users.exist()

    def may_create_first_user(self, right: object, now: datetime, *, address: str = "") -> bool:
        """Whether a browser that shows `right` may create the first administrator."""
        return self.awaits_first_user() and self._holds_open_right(right, now, address)

    def _holds_open_right(self, right: object, now: datetime, address: str) -> bool:
        if self.passwordless is None:
            return False
        try:
            choice = self.passwordless.choices.verify(right, now)
            return self.sessions.admit_choice(choice, address=address).open
        except (NotSignedIn, NotAllowed):
            return False

    def sign_out(
        self, token: object, right: object, now: datetime, *, address: str = ""
    ) -> str | None:
        """End a browser's sign-in; a new right to choose a role if it had one, else None.

        The old right ends too, so that no copy of either cookie is of use afterwards.
        """
        with suppress(NotSignedIn, NotAllowed, SignInUnavailable):
            self.sessions.sign_out(self.tokens.verify(token, now), address=address)
        if self.passwordless is None:
            return None
        try:
            choice = self.passwordless.choices.verify(right, now)
            self.sessions.admit_choice(choice, address=address)
        except (NotSignedIn, NotAllowed):
            return None
        self.sessions.end(choice.id, actor="system:sign-out")
        return self.passwordless.choices.issue(now)

    def close(self) -> None:
        """Give back connections and, as the last process of the data folder, stop its server."""
        for close in reversed(self.closers):
            close()
