"""Bills of intervals, registers and several versions, drawn up together, are those drawn up alone.

Random tariffs, and pages of meters of which some have gaps, days on which clocks change, several
meters, registers, or bills before them.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from services.billing.draw_up import draw_up_bills, measured_bill
from services.billing.draw_up_many import draw_up_measured_bills
from services.quantities.period import EmptyPeriod, start_of_day
from services.rating import UnableToPriceBill
from services.records.bills import BillCandidate, Issue, NewBill, PricingInputs
from services.records.readings import MeterConstants, Read
from services.records.tariffs import TariffVersion
from services.settings import PROJECT_FOLDER
from services.tariffs import parse_tariff
from tests.oracle.generator import random_tariff

Json = dict[str, Any]
ISSUE: Final = Issue(at=datetime(2026, 11, 9, tzinfo=UTC), on=date(2026, 11, 9), due_days=15)
# The first day of most bills of a page, with clocks that change within the month.
ZONES: Final = {
    "Europe/Berlin": date(2026, 10, 1),
    "America/New_York": date(2026, 3, 1),
    "Australia/Lord_Howe": date(2026, 4, 1),
    "Asia/Kolkata": date(2026, 2, 1),
}
EXAMPLES: Final = [
    json.loads((PROJECT_FOLDER / "examples/tariffs" / name).read_text())
    for name in ("xcel-colorado-re-tou.json", "solar-net-metering.json")
]
REGISTERS: Final = ("peak", "rest", "export", "kvah", "kvarh", "max_kw", "max_kva", "max_kvar")


class Utility:
    """A tariff of one or two versions, and meters that are billed by it on one page."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)  # noqa: S311
        zone, self.first = chance.choice(list(ZONES.items()))
        self.zone = ZoneInfo(zone)
        self.minutes = chance.choice((15, 30, 60))
        self.versions = [self._version(0, date(2000, 1, 1))]
        if chance.random() < 0.35:
            self.versions.append(self._version(1, self.first + timedelta(chance.randrange(40))))

    def _version(self, number: int, since: date) -> TariffVersion:
        chance = self.chance
        while True:
            made = chance.choice((random_tariff(chance), random_tariff(chance), *EXAMPLES))
            definition = made | {"code": "T", "currency": "INR"}
            definition["effective_from"] = since.isoformat()
            try:
                parse_tariff(definition)
            except ValueError:
                continue
            return TariffVersion(
                id=f"v{number}",
                tariff_id="t",
                code="T",
                name="T",
                currency="INR",
                effective_from=since,
                definition=definition,
            )

    def page(self, size: int) -> list[BillCandidate]:
        return [self.candidate(number) for number in range(size)]

    def candidate(self, number: int) -> BillCandidate:
        chance = self.chance
        start = self.first + timedelta(chance.choice((0, 0, 0, 0, 1, 5)))
        end = start + timedelta(chance.choice((31, 31, 31, 31, 1, 28, 34, 45, 70)))
        opening, closing = self._read("o", number, start), self._read("c", number, end)
        opened = chance.choice((0, 1_000_000, 99_999_000))
        used = chance.choice((0, 1, 999, chance.randrange(3_000_000)))
        opening["register_wh"], closing["register_wh"] = opened, (opened + used) % 100_000_000
        pricing = self._pricing(opening, closing, start, end)
        row: Json = {
            "agreement_id": f"a{number}",
            "meter_id": f"m{number}",
            "serial": f"M{number}",
            "tariff_id": "t",
            "dials": 5,
            "multiplier_milli": chance.choice((1000, 1000, 333, 40_000)),
            "connected_w": chance.choice((None, 3_000, 5_500)),
            "connected_va": chance.choice((None, 7_100)),
            "opening": opening,
            "closing": closing,
            "reissue_no": chance.choice((0, 0, 1)),
            "billing_day": 1,
            "cycle_end": end,
            "pricing": pricing,
        }
        if chance.random() < 0.05:
            row["ends_on"] = end
        if chance.random() < 0.1:
            row["opening"]["source"] = "estimated"
        kind = chance.random()
        if kind < 0.1:
            row |= self._exchanged(number, opening, closing, start, end)
        elif kind < 0.3:
            self._settling(row, number, start, end)
        return BillCandidate.model_validate(row)

    def _pricing(self, opening: Json, closing: Json, start: date, end: date) -> Json:
        """Registers of the reads, intervals, and a bill before."""
        chance = self.chance
        pricing: Json = {}
        if chance.random() < 0.3:
            for name in chance.sample(REGISTERS, chance.randrange(1, 5)):
                before = chance.randrange(1000)
                opening.setdefault("registers", {})[name] = before
                closing.setdefault("registers", {})[name] = before + chance.randrange(900_000)
        if chance.random() < 0.8:
            pricing["intervals"] = self._packed(start, end)
        if chance.random() < 0.2:
            pricing["past"] = [self._past(start)]
        return pricing

    def _read(self, kind: str, number: int, day: date, meter: str = "m") -> Json:
        at = start_of_day(day, self.zone) + timedelta(hours=9)
        reading = {"id": f"{kind}{number}", "meter_id": f"{meter}{number}", "read_at": at}
        return reading | {"read_on": day, "register_wh": 0, "source": "field"}

    def _packed(self, start: date, end: date) -> Json:
        """As the database packs them; of some a day is missing, there twice or shorter."""
        chance = self.chance
        days = [start + timedelta(n) for n in range((end - start).days)]
        if chance.random() < 0.1:
            del days[chance.randrange(len(days))]
        if days and chance.random() < 0.1:
            days.insert(0, days[0])
        sizes = [self._size(day) for day in days]
        most = chance.choice((0, 1, 900, 900, 900, 2**31 - 1))
        packed = {
            "days": " ".join(map(str, days)),
            "minutes": " ".join(str(self.minutes) for _ in days),
            "sizes": " ".join(map(str, sizes)),
            "wh": " ".join(str(chance.randint(0, most)) for _ in range(sum(sizes))),
        }
        if days and chance.random() < 0.3:
            of_day = ("", "0", "19", "8")
            packed["quality"] = ",".join(
                chance.choice((*of_day, " ".join(["10"] * size))) for size in sizes
            )
        return packed

    def _size(self, day: date) -> int:
        begin, end = (start_of_day(d, self.zone) for d in (day, day + timedelta(1)))
        return int((end - begin) / timedelta(minutes=self.minutes))

    def _past(self, end: date) -> Json:
        codes = [charge["code"] for charge in self.versions[0].definition["charges"]]
        return {
            "period_start": end - timedelta(30),
            "period_end": end,
            "usage": {"peak_w": self.chance.randrange(9_000), "peak_va": 5_000},
            "charged": {"carried_forward": self.chance.randrange(-90, 90), codes[0]: 4_711},
            "tariff_id": "t",
        }

    def _exchanged(self, number: int, opening: Json, closing: Json, start: date, end: date) -> Json:
        """The meter took the place of another within the period."""
        day = start + timedelta((end - start).days // 2)
        removed = self._read("x", number, day, "old") | {"register_wh": 1_500_000}
        installed = self._read("y", number, day) | {"register_wh": 500}
        opening |= {"meter_id": f"old{number}", "register_wh": 1_400_000}
        closing |= {"register_wh": 60_500}
        each = {"multiplier_milli": 1000, "dials": 5, "connected_w": 3_000, "connected_va": None}
        return {
            "installations": [
                {"meter_id": f"old{number}", "opening": opening, "closing": removed} | each,
                {"meter_id": f"m{number}", "opening": installed, "closing": None} | each,
            ]
        }

    def _settling(self, row: Json, number: int, start: date, end: date) -> None:
        """Its bill opens at an estimate, up to which one was billed before."""
        chance = self.chance
        before = start - timedelta(chance.choice((30, 30, 30, 28)))
        actual = self._read("b", number, before) | {
            "register_wh": max(row["opening"]["register_wh"] - chance.randrange(900_000), 0),
            "registers": dict(row["opening"].get("registers", {})),
        }
        row["opening"]["source"] = "estimated"
        inputs = PricingInputs()
        if "intervals" in row["pricing"]:
            inputs = PricingInputs.model_validate({"intervals": self._packed(before, end)})
        earlier = {"intervals": inputs.intervals.between(before, start)}
        try:
            estimated = measured_bill(
                agreement_id=row["agreement_id"],
                constants=MeterConstants(f"m{number}", 5, row["multiplier_milli"]),
                opening=Read.model_validate(actual),
                closing=Read.model_validate(row["opening"]),
                tariffs=self.versions,
                reissue_no=0,
                issue=ISSUE,
                zone=self.zone,
                inputs=inputs.model_copy(update=earlier),
            ).priced()
        except UnableToPriceBill:
            return
        row["pricing"]["trued_up"] = {
            "opening": actual,
            "bills": [estimated.billed_before],
            "pricing": inputs,
        }


def together(
    candidates: Sequence[BillCandidate], versions: Sequence[TariffVersion], zone: ZoneInfo
) -> dict[str, NewBill]:
    return draw_up_measured_bills(
        candidates, tariffs_of=lambda _: versions, issue=ISSUE, zone=zone, shortest_days=2
    )


def alone(
    one: BillCandidate, versions: Sequence[TariffVersion], zone: ZoneInfo
) -> list[NewBill] | None:
    assert one.closing is not None
    try:
        return draw_up_bills(
            agreement_id=one.agreement_id,
            constants=one.constants,
            installations=one.installations,
            opening=one.opening,
            between=one.between,
            closing=one.closing,
            tariffs=versions,
            reissue_no=one.reissue_no,
            issue=ISSUE,
            zone=zone,
            inputs=one.pricing,
            shortest_days=2,
            billing_day=one.billing_day,
            however_short=one.is_final,
            is_final=one.is_final,
        )
    except (UnableToPriceBill, EmptyPeriod):
        return None


@pytest.mark.parametrize("block", range(6))
def test_random_pages_are_as_one_by_one(block: int) -> None:
    counted: Counter[str] = Counter()
    for seed in range(block * 40, block * 40 + 40):
        utility = Utility(seed)
        candidates = utility.page(12)
        found = together(candidates, utility.versions, utility.zone)
        for one in candidates:
            bills = alone(one, utility.versions, utility.zone)
            bill = found.get(one.agreement_id)
            if bill is not None:
                assert [bill] == bills, (seed, one.agreement_id)
                assert json.dumps(bill.to_json()) == json.dumps(bills[0].to_json())
            elif bills is not None and len(bills) == 1:
                counted["alone"] += 1
            counted["together"] += bill is not None
            if bill is not None:
                counted["several versions"] += len(bill.priced_by) > 1
                counted["several meters"] += len(bill.segments) > 1
                counted["registers"] += "registers" in (bill.usage or {})
                counted["by intervals"] += "interval_quality" in (bill.usage or {})
                counted["settles"] += "trued_up" in (bill.usage or {})
                counted["net"] += "net" in (bill.usage or {})
    # Else little was compared.
    assert all(
        counted[kind] >= 3
        for kind in (
            *("several versions", "several meters", "registers", "by intervals", "net"),
            "settles",
        )
    ), counted
    assert counted["together"] > 10 * counted["alone"], counted
