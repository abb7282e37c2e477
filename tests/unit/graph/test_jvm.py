"""The graph server's memory follows the machine's."""

import pytest

from services.graph.jvm import heap_megabytes

GB = 1 << 30


@pytest.mark.parametrize(("gb", "heap"), [(1, 256), (4, 256), (8, 512), (16, 1024), (512, 1024)])
def test_it_grows_with_the_machine_within_bounds(gb: int, heap: int) -> None:
    assert heap_megabytes(gb * GB) == heap
