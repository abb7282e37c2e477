"""The bills as they are printed: what they print, and the PDFs that are kept."""

import base64
from dataclasses import dataclass
from datetime import date

from services.database.queries import Json, Queries


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """The PDF of a bill and its SHA-256 in hex."""

    sha256: str
    pdf: bytes


class DocumentQueries(Queries):
    """What bills print."""

    def bill_document_facts(self, bill_id: str) -> Json:
        """What a bill prints, as it was when it was issued.

        Raises NotFound, and IllegalChange for a draft.
        """
        facts: Json = self._call("bill_document_facts", bill_id=bill_id)
        return facts

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
        """Ids of bills issued on `since` (local date) or later, of which no PDF is kept."""
        answer = self._call("bills_to_print", since=since.isoformat(), limit=limit)
        return list(answer["bills"])


def _kept(row: Json | None) -> KeptDocument | None:
    return KeptDocument(row["sha256"], base64.b64decode(row["pdf"])) if row else None
