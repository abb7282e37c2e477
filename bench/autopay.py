"""How fast the charges of a day are planned, announced and made at Stripe, by two processes.

`python -m bench.autopay [--processes 2] [--answers-after 0.3] [ACCOUNTS …]`: each account has a
bill that is due on the same day. Stripe is a server on loopback in a process of its own that
answers each request after so many seconds.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import uuid4

import psycopg
import requests

from bench.database import OwnDatabase, own_database, server_seconds
from bench.large_utility import fill
from services.autopay.charging import LEASE_SECONDS, PAGE
from services.autopay.signing_up import plans
from services.bootstrap import wire
from services.bootstrap_providers import Providers
from services.container import Services
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.jobs import autopay
from services.jobs.runs import JobContext
from services.payments.stripe.client import StripePayments
from services.payments.stripe.turns import StripeTurns
from services.settings import load_settings

SIZES: Final = (1_000, 10_000)
KEY: Final = "sk_live_of_the_benchmark"
DUE: Final = date(2026, 11, 20)
# Every second account of the utility has an open bill, but for some drafts and left places.
_FOR_EACH: Final = 2.1
_SIGNED_UP: Final = """
    set session_replication_role = replica;
    update bills set due_date = '{due}', overdue_since = null
    where status = 'issued' and amount_paid_minor = 0;
    insert into autopay_mandates (id, customer_id, currency, status, consent, consented_at,
        stripe_customer, payment_method, kind, brand, last4, charges_from, active_since)
    select md5('mandate' || b.customer_id)::uuid, b.customer_id, 'INR', 'active', 'I agree.', now(),
           'cus_' || md5(b.customer_id::text), 'pm_' || md5(b.customer_id::text), 'card', 'visa',
           '4242', '2026-01-01', now()
    from bills b where b.status = 'issued' and b.amount_paid_minor = 0
    order by b.id limit {accounts};
    reset session_replication_role;
    select private.make_totals();
    vacuum analyze"""
Json = dict[str, Any]


def main() -> None:
    """A line for each number of accounts."""
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("accounts", nargs="*", type=int, default=SIZES)
    wanted.add_argument("--processes", type=int, default=2)
    wanted.add_argument("--answers-after", type=float, default=0.3)
    given = wanted.parse_args()
    print(f"{given.processes} processes, Stripe answers after {given.answers_after} s")
    print(f"{'due':>8}{'planned/s':>11}{'told/s':>9}{'charged/s':>11}{'most in 1 s':>13}", end="")
    print(f"{'database ms':>13}{'program ms':>12}{'load':>7}", flush=True)
    for accounts in given.accounts:
        with own_database() as own, _stripe(given.answers_after) as url:
            with own.owner() as connection:
                sign_up(connection, accounts)
            _report(own, url, accounts=accounts, processes=given.processes)


def sign_up(connection: psycopg.Connection[Any], accounts: int) -> None:
    """Fill a database with accounts that autopay is to charge, each a bill due on `DUE`."""
    fill(connection, customers=int(accounts * _FOR_EACH) + 20)
    for statement in _SIGNED_UP.format(due=DUE, accounts=accounts).split(";"):
        connection.execute(statement.encode())


def _report(own: OwnDatabase, url: str, *, accounts: int, processes: int) -> None:
    services = _services(own.dsn, str(own.folder), url)
    told_on = DUE - timedelta(days=7)
    context = _context(services, told_on)
    began = time.perf_counter()
    planned = autopay.pages(context, services.database.autopay.plan)
    plan_seconds = time.perf_counter() - began
    began = time.perf_counter()
    announced = autopay.pages(context, services.database.autopay.announce)
    tell_seconds = time.perf_counter() - began
    assert planned == announced == accounts, (planned, announced)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool, own.owner() as connection:
        list(pool.map(_ready, [(own.dsn, str(own.folder), url)] * processes))
        database = -server_seconds(connection)
        began = time.perf_counter()
        made = list(pool.map(_charge, [(own.dsn, str(own.folder), url)] * processes))
        seconds = time.perf_counter() - began
        database += server_seconds(connection)
    seen = requests.get(f"{url}/seen", timeout=10).json()
    _check(services, accounts, sum(count for count, _ in made), seen)
    program = sum(spent for _, spent in made)
    print(
        f"{accounts:>8,}{accounts / plan_seconds:>11,.0f}{accounts / tell_seconds:>9,.0f}", end=""
    )
    print(f"{accounts / seconds:>11,.1f}{seen['most']:>13,}", end="")
    print(f"{database / accounts * 1000:>13.2f}{program / accounts * 1000:>12.2f}", end="")
    print(f"{os.getloadavg()[0]:>7.1f}", flush=True)
    services.database.close()


def _check(services: Services, accounts: int, tried: int, seen: Json) -> None:
    """Each was charged once, and the books are right."""
    assert tried == accounts, tried
    assert seen["charges"] == seen["keys"] == accounts, seen
    answer = services.database.check_ledger()
    assert answer.problems == (), answer.problems[:3]


def _services(dsn: str, folder: str, url: str) -> Services:
    environment = {"DATABASE_URL": dsn, "DATA_DIR": folder, "TIMEZONE": "Asia/Kolkata"}
    environment |= {"PUBLIC_URL": "https://bills.example", "STRIPE_SECRET_KEY": KEY}
    environment |= {"STRIPE_WEBHOOK_SECRET": "whsec_of_the_benchmark"}
    database = DatabaseService(DirectTransport(dsn))
    stripe = StripePayments(secret_key=KEY, base_url=url, turns=StripeTurns(database))
    providers = Providers(stripe=stripe)
    return wire(load_settings(environment), database, providers=providers)


def _context(services: Services, day: date) -> JobContext:
    _, run = services.database.claim_job_run(
        job="autopay", scheduled_on=day, owner="bench", lease_seconds=3600, started_by="bench"
    )
    now = datetime.combine(day, datetime.min.time(), UTC).replace(hour=6)
    return JobContext(services, run, now, lambda: now, lease_seconds=3600)


def _ready(given: tuple[str, str, str]) -> int:
    """A process has everything imported before the clock runs."""
    services = _services(*given)
    services.database.close()
    return os.getpid()


def _charge(given: tuple[str, str, str]) -> tuple[int, float]:
    """Charge what is due until nothing is; how many, and the processor time of it."""
    services = _services(*given)
    began = time.process_time()
    now = datetime.combine(DUE, datetime.min.time(), UTC).replace(hour=6)
    tried = _charge_all(services, now)
    spent = time.process_time() - began
    services.database.close()
    return tried, spent


def _charge_all(services: Services, now: datetime) -> int:
    """As the job does; any number of processes may do so."""
    tried, after, owner = 0, None, str(uuid4())
    while True:
        attempts, after = services.database.autopay.begin(
            actor="bench",
            run=None,
            today=DUE,
            limit=PAGE,
            owner=owner,
            lease_seconds=LEASE_SECONDS,
            outbox=plans(services.outbox),
            after=after,
        )
        services.autopay.charging.charge_all(attempts, now=now)
        tried += len(attempts)
        if after is None:
            return tried


@contextmanager
def _stripe(answers_after: float) -> Iterator[str]:
    """A Stripe that charges whatever it is asked for; its address."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, answers_after), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{ours.recv()}"
    process.terminate()
    process.join()


