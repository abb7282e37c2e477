"""The reports' pages, run without a browser: the list, each report by role, its pages and files."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from pages import registry
from pages.shared.format import escaped
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.records.entries import NewPayment
from services.reports.catalogue import REPORTS
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.page_runs import signed_in, words

pytestmark = pytest.mark.postgres
OCTOBER = ["2025-10-01", "2025-10-31"]


@pytest.fixture(scope="module")
def utility(
    own_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    """60 bills of 5 October 2025, each paid a little in cash."""
    made = make_utility(own_settings["DATABASE_URL"], tmp_path_factory.mktemp("data"))
    run_with(made.services, Scheduler(made.services))
    made.now = datetime(2025, 10, 5, 6, tzinfo=UTC)
    for n in range(60):
        made.add_meter(f"M{n}")
        bill = made.submit(f"M{n}", 1117).bill
        assert bill is not None
        row: dict[str, Any] = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": 100}
        row |= {"currency": "INR", "method": "cash", "received_at": made.now}
        row |= {"received_on": made.today}
        made.services.database.record_payments(
            actor="cash.ier", payments=[NewPayment.model_validate(row)]
        )
    made.now = datetime.now(UTC)
    yield made
    run_with(None)
    made.services.close()


def report(
    utility: Utility, name: str, role: Role = Role.AUDITOR, days: list[str] = OCTOBER
) -> AppTest:
    app = signed_in(utility.services, role)
    app.query_params["id"], app.query_params["days"] = name, days
    app.query_params["on"] = "2025-10-31"
    return app.switch_page(registry.REPORT.script).run()


@pytest.mark.parametrize("one", REPORTS, ids=[r.id for r in REPORTS])
def test_each_report_has_its_figures_and_its_files(utility: Utility, one: Any) -> None:
    app = report(utility, one.id)
    assert not app.exception
    assert [title.value for title in app.title] == [escaped(one.title)]
    assert one.answers in words(app)


def test_the_register_goes_page_by_page_and_back(utility: Utility) -> None:
    app = report(utility, "register")
    (frame,) = app.dataframe
    assert next(iter(frame.value["Bill"])) == "INV-000001"
    assert len(frame.value) == 50
    app.button[[b.label for b in app.button].index("Next page")].click().run()
    (frame,) = app.dataframe
    assert list(frame.value["Bill"]) == [f"INV-{n:06d}" for n in range(51, 61)]
    app.button[[b.label for b in app.button].index("First page")].click().run()
    assert len(app.dataframe[0].value) == 50


def test_collections_show_who_took_how_much_and_how(utility: Utility) -> None:
    app = report(utility, "collections", Role.MANAGER)
    (frame,) = app.dataframe
    (row,) = frame.value.to_dict("records")
    assert (row["Method"], row["Cashier"], row["Payments"]) == ("cash", "cash.ier", "60")
    assert row["Net"] == "₹60.00"
    assert "₹60.00" in words(app)


def test_days_without_anything_and_a_report_that_is_none(utility: Utility) -> None:
    assert "nothing of this" in words(report(utility, "tax", days=["2024-01-01", "2024-01-31"]))
    assert "There is no such report" in words(report(utility, "gossip"))


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.CASHIER, Role.CLERK])
def test_who_may_not_see_the_books_sees_no_report(utility: Utility, role: Role) -> None:
    for page in (registry.REPORTS, registry.REPORT):
        app = signed_in(utility.services, role, page.script, id="register")
        assert not app.dataframe
        assert any("manager" in error.value for error in app.error)


def test_a_cashier_counts_and_closes_the_day_once(utility: Utility) -> None:
    (bill, *_) = utility.bills_of("M1")
    row: dict[str, Any] = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": 4_200}
    row |= {"currency": "INR", "method": "cash", "received_at": utility.now}
    row |= {"received_on": utility.today}
    utility.services.database.record_payments(
        actor="some.cashier", payments=[NewPayment.model_validate(row)]
    )
    app = signed_in(utility.services, Role.CASHIER, registry.CASH_DAY.script)
    assert "₹42.00" in words(app)
    assert "No day was closed yet" in words(app)
    app = counted(app, "41")
    assert any("Say in the note" in error.value for error in app.error)
    app = counted(app, "42.00")
    assert not app.error
    assert "Your day is closed" in words(app)
    assert not [b for b in app.button if b.label == "Close my day"]
    seen = signed_in(utility.services, Role.AUDITOR, registry.CASH_DAY.script)
    assert "some.cashier" in words(seen).replace(chr(92), "")
    assert not [b for b in seen.button if b.label == "Close my day"]


def counted(app: AppTest, amount: str) -> AppTest:
    (field,) = [f for f in app.text_input if "counted" in f.label]
    field.set_value(amount)
    (button,) = [b for b in app.button if b.label == "Close my day"]
    return button.click().run()


def test_account_codes_are_set_checked_and_used(utility: Utility) -> None:
    settings = registry.SETTINGS.script
    app = signed_in(utility.services, Role.ADMIN, settings, view="Accounts")
    (receivables,) = [f for f in app.text_input if f.label == "Receivables"]
    receivables.set_value("1010")
    save(app)
    assert any("Each account needs a code" in error.value for error in app.error)
    (receivables,) = [f for f in app.text_input if f.label == "Receivables"]
    receivables.set_value("1300")
    app.text_area[0].set_value("10 = 2110\n18% = 2118")
    save(app)
    assert not app.error
    held = utility.services.settings_desk.shown(principal=ADMIN).held.account_codes
    assert held == {"receivables": "1300", "tax.10": "2110", "tax.18": "2118"}
    app = report(utility, "journal-by-day")
    assert {"1300", "2110", "2118"} <= set(app.dataframe[0].value["Account"])


def save(app: AppTest) -> None:
    (button,) = [b for b in app.button if b.label == "Save"]
    button.click().run()
