"""What the graph is made of, over both transports; kinds, shapes and pages."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import NotFound
from services.importing import Importer
from tests.contract.over import Over, direct_transport_of
from tests.integration.utility import ACTOR, ADMIN

Json = dict[str, Any]
SHAPES = {
    "feeders": {"id", "code", "name"},
    "transformers": {"id", "code", "name", "rated_kva", "feeder_id"},
    "customers": {"id", "account_no"},
    "service_points": {"id", "code", "transformer_id", "status", "opened_on", "connected_on"}
    | {"earlier_transformer_ids", "was_on", "was_from", "was_until"},
    "agreements": {"id", "starts_on", "ends_on", "service_point_id", "customer_id"},
    "meters": {"id", "serial", "status", "opened_on", "customer_id", "transformer_id"},
    "tariffs": {"id", "code", "effective_from"},
    "readings": {"id", "meter_id", "read_at", "read_on", "register_wh", "status", "source"},
    "bills": {"id", "number", "status", "meter_id", "tariff_version_id", "opening_reading_id"}
    | {"closing_reading_id", "period_start", "period_end", "consumption_wh", "currency"}
    | {"total_minor", "agreement_id", "earlier_meter_ids", "inner_reading_ids"}
    | {"exported_wh", "settled_from", "piece_starts", "piece_ends", "piece_wh"},
    "payments": {"id", "payment_id", "bill_id", "amount_minor", "currency", "received_on"},
    "supplies": {"id", "transformer_id", "period_start", "period_end", "energy_wh"},
}


def add_grid(over: Over, serial: str) -> None:
    """A transformer that feeds a meter, with a supply."""
    importer = Importer(over.here, over.utility.services.settings.timezone)
    how: Json = {"actor": ACTOR, "now": over.utility.now}
    text = "code,name,feeder_code,feeder_name,rated_kva\nT-1,Hill,F-1,North,100"
    assert importer.transformers(text, **how).added == 1
    text = "transformer_code,period_start,period_end,energy_kwh\nT-1,2026-01-01,2026-02-01,1234.5"
    assert importer.supplies(text, **how).added == 1
    opened = over.utility.today - timedelta(days=31)
    text = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,"
    text += f"transformer_code\n{serial},A-{serial},KSEB-LT1A,manual,5,1,1000,{opened},T-1"
    assert importer.meters(text, **how).changed == 1


def ids(rows: list[Json]) -> list[str]:
    return [row["id"] for row in rows]


def test_each_kind_comes_in_its_shape_and_no_row_names_a_person(over: Over) -> None:
    meter = over.utility.add_meter("M1")
    add_grid(over, "M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    over.pay(bill, 100)
    rows = {w: over.same("graph_rows", what=w, after=None, limit=10) for w in SHAPES}
    for what, shape in SHAPES.items():
        assert [set(row) for row in rows[what]] == [shape] * (2 if what == "readings" else 1)
    (fed,) = rows["meters"]
    assert (fed["id"], fed["status"]) == (meter, "active")
    assert fed["transformer_id"] == rows["transformers"][0]["id"]
    assert rows["transformers"][0]["feeder_id"] == rows["feeders"][0]["id"]
    (supply,) = rows["supplies"]
    assert supply["energy_wh"] == 1_234_500
    assert (supply["period_start"], supply["period_end"]) == ("2026-01-01", "2026-02-01")
    (of_bill,) = rows["bills"]
    assert (of_bill["total_minor"], of_bill["consumption_wh"]) == (54_035, 117_000)
    assert date.fromisoformat(of_bill["period_end"]) == bill.period_end
    assert {of_bill["opening_reading_id"], of_bill["closing_reading_id"]} == set(
        ids(rows["readings"])
    )
    assert "House M1" not in str(rows)
    alone = over.same("graph_rows_of_bill", bill.id)
    for what in SHAPES.keys() - {"supplies"}:
        assert sorted(alone[what], key=lambda row: row["id"]) == rows[what]
    assert set(alone) == SHAPES.keys() - {"supplies"}


def test_one_bill_brings_nothing_of_the_others(over: Over) -> None:
    for serial in ("M1", "M2"):
        over.utility.add_meter(serial)
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    over.utility.submit("M2", 1117)
    over.here.void_bill(actor=ADMIN.user, bill_id=bill.id, reason="wrong meter")
    rows = over.same("graph_rows_of_bill", bill.id)
    assert {what: len(found) for what, found in rows.items()} == {
        "feeders": 0,
        "transformers": 0,
        "customers": 1,
        "service_points": 1,
        "agreements": 1,
        "meters": 1,
        "tariffs": 1,
        "readings": 2,
        "bills": 1,
        "payments": 0,
    }
    assert rows["bills"][0]["status"] == "void"
    assert rows["meters"][0]["transformer_id"] is None
    with pytest.raises(NotFound):
        over.here.graph_rows_of_bill(str(uuid4()))


def test_more_rows_than_rest_gives_at_once_come_in_pages_by_id(over: Over) -> None:
    rows = [
        {"row": n, "id": str(uuid4()), "account_no": f"A{n}", "name": f"House {n}"}
        for n in range(1300)
    ]
    answer = over.here.import_rows(what="customers", actor=ACTOR, rows=rows, dry_run=False)
    assert not answer.errors
    expected = sorted(str(row["id"]) for row in rows)
    first = over.same("graph_rows", what="customers", after=None, limit=1200)
    assert ids(first) == expected[:1200]
    rest = over.same("graph_rows", what="customers", after=first[-1]["id"], limit=1200)
    assert ids(rest) == expected[1200:]
    assert over.same("graph_rows", what="customers", after=expected[-1], limit=5) == []


def test_changed_bills_wait_until_the_graph_was_told_of_them_as_they_are(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    assert over.here.graph_changes(limit=5)[0] == []
    over.pay(bill, 100)
    changes, rows = over.here.graph_changes(limit=5)
    assert [change["bill_id"] for change in changes] == [bill.id]
    assert (changes, rows) == over.direct.graph_changes(limit=5)
    assert rows == over.here.graph_rows_of_bill(bill.id)
    assert rows["bills"][0]["status"] == "partially_paid"
    over.pay(bill, 100)
    over.here.graph_changes_done(changes)
    (again,), _ = over.here.graph_changes(limit=5)
    assert again != changes[0]
    over.here.graph_changes_done([again])
    assert over.direct.graph_changes(limit=5)[0] == []


def test_totals_are_those_of_the_rows(over: Over) -> None:
    over.utility.add_meter("M1")
    add_grid(over, "M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    over.pay(bill, 100)
    over.pay(bill, 250)
    totals = over.same("graph_totals")
    sums = over.same("graph_sums")
    added = {"readings": "register_wh", "bills": "total_minor", "payments": "amount_minor"}
    for what in SHAPES:
        rows = over.here.graph_rows(what=what, after=None, limit=100)
        assert totals[what] == len(rows)
        name = (added | {"supplies": "energy_wh"}).get(what)
        assert sums[what].get("sum") == (sum(row[name] for row in rows) if name else None)


def test_a_step_that_waits_brings_the_rows_of_its_bill_and_is_ended(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    # No graph is set up here: its step was skipped.
    assert over.same("graph_backlog", limit=5, at_least=1) == ([], {})
    (entry,) = over.here.outbox_of(bill.id)
    with direct_transport_of(over.direct)._pool.connection() as connection:
        connection.execute("set role postgres")
        connection.execute("set billing.actor = 'test'")
        connection.execute(
            "update public.outbox set status = 'open', finished_at = null, lease_until = null, "
            "steps = jsonb_set(steps, '{8}', '{\"status\": \"pending\"}')"
        )
    assert over.same("graph_backlog", limit=5, at_least=2) == ([], {})
    work, rows = over.same("graph_backlog", limit=5, at_least=1)
    assert work == [{"id": entry.id, "bill_id": bill.id}]
    assert rows == over.here.graph_rows_of_bill(bill.id)
    how: Json = {"actor": "system:graph", "work": [entry.id], "detail": "saved"}
    assert over.here.graph_backlog_done(**how) == 1
    assert over.here.graph_backlog_done(**how) == 0
    (ended,) = over.here.outbox_of(bill.id)
    assert (ended.steps[8].status, ended.steps[8].detail) == ("done", "saved")
