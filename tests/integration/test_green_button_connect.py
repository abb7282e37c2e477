"""Interval series from a Green Button Connect server: real HTTP on loopback, with pages."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from services.integrations.green_button_connect import (
    GreenButtonAway,
    GreenButtonConnect,
    GreenButtonRefused,
)
from services.jobs.by_hand import run_job
from services.readings.green_button_feed import GreenButtonFeed
from services.records.jobs import JobRun
from services.records.readings import SeriesDay
from tests.integration.utility import Utility, make_utility

NOW = datetime(2026, 11, 1, 2, 30, tzinfo=UTC)
KOLKATA = ZoneInfo("Asia/Kolkata")
OCT_30 = date(2026, 10, 30)


def days(*wh: int) -> list[SeriesDay]:
    """Whole local days from 30 October on, each hour of so many Wh."""
    return [
        SeriesDay(day=OCT_30 + timedelta(days=n), minutes=60, wh=(one,) * 24)
        for n, one in enumerate(wh)
    ]


@dataclass
class Published:
    """What a server publishes: feeds by meter, one or two entries of days on a page."""

    url: str = ""
    meters: dict[str, list[SeriesDay]] = field(default_factory=dict)
    status: int = 200
    next_at: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def page(self, number: int) -> bytes:
        """Page 0 has what a meter is; each page one of its days."""
        opening, blocks = "", []
        for n, (serial, series) in enumerate(sorted(self.meters.items())):
            feed = GreenButtonFeed(f"id-{n}", serial, KOLKATA, NOW)
            opening += feed.opening() if not n else _without_head(feed.opening())
            blocks += list(feed.days(series))
        head = opening if number == 0 else _head_of(opening)
        link = f'<link rel="next" href="{self.next_at or "/feed"}?page={number + 1}"/>'
        head = head.replace("</title>", f"</title>{link * (number + 1 < len(blocks))}", 1)
        return f"{head}{blocks[number] if number < len(blocks) else ''}</feed>\n".encode()


def _head_of(opening: str) -> str:
    return opening[: opening.index("<entry>")]


def _without_head(opening: str) -> str:
    return opening[opening.index("<entry>") :]


@pytest.fixture
def published() -> Iterator[Published]:
    made = Published()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.tokens.append(self.headers["Authorization"])
            asked = parse_qs(urlsplit(self.path).query)
            made.asked.append(asked)
            body = made.page(int(asked.get("page", ["0"])[0]))
            self.send_response(made.status)
            self.send_header("Content-Type", "application/atom+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}/feed"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def utility(
    database: str, tmp_path: Path, published: Published, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Utility]:
    monkeypatch.setattr("services.integrations.green_button_connect.PAUSE_SECONDS", 0.0)
    settings = {"GREEN_BUTTON_URL": published.url}
    made = make_utility(database, tmp_path, now=NOW, more_settings=settings)
    made.add_meter("G1", opened_on=date(2026, 10, 1))
    yield made
    made.services.close()


def collect(utility: Utility, at: datetime = NOW) -> JobRun:
    return run_job(utility.services, "interval_collection", at, "test")


def stored(utility: Utility, serial: str = "G1") -> dict[date, tuple[int | None, ...]]:
    [meter] = utility.services.database.find_meters(text=serial)
    series = utility.services.database.meter_series(
        meter_id=meter.id, start=OCT_30, end=date(2026, 11, 3)
    )
    return {one.day: one.wh for one in series.days}


def test_each_page_is_stored_though_the_first_alone_says_what_is_measured(
    utility: Utility, published: Published
) -> None:
    published.meters = {"G1": days(100, 200)}
    run = collect(utility)
    assert (run.status, run.done_count, run.failed_count) == ("done", 2, 0), run.detail
    assert stored(utility) == {OCT_30: (100,) * 24, date(2026, 10, 31): (200,) * 24}
    assert published.asked == [{}, {"page": ["1"]}]


def test_the_next_run_asks_for_what_was_published_since_and_corrections_win(
    utility: Utility, published: Published
) -> None:
    published.meters = {"G1": days(100, 200)}
    first = collect(utility)
    published.meters = {"G1": days(100, 250)}
    published.asked.clear()
    collect(utility, NOW + timedelta(days=1))
    since = first.started_at - timedelta(days=1)
    assert published.asked[0] == {"published-min": [f"{since:%Y-%m-%dT%H:%M:%SZ}"]}
    assert stored(utility)[date(2026, 10, 31)] == (250,) * 24


def test_a_meter_that_is_not_known_is_set_aside_and_the_others_are_stored(
    utility: Utility, published: Published
) -> None:
    published.meters = {"G1": days(100), "X9": days(300)}
    run = collect(utility)
    assert (run.status, run.done_count, run.failed_count) == ("done", 1, 1)
    [row] = utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    assert (row.subject, row.reason.startswith("No meter has this serial")) == ("X9", True)
    assert stored(utility) == {OCT_30: (100,) * 24}


def test_a_page_that_cannot_be_right_is_set_aside_and_the_others_are_stored(
    utility: Utility, published: Published
) -> None:
    # The third day is not over yet.
    published.meters = {"G1": days(100, 200, 300)}
    run = collect(utility)
    assert (run.status, run.done_count, run.failed_count) == ("done", 2, 1)
    [row] = utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    assert row.subject == "Page 3 of the feed"
    assert row.reason == "Meter G1 has intervals that end in the future."
    assert list(stored(utility)) == [OCT_30, date(2026, 10, 31)]


def test_a_feed_without_news_is_no_error(utility: Utility, published: Published) -> None:
    published.meters = {"G1": []}
    run = collect(utility)
    assert (run.status, run.done_count) == ("done", 0)


def test_a_server_that_is_down_fails_the_run_and_says_so(
    utility: Utility, published: Published
) -> None:
    published.status = 503
    run = collect(utility)
    assert (run.status, run.detail) == ("failed", "The Green Button server answered 503.")
    assert len(published.asked) == 3


def test_the_token_is_sent_to_this_server_alone(published: Published) -> None:
    published.meters = {"G1": days(100, 200)}
    client = GreenButtonConnect(published.url, "s3cret")
    assert len(list(client.pages(published_since=None))) == 2
    assert published.tokens == ["Bearer s3cret"] * 2
    published.next_at = "http://elsewhere.example/feed"
    with pytest.raises(GreenButtonRefused, match="goes on at another server"):
        list(client.pages(published_since=None))
    published.status = 401
    with pytest.raises(GreenButtonRefused, match="GREEN_BUTTON_TOKEN") as refused:
        list(client.pages(published_since=None))
    assert "s3cret" not in str(refused.value)
    client.close()


def test_pages_without_end_and_pages_too_large_are_refused(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.meters = {"G1": days(1, 2, 3)}
    module = "services.integrations.green_button_connect"
    client = GreenButtonConnect(published.url)
    monkeypatch.setattr(f"{module}.MOST_PAGES", 2)
    with pytest.raises(GreenButtonRefused, match="more than 2 pages"):
        list(client.pages(published_since=None))
    monkeypatch.setattr(f"{module}.LARGEST_PAGE", 1000)
    with pytest.raises(GreenButtonRefused, match="MB"):
        list(client.pages(published_since=None))
    client.close()


def test_nobody_at_the_address_is_a_temporary_failure() -> None:
    client = GreenButtonConnect("http://127.0.0.1:9", pause=lambda _: None)
    with pytest.raises(GreenButtonAway, match="cannot be reached"):
        next(client.pages(published_since=None))
    client.close()


def test_without_a_server_the_run_says_so(database: str, tmp_path: Path) -> None:
    utility = make_utility(database, tmp_path, now=NOW)
    assert collect(utility).detail == "No Green Button server is configured."
    utility.services.close()
