"""The engineer's round in a browser, at a desk's and a phone's width, also without a network."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from tests.integration.utility import ADMIN, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.app_process import AppProcess
from tests.ui.conftest import SignIn
from tests.ui.walking import DESK, PHONE, SIZES, new_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

METERS = 10
_SMALLEST_TEXT = """() => Math.min(...[...document.querySelectorAll("body *")]
    .filter(one => one.offsetParent)
    .filter(one => [...one.childNodes].some(part => part.nodeType === 3 && part.data.trim()))
    .map(one => parseFloat(getComputedStyle(one).fontSize)))"""
# Targets under 44 pixels, and texts with less contrast than 4.5 to their ground.
_TOO_SMALL = """() => [...document.querySelectorAll("a, button, input:not([type=checkbox]), select,"
    + " textarea, label.check")].filter(one => one.offsetParent)
    .filter(one => ["height", "width"].some(side => one.getBoundingClientRect()[side] < 44))
    .map(one => one.outerHTML)"""
_TOO_FAINT = """() => {
    const parts = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
    const ground = one => {
        for (; one; one = one.parentElement) {
            const [r, g, b, a = 1] = parts(getComputedStyle(one).backgroundColor);
            if (a === 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll("body *")].filter(one => one.offsetParent)
        .filter(one => one.matches("input, select, textarea")
            || [...one.childNodes].some(part => part.nodeType === 3 && part.data.trim()))
        .map(one => [one, light(parts(getComputedStyle(one).color)), light(ground(one))])
        .filter(([_, ink, paper]) =>
            (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 4.5)
        .map(([one]) => one.outerHTML.slice(0, 200));
}"""
_TIMES = """async () => {
    const { timeOf } = await import("/round/clock.js");
    const day = 86400e3, at = 1000 * day;
    const days = (entry, now) => timeOf(entry, now) / day;
    return {
        right: days({ typedAt: at, ahead: 0, contact: at - day / 2 }, at + day),
        behind: days({ typedAt: at - day, ahead: day, contact: at - day / 2 }, at + day),
        // A day behind at the last contact, and put right before it was typed.
        put_right: days({ typedAt: at, ahead: day, contact: at - day / 2 }, at + day / 2),
        // An empty battery set it back to 1970.
        lost: days({ typedAt: 5000, ahead: 0, contact: 900 * day }, at),
    };
}"""
_AS_BEFORE = """async () => {
    const { entries, put } = await import("/round/store.js");
    for (const { ahead, contact, ...entry } of await entries()) {
        if (entry.state === "waiting")
            await put({ ...entry, body: { ...entry.body, read_at: new Date().toISOString() } });
    }
}"""
_OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def dsn(fresh_database: NewDatabase) -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def utility(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Utility]:
    made = make_utility(dsn, tmp_path_factory.mktemp("data"))
    yield made
    made.services.close()


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], dsn: str) -> AppProcess:
    return app_server({"DATABASE_URL": dsn, "DEMO": "off"})


@dataclass
class OnRound:
    """An engineer on the page of a round, and the serials of its route."""

    page: Page
    route: str
    serials: list[str]

    @property
    def card(self) -> Locator:
        return self.page.locator(".card")

    def result(self, serial: str) -> Locator:
        return self.page.locator(".result").filter(has_text=serial)

    def at(self, serial: str) -> None:
        expect(self.card.get_by_role("heading", name=serial)).to_be_visible()

    def read(self, serial: str, kwh: str) -> None:
        self.at(serial)
        self.page.get_by_label("Reading (kWh)").fill(kwh)
        self.page.get_by_role("button", name="Send reading").click()

    def still(self, number: int) -> None:
        expect(self.page.get_by_role("heading", name=f"still to read {number}")).to_be_visible()


@pytest.fixture
def on_round(
    app: AppProcess,
    utility: Utility,
    page_at: Callable[..., Page],
    sign_in_as: SignIn,
    size: tuple[int, int],
) -> OnRound:
    """Before a route of ten meters, by the button of the engineer's pages."""
    route = f"North {uuid4().hex[:4]}"
    serials = [f"M-{uuid4().hex[:6].upper()}" for _ in range(METERS)]
    for place, serial in enumerate(serials):
        _on_route(utility, serial, route, place)
    page = new_page(page_at, size)
    sign_in_as(page, app, "Field engineer")
    page.goto(f"{app.url}/submit-reading")
    page.get_by_role("button", name="Today's round").click()
    page.get_by_role("button", name=re.compile(route)).click()
    return OnRound(page, route, serials)


@SIZES
def test_a_round_of_ten_meters_with_a_dropped_connection_and_no_access(
    on_round: OnRound, utility: Utility
) -> None:
    page, serials = on_round.page, on_round.serials
    _with_a_connection(on_round)
    page.context.set_offline(True)
    for serial, kwh in zip(serials[2:5], ("1105", "1112.5", "१११८"), strict=True):
        on_round.read(serial, kwh)
    _could_not_read(on_round, serials[5])
    kept = "4 entries kept on this phone"
    expect(page.get_by_role("status")).to_contain_text(kept)
    # Closed and opened again, still without a connection.
    page.reload()
    on_round.still(4)
    expect(page.get_by_role("status")).to_contain_text(kept)
    assert [_readings(utility, serial) for serial in serials[2:5]] == [[], [], []]

    page.context.set_offline(False)
    for serial in serials[2:5]:
        expect(on_round.result(serial)).to_contain_text("Accepted. Billed: ₹")
    expect(on_round.result(serials[5])).to_contain_text("not read: no access")
    photos = utility.services.meter_photos.of_meter(
        meter_id=_meter(utility, serials[5]).id, principal=ADMIN
    )
    assert [(one.width, one.height) for one in photos if one.missed_read_id] == [(1600, 1200)]
    for serial, kwh in zip(serials[6:], ("1101", "1102", "1103", "1104"), strict=True):
        on_round.read(serial, kwh)
    expect(page.get_by_role("heading", name="all read")).to_be_visible()
    expect(on_round.result(serials[9])).to_contain_text("Accepted.")
    expect(page.get_by_role("status")).to_contain_text("Everything is sent")
    typed = ["1117", "99000", "1105", "1112.5", "1118", None, "1101", "1102", "1103", "1104"]
    once = [[kwh] if kwh else [] for kwh in typed]
    assert [_readings(utility, serial) for serial in serials] == once
    _seen(on_round)


@SIZES
def test_who_signs_out_leaves_no_names_on_the_phone_and_what_was_typed(
    on_round: OnRound, utility: Utility, app: AppProcess, sign_in_as: SignIn
) -> None:
    page, serial = on_round.page, on_round.serials[0]
    on_round.at(serial)
    page.context.set_offline(True)
    on_round.read(serial, "1117")
    on_round.at(on_round.serials[1])
    page.context.clear_cookies()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_text("Open this page once while you are connected.")).to_be_visible()
    expect(page.get_by_text("House M-")).to_have_count(0)
    page.context.set_offline(False)
    assert _readings(utility, serial) == []
    sign_in_as(page, app, "Field engineer")
    page.goto(f"{app.url}/round")
    expect(on_round.result(serial)).to_contain_text("Accepted. Billed: ₹")
    assert _readings(utility, serial) == ["1117"]


@pytest.mark.parametrize("size", [PHONE])
def test_what_one_person_typed_is_never_sent_as_another(
    on_round: OnRound, utility: Utility, app: AppProcess, sign_in_as: SignIn
) -> None:
    page, serial = on_round.page, on_round.serials[0]
    on_round.at(serial)
    page.context.set_offline(True)
    on_round.read(serial, "1117")
    on_round.at(on_round.serials[1])
    who = page.locator("#who").inner_text()
    page.context.clear_cookies()
    page.context.set_offline(False)
    sign_in_as(page, app, "Administrator")
    page.goto(f"{app.url}/round")
    expect(page.get_by_role("status")).to_contain_text(f"as {who}: sign in as {who} to send them")
    expect(page.get_by_text("House M-")).to_have_count(0)
    assert _readings(utility, serial) == []
    page.context.clear_cookies()
    sign_in_as(page, app, "Field engineer")
    page.goto(f"{app.url}/round")
    expect(on_round.result(serial)).to_contain_text("Accepted. Billed: ₹")
    (stored,) = [
        one
        for one in utility.services.database.readings(meter_id=_meter(utility, serial).id).items
        if not one.is_opening
    ]
    assert stored.submitted_by == who


@pytest.mark.parametrize("size", [PHONE])
def test_a_wrong_clock_and_a_full_phone_lose_nothing(on_round: OnRound, utility: Utility) -> None:
    page, (first, second, *_) = on_round.page, on_round.serials
    on_round.at(first)
    found = page.evaluate(_TIMES)
    assert found == {"right": 1000, "behind": 1000, "put_right": 1000, "lost": 900}
    # The phone keeps nothing more: what is typed stays in the form.
    page.evaluate(
        "() => { IDBObjectStore.prototype.keptPut = IDBObjectStore.prototype.put;"
        " IDBObjectStore.prototype.put = () => {"
        " throw new DOMException('', 'QuotaExceededError') } }"
    )
    on_round.read(first, "1117")
    expect(page.get_by_role("alert")).to_contain_text("This phone has no room left")
    expect(page.get_by_label("Reading (kWh)")).to_have_value("1117")
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("status")).to_contain_text("no room left")
    expect(page.get_by_label("Reading (kWh)")).to_have_value("1117")
    page.evaluate("() => { IDBObjectStore.prototype.put = IDBObjectStore.prototype.keptPut }")
    page.get_by_role("button", name="Send reading").click()
    expect(on_round.result(first)).to_contain_text("Accepted.")
    # What a version of before kept is sent by this one.
    page.context.set_offline(True)
    on_round.read(second, "1118")
    expect(page.get_by_role("status")).to_contain_text("1 entry kept on this phone")
    page.evaluate(_AS_BEFORE)
    page.context.set_offline(False)
    expect(on_round.result(second)).to_contain_text("Accepted.")
    assert [_readings(utility, one) for one in (first, second)] == [["1117"], ["1118"]]


@pytest.mark.parametrize("size", [PHONE])
def test_it_can_be_read_and_tapped_in_any_light(on_round: OnRound) -> None:
    page = on_round.page
    on_round.at(on_round.serials[0])
    page.get_by_role("checkbox").check()
    _is_clear(page)
    page.get_by_label("Reading (kWh)").fill("99000")
    page.get_by_role("button", name="Send reading").click()
    _is_clear(page)
    page.get_by_role("button", name="The meter shows it").click()
    expect(on_round.result(on_round.serials[0])).to_contain_text("Needs review.")
    page.get_by_role("button", name="Could not read").click()
    page.get_by_role("button", name="Could not read it").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose why")
    _is_clear(page)


def _is_clear(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(_TOO_FAINT) == [], scheme
    assert page.evaluate(_TOO_SMALL) == []
    assert page.evaluate(_OVERFLOW) <= 0


@pytest.mark.parametrize("size", [DESK])
def test_a_read_that_the_server_stumbles_over_holds_up_no_other(
    on_round: OnRound, utility: Utility
) -> None:
    page, (first, second, *_) = on_round.page, on_round.serials
    on_round.at(first)
    failing = [True]

    def answer(route: Route) -> None:
        if failing[0] and first in (route.request.post_data or ""):
            route.fulfill(
                status=500, json={"error": {"code": "internal", "message": "On our side"}}
            )
        else:
            route.continue_()

    page.route("**/webhook/meter-reading", answer)
    on_round.read(first, "1117")
    on_round.read(second, "1118")
    expect(on_round.result(second)).to_contain_text("Accepted.")
    expect(page.get_by_role("status")).to_contain_text("On our side 1 entry kept on this phone")
    failing[0] = False
    page.reload()
    expect(on_round.result(first)).to_contain_text("Accepted.")
    assert _readings(utility, first) == ["1117"]


@pytest.mark.parametrize("size", [DESK])
def test_the_office_sees_the_photo_and_why_there_is_no_reading(
    on_round: OnRound,
    utility: Utility,
    app: AppProcess,
    sign_in_as: SignIn,
    page_at: Callable[..., Page],
) -> None:
    serial = on_round.serials[0]
    _could_not_read(on_round, serial)
    expect(on_round.result(serial)).to_contain_text("Noted.")
    office = page_at()
    sign_in_as(office, app, "Administrator")
    meter = _meter(utility, serial)
    office.goto(f"{app.url}/meter?id={meter.id}")
    expect(office.get_by_text("Could not be read,").first).to_be_visible()
    expect(office.get_by_test_id("stImage").get_by_role("img")).to_have_count(1)
    for address in (f"meter?id={meter.id}", f"service-point?id={meter.service_point_id}"):
        office.goto(f"{app.url}/{address}&view=Timeline")
        said = office.get_by_text(f"Meter {serial} could not be read: no access")
        expect(said.first).to_be_visible()


def _with_a_connection(on_round: OnRound) -> None:
    page, serials = on_round.page, on_round.serials
    on_round.still(METERS)
    expect(on_round.card).to_contain_text("1,000 kWh")
    expect(on_round.card).to_contain_text("Ring twice")
    assert page.evaluate(_SMALLEST_TEXT) >= 16
    assert page.evaluate(_OVERFLOW) <= 0
    assert page.get_by_label("Reading (kWh)").get_attribute("inputmode") == "decimal"
    on_round.read(serials[0], "1117")
    expect(on_round.result(serials[0])).to_contain_text(re.compile(r"Accepted\. Billed: ₹"))
    on_round.still(9)
    assert re.search("false|undefined|null|NaN", page.inner_text("body")) is None
    # What cannot be a number is said before anything is kept; what is not expected is asked.
    on_round.read(serials[1], "11,17")
    expect(page.get_by_role("alert")).to_contain_text("without commas")
    on_round.read(serials[1], "99000")
    page.get_by_role("button", name="The meter shows it").click()
    expect(on_round.result(serials[1])).to_contain_text("Needs review.")


def _seen(on_round: OnRound) -> None:
    """What came of a read is kept until it was seen, and the meter stays read."""
    page = on_round.page
    page.reload()
    page.get_by_role("button", name="All seen").click()
    expect(page.locator(".result")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="all read")).to_be_visible()
    expect(page.locator(".result")).to_have_count(0)


def _could_not_read(on_round: OnRound, serial: str) -> None:
    page = on_round.page
    on_round.at(serial)
    page.get_by_role("button", name="Could not read").click()
    page.get_by_role("button", name="Could not read it").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose why")
    page.get_by_label("Why it could not be read").select_option("no_access")
    page.get_by_label("Note").fill("Nobody at home")
    page.get_by_label("Photo (optional)").set_input_files(
        {"name": "gate.jpg", "mimeType": "image/jpeg", "buffer": _large_photo()}
    )
    expect(page.get_by_role("img", name="Photo")).to_be_visible()
    page.get_by_role("button", name="Could not read it").click()


def _large_photo() -> bytes:
    """As a phone takes them: 12 million pixels."""
    written = io.BytesIO()
    Image.effect_noise((4000, 3000), 40).convert("RGB").save(written, "JPEG")
    return written.getvalue()


def _readings(utility: Utility, serial: str) -> list[str]:
    """What was submitted of a meter, in kWh."""
    found = utility.services.database.readings(meter_id=_meter(utility, serial).id).items
    return [f"{one.register_wh / 1000:g}" for one in found if not one.is_opening]


def _meter(utility: Utility, serial: str) -> Any:
    return utility.services.readings.meter_now(
        serial=serial, principal=ADMIN, now=utility.now
    ).meter


def _on_route(utility: Utility, serial: str, route: str, sequence: int) -> None:
    utility.add_meter(serial)
    code = _meter(utility, serial).service_point_code
    place = {"row": 1, "id": str(uuid4()), "code": code, "route": route, "sequence": sequence}
    answer = utility.services.database.import_rows(
        what="service_points",
        actor=ADMIN.user,
        rows=[place | {"access_note": "Ring twice"}],
        dry_run=False,
    )
    assert answer.changed == 1
