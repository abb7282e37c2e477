"""A utility over one of the transports, beside a direct look at the same database."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.bootstrap import build_services
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.database.transports.watched import WatchedTransport
from services.readings.submission import parse_submission
from services.records.bills import Bill
from services.records.entries import NewPayment
from services.records.readings import Read
from services.settings import load_settings
from tests.contract.supabase_project import supabase_project
from tests.integration.utility import ACTOR, ADMIN, Utility, make_utility

Json = dict[str, Any]
KINDS = ("direct", "rest")


class Over:
    """A utility whose services work over one transport, and a direct look at its database."""

    def __init__(self, utility: Utility, direct: DatabaseService) -> None:
        self.utility = utility
        self.here = utility.services.database
        self.direct = direct

    def same(self, method: str, /, *positional: Any, **asked: Any) -> Any:
        """The answer to a question, once it proved the same as that of the direct transport."""
        answer = getattr(self.here, method)(*positional, **asked)
        expected = getattr(self.direct, method)(*positional, **asked)
        assert answer == expected
        assert _types(answer) == _types(expected)
        return answer

    def draft(self, serial: str, kwh: int) -> Any:
        """A draft for a reading of now, not yet stored."""
        services, now = self.utility.services, self.utility.now
        body = {"meter_serial": serial, "reading_kwh": str(kwh), "read_at": now.isoformat()}
        read = parse_submission(body, zone=services.settings.timezone, now=now)
        context = self.here.reading_context(
            meter_serial=serial, read_at=read.read_at, read_on=read.read_on
        )
        row: Json = {"id": str(uuid4()), "meter_id": context.meter.id, "read_at": now.isoformat()}
        row |= {"read_on": read.read_on.isoformat(), "register_wh": read.register_wh}
        row |= {"status": "accepted", "validation": {}}
        assert self.here.import_readings(actor=ACTOR, rows=[row]).added == 1
        closing = Read(
            id=str(row["id"]),
            meter_id=context.meter.id,
            read_at=read.read_at,
            read_on=read.read_on,
            register_wh=read.register_wh,
        )
        bill = services.issuer.bills_up_to(context=context, closing=closing, now=now)[-1]
        return replace(bill, issue=None, outbox=None)

    def pay(self, bill: Bill, minor: int, *, payment_id: str | None = None) -> int:
        """Record a payment at the office; how many were new."""
        payment: Json = {
            "id": payment_id or str(uuid4()),
            "bill_id": bill.id,
            "amount_minor": minor,
        }
        payment |= {"currency": "INR", "method": "cash", "reference": "R-1"}
        payment |= {"received_at": self.utility.now.isoformat()}
        payment |= {"received_on": self.utility.today.isoformat()}
        return self.here.record_payments(
            actor=ADMIN.user, payments=[NewPayment.model_validate(payment)]
        )


@pytest.fixture(params=KINDS)
def over(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Over]:
    with ExitStack() as stack:
        utility = make_utility(database, tmp_path)
        stack.callback(utility.services.close)
        direct = utility.services.database
        if request.param == "rest":
            program = request.getfixturevalue("postgrest")
            project = stack.enter_context(supabase_project(program, database))
            environment = {"SUPABASE_URL": project.url, "DATA_DIR": str(tmp_path)}
            environment["SUPABASE_SERVICE_KEY"] = project.service_key
            services = build_services(load_settings(environment), step_handlers={})
            stack.callback(services.close)
            utility = Utility(services, utility.now)
        yield Over(utility, direct)


def dsn_of(over: Over) -> str:
    conninfo = direct_transport_of(over.direct)._pool.conninfo
    assert isinstance(conninfo, str)
    return conninfo


def direct_transport_of(database: DatabaseService) -> DirectTransport:
    watched = database._transport
    assert isinstance(watched, WatchedTransport)
    transport = watched._transport
    assert isinstance(transport, DirectTransport)
    return transport


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _types(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_types(inner) for inner in value]
    return type(value)
