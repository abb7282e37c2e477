"""What the HTTP API answers to readings, and about bills."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.identity.permissions import Role
from tests.integration.api.talk import UNKNOWN_ID, answer_of, bearer, error_of
from tests.integration.utility import Utility

BILL_FIELDS = {
    "id", "number", "customer_id", "meter_serial", "period_start", "period_end", "opening_kwh",
    "closing_kwh", "consumption_kwh", "currency", "subtotal", "tax", "total", "amount_paid",
    "balance", "status", "due_date", "payment_url", "lines", "segments", "service_point",
}  # fmt: skip


def test_a_reading_is_billed(submit: Callable[..., TestResponse], meter: str) -> None:
    found = answer_of(submit("1117"), 201)
    assert found["reading"]["meter_serial"] == meter
    assert found["reading"]["reading_kwh"] == "1117"
    assert found["reading"]["status"] == "accepted"
    assert found["reading"]["source"] == "field"
    assert found["reading"]["read_at"].endswith("Z")
    assert found["validation"]["verdict"] == "accepted"
    assert {rule["rule"] for rule in found["validation"]["rules"]} >= {"below_last_read"}
    assert [step["step"] for step in found["steps"]] == list(range(1, 14))
    assert set(found["steps"][0]) == {"step", "name", "status", "detail"}
    bill = found["bill"]
    assert set(bill) >= BILL_FIELDS
    assert bill["number"].startswith("INV-")
    assert bill["meter_serial"] == meter
    assert (bill["opening_kwh"], bill["closing_kwh"], bill["consumption_kwh"]) == (
        "1000", "1117", "117",
    )  # fmt: skip
    assert bill["currency"] == "INR"
    assert (bill["total"], bill["amount_paid"], bill["balance"]) == ("540.35", "0.00", "540.35")
    assert bill["status"] == "issued"
    assert set(bill["lines"][0]) == {"code", "description", "quantity", "unit", "rate", "amount"}
    lines = [Decimal(line["amount"]) for line in bill["lines"]]
    assert sum(lines) == Decimal(bill["subtotal"]) + Decimal(bill["tax"]) == Decimal("540.35")


def test_json_numbers_are_read_exactly(submit_text: Callable[[str], TestResponse]) -> None:
    found = answer_of(submit_text("1117.001"), 201)
    assert found["reading"]["reading_kwh"] == "1117.001"


def test_the_same_reading_again_is_a_replay(submit: Callable[..., TestResponse]) -> None:
    first = answer_of(submit(idempotency_key="k1"), 201)
    for again in (submit(idempotency_key="k1"), submit()):
        found = answer_of(again, 200)
        assert found["reading"]["id"] == first["reading"]["id"]
        assert found["bill"]["id"] == first["bill"]["id"]
        assert found["steps"][6]["status"] == "done"


def test_a_reading_below_the_last_one_is_kept_for_review(
    submit: Callable[..., TestResponse],
) -> None:
    found = answer_of(submit("900"), 202)
    assert found["reading"]["status"] == found["validation"]["verdict"] == "needs_review"
    assert found["bill"] is None
    assert "review" in found["explanation"]


def test_a_second_reading_of_one_day_is_stored(
    submit: Callable[..., TestResponse], utility: Utility
) -> None:
    assert submit("1117").status_code == 201
    found = answer_of(submit("1118", read_at=(utility.now + timedelta(minutes=1)).isoformat()), 202)
    assert found["reading"]["status"] == "accepted"
    assert found["bill"] is None


def test_a_customers_bills_come_in_pages_newest_first(
    client: FlaskClient, utility: Utility, engineer: dict[str, str]
) -> None:
    utility.add_meter("P/1", opened_on=utility.today - timedelta(days=100))
    for days, kwh in ((70, 1100), (40, 1200), (10, 1300)):
        utility.submit("P/1", kwh, at=utility.now - timedelta(days=days))
    path = "/api/bills/customer/A-P/1"
    whole = answer_of(client.get(path, headers=engineer), 200)
    assert [bill["closing_kwh"] for bill in whole["bills"]] == ["1300", "1200", "1100"]
    assert (whole["next"], whole["overdue_as_of"]) == (None, None)
    first = answer_of(client.get(f"{path}?limit=2", headers=engineer), 200)
    rest = answer_of(client.get(f"{path}?limit=2&after={first['next']}", headers=engineer), 200)
    assert first["bills"] + rest["bills"] == whole["bills"]
    assert rest["next"] is None
    customer_id = whole["bills"][0]["customer_id"]
    by_id = answer_of(client.get(f"/api/bills/customer/{customer_id}", headers=engineer), 200)
    assert by_id == whole


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "ten", "", "١"])
def test_a_limit_outside_1_to_100_is_refused(
    client: FlaskClient, engineer: dict[str, str], limit: str
) -> None:
    answer = client.get(f"/api/bills/customer/A-1?limit={limit}", headers=engineer)
    assert "1 to 100" in error_of(answer, 400)


@pytest.mark.parametrize(
    "path",
    [
        f"/api/bills/{UNKNOWN_ID}",
        "/api/bills/INV-000001",
        "/api/bills/%00",
        "/api/bills/customer/nobody",
        "/api/bills/customer/%F0%9F%92%A1",
        "/api/bills/",
        "/api//health",
        "/api/health/",
        "/api/nothing",
        "/",
    ],
)
def test_what_is_not_there_is_not_found(
    client: FlaskClient, engineer: dict[str, str], path: str
) -> None:
    assert error_of(client.get(path, headers=engineer), 404)


def test_a_customer_that_cannot_be_asked_for_is_refused(
    client: FlaskClient, engineer: dict[str, str]
) -> None:
    assert error_of(client.get("/api/bills/customer/%00", headers=engineer), 400)


def test_the_bills_of_another_customer_are_no_place_to_go_on_after(
    client: FlaskClient, submit: Callable[..., TestResponse], utility: Utility
) -> None:
    bill = submit().get_json()["bill"]
    utility.add_meter("other")
    path = f"/api/bills/customer/A-other?after={bill['id']}"
    answer = client.get(path, headers=bearer(utility, Role.ADMIN))
    assert error_of(answer, 404)
