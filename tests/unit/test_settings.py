"""Settings come from the environment; wrong ones are named and secrets stay hidden."""

import re
import traceback
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from services import settings as settings_module
from services.records.use_limits import DEFAULT_DAILY_WH
from services.settings import PROJECT_FOLDER, Settings, SettingsError, load_settings

SECRETS = {
    "SUPABASE_SERVICE_KEY": "hush-supabase",
    "NEO4J_PASSWORD": "hush-neo4j",
    "OPENAI_API_KEY": "hush-openai",
    "STRIPE_SECRET_KEY": "hush-stripe",
    "STRIPE_WEBHOOK_SECRET": "hush-webhook",
    "DISCORD_WEBHOOK_URL": "https://discord.example/hush-discord",
    "WHATSAPP_TOKEN": "hush-whatsapp",
    "AUTH0_CLIENT_SECRET": "hush-auth0",
    "METER_HEADEND_TOKEN": "hush-meters",
}
BESIDE_THE_SECRETS = {
    "SUPABASE_URL": "https://abcd.supabase.co",
    "NEO4J_URI": "neo4j://localhost:7687",
    "NEO4J_USER": "neo4j",
    "WHATSAPP_PHONE_NUMBER_ID": "123",
    "AUTH0_DOMAIN": "tenant.eu.auth0.com",
    "AUTH0_AUDIENCE": "billing",
    "AUTH0_CLIENT_ID": "client",
    "METER_HEADEND_URL": "https://meters.example",
}


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_an_empty_environment_gives_the_embedded_defaults() -> None:
    settings = load_settings({})
    assert settings.embedded
    assert settings.demo
    assert settings.data_dir == PROJECT_FOLDER / "data"
    assert settings.timezone == ZoneInfo("Asia/Kolkata")
    assert (settings.currency, settings.due_days) == ("INR", 15)
    given = {name for name in Settings.model_fields if getattr(settings, name) is not None}
    assert given == {
        "data_dir",
        "backup_keep",
        "backup_nightly",
        "embedded_graph",
        "ai_hold_percent",
        "auth0_roles_claim",
        "public_url",
        "customer_page",
        "imap_port",
        "imap_security",
        "imap_folder",
        "whatsapp_pdf",
        "messages_per_minute_discord",
        "messages_per_minute_discord_customers",
        "messages_per_minute_whatsapp",
        "messages_per_minute_email",
        "messages_per_minute_sms",
        "meter_headend_concurrency",
        "meter_headend_max_age_days",
        "job_workers",
        "utility_name",
        "utility_contact",
        "timezone",
        "currency",
        "due_days",
        "bill_approval",
        "estimate_missing_reads",
        "estimate_after_days",
        "estimates_in_a_row",
        "shortest_bill_days",
        "back_billing_months",
        "new_meter_daily_kwh",
        "log_file_mb",
        "log_files_kept",
        "smtp_port",
        "smtp_security",
        "alert_bills_percent",
        "alert_outbox_hours",
        "alert_outside_minutes",
        "keep_outbox_months",
        "keep_messages_months",
        "keep_ai_months",
        "keep_photos_months",
        "keep_sign_ins_months",
        "keep_stripe_months",
        "keep_audit_years",
        "demo",
    }
    assert settings.public_url == "http://localhost:8501"
    assert settings.auth0_roles_claim == "https://electricity-billing/roles"


def test_an_empty_text_counts_as_unset() -> None:
    blank = {name.upper(): "  " for name in Settings.model_fields}
    assert load_settings(blank) == load_settings({})


def test_every_setting_stands_in_the_example_file_and_only_settings_do() -> None:
    lines = (PROJECT_FOLDER / ".env.example").read_text(encoding="utf-8").splitlines()
    named = [line.removesuffix("=") for line in lines if re.fullmatch(r"[A-Z0-9_]+=", line)]
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)
    assert all(not line or line.startswith("#") or line.endswith("=") for line in lines)


