"""What a backup holds of secrets, and only when it was asked for them."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from services.backups.archive import SETTINGS, SIGNING_KEY
from services.identity.signing_key import FILE_NAME

# Beside the signing key: the settings of a running system are the operator's own file.
RESTORED_SETTINGS: Final = "settings-from-backup.env"


def secrets_of(data_dir: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, list[bytes]]]:
    """The parts with the signing key, where there is one, and the settings as a .env file."""
    key = data_dir / FILE_NAME
    if key.is_file():
        yield SIGNING_KEY, [key.read_bytes()]
    lines = [f"{name}={_quoted(value)}\n" for name, value in sorted(settings.items())]
    yield SETTINGS, ["".join(lines).encode()]


def put_back(data_dir: Path, name: str, content: bytes) -> Path:
    """Write a part with secrets into the data folder, for its owner only; where it is now."""
    # On a new machine nothing may have run yet.
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / (FILE_NAME if name == SIGNING_KEY else RESTORED_SETTINGS)
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=data_dir)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(aside).replace(path)
    return path


def _quoted(value: str) -> str:
    """As .env files are read: in single quotes nothing is expanded."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
