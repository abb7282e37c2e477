"""The folders of the tests' own servers, and how those of killed runs are found and removed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from services.database.embedded.cluster import command_line
from services.database.embedded.locks import FileLock

PREFIX = "billing-test-"
# Held for as long as the process lives that made the folder.
OWNER = "owner.lock"
MEMORY = Path("/dev/shm")  # noqa: S108
STOP_SECONDS = 10.0


def enterable_folder(place: Path | None = None) -> Iterator[Path]:
    """A folder that the server's user can enter, removed afterwards."""
    # Not tmp_path: pytest makes its folders for its own user only.
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place or _fast_place()))
    lock = FileLock(folder / f"new-{OWNER}")
    lock.acquire()
    # Named only now that it is held: another session would take the folder for left over.
    lock.path.rename(folder / OWNER)
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def remove_leftovers(*places: Path) -> None:
    """Remove the folders whose makers are dead, and end the database servers that outlived them.

    A folder that any other process works in or names stays, and so does one without an owner.
    """
    for place in set(places or (MEMORY, Path(tempfile.gettempdir()))):
        for folder in place.glob(f"{PREFIX}*"):
            try:
                _remove_if_left(folder)
            except (OSError, ValueError):
                continue  # Another session removes it, or it is not ours to touch.


def _fast_place() -> Path | None:
    """Memory where there is plenty: the servers' many fsyncs cost nothing there."""
    plenty = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * 1024**3
    return MEMORY if plenty and os.access(MEMORY, os.W_OK | os.X_OK) else None


def _remove_if_left(folder: Path) -> None:
    if not (folder / OWNER).is_file():
        return
    with ExitStack() as held:
        for path in (folder / OWNER, *folder.glob("**/*in-use.lock")):
            lock = FileLock(path)
            if not lock.acquire():
                return
            held.callback(lock.release)
        servers = [pid for pid in map(_server_of, folder.glob("**/cluster/postmaster.pid")) if pid]
        if set(_naming(folder)) <= set(servers):
            for pid in servers:
                _end(pid)
            shutil.rmtree(folder, ignore_errors=True)


def _server_of(note: Path) -> int | None:
    """The process that the note names, if it is alive and the server of that very cluster."""
    pid = int(note.read_text().split()[0])
    command = command_line(pid)
    return pid if "postgres" in command and str(note.parent) in command else None


def _naming(folder: Path) -> list[int]:
    """The processes in whose command line the folder stands."""
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    found = (line.split(maxsplit=1) for line in listing.stdout.splitlines())
    return [int(pid) for pid, command in found if str(folder) in command]


def _end(pid: int) -> None:
    """End a database server without a last checkpoint: nobody needs its data."""
    os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + STOP_SECONDS
    while command_line(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
