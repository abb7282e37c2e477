"""The one handler of the process: each record gets its ids, loses its secrets, and is written."""

import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

from services.telemetry.context import current_ids
from services.telemetry.formats import JsonFormatter, TextFormatter, fields_of
from services.telemetry.redaction import Redactor
from services.telemetry.storms import Storms

if sys.platform != "win32":
    import fcntl

# Our own, which follow LOG_LEVEL; of everybody else's lines only warnings are of interest here.
OURS: Final = ("__main__", "app", "pages", "scheduler", "services", "streamlit_app")
# Their debug lines hold addresses and headers.
_SERVERS: Final = ("apscheduler", "streamlit", "uvicorn")
# Off, as Streamlit has it: each page asks for dozens of files, and the API logs its own requests.
_ACCESS: Final = "uvicorn.access"
_TRACEBACKS: Final = logging.Formatter()


class Journal(logging.Handler):
    """Writes each record to `targets`; nothing that is wrong with a target reaches a caller."""

    def __init__(
        self, targets: Iterable[logging.Handler], redactor: Redactor, storms: Storms | None = None
    ) -> None:
        super().__init__()
        self.targets = tuple(targets)
        self._redact = redactor
        self._storms = storms or Storms()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or count it, and what else is to be said by now."""
        try:
            for summary in self._storms.summaries():
                self._write(summary)
            # As the thread that logs knows them; a summary has those of its last line.
            for name, value in current_ids().items():
                record.__dict__.setdefault(name, value)
            if self._storms.passing(record):
                self._write(record)
        except Exception:
            self.handleError(record)

    def say_what_was_left_out(self, *, all_of_them: bool = False) -> None:
        """Write the summaries that are due, though nobody logs anything just now."""
        with self._held():
            for summary in self._storms.summaries(all_of_them=all_of_them):
                self._write(summary)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line: a full disk must stop nobody's work."""

    def close(self) -> None:
        """Write what was left out, and give the files back."""
        self.say_what_was_left_out(all_of_them=True)
        for target in self.targets:
            target.close()
        super().close()

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _write(self, record: logging.LogRecord) -> None:
        # A copy: other handlers are given the record as it was.
        clean = copy(record)
        clean.msg, clean.args = self._redact(record.getMessage()), None
        if record.exc_info:
            clean.exc_text = self._redact(_TRACEBACKS.formatException(record.exc_info))
            clean.exc_info = None
        for name, value in fields_of(clean).items():
            clean.__dict__[name] = self._redact(value) if isinstance(value, str) else value
        for target in self.targets:
            # One that is full or gone must not keep the line from the others.
            with suppress(Exception):
                target.handle(clean)


class SharedRotatingFile(RotatingFileHandler):
    """A rotated file that several processes may write: one turns it, the others follow."""

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802 - logging's name
        """Whether the file is full, of those who hold it now; follows a file that was turned."""
        if self.stream is not None and not _is_still(self.baseFilename, self.stream):
            self.stream.close()
            self.stream = self._open()
        return int(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Turn the file, unless another process did so just now."""
        if sys.platform == "win32":
            super().doRollover()
            return
        with Path(f"{self.baseFilename}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.stream is None or _is_still(self.baseFilename, self.stream):
                super().doRollover()
            else:
                self.stream.close()
                self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line: a full disk must stop nobody's work."""


class _Stream(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line: whoever read it is gone."""


def _is_still(path: str, stream: TextIO) -> bool:
    try:
        there, ours = Path(path).stat(), os.fstat(stream.fileno())
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def start_logging(
    *,
    level: str = "INFO",
    file: Path | None = None,
    file_bytes: int = 10_000_000,
    files_kept: int = 5,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> Journal:
    """Send all logs of the process to standard error, and to `file` if there is one.

    Text on a terminal, JSON lines otherwise and in the file. `secrets` are values that never
    stand in a line. Raises OSError where the file cannot be written.
    """
    stream = stream or sys.stderr
    targets: list[logging.Handler] = [_Stream(stream)]
    targets[0].setFormatter(TextFormatter() if stream.isatty() else JsonFormatter())
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = SharedRotatingFile(
            file, maxBytes=file_bytes, backupCount=files_kept, encoding="utf-8"
        )
        kept.setFormatter(JsonFormatter())
        targets.append(kept)
    journal = Journal(targets, Redactor(secrets))
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, Journal) or type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.addHandler(journal)
    _set_levels(root, getattr(logging, level))
    take_in_other_logs()
    _log_what_nobody_catches()
    return journal


def _set_levels(root: logging.Logger, level: int) -> None:
    root.setLevel(max(level, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    for name in _SERVERS:
        logging.getLogger(name).setLevel(max(level, logging.INFO))


def take_in_other_logs() -> None:
    """Let the logs of Streamlit and uvicorn come here too; they bring handlers of their own."""
    streamlit = sys.modules.get("streamlit.logger")
    if streamlit is not None:
        # It gives each of its loggers a handler when the logger is first asked for.
        streamlit.setup_formatter = _pass_on  # type: ignore[attr-defined]
        for logger in vars(streamlit)["_loggers"].values():
            _pass_on(logger)
    for name in ("uvicorn", "uvicorn.error", _ACCESS, "uvicorn.asgi"):
        _pass_on(logging.getLogger(name))


def _pass_on(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = logger.name != _ACCESS


def say_what_was_left_out() -> None:
    """Write the summaries that are due, where logging was started."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Journal):
            handler.say_what_was_left_out()


def _log_what_nobody_catches() -> None:
    log = logging.getLogger("services")

    def of_the_program(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.critical("The program ends: nobody handled an error.", exc_info=(kind, error, trace))

    def of_a_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or issubclass(args.exc_type, SystemExit):
            return
        info: Any = (args.exc_type, args.exc_value, args.exc_traceback)
        name = args.thread.name if args.thread else "?"
        log.error("Thread %s ended: nobody handled an error.", name, exc_info=info)

    sys.excepthook = of_the_program
    threading.excepthook = of_a_thread
