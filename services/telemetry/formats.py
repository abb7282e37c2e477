"""How a line of the log looks: text for a terminal, JSON for machines."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from services.telemetry.context import ID_NAMES

_STANDARD: Final = frozenset(
    (
        *logging.LogRecord("", 0, "", 0, "", None, None).__dict__,
        "message",
        "asctime",
        "every",
        "storm",
    )
)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The ids of a record, then what its caller gave as `extra`, as JSON can hold it."""
    given = {k: v for k, v in record.__dict__.items() if k not in _STANDARD and v is not None}
    ids = {name: given.pop(name) for name in ID_NAMES if name in given}
    # Streamlit colours some messages a second time for terminals.
    given.pop("color_message", None)
    plain = (bool, int, float, str)
    return ids | {k: v if isinstance(v, plain) else str(v) for k, v in given.items()}


class TextFormatter(logging.Formatter):
    """`2026-03-01 09:00:00 WARNING services.jobs.runs: message [meter=M-1]`, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and below it the traceback if there is one."""
        at = f"{_at(record):%Y-%m-%d %H:%M:%S}"
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        line = f"{at} {record.levelname} {record.name}: {record.getMessage()}"
        line = _escaped(f"{line} [{fields}]" if fields else line)
        # Indented: what an error says cannot pass for a line of its own.
        traced = (f"  {_escaped(one)}" for one in (record.exc_text or "").splitlines())
        return "\n".join((line, *traced))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, ids, what else is known, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "time": _at(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: value for name, value in fields_of(record).items() if name not in said}
        if record.exc_text:
            said["traceback"] = record.exc_text
        line = json.dumps(said, ensure_ascii=False)
        # JSON itself escapes line breaks, but not whatever else moves a terminal's cursor.
        return line if line.isprintable() else json.dumps(said)


def _at(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _escaped(text: str) -> str:
    """A text with what is not printed, such as line breaks and colours, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
