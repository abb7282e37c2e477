"""Files that are no backup, or no longer one, are refused with a sentence and never unpacked."""

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.backups.archive import (
    DATABASE,
    FORMAT,
    MANIFEST,
    README,
    Manifest,
    NotABackup,
    open_backup,
    write_backup,
    write_manifest,
)

DUMP = bytes(range(256)) * 4000


def written(path: Path, **other: object) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        parts = write_backup(
            bundle, [(README, [b"read me"]), (DATABASE, [DUMP[:1000], DUMP[1000:]])], pulse=_nothing
        )
        manifest = Manifest(
            format=FORMAT,
            version="1.2.3",
            migrations=("1", "2"),
            made_at=datetime(2026, 11, 29, tzinfo=UTC),
            demo=False,
            postgres=18,
            tables={},
            parts=parts,
        )
        write_manifest(bundle, manifest.model_copy(update=other))
    return path


def _nothing() -> None:
    pass


def read_all(path: Path) -> None:
    with open_backup(path) as backup:
        backup.check()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    with open_backup(written(tmp_path / "b.zip")) as backup:
        backup.check()
        assert b"".join(backup.read(DATABASE)) == DUMP
        assert backup.manifest.schema_version == "2"


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_zip_is_no_backup(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(content)
    with pytest.raises(NotABackup, match="no backup of this system, or its end is missing"):
        read_all(path)


def test_another_zip_is_no_backup(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as bundle:
        bundle.writestr("letter.txt", "hello")
    with pytest.raises(NotABackup, match="no manifest"):
        read_all(tmp_path / "b.zip")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_one_that_is_cut_off_is_refused(tmp_path: Path, part: float) -> None:
    path = written(tmp_path / "b.zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(NotABackup):
        read_all(path)


def test_one_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "b.zip")
    content = path.read_bytes()
    for place in range(0, len(content), len(content) // 150):
        changed = bytearray(content)
        changed[place] ^= 0x55
        path.write_bytes(changed)
        # A byte that says nothing, such as a date of the ZIP's own, may differ.
        assert refused(path) or whole(path)


def refused(path: Path) -> bool:
    """Whether a look at it is refused; nothing else may come of it."""
    try:
        read_all(path)
    except NotABackup:
        return True
    return False


def whole(path: Path) -> bool:
    with open_backup(path) as backup:
        return b"".join(backup.read(DATABASE)) == DUMP


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/passwd", "..\\x", "more.txt"])
def test_a_stranger_in_the_zip_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr(name, "evil")
    with pytest.raises(NotABackup, match="holds what no backup of this system does"):
        read_all(path)


def test_a_part_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as bundle, pytest.warns(UserWarning, match="Duplicate"):
        bundle.writestr(DATABASE, b"another")
    with pytest.raises(NotABackup, match="damaged"):
        read_all(path)


def test_a_part_that_swells_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(written(tmp_path / "a.zip")) as good:
        manifest = good.read(MANIFEST)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(README, "read me")
        bundle.writestr(DATABASE, b"\0" * 50_000_000)
        bundle.writestr(MANIFEST, manifest)
    seen: list[int] = []
    with open_backup(path) as backup, pytest.raises(NotABackup, match="damaged"):
        seen.extend(len(chunk) for chunk in backup.read(DATABASE))
    assert sum(seen) <= len(DUMP)


def _other(change: Callable[[dict[str, object]], object], path: Path) -> None:
    with zipfile.ZipFile(written(path.with_name("a.zip"))) as good:
        found = json.loads(good.read(MANIFEST))
        change(found)
        with zipfile.ZipFile(path, "w") as bundle:
            for name in (README, DATABASE):
                bundle.writestr(name, good.read(name))
            bundle.writestr(MANIFEST, json.dumps(found))


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.pop("tables"),
        lambda found: found.update(parts={}),
        lambda found: found.update(migrations=[]),
        lambda found: found.update(made_at="yesterday"),
        lambda found: found.update(product="another"),
        lambda found: found["parts"].update({"../x": {"size": 1, "sha256": ""}}),
    ],
)
def test_a_manifest_that_says_too_little_is_refused(
    tmp_path: Path, change: Callable[[dict[str, object]], object]
) -> None:
    _other(change, tmp_path / "b.zip")
    with pytest.raises(NotABackup, match="damaged"):
        read_all(tmp_path / "b.zip")


def test_one_in_a_newer_form_says_so(tmp_path: Path) -> None:
    def newer(found: dict[str, object]) -> None:
        found.clear()
        found["format"] = FORMAT + 1

    _other(newer, tmp_path / "b.zip")
    with pytest.raises(NotABackup, match="newer version of this program"):
        read_all(tmp_path / "b.zip")
