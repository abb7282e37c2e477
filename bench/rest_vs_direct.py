"""What Supabase's REST interface costs beside Postgres itself: ratios from one run.

Both work on copies of one database of one server. REST goes through PostgREST and a gateway like
Supabase's, all on this machine: a network between is not in these figures.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice

from bench.database import OwnDatabase, own_database
from bench.utility import AGENT, drawn_up_months, load_meters, serial_of
from services.bootstrap import wire
from services.container import Services
from services.database.service import DatabaseService
from services.database.transports.supabase import RestTransport
from services.importing.chunks import chunks_of
from services.jobs.monthly_bills import BATCH
from services.readings.submission import parse_submission
from services.records.bills import NewBill
from tests.contract.supabase_project import NoPostgrest, find_postgrest, supabase_project

METERS = 10_000
ROUNDS = 5
A_ROUND = 40
SUBMITTING = ROUNDS * A_ROUND
ACTOR = "bench"


def main() -> None:
    """Load the meters, run the rounds, print the ratios; or say why there are none."""
    try:
        program = find_postgrest()
    except NoPostgrest as reason:
        print(f"REST beside direct is not measured: {reason}")
        return
    with (
        _two_databases() as (direct_database, rest_database),
        supabase_project(program, rest_database.dsn) as project,
    ):
        direct = direct_database.services()
        over_rest = DatabaseService(RestTransport(project.url, project.service_key))
        rest = wire(rest_database.settings(), over_rest)
        print(f"REST beside direct, medians of {ROUNDS} rounds, in turn in one run:")
        print(f"{'':46}{'direct':>12}{'REST':>12}{'ratio':>9}")
        now = datetime.now(UTC)
        _show("submitted reading to stored bill", _submitting(direct, rest, now), "ms", 1000)
        _show(f"{METERS:,} bills written, {BATCH} at once", _writing(direct, rest, now), "s ", 1)
        for services in (direct, rest):
            services.close()
            services.database.close()


@contextmanager
def _two_databases() -> Iterator[tuple[OwnDatabase, OwnDatabase]]:
    """Two databases with the same meters and readings."""
    with own_database("first") as first:
        loading = first.services()
        load_meters(loading, meters=METERS + SUBMITTING, now=datetime.now(UTC))
        loading.database.close()
        yield first, first.copy("second")


Times = list[tuple[float, float]]


def _submitting(direct: Services, rest: Services, now: datetime) -> Times:
    """A round's median of the seconds that one submission takes."""

    def round_of(services: Services, number: int) -> float:
        first = METERS + number * A_ROUND
        return statistics.median(
            _seconds(lambda meter=meter: _submit(services, meter, now))  # type: ignore[misc]
            for meter in range(first, first + A_ROUND)
        )

    return [(round_of(direct, number), round_of(rest, number)) for number in range(ROUNDS)]


def _submit(services: Services, meter: int, now: datetime) -> None:
    body = {"meter_serial": serial_of(meter), "reading_kwh": "4000", "read_at": now.isoformat()}
    zone = services.settings.timezone
    answer = services.reading_to_bill.submit(
        submission=parse_submission(body, zone=zone, now=now),
        principal=AGENT,
        now=now,
        arrived_by="the benchmark",
    )
    assert answer.outcome == "billed", answer


def _writing(direct: Services, rest: Services, now: datetime) -> Times:
    """Seconds to store a month's bills of all meters, month after month; both store the same."""
    months = drawn_up_months(direct, meters=METERS, now=now)
    times: Times = []
    for bills in islice(months, ROUNDS):
        assert len(bills) == METERS, len(bills)
        times.append((_store(direct, bills), _store(rest, bills)))
    assert len(times) == ROUNDS
    return times


def _store(services: Services, bills: Sequence[NewBill]) -> float:
    def store() -> None:
        for batch in chunks_of(bills, BATCH):
            stored, moved = services.database.store_job_bills(actor=ACTOR, bills=batch)
            assert (stored, moved) == (len(batch), [])

    return _seconds(store)


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _show(label: str, times: Times, unit: str, scale: int) -> None:
    direct, rest = (statistics.median(side) * scale for side in zip(*times, strict=True))
    ratio = statistics.median(over_rest / straight for straight, over_rest in times)
    print(f"{label:46}{direct:>9.2f} {unit}{rest:>9.2f} {unit}{ratio:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
