"""The installation's own signing key: a file made at first start that only its owner can read."""

import os
import secrets
import stat
import tempfile
from pathlib import Path

FILE_NAME = "signing.key"
_MADE_BYTES = 48
_LEAST_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class UnableToUseSigningKey(Exception):
    """The signing key's file cannot be made, read or trusted."""


def load_or_create_signing_key(data_dir: Path) -> bytes:
    """Return the key in `data_dir`, making it first when there is none.

    Processes that start at once all get the same key. Raises UnableToUseSigningKey when the file
    can be read by others than its owner, is shorter than 32 bytes, or cannot be made or read.
    """
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            _create(path)
        return _read(path)
    except OSError as error:
        raise UnableToUseSigningKey(
            f"The signing key {path} cannot be made or read: {error.strerror or error}."
        ) from error


def _create(path: Path) -> None:
    # Written aside and linked into place: a reader sees no key or a whole one, never half of one,
    # and linking fails where a rename would replace the key that another process just made.
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_MADE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(aside)
    except FileExistsError:
        pass
    finally:
        Path(aside).unlink()


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        key = file.read()
    if os.name == "posix" and mode & _OTHERS:
        raise UnableToUseSigningKey(
            f"The signing key {path} can be read by others. "
            f"Run `chmod 600 {path}`; if others may have read it, delete it and start again."
        )
    if len(key) < _LEAST_BYTES:
        raise UnableToUseSigningKey(
            f"The signing key {path} is too short to be safe. Delete it and start again; "
            "everybody then has to sign in again."
        )
    return key
