"""A server that speaks just enough Bolt to fail in every way, which no real one does when asked."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

Fault = str | bytes | None
_VERSION: Final = b"\x00\x00\x04\x04"
_SUCCESS, _RECORD, _IGNORED, _FAILURE = 0x70, 0x71, 0x7E, 0x7F
# The time, and a node that nobody asked for.
_ROW: Final = {"now": 1, "id": "none", "print": ""}
_HELLO, _GOODBYE, _RESET, _RUN, _PULL = 0x01, 0x02, 0x0F, 0x10, 0x3F


class FailingBolt:
    """Answers each statement with one row, after the `faults` that are queued.

    A fault is the code of an error, bytes that are sent as they are before it hangs up, or None
    for a statement that is answered well. `statements` counts what was asked.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.statements = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"bolt://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Hang up on everybody."""
        for end in (self._listener, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line = self._listener.accept()[0]
                # Else each answer of two messages waits for the other side's acknowledgement.
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(line)
                threading.Thread(target=self._talk, args=[line], daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with suppress(OSError, EOFError), line, line.makefile("rb") as said:
            # The protocol's sign and four proposals of a version.
            said.read(20)
            line.sendall(_VERSION)
            failed = False
            while (kind := _message(said)) != _GOODBYE:
                failed = self._answer(line, kind, failed=failed and kind != _RESET)

    def _answer(self, line: socket.socket, kind: int, *, failed: bool) -> bool:
        """Answer one message; whether everything up to a reset is ignored from now on."""
        if failed:
            line.sendall(_chunk(_IGNORED))
            return True
        if kind == _RUN:
            self.statements += 1
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None:
                return _fail(line, fault)
        if kind == _PULL:
            line.sendall(_chunk(_RECORD, list(_ROW.values())))
        line.sendall(_chunk(_SUCCESS, _told(kind)))
        return False


@contextmanager
def failing_bolt() -> Iterator[FailingBolt]:
    """Such a server, until the end."""
    server = FailingBolt()
    yield server
    server.stop()


def _told(kind: int) -> dict[str, Any]:
    if kind == _HELLO:
        return {"server": "Neo4j/5.26.0", "connection_id": "bolt-1"}
    return {"fields": list(_ROW)} if kind == _RUN else {}


def _fail(line: socket.socket, fault: str | bytes) -> bool:
    if isinstance(fault, bytes):
        line.sendall(fault)
        raise EOFError
    line.sendall(_chunk(_FAILURE, {"code": fault, "message": "something of a row"}))
    return True


def _message(said: Any) -> int:
    """The kind of the next message, whose content does not matter here."""
    whole = b""
    while size := int.from_bytes(_exactly(said, 2)):
        whole += _exactly(said, size)
    return whole[1] if whole else _message(said)


def _exactly(said: Any, size: int) -> bytes:
    data: bytes = said.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _chunk(kind: int, *fields: Any) -> bytes:
    packed = bytes([0xB0 + len(fields), kind]) + b"".join(map(_packed, fields))
    return struct.pack(">H", len(packed)) + packed + b"\x00\x00"


def _packed(value: Any) -> bytes:
    """Small values in PackStream."""
    if isinstance(value, int):
        return bytes([value])
    if isinstance(value, str):
        return bytes([0xD0, len(value)]) + value.encode()
    if isinstance(value, list):
        return bytes([0x90 + len(value)]) + b"".join(map(_packed, value))
    pairs = b"".join(_packed(name) + _packed(inner) for name, inner in value.items())
    return bytes([0xA0 + len(value)]) + pairs
