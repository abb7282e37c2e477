"""Connect a customer: what the page says of somebody new, and of somebody with an account."""

from collections.abc import Iterator

import pytest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from tests.integration.utility import Utility, make_utility
from tests.ui.page_runs import fill, press, signed_in, words

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def utility(
    own_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(own_settings["DATABASE_URL"], tmp_path_factory.mktemp("data"))
    made.add_meter("M1")
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("N-1", "House 2 gets an account, a place of supply and a meter"),
        ("A-M1", "House M1 gets a place of supply and a meter"),
    ],
    ids=["new", "known"],
)
def test_only_who_has_no_account_is_promised_one(utility: Utility, account: str, said: str) -> None:
    app = signed_in(utility.services, Role.CLERK, registry.CONNECT.script)
    if account == "N-1":
        fill(app, "Name", "House 2")
    else:
        (known,) = [box for box in app.checkbox if box.label == "The account is known already"]
        known.check()
    fill(app, "Account number", account)
    fill(app, "Address of the place", "2 Hill Road")
    fill(app, "Serial", "M2")
    fill(app, "Opening reading (kWh)", "12")
    press(app, "Show what it does")
    assert said in words(app)
