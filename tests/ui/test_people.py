"""From an empty system to people who sign in: the first administrator invites an engineer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from services.settings import PROJECT_FOLDER
from tests.ui.app_process import AppProcess, choose, settled

pytestmark = pytest.mark.browser

PASSWORD = "quiet lantern under water"
LINK = re.compile(r"http://localhost:[0-9]+/session/link\?code=\S+")
INVITATION = re.compile(r"http://\S+/sign-in/new-password\?code=[\w-]+")


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    return app_server({"DEMO": "off", "TIMEZONE": "UTC"})


def bring_a_meter(app: AppProcess) -> None:
    """A tariff, a customer and a meter that was connected 31 days ago at 1000 kWh."""
    opened = (datetime.now(UTC) - timedelta(days=31)).date()
    rows = {
        "customers": "account_no,name,email,phone,address\nA-1,House 1,,,1 Hill Road\n",
        "meters": "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on\n"
        f"M-1,A-1,KSEB-LT1A,manual,5,1,1000,{opened}\n",
    }
    tariff = PROJECT_FOLDER / "examples" / "tariffs" / "kseb-lt1a.json"
    environment = {"DEMO": "off", "TIMEZONE": "UTC"}
    app.command("import", "tariffs", str(tariff), environment=environment)
    for what, text in rows.items():
        file = app.data_dir.parent / f"{what}.csv"
        file.write_text(text)
        app.command("import", what, str(file), environment=environment)


def set_password(page: Page, button: str) -> None:
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name=button).click()


def become_administrator(app: AppProcess, page: Page) -> None:
    (link,) = app.waited_for(LINK)
    page.goto(link)
    page.get_by_role("button", name="Create the first account").click()
    page.get_by_label("Your name").fill("The Boss")
    page.get_by_label("Sign-in name").fill("boss@example.org")
    set_password(page, "Create the administrator")
    page.get_by_role("button", name="Sign out").wait_for()


def invite(app: AppProcess, page: Page) -> str:
    """Invite an engineer; the link that is shown."""
    page.goto(f"{app.url}/invite-user")
    page.get_by_role("textbox", name="Name", exact=True).fill("Asha Pillai")
    page.get_by_role("textbox", name="Sign-in name").fill("asha@example.org")
    choose(page.get_by_role("combobox"), "Field engineer")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Invite").click()
    page.get_by_text("Hand this link to Asha Pillai").wait_for()
    expect(page.get_by_test_id("stCode")).to_contain_text("?code=")
    (invitation,) = set(INVITATION.findall(page.inner_text("body")))
    return str(invitation)


def accept(app: AppProcess, phone: Page, invitation: str) -> None:
    """Set a password by the link, and submit a reading."""
    phone.goto(invitation)
    expect(phone.get_by_label("Your sign-in name")).to_have_value("asha@example.org")
    set_password(phone, "Set the password")
    phone.get_by_role("heading", name=re.compile("Submit")).wait_for()
    phone.goto(f"{app.url}/submit-reading?meter=M-1")
    phone.get_by_label(re.compile("Reading")).first.fill("1117")
    phone.get_by_role("button", name=re.compile("Submit")).click()
    expect(phone.get_by_text("540.35").first).to_be_visible()


def end_sign_ins(app: AppProcess, page: Page) -> None:
    page.goto(f"{app.url}/users")
    page.get_by_text("Asha Pillai").first.click()
    page.get_by_role("button", name="End sign-ins").click()
    page.get_by_role("button", name="Yes, end sign-ins").click()
    expect(page.get_by_text("Every sign-in is ended")).to_be_visible()


def sign_in_again(app: AppProcess, phone: Page) -> None:
    """From the page that was asked for back to it, and on to the round."""
    phone.goto(f"{app.url}/my-readings")
    expect(phone.get_by_text("Your sign-in has ended")).to_be_visible()
    phone.get_by_label("Sign-in name").fill("asha@example.org")
    phone.get_by_label("Password", exact=True).fill(PASSWORD)
    phone.get_by_role("button", name="Sign in").click()
    expect(phone.get_by_role("heading", name="My readings")).to_be_visible()
    phone.goto(f"{app.url}/round")
    expect(phone.get_by_text("asha@example.org")).to_be_visible()


def test_the_first_administrator_invites_an_engineer_who_reads_and_is_signed_out(
    app: AppProcess, page: Page, phone: Page, page_at: Callable[..., Page]
) -> None:
    bring_a_meter(app)
    become_administrator(app, page)
    accept(app, phone, invite(app, page))
    end_sign_ins(app, page)
    sign_in_again(app, phone)
    # For a stranger the role selection is gone.
    door = page_at(1280)
    door.goto(app.url)
    expect(door.get_by_label("Password", exact=True)).to_be_visible()
    door.get_by_role("link", name="Sign in with a token").click()
    door.get_by_label("User id").wait_for()
    settled(door)
    assert door.get_by_role("button", name=re.compile("Field engineer|Administrator")).count() == 0
