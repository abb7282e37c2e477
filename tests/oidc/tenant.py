"""A tenant of the test's own: a real OpenID Connect server, or the reason why there is none."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.settings import PROJECT_FOLDER

AUDIENCE = "https://billing.example/api"
CLIENT_ID = "billing-pages"
CLIENT_SECRET = "not-a-secret-of-anybody"
ROLES_CLAIM = "https://electricity-billing/roles"

_HOME = PROJECT_FOLDER / ".tools" / "oidc"
_SCRIPT = PROJECT_FOLDER / "scripts" / "get_oidc_server.sh"


@dataclass
class Tenant:
    """A running tenant; its issuer is http on loopback, at a port of its own."""

    process: subprocess.Popen[str]
    domain: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """The variables that let the app sign people in here."""
        return {
            "AUTH0_DOMAIN": self.domain,
            "AUTH0_AUDIENCE": AUDIENCE,
            "AUTH0_CLIENT_ID": CLIENT_ID,
            "AUTH0_CLIENT_SECRET": CLIENT_SECRET,
        }

    @property
    def issuer(self) -> str:
        """Who it says that it is."""
        return f"http://{self.domain}/"

    @property
    def openid(self) -> dict[str, str]:
        """The variables that let the app take it for a provider that is not Auth0."""
        return {
            "OIDC_ISSUER": self.issuer,
            "OIDC_CLIENT_ID": CLIENT_ID,
            "OIDC_CLIENT_SECRET": CLIENT_SECRET,
        }

    def next_person(
        self, sub: str, *, roles: Any = None, seconds: int = 3600, **claims: Any
    ) -> None:
        """Who signs in next: the roles claim's value, for how long, `claims` of the ID token."""
        person = {"sub": sub, "roles": roles, "seconds": seconds, "claims": claims}
        self._ask(person=person)

    def refuse_next(self) -> None:
        """Whoever signs in next is refused."""
        self._ask(person=None)

    def rotate(self) -> None:
        """Sign with another key from now on; the old one stays among the published."""
        self._ask(rotate=True)

    def token(self, **claims: Any) -> str:
        """An access token for our API, well signed, with these claims over the usual ones."""
        usual = {"sub": "auth0|someone", "aud": AUDIENCE, ROLES_CLAIM: "engineer"}
        return str(self._ask(token=usual | claims)["token"])

    def stop(self) -> None:
        """End the tenant."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(timeout=10)
        if self.process.stdout:
            self.process.stdout.close()

    def read(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout is not None
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said

    def _ask(self, **what: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self.read()


def running_tenant() -> Iterator[Tenant]:
    """Start a tenant and stop it in the end; without Node skip, or fail when CI=true."""
    installed = subprocess.run([str(_SCRIPT)], capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        last = (installed.stderr.strip() or "no reason was given").splitlines()[-1]
        reason = f"The OpenID Connect server cannot be installed: {last}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    script = Path(__file__).with_suffix(".mjs")
    process = subprocess.Popen(
        ["node", str(script), str(_HOME), CLIENT_ID, CLIENT_SECRET, ROLES_CLAIM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    tenant = Tenant(process)
    tenant.domain = str(tenant.read()["issuer"]).removeprefix("http://").rstrip("/")
    yield tenant
    tenant.stop()
