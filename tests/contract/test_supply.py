"""Places of supply over both transports."""

import re
from datetime import date, timedelta
from uuid import uuid4

import pytest

from services.database.errors import ChainMoved, IllegalChange, NotFound
from services.importing import Importer
from services.records.base import PageRequest
from services.records.lists import PointFilter
from services.supply.changes import (
    Change,
    Connect,
    Deposit,
    Disconnect,
    MoveOut,
    NotReconnected,
    Reconnect,
    TypedRead,
)
from services.supply.places import InvalidPlace, PlaceEntry
from tests.contract.over import Json, Over
from tests.integration.utility import ADMIN, KSEB


def test_a_place_is_connected_moved_out_of_and_its_use_reported(over: Over) -> None:
    supply, today = over.utility.services.supply, over.utility.today
    connect = Connect(
        on=today - timedelta(days=40), account_no="S-1", name="Asha", address="3 Canal Road",
        serial="S1", tariff_code=KSEB["code"], read=TypedRead("100"), deposit=Deposit("500"),
    )  # fmt: skip
    (place_id, customer_id) = _done(over, connect)
    wanted, page = PointFilter(text="canal s1"), PageRequest(sort="code")
    (found,) = over.same("list_service_points", wanted=wanted, page=page).items
    assert (found.id, found.customer_id) == (place_id, customer_id)
    _done(over, MoveOut(place_id, today - timedelta(days=10), TypedRead("150")))
    over.utility.submit("S1", 160)
    place = over.same("place", place_id, on=today)
    assert [r.register_wh for r in place.last_reads] == [160_000]
    assert [c.kind for c in place.changes] == ["move_out", "connect"]
    _history(over, place_id)
    (use,) = over.same("unbilled_use").items
    assert (use.wh, use.until) == (10_000, None)
    assert over.same("supply_change", str(uuid4())) is None
    # The deposit paid the final bill: 50 kWh, and what was left of it is held.
    assert over.same("account", str(customer_id)).balance_minor == 0
    with pytest.raises(NotFound):
        over.here.place(str(uuid4()))
    _change_details(over, place_id)
    row: Json = {"id": str(uuid4()), "kind": "move_out", "service_point_id": place_id}
    row |= {"reason": "r", "effective_on": today.isoformat(), "on": today.isoformat()}
    row |= {"agreement_id": place.agreements[0].id, "chain_from": today.isoformat(), "chain": []}
    row |= {"touched": [], "bills": [], "end": {"ends_on": today.isoformat()}}
    with pytest.raises(IllegalChange, match="moved out already"):
        over.here.change_supply(actor=ADMIN.user, change=row)
    assert supply.place(service_point_id=place_id, principal=ADMIN) == over.here.place(place_id)


def test_a_place_is_disconnected_and_reconnected_with_a_fee(over: Over) -> None:
    today = over.utility.today
    connect = Connect(
        on=today - timedelta(days=40), account_no="S-2", name="Asha", address="", serial="S2",
        tariff_code=KSEB["code"], read=TypedRead("100"),
    )  # fmt: skip
    (place_id, customer_id) = _done(over, connect)
    _done(over, Disconnect(place_id, today - timedelta(days=20), TypedRead("150")))
    assert over.same("place", place_id).point.disconnected_on == today - timedelta(days=20)
    _done(over, Reconnect(place_id, today - timedelta(days=10), TypedRead("150"), "250"))
    (cut,) = over.same("place", place_id).disconnections
    assert (cut.reconnected_on, cut.reconnected.register_wh) == (
        today - timedelta(days=10),
        150_000,
    )
    assert over.same("account", str(customer_id)).balance_minor == 25_000
    _done(over, NotReconnected(place_id))
    assert over.same("account", str(customer_id)).balance_minor == 0
    row: Json = {"id": str(uuid4()), "kind": "not_reconnected", "service_point_id": place_id}
    row |= {"reason": "r", "effective_on": today.isoformat(), "on": today.isoformat()}
    row |= {"agreement_id": cut.agreement_id, "chain_from": today.isoformat(), "chain": []}
    row |= {"touched": [], "bills": [], "disconnection": {"id": cut.id}}
    with pytest.raises(ChainMoved, match="meanwhile"):
        over.here.change_supply(actor=ADMIN.user, change=row)


def _history(over: Over, place_id: str) -> None:
    reads = over.same("reads_at_place", place_id, limit=2)
    assert [r.register_wh for r in reads] == [160_000, 150_000, 100_000]
    after = (reads[1].read_at.isoformat(), reads[1].id)
    assert over.same("reads_at_place", place_id, after=after, limit=2) == reads[2:]
    with pytest.raises(NotFound):
        over.here.reads_at_place(str(uuid4()), limit=2)
    told = over.same("timeline", of="service_point", subject_id=place_id, limit=200)
    assert {"readings", "service_agreements", "bills", "supply_changes"} <= {
        change.table for change in told.changes
    }


