"""The HTTP API on a real server, mounted as in the one process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from services.web.wsgi_mount import HealthMount, WsgiMount


@contextmanager
def serving(app: Flask, *, payment_workers: int = 1) -> Iterator[int]:
    """The port on loopback where the app is served until the end of the block."""
    api, payments = WsgiMount(app, workers=12), WsgiMount(app, workers=payment_workers)
    routes = [
        Route("/webhook/stripe", payments),
        Mount("/webhook", api),
        Route("/api/health", HealthMount(app)),
        Mount("/api", api),
    ]
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            running.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive()
