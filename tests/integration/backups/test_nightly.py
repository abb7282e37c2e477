"""The nightly backup: made by its job, thinned out, copied to a folder or an S3 store, told of."""

import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import psycopg
import pytest
import requests

from services.backups import backups as kept_backups
from services.backups.archive import open_backup
from services.backups.check import BackupCheck
from services.backups.copies import S3Copies, UnableToCopy, copy_place
from services.container import Services
from services.integrations.failures import TemporaryFailure
from services.jobs.by_hand import run_job
from services.records.jobs import JobRun
from services.web.health import health_of
from tests.integration.utility import Utility, make_utility

Settings = dict[str, str]


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Callable[..., Utility]]:
    """Makes a small utility with more settings; its services are closed afterwards."""
    made: list[Utility] = []

    def make(**settings: str) -> Utility:
        more = {name.upper(): value for name, value in settings.items()}
        made.append(make_utility(database, tmp_path / "data", more_settings=more))
        return made[-1]

    yield make
    for each in made:
        each.services.close()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3, with a bucket that one pair of keys may use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                requests.put(f"{address}/backups", timeout=5).raise_for_status()
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


def in_s3(address: str) -> Settings:
    return {
        "backup_copy_to": "s3://backups/green valley",
        "backup_s3_endpoint": address,
        "backup_s3_key_id": "AKIAEXAMPLE",
        "backup_s3_secret": "a-secret/with+signs",
    }


def run(utility: Utility, at: datetime | None = None) -> JobRun:
    return run_job(utility.services, "backup", at or utility.now, "test")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def old_one(folder: Path, at: datetime) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"backup-{at:%Y%m%d-%H%M%SZ}.zip"
    (folder / name).write_bytes(b"old")
    return name


def state(services: Services, now: datetime) -> tuple[str, str]:
    health, _ = health_of(services, now=now, scheduler_running=True)
    return health["status"], health["services"]["backup"]


# -- made and kept -------------------------------------------------------------------------------


def test_the_job_writes_a_whole_backup_and_says_which(
    utility: Callable[..., Utility], tmp_path: Path
) -> None:
    made = utility()
    folder = tmp_path / "data" / "backups"
    ended = run(made)
    [name] = names(folder)
    assert ended.status == "done"
    assert ended.detail.startswith(f"{name}, ")
    assert ended.done_count == 1
    with open_backup(folder / name) as backup:
        backup.check()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_old_ones_are_thinned_out_and_others_files_are_left(
    utility: Callable[..., Utility], tmp_path: Path
) -> None:
    made, folder = utility(backup_keep="2,0,0"), tmp_path / "data" / "backups"
    gone = [old_one(folder, made.now - timedelta(days=n)) for n in (3, 4)]
    stays = [old_one(folder, made.now - timedelta(days=1)), "before-upgrade-20200101-000000Z.zip"]
    ahead = old_one(folder, made.now + timedelta(days=300))
    for other in (stays[1], "letter.txt", "demo-backup-20200101-000000Z.zip"):
        (folder / other).write_bytes(b"")
    left = folder / ".backup-20200101-000000Z.zip.abc.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    run(made)
    there = names(folder)
    assert not set(gone) & set(there)
    assert {*stays, ahead, "letter.txt", "demo-backup-20200101-000000Z.zip"} <= set(there)
    assert left.name not in there
    # What a wrong clock dated ahead is not taken for the last good one.
    assert made.services.backups.last(now=made.now).at <= made.now + timedelta(minutes=1)  # type: ignore[union-attr]


def test_a_folder_that_is_not_mounted_fails_the_run_and_is_not_made(
    utility: Callable[..., Utility], tmp_path: Path
) -> None:
    made = utility(backup_dir=str(tmp_path / "mnt" / "disk"))
    ended = run(made)
    assert ended.status == "failed"
    assert "mount the disk" in ended.detail
    assert not (tmp_path / "mnt").exists()


def test_the_demo_is_not_backed_up_by_itself_and_it_is_said(
    tmp_path: Path, utility: Callable[..., Utility]
) -> None:
    made = utility(demo="on")
    ended = run(made)
    assert ended.detail.startswith("The demo's database is not backed up each night")
    assert not (tmp_path / "data" / "backups").exists()
    assert not BackupCheck(made.services.backups, made.services.database).configured
    assert state(made.services, made.now)[1] == "off"

    asked = utility(demo="on", backup_nightly="on")
    run(asked)
    [name] = names(tmp_path / "data" / "backups")
    assert name.startswith("demo-backup-")


# -- told of -------------------------------------------------------------------------------------


