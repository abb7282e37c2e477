"""Which graph the settings mean: a Neo4j server, the embedded one, or none."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from services.graph.bolt import ConfiguredServer
from services.graph.embedded import EmbeddedGraph
from services.graph.graph import Graph
from services.graph.jvm import UnableToRunGraph, find_program
from services.languages.sentence import N_
from services.settings import Settings

SWITCHED_OFF: Final = N_("The embedded graph is switched off.")


@dataclass(frozen=True, slots=True)
class OpenedGraph:
    """The graph, or None and a sentence on why there is none; "" when nobody asked for one."""

    graph: Graph | None = None
    off: str = ""

    @property
    def is_switched_off(self) -> bool:
        """Whether the settings want none: that is no failure."""
        return self.off == SWITCHED_OFF

    @property
    def state(self) -> str:
        """In a few words: configured, embedded, off with the reason, not configured."""
        if self.graph is None:
            return f"off: {self.off}" if self.off else "not configured"
        server = self.graph.server
        return f"{server.kind}: {server.trouble}" if server.trouble else server.kind


def open_graph(settings: Settings, *, embedded: bool) -> OpenedGraph:
    """The graph of the settings; no server is started or spoken to before it is needed.

    The demo never goes to a Neo4j server: that is for the utility's own bills. `embedded` allows
    the embedded server where no other is configured.
    """
    uri, user, password = settings.neo4j_uri, settings.neo4j_user, settings.neo4j_password
    if uri is not None and user is not None and password is not None and not settings.demo:
        server = ConfiguredServer(uri, user=user, password=password.get_secret_value())
        return OpenedGraph(Graph(server))
    if not embedded:
        return OpenedGraph()
    if not settings.embedded_graph:
        return OpenedGraph(off=SWITCHED_OFF)
    try:
        find_program()
    except UnableToRunGraph as reason:
        return OpenedGraph(off=str(reason))
    return OpenedGraph(Graph(EmbeddedGraph(_folder(settings))))


def forget_embedded_graph(settings: Settings) -> None:
    """Remove the embedded graph, which the next start makes again from the database.

    For when the database became another one; no process may work with the graph.
    """
    shutil.rmtree(_folder(settings), ignore_errors=True)


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "graph" / _folder_name(settings)


def _folder_name(settings: Settings) -> str:
    """One folder a database, so that no graph ever shows another database's bills."""
    if settings.embedded:
        return "demo" if settings.demo else "billing"
    address = settings.supabase_url or ""
    if settings.database_url is not None:
        parts = urlsplit(settings.database_url.get_secret_value())
        address = f"{parts.hostname}:{parts.port}{parts.path}"
    name = hashlib.sha256(address.encode()).hexdigest()[:12]
    return f"demo-{name}" if settings.demo else name
