"""Tariffs and their versions: what there is, publishing, and what was billed with them."""

from datetime import date

from services.database.queries.base import ROWS_AT_ONCE, Queries
from services.database.transport import Filter
from services.quantities.period import next_month
from services.records.tariffs import BilledUse, PublishedVersion, TariffSummary
from services.tariffs import Tariff


class TariffQueries(Queries):
    """Tariffs, their versions, and what was billed with them."""

    def tariffs(self) -> list[TariffSummary]:
        """The tariffs there are (at most 1,000), by code."""
        rows = self._transport.select("tariff_list", order=["code.asc"], limit=ROWS_AT_ONCE).rows
        return [TariffSummary.model_validate(row) for row in rows]

    def published_versions(self, *, code: str) -> list[PublishedVersion]:
        """The versions of one tariff (at most 1,000), the latest first."""
        rows = self._transport.select(
            "published_version_list",
            filters=[Filter("code", "eq", code)],
            order=["effective_from.desc"],
            limit=ROWS_AT_ONCE,
        ).rows
        return [PublishedVersion.model_validate(row) for row in rows]

    def publish_tariff(
        self, *, actor: str, version_id: str, tariff_id: str, tariff: Tariff
    ) -> bool:
        """Add a version of a tariff, or a tariff with its first; False when it is there already.

        Raises IllegalChange, with the reason, where it would begin within what is billed, where
        another version begins on its date, and where its currency is not the tariff's.
        """
        answer = self._call(
            "publish_tariff",
            actor=actor,
            id=version_id,
            tariff_id=tariff_id,
            code=tariff.code,
            name=tariff.name,
            currency=tariff.currency,
            effective_from=tariff.effective_from.isoformat(),
            definition=tariff.to_json(),
        )
        return bool(answer["added"])

    def billed_uses(
        self, *, tariff_id: str, month: date, after: BilledUse | None = None, limit: int
    ) -> list[BilledUse]:
        """What issued bills of a tariff were made of, by period's end: those after `after`.

        A bill is of the month in which its period ends, or on whose next 1st it ends.
        """
        answer = self._call(
            "billed_uses",
            tariff_id=tariff_id,
            after_day=month.isoformat(),
            until_day=next_month(month).isoformat(),
            after={"period_end": after.period_end.isoformat(), "id": after.id} if after else None,
            limit=limit,
        )
        return [BilledUse.model_validate(row) for row in answer["bills"]]
