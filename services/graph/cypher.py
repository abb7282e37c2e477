"""Every question and change that goes to the graph's server, in Cypher.

What Neo4j 5 and ArcadeDB both understand, and answer alike: whole numbers only, no procedures.
A pattern begins at what is known already: ArcadeDB follows it as it is written.
"""

from collections.abc import Sequence
from typing import Final

from services.graph.shapes import LABELS, LINKS, SHAPE, Link


def _days_within(starts: str, ends: str) -> str:
    """How many of some days lie in [since, until), below 0 where none do; an open end lasts on."""
    return (
        f"(CASE WHEN {ends} < until THEN {ends} ELSE until END"
        f" - CASE WHEN {starts} > since THEN {starts} ELSE since END)"
    )


def _shared(wh: str, starts: str, ends: str) -> str:
    """The Wh of some days that lie in [since, until): shared among the days, rounded half up."""
    days, length = _days_within(starts, ends), f"({ends} - {starts})"
    return f"""CASE WHEN {days} <= 0 THEN 0
        WHEN {wh} < 0 THEN -((-2 * {wh} * {days} + {length}) / (2 * {length}))
        ELSE (2 * {wh} * {days} + {length}) / (2 * {length}) END"""


NOW: Final = "RETURN timestamp() AS now"


def unique_id(label: str) -> str:
    """Makes sure that there is one node a label and id, and that it is found quickly."""
    return (
        f"CREATE CONSTRAINT {label.lower()}_id IF NOT EXISTS "
        f"FOR (node:{label}) REQUIRE node.id IS UNIQUE"
    )


def put_nodes(what: str) -> str:
    """Makes or renews nodes; one that was made from a later look at the database is left alone."""
    return f"""
        UNWIND $rows AS row
        MERGE (node:{LABELS[what]} {{id: row.id}})
        WITH node, row, node.seen AS before
        WHERE before IS NULL OR before <= $seen
        SET node = row.properties
        RETURN sum(CASE WHEN before IS NULL THEN 1 ELSE 0 END) AS made
    """


def make_nodes(what: str, names: Sequence[str], links: Sequence[Link]) -> str:
    """Makes nodes that are not there yet, of these properties and one link of each of these kinds.

    A row whose node is there fails the change, by the constraint of its label; one of which a
    target is missing is not made, and not counted.
    """
    targets = "".join(
        f"MATCH ({link.field}:{LABELS[link.other]} {{id: row.{link.field}}})\n" for link in links
    )
    properties = ", ".join(f"{name}: row.{name}" for name in names)
    ends = "".join(f", (node){_arrow(link)}({link.field})" for link in links)
    return f"""
        UNWIND $rows AS row
        {targets}
        CREATE (node:{LABELS[what]} {{{properties}}}){ends}
        RETURN count(*) AS made
    """


def put_links(link: Link) -> str:
    """Lets the relationships of renewed nodes lead to their targets, and nowhere else.

    What a node is related to already is found from the node, which has few of them: the target
    may be a tariff with all its bills.
    """
    return f"""
        UNWIND $rows AS row
        MATCH (node:{LABELS[link.owner]} {{id: row.id}})
        WHERE node.seen = $seen
        OPTIONAL MATCH (node){_arrow(link, "old")}(elsewhere)
        WHERE NOT elsewhere.id IN row.targets
        DELETE old
        WITH DISTINCT node, row.targets AS targets
        OPTIONAL MATCH (node){_arrow(link)}(there)
        WITH node, targets, collect(there.id) AS there
        UNWIND targets AS target
        MATCH (other:{LABELS[link.other]} {{id: target}})
        FOREACH (missing IN CASE WHEN target IN there THEN [] ELSE [target] END |
            CREATE (node){_arrow(link)}(other))
        RETURN count(*) AS led
    """


def put_new_links(link: Link) -> str:
    """Lets the relationships of new nodes lead to their targets, of which each is a row.

    A node that is new has none yet, and to look would take long at a tariff with all its bills.
    """
    return f"""
        UNWIND $rows AS row
        MATCH (node:{LABELS[link.owner]} {{id: row.id}})
        WHERE node.seen = $seen
        MATCH (other:{LABELS[link.other]} {{id: row.target}})
        CREATE (node){_arrow(link)}(other)
        RETURN count(*) AS led
    """


