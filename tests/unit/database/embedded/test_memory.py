"""The embedded server's memory follows the machine's."""

import pytest

from services.database.embedded.memory import memory_bytes, memory_settings

GB = 1 << 30


@pytest.mark.parametrize(
    ("gb", "pages", "maintenance", "wal"),
    [
        (1, "128MB", "64MB", "1024MB"),
        (4, "512MB", "64MB", "1024MB"),
        (8, "1024MB", "128MB", "2048MB"),
        (24, "2048MB", "384MB", "4096MB"),
        (512, "2048MB", "512MB", "4096MB"),
    ],
)
def test_it_grows_with_the_machine_within_bounds(
    gb: int, pages: str, maintenance: str, wal: str
) -> None:
    found = memory_settings(gb * GB)
    assert found["shared_buffers"] == pages
    assert found["maintenance_work_mem"] == maintenance
    assert found["max_wal_size"] == wal


def test_this_machine_has_some() -> None:
    assert memory_bytes() > 100_000_000
