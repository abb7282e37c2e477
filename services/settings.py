"""The settings of the whole system, read once from the environment and checked."""

import ipaddress
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from services.quantities.money import exponent

PROJECT_FOLDER = Path(__file__).resolve().parent.parent

# Those of services.identity.permissions, which a room below it cannot ask.
ROLES = ("engineer", "cashier", "clerk", "manager", "auditor", "admin")

_SWITCH = {"on": True, "true": True, "1": True, "yes": True}
_SWITCH |= {"off": False, "false": False, "0": False, "no": False}


class SettingsError(Exception):
    """The environment cannot be used; `problems` has a sentence for each wrong variable."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("Some settings are wrong:\n" + "\n".join(f"- {p}" for p in problems))


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not a web address")
    return value.rstrip("/")


def _issuer(value: str) -> str:
    # As it is: a slash at its end belongs to it or does not.
    parts = urlsplit(value)
    _web_address(value)
    if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1"}:
        raise ValueError("not encrypted")
    return value


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [pair.rpartition("=") for pair in value.split(",")]
    if any(not name.strip() or role.strip() not in ROLES for name, _, role in pairs):
        raise ValueError("not a name and a role")
    return {name.strip(): role.strip() for name, _, role in pairs}


def _proxies(value: str) -> str:
    networks = [ipaddress.ip_network(one.strip()) for one in value.split(",")]
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("everybody is no proxy")
    single = {
        network: network.network_address for network in networks if network.num_addresses == 1
    }
    return ",".join(str(single.get(network, network)) for network in networks)


def _secret_web_address(value: SecretStr) -> SecretStr:
    return SecretStr(_web_address(value.get_secret_value()))


def _postgres_address(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"postgres", "postgresql"}:
        raise ValueError("not a Postgres address")
    return value


def _from_project_folder(value: Path) -> Path:
    return (PROJECT_FOLDER / value.expanduser()).resolve()


def _time_zone(value: object) -> object:
    # Looked up in the list first: ZoneInfo() would open any file that the name leads to.
    if isinstance(value, str) and value not in available_timezones():
        raise ValueError("not a time zone")
    return ZoneInfo(value) if isinstance(value, str) else value


def _currency(value: str) -> str:
    exponent(value.upper())  # Refuses what is no currency.
    return value.upper()


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _on_or_off(value: object) -> object:
    return _SWITCH.get(value.lower(), value) if isinstance(value, str) else value


def _without_database(set_so_far: Mapping[str, object]) -> bool:
    return set_so_far.get("supabase_url") is None and set_so_far.get("database_url") is None


def _name_of_nobody(set_so_far: Mapping[str, object]) -> str:
    """What stands where a utility has no name yet; the demo has one."""
    return "Demo Electricity Co-operative" if set_so_far.get("demo") else "Electricity billing"


def _copy_place(value: str) -> str:
    if value.startswith("s3://"):
        if not urlsplit(value).hostname or "@" in value or "?" in value:
            raise ValueError("not a bucket")
        return value.rstrip("/")
    if "://" in value:
        raise ValueError("neither a folder nor a bucket")
    return str(_from_project_folder(Path(value)))


def _without_demo(set_so_far: Mapping[str, object]) -> bool:
    return not set_so_far.get("demo")


def _kept(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


def _plain_decimal(value: object) -> object:
    # Neither 1e3 nor NaN, which Decimal would take.
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        raise ValueError("not a plain decimal number")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]
PlainDecimal = Annotated[Decimal, BeforeValidator(_plain_decimal)]
SecretWebAddress = Annotated[SecretStr, AfterValidator(_secret_web_address)]
CopyPlace = Annotated[str, AfterValidator(_copy_place)]
KeptBackups = Annotated[
    tuple[
        Annotated[int, Field(ge=1, le=400)],
        Annotated[int, Field(ge=0, le=400)],
        Annotated[int, Field(ge=0, le=400)],
    ],
    BeforeValidator(_kept),
]
PostgresAddress = Annotated[SecretStr, AfterValidator(_postgres_address)]
MonthsKept = Annotated[int, Field(ge=2, le=600)]
MailAddress = Annotated[str, Field(pattern=r"^[^\s@,<>]+@[^\s@,<>]+$", max_length=254)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
# Those that the utility may set itself on the Settings page.
UtilityName = Annotated[str, Field(min_length=1, max_length=100)]
ContactLines = Annotated[str, Field(max_length=200)]
TimeZone = Annotated[ZoneInfo, BeforeValidator(_time_zone)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
DueDays = Annotated[int, Field(ge=0, le=365)]
DaysToWait = Annotated[int, Field(ge=0, le=25)]
InARow = Annotated[int, Field(ge=1, le=12)]

# A field's description is what its error says after "expected".
_ANY_TEXT = "a text"
_PER_MINUTE = "a number of messages from 1 to 100000"
_DOLLARS = "an amount in US dollars such as 20 or 0.40"
_WEB = "an address such as https://example.org, without a user name or password in it"
_MONTHS = "a whole number of months from 2 to 600"
_MAIL = "an e-mail address such as operators@example.org"
_BOUNCES = "an e-mail address such as bounces@example.org, with at most 22 letters before the @"
_HOST = "a host name such as tenant.eu.auth0.com, without https://"

# When any name of a group on the left is set, all names on the right must be.
_NEEDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("supabase_url", "supabase_service_key"),) * 2,
    (("neo4j_uri", "neo4j_user", "neo4j_password"),) * 2,
    (("openai_base_url", "openai_model"), ("openai_api_key",)),
    # A budget means nothing while nobody knows what a call costs.
    (("ai_price_input", "ai_price_output"),) * 2,
    (("ai_monthly_budget",), ("ai_price_input", "ai_price_output")),
    (("stripe_secret_key", "stripe_webhook_secret"),) * 2,
    (("whatsapp_token", "whatsapp_phone_number_id"),) * 2,
    (("auth0_domain", "auth0_audience", "auth0_client_id", "auth0_client_secret"),) * 2,
    (("oidc_issuer", "oidc_client_id", "oidc_client_secret"),) * 2,
    (("oidc_roles_claim",), ("oidc_issuer",)),
    (("oidc_role_names",), ("oidc_roles_claim",)),
    (("meter_headend_token",), ("meter_headend_url",)),
    (("green_button_token",), ("green_button_url",)),
    (("backup_s3_key_id", "backup_s3_secret"),) * 2,
    (("backup_s3_endpoint", "backup_s3_region", "backup_s3_key_id"), ("backup_copy_to",)),
    (("operations_email",), ("smtp_host", "smtp_from")),
    (("smtp_user", "smtp_password"),) * 2,
    (("customer_email_from",), ("smtp_host",)),
    (("twilio_account_sid", "twilio_auth_token", "twilio_from"),) * 2,
    (("sms_gateway_url", "sms_gateway_body"),) * 2,
    (("whatsapp_app_secret", "whatsapp_verify_token"),) * 2,
    (("whatsapp_app_secret",), ("whatsapp_token",)),
    (("whatsapp_code_template",), ("whatsapp_token",)),
    (("customer_email_bounces_to",), ("customer_email_from",)),
    (("imap_host", "imap_user", "imap_password"),) * 2,
    (("imap_host",), ("customer_email_from",)),
    (("sms_gateway_token",), ("sms_gateway_url",)),
)


class Settings(BaseModel):
    """Everything that can be set, each field named as its variable in lower case; None is unset."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Annotated[Path, AfterValidator(_from_project_folder)] = Field(
        default=PROJECT_FOLDER / "data", description="a folder"
    )
    backup_dir: Annotated[Path, AfterValidator(_from_project_folder)] | None = Field(
        default=None, description="a folder"
    )
    # Of how many days, weeks and months a backup is kept.
    backup_keep: KeptBackups = Field(
        default=(7, 4, 12), description="days, weeks and months such as 7,4,12"
    )
    backup_copy_to: CopyPlace | None = Field(
        default=None, description="a folder, or a bucket such as s3://bucket/folder"
    )
    backup_s3_endpoint: WebAddress | None = Field(default=None, description=_WEB)
    backup_s3_region: str | None = Field(default=None, description=_ANY_TEXT)
    backup_s3_key_id: str | None = Field(default=None, description=_ANY_TEXT)
    backup_s3_secret: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    supabase_url: WebAddress | None = Field(default=None, description=_WEB)
    supabase_service_key: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    database_url: PostgresAddress | None = Field(
        default=None, description="an address that starts with postgresql://"
    )
    neo4j_uri: str | None = Field(
        default=None,
        pattern=r"^(bolt|neo4j)(\+s|\+ssc)?://[^\s@]+$",
        description="an address that starts with neo4j:// or bolt://, without a password in it",
    )
    neo4j_user: str | None = Field(default=None, description=_ANY_TEXT)
    neo4j_password: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    embedded_graph: Annotated[bool, BeforeValidator(_on_or_off)] = Field(
        default=True, description="on or off"
    )
    openai_api_key: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    openai_base_url: WebAddress | None = Field(default=None, description=_WEB)
    openai_model: str | None = Field(default=None, description=_ANY_TEXT)
    ai_hold_percent: PlainDecimal = Field(
        default=Decimal(5), le=1000, description="a percentage from 0 to 1000 such as 5 or 0.5"
    )
    ai_monthly_budget: PlainDecimal | None = Field(default=None, description=_DOLLARS)
    ai_price_input: PlainDecimal | None = Field(default=None, description=_DOLLARS)
    ai_price_output: PlainDecimal | None = Field(default=None, description=_DOLLARS)
    stripe_secret_key: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    stripe_webhook_secret: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    # Whoever knows a Discord webhook's address can post to it.
    discord_webhook_url: SecretWebAddress | None = Field(default=None, description=_WEB)
    whatsapp_token: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    whatsapp_phone_number_id: str | None = Field(
        default=None, pattern=r"^[0-9]+$", description="digits only"
    )
    # Both are set with the webhook, by which WhatsApp reports what became of messages.
    whatsapp_app_secret: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    whatsapp_verify_token: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    whatsapp_pdf: Annotated[bool, BeforeValidator(_on_or_off)] = Field(
        default=False, description="on or off"
    )
    # Approved for codes (category "authentication"): by it codes to sign in go by WhatsApp too.
    whatsapp_code_template: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]{1,512}$", description="a template's name"
    )
    messages_per_minute_discord: int = Field(default=30, ge=1, le=100_000, description=_PER_MINUTE)
    messages_per_minute_discord_customers: int = Field(
        default=1_500, ge=1, le=100_000, description=_PER_MINUTE
    )
    messages_per_minute_whatsapp: int = Field(
        default=4_500, ge=1, le=100_000, description=_PER_MINUTE
    )
    twilio_account_sid: str | None = Field(
        default=None, pattern=r"^AC[0-9a-f]{32}$", description="AC and 32 digits or letters a to f"
    )
    twilio_auth_token: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    # A number, a name of at most eleven letters and digits, or a messaging service.
    twilio_from: str | None = Field(
        default=None,
        pattern=r"^(\+[1-9][0-9]{6,14}|MG[0-9a-f]{32}|[A-Za-z0-9 ]{1,11})$",
        description="a number such as +14155550100, a name, or MG and 32 digits or letters a to f",
    )
    # Its path or query may hold a key.
    sms_gateway_url: SecretWebAddress | None = Field(default=None, description=_WEB)
    sms_gateway_body: str | None = Field(default=None, description=_ANY_TEXT)
    sms_gateway_token: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    messages_per_minute_sms: int = Field(default=60, ge=1, le=100_000, description=_PER_MINUTE)
    customer_email_from: MailAddress | None = Field(default=None, description=_MAIL)
    # Where mail comes back to; each message adds its own mark before the @.
    customer_email_bounces_to: MailAddress | None = Field(
        default=None, pattern=r"^[^\s@,<>]{1,22}@", description=_BOUNCES
    )
    imap_host: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9.-]+$", description="a host such as imap.example.org"
    )
    imap_port: int = Field(default=993, ge=1, le=65_535, description="a port from 1 to 65535")
    imap_security: Literal["starttls", "tls", "none"] = Field(
        default="tls", description="starttls, tls or none"
    )
    imap_user: str | None = Field(default=None, description=_ANY_TEXT)
    imap_password: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    imap_folder: str = Field(
        default="INBOX", pattern=r"^[ -~]{1,200}$", description="the name of a folder"
    )
    messages_per_minute_email: int = Field(default=60, ge=1, le=100_000, description=_PER_MINUTE)
    auth0_domain: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9.-]+(:[0-9]+)?$", description=_HOST
    )
    auth0_audience: str | None = Field(default=None, description=_ANY_TEXT)
    auth0_client_id: str | None = Field(default=None, description=_ANY_TEXT)
    auth0_client_secret: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    auth0_roles_claim: str = Field(
        default="https://electricity-billing/roles", description=_ANY_TEXT
    )
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] | None = Field(
        default=None,
        description="an address such as https://login.example.org/realms/utility, with https",
    )
    oidc_client_id: str | None = Field(default=None, description=_ANY_TEXT)
    oidc_client_secret: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    oidc_roles_claim: str | None = Field(default=None, description=_ANY_TEXT)
    oidc_role_names: Annotated[dict[str, str], BeforeValidator(_names)] | None = Field(
        default=None,
        description="the provider's names with roles of ours, such as Billing=clerk,Field=engineer",
    )
    public_url: WebAddress = Field(default="http://localhost:8501", description=_WEB)
    # A page of their own for customers, below /my.
    customer_page: Annotated[bool, BeforeValidator(_on_or_off)] = Field(
        default=True, description="on or off"
    )
    trusted_proxy: Annotated[str, AfterValidator(_proxies)] | None = Field(
        default=None,
        description="addresses or networks of proxies, such as 127.0.0.1 or 10.1.0.0/24",
    )
    meter_headend_url: WebAddress | None = Field(default=None, description=_WEB)
    meter_headend_token: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    meter_headend_concurrency: int = Field(
        default=16, ge=1, le=200, description="a whole number from 1 to 200"
    )
    meter_headend_max_age_days: int = Field(
        default=3, ge=1, le=60, description="a whole number of days from 1 to 60"
    )
    green_button_url: WebAddress | None = Field(default=None, description=_WEB)
    green_button_token: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    job_workers: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 8),
        ge=1,
        le=64,
        description="a whole number from 1 to 64",
    )
    dask_scheduler: str | None = Field(
        default=None,
        pattern=r"^(tcp|tls)://[^\s@]+:[0-9]+$",
        description="an address such as tcp://10.1.0.5:8786",
    )
    demo: Annotated[bool, BeforeValidator(_on_or_off)] = Field(
        default_factory=_without_database,
        description="on or off",
    )
    utility_name: UtilityName = Field(
        default_factory=_name_of_nobody, description="a name of at most 100 characters"
    )
    utility_contact: ContactLines = Field(
        default="", description="an address or telephone of at most 200 characters"
    )
    timezone: TimeZone = Field(
        default=ZoneInfo("Asia/Kolkata"), description="a time zone such as Asia/Kolkata"
    )
    currency: CurrencyCode = Field(
        default="INR", description="a three-letter currency code such as INR"
    )
    due_days: DueDays = Field(default=15, description="a whole number of days from 0 to 365")
    shortest_bill_days: int = Field(
        default=2, ge=1, le=25, description="a whole number of days from 1 to 25"
    )
    bill_approval: Annotated[bool, BeforeValidator(_on_or_off)] = Field(
        default=False, description="on or off"
    )
    estimate_missing_reads: Annotated[bool, BeforeValidator(_on_or_off)] = Field(
        default=False, description="on or off"
    )
    estimate_after_days: DaysToWait = Field(
        default=5, description="a whole number of days from 0 to 25"
    )
    estimates_in_a_row: InARow = Field(default=3, description="a whole number from 1 to 12")
    back_billing_months: int = Field(
        default=12, ge=1, le=240, description="a whole number of months from 1 to 240"
    )
    new_meter_daily_kwh: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="a whole number of kWh from 1 to 1000000",
    )
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] | None = Field(
        default=None, description="DEBUG, INFO, WARNING or ERROR"
    )
    log_file: Annotated[Path, AfterValidator(_from_project_folder)] | None = Field(
        default=None, description="a path of a file"
    )
    log_file_mb: int = Field(
        default=10, ge=1, le=10_000, description="a whole number of MB from 1 to 10000"
    )
    log_files_kept: int = Field(default=5, ge=1, le=100, description="a whole number from 1 to 100")
    operations_discord_webhook_url: SecretWebAddress | None = Field(default=None, description=_WEB)
    operations_email: MailAddress | None = Field(default=None, description=_MAIL)
    smtp_host: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="a host such as smtp.example.org",
    )
    smtp_port: int = Field(default=587, ge=1, le=65_535, description="a port from 1 to 65535")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls, tls or none"
    )
    smtp_user: str | None = Field(default=None, description=_ANY_TEXT)
    smtp_password: SecretStr | None = Field(default=None, description=_ANY_TEXT)
    smtp_from: MailAddress | None = Field(default=None, description=_MAIL)
    alert_bills_percent: int = Field(
        default=30, ge=1, le=1000, description="a whole percentage from 1 to 1000"
    )
    alert_outbox_hours: int = Field(
        default=6, ge=1, le=720, description="a whole number of hours from 1 to 720"
    )
    alert_outside_minutes: int = Field(
        default=15, ge=1, le=1440, description="a whole number of minutes from 1 to 1440"
    )
    keep_outbox_months: MonthsKept = Field(default=13, description=_MONTHS)
    keep_messages_months: MonthsKept = Field(default=36, description=_MONTHS)
    keep_ai_months: MonthsKept = Field(default=24, description=_MONTHS)
    keep_sign_ins_months: MonthsKept = Field(default=12, description=_MONTHS)
    keep_photos_months: int = Field(
        default=36, ge=13, le=600, description="a whole number of months from 13 to 600"
    )
    keep_stripe_months: int = Field(
        default=36, ge=24, le=600, description="a whole number of months from 24 to 600"
    )
    keep_audit_years: int = Field(
        default=10, ge=6, le=100, description="a whole number of years from 6 to 100"
    )
    backup_nightly: Annotated[bool, BeforeValidator(_on_or_off)] = Field(
        default_factory=_without_demo,
        description="on or off",
    )

    @model_validator(mode="after")
    def _groups_are_whole(self) -> Self:
        problems = [
            f"{missing.upper()}: needed beside {given[0].upper()}."
            for names, needed in _NEEDS
            if (given := [name for name in names if getattr(self, name) is not None])
            for missing in needed
            if getattr(self, missing) is None
        ]
        if self.supabase_url and self.database_url:
            problems.append("DATABASE_URL: leave it empty beside SUPABASE_URL, or the reverse.")
        if self.auth0_domain and self.oidc_issuer:
            problems.append("OIDC_ISSUER: leave it empty beside AUTH0_DOMAIN, or the reverse.")
        if self.twilio_account_sid and self.sms_gateway_url:
            problems.append(
                "SMS_GATEWAY_URL: leave it empty beside TWILIO_ACCOUNT_SID, or the reverse."
            )
        if problems:
            raise SettingsError(problems)
        return self

    @property
    def openid(self) -> bool:
        """True when people sign in through a provider, Auth0 or another."""
        return self.auth0_domain is not None or self.oidc_issuer is not None

    @property
    def customer_page_address(self) -> str | None:
        """Below which messages link to customers' pages; None where no public address is set."""
        named = "public_url" in self.model_fields_set
        return self.public_url if self.customer_page and named else None

    @property
    def unknown_daily_wh(self) -> int:
        """The most Wh a day of a meter of which nothing is known yet."""
        return 1000 * self.new_meter_daily_kwh

    @property
    def backups_folder(self) -> Path:
        """Where the backups are kept that the system makes by itself."""
        return self.backup_dir or self.data_dir / "backups"

    @property
    def embedded(self) -> bool:
        """True when the database is the Postgres of our own under `data_dir`."""
        return self.supabase_url is None and self.database_url is None

    @property
    def in_words(self) -> str:
        """What is used, for the log: names of systems, no address and no secret."""
        database = "embedded" if self.embedded else "Supabase" if self.supabase_url else "Postgres"
        outside = {
            "AI": self.openai_api_key,
            "Stripe": self.stripe_secret_key,
            "Discord": self.discord_webhook_url,
            "WhatsApp": self.whatsapp_token,
            "Auth0": self.auth0_domain,
            "OpenID": self.oidc_issuer,
            "Neo4j": self.neo4j_uri,
            "head-end": self.meter_headend_url,
            "Green Button": self.green_button_url,
        }
        used = ", ".join(name for name, value in outside.items() if value) or "nothing"
        demo = ", demo" if self.demo else ""
        return f"{database} database{demo}, time zone {self.timezone.key}; configured: {used}"

    @property
    def reachable_url(self) -> str | None:
        """Where providers reach this system, if it is anywhere else than this machine."""
        host = urlsplit(self.public_url).hostname
        return None if host in {"localhost", "127.0.0.1", "::1"} else self.public_url

    @property
    def secrets(self) -> list[str]:
        """The values that nothing may show."""
        given = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in given if isinstance(value, SecretStr)]

    @property
    def sends_messages(self) -> bool:
        """True when there is a channel to write to customers on; the demo has none."""
        senders = (
            self.discord_webhook_url,
            self.whatsapp_token,
            self.customer_email_from,
            self.twilio_auth_token,
            self.sms_gateway_url,
        )
        return any(sender is not None for sender in senders) and not self.demo


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ`, by default the process's own plus the project's `.env`.

    A variable of the environment wins over the same one in `.env`; an empty one counts as unset.
    Raises SettingsError naming every wrong variable, never its value.
    """
    if environ is None:
        environ = _variables_of_env_file(PROJECT_FOLDER / ".env") | dict(os.environ)
    given = {name: environ.get(name.upper(), "").strip() for name in Settings.model_fields}
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        # A default that depends on a wrong field is not wrong itself.
        wrong = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
        problems = [_problem(str(detail["loc"][0])) for detail in wrong]
    # Raised outside the `except`, so that no chained error carries a value into a log.
    raise SettingsError(list(dict.fromkeys(problems)))


def variables_set() -> dict[str, str]:
    """The variables of ours that the environment and `.env` set, as `load_settings` reads them."""
    environ = _variables_of_env_file(PROJECT_FOLDER / ".env") | dict(os.environ)
    given = {name.upper(): environ.get(name.upper(), "").strip() for name in Settings.model_fields}
    return {name: value for name, value in given.items() if value}


def _variables_of_env_file(path: Path) -> dict[str, str]:
    try:
        found = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        # Not chained: the decoding error holds the file's bytes, secrets among them.
        raise SettingsError([f"The file {path.name} cannot be read as UTF-8 text."]) from None
    return {name: value for name, value in found.items() if value is not None}


def _problem(field: str) -> str:
    return f"{field.upper()}: expected {Settings.model_fields[field].description}."
