"""The first process of the drill's machine: mounts what a system needs, and ends orphans.

    unshare --mount --pid --fork --kill-child python init.py ROOT

It has a network of its own besides the host's, /run/drill.net, with nothing but loopback: ports 80
and 443 are free there, and nobody else reaches them.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def main(root: Path) -> None:
    """Prepare everything, say so, and wait until the maker is gone."""
    for arguments in (
        ["--make-rprivate", "/"],
        ["--types", "proc", "proc", str(root / "proc")],
        ["--types", "tmpfs", "-o", "mode=1777", "tmpfs", str(root / "tmp")],
        *(["--bind", f"/dev/{name}", str(root / "dev" / name)] for name in _devices(root)),
    ):
        subprocess.run(["mount", *arguments], check=True)
    (root / "dev" / "shm").mkdir(exist_ok=True)
    shm = str(root / "dev" / "shm")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", shm], check=True)
    network = root / "run" / "drill.net"
    network.touch()
    if os.fork() == 0:
        _make_network(network)
        os._exit(0)
    assert os.wait()[1] == 0
    # Orphans come to the first process of a machine, and end without a trace.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


def _devices(root: Path) -> list[str]:
    names = ["null", "zero", "full", "random", "urandom", "tty"]
    for name in names:
        (root / "dev" / name).touch()
    return names


def _make_network(place: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(_CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    with socket.socket() as sock:
        request = struct.pack("16sh", b"lo", _IFF_UP)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, request)
    subprocess.run(["mount", "--bind", "/proc/self/ns/net", str(place)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
