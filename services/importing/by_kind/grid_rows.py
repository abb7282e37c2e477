"""What the cells of a transformer's or a supply's row must be, and the row for the database."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import groupby, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from services.importing.report import ImportProblem
from services.importing.rows import derived_id, parse_day
from services.importing.table import Cells
from services.languages.sentence import N_, sentence
from services.quantities.energy import parse_kwh
from services.quantities.period import local_date

TRANSFORMER_COLUMNS = ("code", "name", "feeder_code")
TRANSFORMER_OPTIONS = ("feeder_name", "rated_kva")
SUPPLY_COLUMNS = ("transformer_code", "period_start", "period_end", "energy_kwh")
SUPPLY_OPTIONS = ("correction",)
SUPPLY_NUMBERS = ("energy_kwh",)
SUPPLY_DATES = ("period_start", "period_end")

_WHOLE = re.compile(r"[1-9][0-9]{0,6}")
_YES_OR_NO = {"yes": True, "no": False, "": False}
Row = dict[str, Any]


def transformer_row(cells: Cells) -> Row:
    """A transformer with its feeder as import_transformers takes it."""
    code = cells.identifier("code")
    feeder_code = cells.identifier("feeder_code")
    return {
        "row": cells.row,
        "id": derived_id("transformer", code),
        "code": code,
        "name": cells.text("name", required=True),
        "feeder_id": derived_id("feeder", feeder_code),
        "feeder_code": feeder_code,
        "feeder_name": cells.text("feeder_name") or None,
        "rated_kva": cells.parsed("rated_kva", _rated_kva),
    }


def name_feeders_with_two_names(rows: Iterable[Row], problems: list[ImportProblem]) -> None:
    """Report rows that give a feeder another name than an earlier row of the file."""
    first: dict[str, Row] = {}
    for row in rows:
        if row["feeder_name"]:
            before = first.setdefault(row["feeder_code"], row)
            if before["feeder_name"] != row["feeder_name"]:
                why = sentence(
                    "Feeder {feeder} has another name in row {row}.",
                    feeder=row["feeder_code"],
                    row=str(before["row"]),
                )
                problems.append(ImportProblem(row["row"], "feeder_name", why))


def supply_row(cells: Cells, *, zone: ZoneInfo, now: datetime) -> Row:
    """Energy into a transformer as import_supplies takes it; `now` is in UTC."""
    start = cells.parsed("period_start", parse_day)
    today = local_date(now, zone)
    end = cells.parsed("period_end", lambda text: _period_end(text, start, today))
    return {
        "row": cells.row,
        "transformer_code": cells.identifier("transformer_code"),
        "period_start": start.isoformat() if start else None,
        "period_end": end.isoformat() if end else None,
        "energy_wh": cells.parsed("energy_kwh", lambda text: parse_kwh(text, what=N_("energy"))),
        "correction": cells.parsed("correction", _yes_or_no),
    }


def name_overlaps(rows: Iterable[Row], problems: list[ImportProblem]) -> None:
    """Report rows of one transformer whose periods overlap; rows with a wrong date are left out."""
    dated = [row for row in rows if row["period_start"] and row["period_end"]]
    dated.sort(key=_by_transformer_and_start)
    for _, group in groupby(dated, key=lambda row: row["transformer_code"]):
        _name_overlaps_of_one(list(group), problems)


def _name_overlaps_of_one(rows: Sequence[Row], problems: list[ImportProblem]) -> None:
    longest = rows[0]
    for before, row in pairwise(rows):
        longest = max(longest, before, key=lambda one: one["period_end"])
        if row["period_start"] < longest["period_end"]:
            first, second = sorted((longest["row"], row["row"]))
            why = sentence(
                "The period overlaps that of row {row}: the energy would count twice.",
                row=str(first),
            )
            problems.append(ImportProblem(second, "period_start", why))


def _by_transformer_and_start(row: Row) -> tuple[str, str, int]:
    return row["transformer_code"], row["period_start"], row["row"]


def _rated_kva(text: str) -> int | None:
    if text and not _WHOLE.fullmatch(text):
        raise ValueError(
            sentence(
                "must be a whole number of kVA such as 100, not {typed}.", typed=repr(text[:20])
            )
        )
    return int(text) if text else None


def _period_end(text: str, start: date | None, today: date) -> date:
    end = parse_day(text)
    if start and end <= start:
        raise ValueError(
            sentence(
                "must come after {start}: it is the first day that no longer belongs to the "
                "period.",
                start=start.isoformat(),
            )
        )
    if end > today:
        raise ValueError(
            sentence("{typed} is in the future: the energy must have been measured.", typed=text)
        )
    return end


def _yes_or_no(text: str) -> bool:
    answer = _YES_OR_NO.get(text.lower())
    if answer is None:
        raise ValueError(sentence("must be yes, no or empty, not {typed}.", typed=repr(text[:20])))
    return answer
