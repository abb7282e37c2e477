"""A fee of the Settings page is offered where a fee is charged."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.records.base import PageRequest
from services.records.lists import PointFilter
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.page_runs import press, signed_in

pytestmark = pytest.mark.postgres


@pytest.fixture
def utility(
    own_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(own_settings["DATABASE_URL"], tmp_path_factory.mktemp("data"))
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


def test_a_fee_that_was_set_fills_in_its_amount_and_its_name(utility: Utility) -> None:
    desk = utility.services.settings_desk
    desk.change(
        change_id=str(uuid4()),
        body={"fees": {"INR": {"reconnection": "250.50"}}},
        seen=desk.shown(principal=ADMIN).stored,
        principal=ADMIN,
    )
    utility.add_meter("M1")
    (account,) = utility.services.database.accounts(text="A-M1").items
    app = signed_in(
        utility.services, Role.ADMIN, registry.CUSTOMER.script, id=account.id, view="Payments"
    )
    (fee,) = [box for box in app.selectbox if box.label == "Fee"]
    assert fee.options == ["Reconnection"]
    app = fee.select("reconnection").run()
    amounts = [box.value for box in app.text_input if box.label.startswith("Amount")]
    assert "250.50" in amounts
    app = press(app, "Charge the fee")
    assert not app.error
    (after,) = utility.services.database.accounts(text="A-M1").items
    assert after.balance_minor == 25050
    (entry, *_) = utility.services.customers.changeable(
        customer_id=account.id, principal=ADMIN
    ).adjustments
    assert (entry.kind, entry.note) == ("fee", "Reconnection")


def test_the_fee_of_a_reconnection_is_filled_in(utility: Utility) -> None:
    desk = utility.services.settings_desk
    desk.change(
        change_id=str(uuid4()),
        body={"fees": {"INR": {"reconnection": "250.50"}}},
        seen=desk.shown(principal=ADMIN).stored,
        principal=ADMIN,
    )
    utility.add_meter("M1")
    wanted, page = PointFilter(text="M1"), PageRequest(sort="code")
    (point,) = utility.services.database.list_service_points(wanted=wanted, page=page).items
    app = signed_in(
        utility.services, Role.ADMIN, registry.CHANGE_SUPPLY.script, id=point.id, what="reconnect"
    )
    fees = [box.value for box in app.text_input if box.label == "Reconnection fee (INR)"]
    assert fees == ["250.50"]
    app = press(app, "Show what it does")
    assert [error.value for error in app.error] == [r"M1 is not disconnected\."]
