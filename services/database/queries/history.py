"""What happened to a customer, a meter, a bill, and what was written down about it."""

from collections.abc import Sequence
from datetime import date

from services.database.errors import NotFound
from services.database.queries.base import Queries, is_uuid
from services.languages.sentence import N_, sentence
from services.records.details import BilledUse, ChangePage, CustomersMeter, Subject
from services.records.readings import Meter


class HistoryQueries(Queries):
    """The audit trail by subject, notes, and use as it was billed."""

    def timeline(
        self,
        *,
        of: Subject,
        subject_id: str,
        tables: Sequence[str] | None = None,
        after: tuple[str, str] | None = None,
        limit: int = 25,
    ) -> ChangePage:
        """Changes around one thing, the newest first, those after the key of another; raises
        NotFound for what cannot be an id."""
        if not is_uuid(subject_id):
            raise NotFound("EB404", sentence("Nothing goes by that id."))
        return ChangePage.model_validate(
            self._call(
                "timeline",
                of=of,
                id=subject_id,
                tables=list(tables) if tables is not None else None,
                after=list(after) if after else None,
                limit=limit,
            )
        )

    def add_customer_note(self, *, actor: str, note_id: str, customer_id: str, note: str) -> None:
        """Write a note down, once; raises NotFound, and IllegalChange for another under its id."""
        self._call("add_customer_note", actor=actor, id=note_id, customer_id=customer_id, note=note)

    def meter(self, meter_id: str) -> Meter:
        """One meter, in use or closed; raises NotFound."""
        return Meter.model_validate(self._one("meter_list", meter_id, N_("No such meter.")))

    def meters_of_customer(self, *, customer_id: str) -> list[CustomersMeter]:
        """The meters that a customer has now, by serial, each with its last accepted read."""
        answer = self._call("meters_of_customer", customer_id=customer_id)
        return [CustomersMeter.model_validate(row) for row in answer["meters"]]

    def billed_use(
        self, *, since: date, customer_id: str | None = None, meter_id: str | None = None
    ) -> list[BilledUse]:
        """What bills that are not void measured, by meter and period, of a customer or a meter.

        The periods end after `since`; drafts count, since their reads are there.
        """
        answer = self._call(
            "billed_use", customer_id=customer_id, meter_id=meter_id, since=since.isoformat()
        )
        return [BilledUse.model_validate(row) for row in answer["periods"]]
