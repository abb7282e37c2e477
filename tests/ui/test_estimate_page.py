"""The page that estimates a reading, and a bill that settles it, over a real database."""

from datetime import timedelta

import pytest

from pages import registry
from services.container import Services
from services.identity.permissions import Role
from tests.integration.utility import Utility
from tests.ui.page_runs import now, running, services, signed_in, words

__all__ = ["running", "services"]
pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def utility(services: Services) -> Utility:
    made = Utility(services, now())
    days = (100, 70, 40)
    made.add_meter("E1", opened_on=made.today - timedelta(days=days[0]))
    for kwh, ago in ((1300, days[1]), (1600, days[2])):
        made.submit("E1", kwh, at=made.now - timedelta(days=ago))
    return made


def test_an_estimate_is_seen_stored_and_settled(utility: Utility) -> None:
    script, on = registry.ESTIMATE_READING.script, utility.today - timedelta(days=10)
    app = signed_in(utility.services, Role.ADMIN, script, meter="E1", on=on.isoformat())
    # 600 kWh in 60 days: 300 kWh in 30.
    assert "**1,900 kWh** estimated" in words(app)
    assert "The last 2 periods that were read came to 10.0 kWh a day: 300 kWh for 30 days." in (
        words(app)
    )
    assert len(utility.bills_of("E1")) == 2
    why = next(field for field in app.text_input if str(field.key).startswith("why-"))
    why.set_value("Away")
    next(b for b in app.button if b.label == "Store and bill").click().run()
    bill = utility.bills_of("E1")[-1]
    shown = words(signed_in(utility.services, Role.ADMIN, registry.BILL.script, id=bill.id))
    assert "Estimated: the meter was not read." in shown
    assert "1,900 kWh (estimated)" in shown
    utility.submit("E1", 1850)
    settling = utility.bills_of("E1")[-1]
    assert settling.consumption_wh == -50_000
    shown = words(signed_in(utility.services, Role.ADMIN, registry.BILL.script, id=settling.id))
    assert "Settles the readings since" in shown
    assert "| **Less what was billed for " in shown


def test_a_day_that_was_read_is_refused_with_why(utility: Utility) -> None:
    script = registry.ESTIMATE_READING.script
    read_on = utility.bills_of("E1")[0].period_end
    app = signed_in(utility.services, Role.ADMIN, script, meter="E1", on=read_on.isoformat())
    assert "was read on" in words(app)
    assert not app.button or all(b.label != "Store and bill" for b in app.button)
