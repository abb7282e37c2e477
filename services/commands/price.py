"""The command that prices a bill, or a load, without a database."""

import argparse
import json
from pathlib import Path
from typing import Any

from services.commands.arguments import Commands, add_decimal, year
from services.commands.working import say
from services.importing.load_file import DEFAULT_YEAR, read_load
from services.importing.source import UnreadableFile
from services.importing.urdb import UnusableRate
from services.metering.registers import WrongRegisters
from services.rating import UnableToPriceBill
from services.settings import Settings
from services.tariff_publishing.price_load import price_load, tariff_of_file, tariff_of_rate
from services.tariff_publishing.price_usage import price_usage, versions_of_files
from services.tariff_publishing.usage_file import read_usage
from services.tariffs import InvalidTariff
from services.web.shapes import rated_json


def add_price(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command price."""
    command = commands.add_parser(
        "price",
        help="price one bill, or a load month by month, without a database",
        description="Prints the bill of a usage, or of a load each month's total and its charges "
        "unrounded, as JSON. Nothing is stored.",
    )
    by = command.add_mutually_exclusive_group(required=True)
    by.add_argument("--urdb", type=Path, metavar="FILE", help="a rate of OpenEI's URDB, JSON")
    by.add_argument(
        "--tariff",
        type=Path,
        action="append",
        metavar="FILE",
        help="a tariff in this project's format; again for each further version of it",
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--load",
        type=Path,
        metavar="FILE",
        help="CSV: a column kwh of each hour from 1 January, or with a column timestamp",
    )
    what.add_argument(
        "--usage",
        type=Path,
        metavar="FILE",
        help="JSON: the period and the registers of one bill (docs/tariff-format.md)",
    )
    add_decimal(command)
    command.add_argument("--year", type=year, help=f"which year it is ({DEFAULT_YEAR})")
    command.add_argument("--label", help="which rate of the file, where it has several")
    command.add_argument(
        "--days-as",
        choices=["average_month", "actual"],
        default="average_month",
        help="what $/day counts in a URDB rate: 365/12 days a month, or the month's (%(default)s)",
    )
    command.set_defaults(run=_price)


def _price(given: argparse.Namespace, settings: Settings) -> int:
    try:
        answer = _bill(given, settings) if given.usage else _months(given)
    except UnreadableFile as error:
        say(str(error.problem))
        return 2
    except (UnusableRate, InvalidTariff, UnableToPriceBill, WrongRegisters) as error:
        say(str(error))
        return 2
    print(json.dumps(answer))
    return 0


def _bill(given: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    if given.urdb:
        raise UnreadableFile("A rate of URDB prices a --load; a --usage needs a --tariff.")
    versions = versions_of_files(given.tariff, code=given.label)
    usage, intervals = read_usage(given.usage, zone=settings.timezone, decimal=given.decimal)
    price = price_usage(versions, usage, intervals, zone=settings.timezone)
    return rated_json(price.rated, price.net)


def _months(given: argparse.Namespace) -> dict[str, Any]:
    load = read_load(given.load, year=given.year, decimal=given.decimal)
    if given.tariff:
        if len(given.tariff) > 1:
            raise UnreadableFile("A --load is priced by one version of a tariff: give one file.")
        tariff = tariff_of_file(given.tariff[0], code=given.label)
    else:
        tariff, remarks = tariff_of_rate(given.urdb, label=given.label, days_as=given.days_as)
        for path, text in remarks:
            say(f"note, {path}: {text}." if path else f"note: {text}.")
    months = price_load(tariff, load)
    return {"months": [month.to_json(currency=tariff.currency) for month in months]}
