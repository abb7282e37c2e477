"""What a pass over the whole graph asks of the server: which rows are there, and how far it is.

The pass keeps its place in the graph itself, in the transaction of each page: a graph that was
emptied has none, and two processes that work with one graph see the same.
"""

from typing import Final

# The node is written before it is read, so that one of two who claim it waits for the other.
CLAIM: Final = """
    MERGE (pass:Rebuild {id: 'pass'})
    SET pass.looked_at = timestamp()
    WITH pass
    WHERE pass.owner IS NULL OR pass.owner = '' OR pass.lease_until < timestamp()
    SET pass.owner = $owner, pass.lease_until = timestamp() + $lease, pass.halted = false,
        pass.went_on_at = timestamp(), pass.went_on_from = coalesce(pass.done, 0)
    RETURN count(pass) AS mine
"""
GO_ON: Final = """
    MATCH (pass:Rebuild {id: 'pass'})
    SET pass.looked_at = timestamp()
    WITH pass
    WHERE pass.owner = $owner AND pass.halted = false
    SET pass += $values
    SET pass.lease_until = timestamp() + $lease
    RETURN count(pass) AS mine
"""
RELEASE: Final = (
    "MATCH (pass:Rebuild {id: 'pass'}) WHERE pass.owner = $owner SET pass.owner = '' "
    "RETURN count(pass) AS released"
)
ASK: Final = """
    MERGE (pass:Rebuild {id: 'pass'})
    SET pass.halted = $halted, pass.wanted = $wanted
    RETURN count(pass) AS asked
"""
STATE: Final = (
    "MATCH (pass:Rebuild {id: 'pass'}) RETURN properties(pass) AS pass, timestamp() AS now"
)


def known_between(label: str) -> str:
    """Nodes of a stretch of ids, each with what it was made from."""
    return f"""
        MATCH (node:{label})
        WHERE node.id > $after AND node.id <= $last
        RETURN node.id AS id, node.print AS print
        LIMIT $limit
    """


def totals(label: str, added: str | None) -> str:
    """How many nodes come next in the order of ids, the last of them, and the sum of a property."""
    return f"""
        MATCH (node:{label})
        WHERE node.id > $after
        WITH node ORDER BY node.id LIMIT $limit
        RETURN count(node) AS found, max(node.id) AS last,
               {f"sum(node.{added})" if added else "count(node)"} AS total
    """


def known_among(label: str) -> str:
    """Nodes of some ids, each with what it was made from."""
    return f"""
        UNWIND $ids AS wanted
        MATCH (node:{label} {{id: wanted}})
        RETURN node.id AS id, node.print AS print
    """


def drop(label: str) -> str:
    """Takes away nodes that the database no longer had when it was looked at."""
    return f"""
        UNWIND $ids AS gone
        MATCH (node:{label} {{id: gone}})
        WHERE node.seen < $seen
        DETACH DELETE node
        RETURN count(*) AS dropped
    """


def forget_print(label: str) -> str:
    """Lets the next pass look again at nodes of which not all that they point to was there."""
    return f"""
        UNWIND $ids AS incomplete
        MATCH (node:{label} {{id: incomplete}})
        WHERE node.seen = $seen
        SET node.print = ''
    """
