"""The energy balance of each transformer, computed in plain Python from the database's rows."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from services.database.service import DatabaseService

Json = dict[str, Any]


def losses_permille(database: DatabaseService) -> dict[str, list[int]]:
    """By transformer, in order of time: of each supply, what the places' bills do not show."""
    rows = {
        what: database.graph_rows(what=what, after=None, limit=100_000)
        for what in ("transformers", "service_points", "agreements", "bills", "supplies")
    }
    of_place = {place["id"]: place["transformer_id"] for place in rows["service_points"]}
    fed_by = {one["id"]: of_place[one["service_point_id"]] for one in rows["agreements"]}
    live = [bill for bill in rows["bills"] if bill["status"] != "void"]
    losses: dict[str, list[int]] = {}
    for one in rows["transformers"]:
        bills = [bill for bill in live if fed_by[bill["agreement_id"]] == one["id"]]
        of_one = [s for s in rows["supplies"] if s["transformer_id"] == one["id"]]
        of_one.sort(key=lambda supply: str(supply["period_start"]))
        losses[one["code"]] = [_loss(supply, bills) for supply in of_one]
    return losses


def _loss(supply: Json, bills: Iterable[Json]) -> int:
    billed = sum(_share(bill, supply) for bill in bills)
    return int((supply["energy_wh"] - billed) * 1000 // supply["energy_wh"])


def _share(bill: Json, supply: Json) -> int:
    """Wh of a bill on the days of a supply, rounded half up."""
    opened, closed, start, end = (
        date.fromisoformat(row[column])
        for row in (bill, supply)
        for column in ("period_start", "period_end")
    )
    days, of = (min(closed, end) - max(opened, start)).days, (closed - opened).days
    return int((2 * bill["consumption_wh"] * days + of) // (2 * of)) if days > 0 else 0
