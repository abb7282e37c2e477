"""Pages in a folder of a test's own, beside an entry script that shows only some of them."""

from pathlib import Path

from services.settings import PROJECT_FOLDER


def link_pages(folder: Path) -> None:
    """Link the home page and the folders of all other pages into `folder`."""
    pages = PROJECT_FOLDER / "pages"
    for path in (*(p for p in pages.iterdir() if p.is_dir()), pages / "home.py"):
        (folder / path.name).symlink_to(path)
