"""The pages that correct bills and tariffs, run without a browser over a real database."""

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import build_services, run_with
from services.container import Services
from services.corrections.plan import WrongTariff
from services.identity.permissions import Role
from services.settings import load_settings
from services.tariffs import parse_tariff
from tests.integration.correcting import Correcting
from tests.integration.utility import KSEB, Utility
from tests.ui.page_runs import now, press, signed_in, words

pytestmark = pytest.mark.postgres

BILL, TARIFF = "corrections/correct_bill.py", "tariffs/tariff_correction.py"


@pytest.fixture(scope="module")
def services(own_settings: dict[str, str]) -> Iterator[Services]:
    built = build_services(load_settings(own_settings))
    ids = {"version_id": str(uuid4()), "tariff_id": str(uuid4())}
    built.database.publish_tariff(actor="test", tariff=parse_tariff(KSEB), **ids)
    yield built
    built.close()


@pytest.fixture(autouse=True)
def running(services: Services) -> Iterator[None]:
    run_with(services, Scheduler(services))
    yield
    run_with(None)


@pytest.fixture
def at(services: Services) -> Correcting:
    return Correcting(Utility(services, now()))


@pytest.fixture
def visit(services: Services) -> Callable[..., AppTest]:
    def open_page(page: str, **query: str) -> AppTest:
        return signed_in(services, Role.ADMIN, page, **query)

    return open_page


def write(app: AppTest, label: str, text: str) -> None:
    next(field for field in app.text_input if field.label == label).set_value(text)


def tick(app: AppTest, label: str) -> None:
    next(box for box in app.checkbox if label in box.label).set_value(True)


@pytest.mark.parametrize("page", [BILL, TARIFF])
def test_an_engineer_is_not_allowed(services: Services, page: str) -> None:
    app = signed_in(services, Role.ENGINEER, page, id="x", code=KSEB["code"])
    assert "Not allowed: this page is for" in words(app)
    assert not app.title


def test_a_corrected_read_shows_before_and_after_then_both_bills_lead_to_each_other(
    at: Correcting, visit: Callable[..., AppTest]
) -> None:
    bills = at.chain("P1", 3)
    app = visit(BILL, id=bills[1].id)
    write(app, "It was (kWh)", "1,250.0")
    press(app, "Show what it changes")
    affected = [box.label.replace("\\", "").split("**")[1] for box in app.expander]
    assert affected == [bill.reference for bill in bills[1:]]
    assert "It opens at the corrected reading" in words(app)
    press(app, "Void and reissue")
    assert "Say why" in words(app)
    assert at.utility.bills_of("P1")[1].id == bills[1].id
    write(app, "Reason", "two digits were swapped")
    press(app, "Void and reissue")
    made = at.utility.bills_of("P1")[1]
    assert made.replaces_id == bills[1].id
    assert f"Bill {made.reference}" in words(app)
    for bill_id in (bills[1].id, made.id):
        assert "two digits were swapped" in words(visit("bills/bill.py", id=bill_id))
    at.check("P1")


def test_figures_that_changed_are_shown_anew_and_nothing_is_done(
    at: Correcting, visit: Callable[..., AppTest]
) -> None:
    bills = at.chain("P2", 2)
    app = visit(BILL, id=bills[0].id)
    write(app, "It was (kWh)", "1150")
    press(app, "Show what it changes")
    at.execute(at.closed_at(bills[1], "1210"))
    write(app, "Reason", "r")
    press(app, "Void and reissue")
    assert "changed since you looked" in words(app)
    assert at.utility.bills_of("P2")[0].id == bills[0].id
    # What is shown now may be done.
    press(app, "Void and reissue")
    assert at.utility.bills_of("P2")[0].replaces_id == bills[0].id
    at.check("P2")


@pytest.mark.parametrize(
    ("value", "why"), [("x", "kWh"), ("1100", "nothing to correct"), ("999999", "5 digits")]
)
def test_a_value_that_cannot_be_says_why(
    at: Correcting, visit: Callable[..., AppTest], value: str, why: str
) -> None:
    serial = f"P3-{value}"
    (bill,) = at.chain(serial, 1)
    app = visit(BILL, id=bill.id)
    write(app, "It was (kWh)", value)
    press(app, "Show what it changes")
    assert why in words(app)
    assert not [button for button in app.button if "Void" in button.label]


def test_an_old_bill_warns_and_the_warning_must_be_seen(
    at: Correcting, visit: Callable[..., AppTest]
) -> None:
    bills = at.chain("P4", 14)
    app = visit(BILL, id=bills[0].id)
    tick(app, "never valid")
    press(app, "Show what it changes")
    assert "Back-billing" in words(app)
    write(app, "Reason", "r")
    press(app, "Void and reissue")
    assert "Say that you have seen this" in words(app)
    tick(app, "I have seen the warning")
    press(app, "Void and reissue")
    assert len(at.utility.bills_of("P4")) == 13
    at.check("P4")


def test_a_corrected_version_lists_its_bills_until_they_are_made_anew(
    at: Correcting, visit: Callable[..., AppTest]
) -> None:
    data = KSEB | {"code": "OTHER", "name": "Another"}
    ids = {"version_id": str(uuid4()), "tariff_id": str(uuid4())}
    at.database.publish_tariff(actor="test", tariff=parse_tariff(data), **ids)
    (bill,) = at.chain("P5", 1)
    at.execute(WrongTariff(bill.id, "OTHER"))
    app = visit(TARIFF, code="OTHER", **{"from": KSEB["effective_from"]})
    text = json.loads(json.dumps(data))
    text["charges"][2]["amount"] = "16.00"
    app.text_area[0].set_value(json.dumps(text)).run()
    assert "**1 bill** of 1 meter was priced by it" in words(app)
    write(app, "Reason", "misprint")
    press(app, "Correct this version")
    assert "**1 bill** of 1 meter" in words(app)
    assert "Reissue them" in words(visit("tariffs/tariff.py", code="OTHER"))
    press(app, "Reissue them")
    assert "All bills are priced by the versions as they are now" in words(app)
    (made,) = at.utility.bills_of("P5")
    assert made.replaces_id is not None
    at.check("P5")
