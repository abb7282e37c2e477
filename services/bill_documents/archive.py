"""The archive of printed bills: each is rendered once, as it was at its issue, and kept by hash."""

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.bill_documents import (
    AccountEntry,
    BillDocument,
    EntryKind,
    MissingLetters,
    Utility,
    render,
)
from services.bill_documents.charge_names import ChargeNames
from services.bill_documents.facts import document_of
from services.database.queries.documents import KeptDocument
from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.quantities.period import local_date
from services.records.ledger import EntryKind as LedgerKind

log = logging.getLogger(__name__)

# Older bills are rendered when somebody asks for them.
_RECENT: Final = timedelta(days=3)
# Laying out needs a core, and leaves the other threads alone; more would only take from the pages.
AT_ONCE: Final = 2
_NOT_LAID_OUT: Final = (
    "The PDF could not be laid out ({error}); the log says more. It is tried again every hour."
)
PRINTED_AS: Final[dict[LedgerKind, EntryKind]] = {
    "payment": "payment",
    "deposit_used": "payment",
    "return_undone": "payment",
    "credit": "credit",
    "refund": "refund",
    "reversal": "refund",
    "dispute": "refund",
    "payout": "refund",
    "fee": "fee",
}


class ArchiveDamaged(Exception):
    """A kept PDF is not what its hash says."""


@dataclass(frozen=True, slots=True)
class BillArchive:
    """Renders bills, and keeps what it rendered; what cannot be printed in full is not kept.

    `sender_of` answers who sent the bill of an id.
    """

    database: DatabaseService
    sender_of: Callable[[str], Utility]
    zone: ZoneInfo
    names: ChargeNames

    def pdf(self, bill_id: str) -> KeptDocument:
        """The PDF of an issued bill, the same bytes whenever it is asked for.

        Raises NotFound, IllegalChange for a draft, MissingLetters, ArchiveDamaged.
        """
        kept = self.database.bill_document(bill_id) or self._render(bill_id)
        if hashlib.sha256(kept.pdf).hexdigest() != kept.sha256:
            raise ArchiveDamaged("The kept PDF of this bill is damaged: restore it from a backup.")
        return kept

    def print_recent(self, *, now: datetime, limit: int) -> int:
        """Render bills of the last days that have no PDF yet; how many were tried. `now` in UTC.

        One that cannot be rendered is kept with the reason for administrators, and tried again an
        hour later, however old it is; nobody else waits for it. Raises DatabaseError.
        """
        since = local_date(now - _RECENT, self.zone)
        bills = self.database.bills_to_print(since=since, limit=limit)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="print") as threads:
            list(threads.map(self._print, bills))
        return len(bills)

    def _print(self, bill_id: str) -> None:
        try:
            self._render(bill_id)
        except MissingLetters as missing:
            log.warning("The PDF of bill %s is not made. %s", bill_id, missing)
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("The PDF of bill %s could not be made.", bill_id)
            reason = _NOT_LAID_OUT.format(error=type(error).__name__)
            self.database.note_unprinted_bill(bill_id=bill_id, reason=reason)

    def _render(self, bill_id: str) -> KeptDocument:
        try:
            pdf = render(self.document(bill_id))
        except MissingLetters as missing:
            self.database.note_unprinted_bill(bill_id=bill_id, reason=str(missing))
            raise
        return self.database.keep_bill_document(
            bill_id=bill_id, sha256=hashlib.sha256(pdf).hexdigest(), pdf=pdf
        )

    def document(self, bill_id: str) -> BillDocument:
        """What a bill prints; raises NotFound, IllegalChange for a draft."""
        facts = self.database.bill_document_facts(bill_id)
        return document_of(
            bill=facts.bill.model_copy(update={"payment_url": facts.payment_url}),
            opening=facts.opening,
            closing=facts.closing,
            utility=self.sender_of(bill_id),
            language=facts.language,
            brought_forward_minor=facts.brought_forward_minor,
            entries=[
                AccountEntry(
                    kind=PRINTED_AS.get(entry.kind, "adjustment"),
                    amount_minor=entry.amount_minor,
                    on=entry.on,
                    method=entry.method,
                    reference=entry.reference,
                )
                for entry in facts.entries
            ],
            used_before=facts.used_before,
            replaces=facts.replaces,
            customer_tax_number=facts.tax_number,
            contract_ends_on=facts.contract_ends_on,
            autopaid=facts.autopaid,
            charge_names=self.names.of(facts.bill, facts.language),
        )
