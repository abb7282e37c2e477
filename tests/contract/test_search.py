"""The search over everything, on both transports, with the same answers."""

from datetime import timedelta
from uuid import uuid4

import pytest

from services.accounts.search import Search
from services.identity.auth import NotAllowed
from services.records.search import SearchResults
from services.supply.changes import Change, Connect, Exchange, MoveIn, MoveOut, TypedRead
from services.supply.places import PlaceEntry
from tests.contract.over import Json, Over
from tests.contract.test_accounts import bill_of, receive
from tests.integration.utility import ADMIN, ENGINEER, KSEB


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
        "me",
        "na 12",
        "rd koc",
    ],
)
def test_a_customer_is_found_by_any_part_of_what_is_known(canal_road: Over, text: str) -> None:
    assert [c.account_no for c in found(canal_road, text).customers] == ["A-M1"]


@pytest.mark.parametrize(
    "text", ["meera canal lane", "ee", "canal 2", "%", "_____", "98470 99999", "\\"]
)
def test_who_does_not_fit_is_not_found(canal_road: Over, text: str) -> None:
    assert found(canal_road, text).customers == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("शर्मा", "शर्मा"),
        ("नायर", "नाय"),
        ("王小明", "王"),
        ("Ng Văn Ý", "ng ý"),
        ("محمد علي", "علي"),
    ],
)
def test_short_names_and_those_in_other_scripts_are_found(
    canal_road: Over, name: str, text: str
) -> None:
    row = {"row": 1, "id": canal_road.here.account_numbered("A-M1").id, "account_no": "A-M1"}
    canal_road.here.import_rows(
        what="customers", actor=ADMIN.user, rows=[row | {"name": name}], dry_run=False
    )
    assert [c.name for c in found(canal_road, text).customers] == [name]


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


def test_a_place_is_found_by_its_address_code_or_a_meter_that_was_taken_out(over: Over) -> None:
    utility = over.utility
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=40))
    utility.add_meter("M2")
    point = found(over, "M1").service_points[0]
    seen = over.here.place(point.id).point
    utility.services.places.change(
        seen=seen,
        body=seen.model_dump(include=set(PlaceEntry.model_fields))
        | {"connected_w": None}
        | {"connected_va": None, "code": "P-9", "address": "7 Canal Road, Kochi"},
        principal=ADMIN,
    )
    on = utility.today - timedelta(days=20)
    change, change_id = (
        Exchange(point.id, on, TypedRead("1010"), "N1", TypedRead("0")),
        str(uuid4()),
    )
    how: Json = {"change_id": change_id, "principal": ADMIN, "now": utility.now}
    plan = utility.services.supply.plan(change, **how)
    utility.services.supply.execute(
        change, previewed=plan.fingerprint, reason="stuck", acknowledged=True, **how
    )
    for text in ("canal rd", "7 Canal Road", "kochi canal", "P-9", "M1", "N1"):
        assert [p.code for p in found(over, text).service_points] == ["P-9"], text
    (place,) = found(over, "canal rd").service_points
    assert (place.meter_serial, place.account_no) == ("N1", "A-M1")
    (removed,) = found(over, "M1").meters
    assert (removed.removed_on, removed.service_point_code) == (on, "P-9")
    assert [p.code for p in found(over, "M2").service_points] == ["M2"]
    assert found(over, "canal lane").is_empty
    assert over.same("search", text="N1", bill_number=None, amount_minor=None, limit=8)


def test_both_transports_answer_alike_and_only_the_office_is_answered(canal_road: Over) -> None:
    given = {"text": "canal rd", "bill_number": None, "amount_minor": 54_035, "limit": 8}
    both = canal_road.same("search", **given)
    assert (len(both.customers), len(both.bills)) == (1, 1)
    with pytest.raises(NotAllowed):
        Search(canal_road.here, lambda: "INR").find("meera", principal=ENGINEER)


def do(over: Over, change: Change) -> str:
    """The id of the place, once the change was made there."""
    supply, now = over.utility.services.supply, over.utility.now
    change_id = str(uuid4())
    plan = supply.plan(change, change_id=change_id, principal=ADMIN, now=now)
    done = supply.execute(
        change, previewed=plan.fingerprint, reason="r", acknowledged=True,
        change_id=change_id, principal=ADMIN, now=now,
    )  # fmt: skip
    return done.service_point_id


@pytest.fixture
def harbour(over: Over) -> Over:
    """A place whose first meter OLD-7 was exchanged, whose customer left, and that Ravi has now."""
    today = over.utility.today
    place = do(
        over,
        Connect(
            on=today - timedelta(days=60), account_no="S-7", name="Asha Pillai",
            address="7 Harbour Road", serial="OLD-7", tariff_code=KSEB["code"],
            read=TypedRead("100"),
        ),
    )  # fmt: skip
    on = today - timedelta(days=40)
    do(over, Exchange(place, on, TypedRead("150"), "NEW-7", TypedRead("5")))
    do(over, MoveOut(place, today - timedelta(days=20), TypedRead("35")))
    moved_in = MoveIn(
        place, "", today - timedelta(days=20), TypedRead("35"), KSEB["code"], "S-8", "Ravi"
    )
    do(over, moved_in)
    return over


def test_a_removed_meter_leads_to_its_place_the_customer_of_then_and_the_bills(
    harbour: Over,
) -> None:
    for text in ("OLD-7", "old - 7"):
        results = found(harbour, text)
        assert [p.address for p in results.service_points] == ["7 Harbour Road"]
        assert [c.account_no for c in results.customers] == ["S-7"]
        assert [b.customer_name for b in results.bills] == ["Asha Pillai"]
    whole = found(harbour, "OLD-7")
    (meter,) = whole.meters
    assert meter.service_point_code == whole.service_points[0].code
    assert meter.removed_on == harbour.utility.today - timedelta(days=40)


def test_a_meter_in_use_leads_to_who_is_supplied_by_it_now(harbour: Over) -> None:
    results = found(harbour, "NEW-7")
    assert [c.account_no for c in results.customers] == ["S-8"]
    assert [m.removed_on for m in results.meters] == [None]
    assert [b.customer_name for b in results.bills] == ["Asha Pillai"]
    given = {"text": "OLD-7", "bill_number": None, "amount_minor": None, "limit": 8}
    assert harbour.same("search", **given).service_points == results.service_points