@pytest.mark.parametrize(
    ("database", "demo", "expected"),
    [
        ({}, "", True),
        ({}, "off", False),
        ({}, "FALSE", False),
        ({}, "0", False),
        ({"DATABASE_URL": "postgresql://u:p@h/d"}, "", False),
        ({"DATABASE_URL": "postgresql://u:p@h/d"}, "on", True),
        ({"SUPABASE_URL": "https://a.example", "SUPABASE_SERVICE_KEY": "k"}, "", False),
        ({"SUPABASE_URL": "https://a.example", "SUPABASE_SERVICE_KEY": "k"}, "1", True),
    ],
)
def test_the_demo_is_on_only_with_the_embedded_database_unless_said(
    database: dict[str, str], demo: str, expected: bool
) -> None:
    settings = load_settings({**database, "DEMO": demo})
    assert settings.demo is expected
    assert settings.embedded is not bool(database)
    assert settings.utility_name.startswith("Demo ") is expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SUPABASE_URL", "abcd.supabase.co"),
        ("SUPABASE_URL", "https://user:word@abcd.supabase.co"),
        ("SUPABASE_URL", "https://["),
        ("DATABASE_URL", "mysql://u:p@h/d"),
        ("NEO4J_URI", "http://localhost"),
        ("OPENAI_BASE_URL", "file:///etc/passwd"),
        ("AI_HOLD_PERCENT", "-1"),
        ("AI_HOLD_PERCENT", "1001"),
        ("AI_HOLD_PERCENT", "NaN"),
        ("AI_MONTHLY_BUDGET", "1e3"),
        ("AI_PRICE_INPUT", "$2"),
        ("DISCORD_WEBHOOK_URL", "discord"),
        ("WHATSAPP_PHONE_NUMBER_ID", "+91 1"),
        ("AUTH0_DOMAIN", "https://tenant.eu.auth0.com"),
        ("TRUSTED_PROXY", "proxy.example"),
        ("TRUSTED_PROXY", "127.0.0.1,0.0.0.0/0"),
        ("TRUSTED_PROXY", "10.1.0.7/24"),
        ("PUBLIC_URL", "billing.example"),
        ("METER_HEADEND_URL", "meters"),
        ("UTILITY_NAME", "x" * 101),
        ("TIMEZONE", "Kerala"),
        ("TIMEZONE", "../../etc/passwd"),
        ("CURRENCY", "rupees"),
        ("CURRENCY", "ZZZ"),
        ("CURRENCY", "XAU"),
        ("DUE_DAYS", "-1"),
        ("DUE_DAYS", "15.5"),
        ("DUE_DAYS", "soon"),
        ("DEMO", "maybe"),
    ],
)
def test_a_wrong_value_names_its_variable_and_what_is_expected(variable: str, value: str) -> None:
    (problem,) = problems_of({variable: value})
    assert problem.startswith(f"{variable}: expected ")
    assert value not in problem


def test_all_wrong_variables_are_named_at_once() -> None:
    problems = problems_of({"DUE_DAYS": "x", "DEMO": "x", "TIMEZONE": "x"})
    assert [problem.split(":")[0] for problem in problems] == ["DEMO", "TIMEZONE", "DUE_DAYS"]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"SUPABASE_URL": "https://a.example"}, {"SUPABASE_SERVICE_KEY"}),
        ({"SUPABASE_SERVICE_KEY": "k"}, {"SUPABASE_URL"}),
        ({"NEO4J_USER": "u"}, {"NEO4J_URI", "NEO4J_PASSWORD"}),
        ({"OPENAI_MODEL": "m"}, {"OPENAI_API_KEY"}),
        ({"AI_PRICE_INPUT": "1"}, {"AI_PRICE_OUTPUT"}),
        ({"AI_MONTHLY_BUDGET": "20"}, {"AI_PRICE_INPUT", "AI_PRICE_OUTPUT"}),
        ({"STRIPE_SECRET_KEY": "k"}, {"STRIPE_WEBHOOK_SECRET"}),
        ({"STRIPE_WEBHOOK_SECRET": "k"}, {"STRIPE_SECRET_KEY"}),
        ({"WHATSAPP_TOKEN": "t"}, {"WHATSAPP_PHONE_NUMBER_ID"}),
        (
            {"AUTH0_DOMAIN": "a.example"},
            {"AUTH0_AUDIENCE", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"},
        ),
        ({"METER_HEADEND_TOKEN": "t"}, {"METER_HEADEND_URL"}),
    ],
)
def test_a_half_set_group_is_refused(given: dict[str, str], missing: set[str]) -> None:
    assert {problem.split(":")[0] for problem in problems_of(given)} == missing