def _change_details(over: Over, place_id: str) -> None:
    point = over.here.place(place_id).point
    body: Json = {"code": point.code, "address": "4 Canal Road", "route": "North", "sequence": 7}
    body |= {"connected_w": "5.5 kW", "phases": 3, "access_note": "Ring twice."}
    change = over.utility.services.places.change
    change(seen=point, body=body, principal=ADMIN)
    # A repeat is harmless; another change of what is not so any more is refused.
    change(seen=point, body=body, principal=ADMIN)
    changed = over.same("place", place_id).point
    assert (changed.address, changed.route, changed.sequence) == ("4 Canal Road", "North", 7)
    assert (changed.connected_w, changed.phases) == (5_500, 3)
    details: Json = {"code": point.code, "transformer_code": None}
    with pytest.raises(IllegalChange, match="meanwhile"):
        over.here.change_service_point(
            actor=ADMIN.user, service_point_id=place_id, seen={}, details=details
        )
    for wrong, said in (
        ({"code": " "}, "The code is missing."),
        ({"connected_w": "0"}, "The connected load must be more than 0"),
        ({"connected_w": "much"}, "The connected load is not a number of kW"),
        ({"phases": 4}, "The number of phases is too large."),
        ({"address": "x" * 401}, "The address is longer than can be kept."),
    ):
        with pytest.raises(InvalidPlace, match=re.escape(said)):
            change(seen=changed, body=body | wrong, principal=ADMIN)
    with pytest.raises(IllegalChange, match="No transformer has the code T-9"):
        change(seen=changed, body=body | {"transformer_code": "T-9"}, principal=ADMIN)
    meter_id = over.utility.add_meter("S2")
    over.here.set_meter_kind(actor=ADMIN.user, meter_id=meter_id, kind="smart")
    assert [meter.serial for meter in over.same("smart_meters")] == ["S2"]
    with pytest.raises(IllegalChange, match="has the code S2 already"):
        change(seen=changed, body=body | {"code": "S2"}, principal=ADMIN)
    _move_to_another_transformer(over, place_id, body)


def _move_to_another_transformer(over: Over, place_id: str, body: Json) -> None:
    importer = Importer(over.here, over.utility.services.settings.timezone)
    text = "code,name,feeder_code\nT-1,Mill,F-1\nT-2,Hill,F-1"
    assert importer.transformers(text, actor=ADMIN.user, now=over.utility.now).ok
    change, today = over.utility.services.places.change, over.utility.today
    for code, moved_on in (("T-1", None), ("T-2", today)):
        for _ in range(2):
            seen = over.here.place(place_id).point
            if seen.transformer_code != code:
                change(
                    seen=seen,
                    body=body | {"transformer_code": code},
                    principal=ADMIN,
                    moved_on=moved_on,
                    today=today,
                )
    (row,) = (
        row
        for row in over.same("graph_rows", what="service_points", after=None, limit=100)
        if row["id"] == place_id
    )
    assert (row["connected_on"], len(row["was_on"])) == (today.isoformat(), 1)
    assert row["was_on"] == row["earlier_transformer_ids"] != [row["transformer_id"]]
    assert row["was_until"] == [(today - date(1970, 1, 1)).days]
    with pytest.raises(IllegalChange, match="on a later day"):
        over.here.change_service_point(
            actor=ADMIN.user,
            service_point_id=place_id,
            seen=_details(over, place_id),
            details=_details(over, place_id) | {"transformer_code": "T-1"},
            moved_on=today - timedelta(days=1),
        )


def _details(over: Over, place_id: str) -> Json:
    point = over.here.place(place_id).point
    return point.model_dump(include=set(PlaceEntry.model_fields))


def _done(over: Over, change: Change) -> tuple[str, str | None]:
    supply, change_id = over.utility.services.supply, str(uuid4())
    how: Json = {"change_id": change_id, "principal": ADMIN, "now": over.utility.now}
    plan = supply.plan(change, **how)
    done = supply.execute(change, previewed=plan.fingerprint, reason="r", acknowledged=True, **how)
    assert over.same("supply_change", change_id) == done
    return done.service_point_id, over.here.place(done.service_point_id).point.customer_id


def test_what_is_wrong_with_a_connection_is_refused_in_words(over: Over) -> None:
    with pytest.raises(IllegalChange, match="No customer has the account number"):
        over.here.connect_supply(
            actor=ADMIN.user,
            change={
                "id": str(uuid4()), "reason": "r", "customer": None,
                "meter": {
                    "row": 1, "id": str(uuid4()), "opening_reading_id": str(uuid4()),
                    "serial": "S9", "account_no": "NOBODY", "tariff_code": "NONE", "kind": "manual",
                    "dials": 5, "multiplier_milli": 1000, "opening_wh": 0,
                    "opened_on": "2026-01-01", "opened_at": "2026-01-01T00:00:00Z",
                },
            },
        )  # fmt: skip


def test_a_deposit_comes_with_its_connection_once(over: Over) -> None:
    change = Connect(
        on=over.utility.today - timedelta(days=4), account_no="S-2", name="Asha", address="",
        serial="S2", tariff_code=KSEB["code"], read=TypedRead("1"), deposit=Deposit("500"),
    )  # fmt: skip
    change_id = str(uuid4())
    plan = over.utility.services.supply.plan(
        change, change_id=change_id, principal=ADMIN, now=over.utility.now
    )
    row: Json = {**plan.rows, "id": change_id, "reason": "r"}
    given: Json = {"actor": ADMIN.user, "what": "connect", "change": row, "deposit": plan.deposit}
    assert over.here.supply_with_deposit(**given) == over.here.supply_with_deposit(**given)
    assert over.here.account_numbered("S-2").deposit_minor == 50_000


def test_the_last_change_is_taken_back_once(over: Over) -> None:
    change = Connect(
        on=over.utility.today - timedelta(days=4), account_no="S-3", name="Asha", address="",
        serial="S3", tariff_code=KSEB["code"], read=TypedRead("1"),
    )  # fmt: skip
    place_id, _ = _done(over, change)
    (connected,) = over.same("place", place_id).changes
    given: Json = {"actor": ADMIN.user, "change_id": connected.id, "reason": "r"}
    given["undo_id"] = str(uuid4())
    first = over.here.undo_supply_change(**given)
    assert over.here.undo_supply_change(**given) == first
    assert first.undoes_id == connected.id
    place = over.same("place", place_id)
    assert (place.agreements, place.installations) == ((), ())
