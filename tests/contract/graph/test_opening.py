"""Which graph the settings mean, and what is told of it; no server is started here."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.bootstrap import build_services, open_services
from services.graph import Graph, GraphCheck, OpenedGraph, open_graph
from services.graph import jvm as jvm_module
from services.graph.embedded import EmbeddedGraph
from services.graph.jvm import UnableToRunGraph
from services.integrations.http import RequestRejected
from services.settings import Settings, load_settings
from services.web.health import health_of
from tests.servers import NewDatabase

NEO4J = {
    "NEO4J_URI": "neo4j://graph.example:7687",
    "NEO4J_USER": "billing",
    "NEO4J_PASSWORD": "hush-hush-0123456789",
}


def settings(folder: Path, **given: str) -> Settings:
    return load_settings({"DATA_DIR": str(folder), **given})


def embedded_folder(opened: OpenedGraph) -> Path:
    assert opened.graph is not None
    server = opened.graph.server
    assert isinstance(server, EmbeddedGraph)
    return server._folder


def test_a_configured_neo4j_is_used_and_not_spoken_to(tmp_path: Path) -> None:
    opened = open_graph(settings(tmp_path, DEMO="off", **NEO4J), embedded=True)
    assert (opened.state, opened.off) == ("configured", "")
    assert opened.graph is not None
    opened.graph.close()


def test_the_demo_never_goes_to_a_configured_neo4j(tmp_path: Path) -> None:
    opened = open_graph(settings(tmp_path, DEMO="on", **NEO4J), embedded=True)
    assert (opened.state, embedded_folder(opened)) == ("embedded", tmp_path / "graph" / "demo")


def test_each_database_has_a_folder_of_its_own(tmp_path: Path) -> None:
    ways = [
        {"DEMO": "on"},
        {"DEMO": "off"},
        {"DATABASE_URL": "postgresql://u:one@db.example/a"},
        {"DATABASE_URL": "postgresql://u:one@db.example/b"},
        {"DATABASE_URL": "postgresql://u:one@db.example/a", "DEMO": "on"},
        {"SUPABASE_URL": "https://a.supabase.co", "SUPABASE_SERVICE_KEY": "k"},
    ]
    folders = [embedded_folder(open_graph(settings(tmp_path, **w), embedded=True)) for w in ways]
    assert len(set(folders)) == len(ways)
    assert {folder.parent for folder in folders} == {tmp_path / "graph"}
    # A new password is no other database.
    changed = {"DATABASE_URL": "postgresql://u:two@db.example/a"}
    assert embedded_folder(open_graph(settings(tmp_path, **changed), embedded=True)) == folders[2]


def test_it_is_off_where_it_is_switched_off_or_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = open_graph(settings(tmp_path, EMBEDDED_GRAPH="off"), embedded=True)
    assert off == OpenedGraph(off="The embedded graph is switched off.")
    monkeypatch.setattr(jvm_module, "PACKAGE", "no_such_package")
    missing = open_graph(settings(tmp_path), embedded=True)
    assert missing.graph is None
    assert "arcadedb-embedded is not installed" in missing.off
    monkeypatch.setattr("services.graph.jvm.sys.platform", "win32")
    with pytest.raises(UnableToRunGraph, match="Linux and macOS"):
        jvm_module.find_program()
    for opened in (off, missing):
        check = GraphCheck(opened)
        assert check.configured is (opened is missing)
        assert check.switched_off == (
            "The embedded graph is switched off. (EMBEDDED_GRAPH)" if opened is off else ""
        )
        assert opened.state == f"off: {opened.off}"
        with pytest.raises(RequestRejected, match="The graph is off"):
            check.check()
    assert not GraphCheck(OpenedGraph()).configured


def test_services_in_tests_have_no_graph_unless_they_ask(
    fresh_database: NewDatabase, tmp_path: Path
) -> None:
    services = build_services(settings(tmp_path, DATABASE_URL=fresh_database()))
    assert services.graph == OpenedGraph()
    assert 8 not in services.outbox.handlers
    health, _ = health_of(services, now=datetime.now(UTC), scheduler_running=False)
    assert health["services"]["graph"] == "not configured"
    services.close()


@pytest.mark.parametrize(("given", "state"), [({}, "embedded"), (NEO4J, "configured")])
def test_the_app_has_one_and_starts_none_before_it_is_needed(
    fresh_database: NewDatabase, tmp_path: Path, given: dict[str, str], state: str
) -> None:
    dsn = fresh_database()
    services = open_services(settings(tmp_path, DATABASE_URL=dsn, **given), now=datetime.now(UTC))
    assert isinstance(services.graph.graph, Graph)
    assert 8 in services.outbox.handlers
    assert [c.name for c in services.checks if c.configured] == ["Disk", "Backups", "Graph"]
    health, well = health_of(services, now=datetime.now(UTC), scheduler_running=False)
    assert (health["services"]["graph"], well) == (state, True)
    assert "hush" not in str(health)
    services.close()
    assert not (tmp_path / "graph").exists()


def test_a_start_that_failed_is_told_by_health(tmp_path: Path) -> None:
    opened = open_graph(settings(tmp_path), embedded=True)
    assert opened.graph is not None
    assert isinstance(opened.graph.server, EmbeddedGraph)
    opened.graph.server._trouble = "Out of luck."
    assert opened.state == "embedded: Out of luck."
