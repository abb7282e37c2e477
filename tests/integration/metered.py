"""Meters with more registers than the total, on tariffs that need them, for tests."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from services.importing import Importer, ImportReport, WhatToImport
from services.readings.reading_to_bill import Submitted
from services.readings.submission import parse_submission
from tests.integration.utility import ACTOR, ENGINEER, Utility

METERS = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"
TOU: dict[str, Any] = {
    "code": "TOU",
    "name": "Time of use",
    "currency": "INR",
    "effective_from": "2020-01-01",
    "calendars": {
        "tou": {
            "periods": {
                "peak": [{"from": "18:00", "to": "22:00"}],
                "off_peak": [{"from": "22:00", "to": "18:00"}],
            }
        }
    },
    "charges": [
        {"code": "energy", "description": "Energy", "kind": "energy", "calendar": "tou"}
        | {"rates": {"peak": "9", "off_peak": "4"}}
    ],
}
# A ratchet, a minimum per year and a rounding that is carried on: bills that know of each other.
LINKED: dict[str, Any] = {
    "code": "LINKED",
    "name": "Bills that know of each other",
    "currency": "INR",
    "effective_from": "2020-01-01",
    "rounding": {"total": {"mode": "down", "to": "10", "carry_forward": True}},
    "charges": [
        {"code": "demand", "description": "Demand", "kind": "demand", "quantity": "kw"}
        | {"rate": "100.50", "ratchet": {"percent": "80", "months": 11}},
        {"code": "year", "description": "Least", "kind": "minimum", "amount": "5000"}
        | {"per": "year", "of": ["demand"]},
    ],
}


class Metered:
    """A utility with tariffs by time and by demand, and the way to its files."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.database = utility.services.database
        self.zone = utility.services.settings.timezone
        assert self.file("tariffs", json.dumps([TOU, LINKED])).ok

    def file(self, what: WhatToImport, *lines: str) -> ImportReport:
        """Import the lines of a file, the header first."""
        importer = Importer(self.database, self.zone)
        return importer.run(what, "\n".join(lines), actor=ACTOR, now=self.utility.now)

    def add_meter(
        self,
        serial: str,
        registers: str = "",
        *,
        tariff: str = "TOU",
        kind: str = "manual",
        days: int = 30,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        """Connect a meter of 1000 kWh so many days ago."""
        columns = {"registers": registers, **(columns or {})}
        opened = self.utility.today - timedelta(days=days)
        customer = f"A-{serial},House {serial},,,1 Hill Road"
        line = f"{serial},A-{serial},{tariff},{kind},5,1,1000,{opened},{','.join(columns.values())}"
        assert self.file("customers", "account_no,name,email,phone,address", customer).ok
        report = self.file("meters", f"{METERS},{','.join(columns)}", line)
        assert report.ok, report.errors

    def submit(
        self, serial: str, kwh: object, *, at: datetime | None = None, **registers: object
    ) -> Submitted:
        """Submit a reading with registers through the story."""
        body = {
            "meter_serial": serial,
            "reading_kwh": str(kwh),
            "read_at": (at or self.utility.now).isoformat(),
            "registers": {name: str(value) for name, value in registers.items()},
        }
        return self.utility.services.reading_to_bill.submit(
            submission=parse_submission(body, zone=self.zone, now=self.utility.now),
            principal=ENGINEER,
            now=self.utility.now,
            arrived_by="a test",
        )

    def interval_lines(self, serial: str, days: int, *, peak_kwh: str = "0.4") -> Iterator[str]:
        """Hours up to yesterday's last: 0.1 kWh, from 18:00 to 22:00 `peak_kwh`."""
        first = self.utility.today - timedelta(days=days)
        for day in range(days):
            for hour in range(24):
                kwh = peak_kwh if 18 <= hour < 22 else "0.1"
                yield f"{serial},{first + timedelta(days=day)}T{hour:02}:00,{kwh}"

    def import_intervals(self, serial: str, days: int, **how: str) -> ImportReport:
        """Import whole days up to yesterday."""
        lines = self.interval_lines(serial, days, **how)
        return self.file("intervals", "meter_serial,start,kwh", *lines)
