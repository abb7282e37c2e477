"""axe-core in the browser of a test: what keeps people from using a page."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from services.settings import PROJECT_FOLDER

_SCRIPT = PROJECT_FOLDER / "scripts" / "get_axe.sh"
_GRAVE = {"serious", "critical"}
# As a page with a strict policy for scripts takes it too: in the world of the driver.
_RUN = """async source => {
    if (!window.axe) (0, eval)(source);
    const found = await window.axe.run(document, { resultTypes: ["violations"] });
    return found.violations.map(one => ({
        id: one.id, impact: one.impact, nodes: one.nodes.map(node => node.html),
    }));
}"""


def grave_findings(page: Page) -> list[Any]:
    """The serious and critical findings on a page; without axe-core the test is skipped."""
    found = page.evaluate(_RUN, _source())
    return [one for one in found if one["impact"] in _GRAVE]


@cache
def _source() -> str:
    run = subprocess.run(["sh", str(_SCRIPT)], capture_output=True, text=True, check=False)
    if run.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(run.stderr)
        pytest.skip(f"no axe-core: {run.stderr.strip()}")
    return Path(run.stdout.strip()).read_text(encoding="utf-8")
