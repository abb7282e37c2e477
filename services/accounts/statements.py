"""Statements of account as documents: one for all agreements of a customer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
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
from services.languages.language import Language
from services.languages.sentence import N_
from services.messages.direct import DirectMessages, Note
from services.messages.mail import Attachment
from services.records.bills import invoice_reference
from services.records.ledger import AccountStatement, LedgerEntry

# So many entries are read at most; a year of a large account has fewer.
MOST_ENTRIES: Final = 1000


class NoStatement(ValueError):
    """There can be no statement of these days; the sentence says what to change."""


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements of account. Each method takes a principal who may.

    `sender` answers who sends a document now.
    """

    database: DatabaseService
    sender: Callable[[], Utility]
    direct: DirectMessages

    def of(
        self, *, customer_id: str, start: date, end: date, principal: Principal
    ) -> AccountStatement:
        """What happened in the local dates [start, end). Raises NotFound, NoStatement."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self._found(customer_id, start, end)

    def _found(self, customer_id: str, start: date, end: date) -> AccountStatement:
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

    def pdf(self, *, customer_id: str, start: date, end: date, principal: Principal) -> bytes:
        """The statement as a PDF in the customer's language, as the account stands now.

        Raises NotFound, NoStatement, MissingLetters.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.of_own(customer_id, start=start, end=end)

    def of_own(self, customer_id: str, *, start: date, end: date) -> bytes:
        """The same for a customer, who was checked before."""
        found = self._found(customer_id, start, end)
        notes: dict[str, str] = {}
        if any(entry.kind == "bill_void" for entry in found.entries):
            given = self.database.credit_notes(
                customer_id=customer_id, start=start, until=end, limit=MOST_ENTRIES
            )
            notes = {note.bill_id: note.reference for note in given}
        return render_statement(
            document_of(found, start=start, end=end, utility=self.sender(), credit_notes=notes)
        )

    def mail(self, *, customer_id: str, start: date, end: date, principal: Principal) -> bool:
        """Send the statement by mail as a PDF; False where there is no way, or too much waits.

        Raises NotFound, NoStatement, MissingLetters.
        """
        require(principal, Permission.SEND_MESSAGES)
        content = self.of_own(customer_id, start=start, end=end)
        contact = self.database.customer_contact(customer_id)
        language = Language.of(contact.language)
        note = Note(
            subject=language.gettext("Your statement of account"),
            text=language.gettext(
                "Your statement of account from {start} to {end} is attached.",
                start=start,
                end=end - timedelta(days=1),
            ),
            attached=(Attachment(f"statement-{start.isoformat()}.pdf", content),),
        )
        return self.direct.mail(contact, note)

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
