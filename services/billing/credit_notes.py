"""Credit notes looked up by the office and by programs: pages of them, and their PDFs."""

from dataclasses import dataclass
from datetime import date, timedelta

from services.bill_documents.credit_notes import CreditNoteArchive
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.documents.credit_notes import CreditNote

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CreditNotes:
    """Credit notes. Each method raises NotAllowed for a principal who may not see all bills."""

    database: DatabaseService
    archive: CreditNoteArchive

    def page(
        self,
        *,
        principal: Principal,
        limit: int,
        start: date | None = None,
        last: date | None = None,
        text: str = "",
        after: int | None = None,
    ) -> tuple[list[CreditNote], int | None]:
        """A page, the last number first, and the number to go on after; None on the last page.

        Those of the local dates from `start` to `last`, where each word of `text` fits.
        """
        require(principal, Permission.VIEW_BILLS, scope="read_bills")
        found = self.database.credit_notes(
            start=start,
            until=last + _DAY if last else None,
            text=text,
            after=after,
            limit=limit + 1,
        )
        return found[:limit], found[limit - 1].number if len(found) > limit else None

    def of_bill(self, *, bill_id: str, principal: Principal) -> CreditNote | None:
        """The credit note that takes back a bill; None where there is none."""
        require(principal, Permission.VIEW_BILLS)
        return next(iter(self.database.credit_notes(bill_id=bill_id, limit=1)), None)

    def of_customer(
        self, *, customer_id: str, limit: int, principal: Principal
    ) -> list[CreditNote]:
        """A customer's last ones, the last number first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.credit_notes(customer_id=customer_id, limit=limit)

    def one(self, *, credit_note_id: str, principal: Principal) -> CreditNote:
        """One credit note; raises NotFound."""
        require(principal, Permission.VIEW_BILLS, scope="read_bills")
        return self.database.credit_note(credit_note_id)

    def pdf(self, *, credit_note_id: str, principal: Principal) -> bytes:
        """Its PDF, the same bytes always. Raises NotFound, MissingLetters, ArchiveDamaged."""
        require(principal, Permission.VIEW_BILLS, scope="read_bills")
        return self.archive.pdf(credit_note_id).pdf
