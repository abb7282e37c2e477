"""A disk that fills up says so before and while it is full, and loses nothing."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from services.database.embedded import EmbeddedPostgres
from services.database.transport import DiskFull
from services.database.transports.postgres import as_database_error
from services.health import disk
from services.health.disk import DiskWatch, Room
from services.web.errors import problem_of
from tests.disks import disk_of

MB = 1024 * 1024


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 400 MB of its own."""
    with disk_of("400m") as folder:
        yield folder


def _fill(folder: Path, *, leave: int) -> Path:
    filler = folder / "filler"
    size = shutil.disk_usage(folder).free - leave
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return filler


def test_what_the_disk_refuses_is_refused_in_a_sentence_and_nothing_is_lost(
    small_disk: Path,
) -> None:
    watch = DiskWatch(
        (small_disk, small_disk / "postgres"), clock=iter(range(0, 1000, 10)).__next__
    )
    with (
        EmbeddedPostgres(small_disk / "data") as server,
        psycopg.connect(server.database("billing"), autocommit=True) as connection,
    ):
        connection.execute("create table public.notes as select 'kept' as text")
        filler = _fill(small_disk, leave=0)
        state = watch.state()
        assert state.room is Room.FULL
        assert "No space left" in state.word
        assert str(small_disk) not in state.word
        with pytest.raises(psycopg.Error) as refused:
            connection.execute(
                "insert into public.notes select repeat('x', 1000) from generate_series(1, 9999)"
            )
        error = as_database_error(refused.value)
        assert isinstance(error, DiskFull)
        filler.unlink()
        assert watch.state().room is not Room.FULL
        assert connection.execute("select text from public.notes").fetchall() == [("kept",)]
        connection.execute("insert into public.notes values ('again')")


def test_the_api_says_that_the_disk_is_full() -> None:
    problem = problem_of(DiskFull())
    assert (problem.status, problem.code) == (503, "disk_full")
    assert "nothing was stored" in problem.message
    assert dict(problem.headers)["Retry-After"]


def test_the_disk_is_looked_at_once_in_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(disk, "_write", written.append)
    times = iter([0.0, 1.0, 4.9, 5.1])
    watch = DiskWatch((tmp_path,), clock=times.__next__)
    for _ in range(4):
        watch.state()
    assert len(written) == 2
