"""What this process counts for Prometheus as it happens: requests and how long they took."""

from typing import Final

from prometheus_client import CollectorRegistry, Histogram

# Of this process; what is asked of the database is collected at each scrape.
REGISTRY: Final = CollectorRegistry()
REQUESTS: Final = Histogram(
    "billing_http_request_duration_seconds",
    "Requests on the API, by route, method and status, and how long they took.",
    ("route", "method", "status"),
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
NO_ROUTE: Final = "(none)"


def count_request(*, route: str, method: str, status: int, seconds: float) -> None:
    """Count one request; `route` is its template, never the path that was asked for."""
    # Anybody may send a method of their own making.
    known = method if method in _METHODS else "other"
    REQUESTS.labels(route=route, method=known, status=str(status)).observe(seconds)