# A rebuild that came to its end leaves a note of when it did.
NOTE_REBUILD: Final = (
    f"MERGE (note:Rebuild {{id: 'last'}}) SET note.ended = timestamp(), note.shape = {SHAPE}"
)
LAST_REBUILD: Final = (
    f"MATCH (note:Rebuild {{id: 'last'}}) WHERE note.shape = {SHAPE} RETURN note.ended AS ended"
)

COUNT_NODES: Final = " UNION ALL ".join(
    f"MATCH (node:{label}) RETURN '{label}' AS name, count(node) AS found"
    for label in LABELS.values()
)
COUNT_LINKS: Final = " UNION ALL ".join(
    f"MATCH (:{LABELS[link.owner]})"
    f"{'<-' if link.reverse else '-'}[link:{link.kind}]{'-' if link.reverse else '->'}"
    f"(:{LABELS[link.other]}) RETURN '{link.kind}' AS name, count(link) AS found"
    for link in LINKS
)

# A bill's energy is shared among its days; each share is rounded half up to Wh. One that settles
# estimates stands for all that was used since then, less what was billed of it before: what they
# were too high or too low counts on the days that they were of. It counts at the place of its
# agreement, whichever meters measured there, and there while the place hung on the transformer. A
# place counts from the day its first meter was put in, one without a meter only where it was
# billed; it is unread when the bills of an agreement, which never overlap, leave days of it open.
_OWN = ("bill.start_day", "bill.end_day")
_PIECE = ("bill.piece_wh[n]", "bill.piece_starts[n]", "bill.piece_ends[n]")
_BALANCE_OF_POINTS: Final = f"""
    OPTIONAL MATCH (point)<-[:AT]-(agreement:Agreement)
    WHERE agreement.start_day < until
      AND (agreement.end_day IS NULL OR agreement.end_day > since)
    OPTIONAL MATCH (agreement)<-[:UNDER]-(bill:Bill)
    WHERE bill.status <> 'void'
      AND coalesce(bill.settled_day, bill.start_day) < until AND bill.end_day > since
    WITH supply, point, since, until, agreement, bill,
         {_days_within(*_OWN)} AS days
    WITH supply, point, since, until, agreement,
         sum(CASE WHEN bill IS NULL OR days < 0 THEN 0 ELSE days END) AS covered,
         sum(CASE WHEN bill IS NULL THEN 0
                  WHEN bill.piece_wh IS NULL THEN {_shared("bill.consumption_wh", *_OWN)}
                  ELSE reduce(wh = 0, n IN range(0, size(bill.piece_wh) - 1) |
                              wh + {_shared(*_PIECE)}) END) AS billed,
         sum(CASE WHEN bill IS NULL OR bill.exported_wh IS NULL THEN 0
                  ELSE {_shared("bill.exported_wh", *_OWN)} END) AS exported
    WITH supply, point, covered, billed, exported,
         CASE WHEN agreement IS NULL THEN 0
              ELSE {_days_within("agreement.start_day", "agreement.end_day")} END AS wanted
    WITH supply, point, sum(covered) AS covered, sum(billed) AS billed, sum(exported) AS exported,
         sum(CASE WHEN covered < wanted THEN 1 ELSE 0 END) AS gaps
    WITH supply,
         sum(billed) AS billed_wh,
         sum(exported) AS exported_wh,
         sum(CASE WHEN point.status = 'active' OR covered > 0 THEN 1 ELSE 0 END) AS meters,
         sum(CASE WHEN gaps > 0 THEN 1 ELSE 0 END) AS unread
    RETURN supply.id AS supply_id, billed_wh, exported_wh, meters, unread
"""
ENERGY_BALANCE: Final = f"""
    UNWIND $ids AS wanted_id
    MATCH (supply:Supply {{id: wanted_id}})-[:INTO]->(transformer:Transformer)
    OPTIONAL MATCH (transformer)<-[:CONNECTED_TO]-(point:ServicePoint)
    WHERE point.opened_day < supply.end_day
      AND (point.connected_day IS NULL OR point.connected_day < supply.end_day)
    WITH supply, point, supply.end_day AS until,
         CASE WHEN point.connected_day > supply.start_day
              THEN point.connected_day ELSE supply.start_day END AS since
    {_BALANCE_OF_POINTS}
"""
# The same of places that were moved since, while they hung there: it is added.
EARLIER_BALANCE: Final = f"""
    UNWIND $ids AS wanted_id
    MATCH (supply:Supply {{id: wanted_id}})-[:INTO]->(transformer:Transformer)
    MATCH (transformer)<-[:WAS_CONNECTED_TO]-(point:ServicePoint)
    WHERE point.opened_day < supply.end_day
    UNWIND range(0, size(point.was_on) - 1) AS place
    WITH supply, transformer, point, point.was_on[place] AS was_on,
         CASE WHEN point.was_from[place] > supply.start_day
              THEN point.was_from[place] ELSE supply.start_day END AS since,
         CASE WHEN point.was_until[place] < supply.end_day
              THEN point.was_until[place] ELSE supply.end_day END AS until
    WHERE was_on = transformer.id AND since < until
    WITH supply, point, since, until
    {_BALANCE_OF_POINTS}
"""
# With what is kept of each balance, billed_wh null where nothing is.
SUPPLIES: Final = """
    MATCH (supply:Supply)-[:INTO]->(transformer:Transformer)
    WHERE supply.start_day < $until AND supply.end_day > $since
    OPTIONAL MATCH (transformer)-[:ON]->(feeder:Feeder)
    RETURN supply.id AS supply_id, transformer.id AS transformer_id, transformer.code AS code,
           transformer.name AS name, feeder.code AS feeder_code,
           supply.period_start AS period_start, supply.period_end AS period_end,
           supply.energy_wh AS supplied_wh, supply.billed_wh AS billed_wh,
           supply.exported_wh AS exported_wh,
           supply.meters AS meters, supply.unread AS unread
"""
UNKEPT_BALANCES: Final = """
    MATCH (supply:Supply)
    WHERE supply.billed_wh IS NULL
    RETURN supply.id AS id, supply.marked AS marked, timestamp() AS now
    LIMIT $limit
"""
MARK_BALANCES: Final = """
    UNWIND $ids AS wanted
    MATCH (supply:Supply {id: wanted})
    SET supply.marked = timestamp()
"""
KEEP_BALANCE: Final = """
    MATCH (supply:Supply {id: $supply_id})
    WHERE supply.marked = $marked
    SET supply.billed_wh = $billed_wh, supply.exported_wh = $exported_wh,
        supply.meters = $meters, supply.unread = $unread
    RETURN count(supply) AS kept
"""
_FORGET: Final = """
    SET supply.marked = null, supply.billed_wh = null
    RETURN count(supply) AS forgotten
"""
_OF_PLACE: Final = "-[:CONNECTED_TO|WAS_CONNECTED_TO]->(:Transformer)<-[:INTO]-(supply:Supply)"
# By the kind of what changed. A balance that is neither kept nor marked is left alone, so that the
# many bills of one transformer do not all write to it.
FORGET_BALANCES: Final = {
    what: f"""
        UNWIND $ids AS changed
        MATCH (node:{LABELS[what]} {{id: changed}}){path}
        WHERE supply.marked IS NOT NULL{days}
        WITH DISTINCT supply
        {_FORGET}
    """
    for what, path, days in (
        ("service_points", _OF_PLACE, ""),
        ("agreements", f"-[:AT]->(:ServicePoint){_OF_PLACE}", ""),
        (
            "bills",
            f"-[:UNDER]->(:Agreement)-[:AT]->(:ServicePoint){_OF_PLACE}",
            (
                " AND supply.start_day < node.end_day"
                " AND supply.end_day > coalesce(node.settled_day, node.start_day)"
            ),
        ),
    )
}
FORGET_SOME_BALANCES: Final = f"""
    MATCH (supply:Supply)
    WHERE supply.marked IS NOT NULL
    WITH supply LIMIT 1000
    {_FORGET}
"""

