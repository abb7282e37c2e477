"""Tasks of a utility's year, each walked in a browser from the page where a person would begin.

The numbers are those of the list that the office's work is planned by; other files walk the rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect
from psycopg.rows import dict_row

from services.quantities.written import day as written_day
from tests.servers import NewDatabase
from tests.ui.app_process import AppProcess, settled
from tests.ui.conftest import PATIENT_MS, SignIn
from tests.ui.walking import PHONE, PHONE_AGENT, SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# Homes that are read by a person, whose last reading closes their last bill.
_HOMES = """
select m.serial, m.id as meter_id, b.id as bill_id, b.number, b.customer_id, b.opening_wh,
    b.closing_wh, b.period_end, b.amount_paid_minor, b.total_minor, b.closing_reading_id
from public.meters m
join lateral (
    select * from public.bills of_meter
    where of_meter.meter_id = m.id and of_meter.status <> 'void'
    order by of_meter.period_end desc limit 1
) b on true
join lateral (
    select * from public.readings r where r.meter_id = m.id order by r.read_at desc limit 1
) last on last.id = b.closing_reading_id
where m.kind = 'manual' and m.serial between 'M-114' and 'M-141' and b.number is not null
    and m.registers = '[]'
order by m.serial
"""


@dataclass
class Books:
    """The database of the app, and the homes that no walk has used yet."""

    dsn: str
    homes: list[dict[str, Any]] = field(default_factory=list)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> dict[str, Any]:
        (row,) = self.rows(query, *values)
        return row

    def customer(self) -> dict[str, Any]:
        """Somebody to look at, with their meter and its last bill."""
        return self.row(
            "select c.*, m.serial, b.number from public.customers c"
            " join public.bills b on b.customer_id = c.id join public.meters m on m.id = b.meter_id"
            " where m.serial = 'M-113' order by b.number desc limit 1"
        )

    def home(self, *, unpaid: bool = False, read_by: date | None = None) -> dict[str, Any]:
        """A home of its own for a walk: with a bill that is open or paid, last read by a day."""
        self.homes = self.homes or self.rows(_HOMES)
        for home in self.homes:
            if unpaid == (home["amount_paid_minor"] < home["total_minor"]) and (
                read_by is None or home["period_end"] <= read_by
            ):
                self.homes.remove(home)
                return home
        raise AssertionError("No home of the demo is left for this walk.")


@pytest.fixture(scope="module")
def books(fresh_database: NewDatabase) -> Books:
    return Books(fresh_database())


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], books: Books) -> AppProcess:
    """The demo, in a database that the walks can look into."""
    return app_server({"DATABASE_URL": books.dsn, "DEMO": "on", "EMBEDDED_GRAPH": "on"})


@pytest.fixture(scope="module")
def screens(
    app: AppProcess, browser: Any, sign_in_as: SignIn
) -> Iterator[Callable[[tuple[int, int]], Page]]:
    """A signed-in browser of each size for all walks: each begins with an address of its own."""
    pages: dict[tuple[int, int], Page] = {}

    def screen(size: tuple[int, int]) -> Page:
        if size not in pages:
            width, height = size
            context = browser.new_context(
                viewport={"width": width, "height": height},
                locale="en-IN",
                timezone_id="Asia/Kolkata",
                user_agent=PHONE_AGENT if size == PHONE else None,
                reduced_motion="reduce",
            )
            pages[size] = context.new_page()
            pages[size].set_default_timeout(PATIENT_MS)
            sign_in_as(pages[size], app, "Administrator")
        return pages[size]

    yield screen
    for page in pages.values():
        page.context.close()


@pytest.fixture
def walk(
    app: AppProcess, screens: Callable[[tuple[int, int]], Page], size: tuple[int, int]
) -> Walk:
    return Walk(screens(size), app)


def kwh(wh: int) -> str:
    return f"{wh / 1000:.3f}".rstrip("0").rstrip(".")


def find_place(walk: Walk, serial: str) -> None:
    """By the list of places, as somebody does who knows the meter."""
    walk.open("service-points")
    walk.begin()
    walk.fill("Search", serial)
    walk.follow(serial)


def find_bill(walk: Walk, number: int) -> None:
    walk.open("bills")
    walk.begin()
    walk.fill("Search", f"INV-{number:06d}")
    walk.follow(f"INV-{number:06d}")


def show_and_do(walk: Walk, *, why: str) -> None:
    """The end of each change of supply: what it does, why, and doing it."""
    walk.click("Show what it does")
    walk.says("What it does")
    walk.fill_in_form("Why", why)
    for sure in ("The readings are right", "I have seen the warning about back-billing"):
        if walk.main.get_by_text(sure).count():
            walk.main.get_by_text(sure).first.click()
            walk.clicks += 1


@SIZES
def test_task_6_somebody_is_found_by_what_is_known_of_them(walk: Walk, books: Books) -> None:
    who = books.customer()
    walk.open("overview")
    walk.begin()
    box = walk.main.get_by_label("Search everywhere")
    box.fill(who["serial"])
    box.press("Enter")
    walk.fields += 1
    walk.says(who["name"])
    settled(walk.page)
    walk.follow(who["serial"])
    walk.follow(who["name"])
    expect(walk.main.get_by_role("heading", name=who["name"])).to_be_visible()
    walk.done("task 6 · find somebody by a meter")

    for typed in (who["name"].lower()[:7], f"INV-{who['number']:06d}", who["account_no"]):
        walk.open("search")
        walk.begin()
        walk.fill("Search", typed)
        walk.says(who["name"])
        walk.done(f"task 6 · find somebody by {typed}")


@SIZES
def test_task_7_a_phone_number_and_a_language_are_changed(walk: Walk, books: Books) -> None:
    account = books.customer()
    walk.open("customers")
    walk.begin()
    walk.fill("Search", account["account_no"])
    walk.follow(account["name"])
    walk.view("Details")
    walk.fill_in_form("E-mail", "office")
    walk.click("Save")
    walk.says("is not an e-mail address")
    walk.fill_in_form("E-mail", "")
    phone = f"+9198470{walk.width:05d}"
    walk.fill_in_form("Phone", phone)
    walk.fill_in_form("Language of messages and bills", "hi")
    walk.click("Save")
    walk.says("The details are changed.")
    now = books.row("select * from public.customers where id = %s", account["id"])
    assert (now["phone"], now["language"]) == (phone, "hi")
    walk.done("task 7 · change a phone number and a language")


@SIZES
def test_task_8_everything_about_a_customer_is_on_one_page(walk: Walk, books: Books) -> None:
    account = books.customer()
    walk.open("customers")
    walk.begin()
    walk.fill("Search", account["account_no"])
    walk.follow(account["name"])
    walk.says("To pay")
    walk.says(account["serial"])
    walk.says("Use in the last 13 months")
    expect(walk.main.get_by_test_id("stVegaLiteChart")).to_be_visible()
    walk.done("task 8 · see everything about a customer")


@SIZES
def test_task_12_the_multiplier_is_another_since_last_week(walk: Walk, books: Books) -> None:
    on = books.row("select (now() at time zone 'Asia/Kolkata')::date - 7 as day")["day"]
    home = books.home(read_by=on - timedelta(days=1))
    find_place(walk, home["serial"])
    walk.follow("Change the multiplier")
    walk.fill_in_form("Right multiplier", "2")
    walk.fill_day("Since", on)
    walk.fill_in_form("Reading on that day (kWh)", kwh(home["closing_wh"] + 3000))
    show_and_do(walk, why="Another transformer was put in")
    walk.picture("task 12 · before it is done")
    walk.click("Do it")
    walk.says("The multiplier is changed.")
    walk.says("× 2")
    walk.done("task 12 · change the multiplier")
    (change,) = books.rows(
        "select * from public.supply_changes where kind = 'multiplier' and effective_on = %s"
        " and reason <> '' order by created_at desc limit 1",
        on,
    )
    assert change["created_by"]


@SIZES
def test_task_14_a_customer_is_on_another_tariff_from_a_date(walk: Walk, books: Books) -> None:
    on = books.row("select (now() at time zone 'Asia/Kolkata')::date - 5 as day")["day"]
    home = books.home(read_by=on - timedelta(days=1))
    find_place(walk, home["serial"])
    walk.follow("Change the tariff")
    walk.choose("Tariff", "DELHI-NDLT-5KW")
    walk.fill_day("From", on)
    show_and_do(walk, why="It is a shop now")
    walk.picture("task 14 · before it is done")
    walk.click("Do it")
    walk.says("The tariff is changed.")
    walk.says("Delhi shops")
    walk.done("task 14 · another tariff from a date")


@SIZES
def test_task_15_the_date_of_a_billed_reading_is_corrected(walk: Walk, books: Books) -> None:
    home = books.home()
    right = home["period_end"] - timedelta(days=2)
    find_bill(walk, home["number"])
    walk.follow("Correct this bill")
    walk.fill_day("It was taken on", right)
    walk.click("Show what it changes")
    walk.says("What it changes")
    expect(walk.main.get_by_text("→").filter(has_text=written_day(right)).first).to_be_visible()
    walk.fill_in_form("Reason", "The round was on Monday")
    walk.picture("task 15 · before a bill is corrected")
    walk.click("Void and reissue")
    walk.says("The round was on Monday")
    walk.done("task 15 · correct the date of a billed reading")
    bill = books.row("select * from public.bills where replaces_id = %s", home["bill_id"])
    assert bill["period_end"] == right
    assert bill["closing_wh"] == home["closing_wh"]


@SIZES
def test_task_15_the_date_of_a_reading_that_is_not_billed_is_corrected(
    walk: Walk, books: Books, size: tuple[int, int]
) -> None:
    serial = "S-142" if size[0] > 1000 else "S-143"
    read = books.row(
        "select r.* from public.readings r join public.meters m on m.id = r.meter_id"
        " where m.serial = %s and r.status = 'accepted' and not exists (select from public.bills b"
        " where r.id in (b.opening_reading_id, b.closing_reading_id))"
        " order by read_at desc limit 1",
        serial,
    )
    right = read["read_on"] - timedelta(days=1)
    walk.open(f"meter?id={read['meter_id']}")
    walk.begin()
    walk.click(walk.main.locator(f"a[href*='{read['id']}']").first)
    walk.fill_day("It was taken on", right)
    walk.click("Show what the rules say")
    walk.says(f"on {written_day(right)}")
    walk.fill_in_form("Why", "The clock of the meter was wrong")
    if walk.main.get_by_text("The reading is right").count():
        walk.main.get_by_text("The reading is right").click()
    walk.picture("task 15 · before a reading is corrected")
    walk.click("Correct it")
    walk.says("The reading is corrected.")
    walk.done("task 15 · correct the date of a reading")
    made = books.row("select * from public.readings where supersedes_id = %s", read["id"])
    assert (made["read_on"], made["register_wh"]) == (right, read["register_wh"])


@SIZES
def test_task_16_a_billed_reading_is_corrected_and_38_the_timeline_tells_it(
    walk: Walk, books: Books
) -> None:
    home = books.home()
    find_bill(walk, home["number"])
    walk.follow("Correct this bill")
    walk.fill_in_form("It was (kWh)", kwh(home["closing_wh"] - 4000))
    walk.click("Show what it changes")
    walk.says("less")
    walk.fill_in_form("Reason", "Two digits were swapped")
    walk.picture("task 16 · before a bill is corrected")
    walk.click("Void and reissue")
    walk.says("Two digits were swapped")
    walk.done("task 16 · correct a billed reading")
    bill = books.row("select * from public.bills where replaces_id = %s", home["bill_id"])
    assert bill["total_minor"] < home["total_minor"]

    walk.view("Timeline")
    walk.says("demo.admin")
    walk.says("Two digits were swapped")
    walk.done("task 38 · what happened to a bill")


@SIZES
def test_task_26_a_bill_is_voided_and_the_customer_told_once(walk: Walk, books: Books) -> None:
    home = books.home()
    find_bill(walk, home["number"])
    walk.follow("Correct this bill")
    walk.view("The whole bill")
    walk.click("Show what it changes")
    walk.says("What it changes")
    walk.fill_in_form("Reason", "Nobody lives there")
    walk.picture("task 26 · before a bill is voided")
    walk.click("Void")
    walk.says("Void")
    walk.says("Nobody lives there")
    walk.done("task 26 · void a bill")
    bill = books.row("select * from public.bills where id = %s", home["bill_id"])
    assert (bill["status"], bill["void_reason"]) == ("void", "Nobody lives there")
    told = books.rows(
        "select * from public.outbox where bill_id = %s and kind = 'bill_corrected'",
        home["bill_id"],
    )
    assert len(told) == 1


@SIZES
def test_task_28_a_cheque_bounces_and_its_bill_is_open_again(walk: Walk, books: Books) -> None:
    home = books.home(unpaid=True)
    walk.open(f"record-payment?bill={home['bill_id']}")
    walk.choose("Paid by", "Cheque")
    walk.fill_in_form("Reference", f"CHQ {home['number']}")
    walk.click(walk.main.locator("[data-testid=stBaseButton-primaryFormSubmit]").first)
    walk.open("payments")
    walk.begin()
    walk.fill("Search", f"CHQ {home['number']}")
    walk.click(walk.main.locator(".list a").first)
    walk.click(walk.main.get_by_text("Reverse it", exact=True))
    walk.fill_in_form("Reason", "The cheque bounced")
    walk.picture("task 28 · before a cheque is returned")
    walk.click("Reverse the payment")
    walk.says("The payment is reversed.")
    walk.says("Reversed")
    walk.done("task 28 · a returned cheque")
    bill = books.row("select * from public.bills where id = %s", home["bill_id"])
    assert bill["amount_paid_minor"] == home["amount_paid_minor"]


@SIZES
def test_task_30_instalments_are_agreed_and_seen_to_be_kept(walk: Walk, books: Books) -> None:
    home = books.home(unpaid=True)
    walk.open(f"customer?id={home['customer_id']}")
    walk.begin()
    walk.view("Plans")
    walk.click("Show the instalments")
    walk.picture("task 30 · before instalments are agreed")
    walk.fill_in_form("Note", "Agreed by phone")
    walk.click("Agree on this plan")
    walk.says("The plan is agreed.")
    expect(walk.main.get_by_text("to come")).to_have_count(3)
    walk.done("task 30 · agree on instalments")
    plan = books.row(
        "select * from public.instalment_plans where customer_id = %s", home["customer_id"]
    )
    parts = books.rows("select * from public.instalments where plan_id = %s", plan["id"])
    left = home["total_minor"] - home["amount_paid_minor"]
    assert sum(part["amount_minor"] for part in parts) == left
    walk.view("Overview")
    walk.says("Instalment plan")
    walk.done("task 30 · see how a plan stands")


@SIZES
def test_task_23_the_next_bill_run_is_seen_before_it_runs(walk: Walk, books: Books) -> None:
    before = books.row("select count(*) as bills from public.bills")
    walk.open("overview")
    walk.begin()
    walk.by_menu("Bill runs")
    walk.click("Show what it will do")
    walk.says("nothing was billed")
    walk.says("Will not be billed")
    walk.done("task 23 · see what the next bill run will do")
    assert books.row("select count(*) as bills from public.bills") == before


@SIZES
def test_task_24_what_will_not_be_billed_leads_to_what_mends_it(walk: Walk) -> None:
    walk.open("bill-runs")
    walk.begin()
    walk.click("Show what it will do")
    walk.says("Will not be billed")
    walk.click(walk.main.get_by_text("No reading yet").first)
    walk.picture("task 24 · why some will not be billed")
    walk.follow("Submit a reading")
    walk.page.wait_for_url("**/submit-reading?meter=*")
    walk.done("task 24 · from the next run to a missing reading")


@SIZES
def test_task_24_what_a_run_set_aside_leads_to_what_mends_it(walk: Walk, books: Books) -> None:
    walk.open("overview")
    walk.by_menu("Jobs")
    if not books.rows("select * from public.job_runs where job = 'monthly_bills'"):
        walk.click(walk.main.get_by_role("button", name="Run now").first)
        walk.click(walk.page.get_by_role("button", name="Yes, run it now"))
    aside = walk.main.get_by_text("set aside").last
    expect(aside).to_be_visible(timeout=60_000)
    settled(walk.page)
    walk.begin()
    walk.click(aside)
    walk.picture("task 24 · what a run set aside")
    walk.follow("Submit a reading")
    walk.page.wait_for_url("**/submit-reading?meter=*")
    walk.done("task 24 · from a run to a missing reading")


@SIZES
def test_task_37_losses_are_seen_by_transformer(walk: Walk) -> None:
    walk.open("overview")
    walk.begin()
    walk.by_menu("Network")
    walk.says("Supplied")
    walk.says("% lost")
    walk.done("task 37 · where energy is lost")


@SIZES
def test_a_route_gets_a_billing_day_of_its_own(walk: Walk, books: Books) -> None:
    route = f"R{walk.width}"
    point = books.row(
        "select id from public.service_points where code = %s",
        "M-111" if walk.width == PHONE[0] else "M-112",
    )
    walk.open(f"service-point?id={point['id']}&view=Details")
    walk.begin()
    walk.fill_in_form("Reading route", route)
    walk.click("Save")
    walk.says("The details are changed.")
    walk.by_menu("Bill runs")
    walk.view("Billing days")
    form = walk.main.get_by_test_id("stForm").filter(has_text=route)
    form.get_by_label("Billing day").fill("12")
    walk.fields += 1
    walk.click(form.get_by_role("button", name="Save"))
    # Said on the page where it was done, which shows the new day.
    walk.says(f"Route {route} is billed on the 12th")
    expect(walk.main.get_by_text("went wrong")).to_have_count(0)
    expect(walk.main.get_by_role("table").get_by_text("12th")).to_be_visible()
    walk.done("give a route a billing day")
