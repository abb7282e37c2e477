"""What of deploy/ can be checked without running it."""

import re
import shlex
import shutil
import subprocess

import pytest

from services.settings import PROJECT_FOLDER
from tests.integration.deploy.machine import lines_of

DEPLOY = PROJECT_FOLDER / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ").splitlines()
UNIT = DEPLOY / "electricity-billing.service"


def words_of(instruction: str) -> list[list[str]]:
    lines = [line for line in CONTAINERFILE if line.startswith(f"{instruction} ")]
    return [shlex.split(line)[1:] for line in lines]


def test_the_image_copies_what_exists_and_all_that_the_system_is_made_of() -> None:
    sources = {source for *given, _ in words_of("COPY") for source in given}
    assert all((PROJECT_FOLDER / source).exists() for source in sources)
    code = {path.name for path in PROJECT_FOLDER.glob("*.py")} | {"services", "pages"}
    assert code | {"supabase", "examples", ".streamlit", "requirements.lock"} <= sources
    sent = (PROJECT_FOLDER / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in sent if line.startswith("!")} == {s.split("/")[0] for s in sources}


def test_the_image_runs_as_a_user_of_its_own() -> None:
    (user,) = words_of("USER")
    assert user == ["billing"]
    assert any("useradd" in line and "billing" in line for line in CONTAINERFILE)


def test_the_image_and_the_service_start_the_system_alike() -> None:
    command = re.search(r"^CMD (.*)$", "\n".join(CONTAINERFILE), re.MULTILINE)
    started = re.search(
        r"^ExecStart=/opt/electricity-billing/(.*)$", UNIT.read_text(), re.MULTILINE
    )
    assert command
    assert started
    assert shlex.split(command[1].strip("[]").replace(",", " ")) == started[1].split()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_understands_the_unit() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    # The program is where the documentation puts it, not here.
    assert [line for line in said if "is not executable" not in line] == []


def test_the_document_uses_the_files_of_the_folder() -> None:
    document = PROJECT_FOLDER / "docs" / "deploy.md"
    for heading in ("A machine with nginx", "A machine with Caddy"):
        lines = "".join(lines_of(document, heading))
        for name in re.findall(r"/deploy/([\w.-]+)", lines):
            assert (DEPLOY / name).exists()
