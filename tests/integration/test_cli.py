"""The command line as an operator uses it: exit codes, sentences, and a process of its own."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from services import VERSION
from services.bootstrap_database import MIGRATIONS
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import newest_version
from services.identity.auth import LocalTokens, hash_api_key
from services.identity.passwordless import SignInLinks
from services.identity.permissions import Role
from services.identity.signing_key import load_or_create_signing_key
from services.quantities.spreadsheet import xlsx_file
from services.settings import PROJECT_FOLDER, Settings
from tests.command import run_command
from tests.integration.people.office import open_office

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def variables(database: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the commands, in which the machine's own settings do not count."""
    unset = {name.upper(): "" for name in Settings.model_fields}
    return unset | {"DATA_DIR": str(tmp_path), "DATABASE_URL": database, "DEMO": "off"}


@pytest.fixture
def cli(variables: dict[str, str]) -> Run:
    """Call it with arguments and, by keyword, further variables of the environment."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, environment=variables | more)

    return run


@pytest.fixture
def program(variables: dict[str, str]) -> Run:
    """As `cli`, in a process of its own."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services", *arguments],
            cwd=PROJECT_FOLDER,
            env={**os.environ, **variables, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_help_names_the_commands(cli: Run) -> None:
    answer = cli("--help")
    assert answer.returncode == 0
    assert all(name in answer.stdout for name in ("token", "demo", "run-job", "import", "api-key"))


def test_the_version_is_that_of_program_and_schema(cli: Run) -> None:
    answer = cli("--version")
    assert answer.stdout == (
        f"Electricity billing {VERSION}, schema {newest_version(MIGRATIONS)}\n"
    )


def test_a_token_is_all_that_is_printed_and_the_app_takes_it(program: Run, tmp_path: Path) -> None:
    answer = program("token", "--user", "asha-7", "--role", "admin", DATABASE_URL="", DEMO="on")
    assert (answer.returncode, answer.stderr) == (0, "")
    tokens = LocalTokens(load_or_create_signing_key(tmp_path))
    principal = tokens.verify(answer.stdout.strip(), datetime.now(UTC))
    assert (principal.user, principal.roles, principal.via) == (
        "asha-7",
        frozenset({Role.ADMIN}),
        "token",
    )
    assert not (tmp_path / "postgres").exists()


def test_a_sign_in_link_is_one_line_needs_no_database_and_works_once(
    cli: Run, tmp_path: Path
) -> None:
    answer = cli("sign-in", DATABASE_URL="", DEMO="on")
    assert (answer.returncode, answer.stderr) == (0, "")
    (link,) = answer.stdout.splitlines()
    assert link.startswith("http://localhost:8501/session/link?code=")
    links, code = SignInLinks(tmp_path), link.partition("code=")[2]
    assert links.redeem(code, datetime.now(UTC))
    assert not links.redeem(code, datetime.now(UTC))


def test_once_there_are_users_only_an_administrator_gets_a_link(
    cli: Run, database: str, tmp_path: Path
) -> None:
    (link,) = cli("sign-in").stdout.splitlines()
    assert "/session/link?code=" in link
    office = open_office(database, tmp_path)
    office.first_administrator()
    office.user("asha")

    answer = cli("sign-in")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "sign-in --recover NAME (boss)" in answer.stderr
    answer = cli("sign-in", "--recover", "asha")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "asha is no administrator. Administrators are: boss." in answer.stderr
    (link,) = cli("sign-in", "--recover", "boss").stdout.splitlines()
    code = link.partition("/sign-in/new-password?code=")[2]
    assert office.services.users.link(code, office.now).kind == "recovery"
    office.services.close()


def test_with_auth0_there_is_no_sign_in_link(cli: Run) -> None:
    auth0 = {"AUTH0_DOMAIN": "tenant.example", "AUTH0_AUDIENCE": "https://billing.example/api"}
    auth0 |= {"AUTH0_CLIENT_ID": "pages", "AUTH0_CLIENT_SECRET": "hush"}
    answer = cli("sign-in", **auth0)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "sign in through Auth0" in answer.stderr


def test_with_auth0_no_token_is_made_and_the_reason_is_said(cli: Run) -> None:
    auth0 = {"AUTH0_DOMAIN": "tenant.example", "AUTH0_AUDIENCE": "https://billing.example/api"}
    auth0 |= {"AUTH0_CLIENT_ID": "pages", "AUTH0_CLIENT_SECRET": "hush"}
    answer = cli("token", "--user", "asha-7", "--role", "admin", **auth0)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "people sign in through Auth0" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_tokens_hours_are_kept(cli: Run, tmp_path: Path) -> None:
    answer = cli("token", "--user", "u", "--role", "engineer", "--hours", "1")
    tokens = LocalTokens(load_or_create_signing_key(tmp_path))
    now = datetime.now(UTC)
    expires_at = tokens.verify(answer.stdout.strip(), now).expires_at
    assert expires_at is not None
    assert timedelta(minutes=58) < expires_at - now <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "required: COMMAND"),
        (("token", "--user", "u", "--role", "owner"), 2, "invalid choice: 'owner'"),
        (("token", "--user", "u", "--role", "admin", "--hours", "nan"), 2, "more than 0"),
        (("token", "--user", " ", "--role", "admin"), 1, "A user id is 1 to 200"),
        (("import", "bills", "x.csv"), 2, "invalid choice: 'bills'"),
        (("import", "customers", "none.csv"), 1, "none.csv cannot be read"),
        (("run-job", "tidy_up"), 1, "There is no job 'tidy_up'"),
        (("run-job", "overdue_marking", "--at", "soon"), 2, "must be a date and time"),
        (("api-key", " ", "--role", "admin"), 1, "1 to 100 printable characters"),
        (("api-key", "k", "--role", "admin", "--days", "0"), 2, "whole number from 1 to 3650"),
        (("api-key", "k", "--role", "admin", "--scope", "x"), 2, "invalid choice: 'x'"),
        (("token", "--user", "job:x", "--role", "admin"), 1, "the system's own"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    cli: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    answer = cli(*arguments)
    assert answer.returncode == code
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DEMO": "perhaps"}, "DEMO: expected on or off"),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/none"}, "onnection"),
    ],
)
def test_settings_and_database_fail_in_a_sentence(
    cli: Run, variables: dict[str, str], said: str
) -> None:
    answer = cli("demo", **variables)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "hidden" not in answer.stderr


