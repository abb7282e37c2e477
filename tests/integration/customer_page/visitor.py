"""A customer with a browser without scripts, and the office beside them."""

import re
import time
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import psycopg
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from tests.integration.utility import Utility
from tests.mail_server import Mailbox, body_of

LINK = re.compile(r"https://bills\.example(/my/open\?k=[\w-]+)")
_CODE = re.compile(r"\b(\d{4}) (\d{4})\b")
_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')
_ID = re.compile(r'name="id" value="([0-9a-f-]+)"')


@dataclass
class Visitor:
    """A browser: it keeps cookies, and sends a form with what stands hidden in it."""

    client: FlaskClient
    address: str = "127.0.0.1"
    page: TestResponse | None = field(default=None, repr=False)

    def get(self, path: str, **how: Any) -> str:
        """Look at a page, going on where it leads; its text."""
        how.setdefault("follow_redirects", True)
        self.page = self.client.get(path, environ_base={"REMOTE_ADDR": self.address}, **how)
        return self.text

    def post(self, path: str, *, token: str | None = None, **fields: Any) -> str:
        """Send a form of the page that is shown; the text of the answer."""
        data = {"token": token if token is not None else self.token, **fields}
        self.page = self.client.post(
            path, data=data, environ_base={"REMOTE_ADDR": self.address}, follow_redirects=True
        )
        return self.text

    @property
    def text(self) -> str:
        assert self.page is not None
        return unescape(self.page.data.decode("utf-8", "replace"))

    @property
    def status(self) -> int:
        assert self.page is not None
        return self.page.status_code

    @property
    def token(self) -> str:
        found = _TOKEN.search(self.text)
        return found[1] if found else ""

    @property
    def form_id(self) -> str:
        found = _ID.search(self.text)
        assert found, self.text
        return found[1]

    def open(self, link: str) -> str:
        """Open a link of a message, and press its button."""
        self.get(link)
        return self.post("/my/open", k=link.partition("k=")[2])


@dataclass
class Town:
    """A utility whose customers have a page, with the mail server that reaches them."""

    utility: Utility
    box: Mailbox
    dsn: str

    def visitor(self, address: str = "127.0.0.1") -> Visitor:
        """A new browser."""
        app = create_app(self.utility.services, clock=lambda: self.utility.now)
        return Visitor(app.test_client(), address)

    def home(self, serial: str, email: str | None = None) -> str:
        """A meter with its customer, who is reached by e-mail; the customer's id."""
        self.utility.add_meter(serial)
        with psycopg.connect(self.dsn) as connection:
            connection.execute("select set_config('billing.actor', 'test', false)")
            row = connection.execute(
                "update public.customers set email = %s where account_no = %s returning id",
                [f"{serial.lower()}@post.example" if email is None else email, f"A-{serial}"],
            ).fetchone()
        assert row
        return str(row[0])

    def bill(self, serial: str, kwh: int = 1117) -> Any:
        """A bill, as it is stored; its mail has left."""
        made = self.utility.submit(serial, kwh).bill
        assert made is not None
        return self.utility.services.database.bill(made.id)

    def mail_to(self, address: str, number: int = 1) -> str:
        """The text of the last mail to an address, once so many came."""
        until = time.monotonic() + 10
        while True:
            found = [m for m in self.box.mails if address in str(m["To"])]
            if len(found) >= number:
                return body_of(found[-1])
            assert time.monotonic() < until, (address, len(found))
            time.sleep(0.02)

    def link(self, serial: str) -> str:
        """The link in the last mail to a customer."""
        found = LINK.search(self.mail_to(f"{serial.lower()}@post.example"))
        assert found
        return found[1]

    def code(self, serial: str, number: int) -> str:
        """The code in the last mail to a customer, once so many mails came."""
        found = _CODE.search(self.mail_to(f"{serial.lower()}@post.example", number))
        assert found
        return f"{found[1]}{found[2]}"

    def confirmed(self, serial: str) -> Visitor:
        """A browser that came by the link of a bill's mail and showed the code."""
        visitor = self.visitor()
        visitor.open(self.link(serial))
        visitor.get("/my/confirm")
        before = len(self.box.mails)
        visitor.post("/my/confirm/send", next="/my")
        until = time.monotonic() + 10
        while len(self.box.mails) == before:
            assert time.monotonic() < until
            time.sleep(0.02)
        visitor.post("/my/confirm", code=self.code(serial, 1), next="/my")
        return visitor

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as the owner; its rows."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("select set_config('billing.actor', 'test', false)")
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []
