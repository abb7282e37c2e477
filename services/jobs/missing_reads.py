"""Reads that are missing when billing runs: which are estimated, and why others are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Self
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from services.languages.sentence import sentence
from services.metering.estimation import (
    CannotEstimate,
    Estimate,
    TooManyInARow,
    check_total_is_enough,
    estimate,
)
from services.quantities.period import local_date
from services.readings.estimates import instant_of
from services.records.bills import BillCandidate
from services.records.readings import EstimateFacts
from services.records.tariffs import TariffVersion
from services.utility_settings.model import LiveSettings

_ESTIMATES: Final = uuid5(NAMESPACE_URL, "electricity-billing/estimate")
_NO_METER: Final = sentence("No meter was there on that day: nothing can be estimated.")

Tariffs = Mapping[str, Sequence[TariffVersion]]  # by agreement


@dataclass(frozen=True, slots=True)
class EstimateRule:
    """From how many days after a cycle's end reads are estimated, and how many in a row."""

    after_days: int
    most_in_a_row: int

    @classmethod
    def of(cls, settings: LiveSettings) -> Self | None:
        """What the utility set; None where missing reads are not estimated."""
        if not settings.estimate_missing_reads:
            return None
        return cls(settings.estimate_after_days, settings.estimates_in_a_row)

    def last_day(self, today: date) -> date:
        """The last local date whose missing reads are estimated now."""
        return today - timedelta(days=self.after_days)


@dataclass(frozen=True, slots=True)
class EstimatedMissing:
    """Estimates by agreement, with what they rest on, and of others why there is none."""

    made: Mapping[str, tuple[EstimateFacts, Estimate, date]]
    refused: Mapping[str, CannotEstimate]


def due_for_estimate(
    candidates: Sequence[BillCandidate], rule: EstimateRule | None, *, today: date
) -> dict[str, date]:
    """Agreements whose missing read is estimated now, each with the local date that it is of."""
    if rule is None:
        return {}
    ends = {
        one.agreement_id: min(one.cycle_end, one.ends_on or one.cycle_end)
        for one in candidates
        if one.closing is None
    }
    return {agreement: on for agreement, on in ends.items() if on <= rule.last_day(today)}


def estimate_missing(
    due: Mapping[str, date], facts: Sequence[EstimateFacts], tariffs: Tariffs, rule: EstimateRule
) -> EstimatedMissing:
    """The estimates of all that are due."""
    known = {one.agreement_id: one for one in facts}
    made: dict[str, tuple[EstimateFacts, Estimate, date]] = {}
    refused: dict[str, CannotEstimate] = {}
    for agreement, on in due.items():
        try:
            if agreement not in known:
                raise CannotEstimate(_NO_METER)
            check_total_is_enough([version.tariff for version in tariffs.get(agreement, ())])
            found = estimate(known[agreement], on=on, most_in_a_row=rule.most_in_a_row)
            made[agreement] = (known[agreement], found, on)
        except CannotEstimate as why:
            refused[agreement] = why
    return EstimatedMissing(made, refused)


def rows_of(found: EstimatedMissing, *, now: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    """The estimated reads as the database stores them; the same again has the same ids."""
    return [
        {
            "id": _id_of(facts, on),
            "meter_id": facts.meter_id,
            "read_at": instant_of(on, now=now, zone=zone).isoformat(),
            "read_on": on.isoformat(),
            "register_wh": made.register_wh,
            "validation": {"verdict": "accepted", "rules": [], "estimate": made.to_json()},
            "last_id": facts.last.id,
        }
        for facts, made, on in found.made.values()
    ]


def asked_for(
    found: EstimatedMissing, facts: Sequence[EstimateFacts], *, now: datetime, zone: ZoneInfo
) -> list[dict[str, str]]:
    """The meters that were estimated so often that they must be read."""
    today = local_date(now, zone)
    return [
        {
            "id": str(uuid5(_ESTIMATES, f"ask/{one.meter_id}/{one.last.id}")),
            "meter_id": one.meter_id,
            "reason": str(found.refused[one.agreement_id]),
            "requested_on": today.isoformat(),
        }
        for one in facts
        if isinstance(found.refused.get(one.agreement_id), TooManyInARow)
    ]


def stored_ids(found: EstimatedMissing) -> dict[str, str]:
    """The id of each estimated read, with the agreement that it is for."""
    return {_id_of(facts, on): agreement for agreement, (facts, _, on) in found.made.items()}


def _id_of(facts: EstimateFacts, on: date) -> str:
    return str(uuid5(_ESTIMATES, f"{facts.meter_id}/{facts.last.id}/{on}"))
