"""The page of a bill that runs over several meters, or several multipliers of one."""

import pytest

from pages.shared.format import day
from services.container import Services
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.records.bills import Bill
from services.supply.changes import Exchange, OtherMultiplier, TypedRead
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import Utility
from tests.ui.page_runs import now, running, services, signed_in, user_of, words

__all__ = ["running", "services"]
pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def at(services: Services) -> Supplied:
    return Supplied(Utility(services, now()))


def shown(services: Services, bill: Bill, role: Role = Role.ADMIN) -> str:
    return words(signed_in(services, role, "bills/bill.py", id=bill.id))


def test_each_meter_has_a_row_of_reads_and_the_reads_say_whose_they_are(
    services: Services, at: Supplied
) -> None:
    point = at.meter("M1", kwh=99_000)
    at.do(Exchange(point, at.day(20), TypedRead("99040"), "N1", TypedRead("5"), multiplier="2"))
    at.read("N1", 15, 0)
    (bill,) = at.bills("N1")
    found = shown(services, bill)
    first, split, last = (f" :gray[:small[{day(at.day(n))}]]" for n in (60, 20, 0))
    assert f"| M1 | 99,000{first} | 99,040{split} | 40 |" in found
    assert f"| N1 :small[× 2] | 5{split} | 15{last} | 20 |" in found
    assert "| **In all** | | | **60** |" in found
    assert "M1, N1" in found
    assert "Meter M1" in found
    assert "Meter N1" in found
    assert bill.service_address in found
    place = words(
        signed_in(services, Role.ADMIN, "supply/service_point.py", id=point, view="Meters")
    )
    assert "ended at 99,040 kWh" in place
    assert "· × 2" in place
    assert "× ×" not in place


def test_each_multiplier_of_one_meter_has_a_row(services: Services, at: Supplied) -> None:
    point = at.meter("M2")
    at.read("M2", 1100, 10)
    at.do(OtherMultiplier(point, at.day(30), TypedRead("1060"), "40"))
    (bill,) = at.bills("M2")
    found = shown(services, bill)
    first, split, last = (f" :gray[:small[{day(at.day(n))}]]" for n in (60, 30, 10))
    assert f"| M2 | 1,000{first} | 1,060{split} | 60 |" in found
    assert f"| M2 :small[× 40] | 1,060{split} | 1,100{last} | 1,600 |" in found
    assert "M2, M2" not in found


def test_a_bill_of_one_meter_has_its_two_reads_and_engineers_see_where_it_is(
    services: Services, at: Supplied
) -> None:
    at.meter("M3")
    reader = Principal(user_of(Role.ENGINEER), frozenset({Role.ENGINEER}), None, "token")
    bill = at.read("M3", 1100, 0, principal=reader).bill
    found = shown(services, bill, Role.ENGINEER)
    assert "Opening read" in found
    assert "In all" not in found
    assert f"Service point {bill.service_point_code}" in found
