"""A utility of many meters, each with a year of monthly readings, for the measurements."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from services.billing.draw_up import measured_bill
from services.container import Services
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.quantities.period import first_of_month, local_date, next_month, start_of_day
from services.records.bills import NewBill
from services.records.readings import MeterKind
from services.records.tariffs import TariffVersion
from services.settings import PROJECT_FOLDER

AGENT = Principal("bench", frozenset({Role.ENGINEER}), None, "token")
CHUNK = 1000
MONTHS = 12
MONTHLY_KWH = 250
DAYS_APART = 30


def serial_of(meter: int) -> str:
    """The serial of the n-th meter."""
    return f"B{meter:06d}"


def read_at(month: int, now: datetime, *, months: int = MONTHS) -> datetime:
    """When each meter was read for the n-th time, beginning with 1; at 0 it was connected."""
    return now - timedelta(days=DAYS_APART * (months + 1 - month))


def register_kwh(month: int) -> int:
    """What each meter showed then."""
    return 1000 + month * (MONTHLY_KWH - 20)


def load_meters(
    services: Services,
    *,
    meters: int,
    now: datetime,
    months: int = MONTHS,
    kind: MeterKind = "manual",
) -> int:
    """Customers, meters and `months` readings up to a month before `now`; how many readings."""
    tariff = json.loads((PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json").read_text())
    row = {"row": 1, "id": str(uuid4()), "tariff_id": str(uuid4()), "definition": tariff}
    row |= {k: tariff[k] for k in ("code", "name", "currency", "effective_from")}
    _import(services, "tariffs", [row])
    for first in range(0, meters, CHUNK):
        chunk = range(first, min(first + CHUNK, meters))
        ids = {meter: str(uuid4()) for meter in chunk}
        _import(services, "customers", [_customer(m) for m in chunk])
        opened = read_at(0, now, months=months)
        rows = [_meter(services, m, ids[m], tariff["code"], opened) for m in chunk]
        _import(services, "meters", [row | {"kind": kind} for row in rows])
        readings = [r for m in chunk for r in _readings(services, ids[m], now, months)]
        services.database.import_readings(actor=AGENT.user, rows=readings)
    return meters * months


def drawn_up_months(services: Services, *, meters: int, now: datetime) -> Iterator[list[NewBill]]:
    """The bills of the first meters, month after month; store them before the next are drawn up.

    A month without a reading of its own has none: it is left out.
    """
    month = first_of_month(first_of_month(now.date()) - timedelta(days=330))
    while month < now.date():
        bills = _drawn_up(services, month, meters, now)
        if bills:
            yield bills
        month = next_month(month)


def _drawn_up(services: Services, month: date, meters: int, now: datetime) -> list[NewBill]:
    tariffs: dict[str, list[TariffVersion]] = defaultdict(list)
    for version in services.database.tariff_versions():
        tariffs[version.tariff_id].append(version)
    bills: list[NewBill] = []
    after: str | None = None
    more = True
    while more:
        page = services.database.monthly_bill_candidates(
            on=next_month(month), after=after, limit=1000
        )
        after = page.next
        more = after is not None
        for one in page.agreements:
            if one.closing is None or one.serial >= serial_of(meters):
                continue
            bill = measured_bill(
                agreement_id=one.agreement_id,
                constants=one.constants,
                opening=one.opening,
                closing=one.closing,
                tariffs=tariffs[one.tariff_id],
                reissue_no=one.reissue_no,
                issue=services.issuer.issue(now),
                zone=services.settings.timezone,
            ).priced()
            outbox = services.outbox.plan(bill_id=bill.id, kind="bill_issued")
            bills.append(replace(bill, outbox=outbox))
    return bills


def _import(services: Services, what: str, rows: list[dict[str, Any]]) -> None:
    answer = services.database.import_rows(what=what, actor=AGENT.user, rows=rows, dry_run=False)
    if answer.errors:
        raise ValueError(answer.errors[:3])


def _customer(meter: int) -> dict[str, Any]:
    row = {"row": meter, "id": str(uuid4()), "account_no": f"A{meter:06d}"}
    return row | {"name": f"House {meter}", "email": "", "phone": "", "address": "1 Long Road"}


def _meter(
    services: Services, meter: int, meter_id: str, tariff_code: str, opened_at: datetime
) -> dict[str, Any]:
    zone = services.settings.timezone
    opened = local_date(opened_at, zone)
    row: dict[str, Any] = {"row": meter, "id": meter_id, "opening_reading_id": str(uuid4())}
    row |= {"serial": serial_of(meter), "account_no": f"A{meter:06d}", "tariff_code": tariff_code}
    row |= {"kind": "manual", "dials": 5, "multiplier_milli": 1000, "opening_wh": 1_000_000}
    return row | {
        "opened_on": opened.isoformat(),
        "opened_at": start_of_day(opened, zone).isoformat(),
    }


def _readings(
    services: Services, meter_id: str, now: datetime, months: int
) -> list[dict[str, Any]]:
    def reading(month: int) -> dict[str, Any]:
        at = read_at(month, now, months=months)
        return {
            "id": str(uuid4()),
            "meter_id": meter_id,
            "read_at": at.isoformat(),
            "read_on": local_date(at, services.settings.timezone).isoformat(),
            "register_wh": register_kwh(month) * 1000,
            "status": "accepted",
        }

    return [reading(month) for month in range(1, months + 1)]
