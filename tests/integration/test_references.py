"""A bill's reference is written by Python for people and by SQL for its searches: they agree."""

import psycopg
import pytest

from services.records.bills import invoice_reference, number_of_reference
from tests.servers import NewDatabase

pytestmark = pytest.mark.postgres
NUMBERS = (1, 117, 999_999, 1_000_000, 123_456_789_012_345)


def test_python_and_sql_write_a_reference_alike(fresh_database: NewDatabase) -> None:
    with psycopg.connect(fresh_database()) as connection:
        rows = connection.execute(
            "select private.invoice_reference(n) from unnest(%s::bigint[]) n", [list(NUMBERS)]
        ).fetchall()
    assert [row[0] for row in rows] == [invoice_reference(n) for n in NUMBERS]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_reference_is_read_as_it_is_written(number: int) -> None:
    assert number_of_reference(invoice_reference(number)) == number
    assert number_of_reference(f"inv {number}") == number


@pytest.mark.parametrize("text", ["", "117", "INV-", "INV-12a", "INV-0000000000000001x", "A-117"])
def test_what_is_no_reference_has_no_number(text: str) -> None:
    assert number_of_reference(text) is None
