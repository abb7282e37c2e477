"""What a list shows, for tests without a browser: its table is a component of our own."""

import json
from typing import Any

from streamlit.testing.v1 import AppTest


def list_data(app: AppTest) -> list[dict[str, Any]]:
    """What the lists on the page were given."""
    return [json.loads(element.proto.json) for element in app.get("bidi_component")]


def list_words(app: AppTest) -> list[str]:
    """The texts of all rows and cards, and the name of each list's order."""
    return [
        text
        for data in list_data(app)
        for row in data["rows"]
        for text in (row["summary"], *(cell["text"] for cell in row["cells"].values()))
    ]
