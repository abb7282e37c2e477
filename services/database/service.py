"""DatabaseService: every question and every write, over a transport of two methods."""

from services.database.autopay_book import AutopayBook
from services.database.dunning_book import DunningBook
from services.database.letter_book import LetterBook
from services.database.message_book import MessageBook
from services.database.operation_log import OperationLog
from services.database.queries.account_lookups import AccountLookups
from services.database.queries.accounts import AccountQueries
from services.database.queries.ai_usage import AiCallLog
from services.database.queries.api_keys import KeyQueries
from services.database.queries.bills import BillQueries
from services.database.queries.corrections import CorrectionQueries
from services.database.queries.customers.pages import CustomerPageQueries
from services.database.queries.documents import DocumentQueries
from services.database.queries.drafts import ApprovalQueries, DraftQueries
from services.database.queries.graph import GraphQueries
from services.database.queries.history import HistoryQueries
from services.database.queries.imports import ImportQueries
from services.database.queries.jobs import JobQueries
from services.database.queries.lists import ListQueries
from services.database.queries.month_end import BookQueries
from services.database.queries.outbox import OutboxQueries
from services.database.queries.readings import ReadingQueries
from services.database.queries.reconciliation import BankQueries, ReconciliationQueries
from services.database.queries.reports.cash_days import CashDayQueries
from services.database.queries.reports.journal import JournalQueries
from services.database.queries.reports.rows import ReportRowQueries
from services.database.queries.search import SearchQueries
from services.database.queries.sessions import SessionQueries, UserQueries
from services.database.queries.stripe_events import StripeQueries
from services.database.queries.supply import SupplyQueries
from services.database.queries.tariffs import TariffQueries
from services.database.queries.utility_settings import SettingsQueries
from services.database.transport import Transport


class DatabaseService(
    ReadingQueries,
    BillQueries,
    AccountQueries,
    DocumentQueries,
    AccountLookups,
    BankQueries,
    ListQueries,
    SearchQueries,
    HistoryQueries,
    StripeQueries,
    ReconciliationQueries,
    CorrectionQueries,
    OutboxQueries,
    JobQueries,
    ImportQueries,
    KeyQueries,
    SessionQueries,
    GraphQueries,
    SupplyQueries,
    TariffQueries,
    DraftQueries,
    BookQueries,
    CashDayQueries,
    JournalQueries,
    ReportRowQueries,
    SettingsQueries,
    UserQueries,
    ApprovalQueries,
    CustomerPageQueries,
):
    """Reads answer records; writes take the actor and answer a repeat with its first result.

    Raises the errors of `services.database.errors` where a rule of the database refuses, and
    TemporaryDatabaseError where trying again may help.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.ai_call_log = AiCallLog(transport)
        self.operation_log = OperationLog(transport)
        self.autopay = AutopayBook(transport)
        self.dunning = DunningBook(transport)
        self.message_book = MessageBook(transport)
        self.letter_book = LetterBook(transport)

    def ping(self) -> None:
        """Ask the smallest question there is; raises DatabaseError when it is not answered."""
        self._transport.select("installation", limit=1)
