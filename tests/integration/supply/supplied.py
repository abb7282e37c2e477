"""A utility whose supplies are changed: tariffs that can be worked out in the head."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

from services.records.base import PageRequest
from services.records.bills import Bill
from services.records.lists import PointFilter
from services.records.supply import Place, ServicePoint, SupplyChange
from services.supply.changes import (
    Change,
    OtherTariff,
)
from services.supply.plan import SupplyPlan
from tests.integration.utility import ACTOR, ADMIN, Utility

# 2.00 or 5.00 a kWh: what a bill comes to can be worked out in the head.
FLAT: dict[str, Any] = {
    "code": "FLAT",
    "name": "Flat",
    "currency": "INR",
    "effective_from": "2020-01-01",
    "charges": [{"code": "energy", "description": "Energy", "kind": "energy", "rate": "2"}],
}
DEAR = FLAT | {
    "code": "DEAR",
    "name": "Dear",
    "charges": [{"code": "energy", "description": "Energy", "kind": "energy", "rate": "5"}],
}


class Supplied:
    """A utility with the flat tariffs, and changes of supply as an administrator makes them."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.supply = utility.services.supply
        self.database = utility.services.database
        for definition in (FLAT, DEAR):
            row = {"row": 1, "id": str(uuid4()), "tariff_id": str(uuid4())}
            row |= {"definition": definition}
            row |= {k: definition[k] for k in ("code", "name", "currency", "effective_from")}
            answer = self.database.import_rows(
                what="tariffs", actor=ACTOR, rows=[row], dry_run=False
            )
            assert not answer.errors, answer

    def day(self, ago: int) -> date:
        return self.utility.today - timedelta(days=ago)

    def meter(self, serial: str, *, opened: int = 60, kwh: int = 1000) -> str:
        """A meter on the flat tariff, opened so many days ago; the id of its place."""
        self.utility.add_meter(serial, opened_on=self.day(opened), opening_kwh=kwh)
        point = self.point(serial)
        self.do(OtherTariff(point, self.day(opened), "FLAT"))
        return point

    def point(self, serial: str) -> str:
        return self.points(serial)[0].id

    def points(self, text: str) -> tuple[ServicePoint, ...]:
        wanted, page = PointFilter(text=text), PageRequest(sort="code")
        return self.database.list_service_points(wanted=wanted, page=page).items

    def place(self, point: str) -> Place:
        return self.supply.place(service_point_id=point, principal=ADMIN)

    def plan(self, change: Change, change_id: str | None = None) -> SupplyPlan:
        return self.supply.plan(
            change, change_id=change_id or str(uuid4()), principal=ADMIN, now=self.utility.now
        )

    def do(
        self, change: Change, *, change_id: str | None = None, sure: bool = True
    ) -> SupplyChange:
        change_id = change_id or str(uuid4())
        return self.supply.execute(
            change,
            previewed=self.plan(change, change_id).fingerprint,
            change_id=change_id,
            reason="as reported",
            acknowledged=sure,
            principal=ADMIN,
            now=self.utility.now,
        )

    def read(self, serial: str, kwh: int, ago: int, **how: Any) -> Any:
        return self.utility.submit(serial, kwh, at=self.noon(ago), **how)

    def noon(self, ago: int) -> datetime:
        """Local noon of a day before today, and now of today: at noon it may be still to come."""
        if ago == 0:
            return self.utility.now
        zone = self.utility.services.settings.timezone
        return datetime.combine(self.day(ago), time(12), tzinfo=zone)

    def customer(self, account_no: str) -> str:
        row = {"row": 1, "id": str(uuid4()), "account_no": account_no, "name": f"New {account_no}"}
        row |= {"email": "", "phone": "", "address": ""}
        answer = self.database.import_rows(what="customers", actor=ACTOR, rows=[row], dry_run=False)
        assert not answer.errors
        return str(row["id"])

    def bills(self, serial: str) -> list[Bill]:
        found = self.database.bills(text=serial, page_size=100).items
        return sorted((b for b in found if b.status != "void"), key=lambda b: b.period_start)

    def ledger_is_whole(self) -> None:
        assert self.database.check_ledger().problems == ()
