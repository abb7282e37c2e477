"""The graph: the database's bills seen as a network, kept up to date and asked questions."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Protocol

from services.graph import cypher, pass_cypher
from services.graph.answers import (
    AffectedBill,
    GraphCounts,
    GraphDifference,
    Neighbourhood,
    TransformerBalance,
)
from services.graph.balances import SETTLED_MS, Balances, forgetting
from services.graph.bolt import Bolt, NotAsExpected, Server, Statement, StillStarting
from services.graph.passes import GraphPass, PassState, state_of
from services.graph.pictures import neighbourhood_of
from services.graph.shapes import (
    ADDED,
    LABELS,
    Json,
    Rows,
    day_number,
)
from services.graph.writing import Known, differs, put
from services.integrations.http import TIMEOUT_SECONDS
from services.languages.sentence import sentence
from services.quantities.money import round_half_up

if TYPE_CHECKING:
    from neo4j import Driver

FOLLOWED_AT_ONCE: Final = 200
# So many step 8 are left to the outbox, one by one.
FEW: Final = 20
MOST_OF_A_TARIFF: Final = 200
ACTOR: Final = "system:graph"
# So many nodes of a kind are added up at once, in a second or so.
ADDED_AT_ONCE: Final = 50_000
# What step 8 says when it is done.
SAVED: Final = "with its meter, readings and tariff"
# What changes, and is always written: of two who look at it, the later must win.
_CHANGING: Final = frozenset({"bills", "payments"})


class GraphSource(Protocol):
    """What the graph is made from; DatabaseService is one."""

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[Json]:
        """A page of rows in order of id."""
        ...

    def graph_rows_of_bill(self, bill_id: str) -> dict[str, list[Json]]:
        """The rows that one bill needs, by kind."""
        ...

    def graph_totals(self) -> dict[str, int]:
        """How many rows there are of each kind."""
        ...

    def graph_sums(self) -> dict[str, dict[str, int]]:
        """By kind: {rows, sum}, the sum of the property in ADDED."""
        ...


class ChangeQueue(Protocol):
    """Where bills wait that changed since the graph was updated; DatabaseService is one."""

    def graph_changes(self, *, limit: int) -> tuple[list[Json], dict[str, list[Json]]]:
        """Some changes, and the rows that their bills need, by kind."""
        ...

    def graph_changes_done(self, changes: Sequence[Json]) -> None:
        """The graph has these now."""
        ...


class Backlog(Protocol):
    """Where bills wait whose step 8 is still to be done; DatabaseService is one."""

    def graph_backlog(
        self, *, limit: int, at_least: int
    ) -> tuple[list[Json], dict[str, list[Json]]]:
        """Some outbox entries, and the rows that their bills need, by kind; none if too few."""
        ...

    def graph_backlog_done(self, *, actor: str, work: Sequence[str], detail: str) -> int:
        """The graph has the bills of these."""
        ...


class Graph:
    """A projection of the database, which can be rebuilt from it at any time.

    Every method may raise ServiceUnavailable (try again later) or RequestRejected (a person must
    look), and the methods that read the database what it raises.
    """

    def __init__(self, server: Server, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.server = server
        self._bolt = Bolt(server, timeout_seconds=timeout_seconds)
        self._balances = Balances(self._bolt)
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
        # Nothing that takes longer the more the graph holds.
        self._clock()
        return sentence("It answers, in {ms} ms.", ms=round((time.monotonic() - began) * 1000))

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

    def deliver(self, backlog: Backlog, *, limit: int = FOLLOWED_AT_ONCE) -> int:
        """Do step 8 of many bills at once, `limit` at most; how many were found waiting.

        Where only a few wait, these are left to the outbox. May be repeated, also after it was
        interrupted, and by several processes at once.
        """
        if not backlog.graph_backlog(limit=FEW, at_least=FEW)[0]:
            return 0
        self.prepare()
        seen = self._clock()
        work, rows = backlog.graph_backlog(limit=limit, at_least=1)
        if work:
            self._put(rows, seen)
            ids = [str(one["id"]) for one in work]
            backlog.graph_backlog_done(actor=ACTOR, work=ids, detail=SAVED)
        return len(work)

    def rebuild(
        self,
        database: GraphSource,
        *,
        thorough: bool = True,
        go_on: Callable[[], None] = lambda: None,
    ) -> None:
        """Compare the whole graph with the database, page by page, and mend it.

        Bills may come in meanwhile: of two looks at a row the later one stays. What the database
        no longer has vanishes. A pass that was broken off goes on where it was, whoever does it;
        one process at a time. `thorough` writes also what seems right already. `go_on` may raise to
        stop. Raises PassHalted as well.
        """
        self.prepare()
        total = sum(database.graph_totals().values())
        turn = GraphPass(self._bolt, self._clock, database, total=total)
        turn.run(thorough=thorough, go_on=go_on)

    def pass_state(self) -> PassState | None:
        """How far the pass over the whole graph is; None where there never was one."""
        found = self._bolt.read(pass_cypher.STATE)
        return state_of(found[0]["pass"], now=found[0]["now"]) if found else None

    def ask_for_pass(self) -> None:
        """Have whichever process can go on with the pass, or begin one."""
        self.prepare()
        self._bolt.write([Statement(pass_cypher.ASK, {"halted": False, "wanted": True})])

    def halt_pass(self) -> None:
        """Stop the pass after its page; it goes on from there when it is asked for."""
        self._bolt.write([Statement(pass_cypher.ASK, {"halted": True, "wanted": True})])

    def differences(self, database: GraphSource) -> list[GraphDifference]:
        """Where the numbers and sums of graph and database disagree; nothing where they agree.

        What comes in meanwhile may show as a difference. A pass mends what is found.
        """
        found: list[GraphDifference] = []
        for what, expected in database.graph_sums().items():
            nodes, total = self._totals(what)
            label = LABELS[what]
            pairs = (
                ("nodes", nodes, expected["rows"]),
                (ADDED.get(what), total, expected.get("sum", 0)),
            )
            found += [GraphDifference(label, of, a, b) for of, a, b in pairs if of and a != b]
        return found

    def _totals(self, what: str) -> tuple[int, int]:
        """Number and sum, over stretches of so many ids as the server adds up soon."""
        query = pass_cypher.totals(LABELS[what], ADDED.get(what))
        nodes = total = 0
        after, found = "", ADDED_AT_ONCE
        while found == ADDED_AT_ONCE:
            (row,) = self._bolt.read(query, after=after, limit=ADDED_AT_ONCE)
            after, found = row["last"], row["found"]
            nodes, total = nodes + found, total + (row["total"] or 0)
        return nodes, total

    def was_rebuilt(self) -> bool:
        """Whether the graph was made from the whole database, in the shape of today."""
        return bool(self._bolt.read(cypher.LAST_REBUILD))

    def nodes(self) -> dict[str, int]:
        """How many nodes there are by label; of any number, since it asks for stretches of them."""
        return {label: self._totals(what)[0] for what, label in LABELS.items()}

    def counts(self) -> GraphCounts:
        """How much the graph holds; of a large one the server has not the time to say it."""
        return GraphCounts(
            nodes=self._count(cypher.COUNT_NODES), relationships=self._count(cypher.COUNT_LINKS)
        )

    def energy_balance(self, *, since: date, until: date) -> list[TransformerBalance]:
        """Each transformer's supply periods that touch [since, until), the worst loss first.

        Energy in Wh. A bill that only partly lies in a supply period counts by its days there, a
        place that was moved by those before or since. What `keep_balances` did not come to yet is
        worked out now.
        """
        rows = self._balances.between(since=day_number(since), until=day_number(until))
        return sorted(map(_balance, rows), key=_worst_first)

    def keep_balances(self, *, settled_ms: int = SETTLED_MS) -> int:
        """Work out and keep balances of which something changed, some at a time; how many.

        One is kept no sooner than so long after the first look at it. May be repeated, also after
        it was interrupted, and by several processes at once.
        """
        self.prepare()
        return self._balances.keep(settled_ms=settled_ms)

    def affected_by(
        self,
        *,
        tariff_version_id: str | None = None,
        meter_id: str | None = None,
        reading_id: str | None = None,
    ) -> list[AffectedBill]:
        """The bills that would have to be reissued if the one that is given is corrected.

        Of a tariff version MOST_OF_A_TARIFF at most: the database knows all of them. Of a meter
        also those within which it was exchanged. Of a reading the bills that begin or end there or
        have it within them, and all later ones of their agreements; void bills are never among
        them. Oldest first; amounts in minor units. Raises ValueError unless exactly one is given.
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
        found = self._bolt.read(query, id=row_id, most=MOST_OF_A_TARIFF)
        return [_affected(row) for row in found]

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

    def _put(self, rows: Rows, seen: int) -> None:
        """Bring rows into the graph or up to date."""
        known = {what: self._known(what, rows[what]) for what in LABELS if rows.get(what)}
        rows = {what: _to_write(what, rows[what], of_kind) for what, of_kind in known.items()}
        try:
            self._write(rows, seen, known)
        except NotAsExpected:
            self._write(rows, seen, dict.fromkeys(known))

    def _known(self, what: str, rows: Sequence[Json]) -> Known:
        ids = [row["id"] for row in rows]
        found = self._bolt.read(pass_cypher.known_among(LABELS[what]), ids=ids)
        return {node["id"]: node["print"] for node in found}

    def _write(self, rows: Rows, seen: int, known: Mapping[str, Known | None]) -> None:
        writes = [
            statement
            for what, of_kind in known.items()
            for statement in put(what, rows[what], seen=seen, known=of_kind)
        ]
        before, after = forgetting(rows, before=True), forgetting(rows, before=False)
        self._bolt.write([*before, *writes, *after])


def _to_write(what: str, rows: Sequence[Json], known: Known) -> list[Json]:
    """Those of which the graph has another state, or none; and all of what changes by itself."""
    return [row for row in rows if what in _CHANGING or differs(what, row, known)]


def _balance(row: Mapping[str, Any]) -> TransformerBalance:
    supplied, billed = row["supplied_wh"], row["billed_wh"]
    # Of a balance that was kept before exports were.
    exported = row["exported_wh"] or 0
    fed_in = supplied + exported
    loss = fed_in - billed
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
        loss_permille=round_half_up(Fraction(1000 * loss, fed_in)) if fed_in else None,
        meters=row["meters"],
        meters_unread=row["unread"],
        exported_wh=exported,
    )


def _worst_first(balance: TransformerBalance) -> tuple[bool, int, int, str, date]:
    """By loss in permille; those where it cannot be said come last."""
    permille = balance.loss_permille
    worse = -permille if permille is not None else 0
    return permille is None, worse, -balance.loss_wh, balance.code, balance.period_start


def _affected(row: Mapping[str, Any]) -> AffectedBill:
    dates = {name: date.fromisoformat(row[name]) for name in ("period_start", "period_end")}
    return AffectedBill(**(dict(row) | dates))
