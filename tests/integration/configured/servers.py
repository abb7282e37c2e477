"""A server on loopback for every outside system, and the app configured for all of them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import requests
from neo4j import GraphDatabase

from app import create_app
from services.bootstrap import build_services
from services.bootstrap_providers import Addresses
from services.container import Services
from services.importing import Importer, WhatToImport
from services.messages import discord
from services.quantities.period import local_date
from services.settings import PROJECT_FOLDER, load_settings
from tests.contract.supabase_project import SupabaseProject
from tests.integration.api.serving import serving
from tests.integration.providers import published
from tests.integration.providers.conftest import UNLIMITED, Providers
from tests.integration.providers.stand_in import Reply, Seen, StandIn, reply
from tests.mail_server import Mailbox
from tests.oidc.tenant import AUDIENCE, CLIENT_ID, CLIENT_SECRET, Tenant

Json = dict[str, Any]

STRIPE_KEY = "sk_test_1234567890"
ENGINEER = "auth0|engineer-7"
NAME = "Mill House"
EMAIL = "house@mill-lane.example"
PHONE = "+919876543210"
ADDRESS = "7 Mill Lane"
UTILITY = "Mill Lane Power"
SENDER = "billing@mill-lane.example"
TARIFF = PROJECT_FOLDER / "examples" / "tariffs" / "kseb-lt1a.json"
_LOGIN_URL = "http://localhost:8501/oauth2callback"
_OF_THE_CONNECTION = {"host", "connection", "content-length", "accept-encoding"}


@dataclass(frozen=True)
class GraphServer:
    """Where a graph answers, and to whom."""

    uri: str
    user: str
    password: str

    def cypher(self, query: str, **values: Any) -> list[Json]:
        """What the graph answers to a question in Cypher."""
        user = (self.user, self.password)
        with GraphDatabase.driver(self.uri, auth=user) as driver:
            return [row.data() for row in driver.execute_query(query, values).records]


@dataclass(frozen=True)
class Supabase:
    """A project; `dsn` is its database itself, for letting time pass and nothing else."""

    project: SupabaseProject
    dsn: str

    def rows(self, view: str, **filters: str) -> list[Json]:
        """What the project answers to a plain request for rows."""
        key = self.project.service_key
        answer = requests.get(
            f"{self.project.url}/rest/v1/{view}",
            params=filters,
            headers={"apikey": key, "Authorization": f"Bearer {key}"},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()
        return found


@dataclass(frozen=True)
class Servers:
    """Every outside system."""

    supabase: Supabase
    graph: GraphServer
    ai_url: str
    providers: Providers
    tenant: Tenant
    mail: Mailbox
    twilio: StandIn

    @property
    def settings(self) -> dict[str, str]:
        """The environment in which everything is configured."""
        return self.tenant.settings | {
            "SUPABASE_URL": self.supabase.project.url,
            "SUPABASE_SERVICE_KEY": self.supabase.project.service_key,
            "NEO4J_URI": self.graph.uri,
            "NEO4J_USER": self.graph.user,
            "NEO4J_PASSWORD": self.graph.password,
            "OPENAI_API_KEY": "sk-of-nobody",
            "OPENAI_BASE_URL": self.ai_url,
            "AI_PRICE_INPUT": "0.40",
            "AI_PRICE_OUTPUT": "1.60",
            "STRIPE_SECRET_KEY": STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRET": "whsec_x",
            "DISCORD_WEBHOOK_URL": f"{self.providers.discord.url}{published.SHARED_PATH}",
            "WHATSAPP_TOKEN": published.WHATSAPP_TOKEN,
            "WHATSAPP_PHONE_NUMBER_ID": published.PHONE_ID,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": SENDER,
            "TWILIO_ACCOUNT_SID": published.TWILIO_ACCOUNT,
            "TWILIO_AUTH_TOKEN": published.TWILIO_TOKEN,
            "TWILIO_FROM": published.TWILIO_NUMBER,
            **UNLIMITED,
            "UTILITY_NAME": UTILITY,
        }

    @property
    def addresses(self) -> Addresses:
        """Where the services are that have one address for all the world."""
        return Addresses(
            stripe=self.providers.stripe.url,
            whatsapp=self.providers.whatsapp.url,
            twilio=self.twilio.url,
            check_webhook=self._check_webhook,
        )

    def _check_webhook(self, address: str) -> str:
        discord.check_webhook(address.replace(self.providers.discord.url, "https://discord.com"))
        return address

    @contextmanager
    def app(self, changed: Mapping[str, str] | None = None) -> Iterator["App"]:
        """The app on loopback, wired from its settings, some of them changed."""
        with TemporaryDirectory() as folder, ExitStack() as stack:
            environment = self.settings | {"DATA_DIR": folder} | dict(changed or {})
            services = build_services(load_settings(environment), addresses=self.addresses)
            stack.callback(services.close)
            port = stack.enter_context(serving(create_app(services)))
            yield App(self, services, f"http://127.0.0.1:{port}")

    def sign_in(self) -> str:
        """The access token that the tenant gives an engineer who signs in."""
        self.tenant.next_person(ENGINEER, roles=["engineer"])
        tenant = f"http://{self.tenant.domain}"
        asked = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": _LOGIN_URL}
        asked |= {"scope": "openid", "state": "x", "audience": AUDIENCE}
        back = requests.get(
            f"{tenant}/authorize", params=asked, allow_redirects=False, timeout=10
        ).headers["Location"]
        (code,) = parse_qs(urlsplit(back).query)["code"]
        given = requests.post(
            f"{tenant}/oauth/token",
            data={"grant_type": "authorization_code", "code": code, "redirect_uri": _LOGIN_URL},
            auth=(CLIENT_ID, CLIENT_SECRET),
            timeout=10,
        )
        return str(given.json()["access_token"])


@dataclass(frozen=True)
class App:
    """The app as it listens on loopback."""

    servers: Servers
    services: Services
    url: str

    def add_household(self, serial: str) -> Json:
        """A meter that stood at 1000 kWh 31 days ago, its customer reached on every channel.

        The reading that makes 117 kWh, as it is handed in.
        """
        opened = local_date(datetime.now(UTC), self.services.settings.timezone) - timedelta(days=31)
        account = f"A-{serial}"
        self._import("tariffs", TARIFF.read_text())
        self._import("transformers", "code,name,feeder_code\nT-MILL,Mill Lane,F-EAST")
        self._import(
            "customers",
            "account_no,name,email,phone,address,whatsapp_opt_in\n"
            f"{account},{NAME},{EMAIL},{PHONE},{ADDRESS},yes",
        )
        self._import(
            "meters",
            "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,"
            f"transformer_code\n{serial},{account},KSEB-LT1A,manual,5,1,1000,{opened},T-MILL",
        )
        own_webhook = f"{self.servers.providers.discord.url}{published.OWN_PATH}"
        self.services.database.set_customer_channels(
            actor="test", rows=[{"account_no": account, "discord_webhook_url": own_webhook}]
        )
        read_at = datetime.now(UTC).isoformat()
        return {"meter_serial": serial, "reading_kwh": "1117", "read_at": read_at}

    def submit(self, reading: Json, token: str) -> tuple[int, Json]:
        """Hand a reading in as a program of the engineer's does; status and answer."""
        answer = requests.post(
            f"{self.url}/webhook/meter-reading",
            json=reading,
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        found: Json = answer.json()
        return answer.status_code, found

    def health(self) -> Json:
        """What the app says of its services to everybody."""
        states: Json = requests.get(f"{self.url}/api/health", timeout=10).json()["services"]
        return states

    def later(self) -> None:
        """Let the pause of all open work be over, and take it up in the background."""
        with psycopg.connect(self.servers.supabase.dsn) as connection:
            connection.execute("select set_config('billing.actor', 'test', true)")
            connection.execute("update public.outbox set next_attempt_at = now()")
        self.services.outbox.sweep()

    def _import(self, what: WhatToImport, text: str) -> None:
        importer = Importer(self.services.database, self.services.settings.timezone)
        report = importer.run(what, text, actor="test", now=datetime.now(UTC))
        assert report.ok, [str(problem) for problem in report.errors]


def in_front_of(url: str) -> StandIn:
    """Passes every request on to another server as it came, and keeps it with its answer."""

    def pass_on(seen: Seen) -> Reply:
        answer = requests.request(
            seen.method,
            f"{url}{seen.path}",
            params=dict(seen.query),
            data=seen.body,
            headers={n: v for n, v in seen.headers.items() if n not in _OF_THE_CONNECTION},
            timeout=10,
        )
        return Reply(answer.status_code, answer.content)

    return StandIn(pass_on, lambda why: reply(502, {"error": {"message": why}}))
