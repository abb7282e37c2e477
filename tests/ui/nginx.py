"""A real nginx in front of the app, as people set one up."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.ui.app_process import free_port

_START_SECONDS = 15
_WEBSOCKET = """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
"""
# What stands beside proxy_pass, by the name of the set-up.
CONFIGURATIONS = {
    "bare": "",
    "forwarding": """
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
""",
    "upgrading": f"{_WEBSOCKET}            proxy_set_header Host $http_host;\n",
    "pretending": f"{_WEBSOCKET}            proxy_set_header Host localhost;\n",
}
_FILE = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""
_SERVER = """
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {target};{more}
        }}
    }}
"""


@contextmanager
def nginx_before(target: str, configuration: str) -> Iterator[str]:
    """Run nginx before the app at `target`; the address to visit. Skips as `nginx_with`."""
    port = free_port()
    more = CONFIGURATIONS[configuration]
    address = f"http://127.0.0.1:{port}"
    with nginx_with(_SERVER.format(port=port, target=target, more=more), f"{address}/api/health"):
        yield address


@contextmanager
def nginx_with(servers: str, health: str) -> Iterator[None]:
    """Run nginx with these blocks of its http part until it answers at `health`.

    Without nginx the test is skipped, or fails when CI=true.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        reason = "nginx is not installed (Debian: apt install nginx-light)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="billing-nginx-") as name:
        # Its workers are another user's, and keep large bodies in files.
        Path(name).chmod(0o711)
        file = Path(name) / "nginx.conf"
        file.write_text(_FILE.format(folder=name, servers=servers))
        arguments = [program, "-p", name, "-c", str(file), "-e", f"{name}/error.log"]
        checked = subprocess.run([*arguments, "-t"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        try:
            _wait_until_answered(health)
            yield
        finally:
            process.terminate()
            process.wait(timeout=_START_SECONDS)


def _wait_until_answered(url: str) -> None:
    ends_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            urlopen(url, timeout=5).close()  # noqa: S310 - always http
        except HTTPError:
            return
        except (URLError, OSError):
            assert time.monotonic() < ends_at, "nginx did not start"
            time.sleep(0.05)
        else:
            return