def test_an_import_says_what_it_did_or_what_is_wrong_by_row(cli: Run, tmp_path: Path) -> None:
    good = str(PROJECT_FOLDER / "examples" / "customers.csv")
    first, second = cli("import", "customers", good), cli("import", "customers", good)
    assert first.stdout == "customers: 5 added, 0 changed, 0 unchanged.\n"
    assert second.stdout == "customers: 0 added, 0 changed, 5 unchanged.\n"
    bad = tmp_path / "bad.csv"
    bad.write_text("account_no,name,email,phone,address,vip\nA9,,,,,x\nA9,Nine,nine,,,x\n")
    answer = cli("import", "customers", str(bad))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines() == [
        "Columns that were ignored: vip.",
        "row 2, name: is empty: fill it in.",
        "row 3, email: is not an e-mail address such as name@example.org; leave it empty if none.",
        "row 3, account_no: A9 stands in row 2 already: keep one of the two.",
        "customers: 3 problems, nothing was imported. Correct the file and import it again.",
    ]


def test_a_bank_statement_and_a_full_export(cli: Run, tmp_path: Path) -> None:
    statement = tmp_path / "statement.csv"
    statement.write_text("Date,Amount,Text\n2026-02-03,5,hello\n2026-02-04,-1,fees\n")
    assert "2 added, 0 changed" in cli("import", "bank_statements", str(statement)).stdout
    assert "0 added, 0 changed, 2 unchanged" in (
        cli("import", "bank_statements", str(statement)).stdout
    )
    whole = tmp_path / "all.zip"
    answer = cli("export", str(whole))
    assert "archive/bank_lines.csv: 2 rows" in answer.stdout
    with zipfile.ZipFile(whole) as bundle:
        assert bundle.read("archive/bank_lines.csv").count(b"\n") == 3
    there = cli("export", str(tmp_path))
    assert (there.returncode, "The export was not written" in there.stderr) == (1, True)


