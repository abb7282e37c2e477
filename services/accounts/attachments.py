"""The PDFs that go with messages: bills, credit notes, receipts, statements of account.

What cannot be printed is better sent without than not at all.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from services.accounts.statements import NoStatement, PrintedStatements
from services.bill_documents import MissingLetters
from services.bill_documents.archive import ArchiveDamaged, BillArchive
from services.bill_documents.credit_notes import CreditNoteArchive
from services.database.errors import NotFound
from services.database.transport import DatabaseError
from services.integrations.failures import FinalFailure
from services.integrations.http import ServiceUnavailable
from services.languages.sentence import sentence, sentence_of
from services.messages.mail import Attachment
from services.payments.receipts import Receipts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attachments:
    """Finds or prints what a message brings. Each method raises ServiceUnavailable."""

    bill_archive: BillArchive
    credit_note_archive: CreditNoteArchive
    receipts: Receipts
    statements: PrintedStatements

    def bills(self, bill_ids: Sequence[str]) -> tuple[Attachment, ...]:
        """The PDFs of bills by their ids."""
        return _each(bill_ids, self._bill)

    def credit_notes(self, credit_note_ids: Sequence[str]) -> tuple[Attachment, ...]:
        """The PDFs of credit notes by their ids."""
        return _each(credit_note_ids, self._credit_note)

    def receipt(self, payment_id: str) -> tuple[Attachment, ...]:
        """The receipt of a payment; nothing where there is no such payment."""
        return _each([payment_id], self._receipt)

    def statement(self, customer_id: str, start: date, end: date) -> tuple[Attachment, ...]:
        """The statement of the local dates [start, end), without which its mail says nothing.

        Raises FinalFailure where there is none, or it cannot be printed.
        """
        try:
            pdf = self.statements.pdf(customer_id, start=start, end=end)
        except (NoStatement, MissingLetters, NotFound) as error:
            raise FinalFailure(str(error)) from None
        except DatabaseError as error:
            raise ServiceUnavailable(
                sentence("The statement could not be read: {error}", error=sentence_of(error))
            ) from None
        return (Attachment(f"statement-{start.isoformat()}.pdf", pdf),)

    def _bill(self, bill_id: str) -> Attachment:
        kept = self.bill_archive.pdf(bill_id)
        return Attachment(f"{self.bill_archive.database.bill(bill_id).reference}.pdf", kept.pdf)

    def _credit_note(self, credit_note_id: str) -> Attachment:
        archive = self.credit_note_archive
        kept = archive.pdf(credit_note_id)
        reference = archive.database.credit_note(credit_note_id).reference
        # A utility may begin the numbers with a slash, which no name of a file has.
        return Attachment(f"{reference.replace('/', '-')}.pdf", kept.pdf)

    def _receipt(self, payment_id: str) -> Attachment:
        name = f"receipt-{payment_id[:8].upper()}.pdf"
        return Attachment(name, self.receipts.pdf(payment_id))


def _each(ids: Sequence[str], made: Callable[[str], Attachment]) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for one in ids:
        try:
            found.append(made(one))
        except NotFound:
            log.warning("A message is sent without a PDF: there is no %s.", one)
        except DatabaseError as error:
            raise ServiceUnavailable(
                sentence("A document could not be read: {error}", error=sentence_of(error))
            ) from None
        except (MissingLetters, ArchiveDamaged) as error:
            log.warning("A message is sent without the PDF of %s: %s", one, error)
    return tuple(found)
