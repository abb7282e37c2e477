"""A cashier asks for a refund on its page; a manager approves it on the page Approvals."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from pages import registry
from scheduler import Scheduler
from services.approvals.asking import AwaitsApproval
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.records.base import PageRequest
from services.records.lists import PointFilter
from services.tariffs import parse_tariff
from tests.integration.utility import ADMIN, KSEB, Utility, make_utility
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


@pytest.fixture(scope="module")
def payment_id(utility: Utility) -> str:
    """A payment of a bill, with four eyes for refunds."""
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    receipt = utility.services.office_payments.record_payment(
        payment_id=str(uuid4()),
        bill_id=bill.id,
        body={"amount": "540.35", "method": "cash", "received_on": utility.today},
        principal=ADMIN,
        now=utility.now,
    )
    app = signed_in(utility.services, Role.ADMIN, registry.SETTINGS.script, view="Approvals")
    (box,) = [box for box in app.checkbox if box.label.startswith("Refunds")]
    box.check()
    press(app, "Save")
    assert utility.services.settings.four_eyes == ("refunds",)
    return receipt.payment.id


def test_a_refund_is_asked_for_and_approved(utility: Utility, payment_id: str) -> None:
    services = utility.services
    app = signed_in(services, Role.CASHIER, registry.PAYMENT.script, id=payment_id)
    (reason,) = [field for field in app.text_input if field.label == "Reason"]
    reason.input("paid twice")
    assert "Another person must approve this" in words(app)
    press(app, "Ask for approval")
    assert "waits for the approval of a second person" in words(app)
    for role in (Role.CASHIER, Role.MANAGER):
        app = signed_in(services, role, registry.PAYMENT.script, id=payment_id)
        assert "by some.cashier; it waits on *Approvals* until somebody else" in words(app)
    for role in (Role.CASHIER, Role.AUDITOR):
        app = signed_in(services, role, registry.APPROVALS.script)
        assert "Refund ₹540.35" in words(app)
        assert "Approve and do it" not in {button.label for button in app.button}
    app = signed_in(services, Role.MANAGER, registry.APPROVALS.script)
    press(app, "Approve and do it")
    assert "It is done." in words(app)
    assert "Nothing waits for approval." in words(app)
    app = signed_in(services, Role.MANAGER, registry.PAYMENT.script, id=payment_id)
    assert "it waits on" not in words(app)
    found = services.payments.detail(payment_id=payment_id, principal=ADMIN)
    assert [one.created_by for one in found.returns] == ["some.cashier (approved by some.manager)"]


@pytest.mark.usefixtures("utility")
def test_the_table_of_permissions_can_be_read_by_role(utility: Utility) -> None:
    app = signed_in(utility.services, Role.AUDITOR, registry.PERMISSIONS.script)
    assert "| Void and correct issued bills | Manager, Administrator |" in words(app)
    app.selectbox(key="role").select(Role.CASHIER).run()
    said = words(app)
    assert "- Record payments, import bank statements, reconcile" in said
    assert "Void and correct issued bills" not in said


def want_four_eyes(utility: Utility, group: str) -> None:
    desk = utility.services.settings_desk
    seen = desk.shown(principal=ADMIN).stored
    desk.change(change_id=str(uuid4()), body={"four_eyes": [group]}, seen=seen, principal=ADMIN)


def test_a_void_is_asked_for_and_the_bill_says_that_it_waits(utility: Utility) -> None:
    services = utility.services
    utility.add_meter("M2")
    bill = utility.submit("M2", 1117).bill
    assert bill is not None
    want_four_eyes(utility, "voids")
    app = signed_in(services, Role.MANAGER, registry.CORRECT_BILL.script, id=bill.id)
    app.segmented_control(key=f"wrong-{bill.id}").set_value("The whole bill").run()
    press(app, "Show what it changes")
    assert "Another person must approve this" in words(app)
    (reason,) = [field for field in app.text_input if field.label == "Reason"]
    reason.input("billed twice")
    press(app, "Ask for approval")
    for page in (registry.BILL, registry.CORRECT_BILL):
        app = signed_in(services, Role.MANAGER, page.script, id=bill.id)
        assert "by some.manager; it waits on *Approvals* until somebody else" in words(app)


def test_a_change_of_supply_that_lowers_a_bill_is_asked_for_and_the_place_says_so(
    utility: Utility,
) -> None:
    services = utility.services
    utility.add_meter("M3")
    assert utility.submit("M3", 1117).bill is not None
    rate = {"code": "energy", "description": "Energy", "kind": "energy", "rate": "0.5"}
    cheap = KSEB | {"code": "CHEAP", "charges": [rate]}
    services.tariff_publishing.publish(tariff=parse_tariff(cheap), principal=ADMIN)
    want_four_eyes(utility, "voids")
    (point,) = services.database.list_service_points(
        wanted=PointFilter(text="M3"), page=PageRequest(sort="code")
    ).items
    script = registry.CHANGE_SUPPLY.script
    app = signed_in(services, Role.CLERK, script, id=point.id, what="tariff")
    (tariff,) = [box for box in app.selectbox if "CHEAP" in " ".join(box.options)]
    tariff.select_index(next(n for n, one in enumerate(tariff.options) if "CHEAP" in one))
    (day,) = app.date_input
    day.set_value(utility.today - timedelta(days=20))
    press(app, "Show what it does")
    assert "Another person must approve this" in words(app)
    (reason,) = [field for field in app.text_input if field.label == "Why"]
    reason.input("as agreed")
    press(app, "Ask for approval")
    app = signed_in(services, Role.CLERK, registry.SERVICE_POINT.script, id=point.id)
    assert "Other tariff at M3, which changes" in words(app)
    assert "by some.clerk; it waits on *Approvals* until somebody else" in words(app)
    app = signed_in(services, Role.MANAGER, registry.APPROVALS.script)
    assert "Other tariff at M3, which changes" in words(app)


def test_a_tariff_says_that_a_version_of_it_waits(utility: Utility) -> None:
    services = utility.services
    want_four_eyes(utility, "tariffs")
    one = services.tariff_publishing.tariffs(principal=ADMIN)[0]
    _, version = services.tariff_publishing.version(code=one.code, begins="", principal=ADMIN)
    later = parse_tariff(version.tariff.to_json() | {"effective_from": "2031-04-01"})
    with pytest.raises(AwaitsApproval):
        services.tariff_publishing.publish(tariff=later, principal=ADMIN)
    app = signed_in(services, Role.MANAGER, registry.TARIFF.script, code=one.code)
    assert f"Publish tariff {one.code} from 1 Apr 2031" in words(app)
    app = signed_in(services, Role.MANAGER, registry.TARIFFS.script)
    assert "it waits on *Approvals*" in words(app)


@pytest.mark.parametrize("view", ["Utility", "Billing", "Fees", "Approvals"])
def test_an_auditor_sees_settings_that_nobody_else_than_administrators_may_change(
    utility: Utility, view: str
) -> None:
    app = signed_in(utility.services, Role.AUDITOR, registry.SETTINGS.script, view=view)
    assert "Settings are changed by administrators." in words(app)
    assert "**Logo**" not in words(app)
    fields = [*app.text_input, *app.text_area, *app.number_input, *app.checkbox]
    assert fields
    assert {field.label for field in fields if not field.disabled} == {"Search everywhere"}
    app = signed_in(utility.services, Role.ADMIN, registry.SETTINGS.script, view=view)
    assert "Settings are changed by" not in words(app)
    fields = [*app.text_input, *app.text_area, *app.number_input, *app.checkbox]
    assert sum(not field.disabled for field in fields) > 1


def test_only_who_may_create_the_first_administrator_is_told_to(utility: Utility) -> None:
    app = signed_in(utility.services, Role.AUDITOR, registry.USERS.script)
    assert "The first one is for administrators to create." in words(app)
    assert not [button for button in app.button if "first administrator" in button.label]
    app = signed_in(utility.services, Role.ADMIN, registry.USERS.script)
    assert "Create the first administrator, who then invites everybody else." in words(app)
    assert [button for button in app.button if "first administrator" in button.label]
