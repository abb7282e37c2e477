"""The figures for Prometheus: what this process counted, and what the database knows."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from services.container import Services
from services.database.transport import DatabaseError
from services.jobs import jobs
from services.messages.lookups import ChannelQueue, queues_of
from services.operation.figures import Figures
from services.operation.punctuality import late_jobs
from services.records.jobs import JobFigures, OperationFigures
from services.telemetry.measures import REGISTRY
from services.telemetry.outside_calls import OutsideCalls, outside_calls

_RESULTS: Final = ("done", "failed", "running", "paused", "interrupted")


@dataclass(frozen=True)
class Metrics:
    """Everything that a scrape brings; it asks the database once a minute at most."""

    services: Services
    figures: Figures
    scheduler_runs: Callable[[], bool]
    calls: OutsideCalls = outside_calls

    def exposition(self, *, accept: str, now: datetime) -> tuple[bytes, str]:
        """The text for a scraper and its content type, as its Accept header asks.

        Without the database it brings what this process knows, and `billing_database_up` is 0.
        """
        registry = CollectorRegistry()
        registry.register(_Once(REGISTRY.collect()))
        registry.register(_Once(self._collected(now)))
        ProcessCollector(registry=registry)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def _collected(self, now: datetime) -> Iterator[Metric]:
        yield from self._of_this_process(now)
        try:
            found, late = self.figures.of(now), late_jobs(self.services, now)
        except DatabaseError:
            yield _gauge("database_up", "Whether the database answers.", 0)
            return
        yield _gauge("database_up", "Whether the database answers.", 1)
        yield from _of_the_database(found)
        yield from _of_the_outbox(found, now)
        yield from _of_the_queues(queues_of(found.messages, self.services.delivery.per_minute))
        yield from _of_the_jobs(found.jobs, late, now)

    def _of_this_process(self, now: datetime) -> Iterator[Metric]:
        yield _gauge(
            "scheduler_running", "Whether this process runs the jobs.", int(self.scheduler_runs())
        )
        counted = CounterMetricFamily(
            "billing_outside_calls",
            "Calls of services outside, by service and outcome (ok, or how they failed).",
            labels=("service", "outcome"),
        )
        for (service, outcome), times in sorted(self.calls.counts().items()):
            counted.add_metric((service, outcome), times)
        yield counted
        for name, value in self.services.pool_figures().items():
            said = f"Connections to the database of this process: {name}."
            yield _gauge(f"database_pool_{name}", said, value)
        last = self.services.backups.last(now=now)
        if last is not None:
            age = max(0.0, (now - last.at).total_seconds())
            yield _gauge("backup_age_seconds", "Age of the last good backup.", age)
        folder = self.services.current_settings.deployed.data_dir
        there = next(p for p in (folder, *folder.parents) if p.is_dir())
        yield _gauge(
            "disk_free_bytes", "Free on the data folder's disk.", shutil.disk_usage(there).free
        )


class _Once(Collector):
    """What was collected, as a registry takes it."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        """The metrics."""
        return self._metrics


def _of_the_database(found: OperationFigures) -> Iterator[Metric]:
    at = "When the figures of the database were taken."
    yield _gauge("figures_timestamp_seconds", at, found.at.timestamp())
    yield _gauge("database_size_bytes", "Size of the database.", found.database_bytes)
    readings = GaugeMetricFamily(
        "billing_readings_today", "Readings stored this local day, by source.", labels=("source",)
    )
    for source, stored in sorted(found.readings.items()):
        readings.add_metric((source,), stored)
    yield readings
    yield _gauge("bills_issued_today", "Bills issued on this local day.", found.bills)
    yield _gauge("ai_calls_this_month", "Questions sent to AI this local month.", found.ai.calls)
    yield _gauge(
        "ai_unanswered_this_month", "Of these, without a usable answer.", found.ai.unanswered
    )
    # A figure to look at: the books keep whole millionths.
    cost = found.ai.cost_micro / 1_000_000
    yield _gauge("ai_cost_dollars_this_month", "What AI cost this local month.", cost)
    yield _gauge("alerts_open", "Operations alerts that are not over.", found.alerts_open)


def _of_the_outbox(found: OperationFigures, now: datetime) -> Iterator[Metric]:
    yield _gauge("outbox_open", "Outbox entries with a step still to do.", found.outbox_open)
    failed = "Outbox entries that ended with a failed step, counted up to 100,000."
    yield _gauge("outbox_failed", failed, found.outbox_failed)
    oldest = found.outbox_oldest_at
    age = max(0.0, (now - oldest).total_seconds()) if oldest else 0
    yield _gauge("outbox_oldest_age_seconds", "Age of the oldest open outbox entry.", age)
    steps = GaugeMetricFamily(
        "billing_outbox_steps",
        "Steps of the 10,000 oldest open outbox entries, by step and state.",
        labels=("step", "state"),
    )
    for row in found.outbox_steps:
        steps.add_metric((row.step, row.state), row.entries)
    yield steps


def _of_the_queues(queues: Iterable[ChannelQueue]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "billing_messages_waiting",
        "Messages that wait for their turn, by channel.",
        labels=("channel",),
    )
    takes = GaugeMetricFamily(
        "billing_messages_waiting_seconds",
        "How long it takes until the last of them has left, at the channel's rate.",
        labels=("channel",),
    )
    for queue in queues:
        waiting.add_metric((queue.channel,), queue.waiting)
        takes.add_metric((queue.channel,), queue.takes.total_seconds())
    yield waiting
    yield takes


def _of_the_jobs(
    rows: Iterable[JobFigures], late: dict[str, datetime], now: datetime
) -> Iterator[Metric]:
    def of(name: str, said: str, *more: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"billing_job_{name}", said, labels=("job_id", *more))

    is_late = of("late", "Whether the job did not begin when it was due.")
    for job in jobs.JOBS:
        is_late.add_metric((job.id,), int(job.id in late))
    began = of("last_run_timestamp_seconds", "When the job began last.")
    well = of("last_success_timestamp_seconds", "When the job last ended well.")
    age = of("last_success_age_seconds", "How long ago that was.")
    took = of("last_duration_seconds", "How long the last run took, or has taken.")
    result = of("last_result", "1 for what became of the last run.", "result")
    done = of("last_done", "What the last run did.")
    aside = of("last_set_aside", "What the last run set aside.")
    for row in rows:
        began.add_metric((row.job,), row.started_at.timestamp())
        ended = row.finished_at or now
        took.add_metric((row.job,), max(0.0, (ended - row.started_at).total_seconds()))
        done.add_metric((row.job,), row.done_count)
        aside.add_metric((row.job,), row.failed_count)
        for name in _RESULTS:
            result.add_metric((row.job, name), int(row.status == name))
        if row.succeeded_at:
            well.add_metric((row.job,), row.succeeded_at.timestamp())
            age.add_metric((row.job,), max(0.0, (now - row.succeeded_at).total_seconds()))
    yield from (is_late, began, well, age, took, result, done, aside)


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(f"billing_{name}", said, value=value)
