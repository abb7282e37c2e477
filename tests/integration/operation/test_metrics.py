"""What Prometheus is given: the official parser reads it, a key of its scope alone gets it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from app import create_app
from services.identity.auth import Scope
from services.identity.permissions import Role
from services.operation.figures import Figures
from services.telemetry.outside_calls import outside_calls
from tests.integration.utility import ADMIN, Utility, make_utility

OPEN = "application/openmetrics-text; version=1.0.0"
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def utility(
    fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path_factory.mktemp("data"))
    yield made
    made.services.close()


@pytest.fixture
def client(utility: Utility) -> FlaskClient:
    return create_app(utility.services, clock=lambda: utility.now).test_client()


def key(
    utility: Utility, role: Role = Role.AUDITOR, scope: Scope = "read_metrics"
) -> dict[str, str]:
    made = utility.services.api_keys.make(
        name=f"{role} {scope} {len(utility.services.database.api_keys())}",
        role=role,
        scope=scope,
        expires_at=utility.now + timedelta(days=1),
        principal=ADMIN,
    )
    return {"X-API-Key": made}


def values(text: str) -> Values:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in plain_text(text)
        for sample in family.samples
    }


def test_both_formats_are_read_by_the_clients_own_parsers(
    client: FlaskClient, utility: Utility
) -> None:
    headers = key(utility)
    plain = client.get("/api/metrics", headers=headers)
    assert plain.content_type.startswith("text/plain")
    names = {family.name for family in plain_text(plain.text)}
    other = client.get("/api/metrics", headers={**headers, "Accept": OPEN})
    assert other.content_type.startswith("application/openmetrics-text")
    assert other.text.endswith("# EOF\n")
    # Of a histogram the plain text shows when it was made as a family of its own.
    wanted = {name for name in names if not name.endswith("_created")}
    found = list(open_metrics(other.text))  # type: ignore[no-untyped-call]
    assert len(found) >= len(wanted) > 20


def test_the_figures_say_what_happened(client: FlaskClient, utility: Utility) -> None:
    headers = key(utility)
    utility.add_meter("M-SEEN")
    assert utility.submit("M-SEEN", "1117").outcome == "billed"
    outside_calls.went_well("Stripe")
    client.get("/api/bills/unknown", headers=headers)
    found = values(client.get("/api/metrics", headers=headers).text)
    asked = (("method", "GET"), ("route", "/api/bills/<bill_id>"), ("status", "403"))
    assert found["billing_http_request_duration_seconds_count", asked] >= 1
    assert found["billing_outside_calls_total", (("outcome", "ok"), ("service", "Stripe"))] >= 1
    assert found["billing_database_up", ()] == 1
    assert found["billing_bills_issued_today", ()] >= 1
    assert found["billing_readings_today", (("source", "field"),)] >= 1
    assert found["billing_database_size_bytes", ()] > 1_000_000
    assert found["billing_disk_free_bytes", ()] > 0
    assert found["billing_database_pool_size", ()] >= 1
    assert found["billing_job_late", (("job_id", "monthly_bills"),)] == 0
    assert found["process_resident_memory_bytes", ()] > 1_000_000


@pytest.mark.parametrize(
    ("role", "scope", "status"),
    [
        (Role.AUDITOR, "read_metrics", 200),
        (Role.ADMIN, "all", 200),
        (Role.ADMIN, "read_bills", 403),
        (Role.ENGINEER, "read_metrics", 403),
        (Role.ENGINEER, "all", 403),
    ],
)
def test_only_a_key_for_it_gets_it(
    client: FlaskClient, utility: Utility, role: Role, scope: Scope, status: int
) -> None:
    answer = client.get("/api/metrics", headers=key(utility, role, scope))
    assert answer.status_code == status
    bill = client.get("/api/bills/unknown", headers=key(utility, role, "read_metrics"))
    assert bill.status_code == 403, "a key for the metrics reads nothing else"


def test_nobody_else_gets_it(client: FlaskClient) -> None:
    assert client.get("/api/metrics").status_code == 401


def test_the_database_is_asked_once_a_minute(utility: Utility) -> None:
    class Clock:
        now = 100.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    figures = Figures(utility.services, clock)
    first = figures.of(utility.now)
    clock.now += 59
    assert figures.of(utility.now) is first
    clock.now += 2
    assert figures.of(utility.now) is not first


def test_without_the_database_it_says_so(
    fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = make_utility(fresh_database(), tmp_path_factory.mktemp("gone"))
    view: Any = create_app(made.services, clock=lambda: made.now).view_functions["metrics"]
    made.services.close()
    text, _ = view.__self__.figures.exposition(accept="", now=made.now)
    found = values(text.decode())
    assert found["billing_database_up", ()] == 0
    assert ("billing_bills_issued_today", ()) not in found
