"""Years of a utility in random order: whatever happens, each kWh is billed once or to nobody.

The walk knows what each place used on each day. SUPPLY_STEPS and SUPPLY_SEEDS make it longer.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from uuid import uuid4

import psycopg
import pytest

from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import WrongReading
from services.database.errors import IllegalChange
from services.records.bills import Bill
from services.records.supply import ServiceAgreement, SupplyChange
from services.supply.changes import (
    CannotChangeSupply,
    Change,
    Disconnect,
    Exchange,
    MoveIn,
    MoveOut,
    NotDisconnected,
    NotReconnected,
    OtherMultiplier,
    OtherTariff,
    Reconnect,
    Stay,
    TypedRead,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, Utility

STEPS = int(os.environ.get("SUPPLY_STEPS", "70"))
SEEDS = [int(seed) for seed in os.environ.get("SUPPLY_SEEDS", "1,2,3").split(",")]
# The walk goes some five days a step, and ends before today.
DAYS = 100 + 5 * STEPS
RATES = {"FLAT": 200, "DEAR": 500}
# Why a change is not undone.
STAYS = (
    "cannot be undone so", "Bills were made for this agreement", "A bill runs beyond",
    "was read since", "A bill is priced by this tariff",
)  # fmt: skip


@dataclass
class Installed:
    """A meter as it was put in: what it showed, and since when with which multiplier."""

    serial: str
    since: date
    first_kwh: int
    multiplier: int = 1


Before = tuple[list[Installed], date, list[tuple[date, str]]]


@dataclass
class Home:
    """A place with what was used there each day, in kWh, from the first day on."""

    point: str
    used: list[int]
    first_day: date
    meters: list[Installed]
    last_change: date
    tenants: int = 1
    # The tariffs of whoever was supplied last, each from a day on.
    tariffs: list[tuple[date, str]] = field(default_factory=list)
    # Each change that was made, with what was so before it.
    done: list[tuple[SupplyChange, Before]] = field(default_factory=list)

    def kwh_until(self, on: date, since: date | None = None) -> int:
        start = (since - self.first_day).days if since else 0
        return sum(self.used[start : (on - self.first_day).days])

    def shows(self, on: date) -> int:
        """What the meter that is there shows on a day."""
        meter = self.meters[-1]
        return meter.first_kwh + self.kwh_until(on, meter.since) // meter.multiplier


class Walk:
    """Random things that happen to some homes, most in order of time and some late."""

    def __init__(self, at: Supplied, seed: int) -> None:
        self.at, self.random = at, Random(seed)  # noqa: S311 - the same walk each time
        self.day = at.day(DAYS - 30)
        self.made: dict[str, int] = {}
        self.fees: dict[str, int] = {}
        self.homes = [self._home(n) for n in range(3)]
        self.serials = 0

    def _home(self, number: int) -> Home:
        serial, opened = f"W{number}", self.at.day(DAYS)
        point = self.at.meter(serial, opened=DAYS, kwh=1000)
        # Even, so that a multiplier of 2 counts whole kWh.
        used = [2 * self.random.randint(2, 4) for _ in range(DAYS + 1)]
        meters, flat = [Installed(serial, opened, 1000)], [(opened, "FLAT")]
        return Home(point, used, opened, meters, opened, tariffs=flat)

    def step(self) -> None:
        home = self.random.choice(self.homes)
        things: list[tuple[Callable[[Home, date], bool], int]] = [
            (self.read, 8), (self.exchange, 1), (self.move_out, 2), (self.move_in, 3),
            (self.tariff, 1), (self.multiplier, 1), (self.correct, 2), (self.disconnect, 2),
            (self.reconnect, 3), (self.redate_billed, 2), (self.redate_unbilled, 2), (self.stay, 1),
            (self.not_disconnected, 1), (self.not_reconnected, 1), (self.undo, 4),
        ]  # fmt: skip
        chosen = self.random.choices([t for t, _ in things], [w for _, w in things])[0]
        late = self.random.choice((0, 0, 0, 10, 25))
        on = max(home.last_change + timedelta(days=1), self.day - timedelta(days=late))
        try:
            done = on < self.at.utility.today and chosen(home, on)
        except (CannotChangeSupply, CannotRebill):
            done = False
        except IllegalChange as refused:
            if "was read after that time" not in refused.message:
                raise
            done = False
        if done:
            self.made[chosen.__name__] = self.made.get(chosen.__name__, 0) + 1
        ends = self.at.day(30)
        self.day = min(self.day + timedelta(days=self.random.randint(0, 9)), ends)

    def read(self, home: Home, on: date) -> bool:
        ago = (self.at.utility.today - on).days
        source = self.random.choice(("field", "field", "imported"))
        answer = self.at.read(home.meters[-1].serial, home.shows(on), ago, source=source)
        if answer.reading.status == "needs_review":
            self.at.utility.services.reading_review.accept(
                reading_id=answer.reading.id, reason="seen", principal=ADMIN,
                now=self.at.utility.now,
            )  # fmt: skip
        return True

    def move_out(self, home: Home, on: date) -> bool:
        self._do(home, MoveOut(home.point, on, self._typed(home, on)), on)
        return True

    def move_in(self, home: Home, on: date) -> bool:
        home.tenants += 1
        account = f"T-{home.meters[0].serial}-{home.tenants}"
        tariff = self.random.choice(sorted(RATES))
        change = MoveIn(
            home.point, "", on, self._typed(home, on), tariff, account_no=account, name=account
        )  # fmt: skip
        self._do(home, change, on)
        home.tariffs = [(on, tariff)]
        return True

    def exchange(self, home: Home, on: date) -> bool:
        self.serials += 1
        serial, first = f"X{self.serials}", self.random.randint(0, 50)
        multiplier = self.random.choice((1, 2))
        change = Exchange(
            home.point, on, self._typed(home, on), serial, TypedRead(str(first)),
            multiplier=str(multiplier),
        )  # fmt: skip
        self._do(home, change, on)
        home.meters.append(Installed(serial, on, first, multiplier))
        return True

    def disconnect(self, home: Home, on: date) -> bool:
        """Use goes on as if the supply were not cut: it is tampering, and theirs."""
        self._do(home, Disconnect(home.point, on, self._typed(home, on)), on)
        return True

    def reconnect(self, home: Home, on: date) -> bool:
        fee = self.random.choice(("", "250.50"))
        self._do(home, Reconnect(home.point, on, self._typed(home, on), fee), on)
        if fee:
            account = self.at.place(home.point).agreement
            assert account is not None
            self.fees[account.customer_id] = self.fees.get(account.customer_id, 0) + 25_050
        return True

    def multiplier(self, home: Home, on: date) -> bool:
        """The factor is another from a day on; what the meter showed later was another, too."""
        meter = home.meters[-1]
        place = self.at.place(home.point)
        if any(read.read_on > on for read in place.last_reads):
            return False
        factor = 3 - meter.multiplier
        shown = home.shows(on)
        self._do(home, OtherMultiplier(home.point, on, self._typed(home, on), str(factor)), on)
        home.meters.append(Installed(meter.serial, on, shown, factor))
        return True

    def tariff(self, home: Home, on: date) -> bool:
        tariff, last_change = self.random.choice(sorted(RATES)), home.last_change
        # Also before what was changed last, and before another tariff.
        on -= timedelta(days=self.random.choice((0, 0, 30)))
        self._do(home, OtherTariff(home.point, on, tariff), last_change)
        home.tariffs = [*(one for one in home.tariffs if one[0] < on), (on, tariff)]
        return True

    def undo(self, home: Home, _on: date) -> bool:
        """The last change did not happen; what was read for it was read."""
        if not home.done:
            return False
        change, before = home.done[-1]
        place = self.at.place(home.point)
        if change.kind == "multiplier" and any(
            read.read_on > change.effective_on for read in place.last_reads
        ):
            # What the meter showed since was as the other multiplier has it.
            return False
        try:
            self.at.supply.undo(change.id, undo_id=str(uuid4()), reason="r", principal=ADMIN)
        except IllegalChange as refused:
            if not any(says in refused.message for says in STAYS):
                raise
            return False
        home.done.pop()
        home.meters, home.last_change, home.tariffs = before
        kind = f"undo {change.kind}"
        self.made[kind] = self.made.get(kind, 0) + 1
        return True

    def correct(self, home: Home, _on: date) -> bool:
        """A read was typed wrong, and is put right again: all is as it was."""
        bills = self.live(home)
        if not bills:
            return False
        bill = self.random.choice(bills)
        if any(b.opening_reading_id == bill.closing_reading_id for b in bills):
            return False
        right = self.at.database.reading(bill.closing_reading_id).register_wh // 1000
        for kwh in (right + 1, right):
            now = self.live(home)[-1] if bill is bills[-1] else None
            if now is None:
                return False
            wrong = WrongReading(now.id, now.closing_reading_id, str(kwh))
            self._rebill(wrong)
        return True

    def redate_billed(self, home: Home, _on: date) -> bool:
        """A bill's reading was taken on another day, and showed what the meter showed then."""
        agreement = self.at.place(home.point).agreement
        bills = [b for b in self.live(home) if agreement and b.agreement_id == agreement.id]
        if not bills:
            return False
        bill = self.random.choice(bills)
        day = self._other_day(home, bill.closing_reading_id)
        if day is None:
            return False
        kwh = str(home.shows(day))
        self._rebill(WrongReading(bill.id, bill.closing_reading_id, kwh, read_on=day))
        return True

    def redate_unbilled(self, home: Home, _on: date) -> bool:
        """A reading that no bill rests on was taken on another day."""
        correction = self.at.utility.services.reading_correction
        for read in self.at.place(home.point).last_reads:
            day = self._other_day(home, read.id)
            found = correction.found(reading_id=read.id, principal=ADMIN)
            if day is None or found.bill_id is not None:
                continue
            correction.execute(
                WrongReading("", read.id, str(home.shows(day)), read_on=day), reason="wrong day",
                acknowledged=True, principal=ADMIN, now=self.at.utility.now,
            )  # fmt: skip
            return True
        return False

    def _other_day(self, home: Home, reading_id: str) -> date | None:
        """A day between the readings beside it; None where it is one of a change, or none fits."""
        found = self.at.database.reading_to_correct(reading_id)
        meter, read = home.meters[-1], found.reading
        if found.at_a_change or read.meter_serial != meter.serial or read.read_on <= meter.since:
            return None
        first = max(meter.since, found.before.read_on if found.before else meter.since)
        last = found.after.read_on if found.after else min(first + timedelta(40), self.day)
        days = [first + timedelta(n) for n in range(1, (last - first).days)]
        others = [day for day in days if day != read.read_on]
        return self.random.choice(others) if others else None

    def stay(self, home: Home, _on: date) -> bool:
        self._do(home, Stay(home.point), home.last_change)
        return True

    def not_disconnected(self, home: Home, _on: date) -> bool:
        self._do(home, NotDisconnected(home.point), home.last_change)
        return True

    def not_reconnected(self, home: Home, _on: date) -> bool:
        """What was charged for it is taken back."""
        place = self.at.place(home.point)
        self._do(home, NotReconnected(home.point), home.last_change)
        assert place.agreement is not None
        if place.disconnection is not None and place.disconnection.fee_entry_id is not None:
            self.fees[place.agreement.customer_id] -= 25_050
        return True

    def _rebill(self, wrong: WrongReading) -> None:
        rebilling, now = self.at.utility.services.rebilling, self.at.utility.now
        correction = str(uuid4())
        rebilling.execute(
            wrong,
            previewed=rebilling.plan(wrong, now=now, correction_id=correction).fingerprint,
            correction_id=correction,
            reason="typed wrong",
            acknowledged=True,
            principal=ADMIN,
            now=now,
        )

    def _typed(self, home: Home, on: date) -> TypedRead:
        return TypedRead(str(home.shows(on)))

    def _do(self, home: Home, change: Change, on: date) -> None:
        before = ([*home.meters], home.last_change, [*home.tariffs])
        home.done.append((self.at.do(change), before))
        home.last_change = on

    def live(self, home: Home) -> list[Bill]:
        agreements = {one.id for one in self.at.place(home.point).agreements}
        found = self.at.database.bills(page_size=1000).items
        mine = [b for b in found if b.agreement_id in agreements and b.status != "void"]
        return sorted(mine, key=lambda bill: bill.period_start)

    # What must be true whatever happened

    def check(self) -> None:
        self.at.ledger_is_whole()
        for home in self.homes:
            bills = self.live(home)
            billed = 0
            for agreement in self.at.place(home.point).agreements:
                of_it = [bill for bill in bills if bill.agreement_id == agreement.id]
                self._check_chain(home, agreement, of_it)
                billed += sum(bill.consumption_wh for bill in of_it)
            self._check_all_is_accounted_for(home, billed)
            self._check_tariffs(home, bills)
        self._check_what_they_owe()

    def _check_what_they_owe(self) -> None:
        """Their bills and each fee once; nobody pays in this walk."""
        owed = dict(self.fees)
        for home in self.homes:
            for bill in self.live(home):
                owed[bill.customer_id] = owed.get(bill.customer_id, 0) + bill.total_minor
        for customer_id, amount in owed.items():
            assert self.at.database.account(customer_id).balance_minor == amount

    def _check_chain(self, home: Home, agreement: ServiceAgreement, bills: list[Bill]) -> None:
        """No day twice or never, and exactly what was used."""
        day = agreement.starts_on
        for bill in bills:
            assert bill.period_start == day
            day = bill.period_end
            used = home.kwh_until(bill.period_end, bill.period_start)
            assert bill.consumption_wh == used * 1000, (bill.meter_serial, bill.period_start)
        if agreement.ends_on is not None:
            assert day == agreement.ends_on, "the final bill closes an agreement"

    def _check_tariffs(self, home: Home, bills: list[Bill]) -> None:
        """Whoever was supplied last has the tariffs of the walk, and each bill a rate of them."""
        last = self.at.place(home.point).agreements[0]
        assert _merged([(one.starts_on, one.code) for one in last.tariffs]) == _merged(home.tariffs)
        for bill in bills:
            if bill.agreement_id == last.id:
                codes = [code for _, code in _within(home.tariffs, bill)]
                costs = [bill.consumption_wh // 1000 * RATES[code] for code in codes]
                assert min(costs) <= bill.total_minor <= max(costs)

    def _check_all_is_accounted_for(self, home: Home, billed_wh: int) -> None:
        place = self.at.place(home.point)
        gaps = [g for g in self.at.database.unbilled_use(page_size=100).items
                if g.service_point_id == home.point]  # fmt: skip
        until = max(read.read_on for read in place.last_reads)
        waiting = 0
        if place.agreement is not None:
            since = place.agreement.billed_until or place.agreement.starts_on
            waiting = home.kwh_until(until, since) * 1000
        total = home.kwh_until(until) * 1000
        assert billed_wh + sum(gap.wh for gap in gaps) + waiting == total


def _merged(tariffs: list[tuple[date, str]]) -> list[tuple[date, str]]:
    """Without those that follow themselves."""
    return [one for n, one in enumerate(tariffs) if n == 0 or tariffs[n - 1][1] != one[1]]


def _within(tariffs: list[tuple[date, str]], bill: Bill) -> list[tuple[date, str]]:
    before = [one for one in tariffs if one[0] <= bill.period_start]
    during = [one for one in tariffs if bill.period_start < one[0] < bill.period_end]
    return [*before[-1:], *during]


VACANCIES = """
    select service_point_id, since, until, closing_reading_id, opening_reading_id from {}
    order by 1, 2, 3"""


@pytest.mark.parametrize("seed", SEEDS)
def test_each_kwh_is_billed_once_or_reported_and_each_day_too(
    utility: Utility, database: str, seed: int
) -> None:
    walk = Walk(Supplied(utility), seed)
    for step in range(STEPS):
        walk.step()
        if step % 10 == 9:
            walk.check()
    walk.check()
    assert {"read", "move_out", "move_in", "disconnect"} <= walk.made.keys(), walk.made
    with psycopg.connect(database) as connection:
        kept = connection.execute(VACANCIES.format("public.vacancies").encode()).fetchall()
        worked_out = VACANCIES.format("private.vacancies_worked_out").encode()
        assert connection.execute(worked_out).fetchall() == kept
    assert any(until is not None for _, _, until, _, _ in kept)
