"""The embedded server's cluster on disk and its process: made, launched, found, halted."""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from services.database.embedded.access import HOST, SUPERUSER, ServerAccess
from services.database.embedded.home import ServerHome, own_major
from services.database.embedded.memory import memory_bytes, memory_settings
from services.database.embedded.user import EmbeddedPostgresError

INITDB_SECONDS = 120.0
LAUNCH_SECONDS = 60
HALT_SECONDS = 60
LOG_KEPT_BYTES = 10_000_000
LOG_SHOWN_LINES = 12

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The detail of an error quotes the row, which may hold a customer's name or address.
    "log_error_verbosity": "terse",
}
# The first that the machine has. With C, trigrams take ASCII's letters alone for letters, and no
# index finds a name in another script.
LC_CTYPES = ("C.UTF-8", "en_US.UTF-8", "C")
# What the log says when waiting a moment, or another port, is all that is needed.
PASSING_TROUBLE = (
    "pre-existing shared memory block",
    'lock file "postmaster.pid" already exists',
    "could not bind",
    "could not create any TCP/IP sockets",
)


class Cluster:
    """One cluster; callers hold the data folder's lock, so that no two change it at once."""

    def __init__(self, home: ServerHome) -> None:
        self._home = home

    @property
    def exists(self) -> bool:
        """Whether initdb has finished: it works under another name until then."""
        return self._home.cluster.exists()

    def check_version(self) -> None:
        """Do nothing if our programs can serve it. Raises EmbeddedPostgresError."""
        made_by = (self._home.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        if made_by != str(own_major()):
            raise EmbeddedPostgresError(
                f"The database in {self._home.cluster} is one of Postgres {made_by}, and this "
                f"version of the program brings Postgres {own_major()}. Make a backup with the "
                "version before, and restore it with this one into another DATA_DIR."
            )

    def create(self, access: ServerAccess) -> None:
        """Run initdb, whole or not at all. Raises EmbeddedPostgresError or OSError."""
        for unfinished in self._home.folder.glob("initdb-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="initdb-", dir=self._home.folder) as made:
            folder, password_file = Path(made), Path(made) / "password"
            password_file.write_text(access.superuser_password, encoding="ascii")
            self._give(folder)
            self._give(password_file)
            self._initdb(folder / "cluster", password_file)
            (folder / "cluster").rename(self._home.cluster)

    def launch(self, port: int) -> bool:
        """Start the server and wait until it takes connections; False if it is worth trying again.

        Raises EmbeddedPostgresError with the end of the log if it is not.
        """
        self._tidy_log()
        before = self._log_size()
        settings = {**SETTINGS, **memory_settings(memory_bytes()), "port": str(port)}
        options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
        arguments = ["-o", options, "-l", str(self._home.log), "-w", "-t", str(LAUNCH_SECONDS)]
        done = self._pg_ctl("start", *arguments, seconds=LAUNCH_SECONDS + 10)
        if done.returncode == 0:
            return True
        if any(sign in self._log_text(since=before) for sign in PASSING_TROUBLE):
            return False
        raise self.trouble(f"The database server could not be started ({done.stdout.strip()}).")

    def halt(self) -> None:
        """Stop the server with a last checkpoint, ending its sessions. Raises on failure."""
        options = ["-m", "fast", "-w", "-t", str(HALT_SECONDS)]
        done = self._pg_ctl("stop", *options, seconds=HALT_SECONDS + 10)
        if done.returncode != 0 and self.pid() is not None:
            raise self.trouble(f"The database server did not stop ({done.stdout.strip()}).")

    def pid(self) -> int | None:
        """The process of the server over this cluster, alive whether it answers or not."""
        pid = self._noted_pid()
        return pid if pid is not None and self._is_server(pid) else None

    def forget_stranger(self) -> None:
        """Drop a note of a pid that is no server's by now; Postgres would take it for one.

        Postgres still refuses to start if processes of the dead server use its shared memory.
        """
        pid = self._noted_pid()
        if pid is not None and _exists(pid) and not self._is_server(pid):
            (self._home.cluster / "postmaster.pid").unlink(missing_ok=True)

    def trouble(self, sentence: str) -> EmbeddedPostgresError:
        """The error for a sentence, with the end of the server's log below it."""
        lines = self._log_text(since=0).splitlines()[-LOG_SHOWN_LINES:]
        end = "\n  ".join(["The log ends with:", *lines]) if lines else "The log is empty."
        return EmbeddedPostgresError(f"{sentence} See {self._home.log}. {end}")

    def _initdb(self, cluster: Path, password_file: Path) -> None:
        options = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [f"--username={SUPERUSER}", f"--pwfile={password_file}"]
        command = [str(self._home.programs / "initdb"), "-D", str(cluster), *options]
        said = ""
        for ctype in LC_CTYPES:
            done = self._home.user.run([*command, f"--lc-ctype={ctype}"], seconds=INITDB_SECONDS)
            if done.returncode == 0:
                return
            said = done.stdout.strip()
        raise EmbeddedPostgresError(
            f"The database could not be made in {self._home.folder}: {said}"
        )

    def _give(self, path: Path) -> None:
        path.chmod(0o700 if path.is_dir() else 0o600)
        if self._home.user.switch:
            os.chown(path, self._home.user.uid, self._home.user.gid)

    def _pg_ctl(
        self, action: str, *options: str, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        pg_ctl = str(self._home.programs / "pg_ctl")
        command = [pg_ctl, action, "-D", str(self._home.cluster), *options]
        return self._home.user.run(command, seconds=seconds)

    def _noted_pid(self) -> int | None:
        try:
            first = (self._home.cluster / "postmaster.pid").read_text().split("\n", 1)[0]
        except FileNotFoundError:
            return None
        return int(first) if first.strip().isdigit() else None

    def _is_server(self, pid: int) -> bool:
        command = command_line(pid)
        return "postgres" in command and str(self._home.cluster) in command

    def _tidy_log(self) -> None:
        if self._log_size() > LOG_KEPT_BYTES:
            self._home.log.replace(self._home.log.with_suffix(".log.1"))

    def _log_size(self) -> int:
        return self._home.log.stat().st_size if self._home.log.exists() else 0

    def _log_text(self, *, since: int) -> str:
        if not self._home.log.exists():
            return ""
        return self._home.log.read_bytes()[since:].decode("utf-8", errors="replace")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def command_line(pid: int) -> str:
    """The command line of a live process, or "" if there is none (or it is a zombie)."""
    if not Path("/proc/self").exists():
        listing = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
        done = subprocess.run(listing, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ")
    except OSError:
        return ""