def test_the_last_good_one_is_told_and_a_late_one_is_warned_of(
    utility: Callable[..., Utility], database: str
) -> None:
    made = utility()
    services, now = made.services, datetime.now(UTC)
    check = BackupCheck(services.backups, services.database)
    assert state(services, now) == ("ok", "nightly: none yet")
    assert re.search(r"none yet; the first (is|was) due on .*, 01:00\.", check.check())
    with psycopg.connect(database) as connection:
        connection.execute(
            "update public.installation set installed_at = now() - interval '3 days'"
        )
    assert state(services, now) == ("degraded", "nightly: none yet, late")
    with pytest.raises(
        TemporaryFailure, match=r"none yet; the first was due on .*, 01:00\. .*should be a younger"
    ):
        check.check()

    run(made)
    last = services.backups.last(now=now + timedelta(minutes=1))
    assert last is not None
    assert state(services, last.at) == ("ok", f"nightly: {last.at.isoformat()}")
    assert check.check().startswith("Last nightly backup: ")
    assert state(services, last.at + timedelta(hours=36))[0] == "ok"
    assert state(services, last.at + timedelta(hours=37)) == (
        "degraded",
        f"nightly: {last.at.isoformat()}, late",
    )


# -- copied --------------------------------------------------------------------------------------


def test_copies_go_to_a_folder_and_are_thinned_out_there(
    utility: Callable[..., Utility], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "other machine"
    made = utility(backup_copy_to=str(elsewhere), backup_keep="2,0,0")
    old = [old_one(elsewhere, made.now - timedelta(days=n)) for n in (1, 2)]
    ended = run(made)
    assert f"Copied to {elsewhere}." in ended.detail
    [name] = names(tmp_path / "data" / "backups")
    assert names(elsewhere) == sorted([name, old[0]])
    assert (elsewhere / name).read_bytes() == (tmp_path / "data/backups" / name).read_bytes()
    assert stat.S_IMODE((elsewhere / name).stat().st_mode) == 0o600


def test_a_copy_that_fails_is_told_and_tried_again_and_the_backup_counts(
    utility: Callable[..., Utility], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "unplugged"
    made = utility(backup_copy_to=str(elsewhere))
    services = made.services
    ended = run(made)
    assert ended.status == "done"
    assert "could not be copied" in ended.detail
    assert "tried again every 15 minutes" in ended.detail
    assert state(services, datetime.now(UTC))[0] == "ok"
    assert state(services, datetime.now(UTC))[1].endswith(", copies fail")
    check = BackupCheck(services.backups, services.database)
    with pytest.raises(TemporaryFailure, match=r"Copies cannot be made: .*unplugged: No such"):
        check.check()

    elsewhere.mkdir()
    services.backups.copy_if_due(now=made.now)
    assert names(elsewhere) == []
    with pytest.raises(TemporaryFailure, match=r"not in .*unplugged yet: .*unplugged: No such"):
        check.check()
    clock = time.monotonic() + kept_backups.RETRY_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    services.backups.copy_if_due(now=made.now)
    assert names(elsewhere) == names(tmp_path / "data" / "backups")
    assert check.check().endswith(f"Copies go to {elsewhere}.")


def test_copies_go_to_an_s3_store_in_parts_and_come_back_whole(
    utility: Callable[..., Utility], s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.backups.copies._PART_BYTES", 5 * 1024 * 1024)
    made = utility(**in_s3(s3), backup_keep="2,0,0")
    copies = made.services.backups.copies
    assert isinstance(copies, S3Copies)
    for days in (1, 2):
        large = tmp_path / f"backup-{made.now - timedelta(days=days):%Y%m%d-%H%M%SZ}.zip"
        large.write_bytes(os.urandom(12_000_000))
        copies.put(large)
    assert set(copies.sizes().values()) == {12_000_000}
    assert "Copied to s3://backups/green valley." in run(made).detail
    [name] = names(tmp_path / "data" / "backups")
    there = copies.sizes()
    assert sorted(there) == sorted(
        [name, f"backup-{made.now - timedelta(days=1):%Y%m%d-%H%M%SZ}.zip"]
    )
    # Without keys nobody may read it.
    assert requests.get(f"{s3}/backups/green%20valley/{name}", timeout=10).status_code == 403
    assert (
        bytes(obstore.get(copies._store(), name).bytes())
        == (tmp_path / "data" / "backups" / name).read_bytes()
    )
    # A second look copies nothing.
    monkeypatch.setattr(type(copies), "put", lambda *_: pytest.fail("copied again"))
    made.services.backups.copy(now=made.now)


@pytest.mark.parametrize(
    ("address", "endpoint", "why"),
    [
        ("s3://nowhere/x", "", "NoSuchBucket"),
        ("s3://backups/x", "http://127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_a_store_that_refuses_or_is_away_is_told_without_its_keys(
    s3: str, address: str, endpoint: str, why: str
) -> None:
    options = {
        "endpoint": endpoint or s3,
        "region": "us-east-1",
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "a-secret",
    }
    with pytest.raises(UnableToCopy, match=why) as caught:
        copy_place(address, options).sizes()
    assert "a-secret" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_store_is_shown_signed_requests(s3: str) -> None:
    """Whoever has other keys is refused by a store that checks them."""
    requests.post(f"{s3}/moto-api/reset-auth", data=b"0", timeout=5).raise_for_status()
    try:
        options = {"endpoint": s3, "access_key_id": "AKIAWRONG", "secret_access_key": "wrong"}
        with pytest.raises(UnableToCopy, match=r"InvalidAccessKeyId|AccessDenied"):
            copy_place("s3://backups/x", options).sizes()
    finally:
        requests.post(f"{s3}/moto-api/reset-auth", data=b"inf", timeout=5).raise_for_status()
