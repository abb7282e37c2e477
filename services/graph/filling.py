"""Fills a graph that was never made from the database, in the background."""

import logging
import threading
from typing import Final

from services.database.transport import DatabaseError
from services.graph.graph import Graph, GraphSource
from services.graph.passes import PassHalted
from services.integrations.failures import FinalFailure, TemporaryFailure

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0
STOP_SECONDS: Final = 20.0


class GraphFilling:
    """Starts the graph with the app, and fills it if it is empty; tries until it is done."""

    def __init__(self, graph: Graph, database: GraphSource) -> None:
        self._graph = graph
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="graph-filling", daemon=True)

    def start(self) -> None:
        """Begin; nobody has to wait for it."""
        self._thread.start()

    def stop(self) -> None:
        """End between two pages, and the graph with it; what is missing is made next time."""
        self._stopping.set()
        self._graph.close()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                self._fill()
            except (_Stopped, PassHalted):
                return
            except (TemporaryFailure, FinalFailure, DatabaseError) as failure:
                log.info("the graph could not be filled yet: %s", failure)
            except Exception:
                log.exception("the graph could not be filled")
                return
            else:
                return
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _fill(self) -> None:
        self._graph.prepare()
        # An imported grid is worth showing before the first bill; without meters there is nothing.
        any_meter = self._database.graph_rows(what="meters", after=None, limit=1)
        if any_meter and not self._graph.was_rebuilt():
            self._graph.rebuild(self._database, go_on=self._go_on)
            log.info("the graph has been filled from the database")

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


class _Stopped(Exception):
    """The app ends."""
