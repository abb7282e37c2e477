"""What keeps things findable: small folders, tests beside their modules, pages in one registry."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from pages import registry
from pages.registry import PageEntry
from services.settings import PROJECT_FOLDER

LARGEST_FOLDER = 25
# Of modules that stand alone at the top.
ALONE = {"test_dependencies.py", "test_office_texts.py", "test_rooms.py", "test_settings.py"}
PAGES = {entry.script: entry for entry in vars(registry).values() if isinstance(entry, PageEntry)}
# Imported by other pages, and runs by itself all the same: the first script of every visit.
FIRST_SCRIPT = "main.py"


def modules(room: str) -> list[Path]:
    return sorted((PROJECT_FOLDER / room).rglob("*.py"))


@pytest.mark.parametrize("room", ["services", "pages"])
def test_no_folder_holds_more_files_than_one_overlooks(room: str) -> None:
    folders = {path.parent for path in modules(room)}
    sizes = {str(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: n for folder, n in sizes.items() if n > LARGEST_FOLDER} == {}


def test_each_page_of_the_registry_has_its_script_and_an_address_of_its_own() -> None:
    assert len(PAGES) > 20
    assert [script for script in PAGES if not (PROJECT_FOLDER / "pages" / script).is_file()] == []
    assert len({entry.path for entry in PAGES.values()}) == len(PAGES)
    assert [f.name for f in fields(PageEntry)] == ["script", "path", "title", "needs", "icon"]


def test_a_module_of_pages_that_is_no_page_runs_nothing_when_it_is_imported() -> None:
    quiet = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    for path in modules("pages"):
        script = path.relative_to(PROJECT_FOLDER / "pages").as_posix()
        if script in PAGES or script == FIRST_SCRIPT:
            continue
        loud = [
            node.lineno
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if not isinstance(node, quiet) and not _is_docstring(node) and not _is_typing(node)
        ]
        assert loud == [], f"{script} runs something when it is imported"


def test_no_page_but_the_registry_names_a_script() -> None:
    for path in modules("pages"):
        if path.name == "registry.py":
            continue
        text = path.read_text(encoding="utf-8")
        assert [script for script in PAGES if f'"{script}"' in text] == [], path


def test_no_page_reaches_past_the_services_into_the_database() -> None:
    for path in modules("pages"):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        reached = [n.lineno for n in tree if isinstance(n, ast.Attribute) and n.attr == "database"]
        assert reached == [], f"{path} asks the database itself: let a service answer"


def test_a_unit_test_stands_where_its_module_does() -> None:
    unit = PROJECT_FOLDER / "tests" / "unit"
    for path in sorted(unit.rglob("test_*.py")):
        room = path.parent.relative_to(unit)
        if path.name in ALONE and not room.parts:
            continue
        names = [module.stem for module in (PROJECT_FOLDER / "services" / room).glob("*.py")]
        tested = path.stem.removeprefix("test_")
        fits = any(tested == name or tested.startswith(f"{name}_") for name in names)
        assert fits, f"{path.relative_to(unit)} tests no module of services/{room}"


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_typing(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
