"""A pass over the whole graph: compares it with the database page by page, and mends what differs.

Whoever goes on with it begins where the last page ended. It holds the page that it writes, and the
one after it, which it reads meanwhile.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import uuid4

from services.graph import cypher, pass_cypher
from services.graph.bolt import SLOW, Bolt, NotAsExpected, Statement
from services.graph.shapes import LABELS, SHAPE, Json
from services.graph.writing import Known, differs, put
from services.integrations.failures import TemporaryFailure
from services.integrations.http import ServiceUnavailable

# More at once are not written faster, and each page is to take a second or so.
PAGE: Final = 1_000
SMALLEST_PAGE: Final = 125
# More nodes in the stretch of a page than this are more than it has rows: they are taken away.
KNOWN_AT_ONCE: Final = 4 * PAGE
LEASE_MS: Final = 60_000
# After every id.
_END: Final = "~"


class Pages(Protocol):
    """The database as a pass sees it."""

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[Json]:
        """A page of rows in order of id."""
        ...


class PassHalted(Exception):
    """Somebody asked for the pass to stop; it goes on when somebody asks for that."""


@dataclass(frozen=True, slots=True)
class PassState:
    """How far a pass is: rows looked at of about how many, and whether it is at work.

    `seconds_left` is None while that cannot be said.
    """

    done: int
    total: int
    at_work: bool
    halted: bool
    wanted: bool
    seconds_left: int | None

    @property
    def to_go_on(self) -> bool:
        """Whether whoever can should take it up."""
        return self.wanted and not self.halted and not self.at_work


def state_of(properties: Mapping[str, Any], *, now: int) -> PassState:
    """The state that the graph's note of the pass says."""
    done, total = int(properties.get("done") or 0), int(properties.get("total") or 0)
    at_work = bool(properties.get("owner")) and int(properties.get("lease_until") or 0) > now
    made = done - int(properties.get("went_on_from") or 0)
    took = now - int(properties.get("went_on_at") or now)
    left = max(0, total - done)
    is_known = at_work and made > 0 and took > 0
    return PassState(
        done=done,
        total=total,
        at_work=at_work,
        halted=bool(properties.get("halted")),
        wanted=bool(properties.get("wanted")),
        seconds_left=round(left * took / made / 1000) if is_known else None,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """A page of the database, and the graph's time before it was read."""

    seen: int
    rows: list[Json]


class _Reader:
    """Reads pages of the database, one ahead of whoever asks for them."""

    def __init__(
        self, database: Pages, clock: Callable[[], int], ahead: ThreadPoolExecutor
    ) -> None:
        self._database, self._clock, self._ahead = database, clock, ahead
        self._begun: tuple[str, str, int] | None = None
        self._look: Future[_Look] | None = None

    def begin(self, what: str, after: str, size: int) -> None:
        """Read a page, of which the caller is told later."""
        self._begun = (what, after, size)
        self._look = self._ahead.submit(self._read, what, after, size)

    def take(self, what: str, after: str, size: int) -> _Look:
        """A page; the one that was begun with, or another one."""
        look, self._look = self._look, None
        if look is not None and self._begun == (what, after, size):
            return look.result()
        if look is not None and not look.cancel():
            # Whatever came of it, nobody wants it any more.
            look.exception()
        return self._read(what, after, size)

    def _read(self, what: str, after: str, size: int) -> _Look:
        seen = self._clock()
        return _Look(seen, self._database.graph_rows(what=what, after=after or None, limit=size))


class GraphPass:
    """One turn at the pass, which goes to its end unless it is stopped."""

    def __init__(
        self, bolt: Bolt, clock: Callable[[], int], database: Pages, *, total: int
    ) -> None:
        self._bolt, self._clock = bolt, clock
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="graph-page")
        self._reader = _Reader(database, clock, self._ahead)
        self._owner = str(uuid4())
        self._total = total
        self._size = PAGE
        self._thorough = False
        self._done = 0

    def run(self, *, thorough: bool, go_on: Callable[[], None]) -> None:
        """Go on with the pass, or begin one; `thorough` writes also what seems right already.

        `go_on` is called before each page and may raise to stop. Raises PassHalted.
        """
        self._claim()
        try:
            what, after = self._place(thorough=thorough)
            kinds = list(LABELS)
            for kind in kinds[kinds.index(what) :]:
                self._kind(kind, after if kind == what else "", go_on)
            # What the pass mended may be in any of them.
            while self._bolt.write([self._fence({}), Statement(cypher.FORGET_SOME_BALANCES)]):
                go_on()
            end = {"what": "", "after": "", "wanted": False, "thorough": False}
            self._bolt.write([self._fence(end), Statement(cypher.NOTE_REBUILD)])
        except NotAsExpected:
            self._say_if_halted()
            raise
        finally:
            self._ahead.shutdown(cancel_futures=True)
            with suppress(TemporaryFailure):
                self._bolt.write([Statement(pass_cypher.RELEASE, {"owner": self._owner})])

    def _claim(self) -> None:
        values = {"owner": self._owner, "lease": LEASE_MS}
        try:
            self._bolt.write([Statement(pass_cypher.CLAIM, values, at_least=1)])
        except NotAsExpected:
            raise ServiceUnavailable(
                "The graph is being made again by another process already."
            ) from None

    def _place(self, *, thorough: bool) -> tuple[str, str]:
        """Where to go on: kind, and the id after which."""
        found: Json = self._bolt.read(pass_cypher.STATE)[0]["pass"]
        is_open = found.get("what") in LABELS and found.get("shape") == SHAPE
        if is_open and (found.get("thorough") or not thorough):
            self._thorough, self._done = bool(found.get("thorough")), int(found.get("done") or 0)
            return found["what"], found.get("after") or ""
        self._thorough = thorough
        first = next(iter(LABELS))
        values = {"what": first, "after": "", "done": 0, "total": self._total, "wanted": True}
        values |= {"shape": SHAPE, "thorough": thorough, "went_on_from": 0}
        self._bolt.write([self._fence(values)])
        return first, ""

    def _say_if_halted(self) -> None:
        if self._bolt.read(pass_cypher.STATE)[0]["pass"].get("halted"):
            raise PassHalted("The pass over the graph was stopped.") from None

    def _kind(self, what: str, after: str, go_on: Callable[[], None]) -> None:
        while after != _END:
            go_on()
            try:
                last = self._page(what, after)
            except ServiceUnavailable as failure:
                if str(failure) != SLOW or self._size <= SMALLEST_PAGE:
                    raise
                self._size //= 2
                continue
            after = last

    def _page(self, what: str, after: str) -> str:
        """Mend what differs from the next page on; its last id, or _END."""
        look = self._reader.take(what, after, self._size)
        seen, rows = look.seen, look.rows
        last = rows[-1]["id"] if len(rows) == self._size else _END
        self._read_on(what, last)
        known, gone = self._known(what, rows, after, last)
        changed = [row for row in rows if self._thorough or differs(what, row, known)]
        done = self._done + len(rows)
        fence = self._fence({"what": what, "after": last, "done": done})
        dropped = Statement(pass_cypher.drop(LABELS[what]), {"ids": gone, "seen": seen})
        for is_known in (known, None):
            writes = put(what, changed, seen=seen, known=is_known)
            try:
                self._bolt.write([fence, *([dropped] if gone else []), *writes])
                break
            except NotAsExpected:
                # Others made one of the new nodes meanwhile; or this is no longer ours.
                if is_known is None:
                    raise
        self._done = done
        return last

    def _read_on(self, what: str, last: str) -> None:
        """Begin with the page after one."""
        kinds = list(LABELS)
        following = kinds[kinds.index(what) + 1 :]
        if last != _END:
            self._reader.begin(what, last, self._size)
        elif following:
            self._reader.begin(following[0], "", self._size)

    def _known(self, what: str, rows: list[Json], after: str, last: str) -> tuple[Known, list[str]]:
        """What the graph has in the stretch of a page, and what of that the page has not."""
        label, here = LABELS[what], {row["id"] for row in rows}
        stretch = {"after": after, "last": last, "limit": KNOWN_AT_ONCE}
        while True:
            found = self._bolt.read(pass_cypher.known_between(label), **stretch)
            gone = [node["id"] for node in found if node["id"] not in here]
            if len(found) < KNOWN_AT_ONCE:
                return {node["id"]: node["print"] for node in found}, gone
            dropped = Statement(pass_cypher.drop(label), {"ids": gone, "seen": self._clock()})
            if not self._bolt.write([self._fence({}), dropped]):
                break
        found = self._bolt.read(pass_cypher.known_among(label), ids=list(here))
        return {node["id"]: node["print"] for node in found}, []

    def _fence(self, values: Json) -> Statement:
        """Moves the place on, while the pass is ours and nobody stopped it."""
        fence = {"owner": self._owner, "lease": LEASE_MS, "values": values}
        return Statement(pass_cypher.GO_ON, fence, at_least=1)
