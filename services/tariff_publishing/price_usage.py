"""The bill that a tariff's versions make of a usage, without any database."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from services.billing.pricing import Price, parts_of, priced
from services.importing.source import UnreadableFile, read_text
from services.importing.tariff_files import json_of
from services.metering.interval_rules import sum_tolerance
from services.metering.interval_table import MeteredIntervals
from services.metering.measured import Metering
from services.metering.past_bills import PastBills
from services.metering.registers import WrongRegisters, measure_of, names_for
from services.quantities.counting import count
from services.quantities.energy import format_kwh
from services.quantities.period import written_day
from services.rating import UnableToPriceBill
from services.records.intervals import IntervalDays
from services.records.readings import IntervalDay, MeterConstants
from services.records.tariffs import TariffVersion
from services.tariff_publishing.usage_file import TOTAL, UsageFile
from services.tariffs import InvalidTariff, Tariff, parse_tariff


def versions_of_files(paths: Sequence[Path], *, code: str | None = None) -> list[TariffVersion]:
    """The versions of one tariff in files of this project's format; of several, the one `code`.

    Raises UnreadableFile, InvalidTariff.
    """
    found = [tariff for path in paths for tariff in _tariffs_of(path)]
    if code is not None:
        found = [tariff for tariff in found if tariff.code == code] or found
    codes = list(dict.fromkeys(tariff.code for tariff in found))
    if code is not None and codes != [code]:
        raise UnreadableFile(f"No tariff is called {code[:60]!r}. There is: {', '.join(codes)}.")
    if len(codes) > 1:
        raise UnreadableFile(
            f"These are {count(len(codes), 'tariff')}, not versions of one: say which with "
            f"--label: {', '.join(codes[:10])}."
        )
    begins = [tariff.effective_from for tariff in found]
    for day in begins:
        if begins.count(day) > 1:
            raise UnreadableFile(f"Two versions of {codes[0]} are effective from {day}: keep one.")
    return [_version(tariff) for tariff in found]


def price_usage(
    versions: Sequence[TariffVersion],
    usage: UsageFile,
    intervals: Sequence[IntervalDay],
    *,
    zone: ZoneInfo,
) -> Price:
    """Price one bill, the first under its tariff: no bills came before it.

    Where a version begins within the period, each prices its days. Without a total register, what
    was imported is what the registers of the tariff's periods counted, else the intervals.
    Raises UnableToPriceBill, WrongRegisters, InvalidTariff.
    """
    _check_registers(usage, versions)
    _check_intervals(usage, intervals)
    counted = usage.counted()
    _check_interval_sum(usage, counted, intervals)
    for version in versions:
        _check_sums(counted, version.tariff, usage.multiplier_milli)
    metering = Metering(
        period=usage.period,
        segments_wh=(_imported(counted, intervals),),
        constants=MeterConstants(
            meter_id="",
            dials=0,
            multiplier_milli=usage.multiplier_milli,
            connected_w=usage.connected_w,
            connected_va=usage.connected_va,
        ),
        registers={},
        counted={name: wh for name, wh in counted.items() if name != TOTAL},
        maxima=usage.maxima(),
        intervals=MeteredIntervals.alone(IntervalDays.of(intervals), zone=zone)
        if intervals
        else None,
        zone=zone,
        past=PastBills().under(versions, tariff_id="", until=usage.period.end),
    )
    return priced(metering, parts_of(metering, versions))


def _tariffs_of(path: Path) -> Iterable[Tariff]:
    try:
        found = json_of(read_text(path))
    except UnreadableFile as error:
        raise UnreadableFile(f"{path.name}: {error.problem.message}") from None
    listed = found if isinstance(found, list) else [found]
    if not listed:
        raise UnreadableFile(f"{path.name}: there is no tariff in the file.")
    for one in listed:
        if not isinstance(one, dict):
            raise UnreadableFile(f"{path.name}: a tariff is an object with named fields.")
        try:
            yield parse_tariff(one)
        except InvalidTariff as error:
            raise UnreadableFile(f"{path.name}: {error}") from None


def _version(tariff: Tariff) -> TariffVersion:
    return TariffVersion(
        id=f"{tariff.code}/{tariff.effective_from}",
        tariff_id=tariff.code,
        code=tariff.code,
        name=tariff.name,
        currency=tariff.currency,
        effective_from=tariff.effective_from,
        definition=tariff.to_json(),
    )


def _check_registers(usage: UsageFile, versions: Sequence[TariffVersion]) -> None:
    """Raise WrongRegisters for a register of a period that no version has."""
    known = {name for version in versions for name in _period_names(version.tariff)}
    for name in usage.further:
        period = measure_of(name).period
        if period is not None and period not in known:
            has = f"it has {', '.join(sorted(known))}" if known else "it has no periods"
            raise WrongRegisters(
                f"The register {name} is of no period of tariff {versions[0].code}: {has}."
            )


def _check_sums(counted: Mapping[str, int], tariff: Tariff, multiplier_milli: int) -> None:
    """Raise WrongRegisters where the registers of periods are not all there, or not the total.

    As Oracle's D2-SUM-CHK: a kWh of each register, or a hundredth of the total, may be apart.
    """
    for calendar in (tariff.calendars or {}).values():
        names = {
            period: next(
                (n for n in names_for(period, seasons=tariff.seasons or ()) if n in counted), None
            )
            for period in calendar.period_names
        }
        given = sorted({name for name in names.values() if name is not None})
        missing = sorted(period for period, name in names.items() if name is None)
        if not given:
            continue
        if TOTAL not in counted:
            if missing:
                raise WrongRegisters(
                    f"Without a total the usage needs a register of each period: "
                    f"{', '.join(missing)} of tariff {tariff.code} is not there."
                )
            continue
        total, added = counted[TOTAL], sum(counted[name] for name in given)
        apart = added - total if missing else abs(added - total)
        if apart > max((len(given) + 1) * multiplier_milli, total // 100):
            raise WrongRegisters(
                f"The registers {', '.join(given)} counted {format_kwh(added)} kWh, the total "
                f"{format_kwh(total)} kWh: correct one of them."
            )


def _check_interval_sum(
    usage: UsageFile, counted: Mapping[str, int], intervals: Sequence[IntervalDay]
) -> None:
    """Raise WrongRegisters where intervals do not add up to the total, which shares it by them."""
    if TOTAL not in counted or not intervals:
        return
    total, added = counted[TOTAL], sum(sum(day.wh) for day in intervals)
    if abs(added - total) > sum_tolerance(total, usage.multiplier_milli):
        raise WrongRegisters(
            f"The intervals add up to {format_kwh(added)} kWh, the total register counted "
            f"{format_kwh(total)} kWh: correct one of them."
        )


def _period_names(tariff: Tariff) -> Iterable[str]:
    for calendar in (tariff.calendars or {}).values():
        for period in calendar.period_names:
            yield from names_for(period, seasons=tariff.seasons or ())


def _check_intervals(usage: UsageFile, intervals: Sequence[IntervalDay]) -> None:
    """Raise UnableToPriceBill for intervals that do not fill the period."""
    if usage.intervals is None:
        return
    days = usage.period.days
    if len(intervals) < days:
        there = {one.day.toordinal() for one in intervals}
        start = usage.period.start.toordinal()
        missing = next(n for n in range(start, start + days) if n not in there)
        first = written_day(type(usage.period.start).fromordinal(missing))
        raise UnableToPriceBill(
            f"The intervals do not cover the period: they lack {days - len(intervals)} of "
            f"{count(days, 'day')}, the first {first}."
        )
    if len({one.minutes for one in intervals}) > 1:
        raise UnableToPriceBill("The intervals are not of one length within the period.")


def _imported(counted: Mapping[str, int], intervals: Sequence[IntervalDay]) -> int:
    if TOTAL in counted:
        return counted[TOTAL]
    of_periods = [wh for name, wh in counted.items() if measure_of(name).quantity == "import"]
    if of_periods:
        return sum(of_periods)
    if not intervals:
        raise UnableToPriceBill("The usage needs a register total, or intervals.")
    return sum(sum(day.wh) for day in intervals)
