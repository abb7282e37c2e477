"""What is kept of tariffs and of the bills made with them, as the Tariffs pages read it."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise
from typing import Any

from services.quantities.period import Period
from services.rating import UnableToPriceBill
from services.records.base import Record
from services.tariffs import Tariff, parse_tariff


class NoTariffInForce(UnableToPriceBill):
    """The tariff has no version for the bill's first day."""


class TariffVersion(Record):
    """A tariff as it stands from `effective_from` (local date) until its next version."""

    id: str
    tariff_id: str
    code: str
    name: str
    currency: str
    effective_from: date
    definition: dict[str, Any]

    @cached_property
    def tariff(self) -> Tariff:
        """The definition, parsed once; raises InvalidTariff."""
        return parse_tariff(self.definition)


class TariffSummary(Record):
    """A tariff, how many active meters are on it, and up to which local date it is billed.

    `begins` are the local dates from which its versions hold, in order.
    """

    id: str
    code: str
    name: str
    currency: str
    meters: int
    billed_until: date | None
    begins: tuple[date, ...]


class PublishedVersion(TariffVersion):
    """A version with who published it and when; of a correction also which one it replaced, why."""

    published_at: datetime
    published_by: str | None
    replaces_id: str | None = None
    correction_reason: str = ""


class TariffWithVersions(Record):
    """A tariff and its versions, the latest first."""

    tariff: TariffSummary
    versions: tuple[PublishedVersion, ...]


class BilledUse(Record):
    """What an issued bill was made of: local dates (the end excluded), Wh, minor units.

    `usage` is as services/metering/usage_snapshot.py keeps it; None where that was the Wh alone.
    """

    id: str
    account_no: str
    meter_serial: str
    period_start: date
    period_end: date
    consumption_wh: int
    total_minor: int
    usage: dict[str, Any] | None = None

    @property
    def period(self) -> Period:
        """The bill's local days."""
        return Period(self.period_start, self.period_end)


def versions_within(
    versions: Sequence[TariffVersion], *, period: Period
) -> list[tuple[TariffVersion, Period]]:
    """The versions in force in a period, each with its days; raises UnableToPriceBill."""
    changes = {v.effective_from for v in versions if period.start < v.effective_from < period.end}
    days = [period.start, *sorted(changes), period.end]
    return [(version_in_force(versions, on=a), Period(a, b)) for a, b in pairwise(days)]


def version_in_force(versions: Sequence[TariffVersion], *, on: date) -> TariffVersion:
    """The latest version effective on or before a local date; raises UnableToPriceBill."""
    in_force = [v for v in versions if v.effective_from <= on]
    if not in_force:
        code = versions[0].code if versions else "this meter's tariff"
        raise NoTariffInForce(f"No version of {code} is in force on {on:%d %B %Y}.")
    return max(in_force, key=lambda v: v.effective_from)
