"""What was read at a place of supply and used between the reads, over all its meters."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.metering.measured import wh_between
from services.records.readings import Reading
from services.records.supply import Place, PlacedMeter

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PlaceRead:
    """A read at a place, and what was used since the one before it, in Wh and in days.

    `used_wh` is None where nothing was measured before it: it is the read at which a meter came.
    """

    reading: Reading
    used_wh: int | None
    days: int
    is_installation: bool
    is_removal: bool


@dataclass(frozen=True, slots=True)
class PlaceReadPage:
    """Some reads, the newest first, and the key that the older ones come after, if any."""

    reads: tuple[PlaceRead, ...]
    older: Key | None


def page_of(place: Place, rows: Sequence[Reading], *, limit: int) -> PlaceReadPage:
    """The first `limit` of the reads, the newest first; two more say since when was used."""
    reads = tuple(_with_use(place, row, rows[at + 1 :]) for at, row in enumerate(rows[:limit]))
    last = reads[-1].reading if len(rows) > limit else None
    return PlaceReadPage(reads, (last.read_at.isoformat(), last.id) if last else None)


def _with_use(place: Place, read: Reading, earlier: Sequence[Reading]) -> PlaceRead:
    came = any(one.opening.id == read.id for one in place.installations)
    went = any(one.closing and one.closing.id == read.id for one in place.installations)
    meter = next((one for one in place.installations if _measures(one, read)), None)
    before = next((one for one in earlier if meter and _is_within(meter, one)), None)
    if meter is None or before is None:
        return PlaceRead(read, None, 0, is_installation=came, is_removal=went)
    actual = next((one for one in earlier if _is_within(meter, one) and one.is_actual), None)
    used = wh_between(
        before,
        read,
        dials=meter.dials,
        multiplier_milli=meter.multiplier_milli,
        last_actual=actual,
    )
    days = (read.read_on - before.read_on).days
    return PlaceRead(read, used, days, is_installation=came, is_removal=went)


def _measures(meter: PlacedMeter, read: Reading) -> bool:
    """Whether use up to the read is by this installation: it did not begin there."""
    return _is_within(meter, read) and read.read_at > meter.installed_at


def _is_within(meter: PlacedMeter, read: Reading) -> bool:
    began = read.meter_id == meter.meter_id and read.read_at >= meter.installed_at
    return began and (meter.removed_at is None or read.read_at <= meter.removed_at)
