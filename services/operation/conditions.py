"""What may be wrong with the operation: one look, without a memory of the last."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.backups.check import is_late
from services.container import Services
from services.database.transport import DatabaseError
from services.health.disk import Room
from services.jobs import jobs
from services.jobs.due_runs import DueRuns
from services.languages.sentence import joined, nsentence, sentence
from services.operation.figures import Figures
from services.operation.punctuality import late_among
from services.quantities.money import Money
from services.quantities.period import months_before
from services.records.jobs import BillsInCurrency, BillsOfSpan, JobHistory
from services.telemetry.outside_calls import OutsideCalls

DATABASE: Final = "database"
DISK_LOW: Final = "disk_low"
DISK_FULL: Final = "disk_full"
BACKUP: Final = "backup"
JOBS_HELD: Final = "jobs_held"
OUTBOX: Final = "outbox"
BILLS: Final = "bills"
MAILBOX: Final = "mailbox"
OUTSIDE: Final = "outside:"
# What can be reported without the database.
WITHOUT_DATABASE: Final = (DATABASE, DISK_LOW, DISK_FULL)
# Of a handful of bills any share is chance.
_FEWEST_BILLS: Final = 20
_BILLS_AGAIN: Final = timedelta(hours=6)
# So many mails are read within minutes; what is behind them waits for hours.
_MOST_WAITING: Final = 20_000
_FLOOD_IS_OVER: Final = timedelta(days=1)


@dataclass
class Look:
    """What one look found: conditions with a sentence each, and those that are well."""

    seen: dict[str, str] = field(default_factory=dict)
    clear: set[str] = field(default_factory=set)

    def note(self, condition: str, sentence: str | None) -> None:
        """A condition, with what is wrong, or None where it is well."""
        if sentence is None:
            self.clear.add(condition)
        else:
            self.seen[condition] = sentence


class Conditions:
    """Looks at everything that alerts are about; for one thread."""

    def __init__(
        self,
        services: Services,
        figures: Figures,
        calls: OutsideCalls,
        why_jobs_are_held: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._services = services
        self._figures = figures
        self._calls = calls
        self._why_held = why_jobs_are_held
        self._compared: tuple[tuple[date, datetime | None], datetime] | None = None
        self._bills: str | None = None

    def look(self, now: datetime) -> Look:
        """What is wrong at `now`; without the database, what can be seen without it."""
        found = Look()
        held = self._why_held()
        found.note(JOBS_HELD, sentence("No job runs: {why}", why=held) if held else None)
        self._look_at_disk(found)
        self._look_at_backups(found, now)
        self._look_outside(found, now)
        try:
            self._look_at_outbox(found, now)
            history = self._look_at_jobs(found, now)
            self._look_at_bills(found, history, now)
            self._look_at_mailbox(found, now)
            found.note(DATABASE, None)
        except DatabaseError as error:
            found.note(
                DATABASE, sentence("The database cannot be asked ({code}).", code=error.code)
            )
        return found

    def _look_at_disk(self, found: Look) -> None:
        if self._services.disk is None:
            return
        state = self._services.disk.state()
        found.note(DISK_LOW, state.sentence if state.room is not Room.OK else None)
        found.note(DISK_FULL, state.sentence if state.room is Room.FULL else None)

    def _look_at_backups(self, found: Look, now: datetime) -> None:
        backups = self._services.backups
        late = is_late(backups, self._services.database, now=now)
        last = backups.last(now=now) if late else None
        said = sentence("There is no good backup yet, though one should have been made.")
        if last is not None:
            at = last.at.astimezone(self._zone)
            said = sentence(
                "The last good backup is of {day}, {time}.", day=at.date(), time=f"{at:%H:%M}"
            )
        found.note(BACKUP, said if late else None)

    def _look_outside(self, found: Look, now: datetime) -> None:
        least = timedelta(minutes=self._services.current_settings.deployed.alert_outside_minutes)
        for service, state in self._calls.states().items():
            since, last = state.failing_since, state.last_failure
            if since is None:
                found.note(f"{OUTSIDE}{service}", None)
            elif last is not None and last - since >= least:
                said = sentence(
                    "{service} has not answered as it should for {minutes} ({kind}).",
                    service=service,
                    minutes=nsentence(
                        "{count} minute",
                        "{count} minutes",
                        int((now - since).total_seconds() // 60),
                    ),
                    kind=state.kind,
                )
                found.note(f"{OUTSIDE}{service}", said)

    def _look_at_outbox(self, found: Look, now: datetime) -> None:
        figures = self._figures.of(now)
        most = timedelta(hours=self._services.current_settings.deployed.alert_outbox_hours)
        oldest = figures.outbox_oldest_at
        if oldest is None or now - oldest <= most:
            found.note(OUTBOX, None)
            return
        said = sentence(
            "The outbox has {entries}, the oldest of {hours} ago.",
            entries=nsentence("{count} entry", "{count} entries", figures.outbox_open),
            hours=nsentence(
                "{count} hour", "{count} hours", int((now - oldest).total_seconds() // 3600)
            ),
        )
        found.note(OUTBOX, said)

    def _look_at_mailbox(self, found: Look, now: datetime) -> None:
        inbox = self._services.inbox
        state = inbox.state() if inbox is not None else None
        said: list[str] = []
        if state is not None and state.is_flooded(now, over_after=_FLOOD_IS_OVER):
            since = (state.flooded_since or now).astimezone(self._zone)
            said.append(
                sentence(
                    "Since {day}, {time}, {mails} of strangers in the mailbox were left unread, as "
                    "more than are kept. Delivery reports and customers' answers are read as ever.",
                    day=since.date(),
                    time=f"{since:%H:%M}",
                    mails=nsentence("{count} mail", "{count} mails", state.passed_over),
                )
            )
        if state is not None and state.waiting > _MOST_WAITING:
            mails = nsentence("{count} mail", "{count} mails", state.waiting)
            said.append(sentence("{mails} wait to be read in the mailbox.", mails=mails))
        found.note(MAILBOX, joined(said, " ") if said else None)

    def _look_at_jobs(self, found: Look, now: datetime) -> JobHistory:
        due = DueRuns(self._services, lambda: now, threading.Event())
        history = due.history(now)
        late = late_among(due, history, now)
        for job in jobs.JOBS:
            since, run = late.get(job.id), history.last_runs.get(job.id)
            name = job.id.replace("_", " ").capitalize()
            said = _late(name, since.astimezone(self._zone)) if since else None
            found.note(f"job_late:{job.id}", said)
            failed = (
                sentence(
                    "{job} of {day} failed. The page Jobs says why.",
                    job=sentence(name),
                    day=run.scheduled_on,
                )
                if run is not None and run.status == "failed"
                else None
            )
            found.note(f"job_failed:{job.id}", failed)
        return history

    def _look_at_bills(self, found: Look, history: JobHistory, now: datetime) -> None:
        """Compare the month that was billed last with the one before, after each run."""
        run = history.last_runs.get("monthly_bills")
        if run is None or run.status != "done":
            return
        this = (run.scheduled_on, run.finished_at)
        if self._compared is None or self._compared[0] != this or now >= self._compared[1]:
            self._bills = self._compare_bills(run.scheduled_on)
            # Again after some time: bills are corrected and read late.
            self._compared = (this, now + _BILLS_AGAIN)
        found.note(BILLS, self._bills)

    def _compare_bills(self, until: date) -> str | None:
        log = self._services.database.operation_log
        before = months_before(until, 1)
        month = log.bills_of_span(after=before, until=until)
        earlier = log.bills_of_span(after=months_before(until, 2), until=before)
        percent = self._services.current_settings.deployed.alert_bills_percent
        return "; ".join(_differences(month, earlier, percent)) or None

    @property
    def _zone(self) -> ZoneInfo:
        return self._services.settings.timezone


def _late(job: str, since: datetime) -> str:
    return sentence(
        "{job} was due on {day} at {time} and did not begin.",
        job=sentence(job),
        day=since.date(),
        time=f"{since:%H:%M}",
    )


def _differences(month: BillsOfSpan, earlier: BillsOfSpan, percent: int) -> Iterator[str]:
    """A sentence for each currency whose bills are far more or less than a month before."""
    now, before = _by_currency(month), _by_currency(earlier)
    for currency in sorted(now.keys() | before.keys()):
        nothing = BillsInCurrency(currency=currency, bills=0, total_minor=0)
        these, those = now.get(currency, nothing), before.get(currency, nothing)
        # Nothing before is the first month, which has nothing to be compared with.
        if those.bills == 0 or max(these.bills, those.bills) < _FEWEST_BILLS:
            continue
        if _is_far(these.bills, those.bills, percent) or _is_far(
            these.total_minor, those.total_minor, percent
        ):
            yield sentence(
                "For the month up to {day} there are {these}; for the month before there were "
                "{those}",
                day=month.until,
                these=_in_words(these),
                those=_in_words(those),
            )


def _by_currency(span: BillsOfSpan) -> Mapping[str, BillsInCurrency]:
    return {row.currency: row for row in span.currencies}


def _is_far(this: int, that: int, percent: int) -> bool:
    return abs(this - that) * 100 > abs(that) * percent


def _in_words(row: BillsInCurrency) -> str:
    return nsentence(
        "{count} bill of {amount} in all",
        "{count} bills of {amount} in all",
        row.bills,
        amount=Money(row.total_minor, row.currency),
    )
