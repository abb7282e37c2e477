"""How many customers' pages a second the system answers, and how soon.

    python -m bench.customer_page [--rate 100] [--seconds 10] [--url http://localhost:8501 --link …]

Without a URL it starts the demo in a folder of its own, and opens a customer's page there. Requests
leave at their times, whether or not earlier ones were answered, and wait in no queue of ours.
"""

import argparse
import http.client
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import requests

from services.bootstrap_database import DEMO_DATABASE
from services.database.embedded import EmbeddedPostgres
from services.database.transports.postgres import DirectTransport
from services.identity.signing_key import load_or_create_signing_key
from services.people.customer_links import CustomerLinks
from tests.ui.app_process import AppProcess, start_app

_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')
_MOST_AT_ONCE = 64


@dataclass
class Answers:
    """What came: seconds by page, statuses, bytes of the largest page."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    largest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, path: str, status: str, seconds: float, size: int) -> None:
        """Add one answer."""
        with self.lock:
            self.seconds.setdefault(path, []).append(seconds)
            self.statuses[status] += 1
            self.largest = max(self.largest, size)


class Visitor:
    """A browser that opened a customer's link; each thread keeps a connection of its own."""

    def __init__(self, url: str, link: str) -> None:
        self._host = urlsplit(url).netloc
        self._own = threading.local()
        session = requests.Session()
        shown = session.get(f"{url}/my/open", params={"k": link}, timeout=30).text
        token = _TOKEN.search(shown)
        if token is None:
            raise SystemExit("The link does not open a page.")
        session.post(f"{url}/my/open", data={"token": token[1], "k": link}, timeout=30)
        self._cookie = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
        home = session.get(f"{url}/my/bills", timeout=30).text
        self.bills = re.findall(r"/my/bills/[0-9a-f-]{36}", home)

    def get(self, path: str) -> tuple[str, int]:
        """The status and the length of a page."""
        for again in (True, False):
            connection = getattr(self._own, "connection", None)
            if connection is None:
                connection = http.client.HTTPConnection(self._host, timeout=30)
                self._own.connection = connection
            try:
                connection.request("GET", path, headers={"Cookie": self._cookie})
                answer = connection.getresponse()
                return str(answer.status), len(answer.read())
            except (OSError, http.client.HTTPException) as error:
                self._own.connection = None
                if not again:
                    return type(error).__name__, 0
        raise AssertionError


def load(visitor: Visitor, *, rate: int, seconds: int) -> tuple[Answers, float]:
    """So many requests a second for so long; what came, and how long all of it took."""
    paths = ["/my", "/my/bills", *visitor.bills[:1]]
    answers, began = Answers(), time.monotonic()

    def ask(number: int) -> None:
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        path = paths[number % len(paths)]
        status, size = visitor.get(path)
        # From when it was due, so that a wait for its turn counts.
        kind = f"{path.rpartition('/')[0]}/…" if len(path) > 20 else path
        answers.note(kind, status, time.monotonic() - due, size)

    with ThreadPoolExecutor(_MOST_AT_ONCE) as threads:
        list(threads.map(ask, range(rate * seconds)))
    return answers, time.monotonic() - began


def link_of_demo(app: AppProcess) -> str:
    """A link to the page of a customer of the demo who has bills."""
    server = EmbeddedPostgres(app.data_dir)
    server.start()
    try:
        transport = DirectTransport(server.database(DEMO_DATABASE))
        rows = transport.select("bill_list", order=["period_end.desc"], limit=1).rows
        transport.close()
    finally:
        server.stop()
    links = CustomerLinks(load_or_create_signing_key(app.data_dir))
    return links.make(customer_id=rows[0]["customer_id"], generation=0, now=datetime.now(UTC))


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--url")
    parser.add_argument("--link", help="what stands behind k= in a customer's link")
    given = parser.parse_args()
    if given.url:
        report(Visitor(given.url, given.link), given.rate, given.seconds)
        return
    with tempfile.TemporaryDirectory(prefix="billing-bench-") as folder:
        Path(folder).chmod(0o711)
        app = start_app(folder=Path(folder), environment={"DEMO": "on"})
        try:
            report(Visitor(app.url, link_of_demo(app)), given.rate, given.seconds)
        finally:
            app.stop()


def report(visitor: Visitor, rate: int, seconds: int) -> None:
    """Warm up, measure, print."""
    load(visitor, rate=10, seconds=2)
    answers, took = load(visitor, rate=rate, seconds=seconds)
    asked = rate * seconds
    print(
        f"{asked} requests in {took:.1f} s: {asked / took:.0f} a second; {dict(answers.statuses)}"
    )
    print(f"largest page: {answers.largest / 1000:.1f} kB")
    for path, found in sorted(answers.seconds.items()):
        cuts = quantiles(found, n=100)
        named = ((50, "median"), (95, "95%"), (99, "99%"))
        said = ", ".join(f"{name} {cuts[at - 1] * 1000:.0f} ms" for at, name in named)
        print(f"{path:14} {said}")
    sys.exit(0 if set(answers.statuses) == {"200"} else 1)


if __name__ == "__main__":
    main()
