"""Alerts: each condition is reported once when it begins and once when it is over.

They are kept in the database, so that several processes and a restart tell nobody twice. What
concerns the database itself is reported without it, by each process, and kept once it is back.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from services.container import Services
from services.database.transport import DatabaseError
from services.health.checks import Check, HeadEndCheck, SignInServiceCheck
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import OutcomeUnknown
from services.languages.sentence import N_
from services.operation.channels import AlertChannel, channels_of
from services.operation.conditions import OUTSIDE, WITHOUT_DATABASE, Conditions, Look
from services.operation.figures import Figures
from services.records.jobs import OperationsAlert
from services.telemetry import outside_calls as outside
from services.telemetry.outside_calls import OutsideCalls, outside_calls

log = logging.getLogger(__name__)

# What comes and goes within minutes is one alert.
QUIET_MINUTES: Final = 5
_PROBE_PAUSE: Final = timedelta(minutes=5)
_TITLES: Final = {
    "job_failed": N_("A job failed"),
    "job_late": N_("A job is late"),
    "jobs_held": N_("The jobs are held"),
    "bills": N_("Unusual bills"),
    "outbox": N_("The outbox is stuck"),
    "backup": N_("No recent backup"),
    "disk_low": N_("The disk is getting full"),
    "disk_full": N_("The disk is full"),
    "database": N_("The database is away"),
    "mailbox": N_("The mailbox is flooded"),
    "outside": N_("A service does not answer"),
}
# By whose check it is seen that a service answers again, when nobody else asks it.
_CHECKS: Final = {
    outside.STRIPE: "Payments (Stripe)",
    outside.DISCORD: "Messages (Discord)",
    outside.WHATSAPP: "Messages (WhatsApp)",
    outside.EMAIL: "Messages (e-mail)",
    outside.SMS: "Messages (SMS)",
    outside.OPENAI: "AI",
    outside.NEO4J: "Graph",
    outside.AUTH0: "Sign-in (Auth0)",
    outside.HEAD_END: "Smart-meter head-end",
}


def title_of(condition: str) -> str:
    """What people call a condition."""
    return _TITLES.get(condition.partition(":")[0], condition)


@dataclass
class _ToldHere:
    """What was reported without the database: since when, and which channels know."""

    sentence: str
    since: datetime
    told: dict[str, str] = field(default_factory=dict)
    next_try: datetime | None = None
    attempts: int = 0


class Alerts:
    """The alerts of this process; `look` is called by one thread at a time."""

    def __init__(
        self,
        services: Services,
        *,
        channels: Sequence[AlertChannel] | None = None,
        calls: OutsideCalls = outside_calls,
        figures: Figures | None = None,
        why_jobs_are_held: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._log = services.database.operation_log
        deployed = services.current_settings.deployed
        self._channels = {c.name: c for c in channels or channels_of(deployed)}
        figures = figures or Figures(services)
        self._conditions = Conditions(services, figures, calls, why_jobs_are_held)
        self._calls = calls
        self._checks = {check.name: check for check in _checks_of(services)}
        self._told_here: dict[str, _ToldHere] = {}
        self._probed_at: datetime | None = None

    def look(self, now: datetime) -> None:
        """Look at everything and report what is new; what cannot be sent is tried again.

        Raises DatabaseError when the database goes away while alerts are sent.
        """
        self._ask_those_that_failed(now)
        found = self._conditions.look(now)
        try:
            self._keep(found, now)
        except DatabaseError:
            self._tell_without_database(found, now)
            return
        claimed = self._log.claim_alerts(now=now, channels=list(self._channels))
        for alert in claimed:
            self._tell(alert, now)

    def _keep(self, found: Look, now: datetime) -> None:
        rows = [{"condition": c, "sentence": s} for c, s in found.seen.items()]
        # What was reported meanwhile is kept as it was, and is over by the looks that follow.
        rows = [row for row in rows if row["condition"] not in self._told_here]
        told: list[Mapping[str, Any]] = [
            {"condition": c, "sentence": t.sentence, "since": t.since.isoformat(), "told": t.told}
            for c, t in self._told_here.items()
        ]
        clear = sorted(found.clear - self._told_here.keys())
        self._log.note_alerts(
            now=now, seen=[*rows, *told], clear=clear, quiet_minutes=QUIET_MINUTES
        )
        self._told_here.clear()

    def _tell(self, alert: OperationsAlert, now: datetime) -> None:
        for name, channel in self._channels.items():
            untold = [what for what in _PARTS if alert.is_untold(name, what)]
            if not untold or not _is_told(channel, alert, untold, now):
                continue
            try:
                what = [f"{name}/{part}" for part in untold]
                self._log.alert_told(alert_id=alert.id, now=now, what=what)
            except DatabaseError as error:
                log.warning("it could not be kept that %s was notified (%s)", name, error.code)

    def _tell_without_database(self, found: Look, now: datetime) -> None:
        for condition in WITHOUT_DATABASE:
            if condition not in found.seen:
                continue
            sentence = found.seen[condition]
            here = self._told_here.setdefault(condition, _ToldHere(sentence, now))
            if here.next_try is not None and now < here.next_try:
                continue
            here.attempts += 1
            here.next_try = now + timedelta(minutes=min(60, 2**here.attempts))
            for name, channel in self._channels.items():
                if f"{name}/begin" not in here.told and _was_told(
                    channel, title_of(condition), here.sentence, over=False, now=now
                ):
                    here.told[f"{name}/begin"] = now.isoformat()

    def _ask_those_that_failed(self, now: datetime) -> None:
        """Test the services that alerts are open of: it may be that nobody else asks them."""
        if self._probed_at is not None and now < self._probed_at + _PROBE_PAUSE:
            return
        self._probed_at = now
        try:
            alerts = self._log.alerts(open_only=True, limit=50)
        except DatabaseError:
            return
        for alert in alerts:
            if alert.condition.startswith(OUTSIDE):
                self._test(alert.condition.removeprefix(OUTSIDE))

    def _test(self, service: str) -> None:
        check = self._checks.get(_CHECKS.get(service, ""))
        if check is None or not check.configured:
            # It is no longer used.
            self._calls.went_well(service)
            return
        try:
            check.check()
        except (TemporaryFailure, FinalFailure) as failure:
            log.info("%s: %s", service, failure)
        except Exception:
            log.exception("the check of %s failed unexpectedly", service)


_PARTS: Final[tuple[Literal["begin", "end"], ...]] = ("begin", "end")


def _is_told(
    channel: AlertChannel, alert: OperationsAlert, untold: Iterable[str], now: datetime
) -> bool:
    title = title_of(alert.condition)
    over = alert.resolved_at is not None
    text = alert.sentence
    if over:
        began = f"{alert.since:%d %b %Y %H:%M} UTC"
        both = "" if "begin" not in untold else "It could not be sent before. "
        title, text = f"Over: {title}", f"{both}{text} It began at {began} and is over."
    return _was_told(channel, title, text, over=over, now=now)


def _was_told(channel: AlertChannel, title: str, text: str, *, over: bool, now: datetime) -> bool:
    """Whether a channel was notified; what nobody knows counts, so that nothing comes twice."""
    try:
        channel.tell(title=title, text=text, over=over, now=now)
    except OutcomeUnknown as error:
        log.warning("%s may not have got an alert: %s", channel.name, error)
    except (TemporaryFailure, FinalFailure) as error:
        log.warning("%s could not be sent an alert: %s", channel.name, error)
        return False
    except Exception:
        log.exception("%s could not be sent an alert", channel.name)
        return False
    return True


def _checks_of(services: Services) -> tuple[Check, ...]:
    token = services.current_settings.deployed.meter_headend_token
    return (
        SignInServiceCheck(services.tokens),
        HeadEndCheck(
            services.database, services.headend_url, token.get_secret_value() if token else None
        ),
        *services.checks,
    )
