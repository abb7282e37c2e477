"""What commands work with: the services of the settings, who runs them, the clock."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from services.bootstrap import open_services
from services.container import Services
from services.settings import Settings


@contextmanager
def working(settings: Settings) -> Iterator[Services]:
    """The services on the database of the settings; with the demo its data and its head-end."""
    if settings.demo:
        say("Working in the demo's database; DEMO=off is your own.")
    services = open_services(settings, now=utc_now())
    try:
        yield services
    finally:
        services.close()


def actor() -> str:
    """Who does it, for the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):
        return "cli:unknown"


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def say(line: str) -> None:
    """Say something beside the answer, which alone goes to standard output."""
    print(line, file=sys.stderr)
