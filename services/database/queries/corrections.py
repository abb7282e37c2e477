"""Corrections: what reissuing bills needs, reissuing them, and tariffs that were wrong."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.records.corrections import (
    BillChain,
    BillsToCorrect,
    Correction,
    CorrectionKind,
    MeterToCorrect,
    ReadingToCorrect,
    TariffReach,
)
from services.records.readings import Reading
from services.tariffs import Tariff


class CorrectionQueries(Queries):
    """Void and rebill."""

    def rebill_context(
        self,
        *,
        bill_id: str | None = None,
        agreement_id: str | None = None,
        version_id: str | None = None,
        tariff_code: str | None = None,
        since: date | None = None,
    ) -> BillChain:
        """The agreement of a bill, or `agreement_id`, with its bills and what they are made from.

        With `version_id` the bills that this version priced count as priced wrongly; else those
        that corrected versions did. `tariff_code` adds that tariff's versions;
        `since` reaches back to the bill that ends after that local date. Raises NotFound.
        """
        asked = {"bill_id": bill_id, "agreement_id": agreement_id, "version_id": version_id}
        asked |= {"tariff_code": tariff_code, "since": since.isoformat() if since else None}
        given = {name: value for name, value in asked.items() if value is not None}
        return BillChain.model_validate(self._call("rebill_context", **given))

    def rebill(
        self,
        *,
        actor: str,
        correction_id: str,
        kind: CorrectionKind,
        agreement_id: str,
        meter_id: str,
        reason: str,
        warned: str,
        on: date,
        chain_from: date,
        chain: Sequence[str],
        affected: Sequence[Mapping[str, str | None]],
        bills: Sequence[Mapping[str, Any]],
        reading: Mapping[str, Any] | None = None,
        tariff_id: str | None = None,
        outbox: Mapping[str, Any] | None = None,
    ) -> Correction:
        """Void the affected bills and store those in their place, all or none.

        `chain` are the agreement's bills from the local date `chain_from` on, as "id status";
        `affected` are {void, new} in order; `reading` is {id, right}. A repeat answers the first
        result. Raises ChainMoved when the bills are not as they were seen, IllegalChange, NotFound.
        """
        answer = self._call(
            "rebill",
            actor=actor,
            id=correction_id,
            kind=kind,
            agreement_id=agreement_id,
            meter_id=meter_id,
            reason=reason,
            warned=warned,
            on=on.isoformat(),
            chain_from=chain_from.isoformat(),
            chain=list(chain),
            touched=[dict(one) for one in affected],
            bills=[dict(bill) for bill in bills],
            reading=dict(reading) if reading else None,
            tariff_id=tariff_id,
            outbox=outbox,
        )
        return Correction.model_validate(answer)

    def reading_to_correct(self, reading_id: str) -> ReadingToCorrect:
        """A reading with what its correction depends on; raises NotFound."""
        return ReadingToCorrect.model_validate(
            self._call("reading_to_correct", reading_id=reading_id)
        )

    def correct_reading(
        self, *, actor: str, reason: str, reading_id: str, right: Mapping[str, Any] | None
    ) -> Reading:
        """Put a right read in the place of one that is not billed, or withdraw it (None).

        The reading that holds now; a repeat changes nothing. Raises NotFound, IllegalChange where a
        bill rests on it, ReadingConflict where another one has its time.
        """
        answer = self._call(
            "correct_reading",
            actor=actor,
            reason=reason,
            reading={"id": reading_id, "right": dict(right) if right is not None else None},
        )
        return Reading.model_validate(answer)

    def correction(self, correction_id: str) -> Correction | None:
        """One correction, None where there is none yet."""
        rows = self._transport.select(
            "correction_list", filters=[Filter("id", "eq", correction_id)], limit=1
        ).rows
        return Correction.model_validate(rows[0]) if rows else None

    def corrections_of_bill(self, bill_id: str) -> list[Correction]:
        """Those that made a bill or voided it, the first first."""
        answer = self._call("corrections_of_bill", bill_id=bill_id)
        return [Correction.model_validate(row) for row in answer["corrections"]]

    def correct_tariff(
        self, *, actor: str, new_id: str, version_id: str, tariff: Tariff, reason: str
    ) -> None:
        """Replace a version of a tariff on its own date; a repeat changes nothing.

        Raises NotFound, and IllegalChange when it was corrected already or would say the same.
        """
        self._call(
            "correct_tariff",
            actor=actor,
            id=new_id,
            version_id=version_id,
            definition=tariff.to_json(),
            reason=reason,
        )

    def tariff_reach(self, *, version_id: str) -> TariffReach:
        """What the bills add up to that a version of a tariff priced."""
        return TariffReach.model_validate(self._call("tariff_reach", version_id=version_id))

    def bills_to_correct(
        self,
        *,
        tariff_id: str | None = None,
        version_id: str | None = None,
        after: MeterToCorrect | None = None,
        limit: int,
    ) -> BillsToCorrect:
        """The bills that a version priced, or of a tariff those that corrected versions did.

        Bills that were reissued are not among them. `limit` agreements in the order of the
        first bill of each, those after `after`.
        """
        return BillsToCorrect.model_validate(
            self._call(
                "bills_to_correct",
                tariff_id=tariff_id,
                version_id=version_id,
                after={"ended_on": after.ended_on.isoformat(), "bill_id": after.bill_id}
                if after
                else None,
                limit=limit,
            )
        )