_BILLS_TOUCHED: Final = """
    MATCH (bill)-[:BILLS]->(meter:Meter)
    WHERE bill.status <> 'void'
    MATCH (bill)-[:UNDER]->(:Agreement)<-[:HAS_AGREEMENT]-(customer:Customer)
    OPTIONAL MATCH (bill)<-[:PAYS]-(payment:Payment)
    WITH bill, meter, customer, sum(payment.amount_minor) AS paid_minor
    RETURN bill.id AS bill_id, bill.number AS number, bill.status AS status,
           meter.serial AS meter_serial, customer.account_no AS account_no,
           bill.period_start AS period_start, bill.period_end AS period_end,
           bill.currency AS currency, bill.total_minor AS total_minor, paid_minor
    ORDER BY bill.start_day, meter.serial
"""
# A tariff prices most bills of a utility: only some of them are asked for.
TOUCHED_BY_TARIFF: Final = (
    """
    MATCH (:Tariff {id: $id})-[:PRICED]->(bill:Bill)
    WHERE bill.status <> 'void'
    WITH bill LIMIT $most
    """
    + _BILLS_TOUCHED
)
TOUCHED_BY_METER: Final = (
    "MATCH (:Meter {id: $id})<-[:BILLS|ALSO_BILLS]-(bill:Bill) WITH bill" + _BILLS_TOUCHED
)
# The bills that begin or end at the reading, or have it within them, and all that follow them in
# the chain of their agreement. A read at which somebody moved touches two chains.
TOUCHED_BY_READING: Final = (
    """
    MATCH (reading:Reading {id: $id})<-[:FROM|TO|OVER]-(first:Bill)
    WHERE first.status <> 'void'
    MATCH (first)-[:UNDER]->(agreement:Agreement)
    WITH agreement, min(first.start_day) AS start_day
    MATCH (agreement)<-[:UNDER]-(bill:Bill)
    WHERE bill.start_day >= start_day
    WITH bill
    """
    + _BILLS_TOUCHED
)

