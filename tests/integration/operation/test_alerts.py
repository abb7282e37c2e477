"""What is wrong is reported once when it begins and once when it ends, whatever restarts."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.bootstrap_providers import mail_server as mail_server_of
from services.health.disk import DiskWatch
from services.jobs import jobs
from services.operation.alerts import QUIET_MINUTES, Alerts
from services.operation.channels import AlertChannel, LogChannel, MailChannel, channels_of
from services.operation.conditions import Conditions
from services.operation.figures import Figures
from services.records.jobs import BillsInCurrency, BillsOfSpan
from services.settings import Settings, load_settings
from services.telemetry.outside_calls import STRIPE, OutsideCalls
from tests.integration.job_tools import installed
from tests.integration.providers import published
from tests.integration.providers.stand_in import StandIn, reply, running
from tests.integration.utility import Utility, make_utility
from tests.mail_server import Mailbox, mail_server

# 1 November 2026, 12:00 in Kolkata: each job but the weekly one was due this morning.
NOON = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def discord() -> Iterator[StandIn]:
    with running(published.discord()) as server:
        yield server


@pytest.fixture
def dsn(fresh_database: Callable[[], str]) -> str:
    made = fresh_database()
    installed(made, NOON - timedelta(days=1))
    return made


@pytest.fixture
def utility(dsn: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(dsn, tmp_path)
    # Else what was made before the test is older than the moment it tells of.
    installed(dsn, NOON - timedelta(days=1))
    yield made
    made.services.close()


def settings(discord: StandIn, port: int) -> Settings:
    return load_settings(
        {
            "DEMO": "off",
            "OPERATIONS_DISCORD_WEBHOOK_URL": f"{discord.url}{published.SHARED_PATH}",
            "OPERATIONS_EMAIL": "operators@mill.example",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(port),
            "SMTP_SECURITY": "none",
            "SMTP_FROM": "billing@mill.example",
        }
    )


def alerts_by(utility: Utility, *channels: AlertChannel) -> Alerts:
    """Alerts that know nothing of the calls that other tests of this process made in vain."""
    return Alerts(utility.services, channels=channels, calls=OutsideCalls())


def posts(server: StandIn) -> list[tuple[str, str]]:
    return [(s.json["embeds"][0]["title"], s.json["content"]) for s in server.accepted()]


def done(dsn: str, *names: str, status: str = "done", on: date = date(2026, 11, 1)) -> None:
    """Runs of jobs, as a scheduler would have left them."""
    with psycopg.connect(dsn) as connection:
        for name in names:
            connection.execute(
                "insert into public.job_runs (job, scheduled_on, owner, lease_until, status,"
                " started_by, clock_at, started_at, finished_at, attempt)"
                " values (%s, %s, 'x', %s, %s, 'test', %s, %s, %s, 9)"
                " on conflict (job, scheduled_on) do update set status = excluded.status",
                [name, on, NOON, status, NOON, NOON, NOON],
            )


def all_but(*names: str) -> list[str]:
    return [job.id for job in jobs.JOBS if job.id not in names]


def test_a_late_job_is_told_once_on_every_channel_and_once_when_it_is_over(
    utility: Utility, dsn: str, discord: StandIn, box: Mailbox
) -> None:
    channels = channels_of(settings(discord, box.port))

    def look(minutes: int, times: int = 1) -> None:
        # New ones each time: two processes, and a restart.
        for _ in range(times):
            alerts_by(utility, *channels).look(NOON + minutes * MINUTE)

    done(dsn, *all_but("monthly_bills"))
    look(0, times=2)
    look(1)
    (told,) = posts(discord)
    words = r"Monthly bills was due on 1 Nov 2026 at 02\:00 and did not begin."
    assert told == ("A job is late", words)
    assert len(box.mails) == 1
    assert "A job is late" in box.texts[0]
    assert "was due on 1 Nov 2026 at 02:00" in box.texts[0]
    done(dsn, "monthly_bills")
    look(2)
    look(3)
    assert len(posts(discord)) == 1, "what comes and goes within minutes is one alert"
    look(3 + QUIET_MINUTES)
    look(4 + QUIET_MINUTES)
    assert [title for title, _ in posts(discord)] == ["A job is late", "Over: A job is late"]
    assert len(box.mails) == 2
    (alert,) = utility.services.database.operation_log.alerts()
    assert alert.resolved_at is not None
    assert set(alert.told) == {
        f"{c}/{w}" for c in ("log", "discord", "mail") for w in ("begin", "end")
    }


def test_what_comes_and_goes_all_day_is_told_a_few_times(utility: Utility) -> None:
    log = utility.services.database.operation_log
    for minute in range(24 * 60):
        # Away for seven minutes, well for seven.
        away = (minute // 7) % 2 == 0
        log.note_alerts(
            now=NOON + minute * MINUTE,
            seen=[{"condition": "outside:Stripe", "sentence": "It is away."}] if away else [],
            clear=[] if away else ["outside:Stripe"],
            quiet_minutes=QUIET_MINUTES,
        )
    assert len(log.alerts()) == 2
    # Well at last, it is over, if later than it would be the first time.
    for minute in range(24 * 60, 24 * 60 + 30):
        log.note_alerts(
            now=NOON + minute * MINUTE,
            seen=[],
            clear=["outside:Stripe"],
            quiet_minutes=QUIET_MINUTES,
        )
    assert not log.alerts(open_only=True)


def test_a_failed_job_is_told_of_until_it_goes_well(
    utility: Utility, dsn: str, caplog: Any
) -> None:
    done(dsn, *all_but("overdue_marking"))
    done(dsn, "overdue_marking", status="failed")
    alerts = alerts_by(utility, LogChannel())
    alerts.look(NOON)
    assert "A job failed: Overdue marking of 1 Nov 2026 failed." in caplog.text


def test_a_channel_that_is_away_is_tried_again_and_hinders_nobody(
    utility: Utility, dsn: str, discord: StandIn, box: Mailbox
) -> None:
    box.at_message += ["451 try again later"] * 100
    discord.faults += [reply(500, {})]
    alerts = alerts_by(utility, *channels_of(settings(discord, box.port)))
    done(dsn, *all_but("overdue_marking"))
    alerts.look(NOON)
    assert (posts(discord), box.mails) == ([], [])
    alerts.look(NOON + MINUTE)
    assert (len(posts(discord)), box.mails) == (1, [])
    tried = box.refused
    for minute in range(2, 33):
        alerts.look(NOON + minute * MINUTE)
    assert tried < box.refused < 10, "not each minute"
    box.at_message.clear()
    for minute in range(33, 65):
        alerts.look(NOON + minute * MINUTE)
    assert (len(posts(discord)), len(box.mails)) == (1, 1)


def test_nobody_there_to_take_mail_is_a_failure_and_no_error(utility: Utility) -> None:
    nobody = settings(StandIn(lambda _: reply(200, {}), lambda _: reply(400, {})), 9)
    server = mail_server_of(nobody, counted_as="E-mail (operations)")
    assert server is not None
    alerts = alerts_by(utility, MailChannel(server, nobody))
    alerts.look(NOON)
    assert all(not alert.told for alert in utility.services.database.operation_log.alerts())


def test_a_service_that_fails_for_long_is_told_of_and_one_hiccup_is_not(utility: Utility) -> None:
    clock = [NOON]
    calls = OutsideCalls(lambda: clock[0])
    figures = Figures(utility.services)
    conditions = Conditions(utility.services, figures, calls)
    calls.failed(STRIPE, "timeout")
    assert f"outside:{STRIPE}" not in conditions.look(NOON + 60 * MINUTE).seen
    clock[0] = NOON + 20 * MINUTE
    calls.failed(STRIPE, "timeout")
    found = conditions.look(NOON + 21 * MINUTE)
    assert found.seen["outside:Stripe"] == (
        "Stripe has not answered as it should for 21 minutes (timeout)."
    )
    calls.went_well(STRIPE)
    assert f"outside:{STRIPE}" in conditions.look(NOON + 22 * MINUTE).clear


def test_a_service_that_nobody_asks_any_more_is_asked_or_forgotten(utility: Utility) -> None:
    log = utility.services.database.operation_log
    seen = [{"condition": "outside:Stripe", "sentence": "Stripe does not answer."}]
    log.note_alerts(now=NOON, seen=seen, clear=[], quiet_minutes=5)
    # As after a restart, and without Stripe by now.
    alerts = alerts_by(utility, LogChannel())
    for minute in range(1, 9):
        alerts.look(NOON + minute * MINUTE)
    assert [a for a in log.alerts(open_only=True) if a.condition == "outside:Stripe"] == []


def test_what_waits_too_long_in_the_outbox_is_told_of(utility: Utility, dsn: str) -> None:
    utility.add_meter("M-1")
    utility.submit("M-1", "1117")
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "update public.outbox set status = 'open', finished_at = null, created_at = %s",
            [NOON - timedelta(hours=7)],
        )
    conditions = Conditions(utility.services, Figures(utility.services), OutsideCalls())
    said = conditions.look(NOON).seen["outbox"]
    assert said == "The outbox has 1 entry, the oldest of 7 hours ago."


@pytest.mark.parametrize(
    ("month", "told"),
    [
        ((100, 100_000), False),
        ((130, 120_000), False),
        ((60, 100_000), True),
        ((100, 150_000), True),
        ((100, -10), True),
        ((0, 0), True),
    ],
)
def test_a_month_unlike_the_one_before_is_told_of(
    utility: Utility, dsn: str, monkeypatch: pytest.MonkeyPatch, month: tuple[int, int], told: bool
) -> None:
    def of_span(_: Any, *, after: date, until: date) -> BillsOfSpan:
        is_this = until == date(2026, 11, 1)
        row = month if is_this else (100, 100_000)
        found = BillsInCurrency(currency="INR", bills=row[0], total_minor=row[1])
        return BillsOfSpan(after=after, until=until, currencies=(found,) if row[0] else ())

    log = utility.services.database.operation_log
    monkeypatch.setattr(type(log), "bills_of_span", of_span)
    done(dsn, "monthly_bills")
    conditions = Conditions(utility.services, Figures(utility.services), OutsideCalls())
    found = conditions.look(NOON)
    assert ("bills" in found.seen) == told
    if month == (60, 100_000):
        assert found.seen["bills"] == (
            "For the month up to 1 Nov 2026 there are 60 bills of ₹1,000.00 in all; "
            "for the month before there were 100 bills of ₹1,000.00 in all"
        )


def test_without_the_database_each_process_tells_of_it_once_and_it_is_kept_afterwards(
    utility: Utility, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    done(dsn, *all_but())
    alerts = alerts_by(utility, LogChannel())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter function public.operation_figures(jsonb) rename to away")
        connection.execute("alter function public.note_operations_alerts(jsonb) rename to away_too")
        for minute in range(4):
            alerts.look(NOON + minute * MINUTE)
        assert caplog.text.count("The database is away: ") == 1
        connection.execute("alter function public.away(jsonb) rename to operation_figures")
        connection.execute("alter function public.away_too(jsonb) rename to note_operations_alerts")
    for minute in range(4, 4 + QUIET_MINUTES + 4):
        alerts.look(NOON + minute * MINUTE)
    assert caplog.text.count("The database is away: ") == 2
    assert caplog.text.count("Over: The database is away: ") == 1
    (alert,) = utility.services.database.operation_log.alerts()
    assert (alert.condition, alert.since) == ("database", NOON)
    assert alert.resolved_at is not None


def test_a_disk_that_fills_up_is_told_of_at_each_step(
    utility: Utility, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = DiskWatch((tmp_path,), clock=iter(range(0, 1000, 10)).__next__)
    services = replace(utility.services, disk=watch)
    conditions = Conditions(services, Figures(services), OutsideCalls())

    def free(size: int) -> set[str]:
        usage = type(shutil.disk_usage(tmp_path))(500 * 1024**3, 0, size)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        return {c for c in conditions.look(NOON).seen if c.startswith("disk")}

    assert free(50 * 1024**3) == set()
    assert free(700 * 1024**2) == {"disk_low"}
    assert free(1024**2) == {"disk_low", "disk_full"}
    assert free(50 * 1024**3) == set()
