"""The command that prices a load without a database."""

import argparse
import json
from pathlib import Path

from services.commands.arguments import Commands, add_decimal, year
from services.commands.working import say
from services.importing.load_file import DEFAULT_YEAR, read_load
from services.importing.source import UnreadableFile
from services.importing.urdb import UnusableRate
from services.rating import UnableToPriceBill
from services.settings import Settings
from services.tariff_publishing.price_load import price_load, tariff_of_file, tariff_of_rate
from services.tariffs import InvalidTariff


def add_price(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command price."""
    command = commands.add_parser(
        "price",
        help="price a load by a rate, month by month, without a database",
        description="Prints each month's total, and its charges unrounded, as JSON.",
    )
    by = command.add_mutually_exclusive_group(required=True)
    by.add_argument("--urdb", type=Path, metavar="FILE", help="a rate of OpenEI's URDB, JSON")
    by.add_argument("--tariff", type=Path, metavar="FILE", help="a tariff in this project's format")
    command.add_argument(
        "--load",
        required=True,
        type=Path,
        metavar="FILE",
        help="CSV: a column kwh of each hour from 1 January, or with a column timestamp",
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


def _price(given: argparse.Namespace, _: Settings) -> int:
    try:
        load = read_load(given.load, year=given.year, decimal=given.decimal)
        if given.tariff:
            tariff = tariff_of_file(given.tariff, code=given.label)
        else:
            tariff, remarks = tariff_of_rate(given.urdb, label=given.label, days_as=given.days_as)
            for path, text in remarks:
                say(f"note, {path}: {text}." if path else f"note: {text}.")
        months = price_load(tariff, load)
    except UnreadableFile as error:
        say(str(error.problem))
        return 2
    except (UnusableRate, InvalidTariff, UnableToPriceBill) as error:
        say(str(error))
        return 2
    print(json.dumps({"months": [m.to_json(currency=tariff.currency) for m in months]}))
    return 0
