"""The files of the round look as the pages do."""

import tomllib

from services.settings import PROJECT_FOLDER
from services.web.round import files_served

THEME = tomllib.loads((PROJECT_FOLDER / ".streamlit" / "config.toml").read_text())["theme"]


def test_the_colours_are_those_of_the_pages_theme() -> None:
    style = files_served.file("round.css")
    assert style is not None
    light, dark = (
        next(line for line in style.content.decode().splitlines() if line.startswith(start))
        for start in (":root", "@media (prefers-color-scheme: dark)")
    )
    for line, theme in ((light, THEME["light"]), (dark, THEME["dark"])):
        for name, key in (
            ("--bar", "primaryColor"),
            ("--brand", "linkColor"),
            ("--ink", "textColor"),
            ("--paper", "backgroundColor"),
            ("--field", "secondaryBackgroundColor"),
            ("--line", "borderColor"),
        ):
            shown = theme[key].lower().replace("#ffffff", "#fff")
            assert f"{name}: {shown};" in line, name
