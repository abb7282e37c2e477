"""The search over everything, on both transports, with the same answers."""

import pytest

from services.accounts.search import Search
from services.identity.auth import NotAllowed
from services.records.search import SearchResults
from tests.contract.over import Over
from tests.contract.test_accounts import bill_of, receive
from tests.integration.utility import ADMIN, ENGINEER


def found(over: Over, text: str) -> SearchResults:
    """What the office finds, which is the same over both transports."""
    return Search(over.here, lambda: "INR").find(text, principal=ADMIN)


@pytest.fixture
def canal_road(over: Over) -> Over:
    """A customer with an address, a phone and an e-mail address, and their bill."""
    bill_of(over)
    row = {"row": 1, "id": over.here.account_numbered("A-M1").id, "account_no": "A-M1"}
    row |= {"name": "Meera Nair", "address": "12 Canal Road, Kochi", "phone": "+91 98470-12345"}
    row |= {"email": "meera@example.org"}
    over.here.import_rows(what="customers", actor=ADMIN.user, rows=[row], dry_run=False)
    return over


@pytest.mark.parametrize(
    "text",
    [
        "meera",
        "NAIR mee",
        "canal rd",
        "Canal Road",
        "Canal Rd.",
        "9847012345",
        "98470-12345",
        "meera@example",
        "A-M1",
        "kochi canal",
    ],
)
def test_a_customer_is_found_by_any_part_of_what_is_known(canal_road: Over, text: str) -> None:
    assert [c.account_no for c in found(canal_road, text).customers] == ["A-M1"]


@pytest.mark.parametrize("text", ["meera canal lane", "me", "%", "_____", "98470 99999", "\\"])
def test_who_does_not_fit_is_not_found(canal_road: Over, text: str) -> None:
    assert found(canal_road, text).customers == ()


def test_meters_bills_and_payments_are_found_by_what_people_type(canal_road: Over) -> None:
    bill = canal_road.here.bill_numbered(1)
    paid = receive(canal_road, 12_345, bill_id=bill.id, reference="UTR 77-A")
    assert [m.serial for m in found(canal_road, "M1").meters] == ["M1"]
    for text in ("1", "INV-000001", "inv-1", "540.35"):
        assert [b.id for b in found(canal_road, text).bills] == [bill.id], text
    for text in ("utr77a", "UTR 77-A", "123.45"):
        assert [p.id for p in found(canal_road, text).payments] == [paid], text
    assert found(canal_road, "nobody at all").is_empty
    assert found(canal_road, "  ").is_empty


def test_both_transports_answer_alike_and_only_the_office_is_answered(canal_road: Over) -> None:
    given = {"text": "canal rd", "bill_number": None, "amount_minor": 54_035, "limit": 8}
    both = canal_road.same("search", **given)
    assert (len(both.customers), len(both.bills)) == (1, 1)
    with pytest.raises(NotAllowed):
        Search(canal_road.here, lambda: "INR").find("meera", principal=ENGINEER)
