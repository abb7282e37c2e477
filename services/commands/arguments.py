"""What arguments of commands may be: each function reads one, or says what is wrong with it."""

import argparse
from datetime import date, datetime
from typing import Final, get_args

from services.identity.permissions import Role
from services.importing.load_file import YEARS
from services.quantities.written_numbers import DecimalSign

EARLIEST_YEAR, LATEST_YEAR = 1990, 2200
LONGEST_TOKEN_HOURS: Final = 24 * 365
LONGEST_KEY_DAYS: Final = 10 * 365
Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def hours(text: str) -> float:
    """Hours of a token; raises ArgumentTypeError, as those below do."""
    hours = float(text)
    if not 0 < hours <= LONGEST_TOKEN_HOURS:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most {LONGEST_TOKEN_HOURS}")
    return hours


def days(text: str) -> int:
    """Days of a key."""
    if not text.isdecimal() or not 0 < int(text) <= LONGEST_KEY_DAYS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {LONGEST_KEY_DAYS}")
    return int(text)


def year(text: str) -> int:
    """A year that loads can be of."""
    if not text.isdecimal() or int(text) not in YEARS:
        raise argparse.ArgumentTypeError(f"must be a year such as 2018, not {text[:40]!r}")
    return int(text)


def local_date_of(text: str) -> date:
    """A date in ISO 8601."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        wanted = f"must be a date such as 2026-04-01, not {text[:40]!r}"
        raise argparse.ArgumentTypeError(wanted) from None


def instant(text: str) -> datetime:
    """A date and time in ISO 8601, with or without a zone."""
    try:
        at = datetime.fromisoformat(text)
        if not EARLIEST_YEAR <= at.year <= LATEST_YEAR:
            raise ValueError(text)
        return at
    except ValueError:
        wanted = f"must be a date and time such as 2026-03-01T02:00, not {text[:40]!r}"
        raise argparse.ArgumentTypeError(wanted) from None


def add_decimal(command: argparse.ArgumentParser) -> None:
    """Let a command ask for the decimal sign of a file."""
    command.add_argument(
        "--decimal",
        choices=get_args(DecimalSign),
        help="the decimal sign of the file's numbers, where the file does not show it",
    )


def add_role(command: argparse.ArgumentParser) -> None:
    """Let a command ask for a role."""
    roles = [role.value for role in Role]
    command.add_argument("--role", required=True, choices=roles, help="what it may do")
