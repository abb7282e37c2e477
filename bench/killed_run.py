"""A monthly run whose processes and database are killed, beside the same run left alone.

`python -m bench.killed_run [--meters N] [--kills K] [--processes P] [--seed S]`

Each process is a whole system on one database, as `python -m services start` begins it. At random
points of the run one of them, one of their workers, or the database server with all that it began
is killed with SIGKILL, and started again as a supervisor would. In the end both databases must have
the same bills, ledger, balances and messages to send, and no message may have been sent twice.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg

from bench.database import OwnDatabase, own_database
from bench.large_utility import fill
from bench.run_results import Results
from services.messages.wording import HEADLINES
from services.settings import PROJECT_FOLDER, Settings
from tests.integration.providers.published import SHARED_PATH, discord
from tests.integration.providers.stand_in import StandIn, running
from tests.integration.server_process import server_pid

METERS: Final = 100_000
KILLS: Final = 20
PROCESSES: Final = 8
# Of the bills of each run so many must have been sent before the processes are stopped.
SENT_SHARE: Final = 0.02
# The run that is due, and what it bills: fill() has reads up to that day.
ON: Final = date(2026, 11, 1)
PROGRAM: Final = (sys.executable, "-m", "services", "start")
# RestartSec of deploy/electricity-billing.service.
RESTART_SECONDS: Final = 5.0
MOST_SECONDS: Final = 3600.0
_KINDS: Final = ("system", "worker", "database")
# The last is killed while there is still something to do.
_LATEST: Final = 0.9
# The run gets so much further than the next kill, and waits there for it: a fast machine would
# otherwise be done between two looks.
_AHEAD: Final = 0.05
_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 60.0
# One billing day, one run that is due; nothing for the other jobs to do.
_PREPARED: Final = """
    set session_replication_role = replica;
    update installation set installed_at = '2026-10-31 12:00+00';
    update service_agreements set billing_day = 1;
    delete from billing_cycles where billing_day <> 1;
    insert into job_runs (job, scheduled_on, owner, lease_until, status, started_by, started_at,
                          finished_at, clock_at)
    select 'monthly_bills', on_, 'bench', now(), 'done', 'bench', ended, ended, ended
    from generate_series(date '2026-12-01', now() + interval '31 days', interval '1 month') on_
    -- One that ended in time to come would not count, and be done on a billing day.
    cross join lateral (select least(on_ + interval '1 day', now()) as ended) e
    where on_ <= now() + interval '2 days';
    reset session_replication_role;
    select set_config('billing.actor', 'bench', false);
    select private.make_totals();
    update bills set overdue_since = due_date + 1
    where status = 'issued' and overdue_since is null"""
_NO_LIMIT: Final = 2**62
# Numbers of bills are given up to a limit; who wants more waits until it is raised.
_GATE: Final = """
    create table public.drill_gate (highest bigint not null);
    insert into public.drill_gate values (0);
    create function public.wait_at_drill_gate() returns trigger language plpgsql
    security definer as $$
    begin
        while new.last_number > (select highest from public.drill_gate) loop
            perform pg_sleep(0.05);
        end loop;
        return null;
    end $$;
    create constraint trigger drill_gate after update on public.counters
    deferrable initially deferred for each row when (new.name = 'bill')
    execute function public.wait_at_drill_gate()"""
_WAITS_AT_GATE: Final = """
    select exists (select 1 from pg_stat_activity
                   where datname = current_database() and wait_event = 'PgSleep')"""
_STATE: Final = """
    select coalesce((select status from job_runs where job = 'monthly_bills' and scheduled_on = %s),
                    'due'),
           (select last_number from counters where name = 'bill'),
           exists (select 1 from agreements_to_bill)"""
_HOLDER: Final = """
    select split_part(owner, ':', 2)::integer from job_runs
    where job = 'monthly_bills' and status = 'running' and lease_until > now()"""
_NOTIFIED: Final = """
    select n.kind, c.account_no, n.status from notifications n join bills b on b.id = n.bill_id
    join customers c on c.id = b.customer_id where n.channel = 'discord'"""


@dataclass(frozen=True)
class Drill:
    """What is done to a run, and by which program; the seed says when and to whom."""

    meters: int = METERS
    kills: int = KILLS
    processes: int = PROCESSES
    seed: str = field(default_factory=lambda: str(uuid4()))
    program: Sequence[str] = PROGRAM
    restart_seconds: float = RESTART_SECONDS
    sent_share: float = SENT_SHARE


@dataclass
class Told:
    """How a run went: seconds, what was killed, and the messages that arrived."""

    seconds: float
    killed: Counter[str]
    messages: Counter[str]
    wrong: list[str]
    results: Results


class NotOver(Exception):
    """The run did not end, or its messages did not go out, within the time that there is."""


@dataclass
class _Supervised:
    """A program that is started again some seconds after it ended."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    pause: float
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0

    def watch(self) -> None:
        """Start it if it is time."""
        if self.process is not None and self.process.poll() is not None:
            self.process, self.start_at = None, time.monotonic() + self.pause
        if self.process is None and time.monotonic() >= self.start_at:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command,
                    cwd=PROJECT_FOLDER,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    @property
    def pid(self) -> int | None:
        """Its process while it lives."""
        alive = self.process is not None and self.process.poll() is None
        return self.process.pid if alive and self.process else None


