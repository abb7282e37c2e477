"""A machine of the test's own: an empty Debian in a folder, with processes and a network apart."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.database.embedded.locks import FileLock
from services.settings import PROJECT_FOLDER

_HERE = Path(__file__).parent
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".tools", ".env", "data", "__pycache__", ".*_cache", ".hypothesis"
)
CERTIFICATES = "/etc/certificates-of-the-host.crt"
DEBIAN = "debian.tar"
_PROGRAMS = ("mmdebstrap", "unshare", "nsenter", "chroot")


@dataclass(frozen=True)
class Machine:
    """A running machine; `init` is its first process, as the host counts."""

    root: Path
    init: int

    def run(
        self, script: str, *, inside: bool = True, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run lines of Bash as root; `inside` its own network, else in the host's."""
        command = ["nsenter", f"--target={self.init}", "--mount", "--pid"]
        if inside:
            command += [f"--net={self.network}"]
        command += ["chroot", str(self.root), "/bin/bash", "-euo", "pipefail"]
        done = subprocess.run(
            command,
            input=script,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
        )
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done

    @property
    def network(self) -> str:
        """The machine's network, as the host reaches it."""
        return f"/proc/{self.init}/root{self.root}/run/drill.net"


@contextmanager
def empty_machine(shared: Path) -> Iterator[Machine]:
    """An empty Debian that runs, with the checkout in /checkout, gone in the end.

    Debian's packages are fetched once for all who have the folder `shared`.

    Skips without root or without the programs; with CI=true that is a failure.
    """
    _require()
    root = Path(tempfile.mkdtemp(prefix="billing-drill-"))
    try:
        root.chmod(0o755)
        make_debian(root, shared)
        _furnish(root)
        with _running(root) as machine:
            yield machine
    finally:
        # Its mounts are gone with its processes.
        shutil.rmtree(root)


def make_debian(root: Path, shared: Path) -> None:
    """Fill a folder with the fewest packages of which Debian consists."""
    archive = shared / DEBIAN
    options = [f"--aptopt={file}" for file in _apt_options()]
    with FileLock(shared / "debian.lock").exclusively(wait_seconds=600):
        if not archive.exists():
            made = shared / f"new-{DEBIAN}"
            command = ["mmdebstrap", "--quiet", "--variant=minbase", *options]
            subprocess.run([*command, "bookworm", str(made)], check=True)
            made.rename(archive)
        subprocess.run(["tar", "-xpf", str(archive), "-C", str(root)], check=True)


def lines_of(document: Path, heading: str) -> list[str]:
    """The blocks of shell lines under a heading of a document, in order."""
    section = document.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def _require() -> None:
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    reason = ""
    if os.geteuid() != 0:
        reason = "The drill of docs/deploy.md needs root."
    elif missing:
        reason = f"The drill of docs/deploy.md needs {', '.join(missing)} (Debian: mmdebstrap)."
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    elif reason:
        pytest.skip(reason)


def furnish_for_network(root: Path) -> None:
    """Let a Debian's apt and pip reach the network as the host's do."""
    for file in (*_apt_options(), Path("/etc/resolv.conf"), Path("/etc/hosts")):
        shutil.copy(file, root / file.relative_to("/"))
    # Whom the host believes, where installing ca-certificates does not replace it.
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / CERTIFICATES[1:])
    for pip in (Path("/etc/pip.conf"), Path.home() / ".config" / "pip" / "pip.conf"):
        if pip.exists():
            shutil.copy(pip, root / "etc" / "pip.conf")
    wheels = os.environ.get("PIP_FIND_LINKS", "")
    if wheels.startswith("/") and Path(wheels).is_dir():
        shutil.copytree(wheels, root / wheels[1:], dirs_exist_ok=True)


def _furnish(root: Path) -> None:
    """The network, the stand-ins, and the checkout."""
    furnish_for_network(root)
    for standin in (_HERE / "standins").iterdir():
        place = root / "usr" / "local" / "bin" / standin.name
        shutil.copy(standin, place)
        place.chmod(0o755)
    # Packages start nothing as they are installed: there is nobody to start it.
    policy = root / "usr" / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    shutil.copytree(PROJECT_FOLDER, root / "checkout", ignore=_LEFT_OUT, symlinks=True)


@contextmanager
def _running(root: Path) -> Iterator[Machine]:
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    process = subprocess.Popen(
        [*command, "python3", str(_HERE / "init.py"), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == "ready\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        yield Machine(root, int(children.split()[0]))
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


def _apt_options() -> list[Path]:
    files = sorted(Path("/etc/apt/apt.conf.d").iterdir())
    return [file for file in files if "Acquire::" in file.read_text()]


def _environment() -> Mapping[str, str]:
    """Nothing of the host but how pip finds packages."""
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    pip["PIP_CERT"] = CERTIFICATES
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": path,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    } | pip
