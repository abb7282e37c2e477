"""What is kept of tariffs and of the bills made with them, as the Tariffs pages read it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise, zip_longest
from typing import Any

from services.quantities.period import Period, written_day
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


class TariffSpan(Record):
    """The tariff of an agreement from a local date on; from ever where that is None."""

    tariff_id: str
    starts_on: date | None


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


def versions_along(
    spans: Sequence[TariffSpan], versions: Iterable[TariffVersion]
) -> list[TariffVersion]:
    """The versions that price an agreement's days, as if they were those of one tariff.

    `spans` are its tariffs in order, each until the next; where one begins, the version in force
    that day is effective from it.
    """
    by_tariff: dict[str, list[TariffVersion]] = {}
    for version in versions:
        by_tariff.setdefault(version.tariff_id, []).append(version)
    found: list[TariffVersion] = []
    for span, after in zip_longest(spans, spans[1:]):
        of_tariff = by_tariff.get(span.tariff_id, [])
        until = after.starts_on if after else None
        found += _within_span(of_tariff, since=span.starts_on, until=until)
    return found


def _within_span(
    versions: Sequence[TariffVersion], *, since: date | None, until: date | None
) -> Iterator[TariffVersion]:
    ordered = sorted(versions, key=lambda version: version.effective_from)
    for version, after in zip_longest(ordered, ordered[1:]):
        begins, ends = version.effective_from, after.effective_from if after else None
        if (until and begins >= until) or (since and ends and ends <= since):
            continue
        if since and begins < since:
            yield version.model_copy(update={"effective_from": since})
        else:
            yield version


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
        raise NoTariffInForce(f"No version of {code} is in force on {written_day(on)}.")
    return max(in_force, key=lambda v: v.effective_from)
