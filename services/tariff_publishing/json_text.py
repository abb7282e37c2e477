"""The JSON text of a tariff: read with every digit kept, and written for people."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from services.importing.source import UnreadableFile
from services.importing.tariff_files import json_of
from services.languages.sentence import sentence

Path = tuple[str | int, ...]

_WIDTH: Final = 88
_DEEPEST: Final = 40


def exact_json(text: str) -> Any:
    """JSON whose numbers keep their digits. Raises UnreadableFile."""
    found = json_of(text, parse_float=Decimal)
    level = [found]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
    if level:
        raise UnreadableFile(sentence("This JSON is nested deeper than any tariff."))
    return found


def pretty(value: Any, indent: int = 0) -> str:
    """JSON for people: what fits on a line stands on one line. Reads back to the same."""
    line = _on_one_line(value)
    if indent + len(line) <= _WIDTH or not value or not isinstance(value, dict | list):
        return line
    if isinstance(value, dict):
        inner = [
            f"{json.dumps(name, ensure_ascii=False)}: {pretty(one, indent + 2)}"
            for name, one in value.items()
        ]
        opening, closing = "{", "}"
    else:
        inner = [pretty(one, indent + 2) for one in value]
        opening, closing = "[", "]"
    pad = "\n" + " " * (indent + 2)
    return f"{opening}{pad}{f',{pad}'.join(inner)}\n{' ' * indent}{closing}"


def path_text(path: Path) -> str:
    """A path as problems name it: charges[0].slabs[1].rate."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _on_one_line(value: Any) -> str:
    if isinstance(value, dict):
        inner = (
            f"{json.dumps(name, ensure_ascii=False)}: {_on_one_line(one)}"
            for name, one in value.items()
        )
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_on_one_line, value))}]"
    # A number keeps the digits it was written with.
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