def test_a_workbook_is_imported_after_a_dry_run(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "customers.xlsx"
    path.write_bytes(xlsx_file(("Account No.", "Customer"), [("C-1", "Ann"), ("C-2", "Ben")]))
    looked = cli("import", "customers", str(path), "--dry-run")
    assert "Nothing was written. An import would leave 2 added" in looked.stdout
    assert "2 added, 0 changed" in cli("import", "customers", str(path)).stdout
    alike = tmp_path / "alike.csv"
    alike.write_text("account_no,name\nc-1,Eve\n")
    assert "run this again with --allow-similar." in cli("import", "customers", str(alike)).stderr
    path.write_bytes(xlsx_file(("Account No.", "Customer"), [("C-1", "Anna"), ("C-2", "Ben")]))
    looked = cli("import", "customers", str(path), "--dry-run")
    assert "C-1, name: Ann → Anna" in looked.stderr
    assert "0 added, 1 changed, 1 unchanged" in looked.stdout


def test_rates_of_urdb_are_imported_and_what_they_lack_is_noted(cli: Run, tmp_path: Path) -> None:
    rate = {"label": "x1", "utility": "City Power", "name": "R", "dgrules": "Net Metering"}
    rate_file = tmp_path / "rate.json"
    rate_file.write_text(json.dumps(rate | {"energyratestructure": [[{"rate": 0.12}]]}))
    without_date = cli("import", "tariffs", str(rate_file))
    assert without_date.returncode == 1
    assert "row 1, startdate: is missing: say from when the tariff holds." in without_date.stderr
    answer = cli("import", "tariffs", str(rate_file), "--effective-from", "2026-04-01")
    assert answer.stdout == "tariffs: 1 added, 0 changed, 0 unchanged.\n"
    why = "exported energy is not set off against what is used."
    assert answer.stderr == f"note, row 1, dgrules: Net Metering: {why}\n"


def test_imports_and_jobs_name_the_operator(cli: Run, database: str) -> None:
    cli("import", "customers", str(PROJECT_FOLDER / "examples" / "customers.csv"))
    answer = cli("run-job", "overdue_marking", "--at", "2026-03-05T11:00")
    assert answer.returncode == 0
    assert answer.stdout.startswith("overdue_marking for 2026-03-05: done, 0 done, 0 set aside")
    with psycopg.connect(database) as connection:
        started_by = connection.execute("select started_by from public.job_runs").fetchone()
        actor = connection.execute("select distinct actor from public.audit_log").fetchone()
    assert started_by is not None
    assert actor is not None
    assert started_by[0].startswith("cli:")
    assert actor == started_by


def test_a_job_names_what_it_set_aside(cli: Run, tmp_path: Path) -> None:
    examples, meters = PROJECT_FOLDER / "examples", tmp_path / "meters.csv"
    lines = (examples / "meters.csv").read_text().splitlines()
    meters.write_text("\n".join(lines[:2]))
    cli("import", "tariffs", str(examples / "tariffs" / "kseb-lt1a.json"))
    cli("import", "customers", str(examples / "customers.csv"))
    cli("import", "transformers", str(examples / "transformers.csv"))
    cli("import", "service_points", str(examples / "service_points.csv"))
    cli("import", "meters", str(meters))
    answer = cli("run-job", "monthly_bills", "--at", "2026-03-01T02:00")
    assert answer.returncode == 0
    assert "  OR-14: No reading dated up to" in answer.stdout


def test_a_date_to_come_is_refused_and_takes_no_run(cli: Run, database: str) -> None:
    answer = cli("run-job", "monthly_bills", "--at", f"{datetime.now(UTC) + timedelta(days=9):%F}")
    assert answer.returncode == 1
    assert "is still to come" in answer.stderr
    assert runs(database) == 0


def test_a_clock_in_doubt_runs_no_job_until_somebody_confirms_it(cli: Run, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into public.clock_seen values ('boot:1', now() - interval '364 days', 1)"
        )
    held = cli("run-job", "overdue_marking")
    assert held.returncode == 1
    assert "nothing shows that so much time went by" in held.stderr
    assert "python -m services confirm-clock" in held.stderr
    assert runs(database) == 0
    assert cli("confirm-clock").returncode == 0
    assert cli("run-job", "overdue_marking").returncode == 0


def runs(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from public.job_runs").fetchone()
    assert row is not None
    return int(row[0])


def test_an_api_key_is_printed_once_and_kept_as_its_hash(cli: Run, database: str) -> None:
    answer = cli("api-key", "handheld app", "--role", "engineer")
    assert answer.returncode == 0
    key = answer.stdout.strip()
    with psycopg.connect(database) as connection:
        found = connection.execute("select name, key_hash, role from public.api_keys").fetchone()
    assert found == ("handheld app", hash_api_key(key), "engineer")
    again = cli("api-key", "handheld app", "--role", "engineer")
    assert (again.returncode, again.stdout) == (1, "")
    assert "already a key named handheld app" in again.stderr


def test_demo_loads_an_empty_database_once(cli: Run) -> None:
    first = cli("demo")
    assert first.returncode == 0
    assert "60 customers, 59 meters" in first.stdout
    second = cli("demo")
    assert second.stdout == "The demo utility is loaded already; nothing was added.\n"


def test_demo_refuses_a_database_of_somebodys_own(cli: Run) -> None:
    cli("import", "customers", str(PROJECT_FOLDER / "examples" / "customers.csv"))
    answer = cli("demo")
    assert answer.returncode == 1
    assert "customers that are not the demo's" in answer.stderr


def test_it_works_beside_a_running_server_of_the_same_data_folder(
    program: Run, data_folder: Path
) -> None:
    with EmbeddedPostgres(data_folder) as server:
        own = {"DATABASE_URL": "", "DEMO": "on", "DATA_DIR": str(data_folder)}
        answer = program("run-job", "meter_collection", **own)
        assert answer.returncode == 0, answer.stderr
        assert "6 done, 0 set aside" in answer.stdout
        with psycopg.connect(server.database("demo")) as connection:
            smart = connection.execute(
                "select count(*) from public.readings where source = 'smart'"
                " and read_at > now() - interval '1 hour'"
            ).fetchone()
        assert smart == (6,)
