"""The bill as a PDF: what is printed (document), in which words (words), and its layout (bill.typ).

Nothing here looks anything up: the same document always gives the same bytes.
"""

from services.bill_documents.document import (
    AccountEntry,
    BillDocument,
    CreditNoteDocument,
    EntryKind,
    LetterDocument,
    MonthOfUse,
    ReadKind,
    ReceiptDocument,
    RegisterLine,
    RegisterRead,
    StatementBill,
    StatementDocument,
    StatementEntry,
    Utility,
)
from services.bill_documents.pdf import (
    MissingLetters,
    render,
    render_credit_note,
    render_letter,
    render_receipt,
    render_statement,
)

__all__ = [
    "AccountEntry",
    "BillDocument",
    "CreditNoteDocument",
    "EntryKind",
    "LetterDocument",
    "MissingLetters",
    "MonthOfUse",
    "ReadKind",
    "ReceiptDocument",
    "RegisterLine",
    "RegisterRead",
    "StatementBill",
    "StatementDocument",
    "StatementEntry",
    "Utility",
    "render",
    "render_credit_note",
    "render_letter",
    "render_receipt",
    "render_statement",
]
