"""The graph: the database's bills seen as a network, kept up to date and asked questions."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Protocol

from services.graph import cypher
from services.graph.answers import (
    AffectedBill,
    GraphCounts,
    Neighbourhood,
    TransformerBalance,
)
from services.graph.bolt import Bolt, Server, Statement, StillStarting
from services.graph.pictures import neighbourhood_of
from services.graph.shapes import (
    LABELS,
    LINKS,
    Json,
    Rows,
    day_number,
    link_rows,
    node_rows,
)
from services.integrations.http import TIMEOUT_SECONDS
from services.quantities.counting import count
from services.quantities.money import round_half_up

if TYPE_CHECKING:
    from neo4j import Driver

PAGE: Final = 500
SWEPT_AT_ONCE: Final = 500
FOLLOWED_AT_ONCE: Final = 200


class GraphSource(Protocol):
    """What the graph is made from; DatabaseService is one."""

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[Json]:
        """A page of rows in order of id."""
        ...

    def graph_rows_of_bill(self, bill_id: str) -> dict[str, list[Json]]:
        """The rows that one bill needs, by kind."""
        ...


class ChangeQueue(Protocol):
    """Where bills wait that changed since the graph was told; DatabaseService is one."""

    def graph_changes(self, *, limit: int) -> tuple[list[Json], dict[str, list[Json]]]:
        """Some changes, and the rows that their bills need, by kind."""
        ...

    def graph_changes_done(self, changes: Sequence[Json]) -> None:
        """The graph has been told of these."""
        ...


class Graph:
    """A projection of the database, which can be rebuilt from it at any time.

    Every method may raise ServiceUnavailable (try again later) or RequestRejected (a person must
    look), and the methods that read the database what it raises.
    """

    def __init__(self, server: Server, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.server = server
        self._bolt = Bolt(server, timeout_seconds=timeout_seconds)
        self._prepared: Driver | None = None
        self._preparing = threading.Lock()

    def prepare(self) -> None:
        """Make the constraints that are missing, once a server."""
        driver = self.server.driver()
        with self._preparing:
            if self._prepared is not driver:
                labels = (*LABELS.values(), "Rebuild")
                self._bolt.define([Statement(cypher.unique_id(label)) for label in labels])
                self._prepared = driver

    def await_start(self, *, seconds: float) -> None:
        """Wait so long at most for a server of our own that is starting."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.prepare()
            except StillStarting:
                if time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        """Let go of the server; one of our own stops, unless another process works with it."""
        self.server.close()

    def check(self) -> str:
        """Ask the server something harmless; a sentence on its answer."""
        began = time.monotonic()
        bills = self._count(cypher.COUNT_NODES)["Bill"]
        milliseconds = (time.monotonic() - began) * 1000
        return f"It answers, in {milliseconds:.0f} ms, and holds {count(bills, 'bill')}."

    def project_bill(self, database: GraphSource, bill_id: str) -> None:
        """Bring a bill and all that it hangs together with into the graph, or up to date."""
        self.prepare()
        seen = self._clock()
        self._put(database.graph_rows_of_bill(bill_id), seen)

    def project(self, rows: Rows) -> None:
        """Bring rows, by kind and as `graph_rows` gives them, into the graph or up to date."""
        self.prepare()
        self._put(rows, self._clock())

    def follow(self, queue: ChangeQueue, *, limit: int = FOLLOWED_AT_ONCE) -> int:
        """Bring bills up to date that changed since, `limit` at most; how many these were.

        May be repeated, also after it was interrupted, and by several processes at once.
        """
        if not queue.graph_changes(limit=1)[0]:
            return 0
        self.prepare()
        # Before the look at the database, as everywhere: of two looks the later one stays.
        seen = self._clock()
        changes, rows = queue.graph_changes(limit=limit)
        if changes:
            self._put(rows, seen)
            queue.graph_changes_done(changes)
        return len(changes)

    def rebuild(self, database: GraphSource) -> GraphCounts:
        """Make the whole graph again, page by page; what it holds then.

        Bills may come in meanwhile: of two looks at a row the later one stays. What the database
        no longer has vanishes at the end. May be repeated, also after it was interrupted.
        """
        self.prepare()
        began = self._clock()
        for what in LABELS:
            for seen, page in self._pages(database, what):
                self._put({what: page}, seen)
        for label in LABELS.values():
            drop = Statement(cypher.drop_unseen(label), {"began": began, "limit": SWEPT_AT_ONCE})
            while self._bolt.write([drop]) == SWEPT_AT_ONCE:
                pass
        self._bolt.write([Statement(cypher.NOTE_REBUILD)])
        return self.counts()

    def was_rebuilt(self) -> bool:
        """Whether the graph was made from the whole database, in the shape of today."""
        return bool(self._bolt.read(cypher.LAST_REBUILD))

    def counts(self) -> GraphCounts:
        """How much the graph holds."""
        return GraphCounts(
            nodes=self._count(cypher.COUNT_NODES), relationships=self._count(cypher.COUNT_LINKS)
        )

    def energy_balance(self, *, since: date, until: date) -> list[TransformerBalance]:
        """Each transformer's supply periods that touch [since, until), the worst loss first.

        Energy in Wh. A bill that only partly lies in a supply period counts by its days there.
        """
        rows = self._bolt.read(
            cypher.ENERGY_BALANCE, since=day_number(since), until=day_number(until)
        )
        return sorted(map(_balance, rows), key=_worst_first)

    def affected_by(
        self,
        *,
        tariff_version_id: str | None = None,
        meter_id: str | None = None,
        reading_id: str | None = None,
    ) -> list[AffectedBill]:
        """The bills that would have to be reissued if the one that is given is corrected.

        Of a meter also those within which it was exchanged. Of a reading the bills that begin or
        end there or have it within them, and all later ones of their agreements; void bills are
        never among them. Oldest first; amounts in minor units. Raises ValueError unless
        exactly one is given.
        """
        asked = {
            cypher.TOUCHED_BY_TARIFF: tariff_version_id,
            cypher.TOUCHED_BY_METER: meter_id,
            cypher.TOUCHED_BY_READING: reading_id,
        }
        given = [(query, row_id) for query, row_id in asked.items() if row_id is not None]
        if len(given) != 1:
            raise ValueError("Give a tariff version, a meter or a reading.")
        ((query, row_id),) = given
        return [_affected(row) for row in self._bolt.read(query, id=row_id)]

    def neighbourhood(self, *, bill_id: str) -> Neighbourhood:
        """The bill with its meters, agreement, customer, place, transformer, feeder, readings,
        tariff and payments, and the bills next to it in the chain."""
        return neighbourhood_of(
            self._bolt.read(cypher.BILL, id=bill_id),
            self._bolt.read(cypher.AROUND_BILL, id=bill_id),
        )

    def _count(self, query: str) -> Counter[str]:
        # What there is nothing of brings no row; a Counter says 0.
        return Counter({row["name"]: row["found"] for row in self._bolt.read(query)})

    def _clock(self) -> int:
        """The server's own time, by which looks at the database are put in order."""
        return int(self._bolt.read(cypher.NOW)[0]["now"])

    def _pages(self, database: GraphSource, what: str) -> Iterator[tuple[int, list[Json]]]:
        """Every page of a kind, each with the time before it was read."""
        after = None
        while True:
            seen = self._clock()
            page = database.graph_rows(what=what, after=after, limit=PAGE)
            if page:
                yield seen, page
            if len(page) < PAGE:
                return
            after = page[-1]["id"]

    def _put(self, rows: Rows, seen: int) -> None:
        statements: list[Statement] = []
        for what in LABELS:
            if given := rows.get(what):
                nodes = node_rows(what, given, seen=seen)
                statements.append(Statement(cypher.put_nodes(what), {"rows": nodes, "seen": seen}))
                statements.extend(_link_statements(what, given, seen))
        self._bolt.write(statements)


