"""supabase/schemas says what the migrations make: each object once, and nothing else."""

import re
from collections import Counter

import psycopg

from scripts.write_schemas import SCHEMAS, SchemaObject, files_of, objects_of
from services.database.embedded import EmbeddedPostgres
from tests.servers import NewDatabase

# The columns of a row that a function returns, which are those of the view's time; brackets around
# "and"; and whether an array or its members are cast.
REWRITTEN = re.compile(r"(?<=bill_now\(p.bill_id\) n)\([\w, ]+\)|[()]|::double precision(\[\])?")


def test_the_files_are_those_that_the_migrations_make(
    database: str, embedded_server: EmbeddedPostgres
) -> None:
    made = files_of(objects_of(database, programs=embedded_server.programs))
    kept = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.sql")}
    assert kept.keys() == made.keys(), "run `make schemas`"
    assert [name for name in made if made[name] != kept[name]] == [], "run `make schemas`"


def test_files_and_migrations_make_the_same_catalogue(
    database: str, empty_database: NewDatabase, embedded_server: EmbeddedPostgres
) -> None:
    declared = empty_database()
    with psycopg.connect(declared) as connection:
        # A function's text may name a table of a later file.
        connection.execute("set check_function_bodies = off")
        for path in sorted(SCHEMAS.glob("*.sql")):
            connection.execute(path.read_bytes())
    programs = embedded_server.programs
    of_files, of_migrations = (
        objects_of(declared, programs=programs),
        objects_of(database, programs=programs),
    )
    assert len(of_migrations) > 900
    assert texts(of_files) == texts(of_migrations)


def test_each_object_stands_there_once() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.sql"))
    begins = [
        line.split(" AS ")[0].split(" RETURNS ")[0]
        for line in text.split("\n")
        if line.startswith(("CREATE FUNCTION", "CREATE TABLE", "CREATE VIEW"))
    ]
    assert [name for name, count in Counter(begins).items() if count > 1] == []
    assert len(begins) > 200


def texts(objects: list[SchemaObject]) -> list[str]:
    """Each object's SQL, without what Postgres writes differently once it has read its own text."""
    return sorted(f"{one.kind} {one.name}\n{REWRITTEN.sub('', one.sql)}" for one in objects)


def test_no_trigger_meets_the_rows_before_with_those_after_one_by_one(database: str) -> None:
    """Joins by hash may be off for the tables that it reads; many changed rows would meet many."""
    with psycopg.connect(database) as connection:
        slow = connection.execute(
            "select oid::regproc::text from pg_proc"
            " where proconfig @> array['enable_hashjoin=off'] and prosrc ~ %s",
            [r"(new_rows|old_rows)\s+\w+\s+((left|inner)\s+)?join\s+(new_rows|old_rows)"],
        ).fetchall()
    assert slow == []
