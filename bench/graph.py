"""How long the graph takes to be made from a large database, what it costs, how fast it answers.

`python -m bench.graph [--months N] [CUSTOMERS ...]`, on the embedded server and, with
scripts/get_neo4j.sh fetched, on Neo4j. `--only embedded` or `--only neo4j` leaves the other out.
`--months 12 85000` is a million bills with their payments. `--thorough` writes all of it once more.
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from bench.database import own_database
from bench.large_utility import fill
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.graph import Graph
from services.graph.bolt import Server
from services.graph.embedded import EmbeddedGraph
from tests.contract.graph.servers import embedded_graph, find_neo4j, real_neo4j

SIZES: Final = (10_000, 100_000)
ROUNDS: Final = 5
MIDDLE: Final = "80000000-0000-0000-0000-000000000000"
START_SECONDS: Final = 120.0
# What large_utility leaves out.
_GRID: Final = """
    set session_replication_role = replica;
    insert into feeders (id, code, name)
    select md5('f' || f)::uuid, 'F' || f, 'Feeder ' || f
    from generate_series(0, {customers} / 20000) f;
    insert into transformers (id, code, name, feeder_id)
    select md5('x' || x)::uuid, 'X' || x, 'Station ' || x, md5('f' || x / 100)::uuid
    from generate_series(0, {customers} / 200) x;
    update service_points p set transformer_id = md5('x' || n / 200)::uuid
    from generate_series(1, {customers}) n where p.code = 'P' || lpad(n::text, 7, '0');
    insert into supplies (transformer_id, period_start, period_end, energy_wh)
    select id, '2026-09-01', '2026-10-01', 35000000 from transformers;
    reset session_replication_role;
    analyze feeders, transformers, service_points, supplies"""


@dataclass
class Watched:
    """The database, with the time that it took and the rows that it gave, by kind."""

    database: DatabaseService
    rows: dict[str, int] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[dict[str, Any]]:
        """As the database."""
        start = time.perf_counter()
        self.began.setdefault(what, start)
        rows = self.database.graph_rows(what=what, after=after, limit=limit)
        self.seconds += time.perf_counter() - start
        self.rows[what] = self.rows.get(what, 0) + len(rows)
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)

    def report(self, ended: float) -> None:
        """A line for each kind: its rows, and how many a second."""
        starts = [*self.began.values(), ended]
        for index, (what, rows) in enumerate(self.rows.items()):
            took = starts[index + 1] - starts[index]
            print(f"    {what:16}{rows:>10,} rows {rows / max(took, 0.001):>8,.0f} a second")


def main() -> None:
    """Fill a database for each size, and make the graph from it on each server."""
    parser = argparse.ArgumentParser(prog="python -m bench.graph")
    parser.add_argument("customers", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("--only", choices=("embedded", "neo4j"))
    parser.add_argument("--thorough", action="store_true")
    given = parser.parse_args()
    passes = ["new", "compared", *(["thorough"] if given.thorough else [])]
    for customers in given.customers:
        with _filled(customers, given.months) as dsn:
            for kind in ("embedded", "neo4j"):
                if given.only in (None, kind):
                    _measure(dsn, kind, passes)


@contextmanager
def _filled(customers: int, months: int) -> Iterator[str]:
    with own_database() as own:
        began = time.perf_counter()
        with own.owner() as connection:
            fill(connection, customers=customers, months=months)
            connection.execute(_GRID.format(customers=customers).encode())
        took = time.perf_counter() - began
        print(f"{customers:,} customers, {months} months, filled in {took:.0f} s", flush=True)
        yield own.dsn


@contextmanager
def _server(kind: str) -> Iterator[tuple[Server, Callable[[], int]]]:
    """A server of a kind, and its process."""
    if kind == "neo4j":
        with real_neo4j(find_neo4j()) as server:
            yield server, lambda: server.pid
        return
    with embedded_graph() as embedded:
        yield embedded, lambda: _pid(embedded)


def _pid(server: EmbeddedGraph) -> int:
    pid = server._jvm._pid()  # noqa: SLF001 - whose memory is measured
    assert pid is not None
    return pid


def _measure(dsn: str, kind: str, passes: Sequence[str]) -> None:
    database = DatabaseService(DirectTransport(dsn))
    with _server(kind) as (server, pid):
        graph = Graph(server)
        graph.await_start(seconds=START_SECONDS)
        before = _memory("self")
        for label in passes:
            watched = Watched(database)
            began, spent = time.perf_counter(), _processor_seconds(pid())
            graph.rebuild(watched, thorough=label != "compared")
            ended, spent = time.perf_counter(), _processor_seconds(pid()) - spent
            total, took = sum(watched.rows.values()), ended - began
            print(
                f"  {kind}, {label}: {total:,} rows in {took:.1f} s, {total / took:,.0f} a second; "
                f"of that the database {watched.seconds:.1f} s; the server's processors "
                f"{spent:.1f} s, {spent / total * 1e6:.0f} µs a row; "
                f"server {_memory(pid()):.0f} MB, at most {_memory(pid(), 'VmHWM'):.0f}; "
                f"we {_memory('self'):.0f} MB (before {before:.0f}, at most "
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}); "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            watched.report(ended)
        for question, ask in _questions(graph, database):
            print(f"    {question:34}{_timed(ask)}", flush=True)
        began, kept = time.perf_counter(), 0
        while found := graph.keep_balances(settled_ms=0) or graph.keep_balances(settled_ms=0):
            kept += found
        print(f"    {kept:,} balances worked out and kept in {time.perf_counter() - began:.1f} s")
        question, ask = next(_questions(graph, database))
        print(f"    {f'{question}, kept':34}{_timed(ask)}", flush=True)
    database.close()


def _questions(graph: Graph, database: DatabaseService) -> Iterator[tuple[str, Callable[[], Any]]]:
    bill = database.graph_rows(what="bills", after=MIDDLE, limit=1)[0]
    tariff = bill["tariff_version_id"]
    month = {"since": date(2026, 9, 1), "until": date(2026, 10, 1)}
    yield "balance of every transformer", lambda: graph.energy_balance(**month)
    yield "reach of a meter", lambda: graph.affected_by(meter_id=bill["meter_id"])
    reading = bill["closing_reading_id"]
    yield "reach of a reading", lambda: graph.affected_by(reading_id=reading)
    yield "reach of a tariff", lambda: graph.affected_by(tariff_version_id=tariff)
    yield "around a bill", lambda: graph.neighbourhood(bill_id=bill["id"])
    yield "nodes", graph.nodes
    yield "check", graph.check


def _timed(ask: Callable[[], Any]) -> str:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        try:
            ask()
        except Exception as error:
            return f"failed: {error}"
        taken.append((time.perf_counter() - start) * 1000)
    return f"{statistics.median(taken):>9.1f} ms"


def _processor_seconds(pid: int) -> float:
    """What a process has used of processors."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int | str, what: str = "VmRSS") -> float:
    """What a process holds, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
