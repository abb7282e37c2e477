"""Imports: rows by kind, reads, and what they are checked against."""

from collections.abc import Sequence
from datetime import date

from services.database.queries.base import Json, Queries


class ImportQueries(Queries):
    """Imports."""

    def import_rows(self, *, what: str, actor: str, rows: Sequence[Json], dry_run: bool) -> Json:
        """Import customers, tariffs, meters …: {errors: [{row, message}], added, changed, …}.

        With errors, or as a dry run, nothing is written.
        """
        answer: Json = self._call(f"import_{what}", actor=actor, rows=list(rows), dry_run=dry_run)
        return answer

    def identifier_keys(self, *, kind: str, identifiers: Sequence[str]) -> list[Json]:
        """Of each identifier {identifier, key, known}: `known` is stored and has the same key.

        `kind` is customers, meters or transformers; `known` is the identifier itself if stored.
        """
        answer = self._call("identifier_keys", kind=kind, identifiers=list(identifiers))
        return list(answer["found"])

    def import_readings(self, *, actor: str, rows: Sequence[Json]) -> Json:
        """Store validated reads, unbilled; raises ReadingConflict."""
        answer: Json = self._call("import_readings", actor=actor, rows=list(rows))
        return answer

    def meter_reads(
        self, *, serials: Sequence[str], since: date | None = None, every_status: bool = False
    ) -> list[Json]:
        """Reads of some meters, oldest first, with the meters' dials and multiplier.

        Live reads (neither rejected nor superseded), or those of every status.
        """
        answer = self._call(
            "meter_reads",
            serials=list(serials),
            since=since.isoformat() if since else None,
            every_status=every_status,
        )
        return list(answer["meters"])

    def account_numbers(self, *, limit: int) -> list[str]:
        """The first account numbers there are, in order."""
        rows = self._transport.select("customers", order=["account_no.asc"], limit=limit).rows
        return [row["account_no"] for row in rows]