@dataclass
class _Systems:
    """The systems of a run, each with a data folder and a port of its own."""

    each: list[_Supervised]

    @classmethod
    @contextmanager
    def started(
        cls, drill: Drill, own: OwnDatabase, recorder: StandIn, *, number: int
    ) -> Iterator["_Systems"]:
        unset = {name.upper(): "" for name in Settings.model_fields}
        systems = cls([])
        for n in range(number):
            folder = own.folder / f"{own.name}-{n}"
            folder.mkdir()
            environment = {
                "DATABASE_URL": own.dsn,
                "DATA_DIR": str(folder),
                "TIMEZONE": "Asia/Kolkata",
                "EMBEDDED_GRAPH": "off",
                "BACKUP_NIGHTLY": "off",
                "DISCORD_WEBHOOK_URL": recorder.url + SHARED_PATH,
                "MESSAGES_PER_MINUTE_DISCORD": "100000",
                "STREAMLIT_SERVER_PORT": str(_free_port()),
            }
            systems.each.append(
                _Supervised(
                    drill.program,
                    {**os.environ, **unset, **environment},
                    folder / "log",
                    drill.restart_seconds,
                )
            )
        try:
            yield systems
        finally:
            systems.stop()

    def watch(self) -> None:
        """Start those whose time has come."""
        for one in self.each:
            one.watch()

    @property
    def pids(self) -> list[int]:
        """Those that live."""
        return [one.pid for one in self.each if one.pid is not None]

    @property
    def workers(self) -> list[int]:
        """Their worker processes."""
        return [pid for parent in self.pids for pid in _children(parent) if _is_worker(pid)]

    def stop(self) -> None:
        """As a supervisor does: asked first, killed after a while."""
        for one in self.each:
            if one.process is not None and one.pid is not None:
                one.process.terminate()
        until = time.monotonic() + _STOP_SECONDS
        for one in self.each:
            if one.process is not None:
                try:
                    one.process.wait(max(0.0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    one.process.kill()
                    one.process.wait()


@dataclass
class _Killer:
    """Kills something at each of some shares of the run, in order."""

    chance: random.Random
    own: OwnDatabase
    systems: _Systems
    due: list[tuple[float, str]]
    pause: float
    numbered: int
    bills: int
    killed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls, drill: Drill, own: OwnDatabase, systems: _Systems, kills: int, *, bills: int
    ) -> "_Killer":
        """For so many kills, of each kind about as many, while so many bills are made."""
        chance = random.Random(drill.seed)
        kinds = [_KINDS[n % len(_KINDS)] for n in range(kills)]
        chance.shuffle(kinds)
        shares = sorted(chance.uniform(0, _LATEST) for _ in kinds)
        due = list(zip(shares, kinds, strict=True))
        killer = cls(chance, own, systems, due, drill.restart_seconds, _state(own)[1], bills)
        with own.owner() as connection:
            connection.execute(_GATE.encode())
        killer._move_gate()
        return killer

    def strike(self, last_number: int) -> None:
        """Kill if that much of the run is done that it is time."""
        if not self.due:
            return
        share = (last_number - self.numbered) / self.bills
        waits = self._waits_at_gate()
        if share < self.due[0][0] and not waits:
            return
        kind = self.due[0][1]
        workers = self.systems.workers
        if kind == "worker" and not workers:
            if not waits:
                return
            # What is left is too little for workers.
            kind = "system"
        # Anywhere within a batch, not just after one.
        time.sleep(self.chance.uniform(0, 0.3))
        if kind == "worker":
            _kill(self.chance.choice(workers))
        elif kind == "system":
            _kill(self.chance.choice(self._holders() or self.systems.pids))
        else:
            self._kill_database()
        self.due.pop(0)
        self.killed[kind] += 1
        self._move_gate()
        _say(f"  {kind} killed at {share:.0%}")

    def _move_gate(self) -> None:
        if self.due:
            highest = self.numbered + int((self.due[0][0] + _AHEAD) * self.bills)
        else:
            highest = _NO_LIMIT
        with self.own.owner() as connection:
            connection.execute("update drill_gate set highest = %s", [highest])

    def _waits_at_gate(self) -> bool:
        with suppress(psycopg.OperationalError), self.own.owner() as connection:
            row = connection.execute(_WAITS_AT_GATE.encode()).fetchone()
            return row is not None and row[0]
        return False

    def _holders(self) -> list[int]:
        """Every second time the system that holds the run: of the others little is learned."""
        if self.chance.random() < 0.5:
            return []
        with self.own.owner() as connection:
            rows = connection.execute(_HOLDER.encode()).fetchall()
        return [pid for (pid,) in rows if pid in self.systems.pids]

    def _kill_database(self) -> None:
        server = self.own.server
        first = server_pid(server)
        for pid in (first, *_children(first)):
            _kill(pid)
        time.sleep(self.chance.uniform(0, self.pause))
        server.start()


def main() -> None:
    """Fill, run alone, run and kill, compare; exits with 1 where they differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.killed_run")
    parser.add_argument("--meters", type=int, default=METERS)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--seed", default=str(uuid4()))
    given = parser.parse_args()
    drill = Drill(given.meters, given.kills, given.processes, given.seed)
    _say(f"seed {drill.seed}, load {os.getloadavg()[0]:.1f}")
    alone, disturbed = both_runs(drill)
    problems = compare(drill, alone, disturbed)
    sys.exit(1 if problems else 0)


def both_runs(drill: Drill) -> tuple[Told, Told]:
    """The run of one system left alone, and that of several that are killed, of one utility."""
    with own_database() as own:
        with own.owner() as connection:
            fill(connection, customers=drill.meters)
            connection.execute(_PREPARED.encode())
            connection.execute("vacuum analyze")
        alone, disturbed = own.copy("alone"), own.copy("disturbed")
        quiet = _run(drill, alone, processes=1)
        bills = quiet.results.bills
        _say(f"alone: {bills:,} bills in {quiet.seconds:.0f} s")
        return quiet, _run(
            drill, disturbed, processes=drill.processes, kills=drill.kills, bills=bills
        )


def compare(drill: Drill, alone: Told, disturbed: Told) -> list[str]:
    """Print a table of what is the same; what is not."""
    problems = [f"left alone, {one}" for one in (*alone.results.wrong, *alone.wrong)]
    problems += [f"killed, {one}" for one in (*disturbed.results.wrong, *disturbed.wrong)]
    if disturbed.killed.total() != drill.kills:
        problems.append(f"{disturbed.killed.total()} were killed, not {drill.kills}")
    kills = ", ".join(f"{kind} {n}" for kind, n in sorted(disturbed.killed.items()))
    for label, told in (("alone", alone), (f"killed ({kills})", disturbed)):
        _say(
            f"{label}: {told.results.bills:,} bills, total {told.results.total_minor:,}, "
            f"{told.messages.total():,} messages, {told.seconds:.0f} s"
        )
    for what, difference in alone.results.differences(disturbed.results).items():
        _say(f"  {what:26}{len(alone.results.rows[what]):>10,} {difference or 'the same'}")
        if difference:
            problems.append(f"{what}: {difference}")
    for problem in problems:
        _say(f"WRONG: {problem}")
    return problems


def _run(drill: Drill, own: OwnDatabase, *, processes: int, kills: int = 0, bills: int = 1) -> Told:
    """A run of which so many bills are expected, until it is over and some messages are sent."""
    with ExitStack() as stack:
        recorder = stack.enter_context(running(discord()))
        systems = stack.enter_context(_Systems.started(drill, own, recorder, number=processes))
        killer = _Killer.of(drill, own, systems, kills, bills=bills)
        began, numbered = time.monotonic(), killer.numbered
        while True:
            systems.watch()
            status, last, late = _state(own)
            if status == "done" and not late:
                break
            killer.strike(last)
            _not_for_ever(began, f"the run is {status} after {last - numbered:,} bills")
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - began
        while len(recorder.accepted()) < drill.sent_share * (last - numbered):
            systems.watch()
            _not_for_ever(began, f"{len(recorder.accepted()):,} messages were sent")
            time.sleep(_POLL_SECONDS)
    with own.owner() as connection:
        results = Results.of(connection, numbered=numbered)
        notified = connection.execute(_NOTIFIED.encode()).fetchall()
    arrived = Counter(subject_of(seen.json) for seen in recorder.accepted())
    return Told(seconds, killer.killed, arrived, _messages_wrong(arrived, notified), results)


def subject_of(message: Mapping[str, Any]) -> str:
    """What a message is about; of each kind one goes to each account."""
    (embed,) = message["embeds"]
    account = next(one["value"] for one in embed["fields"] if one["name"] == "Account")
    return f"{embed['title']} of {account}"


def _messages_wrong(arrived: Counter[str], notified: list[Any]) -> list[str]:
    """Where what arrived is not what the database says."""
    wrong = []
    if again := [subject for subject, times in arrived.items() if times > 1]:
        wrong.append(f"{len(again):,} messages were sent again, such as {min(again)}")
    known = {(f"{HEADLINES[kind]} of {account}", status) for kind, account, status in notified}
    if unknown := set(arrived) - {subject for subject, _ in known}:
        wrong.append(f"{len(unknown):,} messages are not in the log, such as {min(unknown)}")
    if lost := {subject for subject, status in known if status == "sent"} - set(arrived):
        wrong.append(f"{len(lost):,} messages did not arrive, such as {min(lost)}")
    return wrong


def _state(own: OwnDatabase) -> tuple[str, int, bool]:
    """How the run stands, the last number given, and whether it has late reads to look at."""
    for patience in (1.0, 5.0, 30.0):
        try:
            with own.owner() as connection:
                row = connection.execute(_STATE.encode(), [ON]).fetchone()
        except psycopg.OperationalError:
            # A busy machine, or a server that still recovers.
            time.sleep(patience)
        else:
            assert row is not None
            return row[0], row[1], row[2]
    raise NotOver("The database does not answer.")


def _not_for_ever(began: float, how: str) -> None:
    if time.monotonic() > began + MOST_SECONDS:
        raise NotOver(f"After {MOST_SECONDS:,.0f} s {how}.")


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit():
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append(int(folder.name))
    return found


def _is_worker(pid: int) -> bool:
    with suppress(OSError):
        return b"spawn_main" in Path("/proc", str(pid), "cmdline").read_bytes()
    return False


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _say(text: str) -> None:
    print(text, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
