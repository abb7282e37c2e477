"""Commands that bring data in or make the graph again: demo, import, graph."""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from services.bootstrap import build_services
from services.commands.arguments import Commands, add_decimal, local_date_of
from services.commands.working import actor, say, utc_now, working
from services.demo import load_demo_if_empty
from services.graph import PassHalted
from services.importing import Importer, WhatToImport
from services.importing.dates import DateOrder
from services.importing.full_export.writer import FullExport
from services.importing.report import Question
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.quantities.counting import count
from services.settings import Settings

MOST_PROBLEMS_SHOWN: Final = 100
_HOW_TO_SAY: Final[Mapping[Question, str]] = {
    "account": "If it is the utility's too, run this again with --other-account.",
    "dates": "Run this again with --dates day_first or --dates month_first.",
    "decimal": "Run this again with --decimal point or --decimal comma.",
    "meter": "If the file is of one meter, run this again with --meter and its serial.",
    "similar": "If they are different, run this again with --allow-similar.",
}
GRAPH_START_SECONDS: Final = 90


def add_demo(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command demo."""
    command = commands.add_parser("demo", help="load the demo utility into an empty database")
    command.set_defaults(run=_demo)


def add_import(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command import."""
    command = commands.add_parser(
        "import",
        help="bring in customers, meters, readings … from a file",
        description="Checks the whole file first: if anything in it is wrong, nothing is written.",
    )
    command.add_argument("what", choices=get_args(WhatToImport))
    command.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="CSV, XLSX or ODS; tariffs: JSON, also URDB; bank statements: also MT940, camt.053; "
        "intervals: also NEM12, Green Button XML; readings: also NEM13",
    )
    command.add_argument(
        "--effective-from",
        type=local_date_of,
        metavar="DATE",
        help="from when URDB rates hold here; without it from their own start date",
    )
    add_decimal(command)
    command.add_argument(
        "--dates",
        choices=get_args(DateOrder),
        help="which of day and month comes first, where the file does not show it",
    )
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be added and changed, and write nothing",
    )
    command.add_argument(
        "--allow-similar",
        action="store_true",
        help="add customers or meters that look like known ones, such as 123 beside 00123",
    )
    command.add_argument(
        "--other-account",
        action="store_true",
        help="take a bank statement of an account of which there was none yet",
    )
    command.add_argument(
        "--meter",
        metavar="SERIAL",
        help="which meter a Green Button file is of, where it does not name it",
    )
    command.set_defaults(run=_import)


def add_export(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command export."""
    command = commands.add_parser(
        "export",
        help="write all that the utility owns into a ZIP of CSV files",
        description="Files that imports take back, and every table as an archive.",
    )
    command.add_argument(
        "file", metavar="FILE.zip", type=Path, help="a file of that name is replaced"
    )
    command.set_defaults(run=_export)


def add_graph(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command graph."""
    command = commands.add_parser("graph", help="make the graph again, or check that it agrees")
    command.add_argument("what", choices=["rebuild", "check"])
    command.set_defaults(run=_graph)


def _demo(_: argparse.Namespace, settings: Settings) -> int:
    services = build_services(settings)
    try:
        loaded = load_demo_if_empty(services, utc_now())
        print(loaded or "The demo utility is loaded already; nothing was added.")
    finally:
        services.close()
    return 0


def _import(given: argparse.Namespace, settings: Settings) -> int:
    with working(settings) as services:
        held = services.settings
        importer = Importer(
            services.database,
            held.timezone,
            decimal=given.decimal,
            date_order=given.dates,
            dry_run=given.dry_run,
            allow_similar=given.allow_similar,
            other_account=given.other_account,
            meter=given.meter,
            limit_book=services.current_settings.limit_book(),
            default_language=held.default_language,
            default_currency=held.currency,
            outbox=services.outbox.on_money(),
        )
        report = importer.run(
            given.what,
            given.file,
            actor=actor(),
            now=utc_now(),
            effective_from=given.effective_from,
        )
    for remark in report.remarks:
        say(f"note, {remark}")
    for found in report.differences:
        before, after = found.before or "(empty)", found.after or "(empty)"
        say(f"{found.name}, {found.field}: {before} → {after}")
    if report.ignored_columns:
        say(f"Columns that were ignored: {', '.join(report.ignored_columns)}.")
    for problem in report.errors[:MOST_PROBLEMS_SHOWN]:
        say(str(problem))
    if len(report.errors) > MOST_PROBLEMS_SHOWN:
        say(f"… and {len(report.errors) - MOST_PROBLEMS_SHOWN} more.")
    for question in sorted(report.asks):
        say(_HOW_TO_SAY[question])
    if report.ok:
        print(f"{given.what}: {report.summary}")
        return 0
    say(f"{given.what}: {report.summary}")
    return 1


def _export(given: argparse.Namespace, settings: Settings) -> int:
    with working(settings) as services:
        held = services.settings
        export = FullExport(services.database, held.timezone, utility=held.utility_name)
        try:
            exported = export.write(given.file, now=utc_now())
        except OSError as error:
            say(f"The export was not written: {error}. Choose another place, or make room.")
            return 1
    for name, rows in exported.rows.items():
        if rows:
            print(f"{name}: {count(rows, 'row')}")
    print(f"The export is in {given.file}.")
    return 0


def _graph(given: argparse.Namespace, settings: Settings) -> int:
    return _graph_rebuild(settings) if given.what == "rebuild" else _graph_check(settings)


def _graph_check(settings: Settings) -> int:
    with working(settings) as services:
        graph = services.graph.graph
        if graph is None:
            say(f"There is no graph. {services.graph.off}".strip())
            return 1
        try:
            graph.await_start(seconds=GRAPH_START_SECONDS)
            differences = graph.differences(services.database)
        except (TemporaryFailure, FinalFailure) as failure:
            say(f"The graph was not checked: {failure}")
            return 1
    for difference in differences:
        say(str(difference))
    if not differences:
        print("The graph agrees with the database.")
    return 1 if differences else 0


def _graph_rebuild(settings: Settings) -> int:
    with working(settings) as services:
        graph = services.graph.graph
        if graph is None:
            say(f"There is no graph. {services.graph.off}".strip())
            return 1
        began = time.monotonic()
        try:
            graph.await_start(seconds=GRAPH_START_SECONDS)
            graph.rebuild(services.database)
            nodes = graph.nodes()
        except (TemporaryFailure, FinalFailure, PassHalted) as failure:
            say(f"The graph was not rebuilt: {failure}")
            return 1
    found = ", ".join(f"{number:,} {name}" for name, number in nodes.items() if number)
    print(f"{count(sum(nodes.values()), 'node')}: {found}")
    print(f"The graph was made again in {time.monotonic() - began:.1f} s.")
    return 0
