"""What stands before PostgREST at Supabase: asks for a key, takes /rest/v1 off the address."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable

PREFIX = b"/rest/v1"
NO_KEY = b'{"message":"No API key found in request"}'


class Gateway:
    """A proxy on loopback, in a thread of its own; `asked` notes each request's first line."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked: list[str] = []
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        out, into = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        back = asyncio.ensure_future(_pump(out, writer))
        try:
            await _until_gone(self._forward(reader, into, writer))
        finally:
            back.cancel()
            into.close()
            writer.close()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        into: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
    ) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(b":") for line in lines[1:] if line)
            }
            self.asked.append(lines[0].decode())
            if b"apikey" not in headers:
                length = str(len(NO_KEY)).encode()
                writer.write(
                    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
                    b"Connection: close\r\nContent-Length: " + length + b"\r\n\r\n" + NO_KEY
                )
                await writer.drain()
                return
            lines[0] = lines[0].replace(b" " + PREFIX, b" ", 1)
            into.write(b"\r\n".join(lines))
            left = int(headers.get(b"content-length", b"0"))
            while left:
                chunk = await reader.read(min(left, 65536))
                if not chunk:
                    return
                left -= len(chunk)
                into.write(chunk)
            await into.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def pump() -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    await _until_gone(pump())


async def _until_gone(work: Awaitable[None]) -> None:
    """Work until the other side hangs up, which is no failure."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        await work
