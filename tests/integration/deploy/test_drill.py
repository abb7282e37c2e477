"""docs/deploy.md on an empty Debian, line by line, until a bill has outlived a power cut."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from services.settings import PROJECT_FOLDER
from tests.integration.deploy.machine import Machine, empty_machine, lines_of
from tests.ui.chromium import ARGUMENTS, chromium_program
from tests.ui.test_people import set_password

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

DOCUMENT = PROJECT_FOLDER / "docs" / "deploy.md"
HOST = "billing.example.org"
URL = f"https://{HOST}"
SERVICE = "electricity-billing"
PATIENT_SECONDS = 120
METER_COLUMNS = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"


@dataclass
class Clock:
    """How long each part of the drill takes."""

    began: float = field(default_factory=time.monotonic)
    parts: list[str] = field(default_factory=list)

    def note(self, part: str) -> None:
        """A part is over."""
        now = time.monotonic()
        self.parts.append(f"{part} {now - self.began:.0f} s")
        self.began = now


@contextmanager
def phone_and_desk(machine: Machine, folder: Path) -> Iterator[tuple[Page, Page]]:
    """A phone and a desk in a browser outside that has the machine's network."""
    program = folder / "chromium"
    program.write_text(
        f'#!/bin/sh\nexec nsenter --net={machine.network} {chromium_program()} "$@"\n'
    )
    program.chmod(0o755)
    rules = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, rules])
        phone = _context(browser, 390, 844).new_page()
        desk = _context(browser, 1440, 900).new_page()
        yield phone, desk
        browser.close()


def _context(browser: Browser, width: int, height: int) -> BrowserContext:
    context = browser.new_context(
        viewport={"width": width, "height": height}, ignore_https_errors=True
    )
    context.set_default_timeout(60_000)
    return context


def install(machine: Machine) -> str:
    """Run the document's lines; the link that the last block finds in the log."""
    lines, look, *_ = lines_of(DOCUMENT, "A machine with nginx")
    machine.run(lines, inside=False)
    return str(
        wait_for(lambda: re.findall(r"https://\S+", machine.run(look, check=False).stdout))[0]
    )


def wait_for(ask: Callable[[], Any]) -> Any:
    """What is found once something is."""
    ends_at = time.monotonic() + PATIENT_SECONDS
    while not (found := ask()):
        assert time.monotonic() < ends_at
        time.sleep(0.5)
    return found


def bring_a_meter(machine: Machine) -> None:
    """A tariff, a customer and a meter that was connected 31 days ago at 1000 kWh."""
    opened = datetime.now(ZoneInfo("Asia/Kolkata")).date() - timedelta(days=31)
    machine.run(f"""
        cd /opt/{SERVICE}
        printf '%s\n' account_no,name A-1,House > /tmp/customers.csv
        printf '%s\\n' {METER_COLUMNS} M-1,A-1,KSEB-LT1A,manual,5,1,1000,{opened} > /tmp/meters.csv
        billing() {{ runuser -u billing -- .venv/bin/python -m services "$@"; }}
        billing import tariffs examples/tariffs/kseb-lt1a.json
        billing import customers /tmp/customers.csv
        billing import meters /tmp/meters.csv
    """)


def become_administrator(desk: Page, link: str) -> None:
    desk.goto(link)
    desk.get_by_role("button", name="Create the first account").click()
    desk.get_by_label("Your name").fill("The Boss")
    desk.get_by_label("Sign-in name").fill("boss@example.org")
    set_password(desk, "Create the administrator")
    desk.get_by_role("button", name="Sign out").wait_for()


def invite(desk: Page) -> str:
    desk.goto(f"{URL}/invite-user")
    desk.get_by_role("textbox", name="Name", exact=True).fill("Asha Pillai")
    desk.get_by_role("textbox", name="Sign-in name").fill("asha@example.org")
    desk.get_by_role("combobox").click()
    desk.get_by_role("option", name="Field engineer").click()
    desk.keyboard.press("Escape")
    desk.get_by_role("button", name="Invite").click()
    shown = desk.get_by_text(f"{URL}/sign-in/new-password?code=")
    return shown.first.inner_text().strip()


def submit(phone: Page, invitation: str) -> None:
    phone.goto(invitation)
    set_password(phone, "Set the password")
    phone.get_by_role("heading", name=re.compile("Submit")).wait_for()
    phone.goto(f"{URL}/submit-reading?meter=M-1")
    phone.get_by_label(re.compile("Reading")).first.fill("1117")
    phone.get_by_role("button", name=re.compile("Submit")).click()
    expect(phone.get_by_text("540.35").first).to_be_visible(timeout=60_000)


def change_to_caddy(machine: Machine) -> None:
    """Run the lines of the other proxy, with an authority of Caddy's own for certificates."""
    host, *_ = lines_of(DOCUMENT, "A machine with nginx")[0].splitlines()
    (lines,) = lines_of(DOCUMENT, "A machine with Caddy")
    *before, start = lines.splitlines()
    machine.run("systemctl disable --now nginx")
    machine.run("\n".join([host, *before]), inside=False)
    machine.run("sed -i 's/^{$/{ \\n local_certs \\n skip_install_trust/' /etc/caddy/Caddyfile")
    machine.run(start)


def cut_the_power(machine: Machine) -> None:
    machine.run(f"systemctl kill -s KILL {SERVICE}; systemctl start {SERVICE}")
    wait_for(lambda: machine.run(HEALTH, check=False).returncode == 0)


def see_the_same_through_caddy(desk: Page) -> None:
    """http leads to HTTPS by Caddy, and the pages come over their WebSocket."""
    answer = desk.goto(f"http://{HOST}/bills")
    assert answer
    assert (answer.url, "Caddy" in answer.all_headers()["server"]) == (f"{URL}/bills", True)
    expect(desk.get_by_text("540.35").first).to_be_visible()


# What the image's health check asks as well.
HEALTH = f"""cd /opt/{SERVICE} && .venv/bin/python -c \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/api/health', timeout=8)"
"""


def test_an_empty_machine_becomes_a_server_that_outlives_a_power_cut(
    tmp_path: Path, shared: Path, record_property: Callable[[str, object], None]
) -> None:
    clock = Clock()
    with empty_machine(shared) as machine:
        clock.note("an empty Debian")
        link = install(machine)
        assert link.startswith(f"{URL}/session/link?code=")
        clock.note("the document's lines")
        bring_a_meter(machine)
        with phone_and_desk(machine, tmp_path) as (phone, desk):
            become_administrator(desk, link)
            submit(phone, invite(desk))
            clock.note("a bill by the phone")
            cut_the_power(machine)
            clock.note("a power cut")
            phone.goto(f"{URL}/my-readings")
            expect(phone.get_by_text("1,117").first).to_be_visible()
            desk.goto(f"{URL}/bills")
            expect(desk.get_by_text("540.35").first).to_be_visible()
            clock.note("all is there")
            change_to_caddy(machine)
            see_the_same_through_caddy(desk)
            clock.note("the lines for Caddy")
    record_property("walked", f"docs/deploy.md: {', '.join(clock.parts)}")
