"""The command that judges readings without a database."""

import argparse
import gc
import json
import os
import sys
from pathlib import Path
from typing import get_args

from services.commands.arguments import Commands, add_decimal
from services.commands.working import say, utc_now
from services.importing.by_kind.reading_check import ReadingCheck
from services.importing.dates import DateOrder
from services.importing.source import UnreadableFile
from services.records.use_limits import LimitBook
from services.settings import Settings


def add_check_readings(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command check-readings."""
    command = commands.add_parser(
        "check-readings",
        help="judge the readings of a file as the system would, and store nothing",
        description=(
            "Prints a JSON object for each row: whether it would be accepted, and what each rule "
            "found. The first row of a meter is its opening read."
        ),
    )
    command.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="CSV, XLSX or ODS with meter_serial, reading_kwh, read_at, and optionally dials, "
        "multiplier and connected_kw",
    )
    command.add_argument(
        "--reviewed",
        action="store_true",
        help="a doubted reading counts as its column true (yes or no) says; else, and where that "
        "is empty, it waits",
    )
    add_decimal(command)
    command.add_argument(
        "--dates",
        choices=get_args(DateOrder),
        help="which of day and month comes first, where the file does not show it",
    )
    command.set_defaults(run=_check)


def _check(given: argparse.Namespace, settings: Settings) -> int:
    check = ReadingCheck(
        zone=settings.timezone,
        now=utc_now(),
        reviewed=given.reviewed,
        book=LimitBook(settings.unknown_daily_wh),
        decimal=given.decimal,
        date_order=given.dates,
    )
    # Nothing here refers to itself, and the collector would walk all rows again and again.
    gc.disable()
    try:
        found = check.check(given.file)
    except UnreadableFile as error:
        say(str(error.problem))
        return 2
    finally:
        gc.enable()
    try:
        for checked in found:
            print(json.dumps(checked.to_json()))
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads the answer wants no more of it, as head does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
