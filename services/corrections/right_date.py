"""The right date of a read that was entered with a wrong one."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from services.corrections.affected_bills import CannotRebill
from services.quantities.period import written_day
from services.records.corrections import BillChain
from services.records.readings import Reading


def on_other_day(read_at: datetime, day: date, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at the same time of day on another local date."""
    local = read_at.astimezone(zone)
    return datetime.combine(day, local.time(), tzinfo=zone).astimezone(UTC)


def check_date(chain: BillChain, wrong: Reading, right: Reading, *, now: datetime) -> None:
    """Raises CannotRebill where a read of the chain cannot have been taken on the right date."""
    if right.read_at > now:
        raise CannotRebill(f"{written_day(right.read_on)} is still to come.")
    if wrong.id in _at_changes(chain):
        raise CannotRebill(
            "At this reading a meter came or went, or somebody moved: its date is that of the "
            "change. Undo the change, and enter it with the right date."
        )
    others = [read for read in chain.reads if read.id != wrong.id]
    before = [read for read in others if read.read_at < wrong.read_at]
    after = [read for read in others if read.read_at > wrong.read_at]
    if before and right.read_on <= before[-1].read_on:
        raise CannotRebill(
            f"The reading before it is of {written_day(before[-1].read_on)}: its date must be "
            "later."
        )
    if after and right.read_on >= after[0].read_on:
        raise CannotRebill(
            f"The next reading is of {written_day(after[0].read_on)}: its date must be earlier."
        )


def _at_changes(chain: BillChain) -> set[str]:
    """The ids of reads at which an installation or the agreement begins or ends."""
    return {*_of_installations(chain), *_of_agreement(chain)}


def _of_installations(chain: BillChain) -> Iterator[str]:
    for one in chain.installations:
        yield from (read.id for read in (one.opening, one.closing) if read is not None)


def _of_agreement(chain: BillChain) -> Iterator[str]:
    for bill in chain.bills:
        if bill.period_start == chain.starts_on:
            yield bill.opening_reading_id
        if bill.period_end == chain.ends_on:
            yield bill.closing_reading_id
