"""What a monthly run left in a database, and where two databases differ in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

# Of each thing what must be the same whoever made it, however often that was interrupted. Numbers
# are given in the order in which batches end, and random ids are nobody's.
_COMPARED: Final = {
    "bills": """
        select id, agreement_id, status, period_start, period_end, md5(lines::text), subtotal_minor,
               tax_minor, total_minor, currency, md5(usage::text), opening_reading_id,
               closing_reading_id, held_because
        from bills order by id""",
    "ledger entries": """
        select customer_id, book, currency, entry_no, kind, amount_minor, balance_minor, bill_id,
               payment_id
        from ledger_entries order by customer_id, book, currency, entry_no""",
    "balances": """
        select customer_id, book, currency, balance_minor, entries
        from accounts order by 1, 2, 3""",
    "open items": """
        select customer_id, book, currency, entry_no, order_on, amount_minor, open_minor
        from open_items order by 1, 2, 3, 4""",
    "allocations": """
        select c.customer_id, c.entry_no, d.entry_no, a.amount_minor
        from allocations a join ledger_entries c on c.id = a.credit_entry_id
        join ledger_entries d on d.id = a.debit_entry_id order by 1, 2, 3""",
    "outbox entries": "select bill_id, kind, occasion from outbox order by 1, 2, 3",
    "who made the bills": "select id, created_by from bills order by id",
    "set aside": """
        select subject, code, reason from job_set_aside where job = 'monthly_bills'
        order by 1, 2, 3""",
    "run": """
        select scheduled_on, status, failed_count from job_runs where job = 'monthly_bills'
        order by 1""",
    "left to bill": "select agreement_id from agreements_to_bill order by 1",
}
_NUMBERS: Final = "select number from bills where number > %s order by number"
_LAST_NUMBER: Final = "select last_number from counters where name = 'bill'"
_TWICE: Final = """
    select agreement_id, period_end, count(*) from bills where status <> 'void'
    group by 1, 2 having count(*) > 1"""
_LEDGER: Final = "select public.check_ledger('{}') -> 'problems'"


@dataclass(frozen=True)
class Results:
    """Rows by what they are, and what is wrong within them; numbers are those after `numbered`."""

    rows: Mapping[str, list[Any]]
    bills: int
    total_minor: int
    wrong: tuple[str, ...]

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], *, numbered: int) -> "Results":
        """All that a database has."""
        rows = {
            what: connection.execute(query.encode()).fetchall() for what, query in _COMPARED.items()
        }
        new = [number for (number,) in connection.execute(_NUMBERS, [numbered]).fetchall()]
        last = connection.execute(_LAST_NUMBER).fetchall()[0][0]
        wrong = []
        if new != list(range(numbered + 1, last + 1)):
            wrong.append(f"the numbers after {numbered:,} up to {last:,} have gaps or repeat")
        if twice := connection.execute(_TWICE).fetchall():
            wrong.append(f"{len(twice):,} agreements have two bills for a period: {twice[0]}")
        if problems := connection.execute(_LEDGER).fetchall()[0][0]:
            wrong.append(f"the ledger does not add up: {problems[0]}")
        return cls(
            rows={**rows, "numbers given": [len(new)]},
            bills=len(new),
            total_minor=sum(row[8] for row in rows["bills"]),
            wrong=tuple(wrong),
        )

    def differences(self, other: "Results") -> dict[str, str]:
        """How each thing of another differs from this one's; "" where it is the same."""
        return {what: _difference(self.rows[what], other.rows[what]) for what in self.rows}


def _difference(expected: list[Any], found: list[Any]) -> str:
    if expected == found:
        return ""
    missing, more = set(expected) - set(found), set(found) - set(expected)
    first = next(iter(more or missing), "their order")
    return f"{len(missing):,} missing, {len(more):,} that should not be, such as {first}"
