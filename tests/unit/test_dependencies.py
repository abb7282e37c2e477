"""What is installed is what was locked, and each package's licence is known."""

import json
import re
from pathlib import Path

import pytest

from scripts.write_sbom import locked_packages

ROOT = Path(__file__).resolve().parents[2]
LISTS = ("requirements", "requirements-dev", "requirements-bench")
# A copyleft that would reach our own code. LGPL, MPL and a GPL with an exception do not.
REACHES_OUR_CODE = re.compile(r"(?<!L)GPL(?!.*(exception|Classpath))", re.IGNORECASE)


@pytest.mark.parametrize("name", LISTS)
def test_every_direct_dependency_is_locked_at_its_version(name: str) -> None:
    lines = (ROOT / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.match(r"([A-Za-z0-9._-]+)(?:\[.*\])?==([^ ;]+)", line) for line in lines]
    wanted = {re.sub(r"[-_.]+", "-", pin[1]).lower(): pin[2] for pin in pins if pin}
    locked: dict[str, str] = {}
    for each in LISTS[: LISTS.index(name) + 1]:
        locked |= locked_packages(ROOT / f"{each}.lock")
    assert wanted
    assert {package: locked.get(package) for package in wanted} == wanted, "run `make lock`"


@pytest.mark.parametrize("name", LISTS)
def test_every_locked_package_has_a_hash(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    packages = re.findall(r"^[A-Za-z0-9].*\\\n(?:    .*\n?)+", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 0
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize("name", LISTS)
def test_a_lock_names_no_place_to_load_from(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index" not in text


def test_the_bill_of_materials_lists_what_is_locked() -> None:
    sbom = json.loads((ROOT / "docs" / "sbom.cdx.json").read_text(encoding="utf-8"))
    listed = {
        re.sub(r"[-_.]+", "-", part["name"]).lower(): part["version"] for part in sbom["components"]
    }
    assert listed == locked_packages(ROOT / "requirements.lock"), "run `make sbom`"


def test_every_licence_is_known_and_leaves_our_code_alone() -> None:
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][
        1:
    ]
    licences = {name.lower(): licence for name, _, licence in rows}
    assert len(licences) == len(locked_packages(ROOT / "requirements.lock"))
    assert not [name for name, licence in licences.items() if licence in {"", "None", "UNKNOWN"}]
    assert not {
        name: licence for name, licence in licences.items() if REACHES_OUR_CODE.search(licence)
    }
