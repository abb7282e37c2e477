"""Shared by the contract tests: databases of a real server, reached directly and over REST."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.database.transport import Transport
from services.database.transports.postgres import DirectTransport
from services.database.transports.supabase import RestTransport
from tests.contract.over import KINDS, over
from tests.contract.supabase_project import SupabaseProject, supabase_project

__all__ = ["KINDS", "over"]

NewProject = Callable[..., SupabaseProject]
NewTransport = Callable[[str, str], Transport]


@pytest.fixture(scope="module")
def new_project(postgrest: Path) -> Iterator[NewProject]:
    """Call it with a DSN for a Supabase project over that database."""
    with ExitStack() as stack:
        yield lambda dsn, **how: stack.enter_context(supabase_project(postgrest, dsn, **how))


@pytest.fixture(scope="module")
def new_transport(request: pytest.FixtureRequest) -> Iterator[NewTransport]:
    """Call it with a kind, "direct" or "rest", and a DSN."""
    with ExitStack() as stack:

        def make(kind: str, dsn: str) -> Transport:
            transport: Transport
            if kind == "direct":
                transport = DirectTransport(dsn)
            else:
                project = request.getfixturevalue("new_project")(dsn)
                transport = RestTransport(project.url, project.service_key)
            stack.callback(transport.close)
            return transport

        yield make
