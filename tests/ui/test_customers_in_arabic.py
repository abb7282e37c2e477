"""Bills, customers, corrections and drafts in Arabic: nothing of the pages is left in English."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.languages.language import Language
from services.records.bills import Bill
from tests.integration.correcting import Correcting
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.page_runs import now, press, signed_in, user_of, words
from tests.ui.untranslated import english_on, reads_arabic

pytestmark = pytest.mark.postgres

ARABIC = Language.of("ar")
BILL_VIEWS = ("Bill", "Timeline")
CUSTOMER_VIEWS = (
    "Overview",
    "Bills",
    "Payments",
    "Statement",
    "Plans",
    "Dunning",
    "Messages",
    "Timeline",
    "Own page",
    "Details",
)
LISTS = (
    registry.BILLS,
    registry.CREDIT_NOTES,
    registry.CUSTOMERS,
    registry.CUSTOMER_REQUESTS,
    registry.DRAFTS,
)
# Names of people, places and tariffs, what somebody typed, and formats of files.
DATA = (
    "KSEB LT-1A, domestic, single phase",
    "Electricity billing",
    "House M1",
    "House D1",
    "Energy charge",
    "Goodwill for the outage",
    "Rang about it",
)


@dataclass
class Office:
    """A utility whose manager reads Arabic, with a customer who has one of everything."""

    utility: Utility
    bill: Bill
    replaced: Bill
    draft: Bill

    def shown(self, page: registry.PageEntry, **query: str) -> list[str]:
        """The English on a page."""
        said = {name: ARABIC.gettext(value) for name, value in query.items() if name == "view"}
        app = signed_in(self.utility.services, Role.MANAGER, page.script, **query | said)
        assert not app.exception
        return english_on(app, data=DATA)


@pytest.fixture(scope="module")
def office(
    fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    """Bills are drafts until somebody issues them."""
    utility = make_utility(
        fresh_database(),
        tmp_path_factory.mktemp("data"),
        now=now(),
        more_settings={"BILL_APPROVAL": "on", "CREDIT_NOTES": "on"},
    )
    services = utility.services
    run_with(services, Scheduler(services))
    at = Correcting(utility)
    *_, first, second = at.chain("M1", 3)
    for bill in utility.bills_of("M1"):
        services.bill_approval.issue(bill_id=bill.id, principal=ADMIN, now=utility.now)
    customer: dict[str, Any] = {"customer_id": first.customer_id, "principal": ADMIN}
    when: dict[str, Any] = {"now": utility.now, **customer}
    paid = {"amount": "100", "method": "cash", "received_on": utility.today}
    services.office_payments.record_payment(
        payment_id=str(uuid4()), bill_id=first.id, body=paid, **when
    )
    services.office_payments.take_deposit(
        payment_id=str(uuid4()), body=paid | {"amount": "50"}, **when
    )
    credit = {"kind": "credit", "amount": "5", "note": "Goodwill for the outage"}
    services.account_adjustments.adjust(entry_id=str(uuid4()), body=credit, **when)
    services.notes.add(note_id=str(uuid4()), text="Rang about it", **customer)
    done = at.execute(at.closed_at(second, "1310"), check=False)
    utility.add_meter("D1")
    draft = utility.submit("D1", 1117).bill
    assert isinstance(draft, Bill)
    reads_arabic(services, user_of(Role.MANAGER))
    (changed,) = done.bills
    assert changed.new_bill_id
    new = services.database.bill(changed.new_bill_id)
    yield Office(utility, new, services.database.bill(second.id), draft)
    run_with(None)
    services.close()


@pytest.mark.parametrize("view", CUSTOMER_VIEWS)
def test_each_view_of_a_customer(office: Office, view: str) -> None:
    assert office.shown(registry.CUSTOMER, id=office.bill.customer_id, view=view) == []


@pytest.mark.parametrize("view", BILL_VIEWS)
@pytest.mark.parametrize("name", ["bill", "replaced", "draft"])
def test_each_view_of_a_bill(office: Office, name: str, view: str) -> None:
    bill: Bill = getattr(office, name)
    assert office.shown(registry.BILL, id=bill.id, view=view) == []


@pytest.mark.parametrize("page", LISTS, ids=lambda page: page.path)
def test_each_list(office: Office, page: registry.PageEntry) -> None:
    assert office.shown(page) == []


def test_what_is_to_be_corrected_and_what_that_changes(office: Office) -> None:
    bill = office.bill
    app = signed_in(office.utility.services, Role.MANAGER, registry.CORRECT_BILL.script, id=bill.id)
    for what in ("Opening read", "Tariff", "The whole bill", "Closing read"):
        app.segmented_control(key=f"wrong-{bill.id}").set_value(what).run()
        assert english_on(app, data=DATA) == [], what
    app.text_input(key=f"number-right-{bill.closing_reading_id}").set_value("1320")
    press(app, ARABIC.gettext("Show what it changes"))
    assert ARABIC.gettext("What it changes") in words(app)
    assert english_on(app, data=DATA) == []
    app.text_input(key=f"number-right-{bill.closing_reading_id}").set_value("never")
    press(app, ARABIC.gettext("Show what it changes"))
    assert app.error
    assert english_on(app, data=DATA) == []


def test_a_reading_that_a_bill_rests_on_leads_to_the_bill(office: Office) -> None:
    assert office.shown(registry.CORRECT_READING, id=office.bill.closing_reading_id) == []
