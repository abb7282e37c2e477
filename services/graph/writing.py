"""Rows as changes of the graph: new ones the short way, the others with what hung on them."""

from collections.abc import Iterator, Mapping, Sequence

from services.graph import cypher, pass_cypher
from services.graph.bolt import Statement
from services.graph.shapes import LABELS, LINKS, Json, link_rows, node_rows

# Of each row that the graph has: its id, and what it was made from.
Known = Mapping[str, str | None]


def put(what: str, rows: Sequence[Json], *, seen: int, known: Known | None) -> Iterator[Statement]:
    """Brings rows into the graph or up to date; `known` None where it was not asked.

    What is new has nothing to be taken away: that takes half the time. Where it proves not to be
    new after all, the whole change fails with NotAsExpected and is made with `known` None.
    """
    new = [] if known is None else [row for row in rows if row["id"] not in known]
    old = rows if known is None else [row for row in rows if row["id"] in known]
    if new:
        values = {"rows": node_rows(what, new, seen=seen), "seen": seen}
        yield Statement(cypher.put_nodes(what), values, at_least=len(new))
        yield from _links(what, new, seen, is_new=True)
    if old:
        values = {"rows": node_rows(what, old, seen=seen), "seen": seen}
        yield Statement(cypher.put_nodes(what), values)
        yield from _links(what, old, seen, is_new=False)


def _links(what: str, rows: Sequence[Json], seen: int, *, is_new: bool) -> Iterator[Statement]:
    label, ids = LABELS[what], [row["id"] for row in rows]
    unsure = Statement(pass_cypher.forget_print(label), {"ids": ids, "seen": seen})
    for link in LINKS:
        if link.owner != what:
            continue
        linked = link_rows(link, rows)
        pairs = [{"id": row["id"], "target": to} for row in linked for to in row["targets"]]
        if is_new and not pairs:
            continue
        query = cypher.put_new_links(link) if is_new else cypher.put_links(link)
        values = {"rows": pairs if is_new else linked, "seen": seen}
        yield Statement(query, values, at_least=len(pairs), otherwise=unsure)
