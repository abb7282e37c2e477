"""Lines carry ids and lose secrets; text on a terminal, JSON elsewhere; files turn in one place."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.telemetry.context import begin, bound
from services.telemetry.formats import JsonFormatter, TextFormatter
from services.telemetry.journal import Journal, SharedRotatingFile, start_logging
from services.telemetry.redaction import Redactor
from services.telemetry.storms import MOST_IN_A_WINDOW

log = logging.getLogger("services.trial")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    ours = ("services", "app", "scheduler", "pages", "streamlit_app", "__main__")
    names = (*ours, "apscheduler", "streamlit", "uvicorn")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    begin()
    yield
    begin()
    root.handlers[:], root.level = handlers, level
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_for_machines_is_a_json_object_with_the_ids_of_what_is_under_way() -> None:
    stream = io.StringIO()
    start_logging(stream=stream)
    with bound(request_id="r-1", actor="engineer-7"), bound(meter="M-1", bill=None):
        log.warning("kept %d", 2, extra={"ms": 3})
    log.info("afterwards")
    first, second = lines(stream)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "services.trial",
        "message": "kept 2",
        "request_id": "r-1",
        "meter": "M-1",
        "actor": "engineer-7",
        "ms": 3,
    }
    assert "meter" not in second


def test_a_line_for_a_terminal_is_text_and_stays_one_line() -> None:
    stream = Terminal()
    start_logging(stream=stream)
    with bound(meter="M-1"):
        log.warning("kept\nERROR forged")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r" WARNING services.trial: kept\nERROR forged [meter=M-1]")


def test_nothing_that_is_logged_passes_for_another_line_or_colours_it() -> None:
    forged = "x\n2026-01-01 00:00:00 ERROR forged: y\x1b[2J\x85\u2028\x9bz"
    for stream in (Terminal(), io.StringIO()):
        start_logging(stream=stream)
        try:
            raise RuntimeError(forged)
        except RuntimeError:
            log.exception("kept %s", forged, extra={"about": forged})
        said = stream.getvalue()
        assert said.count("forged: y") == 3
        assert not any(line.startswith("2026-01-01") for line in said.splitlines())
        assert all(line.isprintable() for line in said.split("\n"))


def test_secrets_are_taken_out_of_messages_fields_and_tracebacks() -> None:
    stream = io.StringIO()
    start_logging(stream=stream, secrets=["hush-hush"])
    try:
        raise RuntimeError("no way in with hush-hush, bearer abcdef12")
    except RuntimeError:
        log.exception("failed with %s", "hush-hush", extra={"about": "a@b.example"})
    (line,) = lines(stream)
    assert "RuntimeError: no way in with …, Bearer …" in line["traceback"]
    assert (line["message"], line["about"]) == ("failed with …", "…@…")


def test_other_handlers_see_the_record_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    start_logging(stream=io.StringIO(), secrets=["hush-hush"])
    log.warning("with %s", "hush-hush")
    assert caplog.records[-1].getMessage() == "with hush-hush"


def test_the_level_is_of_our_own_lines_and_of_others_only_warnings_count() -> None:
    stream = io.StringIO()
    start_logging(stream=stream, level="DEBUG")
    log.debug("ours")
    logging.getLogger("httpx").info("GET https://project.example/rest?email=eq.x")
    logging.getLogger("httpx").warning("theirs")
    assert [line["message"] for line in lines(stream)] == ["ours", "theirs"]


def test_logs_of_streamlit_and_uvicorn_come_to_the_same_place() -> None:
    from streamlit.logger import get_logger  # noqa: PLC0415 - Streamlit takes a second to load

    stream = io.StringIO()
    before = get_logger("streamlit.trial.before")
    start_logging(stream=stream)
    before.warning("before")
    get_logger("streamlit.trial.after").warning("after")
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.setLevel(logging.INFO)
    uvicorn.warning("from uvicorn")
    logging.getLogger("uvicorn.access").warning("a request of many")
    assert [line["message"] for line in lines(stream)] == ["before", "after", "from uvicorn"]


def test_an_error_that_nobody_handles_is_logged_once_with_its_traceback() -> None:
    stream = io.StringIO()
    start_logging(stream=stream)

    def fail() -> None:
        raise ValueError("of a thread")

    thread = threading.Thread(target=fail, name="trial")
    thread.start()
    thread.join()
    (line,) = lines(stream)
    assert line["message"] == "Thread trial ended: nobody handled an error."
    assert line["traceback"].endswith("ValueError: of a thread")


def test_what_was_left_out_is_said_at_the_end() -> None:
    stream = io.StringIO()
    journal = start_logging(stream=stream)
    for n in range(MOST_IN_A_WINDOW + 3):
        log.warning("again %d", n)
    assert len(lines(stream)) == MOST_IN_A_WINDOW
    journal.say_what_was_left_out(all_of_them=True)
    assert lines(stream)[-1]["message"] == "again 22 [repeated 3 times in 0 s]"


def test_a_file_is_turned_at_its_size_and_so_many_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "billing.log"
    journal = start_logging(stream=io.StringIO(), file=file, file_bytes=2_000, files_kept=2)
    for n in range(100):
        log.warning("line %d", n, extra={"every": True})
    journal.close()
    kept = sorted(file.parent.glob("billing.log*"))
    assert [path.name for path in kept if path.suffix != ".lock"] == [
        "billing.log",
        "billing.log.1",
        "billing.log.2",
    ]
    assert all(path.stat().st_size <= 2_000 for path in kept)
    assert json.loads(file.read_text().splitlines()[-1])["message"] == "line 99"


def test_two_that_write_one_file_lose_no_line_when_it_is_turned(tmp_path: Path) -> None:
    file = tmp_path / "billing.log"
    both = [SharedRotatingFile(file, maxBytes=2_000, backupCount=50) for _ in range(2)]
    for n in range(200):
        record = logging.LogRecord("x", logging.INFO, "", 0, f"line {n:03}", None, None)
        both[n % 2].handle(record)
    for one in both:
        one.close()
    said = "".join(path.read_text() for path in tmp_path.glob("billing.log*")).splitlines()
    assert sorted(said) == [f"line {n:03}" for n in range(200)]


def test_a_file_that_cannot_be_written_stops_nobody() -> None:
    class Full(logging.StreamHandler[io.StringIO]):
        def emit(self, _: logging.LogRecord) -> None:
            raise OSError("No space left on device")

    stream = io.StringIO()
    good = logging.StreamHandler(stream)
    Journal([Full(), good], Redactor()).handle(
        logging.LogRecord("x", logging.INFO, "", 0, "kept", None, None)
    )
    assert stream.getvalue() == "kept\n"


def test_what_json_cannot_hold_is_written_as_text() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "m", None, None)
    record.path = Path("/srv")
    assert json.loads(JsonFormatter().format(record))["path"] == "/srv"
    assert TextFormatter().format(record).endswith("[path=/srv]")
