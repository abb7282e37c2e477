"""What the graph is made of: kinds of nodes and relationships, and rows made into them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

Json = dict[str, Any]
Rows = Mapping[str, Sequence[Json]]

_EPOCH: Final = date(1970, 1, 1)

# As the database names them, in an order in which what a row points to comes before the row.
LABELS: Final = {
    "feeders": "Feeder",
    "transformers": "Transformer",
    "customers": "Customer",
    "service_points": "ServicePoint",
    "agreements": "Agreement",
    "meters": "Meter",
    "tariffs": "Tariff",
    "readings": "Reading",
    "bills": "Bill",
    "payments": "Payment",
    "supplies": "Supply",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A kind of relationship: a row of `owner` points with `field` to a row of `other`.

    The relationship begins at the owner, but where `reverse` it ends there. The field holds one id
    or none, or a list of them.
    """

    kind: str
    owner: str
    field: str
    other: str
    reverse: bool = False


LINKS: Final = (
    Link("ON", "transformers", "feeder_id", "feeders"),
    Link("CONNECTED_TO", "service_points", "transformer_id", "transformers"),
    # Until it was moved: on which of them from when to when, the place itself says.
    Link("WAS_CONNECTED_TO", "service_points", "earlier_transformer_ids", "transformers"),
    Link("AT", "agreements", "service_point_id", "service_points"),
    Link("HAS_AGREEMENT", "agreements", "customer_id", "customers", reverse=True),
    # Who has the meter now, and the transformer of the place where it is or was last; what was
    # billed when hangs on the agreement.
    Link("HAS_METER", "meters", "customer_id", "customers", reverse=True),
    Link("FED_BY", "meters", "transformer_id", "transformers"),
    Link("OF", "readings", "meter_id", "meters"),
    Link("UNDER", "bills", "agreement_id", "agreements"),
    # The meter at the end of the bill's period, and those that were exchanged within it.
    Link("BILLS", "bills", "meter_id", "meters"),
    Link("ALSO_BILLS", "bills", "earlier_meter_ids", "meters"),
    Link("FROM", "bills", "opening_reading_id", "readings"),
    Link("TO", "bills", "closing_reading_id", "readings"),
    # The reads within the period at which a meter was taken out or put in.
    Link("OVER", "bills", "inner_reading_ids", "readings"),
    Link("PRICED", "bills", "tariff_version_id", "tariffs", reverse=True),
    Link("PAYS", "payments", "bill_id", "bills"),
    Link("INTO", "supplies", "transformer_id", "transformers"),
)
# What is added up to see whether graph and database agree.
ADDED: Final = {
    "readings": "register_wh",
    "bills": "total_minor",
    "payments": "amount_minor",
    "supplies": "energy_wh",
}
_POINTERS: Final = {what: {link.field for link in LINKS if link.owner == what} for what in LABELS}
# Dates that the graph computes with, also kept as whole days since 1970-01-01.
_DAYS: Final = {
    "period_start": "start_day",
    "period_end": "end_day",
    "starts_on": "start_day",
    "ends_on": "end_day",
    "opened_on": "opened_day",
    "connected_on": "connected_day",
    "settled_from": "settled_day",
}
# A graph that was filled with an earlier set of nodes and relationships is made again.
SHAPE: Final = 4


def day_number(day: date) -> int:
    """Days since 1970-01-01, which both kinds of servers compute with alike."""
    return (day - _EPOCH).days


def node_rows(what: str, rows: Sequence[Json], *, seen: int) -> list[Json]:
    """Each row as {id, properties}: all that is in it but what it points to.

    With `seen`, and with `print`, which says what the node and what it points to was made from.
    """
    return [
        {
            "id": row["id"],
            "properties": _properties(what, row, seen) | {"print": fingerprint(what, row)},
        }
        for row in rows
    ]


def fingerprint(what: str, row: Json) -> str:
    """A short text that is another one when anything of the row is; ids in lists have no order."""
    content = {
        name: sorted(v) if isinstance(v, list) and name in _POINTERS[what] else v
        for name, v in row.items()
    }
    text = json.dumps([SHAPE, what, content], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()


def link_rows(link: Link, rows: Sequence[Json]) -> list[Json]:
    """Each row as {id, targets}: the ids of all that it points to."""
    return [{"id": row["id"], "targets": _targets(row.get(link.field))} for row in rows]


def _targets(value: str | list[str] | None) -> list[str]:
    if isinstance(value, list):
        return list(dict.fromkeys(value))
    return [] if value is None else [value]


def _properties(what: str, row: Json, seen: int) -> Json:
    properties = {name: value for name, value in row.items() if name not in _POINTERS[what]}
    for name, number in _DAYS.items():
        if row.get(name) is not None:
            properties[number] = day_number(date.fromisoformat(row[name]))
    return properties | {"seen": seen}
