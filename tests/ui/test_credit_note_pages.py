"""Settings of documents, credit notes and what a jurisdiction asks for: pages without a browser."""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from pages.bills.bill_card import lines_table
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.rating import BillLine, RatedBill
from tests.integration.correcting import Correcting
from tests.integration.test_utility_settings import change
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.page_runs import fill, now, press, signed_in, words
from tests.unit.bill_documents.bills import line

pytestmark = pytest.mark.postgres
SETTINGS, NOTES = "settings/settings.py", "bills/credit_notes.py"
MISSING = "A bill in Texas must say what is due after the due date (16 TAC 25.25 (c)(5))"


@pytest.fixture
def utility(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Utility]:
    made = make_utility(database, tmp_path_factory.mktemp("data"), now=now())
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


def save(app: AppTest, number: int) -> None:
    """Press one of the page's buttons of that name."""
    [button for button in app.button if button.label == "Save"][number].click().run()


def test_a_void_shows_its_credit_note_on_the_bill_in_the_list_and_on_the_account(
    utility: Utility,
) -> None:
    app = signed_in(utility.services, Role.ADMIN, NOTES)
    assert "Voided bills have credit notes once the settings say so." in words(app)
    app = signed_in(utility.services, Role.ADMIN, SETTINGS, view="Documents")
    fill(app, "Tax number", "de 136 695 976")
    next(box for box in app.checkbox if "credit note" in box.label).set_value(True)
    save(app, 0)
    assert "The settings are saved." in words(app)
    assert utility.services.current_settings().tax_number == "DE136695976"
    (bill,) = Correcting(utility).chain("M1", 1)
    utility.services.rebilling.void(
        bill_id=bill.id, reason="wrong *meter*", principal=ADMIN, now=utility.now
    )
    for page, query in (
        ("bills/bill.py", {"id": bill.id}),
        ("customers/customer.py", {"id": bill.customer_id, "view": "Bills"}),
        (NOTES, {}),
    ):
        app = signed_in(utility.services, Role.ADMIN, page, **query)
        assert not app.exception
        assert "Credit note CN-000001** · ₹448.89" in words(app)
        assert "wrong *meter*" in words(app)
    fill(app, "Number, bill or customer", "nobody")
    app.run()
    assert "CN-000001" not in words(app)


def test_pages_of_credit_notes_lead_on_and_back(utility: Utility) -> None:
    change(utility, credit_notes=True)
    at = Correcting(utility)
    for n in range(22):
        (bill,) = at.chain(f"M{n}", 1)
        utility.services.database.void_bill(actor="test", bill_id=bill.id, reason="x")
    app = signed_in(utility.services, Role.AUDITOR, NOTES)
    assert "CN-000022" in words(app)
    assert "CN-000002" not in words(app)
    press(app, "Earlier ones")
    assert "CN-000002" in words(app)
    assert "CN-000022" not in words(app)
    press(app, "Later ones")
    assert "CN-000022" in words(app)


def test_what_the_chosen_rules_ask_for_is_asked_here_and_said_before_a_run(
    utility: Utility,
) -> None:
    app = signed_in(utility.services, Role.ADMIN, SETTINGS, view="Documents")
    assert MISSING not in words(app)
    app.selectbox[0].set_value("texas")
    save(app, 1)
    app = signed_in(utility.services, Role.ADMIN, SETTINGS, view="Documents")
    assert MISSING in words(app)
    for page in ("bill_runs/bill_runs.py", "system/overview.py"):
        seen = signed_in(utility.services, Role.ADMIN, page)
        assert not seen.exception
        assert MISSING in words(seen)
    labels = [area.label for area in app.text_area]
    assert labels == ["The number to report outages", "What is due after the due date"]
    app.text_area[0].set_value("+1 512 555 0199")
    app.text_area[1].set_value("5% more")
    save(app, 2)
    assert utility.services.current_settings().bill_facts == {
        "outage_line": "+1 512 555 0199",
        "late_payment": "5% more",
    }
    change(utility, utility_phone="+1 512 555 0100")
    app = signed_in(utility.services, Role.ADMIN, SETTINGS, view="Documents")
    assert "All that the rules ask the utility for is set." in words(app)
    app = signed_in(utility.services, Role.ADMIN, "bill_runs/bill_runs.py")
    assert "must say" not in words(app)


def test_a_tax_in_several_lines_is_added_up_by_rate_below_them() -> None:
    def tax(minor: int, base: str) -> BillLine:
        return line("GST", minor, code="gst", tax=True, unit="%", quantity=base, rate="18")

    rated = RatedBill("INR", (line("Energy", 7_500), tax(900, "50.00"), tax(450, "25.00")))
    rows = lines_table(rated).replace("\\", "").splitlines()
    assert rows[-1].count("18% of 75") == 1
    assert "13.50" in rows[-1]
    assert "18% of" not in lines_table(RatedBill("INR", rated.lines[:2])).splitlines()[-1]


def test_the_first_number_is_asked_for_until_one_is_given_and_a_search_finds_it(
    utility: Utility,
) -> None:
    app = signed_in(utility.services, Role.ADMIN, SETTINGS, view="Documents")
    next(box for box in app.checkbox if "credit note" in box.label).set_value(True)
    (first,) = [one for one in app.number_input if one.label == "Number of the first credit note"]
    first.set_value(4711)
    save(app, 0)
    assert "The settings are saved." in words(app)
    (bill,) = Correcting(utility).chain("M1", 1)
    utility.services.rebilling.void(
        bill_id=bill.id, reason="wrong", principal=ADMIN, now=utility.now
    )
    app = signed_in(utility.services, Role.ADMIN, SETTINGS, view="Documents")
    (first,) = [one for one in app.number_input if one.label == "Number of the first credit note"]
    assert first.disabled
    assert "Credit notes have numbers already." in words(app)
    app = signed_in(utility.services, Role.ADMIN, "search/search.py", find="cn-4711")
    assert not app.exception
    assert f"takes back {bill.reference}" in words(app)
    app = signed_in(utility.services, Role.ADMIN, NOTES, text="CN-004711")
    assert "Credit note CN-004711" in words(app)
