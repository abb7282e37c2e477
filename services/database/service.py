"""DatabaseService: every question and every write, over a transport of two methods."""

from services.database.ai_books import AiBooks
from services.database.queries_accounts import AccountQueries
from services.database.queries_bills import BillQueries
from services.database.queries_books import BookQueries
from services.database.queries_corrections import CorrectionQueries
from services.database.queries_desk import DeskQueries
from services.database.queries_documents import DocumentQueries
from services.database.queries_drafts import DraftQueries
from services.database.queries_graph import GraphQueries
from services.database.queries_imports import ImportQueries
from services.database.queries_jobs import JobQueries
from services.database.queries_keys import KeyQueries
from services.database.queries_owed import OwedQueries
from services.database.queries_readings import ReadingQueries
from services.database.queries_reconciliation import ReconciliationQueries
from services.database.queries_sessions import SessionQueries
from services.database.queries_stripe import StripeQueries
from services.database.queries_tariffs import TariffQueries
from services.database.transport import Transport


class DatabaseService(
    ReadingQueries,
    BillQueries,
    AccountQueries,
    DocumentQueries,
    DeskQueries,
    StripeQueries,
    ReconciliationQueries,
    CorrectionQueries,
    OwedQueries,
    JobQueries,
    ImportQueries,
    KeyQueries,
    SessionQueries,
    GraphQueries,
    TariffQueries,
    DraftQueries,
    BookQueries,
):
    """Reads answer records; writes take the actor and answer a repeat with its first result.

    Raises the errors of `services.database.errors` where a rule of the database refuses, and
    TemporaryDatabaseError where trying again may help.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.ai_books = AiBooks(transport)

    def ping(self) -> None:
        """Ask the smallest question there is; raises DatabaseError when it is not answered."""
        self._transport.select("installation", limit=1)
