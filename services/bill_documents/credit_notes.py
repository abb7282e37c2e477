"""The archive of credit notes: each is rendered when it is asked for first, and kept by hash."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.bill_documents import CreditNoteDocument, Utility, render_credit_note
from services.bill_documents.archive import ArchiveDamaged
from services.bill_documents.charge_names import ChargeNames
from services.bill_documents.line_names import ChargeName
from services.database.queries.documents import KeptDocument
from services.database.service import DatabaseService
from services.records.bills import Bill, invoice_reference
from services.records.documents.credit_notes import CreditNote


@dataclass(frozen=True, slots=True)
class CreditNoteArchive:
    """Renders credit notes, and keeps what it rendered.

    `sender_at` answers who the sender was in a version of the settings.
    """

    database: DatabaseService
    sender_at: Callable[[int], Utility]

    def pdf(self, credit_note_id: str) -> KeptDocument:
        """The PDF of a credit note, the same bytes whenever it is asked for.

        Raises NotFound, MissingLetters, ArchiveDamaged.
        """
        kept = self.database.credit_note_document(credit_note_id) or self._render(credit_note_id)
        if hashlib.sha256(kept.pdf).hexdigest() != kept.sha256:
            raise ArchiveDamaged("The kept PDF of this credit note is damaged: restore a backup.")
        return kept

    def _render(self, credit_note_id: str) -> KeptDocument:
        note = self.database.credit_note(credit_note_id)
        bill = self.database.bill(note.bill_id)
        # Each is printed once, so nothing is gained by keeping the names.
        names = ChargeNames(self.database).of(bill, note.language)
        utility = self.sender_at(note.settings_version)
        pdf = render_credit_note(document_of(note, bill, utility, names))
        return self.database.keep_credit_note_document(
            credit_note_id=note.id, sha256=hashlib.sha256(pdf).hexdigest(), pdf=pdf
        )


def document_of(
    note: CreditNote, bill: Bill, utility: Utility, charge_names: Sequence[ChargeName] = ()
) -> CreditNoteDocument:
    """What a credit note prints; `bill` is the one that it takes back.

    `charge_names` are what its tariff calls its charges in the language.
    """
    replaced_by = note.replaced_by_number
    return CreditNoteDocument(
        utility=utility,
        language=note.language,
        customer_name=note.customer_name,
        address=note.address,
        account_no=note.account_no,
        currency=note.currency,
        number=note.reference,
        given_on=note.on_date,
        bill_number=note.bill_reference,
        bill_issued_on=bill.issued_on or note.on_date,
        period_start=bill.period_start,
        period_end=bill.period_end,
        meter_serial=", ".join(bill.meter_serials),
        reason=note.reason,
        lines=bill.lines,
        subtotal_minor=note.subtotal_minor,
        tax_minor=note.tax_minor,
        total_minor=note.total_minor,
        replaced_by="" if replaced_by is None else invoice_reference(replaced_by),
        customer_tax_number=note.tax_number,
        charge_names=tuple(charge_names),
    )
