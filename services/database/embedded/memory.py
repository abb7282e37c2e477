"""How much memory the embedded server takes: by that of the machine, which the program shares."""

import os
from pathlib import Path

_MB = 1 << 20
# Of a container that has less than its machine.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_settings(memory_bytes: int) -> dict[str, str]:
    """Postgres' settings on a machine with so much memory, which other programs use as well.

    Postgres' own, 128 MB for its pages, are made for any machine. Its documentation recommends a
    quarter of the memory where it is alone; here it is an eighth.
    """
    return {
        "shared_buffers": _between(128, memory_bytes // 8, 2048),
        # What the system caches of its files, too; only planned with.
        "effective_cache_size": _between(256, memory_bytes // 2, 1 << 20),
        "maintenance_work_mem": _between(64, memory_bytes // 64, 512),
        # A long run writes fewer whole pages the longer it is between two checkpoints.
        "max_wal_size": _between(1024, memory_bytes // 4, 4096),
        "checkpoint_timeout": "15min",
    }


def memory_bytes() -> int:
    """The memory that this machine, or the container that this is, has."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _LIMITS:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        # "max" is without limit.
        found += [int(text)] if text.isdigit() else []
    return min(found)


def _between(least_mb: int, wanted_bytes: int, most_mb: int) -> str:
    return f"{min(max(wanted_bytes // _MB, least_mb), most_mb)}MB"
