"""pg_dump, pg_restore and psql as the embedded server brings them, fed and read in chunks."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.database.embedded import EmbeddedPostgresError
from services.database.embedded.home import installed_programs, own_major

CHUNK_BYTES: Final = 1024 * 1024
# Stands in the first lines of a script for a server of 17 or newer; an older one refuses it.
_NEWER_SETTING: Final = b"SET transaction_timeout = 0;\n"
# Default rights name the role that they were made for, which may be another one here.
_MADE_ANEW: Final = b" DEFAULT ACL "


class UnableToDump(Exception):
    """A dump could not be made, read or restored; the message is a sentence for an operator."""


def major() -> int:
    """The major version of Postgres that these programs are of. Raises UnableToDump."""
    try:
        return own_major()
    except EmbeddedPostgresError as error:
        raise UnableToDump(str(error)) from error


def dump(dsn: str, *, snapshot: str) -> Generator[bytes]:
    """The whole database as `pg_dump` writes it in its custom format, as of an exported snapshot.

    Raises UnableToDump after the last chunk if pg_dump did not end well.
    """
    options = ["--format=custom", "--compress=gzip:3", "--no-password", f"--snapshot={snapshot}"]
    with _running("pg_dump", *options, dsn=dsn) as process:
        yield from _chunks(process.stdout)


def contents(chunks: Iterable[bytes]) -> list[bytes]:
    """The lines of `pg_restore --list` on a dump; raises UnableToDump for what is none."""
    with _running("pg_restore", "--list", given=chunks) as process:
        return b"".join(_chunks(process.stdout)).splitlines()


def restore(dsn: str, chunks: Iterable[bytes], *, listed: Iterable[bytes]) -> None:
    """Restore a dump into a database that is empty, in one transaction; the DSN's role owns it.

    `listed` are its `contents`. Default rights are left out. Raises UnableToDump.
    """
    with tempfile.NamedTemporaryFile(suffix=".list") as wanted:
        wanted.write(b"\n".join(line for line in listed if _MADE_ANEW not in line))
        wanted.flush()
        script = ["--no-owner", f"--use-list={wanted.name}", "--file=-"]
        with _running("pg_restore", *script, given=chunks) as reader:
            made = _chunks(reader.stdout)
            first = next(made, b"").replace(_NEWER_SETTING, b"", 1)
            options = ["--no-psqlrc", "--quiet", "--single-transaction", "--no-password"]
            options += ["--set=ON_ERROR_STOP=1", "--output=/dev/null"]
            with _running("psql", *options, dsn=dsn, given=_then(first, made)):
                pass


def _then(first: bytes, others: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


@contextmanager
def _running(
    name: str, *options: str, dsn: str = "", given: Iterable[bytes] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that reads `given`; it has ended well by the end, else UnableToDump is raised."""
    command, environment = [str(_folder() / name), *options], dict(os.environ)
    if dsn:
        # Not among the arguments, where every user of the machine could read the password.
        environment["PGPASSWORD"] = str(conninfo_to_dict(dsn).get("password") or "")
        command.append(f"--dbname={make_conninfo(dsn, password=None)}")
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603  a program of our own, with no shell
            command,
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment | {"LC_ALL": "C"},
        )
        feeding = _Feeding(process.stdin, given)
        try:
            yield process
            for _ in _chunks(process.stdout):
                pass
        except BaseException:
            process.kill()
            raise
        finally:
            feeding.join()
            code = process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if feeding.error is not None:
            raise feeding.error
        if code != 0:
            said.seek(0)
            raise UnableToDump(f"{name} failed: {_reason(said.read())}")


class _Feeding:
    """Writes chunks into a program on a thread of its own, as the program may answer meanwhile."""

    def __init__(self, into: IO[bytes] | None, chunks: Iterable[bytes] | None) -> None:
        self._into, self._chunks = into, chunks
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until all was written, or the program has ended."""
        self._thread.join()

    def _feed(self) -> None:
        if self._into is None or self._chunks is None:
            return
        try:
            # A program that needs no more of it closes its end.
            with suppress(BrokenPipeError):
                for chunk in self._chunks:
                    self._into.write(chunk)
        except BaseException as error:
            self.error = error
        finally:
            with suppress(BrokenPipeError):
                self._into.close()


def _chunks(stream: IO[Any] | None) -> Iterator[bytes]:
    while stream is not None and (chunk := stream.read(CHUNK_BYTES)):
        yield chunk


def _folder() -> Path:
    try:
        return installed_programs()
    except EmbeddedPostgresError as error:
        raise UnableToDump(str(error)) from error


def _reason(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", errors="replace").splitlines() if line.strip()]
    for line in lines:
        if "error:" in line or "ERROR:" in line:
            return line.partition("rror:")[2].strip() or line
    return lines[-1] if lines else "it said nothing"
