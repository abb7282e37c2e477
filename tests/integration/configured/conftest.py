"""The servers of all outside systems, each the real one or as strict as its published API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from llmock.pytest_plugin import LLMock
from llmock.testing import LLMockServer

from services.graph import Graph
from services.graph.bolt import ConfiguredServer
from services.readings import reading_to_bill
from tests.contract.graph.network import bill, meter, network
from tests.contract.graph.servers import (
    PASSWORD,
    PATIENT_SECONDS,
    USER,
    Neo4j,
)
from tests.contract.supabase_project import supabase_project
from tests.integration.configured.servers import (
    GraphServer,
    Servers,
    Supabase,
    in_front_of,
)
from tests.integration.providers import published
from tests.integration.providers.conftest import Providers
from tests.integration.providers.stand_in import StandIn, running
from tests.mail_server import Mailbox, mail_server
from tests.oidc.tenant import Tenant, running_tenant
from tests.servers import NewDatabase


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine does not use up the seconds of a request; tests/integration/ai tries those."""
    monkeypatch.setattr(reading_to_bill, "OUTSIDE_SECONDS", 60.0)


@pytest.fixture(scope="session")
def neo4j(neo4j_server: Neo4j) -> GraphServer:
    """The session's Neo4j."""
    _warm_up(neo4j_server)
    return GraphServer(f"bolt://127.0.0.1:{neo4j_server.port}", USER, PASSWORD)


def _warm_up(server: ConfiguredServer) -> None:
    """Let it see a first bill: one that has just begun takes seconds to plan for it."""
    graph = Graph(server, timeout_seconds=PATIENT_SECONDS)
    a_bill = bill("b1", "m1", "2026-01-01", "2026-02-01", 1)
    graph.project(network() | {"meters": [meter("m1")], "bills": [a_bill]})


@pytest.fixture(scope="session")
def stripe(stripe_mock: str | None) -> str:
    """Where stripe-mock answers; without it these tests are skipped."""
    if stripe_mock is None:
        pytest.skip("no stripe-mock: Go is not installed")
    return stripe_mock


@pytest.fixture(scope="module")
def tenant() -> Iterator[Tenant]:
    yield from running_tenant()


@pytest.fixture(scope="module")
def supabase(postgrest: Path, fresh_database: NewDatabase) -> Iterator[Supabase]:
    dsn = fresh_database()
    with supabase_project(postgrest, dsn) as project:
        yield Supabase(project, dsn)


@pytest.fixture(scope="module")
def providers(stripe: str) -> Iterator[tuple[Providers, Mailbox, StandIn]]:
    """Those of payments and chat, a mail server, and Twilio."""
    with (
        running(in_front_of(stripe)) as recorded,
        running(published.discord()) as discord,
        running(published.whatsapp()) as whatsapp,
        mail_server() as box,
        running(published.twilio()) as twilio,
    ):
        yield Providers(recorded, discord, whatsapp), box, twilio


@pytest.fixture(scope="module")
def all_servers(
    supabase: Supabase,
    neo4j: GraphServer,
    llmock_server: LLMockServer,
    providers: tuple[Providers, Mailbox, StandIn],
    tenant: Tenant,
) -> Servers:
    """All servers, and nobody served yet."""
    neo4j.cypher("MATCH (node) DETACH DELETE node")
    ai_url = llmock_server.base_url("openai")
    # Its first answer takes seconds, which no later one does.
    greeting = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
    requests.post(f"{ai_url}/chat/completions", json=greeting, timeout=60).raise_for_status()
    return Servers(supabase, neo4j, ai_url, providers[0], tenant, *providers[1:])


@pytest.fixture
def servers(all_servers: Servers, llmock: LLMock) -> Servers:
    """All servers, with nothing received yet; the replies of AI are scripted by `llmock`."""
    assert llmock.base_url() == all_servers.ai_url
    providers = all_servers.providers
    for server in (providers.stripe, providers.discord, providers.whatsapp, all_servers.twilio):
        for memory in (server.seen, server.answered, server.faults):
            memory.clear()
    all_servers.mail.mails.clear()
    return all_servers
