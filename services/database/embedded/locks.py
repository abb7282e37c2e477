"""Locks on files: the kernel frees them when a process ends, however it ends."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

if sys.platform != "win32":
    import fcntl

POLL_SECONDS = 0.05
APP_LOCK = "app.lock"


class DataFolderInUse(Exception):
    """Another app already works on this data folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        who = f"the process {pid}" if pid else "another process"
        super().__init__(
            f"The data folder {folder} is already used by a running app ({who}). "
            "Stop that app first, or start this one with another DATA_DIR."
        )
        self.folder = folder
        self.pid = pid


class FileLocksUnavailable(Exception):
    """This system has no file locks of the kind that the data folder needs."""

    def __init__(self) -> None:
        super().__init__(
            "The embedded database runs on Linux and macOS. On Windows, use WSL, "
            "or set DATABASE_URL to a Postgres server of yours."
        )


class FileLock:
    """An advisory lock on a file, shared or exclusive; threads and processes are alike to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, *, shared: bool = False, wait_seconds: float = 0.0) -> bool:
        """Take the lock, or change its kind, waiting at most so long; False if others hold it.

        A failed change from shared to exclusive leaves nothing held. Raises OSError.
        """
        if self._descriptor is None:
            # The descriptor is not inheritable: a server that we start cannot keep our lock.
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(self._descriptor, shared=shared):
            if time.monotonic() >= deadline:
                self.release()
                return False
            time.sleep(POLL_SECONDS)
        return True

    def release(self) -> None:
        """Give the lock back; harmless if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def exclusively(self, *, wait_seconds: float) -> Iterator[None]:
        """Hold the lock alone for a while. Raises TimeoutError if others keep it too long."""
        if not self.acquire(wait_seconds=wait_seconds):
            raise TimeoutError(f"Another process has held {self.path} for {wait_seconds:.0f} s.")
        try:
            yield
        finally:
            self.release()


class AppLock:
    """The proof that this process is the only app on a data folder."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def release(self) -> None:
        """Let another app have the data folder."""
        self._lock.release()

    def __enter__(self) -> "AppLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def claim_app(data_dir: Path) -> AppLock:
    """Make this process the only app on the data folder; the command line does not ask for it.

    Raises DataFolderInUse, FileLocksUnavailable, or OSError if the folder cannot be written.
    """
    folder = data_dir.resolve()
    make_data_folder(folder)
    lock = FileLock(folder / APP_LOCK)
    if not lock.acquire():
        raise DataFolderInUse(folder, _read_pid(lock.path))
    lock.path.write_text(f"{os.getpid()}\n", encoding="ascii")
    return AppLock(lock)


def make_data_folder(folder: Path) -> None:
    """Make a folder of ours: private, but for root's, which the server's user passes through."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711 if sys.platform != "win32" and os.geteuid() == 0 else 0o700)


def _try_lock(descriptor: int, *, shared: bool) -> bool:
    if sys.platform == "win32":
        raise FileLocksUnavailable
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(path: Path) -> int | None:
    text = path.read_text(encoding="ascii").strip()
    return int(text) if text.isdigit() else None
