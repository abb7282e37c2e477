"""Whether the clock can be believed before a job goes by it (docs/decisions/0012)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.languages.sentence import sentence
from services.quantities.written import moment
from services.records.jobs import ClockState

Clock = Callable[[], datetime]

# Clocks of two machines that are kept in time never differ by so much.
MOST_APART = timedelta(minutes=5)
# What a clock may gain or lose against the uptime: more than a change of zone by hand.
MOST_JUMP = timedelta(hours=6)
# A machine that was off for so long catches up by itself: one monthly run, seldom two.
LONGEST_OFF = timedelta(days=45)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESS = uuid4().hex


class ClockInDoubt(Exception):
    """No job may go by this clock; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """How long a machine has been up, sleep included; comparable within one `machine` only."""

    machine: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the clock is not believed.

    `lasting` doubts are kept until the clock is back; a person may confirm all but those about two
    clocks that differ.
    """

    why: str
    lasting: bool = False
    confirmable: bool = True


def utc_now() -> datetime:
    """The present in UTC, by this process's clock."""
    return datetime.now(UTC)


def uptime_of_machine() -> Uptime:
    """The uptime of this machine, named by its boot where the system does so, else by this process.

    Counted by the clock that goes on while the machine sleeps.
    """
    machine = f"process:{_PROCESS}"
    if _BOOT_ID.is_file():
        machine = f"boot:{_BOOT_ID.read_text().strip()}"
    # Linux has a clock for it; that of macOS goes on in sleep, where Python's own one stands still.
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    seconds = time.monotonic() if clock is None else time.clock_gettime(clock)
    return Uptime(machine, int(seconds))


@dataclass(frozen=True)
class ClockWatch:
    """Compares the clocks of the process and of the database with each other and with the uptime.

    `database_clock` of None is the database's own; a test gives another, and then an `uptime`
    only if it is about that.
    """

    database: DatabaseService
    zone: ZoneInfo
    process_clock: Clock = utc_now
    database_clock: Clock | None = None
    uptime: Callable[[], Uptime | None] = uptime_of_machine

    def look(self, *, note: bool = False) -> tuple[datetime, Doubt | None]:
        """The database's time in UTC, and why it is in doubt, if it is; raises DatabaseError.

        With `note`, as a tick does, what was found is kept for the next look.
        """
        uptime = self.uptime()
        state = self.database.clock_state(machine=_machine(uptime))
        if self.database_clock is not None:
            state = state.model_copy(update={"now": self.database_clock()})
        doubt = doubt_of(state=state, process=self.process_clock(), uptime=uptime, zone=self.zone)
        if note and (doubt is None or doubt.lasting):
            self.database.note_clock(
                machine=_machine(uptime),
                at=state.now,
                uptime_seconds=uptime.seconds if uptime else 0,
                doubt=doubt.why if doubt else None,
            )
        return state.now, doubt

    def now(self) -> datetime:
        """The database's time, kept as seen; raises ClockInDoubt, DatabaseError."""
        now, doubt = self.look(note=True)
        if doubt is not None:
            raise ClockInDoubt(doubt.why)
        return now

    def confirm(self, *, by: str) -> None:
        """Take the clock as right because a person says so; raises ClockInDoubt, DatabaseError.

        Two clocks that differ cannot both be right, whatever anybody says.
        """
        now, doubt = self.look()
        if doubt is not None and not doubt.confirmable:
            raise ClockInDoubt(doubt.why)
        uptime = self.uptime()
        self.database.confirm_clock(
            actor=by,
            machine=_machine(uptime),
            at=now,
            uptime_seconds=uptime.seconds if uptime else 0,
        )


def doubt_of(
    *, state: ClockState, process: datetime, uptime: Uptime | None, zone: ZoneInfo
) -> Doubt | None:
    """Why the database's time `state.now` is not to be believed, or None.

    `process` is the time of this process. On a machine that was up all the time its uptime says how
    much later it must be; after a restart of the machine only a bound says it.
    """
    now = state.now
    if abs(process - now) > MOST_APART:
        return Doubt(
            sentence(
                "The clock of this process says {process}, the database's {database}. Set the "
                "wrong one right; the jobs go on when they agree.",
                process=moment(process, zone),
                database=moment(now, zone),
            ),
            confirmable=False,
        )
    if state.doubted_at is not None and now >= state.doubted_at - MOST_JUMP:
        return Doubt(state.doubt, lasting=True)
    if state.newest_seen is None:
        return None
    if now < state.newest_seen - MOST_JUMP:
        return Doubt(
            sentence(
                "The clock says {now}, but it was {seen} already.",
                now=moment(now, zone),
                seen=moment(state.newest_seen, zone),
            )
        )
    if _jumped(state, uptime) or now - state.newest_seen > LONGEST_OFF:
        return Doubt(
            sentence(
                "The clock says {now}; it was last seen at {seen}, and nothing shows that so much "
                "time went by.",
                now=moment(now, zone),
                seen=moment(state.newest_seen, zone),
            ),
            lasting=True,
        )
    return None


def _jumped(state: ClockState, uptime: Uptime | None) -> bool:
    """Whether the clock gained on the uptime of a machine that was not restarted meanwhile."""
    if uptime is None or state.seen is None:
        return False
    up = timedelta(seconds=uptime.seconds - state.seen.uptime_seconds)
    return up >= timedelta(0) and state.now - state.seen.seen_at - up > MOST_JUMP


def _machine(uptime: Uptime | None) -> str:
    return uptime.machine if uptime else "unknown"
