"""As which user the embedded server runs: ourselves, but never root, whom Postgres refuses."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from services.quantities.counting import count

if sys.platform != "win32":
    import pwd

ORDINARY_USERS = ("postgres", "nobody")
TRY_SECONDS = 20.0


class EmbeddedPostgresError(Exception):
    """The embedded database cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class ServerUser:
    """A user of this system; `switch` says whether we must become it to run a program."""

    name: str
    uid: int
    gid: int
    switch: bool

    def run(self, command: list[str], *, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, knowing nothing of our environment, and wait for it.

        Its own session keeps it, and what it starts, from a Ctrl-C meant for us. Raises
        EmbeddedPostgresError if it cannot be started or takes longer than `seconds`.
        """
        try:
            return subprocess.run(  # noqa: S603  our own programs, with no shell
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds,
                # Our own folder and secrets are none of the server's business.
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                umask=0o077,
                user=self.uid if self.switch else None,
                group=self.gid if self.switch else None,
                extra_groups=[] if self.switch else None,
            )
        except subprocess.TimeoutExpired as error:
            raise EmbeddedPostgresError(
                f"{Path(command[0]).name} did not finish within {count(round(seconds), 'second')}."
            ) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedPostgresError(
                f"{command[0]} could not be run as user {self.name}: {error}"
            ) from error

    def can_run(self, program: Path) -> bool:
        """Whether this user really can start the program."""
        try:
            return self.run([str(program), "--version"], seconds=TRY_SECONDS).returncode == 0
        except EmbeddedPostgresError:
            return False

    def can_write_in(self, folder: Path) -> bool:
        """Whether this user really can come to the folder and make a file there."""
        script = 'cd "$0" && : > .try && rm .try'
        return self.run(["/bin/sh", "-c", script, str(folder)], seconds=TRY_SECONDS).returncode == 0


def server_user(cluster: Path) -> ServerUser:
    """The user for a server over this cluster: ourselves, or for root its owner or a system user.

    Raises EmbeddedPostgresError if root finds no user to run it as.
    """
    if os.geteuid() != 0:
        return ServerUser(
            name=_name(os.geteuid()), uid=os.geteuid(), gid=os.getegid(), switch=False
        )
    owner = _owner(cluster)
    if owner is not None:
        return owner
    for name in ORDINARY_USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name=name, uid=found.pw_uid, gid=found.pw_gid, switch=True)
    raise EmbeddedPostgresError(
        "Postgres refuses to run as root, and this system has no user "
        f"{' or '.join(ORDINARY_USERS)}. Start as an ordinary user, or set DATABASE_URL."
    )


def _owner(cluster: Path) -> ServerUser | None:
    try:
        found = cluster.stat()
    except FileNotFoundError:
        return None
    if found.st_uid == 0:
        raise EmbeddedPostgresError(
            f"The database in {cluster} belongs to root, whom Postgres does not serve. Give it "
            "back to the user that it was made for (chown -R)."
        )
    return ServerUser(name=_name(found.st_uid), uid=found.st_uid, gid=found.st_gid, switch=True)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
