"""Messages that reached nobody, and the letters that were printed of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.database.queries.base import Json, Queries
from services.database.transport import Filter
from services.records.customers.letters import Letter, LetterBatch, UnreachedAfter, UnreachedMessage


@dataclass(frozen=True, slots=True)
class UnreachedPage:
    """A page of unreached messages, where the next begins, and how many there are (10,001)."""

    rows: tuple[UnreachedMessage, ...]
    after: UnreachedAfter | None
    total: int


class LetterBook(Queries):
    """Questions and writes about letters; they raise the errors of services.database.errors."""

    def unreached(self, *, after: UnreachedAfter | None = None, limit: int) -> UnreachedPage:
        """Messages that reached nobody, those that wait for the longest first."""
        key = after.model_dump(mode="json") if after else None
        return _page(self._call("unreached_page", limit=limit, after=key))

    def messages(self, work_ids: Sequence[str]) -> tuple[UnreachedMessage, ...]:
        """The messages of outbox entries that are over, whether they reached anybody or not."""
        found = self._call("unreached_page", limit=len(work_ids), works=list(work_ids))
        return _page(found).rows

    def print_letters(
        self,
        *,
        actor: str,
        batch_id: str,
        today: date,
        letters: Sequence[Json],
        dropped: Sequence[str] = (),
    ) -> LetterBatch | None:
        """Keep letters as printed together, each once, whoever prints it; None where all were.

        The same id again answers the first batch. What is `dropped` (ids of outbox entries) needs
        no letter any more.
        """
        answer = self._call(
            "print_letters",
            actor=actor,
            id=batch_id,
            today=today.isoformat(),
            letters=list(letters),
            dropped=list(dropped),
        )
        return LetterBatch.model_validate(answer) if answer else None

    def batches(self, *, limit: int = 20) -> list[LetterBatch]:
        """The last batches."""
        rows = self._transport.select(
            "letter_batches", filters=[], order=["made_at.desc", "id.asc"], limit=limit
        ).rows
        return [LetterBatch.model_validate(row) for row in rows]

    def batch(self, batch_id: str) -> LetterBatch:
        """One batch; raises NotFound."""
        return LetterBatch.model_validate(self._one("letter_batches", batch_id, "batch of letters"))

    def letters(self, *, batch_id: str) -> list[Letter]:
        """The letters of a batch in their order, 1,000 at most."""
        rows = self._transport.select(
            "letters",
            filters=[Filter("batch_id", "eq", batch_id)],
            order=["place.asc"],
            limit=1000,
        ).rows
        return [Letter.model_validate(row) for row in rows]

    def letter(self, letter_id: str) -> Letter:
        """One letter; raises NotFound."""
        return Letter.model_validate(self._one("letters", letter_id, "letter"))


def _page(answer: Json) -> UnreachedPage:
    return UnreachedPage(
        rows=tuple(UnreachedMessage.model_validate(row) for row in answer["rows"]),
        after=UnreachedAfter.model_validate(answer["after"]) if answer["after"] else None,
        total=int(answer["total"]),
    )
