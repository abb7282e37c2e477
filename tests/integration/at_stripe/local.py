"""Localstripe, somebody else's Stripe for tests, as a process of its own."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

KEY = "sk_test_of_localstripe"
# As its own start does, but on loopback, and without a file that all runs would share.
_RUN = """
import sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda store: None
# It knows no address to come back to: nobody is led anywhere by it.
create = resources.PaymentIntent.__init__
resources.PaymentIntent.__init__ = lambda self, return_url=None, **fields: create(self, **fields)
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@dataclass(frozen=True)
class Local:
    """Where it listens."""

    url: str

    def post(self, path: str, **form: Any) -> dict[str, Any]:
        """Ask for something as the dashboard or a browser would."""
        answer = requests.post(f"{self.url}{path}", data=form, auth=(KEY, ""), timeout=10)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def webhook(self, url: str, secret: str) -> None:
        """Send what happens from now on to an address, signed."""
        answer = requests.post(
            f"{self.url}/_config/webhooks/ours", data={"url": url, "secret": secret}, timeout=10
        )
        assert answer.status_code == 200, answer.text

    def paid(self, amount: int, currency: str = "inr") -> str:
        """A payment by a card; its payment intent."""
        card = {"card[number]": "4242424242424242", "card[exp_month]": "12"}
        card |= {"card[exp_year]": "2040", "card[cvc]": "123"}
        method = self.post("/v1/payment_methods", type="card", **card)
        intent = self.post(
            "/v1/payment_intents",
            amount=amount,
            currency=currency,
            payment_method=method["id"],
            confirm="true",
        )
        assert intent["status"] == "succeeded"
        return str(intent["id"])


@contextmanager
def localstripe() -> Iterator[Local]:
    """It, from scratch, on loopback alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        local = Local(f"http://127.0.0.1:{port}")
        try:
            _wait_for(local)
            yield local
        finally:
            process.terminate()


def _wait_for(local: Local) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            requests.get(f"{local.url}/v1/balance", auth=(KEY, ""), timeout=5)
            return
        except requests.ConnectionError:
            assert time.monotonic() < until, "localstripe does not listen"
            time.sleep(0.1)