BILL: Final = "MATCH (bill:Bill {id: $id}) RETURN properties(bill) AS properties"

_PATHS_AROUND: Final = (
    "(bill)-[link]-()",
    "(bill)-[:BILLS]->(:Meter)<-[link:HAS_METER]-()",
    "(bill)-[:BILLS]->(:Meter)-[link:FED_BY]->()",
    "(bill)-[:BILLS]->(:Meter)-[:FED_BY]->(:Transformer)-[link:ON]->()",
    "(bill)-[:UNDER]->(:Agreement)<-[link:HAS_AGREEMENT]-()",
    "(bill)-[:UNDER]->(:Agreement)-[link:AT]->()",
    "(bill)-[:UNDER]->(:Agreement)-[:AT]->(:ServicePoint)-[link:CONNECTED_TO]->()",
    "(bill)-[:FROM|TO|OVER]->(:Reading)-[link:OF]->()",
    "(bill)-[:FROM|TO]->(:Reading)<-[link:FROM|TO]-(near:Bill)",
    "(bill)-[:FROM|TO]->(:Reading)<-[:FROM|TO]-(near:Bill)-[link:BILLS]->()",
)
AROUND_BILL: Final = " UNION ".join(
    f"""
        MATCH (bill:Bill {{id: $id}})
        MATCH {path}
        {"WHERE near.status <> 'void'" if "near" in path else ""}
        WITH startNode(link) AS source, type(link) AS kind, endNode(link) AS target
        RETURN labels(source)[0] AS source_label, properties(source) AS source, kind,
               labels(target)[0] AS target_label, properties(target) AS target
        """
    for path in _PATHS_AROUND
)


def _arrow(link: Link, name: str = "") -> str:
    inside = f"[{name}:{link.kind}]"
    return f"<-{inside}-" if link.reverse else f"-{inside}->"
