"""The office answers what customers ask on their pages, sends them links and ends these."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.records.bills import Bill
from services.records.customers.pages import NewRequest
from tests.integration.utility import Utility, make_utility
from tests.ui.page_runs import press, signed_in, words

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def utility(
    own_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(own_settings["DATABASE_URL"], tmp_path_factory.mktemp("data"))
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


def disputed(utility: Utility, serial: str) -> str:
    """The id of a customer who disputes a bill."""
    utility.add_meter(serial)
    bill = utility.submit(serial, 1117).bill
    assert bill is not None
    ask(utility, bill, NewRequest(str(uuid4()), "dispute", bill_id=bill.id, note="Not *my* meter"))
    return bill.customer_id


def ask(utility: Utility, bill: Bill, request: NewRequest) -> None:
    utility.services.database.ask_customer_request(
        actor=f"customer:{bill.account_no}",
        customer_id=bill.customer_id,
        request=request,
        at=utility.now,
        today=utility.today,
    )


def test_a_dispute_is_answered_once_with_words_for_the_customer(utility: Utility) -> None:
    customer = disputed(utility, "M1")
    services, script = utility.services, registry.CUSTOMER_REQUESTS.script
    app = signed_in(services, Role.CLERK, script)
    assert "Disputes bill INV-000001" in words(app)
    assert "Dunning of the account waits" in words(app)
    press(app, "Decline")
    assert "Write what the customer is to read" in words(app)
    answer = next(field for field in app.text_input if field.label.startswith("Answer"))
    answer.input("It is your meter.")
    press(app, "Decline")
    assert "It is closed" in words(app)
    app = signed_in(services, Role.CLERK, script, view="Closed")
    assert "It is your meter." in words(app)
    (hold,) = services.database.dunning.holds(customer_id=customer)
    assert hold.released_by == "some.clerk"


def test_who_may_only_look_cannot_answer(utility: Utility) -> None:
    disputed(utility, "M2")
    app = signed_in(utility.services, Role.AUDITOR, registry.CUSTOMER_REQUESTS.script)
    assert "Disputes bill" in words(app)
    assert all(button.disabled for button in app.button if button.label in {"Done", "Decline"})


def test_links_are_made_and_ended_by_who_may_change_customers(utility: Utility) -> None:
    customer = disputed(utility, "M3")
    services, script = utility.services, registry.CUSTOMER.script
    app = signed_in(services, Role.CLERK, script, id=customer, view="Own page")
    press(app, "Make a link to hand over")
    (code,) = app.code
    assert "/my/open?k=" in code.value
    services.customer_page.visits.check_link(code.value.partition("k=")[2], utility.now)
    press(app, "Send a link")
    assert "cannot be reached" in words(app)
    press(app, "End them")
    assert "All links are ended." in words(app)
    page = services.database.customer_page(customer)
    assert page is not None
    assert page.generation == 1
    app = signed_in(services, Role.AUDITOR, script, id=customer, view="Own page")
    labels = {button.label for button in app.button}
    assert labels.isdisjoint({"Make a link to hand over", "Send a link", "End them"})


def test_a_notice_of_moving_out_leads_to_the_change_of_supply(utility: Utility) -> None:
    utility.add_meter("M4")
    bill = utility.submit("M4", 1117).bill
    assert bill is not None
    moving = NewRequest(
        str(uuid4()), "move_out", agreement_id=bill.agreement_id, wanted_on=utility.today
    )
    ask(utility, bill, moving)
    app = signed_in(
        utility.services, Role.CLERK, registry.CUSTOMER.script, id=bill.customer_id, view="Own page"
    )
    assert "Moves out on" in words(app)
    answer = next(field for field in app.text_input if field.label.startswith("Answer"))
    answer.input("We come on that day.")
    press(app, "Done")
    found = utility.services.database.customer_requests(customer_id=bill.customer_id)
    assert [one.state for one in found.items] == ["accepted"]
