"""Small disks of a test's own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def disk_of(size: str) -> Iterator[Path]:
    """A disk in memory, such as one of "400m"; who may not mount one skips, but never in CI."""
    folder = Path(tempfile.mkdtemp(prefix="billing-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "billing", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        folder.rmdir()
        reason = "only root may mount a small disk"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
