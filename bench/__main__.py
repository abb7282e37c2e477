"""`make bench`: how fast bills are priced, printed and made, and how long one takes from a reading.

Of the latter it prints medians of five rounds, each beside the time that its bare SQL calls took
in the same round.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app import create_app
from bench import beside_run, bill_pdf, meter_files, monthly_run, rating, rest_vs_direct
from bench.database import own_database
from bench.reading_rules import __main__ as reading_rules
from bench.utility import AGENT, load_meters, serial_of
from services.bootstrap import wire
from services.container import Services
from services.database.service import DatabaseService
from services.database.transport import Filter, Selection, Transport
from services.database.transports.postgres import DirectTransport
from services.readings.submission import parse_submission

METERS = 10_000
# A run of so many takes long enough for some dozen questions beside it.
BESIDE = 20_000
ROUNDS = 5
A_ROUND = 100


@dataclass
class TimedTransport:
    """A transport that adds up how long its calls took, in seconds."""

    inner: Transport
    seconds: float = field(default=0.0)

    def select(
        self,
        view: str,
        *,
        filters: Sequence[Filter] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        count: bool = False,
    ) -> Selection:
        """As the transport inside."""
        with self._timed():
            return self.inner.select(
                view, filters=filters, order=order, limit=limit, offset=offset, count=count
            )

    def call(
        self, function: str, params: Mapping[str, Any], *, seconds: float | None = None
    ) -> Any:
        """As the transport inside."""
        with self._timed():
            return self.inner.call(function, params, seconds=seconds)

    def close(self) -> None:
        """As the transport inside."""
        self.inner.close()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start


def main() -> None:
    """Price bills and print them; then load meters, run the rounds, print the table."""
    rating.main()
    print()
    bill_pdf.main()
    reading_rules.main()
    print()
    meter_files.main()
    print()
    with own_database() as own:
        timed = TimedTransport(DirectTransport(own.dsn))
        services = wire(own.settings(), DatabaseService(timed))
        measure(services, timed)
        services.database.close()
    print()
    rest_vs_direct.main()
    print()
    workers = os.cpu_count() or 1
    monthly_run.measure(METERS, monthly_run.How(workers, rounds=ROUNDS))
    print()
    beside_run.measure(BESIDE, workers=workers)


def measure(services: Services, timed: TimedTransport) -> None:
    """Both ways in, over meters that each have a year of readings."""
    now = datetime.now(UTC)
    start = time.perf_counter()
    readings = load_meters(services, meters=METERS, now=now)
    seconds = time.perf_counter() - start
    print(f"{METERS:,} meters with {readings:,} readings loaded in {seconds:.1f} s")
    print(f"median of {ROUNDS} rounds of {A_ROUND} submissions, each on a meter of its own:")
    print(f"{'':34}{'total':>10}{'bare SQL':>12}{'ratio':>9}")
    client = create_app(services).test_client()
    token = services.tokens.issue(AGENT.user, AGENT.roles, now)

    def in_process(meter: int) -> None:
        body = reading_body(meter, now)
        submission = parse_submission(body, zone=services.settings.timezone, now=now)
        answer = services.reading_to_bill.submit(
            submission=submission, principal=AGENT, now=now, arrived_by="the benchmark"
        )
        assert answer.outcome == "billed", answer

    def over_http(meter: int) -> None:
        answer = client.post(
            "/webhook/meter-reading",
            json=reading_body(meter, now),
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 201, answer.get_data(as_text=True)

    run_rounds("story: reading to stored bill", in_process, timed, first=0)
    run_rounds("HTTP endpoint, without the network", over_http, timed, first=METERS // 2)


def reading_body(meter: int, now: datetime) -> dict[str, Any]:
    """A plausible next reading of a loaded meter."""
    return {"meter_serial": serial_of(meter), "reading_kwh": "4000", "read_at": now.isoformat()}


def run_rounds(
    label: str, submit: Callable[[int], None], timed: TimedTransport, *, first: int
) -> None:
    """Submit on fresh meters, round by round; a line with the medians in milliseconds."""
    totals, bare = [], []
    for meter in range(first, first + ROUNDS * A_ROUND):
        timed.seconds = 0.0
        start = time.perf_counter()
        submit(meter)
        totals.append((time.perf_counter() - start) * 1000)
        bare.append(timed.seconds * 1000)
    total, sql = median_of_rounds(totals), median_of_rounds(bare)
    print(f"{label:34}{total:>7.1f} ms{sql:>9.1f} ms{total / sql:>9.2f}")


def median_of_rounds(times: list[float]) -> float:
    """The median of the rounds' own medians."""
    rounds = [times[i : i + A_ROUND] for i in range(0, len(times), A_ROUND)]
    return statistics.median(statistics.median(r) for r in rounds)


if __name__ == "__main__":
    main()
