"""Imports: rows by kind, reads, and what they are checked against."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from services.database.queries.base import Json, Queries
from services.records.imports import (
    ExportPlan,
    ExportSource,
    IdentifierKey,
    ImportAnswer,
    ImportPreview,
    MeterReads,
    SaidHeading,
)


class ImportQueries(Queries):
    """Imports."""

    def import_rows(
        self,
        *,
        what: str,
        actor: str,
        rows: Sequence[Json],
        dry_run: bool,
        default_language: str | None = None,
        outbox: Mapping[str, Any] | None = None,
    ) -> ImportAnswer:
        """Import customers, tariffs, meters …; with errors, or as a dry run, nothing is written.

        `default_language` is that of new customers whose row names none; `outbox` has what bills
        owe whose balance changes.
        """
        params: Json = {"actor": actor, "rows": list(rows), "dry_run": dry_run}
        if default_language is not None:
            params["default_language"] = default_language
        if outbox is not None:
            params["outbox"] = outbox
        return ImportAnswer.model_validate(self._call(f"import_{what}", **params))

    def preview_import(
        self,
        *,
        what: str,
        actor: str,
        rows: Sequence[Json],
        most: int,
        default_language: str = "en",
    ) -> ImportPreview:
        """What an import of these rows would do, with at most so many differences.

        Raises ReadingConflict.
        """
        asked: Json = {"what": what, "actor": actor, "rows": list(rows), "most": most}
        answer = self._call("preview_import", default_language=default_language, **asked)
        return ImportPreview.model_validate(answer)

    def import_headings(self, *, kind: str) -> list[SaidHeading]:
        """What was said of the headings of a kind of import."""
        answer = self._call("import_headings", kind=kind)
        return [SaidHeading.model_validate(row) for row in answer["headings"]]

    def set_import_headings(self, *, actor: str, kind: str, headings: Sequence[Json]) -> None:
        """Remember headings: `id`, `heading`, `heading_key`, `field`, empty to leave it out."""
        self._call("set_import_headings", actor=actor, kind=kind, headings=list(headings))

    def account_currencies(self, *, account_nos: Sequence[str]) -> dict[str, str]:
        """The currency of each of these accounts that has one."""
        found = self._call("account_currencies", account_nos=list(account_nos))["found"]
        return {str(account): str(currency) for account, currency in found.items()}

    def export_plan(self) -> ExportPlan:
        """What a full export consists of: registers' names, and the tables of the archive."""
        return ExportPlan.model_validate(self._call("export_plan"))

    def export_rows(
        self, *, source: ExportSource, what: str, after: Sequence[Any] | None, limit: int
    ) -> tuple[list[Json], list[Any] | None]:
        """A page of a full export in order of its key, and the key after which it goes on."""
        asked: Json = {"from": source, "what": what, "limit": limit}
        answer = self._call("export_rows", **asked, after=list(after) if after else None)
        return list(answer["rows"]), answer["after"]

    def identifier_keys(self, *, kind: str, identifiers: Sequence[str]) -> list[IdentifierKey]:
        """The keys of identifiers of a kind: customers, meters or transformers."""
        answer = self._call("identifier_keys", kind=kind, identifiers=list(identifiers))
        return [IdentifierKey.model_validate(row) for row in answer["found"]]

    def import_readings(self, *, actor: str, rows: Sequence[Json]) -> ImportAnswer:
        """Store validated reads, unbilled; raises ReadingConflict."""
        return ImportAnswer.model_validate(
            self._call("import_readings", actor=actor, rows=list(rows))
        )

    def meter_reads(
        self, *, serials: Sequence[str], since: date | None = None, every_status: bool = False
    ) -> list[MeterReads]:
        """Some meters and their reads, oldest first.

        Live reads (neither rejected nor superseded), or those of every status.
        """
        answer = self._call(
            "meter_reads",
            serials=list(serials),
            since=since.isoformat() if since else None,
            every_status=every_status,
        )
        return [MeterReads.model_validate(row) for row in answer["meters"]]

    def meter_sample(self, *, limit: int) -> list[str]:
        """Serials of a sample of the meters, the same ones as long as none is added."""
        return [str(serial) for serial in self._call("meter_sample", limit=limit)["serials"]]

    def account_numbers(self, *, limit: int) -> list[str]:
        """The first account numbers there are, in order."""
        rows = self._transport.select("customers", order=["account_no.asc"], limit=limit).rows
        return [row["account_no"] for row in rows]
