"""Documents: the bills as they are printed, the PDFs that are kept, and photos of meters."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.database.queries.base import Json, Queries
from services.database.transport import Filter
from services.languages.sentence import N_
from services.records.base import Page
from services.records.details import BillDocumentFacts
from services.records.documents.credit_notes import CreditNote
from services.records.messages import UnprintedBill
from services.records.submissions import MeterPhoto


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """The PDF of a bill or credit note and its SHA-256 in hex."""

    sha256: str
    pdf: bytes


class DocumentQueries(Queries):
    """What bills print, and photos of meters."""

    def bill_document_facts(self, bill_id: str) -> BillDocumentFacts:
        """What a bill prints, as it was when it was issued.

        Raises NotFound, and IllegalChange for a draft.
        """
        return BillDocumentFacts.model_validate(self._call("bill_document_facts", bill_id=bill_id))

    def bill_document(self, bill_id: str) -> KeptDocument | None:
        """The PDF that is kept of a bill; None before it was rendered."""
        return _kept(self._call("bill_document", bill_id=bill_id))

    def keep_bill_document(self, *, bill_id: str, sha256: str, pdf: bytes) -> KeptDocument:
        """Keep a bill's PDF, unless there is one already; the one that is kept."""
        text = base64.b64encode(pdf).decode()
        kept = _kept(self._call("keep_bill_document", bill_id=bill_id, sha256=sha256, pdf=text))
        assert kept is not None  # noqa: S101 - the function answers the row that it keeps
        return kept

    def bills_to_print(self, *, since: date, limit: int) -> list[str]:
        """Ids of bills issued on `since` (local date) or later, of which no PDF is kept.

        Then those of any age that could not be printed an hour ago or earlier.
        """
        answer = self._call("bills_to_print", since=since.isoformat(), limit=limit)
        return list(answer["bills"])

    def note_unprinted_bill(self, *, bill_id: str, reason: str) -> None:
        """Keep why the PDF of a bill could not be made, until it is."""
        self._call("note_unprinted_bill", bill_id=bill_id, reason=reason)

    def unprinted_bills(self, *, page: int = 1, page_size: int = 10) -> Page[UnprintedBill]:
        """The bills that could not be printed, the oldest trouble first."""
        rows, total = self._page(
            "unprinted_bill_list",
            filters=[],
            order=["since.asc", "bill_id.asc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(UnprintedBill.model_validate(row) for row in rows), total=total)

    def unprinted_because(self, bill_id: str) -> str | None:
        """Why a bill could not be printed; None where it could, or was not tried yet."""
        rows = self._transport.select(
            "unprinted_bill_list", filters=[Filter("bill_id", "eq", bill_id)], limit=1
        ).rows
        return str(rows[0]["reason"]) if rows else None

    def credit_note(self, credit_note_id: str) -> CreditNote:
        """One credit note; raises NotFound."""
        row = self._one("credit_note_list", credit_note_id, N_("No such credit note."))
        return CreditNote.model_validate(row)

    def credit_notes(
        self,
        *,
        bill_id: str | None = None,
        customer_id: str | None = None,
        start: date | None = None,
        until: date | None = None,
        text: str = "",
        after: int | None = None,
        limit: int,
    ) -> list[CreditNote]:
        """Credit notes, the last number first: those of a bill, a customer, some days, or all.

        The days are local, `until` the first one after them. `text` is looked for in their numbers,
        the bill's, and who they are for; `after` is the last number of the page before.
        """
        answer = self._call(
            "list_credit_notes",
            bill_id=bill_id,
            customer_id=customer_id,
            start=start.isoformat() if start else None,
            until=until.isoformat() if until else None,
            text=text,
            after=after,
            limit=limit,
        )
        return [CreditNote.model_validate(row) for row in answer["rows"]]

    def credit_note_document(self, credit_note_id: str) -> KeptDocument | None:
        """The PDF that is kept of a credit note; None before it was rendered."""
        return _kept(self._call("credit_note_document", credit_note_id=credit_note_id))

    def keep_credit_note_document(
        self, *, credit_note_id: str, sha256: str, pdf: bytes
    ) -> KeptDocument:
        """Keep a credit note's PDF, unless there is one already; the one that is kept."""
        text = base64.b64encode(pdf).decode()
        kept = _kept(
            self._call(
                "keep_credit_note_document", credit_note_id=credit_note_id, sha256=sha256, pdf=text
            )
        )
        assert kept is not None  # noqa: S101 - the function answers the row that it keeps
        return kept

    def agreements_without_address(
        self, *, agreements: Sequence[str] = (), bills: Sequence[str] = ()
    ) -> frozenset[str]:
        """Ids of those agreements, also those of bills, whose bills could not say where they are.

        Neither the place nor the customer has an address.
        """
        answer = self._call(
            "agreements_without_address", agreements=list(agreements), bills=list(bills)
        )
        return frozenset(answer["agreements"])

    def keep_photo(
        self,
        *,
        actor: str,
        key: str,
        meter_serial: str,
        sha256: str,
        size: tuple[int, int],
        jpeg: bytes,
    ) -> MeterPhoto:
        """Keep a photo of a meter, its `size` in pixels; a repeat is answered with the first.

        Raises NotFound, and IdempotencyKeyReused where the key stands for another photo.
        """
        answer = self._call(
            "keep_photo",
            actor=actor,
            key=key,
            meter_serial=meter_serial,
            sha256=sha256,
            width=size[0],
            height=size[1],
            jpeg=base64.b64encode(jpeg).decode(),
        )
        return MeterPhoto.model_validate(answer)

    def photo(self, photo_id: str) -> MeterPhoto:
        """One photo, without the picture; raises NotFound."""
        return MeterPhoto.model_validate(
            self._one("meter_photo_list", photo_id, N_("No such photo."))
        )

    def photo_content(self, sha256: str) -> bytes | None:
        """The picture with this SHA-256, as a JPEG."""
        answer = self._call("photo_content", sha256=sha256)
        return base64.b64decode(answer["jpeg"]) if answer else None

    def photos_of(
        self,
        *,
        meter_id: str | None = None,
        reading_id: str | None = None,
        taken_by: str | None = None,
        key: str | None = None,
        limit: int,
    ) -> list[MeterPhoto]:
        """Photos of a meter, of a reading, or that somebody keeps under a key, newest first."""
        answer = self._call(
            "photos_of",
            meter_id=meter_id,
            reading_id=reading_id,
            taken_by=taken_by,
            key=key,
            limit=limit,
        )
        return [MeterPhoto.model_validate(row) for row in answer["photos"]]


def _kept(row: Json | None) -> KeptDocument | None:
    return KeptDocument(row["sha256"], base64.b64decode(row["pdf"])) if row else None
