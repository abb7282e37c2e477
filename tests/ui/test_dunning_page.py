"""Dunning: the policy, what tonight's run does, holding one back, by role; and an account's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from pages.registry import CUSTOMER, DUNNING, WORK_ORDERS
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.languages.language import Language
from services.records.bills import Bill
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.page_runs import fill, press, signed_in, user_of, words
from tests.ui.untranslated import english_on, reads_arabic

pytestmark = pytest.mark.postgres
# Who may do nothing with dunning is shown no such page.
VIEWERS = (Role.CASHIER, Role.CLERK, Role.MANAGER, Role.AUDITOR, Role.ADMIN)
ARABIC = Language.of("ar")
HOLDERS = (Role.CLERK, Role.MANAGER, Role.ADMIN)
POLICY_MAKERS = (Role.MANAGER, Role.ADMIN)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=datetime.now(UTC))
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


@pytest.fixture
def bill(utility: Utility, database: str) -> Bill:
    """A bill that is overdue, and nobody has had a notice of it yet."""
    utility.now -= timedelta(days=60)
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    utility.now += timedelta(days=60)
    assert isinstance(bill, Bill)
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute("update public.bills set overdue_since = due_date + 1")
    return bill


def page(utility: Utility, role: Role = Role.MANAGER, **query: str) -> AppTest:
    return signed_in(utility.services, role, DUNNING.script, **{"part": "Further steps"} | query)


def labels(app: AppTest) -> list[Any]:
    return [button.label for button in app.button]


@pytest.mark.usefixtures("bill")
@pytest.mark.parametrize("role", Role)
def test_each_role_sees_what_it_may(utility: Utility, role: Role) -> None:
    app = page(utility, role)
    assert not app.exception
    assert ("House M1" in words(app)) == (role in VIEWERS)
    assert ("Hold" in labels(app)) == (role in HOLDERS)
    if role in VIEWERS:
        app = page(utility, role, list="Policy")
        assert "The default" in words(app)
        assert ("Publish" in labels(app)) == (role in POLICY_MAKERS)


def test_one_is_held_back_and_released(utility: Utility, bill: Bill) -> None:
    app = page(utility)
    said = words(app)
    assert "House M1, A-M1" in said
    assert "₹540.35" in said
    fill(app, "Note", "Promised to pay on Friday")
    app = press(app, "Hold")
    assert "Dunning of the account is on hold." in words(app)
    assert "Hold" not in labels(app)
    (hold,) = utility.services.dunning_holds.of(customer_id=bill.customer_id, principal=ADMIN)
    assert hold.until == utility.today + timedelta(days=7)
    app = signed_in(
        utility.services, Role.CLERK, CUSTOMER.script, id=bill.customer_id, view="Dunning"
    )
    said = words(app)
    assert "Promised to pay on Friday" in said
    assert "**₹540.35** overdue of 1 bill" in said
    fill(app, "Why", "Did not pay")
    app = press(app, "Release")
    assert "Dunning of the account goes on where it was." in words(app)


@pytest.mark.usefixtures("bill")
def test_a_hold_without_a_note_is_refused_in_words(utility: Utility) -> None:
    app = press(page(utility), "Hold")
    assert "Say what the hold is about: it is kept with the account." in words(app)
    assert len(app.error) == 1


def test_a_policy_is_changed_and_what_is_wrong_with_it_is_said(utility: Utility) -> None:
    app = page(utility, list="Policy")
    (number,) = [n for n in app.number_input if n.label == "How many steps"]
    app = number.set_value(3).run()
    days = [n for n in app.number_input if n.label.startswith("Days after the due date")]
    assert [n.value for n in days] == [-3, 1, 8]
    days[2].set_value(1)
    app = press(app, "Publish")
    assert "Steps 2 and 3 overlap: both are 1 day after the due date." in words(app)
    days = [n for n in app.number_input if n.label.startswith("Days after the due date")]
    days[2].set_value(9)
    app = press(app, "Publish")
    assert not app.error
    said = words(app)
    assert "The policy is published." in said
    assert "Version 1" in said
    assert "9 days after the due date" in said


def test_each_view_opens_where_there_is_nothing_yet(utility: Utility) -> None:
    for view in ("Tonight", "Who owes", "Taken", "Work orders", "Policy"):
        app = page(utility, list=view)
        assert not app.exception
        assert not app.error


@pytest.mark.usefixtures("bill")
def test_who_owes_is_listed_with_what_was_done(utility: Utility) -> None:
    app = page(utility, list="Who owes")
    said = words(app)
    assert "House M1, A-M1" in said
    assert "No step was taken yet." in said


@pytest.mark.usefixtures("bill")
def test_tonights_steps_are_added_up(utility: Utility) -> None:
    app = page(utility)
    assert "**1 account** · ₹540.35" in words(app)
    fill(app, "Note", "Promised to pay on Friday")
    app = press(app, "Hold")
    app.session_state["dunning-totals"] = None
    assert "1 of them wait" in words(app.run())


def ordered(utility: Utility, dsn: str) -> None:
    """A smart meter whose supply is to be cut, by hand."""
    utility.add_meter("S1", kind="smart")
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "insert into public.work_orders (id, kind, customer_id, agreement_id,"
            " service_point_id, meter_id, ordered_on) select gen_random_uuid(), 'disconnect',"
            " g.customer_id, g.id, g.service_point_id, i.meter_id, current_date"
            " from public.service_agreements g"
            " join public.meter_installations i on i.service_point_id = g.service_point_id"
        )


@pytest.mark.parametrize("role", Role)
def test_whoever_does_the_work_sees_the_orders_of_smart_meters_too(
    utility: Utility, database: str, role: Role
) -> None:
    ordered(utility, database)
    app = signed_in(utility.services, role, WORK_ORDERS.script)
    assert not app.exception
    said = words(app)
    assert "Disconnect" in said
    assert "Smart meter" in said
    assert "meter S1" in said
    # Whose debt it is concerns the office alone.
    assert ("House S1" in said) == (role is not Role.ENGINEER)


def test_a_link_to_a_customer_opens_their_dunning(utility: Utility, bill: Bill) -> None:
    app = page(utility)
    links: list[Any] = list(app.get("page_link"))
    (link,) = [one for one in links if "House M1" in one.proto.label]
    assert f"id={bill.customer_id}" in link.proto.query_string
    assert "view=dunning" in link.proto.query_string


def test_each_view_is_said_in_another_language(utility: Utility, bill: Bill, database: str) -> None:
    reads_arabic(utility.services, user_of(Role.MANAGER))
    ordered(utility, database)
    views = ("Tonight", "Who owes", "Taken", "Work orders", "Policy")
    steps = ("Before the due date", "First overdue notices", "Further steps")
    # This currency is so new that Babel has no Arabic name for it.
    data = ("House M1", "Caribbean guilder", bill.customer_id)
    for query in [*({"list": view} for view in views), *({"part": part} for part in steps)]:
        said = {name: ARABIC.gettext(value) for name, value in query.items()}
        app = signed_in(utility.services, Role.MANAGER, DUNNING.script, **said)
        assert not app.exception, query
        assert english_on(app, data=data) == [], query
    app = signed_in(utility.services, Role.MANAGER, WORK_ORDERS.script)
    assert english_on(app, data=data) == []
