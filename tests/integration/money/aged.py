"""What was open when a month ended, added up from all open items, entries and allocations."""

from datetime import date, datetime

import psycopg

from services.accounts.month_end import MonthEnd
from services.quantities.period import next_month, start_of_day
from services.records.month_end import Aged, AgedCustomer, AgedKey

Sums = tuple[int, ...]
_ALL = """
with span as (
    select (%(month)s::date + interval '1 month')::date as next, %(until)s::timestamptz as until,
           -- A month that is not over is looked at as the bills are marked today.
           %(until)s::timestamptz > now() as goes_on
), day as (
    select s.*, case when s.goes_on then least(coalesce(private.overdue_as_of(), now()::date), s.next - 1) else s.next - 1 end as as_of
    from span s
), touched as (
    -- What is open, and what was paid, or taken back, since the month or by what is dated after it: all else was settled.
    select o.entry_id as id from public.open_items o where o.open_minor <> 0
    union
    select y.id from public.allocations a cross join span s
    cross join lateral (values (a.credit_entry_id), (a.debit_entry_id)) y(id) where a.created_at >= s.until
    union
    select a.debit_entry_id from public.ledger_entries l cross join span s
    join public.allocations a on a.credit_entry_id = l.id where l.on_date >= s.next
    union
    select a.credit_entry_id from public.ledger_entries l cross join span s
    join public.allocations a on a.debit_entry_id = l.id where l.on_date >= s.next
), entries as materialized (
    select e.id, e.customer_id, e.currency, e.amount_minor, e.bill_id, e.kind, e.on_date, e.created_at
    from touched t join public.ledger_entries e on e.id = t.id cross join span s
    where e.book = 'account' and e.on_date < s.next
), allocated as (
    select y.id, sum(y.amount) as amount
    from (select e.id, e.created_at, a.amount_minor as amount, a.created_at as at, a.debit_entry_id as other_id
          from entries e join public.allocations a on a.credit_entry_id = e.id
          union all
          select e.id, e.created_at, -a.amount_minor, a.created_at, a.credit_entry_id
          from entries e join public.allocations a on a.debit_entry_id = e.id) y
    join public.ledger_entries x on x.id = y.other_id
    cross join span s
    -- What was let pay, or taken back, after the month is of a later month. But an entry that was
    -- written later and dated in it comes with what it paid at once.
    where x.book = 'account' and x.on_date < s.next
      and (y.at < s.until or y.at <= greatest(y.created_at, x.created_at))
    group by 1
), open as (
    select e.customer_id, e.currency, (e.amount_minor + coalesce(a.amount, 0))::bigint as minor,
           -- What has no due date, such as a fee, is past no date; an opening balance was due on its day.
           case when e.kind = 'opening_balance' then greatest(s.as_of - o.order_on, 0)
                when b.id is null then 0
                when s.goes_on then case when b.overdue_since is null then 0 else greatest(s.as_of - b.due_date, 1) end
                when s.as_of > b.due_date and not private.spared_at(b.id, s.until) then s.as_of - b.due_date
                else 0 end as days_late
    from entries e cross join day s
    left join allocated a on a.id = e.id
    left join public.bills b on b.id = e.bill_id
    left join public.open_items o on e.kind = 'opening_balance' and o.entry_id = e.id
    where e.amount_minor + coalesce(a.amount, 0) <> 0
)
select customer_id::text, currency,
       coalesce(sum(minor) filter (where minor > 0 and days_late <= 0), 0)::bigint,
       coalesce(sum(minor) filter (where minor > 0 and days_late between 1 and 30), 0)::bigint,
       coalesce(sum(minor) filter (where minor > 0 and days_late between 31 and 60), 0)::bigint,
       coalesce(sum(minor) filter (where minor > 0 and days_late between 61 and 90), 0)::bigint,
       coalesce(sum(minor) filter (where minor > 0 and days_late > 90), 0)::bigint,
       coalesce(sum(minor) filter (where minor < 0), 0)::bigint, sum(minor)::bigint
from open group by 1, 2"""  # noqa: E501


def added_up(dsn: str, month: date, until: datetime) -> dict[tuple[str, str], Sums]:
    """By customer and currency: not due, late by 30, 60, 90 and more days, credit, balance."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(_ALL, {"month": month, "until": until}).fetchall()
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}


def assert_receivables(books: MonthEnd, dsn: str, month: date, *, page_size: int = 3) -> int:
    """What is kept of a month, page by page, is what all entries come to; how many customers."""
    expected = added_up(dsn, month, start_of_day(next_month(month), books.zone))
    shown: list[AgedCustomer] = []
    after: AgedKey | None = None
    while True:
        found = books.receivables(month, after=after, page_size=page_size)
        assert found.permille is None
        shown += found.customers
        after = found.after
        if after is None:
            break
    assert {(one.customer_id, one.currency): sums_of(one) for one in shown} == expected
    assert len(shown) == len(expected)
    for total in found.totals:
        of = [sums for (_, currency), sums in expected.items() if currency == total.currency]
        assert total.customers == len(of)
        assert sums_of(total) == tuple(map(sum, zip(*of, strict=True)))
    assert {total.currency for total in found.totals} == {currency for _, currency in expected}
    return len(expected)


def sums_of(of: Aged) -> Sums:
    """The amounts of a row, as `added_up` has them."""
    late = (of.late_30_minor, of.late_60_minor, of.late_90_minor, of.later_minor)
    return (of.not_due_minor, *late, of.credit_minor, of.balance_minor)
