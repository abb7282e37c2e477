"""The search box of every page, and the page of what it finds, without a browser."""

from collections.abc import Iterator

import pytest

from pages.registry import BILLS, SEARCH
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from tests.integration.utility import Utility, make_utility
from tests.ui.page_runs import signed_in, words

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def utility(
    own_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(own_settings["DATABASE_URL"], tmp_path_factory.mktemp("data"))
    run_with(made.services, Scheduler(made.services))
    made.add_meter("KS-77")
    made.submit("KS-77", 1117)
    yield made
    run_with(None)
    made.services.close()


def test_the_box_of_a_page_opens_what_it_finds(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ADMIN, BILLS.script)
    app.text_input("search-everywhere").input("ks-77").run()
    shown = words(app)
    assert app.title[0].value == "Search"
    for found in ("A-KS-77", "KS-77", "Customers", "Meters"):
        assert found in shown, found
    assert not app.exception


@pytest.mark.parametrize(
    ("text", "found"),
    [("INV-000001", "INV-000001"), ("540.35", "INV-000001"), ("a-ks-77", "Account A-KS-77")],
)
def test_an_address_with_a_text_shows_what_fits_it(utility: Utility, text: str, found: str) -> None:
    app = signed_in(utility.services, Role.ADMIN, SEARCH.script, find=text)
    assert found in words(app)


def test_the_place_of_a_meter_is_found(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ADMIN, SEARCH.script, find="ks-77")
    assert "Service points" in {heading.value for heading in app.subheader}


def test_what_is_not_there_is_said_and_nothing_is_asked_of_an_empty_box(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ADMIN, SEARCH.script, find="nobody at all")
    assert "Nothing fits" in words(app)
    empty = signed_in(utility.services, Role.ADMIN, SEARCH.script)
    assert "three letters" in words(empty)


def test_an_engineer_has_no_box_and_no_page(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ENGINEER, SEARCH.script, find="ks-77")
    assert "A-KS-77" not in words(app)
    assert "search-everywhere" not in {box.key for box in app.text_input}