def _link_statements(what: str, rows: Sequence[Json], seen: int) -> Iterator[Statement]:
    for link in LINKS:
        if link.owner == what:
            values = {"rows": link_rows(link, rows), "seen": seen}
            yield Statement(cypher.put_links(link), values)


def _balance(row: Mapping[str, Any]) -> TransformerBalance:
    supplied, billed = row["supplied_wh"], row["billed_wh"]
    loss = supplied - billed
    return TransformerBalance(
        transformer_id=row["transformer_id"],
        code=row["code"],
        name=row["name"],
        feeder_code=row["feeder_code"],
        period_start=date.fromisoformat(row["period_start"]),
        period_end=date.fromisoformat(row["period_end"]),
        supplied_wh=supplied,
        billed_wh=billed,
        loss_wh=loss,
        loss_permille=round_half_up(Fraction(1000 * loss, supplied)) if supplied else None,
        meters=row["meters"],
        meters_unread=row["unread"],
    )


def _worst_first(balance: TransformerBalance) -> tuple[bool, int, int, str, date]:
    """By loss in permille; those where it cannot be said come last."""
    permille = balance.loss_permille
    worse = -permille if permille is not None else 0
    return permille is None, worse, -balance.loss_wh, balance.code, balance.period_start


def _affected(row: Mapping[str, Any]) -> AffectedBill:
    dates = {name: date.fromisoformat(row[name]) for name in ("period_start", "period_end")}
    return AffectedBill(**(dict(row) | dates))
