"""A small utility on a real database, for tests that tell a story."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

from services.bootstrap import build_services
from services.bootstrap_providers import Addresses
from services.container import Services
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.outbox.outbox import StepHandler
from services.quantities.period import local_date, start_of_day
from services.readings.reading_to_bill import Submitted
from services.readings.submission import parse_submission
from services.settings import PROJECT_FOLDER, load_settings

KSEB = json.loads((PROJECT_FOLDER / "examples" / "tariffs" / "kseb-lt1a.json").read_text())
ENGINEER = Principal("engineer-1", frozenset({Role.ENGINEER}), None, "token")
ADMIN = Principal("admin-1", frozenset({Role.ADMIN}), None, "token")
ACTOR = "test"


@dataclass
class Utility:
    """Services with one tariff; meters are added as a test needs them."""

    services: Services
    now: datetime

    @property
    def today(self) -> date:
        """The utility's local date at `now`."""
        return local_date(self.now, self.services.settings.timezone)

    def add_meter(
        self,
        serial: str,
        *,
        opening_kwh: int = 1000,
        opened_on: date | None = None,
        kind: str = "manual",
        dials: int = 5,
        tariff: str = KSEB["code"],
    ) -> str:
        """Connect a meter with a customer of its own, by default 31 days ago; its id."""
        opened = opened_on or self.today - timedelta(days=31)
        account = f"A-{serial}"
        customer: dict[str, Any] = {"row": 1, "id": str(uuid4()), "account_no": account}
        customer |= {"name": f"House {serial}", "email": "", "phone": "", "address": "1 Hill Road"}
        meter: dict[str, Any] = {"row": 1, "id": str(uuid4()), "opening_reading_id": str(uuid4())}
        meter |= {"serial": serial, "account_no": account, "tariff_code": tariff}
        meter |= {"kind": kind, "dials": dials, "multiplier_milli": 1000}
        meter |= {"opening_wh": opening_kwh * 1000, "opened_on": opened.isoformat()}
        meter["opened_at"] = start_of_day(opened, self.services.settings.timezone).isoformat()
        for what, row in (("customers", customer), ("meters", meter)):
            answer = self.services.database.import_rows(
                what=what, actor=ACTOR, rows=[row], dry_run=False
            )
            assert not answer.errors, answer
        return str(meter["id"])

    def submit(
        self,
        serial: str,
        kwh: int | str,
        *,
        at: datetime | None = None,
        key: str | None = None,
        principal: Principal = ENGINEER,
        **how: Any,
    ) -> Submitted:
        """Submit a reading through the story."""
        body: dict[str, Any] = {"meter_serial": serial, "reading_kwh": str(kwh)}
        body["read_at"] = (at or self.now).isoformat()
        if key:
            body["idempotency_key"] = key
        zone = self.services.settings.timezone
        return self.services.reading_to_bill.submit(
            submission=parse_submission(body, zone=zone, now=self.now),
            principal=principal,
            now=self.now,
            arrived_by="a test",
            **how,
        )

    def bills_of(self, serial: str) -> list[Any]:
        """All bills of a meter that are not void, oldest first."""
        found = self.services.database.bills(text=serial, page_size=1000).items
        return sorted(
            (b for b in found if b.meter_serial == serial and b.status != "void"),
            key=lambda b: b.period_start,
        )


def make_utility(
    dsn: str,
    data_dir: Path,
    *,
    now: datetime | None = None,
    step_handlers: Mapping[int, StepHandler] | None = None,
    lease_seconds: int = 60,
    more_settings: Mapping[str, str] | None = None,
    addresses: Addresses | None = None,
) -> Utility:
    """Services with a tariff, over an empty database or one that this function made before.

    With `addresses` of services outside they work as `more_settings` configures them.
    """
    environment = {"DATABASE_URL": dsn, "DATA_DIR": str(data_dir)}
    settings = load_settings(environment | dict(more_settings or {}))
    services = build_services(
        settings,
        step_handlers=None if addresses else step_handlers or {},
        addresses=addresses,
        lease_seconds=lease_seconds,
    )
    row = {"row": 1, "id": str(uuid4()), "tariff_id": str(uuid4()), "definition": KSEB}
    row |= {k: KSEB[k] for k in ("code", "name", "currency", "effective_from")}
    answer = services.database.import_rows(what="tariffs", actor=ACTOR, rows=[row], dry_run=False)
    assert not answer.errors, answer
    return Utility(services, now or datetime.now(UTC))


def assert_one_chain(utility: Utility, serial: str) -> None:
    """Every kWh and every day of a meter is billed exactly once, from its opening read on."""
    bills = utility.bills_of(serial)
    for before, after in pairwise(bills):
        assert before.closing_reading_id == after.opening_reading_id
        assert before.period_end == after.period_start
        assert before.closing_wh == after.opening_wh
