"""Statements of account as documents: one for all agreements of a customer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.bill_documents import (
    StatementBill,
    StatementDocument,
    StatementEntry,
    Utility,
    render_statement,
)
from services.bill_documents.archive import PRINTED_AS
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.messages.account_texts.statements import ACCOUNT_STATEMENT
from services.messages.addresses import is_mailed
from services.outbox.outbox import Outbox
from services.records.bills import invoice_reference
from services.records.ledger import AccountStatement, LedgerEntry

# So many entries are read at most; a year of a large account has fewer.
MOST_ENTRIES: Final = 1000


class NoStatement(ValueError):
    """There can be no statement of these days; the sentence says what to change."""


@dataclass(frozen=True, slots=True)
class PrintedStatements:
    """Statements of account as PDFs; `sender` answers who sends a document now."""

    database: DatabaseService
    sender: Callable[[], Utility]

    def found(self, customer_id: str, start: date, end: date) -> AccountStatement:
        """What happened in the local dates [start, end). Raises NotFound, NoStatement."""
        if start >= end:
            raise NoStatement(N_("The statement ends before it begins: choose a later last day."))
        found = self.database.account_statement(customer_id=customer_id, start=start, end=end)
        if not found.currency:
            raise NoStatement(N_("Nothing was ever billed on this account."))
        if max(len(found.entries), len(found.bills)) >= MOST_ENTRIES:
            raise NoStatement(
                N_("One statement holds fewer entries than these days have: choose fewer.")
            )
        return found

    def pdf(self, customer_id: str, *, start: date, end: date) -> bytes:
        """The statement in the customer's language, as the account stands now.

        Raises NotFound, NoStatement, MissingLetters.
        """
        found = self.found(customer_id, start, end)
        notes: dict[str, str] = {}
        if any(entry.kind == "bill_void" for entry in found.entries):
            given = self.database.credit_notes(
                customer_id=customer_id, start=start, until=end, limit=MOST_ENTRIES
            )
            notes = {note.bill_id: note.reference for note in given}
        return render_statement(
            document_of(found, start=start, end=end, utility=self.sender(), credit_notes=notes)
        )


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements of account. Each method takes a principal who may.

    `sends_mail` says whether the system has a way for mail.
    """

    printed: PrintedStatements
    outbox: Outbox
    sends_mail: bool

    @property
    def database(self) -> DatabaseService:
        """Where accounts are."""
        return self.printed.database

    def of(
        self, *, customer_id: str, start: date, end: date, principal: Principal
    ) -> AccountStatement:
        """What happened in the local dates [start, end). Raises NotFound, NoStatement."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.printed.found(customer_id, start, end)

    def pdf(self, *, customer_id: str, start: date, end: date, principal: Principal) -> bytes:
        """The statement as a PDF in the customer's language, as the account stands now.

        Raises NotFound, NoStatement, MissingLetters.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.printed.pdf(customer_id, start=start, end=end)

    def mail(
        self,
        *,
        statement_id: str,
        customer_id: str,
        start: date,
        end: date,
        principal: Principal,
    ) -> bool:
        """Let the statement be mailed as a PDF, once for each id; False where there is no way.

        It goes by the customer's quiet hours and wishes, and is among the messages. Raises
        NotFound, NoStatement, MissingLetters.
        """
        require(principal, Permission.SEND_MESSAGES)
        # Printed first: whoever asks sees at once why it cannot be.
        self.printed.pdf(customer_id, start=start, end=end)
        contact = self.database.customer_contact(customer_id)
        if not self.sends_mail or not is_mailed(contact):
            return False
        self.database.owe_statement(
            actor=principal.user,
            statement_id=statement_id,
            customer_id=customer_id,
            start=start,
            end=end,
            outbox=self.outbox.plan_for_any(ACCOUNT_STATEMENT),
        )
        return True

    def send_one(self, *, customer_id: str, one: bool, principal: Principal) -> None:
        """Whether bills that are made together share one message; raises NotFound."""
        require(principal, Permission.SEND_MESSAGES)
        self.database.set_one_statement(
            actor=principal.user, customer_id=customer_id, one_statement=one
        )


def document_of(
    found: AccountStatement,
    *,
    start: date,
    end: date,
    utility: Utility,
    credit_notes: Mapping[str, str] | None = None,
) -> StatementDocument:
    """What a statement prints; `credit_notes` are the numbers of those that took bills back."""
    notes = credit_notes or {}
    return StatementDocument(
        utility=utility,
        language=found.language,
        customer_name=found.name,
        address=found.address,
        account_no=found.account_no,
        currency=found.currency,
        start=start,
        end=end,
        opening_minor=found.opening_minor,
        customer_tax_number=found.tax_number,
        entries=tuple(_entry(entry, notes) for entry in found.entries),
        bills=tuple(
            StatementBill(
                number=invoice_reference(bill.number),
                place=bill.place,
                meter_serial=bill.meter_serial,
                period_start=bill.period_start,
                period_end=bill.period_end,
                consumption_wh=bill.consumption_wh,
                total_minor=bill.total_minor,
            )
            for bill in found.bills
        ),
    )


def _entry(entry: LedgerEntry, notes: Mapping[str, str]) -> StatementEntry:
    number = invoice_reference(entry.bill_number) if entry.bill_number is not None else ""
    billed = entry.kind in ("bill", "bill_void")
    if entry.kind == "bill_void" and (note := notes.get(entry.bill_id or "")):
        number = f"{number} · {note}"
    return StatementEntry(
        kind=entry.kind
        if entry.kind in ("bill", "bill_void")
        else PRINTED_AS.get(entry.kind, "adjustment"),
        on=entry.on_date,
        amount_minor=entry.amount_minor,
        detail=number if billed else entry.reference or "",
        method=entry.method or "",
    )
