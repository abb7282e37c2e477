"""Every page opens once, over a utility in which there is one of everything."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from tests.integration.utility import ADMIN, KSEB, Utility, make_utility
from tests.ui.page_runs import signed_in, words

pytestmark = pytest.mark.postgres
PAGES = [p.script for p in vars(registry).values() if isinstance(p, registry.PageEntry)]
Asked = dict[str, dict[str, str]]


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
def asked(utility: Utility) -> Asked:
    """What stands in the address of the pages that show one thing."""
    for serial in ("M1", "M2"):
        utility.add_meter(serial)
    bill = utility.submit("M1", 1117).bill
    flagged = utility.submit("M2", 900).reading
    assert bill is not None
    receipt = utility.services.office_payments.record_payment(
        payment_id=str(uuid4()),
        bill_id=bill.id,
        body={"amount": "100", "method": "cash", "received_on": utility.today},
        principal=ADMIN,
        now=utility.now,
    )
    tariff = {"code": KSEB["code"], "from": KSEB["effective_from"]}
    services, now = utility.services, utility.now
    services.users.create_first_administrator(
        sign_in_name="boss", display_name="Boss", password="quiet lantern under water", now=now
    )
    invited = services.users.invite(
        sign_in_name="asha", display_name="Asha", roles={Role.CLERK}, principal=ADMIN, now=now
    )
    return {
        registry.USER.script: {"id": invited.user_id},
        registry.BILL.script: {"id": bill.id},
        registry.CORRECT_BILL.script: {"id": bill.id},
        registry.CORRECT_READING.script: {"id": bill.closing_reading_id},
        registry.ESTIMATE_READING.script: {"meter": "M1"},
        registry.CUSTOMER.script: {"id": bill.customer_id},
        registry.FLAGGED_READING.script: {"id": flagged.id},
        registry.METER.script: {"id": bill.meter_id},
        registry.SERVICE_POINT.script: {"id": bill.service_point_id},
        registry.CHANGE_SUPPLY.script: {"id": bill.service_point_id, "what": "exchange"},
        registry.PAYMENT.script: {"id": receipt.payment.id},
        registry.RECORD_PAYMENT.script: {"bill": bill.id},
        registry.TARIFF.script: tariff,
        registry.TARIFF_CORRECTION.script: tariff,
        registry.TARIFF_EDITOR.script: tariff,
        registry.SUBMIT_READING.script: {"meter": "M2"},
        registry.REPORT.script: {"id": "register"},
    }


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_its_heading_and_nothing_wrong(
    utility: Utility, asked: Asked, page: str
) -> None:
    app = signed_in(utility.services, Role.ADMIN, page, **asked.get(page, {}))
    assert app.title or app.subheader
    assert not app.exception
    assert not app.error
    assert "Not allowed" not in words(app)
