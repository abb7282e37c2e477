"""docs/deploy.md with containers, line by line: the image is built, and compose.yaml run."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.settings import PROJECT_FOLDER
from tests.integration.deploy.containers import Host, podman_host
from tests.integration.deploy.machine import lines_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOST = "billing.example.org"
URL = f"https://{HOST}"
BILLING, POSTGRES, CADDY = (f"deploy_{name}_1" for name in ("billing", "postgres", "caddy"))
PATIENT_SECONDS = 300
# As a visitor on the machine, who believes Caddy's own authority.
ASK = f"curl --silent --show-error --cacert ../root.crt --resolve {HOST}:443:127.0.0.1"


@pytest.fixture(scope="module")
def host(shared: Path) -> Iterator[Host]:
    """The document's lines, once Caddy was told to be its own authority."""
    (lines,) = lines_of(PROJECT_FOLDER / "docs" / "deploy.md", "Containers")
    *prepare, up, _, _ = lines.splitlines()
    with podman_host(shared) as found:
        found.run(
            "sed -i 's/^{$/{ \\n local_certs \\n skip_install_trust/' deploy/Caddyfile\n"
            + "\n".join([*prepare, "podman-compose build"]),
            inside=False,
        )
        # Nothing is left to be fetched.
        found.run(f"cd deploy\n{up}")
        wait_until_healthy(found)
        found.run(
            f"podman exec {CADDY} cat /data/caddy/pki/authorities/local/root.crt > ../root.crt"
        )
        yield found


def wait_until_healthy(host: Host) -> None:
    """The image's own check, which Podman would run by a timer of systemd."""
    ends_at = time.monotonic() + PATIENT_SECONDS
    while host.run(f"podman healthcheck run {BILLING}", check=False).returncode:
        assert time.monotonic() < ends_at, host.run(f"podman logs {BILLING} 2>&1").stdout
        time.sleep(0.5)


def test_caddy_leads_to_it_over_https(host: Host) -> None:
    health = json.loads(host.run(f"{ASK} {URL}/api/health").stdout)
    assert (health["services"]["database"], health["services"]["https"]) == ("ok", "proxy")


def test_the_document_finds_the_link_and_makes_another(host: Host) -> None:
    (lines,) = lines_of(PROJECT_FOLDER / "docs" / "deploy.md", "Containers")
    *_, look, make = lines.splitlines()
    # It is printed below the server's words, a moment after it is healthy.
    ends_at = time.monotonic() + 60
    while not (seen := host.run(f"cd deploy\n{look}", check=False).stdout):
        assert time.monotonic() < ends_at, host.run(f"podman logs {BILLING} 2>&1").stdout
        time.sleep(0.5)
    assert f"{URL}/session/link?code=" in seen
    (link,) = re.findall(rf"{URL}/session/link\S+", host.run(f"cd deploy\n{make}").stdout)
    assert re.search(r"(?i)set-cookie:.*; secure", host.run(f"{ASK} --include '{link}'").stdout)


def test_the_client_is_the_one_that_caddy_sees(host: Host) -> None:
    headers = "-H 'Authorization: Bearer a.b.c' -H 'X-Forwarded-For: 203.0.113.9'"
    host.run(f"{ASK} {headers} {URL}/api/bills/1")
    look = "select address from security_log where event = 'refused' order by id desc limit 1"
    found = host.run(f'podman exec {POSTGRES} psql -U billing -Atc "{look}"').stdout.strip()
    assert found == "10.89.41.1"


def test_it_runs_as_a_user_without_rights_who_owns_its_data_alone(host: Host) -> None:
    status = host.run(f"podman exec {BILLING} cat /proc/1/status").stdout
    assert re.search(r"^Uid:\s+10001\s+10001", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    look = 'stat -c "%U %a" /data; test -s /data/signing.key && touch /data/x && rm /data/x'
    found = host.run(f"podman exec {BILLING} sh -c '{look}'").stdout.split()
    assert found == ["billing", "700"]
    refused = host.run(f"podman exec {BILLING} touch /opt/electricity-billing/x", check=False)
    assert refused.returncode != 0


def test_it_ends_in_order_when_it_is_told_to(host: Host) -> None:
    host.run("cd deploy; docker compose stop billing")
    ended = host.run(f"podman inspect --format '{{{{.State.ExitCode}}}}' {BILLING}").stdout
    assert ended.strip() == "0"
    assert "The system has stopped" in host.run(f"podman logs {BILLING} 2>&1").stdout