def test_a_key_for_the_ai_and_an_address_of_meters_are_enough_alone() -> None:
    settings = load_settings({"OPENAI_API_KEY": "k", "METER_HEADEND_URL": "http://m.example/"})
    assert settings.openai_base_url is None
    assert settings.meter_headend_url == "http://m.example"


def test_percentages_prices_and_budgets_of_ai_are_exact() -> None:
    settings = load_settings(
        {"AI_PRICE_INPUT": "0.40", "AI_PRICE_OUTPUT": "1.60", "AI_MONTHLY_BUDGET": "0"}
    )
    assert settings.ai_hold_percent == Decimal(5)
    assert (settings.ai_price_input, settings.ai_price_output) == (Decimal("0.40"), Decimal("1.60"))
    assert settings.ai_monthly_budget == 0


def test_two_databases_at_once_are_refused() -> None:
    both = {
        "SUPABASE_URL": "https://a.example",
        "SUPABASE_SERVICE_KEY": "k",
        "DATABASE_URL": "postgresql://u:p@h/d",
    }
    assert [problem.split(":")[0] for problem in problems_of(both)] == ["DATABASE_URL"]


def test_secrets_are_never_shown() -> None:
    settings = load_settings(SECRETS | BESIDE_THE_SECRETS)
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert "hush" not in shown
    assert "abcd.supabase.co" in shown
    assert settings.stripe_secret_key is not None
    assert settings.stripe_secret_key.get_secret_value() == "hush-stripe"


def test_the_password_in_a_database_address_is_never_shown() -> None:
    assert "hush" not in repr(load_settings({"DATABASE_URL": "postgresql://u:hush@h/d"}))


@pytest.mark.parametrize(
    "environ",
    [
        SECRETS,
        SECRETS | BESIDE_THE_SECRETS | {"DUE_DAYS": "hush"},
        {"DATABASE_URL": "mysql://u:hush@h/d"},
        {"DISCORD_WEBHOOK_URL": "hush://discord"},
        {"SUPABASE_URL": "https://u:hush@a.example"},
    ],
)
def test_an_error_shows_no_secret_even_with_its_whole_traceback(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load_settings({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.due_days = 30  # type: ignore[misc]


def test_a_relative_data_folder_lies_in_the_project_and_an_absolute_one_stays() -> None:
    assert load_settings({"DATA_DIR": "elsewhere"}).data_dir == PROJECT_FOLDER / "elsewhere"
    assert load_settings({"DATA_DIR": "/var/lib/bills"}).data_dir == Path("/var/lib/bills")
    assert load_settings({"DATA_DIR": "~/bills"}).data_dir == Path.home() / "bills"


class TestTheEnvFile:
    @pytest.fixture(autouse=True)
    def _project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings_module, "PROJECT_FOLDER", tmp_path)
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)

    def test_is_read_beside_the_environment_which_wins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("DUE_DAYS=20\nCURRENCY=usd\nUTILITY_NAME='A & B ${HOME}'\n")
        monkeypatch.setenv("DUE_DAYS", "30")
        settings = load_settings()
        assert (settings.due_days, settings.currency) == (30, "USD")
        assert settings.utility_name == "A & B ${HOME}"

    def test_is_not_needed(self) -> None:
        assert load_settings().due_days == 15

    def test_is_left_alone_when_an_environment_is_given(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("DUE_DAYS=20\n")
        assert load_settings({}).due_days == 15

    def test_that_is_no_text_is_refused_without_showing_it(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes(b"STRIPE_SECRET_KEY=hush\xff\xfe\n")
        with pytest.raises(SettingsError, match=r"\.env") as caught:
            load_settings()
        assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_the_limit_of_an_unknown_meter_is_that_of_the_rules() -> None:
    assert load_settings({}).unknown_daily_wh == DEFAULT_DAILY_WH


def test_proxies_are_addresses_and_networks() -> None:
    assert load_settings({}).trusted_proxy is None
    given = load_settings({"TRUSTED_PROXY": "127.0.0.1, ::1, 10.1.0.0/24"}).trusted_proxy
    assert given == "127.0.0.1,::1,10.1.0.0/24"