def _serve(pipe: Any, answers_after: float) -> None:
    asyncio.run(_Server(answers_after).run(pipe))


class _Server:
    """Counts charges by their idempotency key, and requests by the second in which they came."""

    def __init__(self, answers_after: float) -> None:
        self._after = answers_after
        self._by_key: dict[str, bytes] = {}
        self._charges = 0
        self._came: list[float] = []

    async def run(self, pipe: Any) -> None:
        """Listen on a free port, which goes into the pipe."""
        server = await asyncio.start_server(self._speak, "127.0.0.1", 0, backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ", 2)
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                answer = await self._answer(method, path, headers, body)
                head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        if path == "/seen":
            return json.dumps(self._seen()).encode()
        assert (method, path) == ("POST", "/v1/payment_intents"), (method, path)
        self._came.append(time.monotonic())
        key = headers["idempotency-key"]
        if key not in self._by_key:
            self._charges += 1
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            intent: Json = {"id": f"pi_{self._charges}", "object": "payment_intent"}
            intent |= {"status": "succeeded", "amount": int(form["amount"])}
            intent |= {"amount_received": int(form["amount"]), "currency": form["currency"]}
            intent |= {"customer": form["customer"]}
            self._by_key[key] = json.dumps(intent).encode()
        await asyncio.sleep(self._after)
        return self._by_key[key]

    def _seen(self) -> Json:
        most, first = 0, 0
        for last, at in enumerate(self._came):
            while self._came[first] <= at - 1:
                first += 1
            most = max(most, last - first + 1)
        return {"charges": self._charges, "keys": len(self._by_key), "most": most}


if __name__ == "__main__":
    main()
