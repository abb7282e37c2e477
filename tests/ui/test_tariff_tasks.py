"""Two tasks of a utility's owner, walked in a browser: a tariff from a template, a new version."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.ui.app_process import AppProcess, settled
from tests.ui.walking import DESK, SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCROLLED_DOWN = """() => {
    const main = document.querySelector("[data-testid=stMain]");
    const stayed = main.scrollTop > 0 && main.scrollTop + main.clientHeight > main.scrollHeight - 3;
    main.scrollTop = main.scrollHeight;
    window.stayedSince = stayed ? (window.stayedSince ?? performance.now()) : null;
    return stayed && performance.now() - window.stayedSince > 500;
}"""


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    """The demo, with three tariffs and bills of last month."""
    return app_server()


@SIZES
def test_a_tariff_is_made_of_a_template_and_published(walk: Walk, size: tuple[int, int]) -> None:
    name = f"Homes of {size[0]}"
    walk.open("overview")
    walk.begin()
    walk.by_menu("Tariffs")
    walk.click(walk.main.get_by_role("link", name="Write a new tariff"))
    walk.click(walk.main.get_by_role("button", name="Slabs with fixed charge and tax"))
    expect(walk.main.get_by_test_id("stAlertContentError")).to_have_count(0)
    expect(walk.main.get_by_text("446.25").first).to_be_visible()
    walk.fill("Name", name)
    walk.fill("Code", f"HOMES-{size[0]}")
    walk.fill("Slab 1: rate", "3.l0")
    wrong = "Energy: the first slab's rate must be a number such as 3.25"
    expect(walk.main.get_by_text(wrong)).to_be_visible()
    expect(walk.main.get_by_label("Slab 1: rate", exact=True)).to_have_value("3.l0")
    walk.fill("Slab 1: rate", "3.10")
    walk.fill("Slab 2: rate", "4.75")
    walk.fill("Amount", "₹1,060.50")
    walk.fill("Percent", "10")
    # 50 × 3.10 + 50 × 4.75 + 1,060.50, and 10%.
    expect(walk.main.get_by_text("₹1,598.30").first).to_be_visible()
    walk.click(walk.main.get_by_role("button", name="Publish"))
    walk.click(walk.page.get_by_role("button", name="Yes, publish it"))
    expect(walk.main.get_by_role("heading", name=name)).to_be_visible()
    expect(walk.main.get_by_text("1060.50 per month").first).to_be_visible()
    walk.done("task 2 · a tariff from a template")


@SIZES
def test_a_new_version_is_published_and_shows_who_pays_more(
    walk: Walk, size: tuple[int, int]
) -> None:
    tariff = "Delhi domestic" if size == DESK else "Delhi shops"
    walk.open("overview")
    walk.begin()
    walk.by_menu("Tariffs")
    row = walk.main.get_by_test_id("stVerticalBlock").filter(has_text=tariff)
    walk.click(row.last.get_by_role("link", name="New version"))
    walk.fill("Slab 1: rate" if size == DESK else "Rate", "9.50")
    walk.click(walk.main.get_by_text("Who pays more", exact=True))
    more = walk.main.get_by_test_id("stMetric").filter(has_text="Pay more")
    expect(more).to_be_visible()
    assert int(more.get_by_test_id("stMetricValue").inner_text()) > 0
    expect(walk.main.get_by_text("Pay most more")).to_be_visible()
    walk.click(walk.main.get_by_role("button", name="Publish"))
    walk.click(walk.page.get_by_role("button", name="Yes, publish it"))
    expect(walk.main.get_by_text("9.50", exact=False).first).to_be_visible()
    walk.done("task 25 · a new tariff version")


@pytest.mark.parametrize("size", [DESK], ids=["desk"])
def test_the_preview_stays_beside_the_form_on_a_desk(
    app: AppProcess, walk: Walk, size: tuple[int, int]
) -> None:
    del size
    walk.page.goto(f"{app.url}/tariff-editor?code=KSEB-LT1A")
    walk.main.get_by_role("heading", name="New version").wait_for()
    settled(walk.page)
    # A new page is scrolled to its top once more when it has been drawn.
    walk.page.wait_for_function(SCROLLED_DOWN)
    expect(walk.main.get_by_text("Advanced: the tariff as JSON")).to_be_in_viewport()
    expect(walk.main.get_by_text("100 kWh cost")).to_be_in_viewport()
