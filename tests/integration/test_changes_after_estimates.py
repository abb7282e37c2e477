"""Who moves out, or gets another meter, after an estimate that came out too high."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from services.supply.changes import CannotChangeSupply, Exchange, MoveOut, TypedRead
from tests.integration.supply.supplied import Supplied
from tests.integration.test_estimates import noon, read, store
from tests.integration.utility import Utility, make_utility

SEP_1, OCT_1, NOV_1, DEC_1 = (date(2026, month, 1) for month in (9, 10, 11, 12))
DAY, JAN_1 = date(2026, 12, 20), date(2027, 1, 1)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    made.now = noon(made, DEC_1)
    yield made
    made.services.close()


def billed(utility: Utility, serial: str) -> tuple[int, int]:
    """What was billed of a meter and the one after it, in minor units and Wh."""
    bills = utility.services.database.bills(page_size=100).items
    mine = [bill for bill in bills if bill.meter_serial.startswith(serial)]
    return sum(bill.total_minor for bill in mine), sum(bill.consumption_wh for bill in mine)


@pytest.mark.parametrize("change", ["move out", "exchange"])
def test_a_change_below_an_estimate_settles_it(utility: Utility, change: str) -> None:
    at = Supplied(utility)
    for serial in ("E1", "E2"):
        at.meter(serial, opened=(DEC_1 - SEP_1).days, kwh=1000)
    for serial in ("E1", "E2"):
        read(utility, serial, 1100, OCT_1)
        read(utility, serial, 1210, NOV_1)
    utility.now = noon(utility, DEC_1)
    assert store(utility, DEC_1, "E1").reading.register_wh == 1_313_000
    read(utility, "E2", 1250, DEC_1)
    utility.now = noon(utility, DAY)
    for serial in ("E1", "E2"):
        point = at.point(serial)
        if change == "move out":
            at.do(MoveOut(point, DAY, TypedRead("1300")))
        else:
            at.do(Exchange(point, DAY, TypedRead("1300"), f"{serial}N", TypedRead("0")))
    if change == "exchange":
        for serial in ("E1N", "E2N"):
            read(utility, serial, 40, JAN_1)
    assert billed(utility, "E1") == billed(utility, "E2")
    assert billed(utility, "E1")[1] == (300_000 if change == "move out" else 340_000)
    assert utility.services.database.check_ledger().problems == ()


def test_a_change_below_the_last_actual_read_is_refused(utility: Utility) -> None:
    at = Supplied(utility)
    at.meter("E3", opened=(DEC_1 - SEP_1).days, kwh=1000)
    read(utility, "E3", 1100, OCT_1)
    read(utility, "E3", 1210, NOV_1)
    utility.now = noon(utility, DEC_1)
    store(utility, DEC_1, "E3")
    utility.now = noon(utility, DAY)
    with pytest.raises(CannotChangeSupply, match="showed 1210 kWh on 1 Nov 2026"):
        at.do(MoveOut(at.point("E3"), DAY, TypedRead("1209")))
