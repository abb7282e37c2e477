"""Rows as changes of the graph: new ones the short way, the others with what hung on them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.graph import cypher, pass_cypher
from services.graph.bolt import Statement
from services.graph.shapes import LABELS, LINKS, Json, Link, fingerprint, link_rows, node_rows

# Of each row that the graph has: its id, and what it was made from.
Known = Mapping[str, str | None]
_LINKS_OF: Final = {what: [link for link in LINKS if link.owner == what] for what in LABELS}


def differs(what: str, row: Json, known: Known) -> bool:
    """Whether the graph has no node of a row, or one that was made from another row."""
    return row["id"] not in known or known[row["id"]] != fingerprint(what, row)


def put(what: str, rows: Sequence[Json], *, seen: int, known: Known | None) -> Iterator[Statement]:
    """Brings rows into the graph or up to date; `known` None where it was not asked.

    What is new is made with its relationships in one statement, which takes a fraction of the
    time. Where it proves not to be new after all, or not all that it points to is there, the
    whole change fails with NotAsExpected and is made with `known` None.
    """
    new = [] if known is None else [row for row in rows if row["id"] not in known]
    old = rows if known is None else [row for row in rows if row["id"] in known]
    if new:
        yield from _made(what, new, seen)
    if old:
        values = {"rows": node_rows(what, old, seen=seen), "seen": seen}
        yield Statement(cypher.put_nodes(what), values)
        unsure = _unsure(what, old, seen)
        for link in _LINKS_OF[what]:
            linked = link_rows(link, old)
            values = {"rows": linked, "seen": seen}
            expected = sum(len(row["targets"]) for row in linked)
            yield Statement(cypher.put_links(link), values, at_least=expected, otherwise=unsure)


def _made(what: str, rows: Sequence[Json], seen: int) -> Iterator[Statement]:
    """New nodes, by what properties and which of their single targets they have; then lists."""
    alike: dict[tuple[tuple[str, ...], tuple[Link, ...]], list[Json]] = defaultdict(list)
    for row, made in zip(rows, node_rows(what, rows, seen=seen), strict=True):
        links = tuple(link for link in _LINKS_OF[what] if isinstance(row.get(link.field), str))
        of_row = made["properties"] | {link.field: row[link.field] for link in links}
        alike[tuple(made["properties"]), links].append(of_row)
    for (names, links), made_rows in alike.items():
        query = cypher.make_nodes(what, names, links)
        yield Statement(query, {"rows": made_rows}, at_least=len(made_rows), is_new=True)
    for link in _LINKS_OF[what]:
        listed = [row for row in rows if isinstance(row.get(link.field), list)]
        pairs = [
            {"id": row["id"], "target": to}
            for row in link_rows(link, listed)
            for to in row["targets"]
        ]
        if pairs:
            values = {"rows": pairs, "seen": seen}
            unsure = _unsure(what, rows, seen)
            query = cypher.put_new_links(link)
            yield Statement(query, values, at_least=len(pairs), otherwise=unsure)


def _unsure(what: str, rows: Sequence[Json], seen: int) -> Statement:
    ids = [row["id"] for row in rows]
    return Statement(pass_cypher.forget_print(LABELS[what]), {"ids": ids, "seen": seen})
