"""A utility of as many customers as asked, made in SQL with as many months of bills as asked."""

import json
from datetime import date
from typing import Any, Final

import psycopg

from bench.large.tariffs import EFFECTIVE_FROM, definitions

# The local date on which its last reads were taken, and that of the run that bills them.
LAST_READ_ON: Final = "2026-11-01"
BILLED_ON: Final = "2026-11-15"
_FIRST_BILLED: Final = date(2026, 9, 1)
# Neither audited nor checked row by row: the rows are right, and not what is measured.
_UNCHECKED: Final = "set session_replication_role = replica"
# Ids as the system makes them: a read's begins with when the meter was read, that of an imported
# row with when it was imported, some twenty in a millisecond.
_READ_IDS: Final = """
    create function pg_temp.read_id(month integer, n integer) returns uuid language sql return
        (lpad(to_hex(4096 + month), 12, '0') || substr(md5(month || '/' || n), 13))::uuid"""
_IDS: Final = """
    create function pg_temp.id(kind text, n integer) returns uuid language sql return
        (lpad(to_hex(1788000000000 + n / 20), 12, '0') || '7'
         || substr(md5(kind || n), 14))::uuid"""
_SURNAMES: Final = """array[
    'Nair', 'Menon', 'Pillai', 'Thomas', 'Iyer', 'Varma', 'Kurup', 'Das', 'Mathew', 'Panicker',
    'Warrier', 'Jacob', 'Shenoy', 'Rao', 'Bhat', 'Joseph', 'Nambiar', 'Kamath', 'Paul', 'George']"""
_STREETS: Final = """array[
    'Canal', 'Temple', 'Station', 'Market', 'Hill', 'Church', 'Beach', 'School', 'River',
    'Garden']"""
_EACH: Final = "from generate_series(1, {customers}) n"
# Slabs with taxes for seven of ten, a price a kWh with a monthly charge for two, and one with a
# least amount for each kW of connected load.
_TARIFF: Final = """
    insert into tariffs (id, code, name, currency)
    select md5('t' || x.place - 1)::uuid, x.definition ->> 'code', x.definition ->> 'name', 'INR'
    from jsonb_array_elements('{tariffs}') with ordinality x(definition, place);
    insert into tariff_versions (id, tariff_id, effective_from, definition)
    select md5('v' || d.n)::uuid, md5('t' || d.n)::uuid, '{effective_from}', d.definition
    from jsonb_array_elements('{tariffs}') with ordinality x(definition, place)
    cross join lateral (select x.place - 1 as n, x.definition) d;
    insert into billing_cycles (billing_day, since)
    select d, '{effective_from}' from generate_series(1, 28) d on conflict do nothing"""
# Of the hourly meters two of ten are of shops.
_IS_HOURLY: Final = "n / 10 % 100 < {hourly_percent}"
_TARIFF_OF: Final = f"""
    case when {_IS_HOURLY} then case when n % 10 in (2, 3) then 4 else 3 end
         else case n % 10 when 1 then 2 when 2 then 1 when 3 then 1 else 0 end end"""
_CUSTOMERS: Final = f"""
    insert into customers (id, account_no, name, phone, email, address, currency)
    select pg_temp.id('c', n), 'A' || lpad(n::text, 7, '0'),
           chr(65 + n % 26) || '. ' || ({_SURNAMES})[n / 26 % 20 + 1] || ' ' || n / 10,
           '+91 98' || lpad(n::text, 8, '0'), 'family' || n || '@example.org',
           n % 10000 || ' ' || ({_STREETS})[n % 10 + 1] || ' Road, Ward ' || n % 200, 'INR'
    {_EACH}"""
_METERS: Final = f"""
    insert into meters (id, serial, kind, dials)
    select pg_temp.id('m', n), 'M' || lpad(n::text, 7, '0'),
           case when n % 50 = 0 then 'smart' else 'manual' end, 5 {_EACH}"""
_READINGS: Final = """
    insert into readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening,
                          submitted_by, created_at)
    select pg_temp.read_id(m, n), pg_temp.id('m', n),
           '2026-08-31 18:30:00+00'::timestamptz + interval '1 month' * m,
           ('2026-09-01'::date + interval '1 month' * m)::date,
           {opened_wh} + m * (100000 + n % 1000 * 100),
           case m when {first} then 'imported' else 'field' end, 'accepted', m = {first}, 'bench',
           '2026-08-31 18:30:00+00'::timestamptz + interval '1 month' * m
    from generate_series(1, {customers}) n, generate_series({from_read}, {to_read}) m"""
# Of every 1,000 places one was left, one has had a meter only, and one has a cut supply.
_PLACES: Final = f"""
    insert into service_points (id, code, address, route, sequence, connected_w)
    select pg_temp.id('p', n), 'P' || lpad(n::text, 7, '0'),
           n % 10000 || ' ' || ({_STREETS})[n % 10 + 1] || ' Road, Ward ' || n % 200,
           'R' || n % 500, n / 500, 2000 + n % 9 * 1000 {_EACH};
    insert into meter_installations (id, service_point_id, meter_id, installed_at, installed_on,
                                     multiplier_milli, opening_reading_id)
    select pg_temp.id('i', n), pg_temp.id('p', n), pg_temp.id('m', n),
           '{{since}}'::timestamp at time zone 'Asia/Kolkata', '{{since}}', 1000,
           pg_temp.read_id({{first}}, n) {_EACH};
    insert into service_agreements (id, service_point_id, customer_id, starts_on, ends_on,
                                    opening_reading_id, closing_reading_id, billing_day)
    select pg_temp.id('a', n), pg_temp.id('p', n), pg_temp.id('c', n), '{{since}}',
           case when n % 1000 = 1 then '2026-10-01'::date end, pg_temp.read_id({{first}}, n),
           case when n % 1000 = 1 then pg_temp.read_id(1, n) end, n % 28 + 1
    {_EACH} where n % 1000 <> 2;
    insert into agreement_tariffs (id, agreement_id, starts_on, tariff_id)
    select pg_temp.id('g', n), pg_temp.id('a', n), '{{since}}', md5('t' || ({_TARIFF_OF}))::uuid
    {_EACH} where n % 1000 <> 2;
    insert into disconnections (id, agreement_id, disconnected_on, disconnect_reading_id)
    select md5('d' || n)::uuid, pg_temp.id('a', n), '2026-11-01', pg_temp.read_id(2, n)
    {_EACH} where n % 1000 = 3"""
_LATEST: Final = f"""
    insert into latest_reads (service_point_id, read_on, is_first, route, by_hand)
    select pg_temp.id('p', n), '2026-11-01', false, 'R' || n % 500, n % 50 <> 0 {_EACH}"""
_VACANCIES: Final = """
    insert into vacancies (service_point_id, since, until, closing_reading_id, opening_reading_id)
    select w.service_point_id, w.since, w.until, w.closing_reading_id, w.opening_reading_id
    from private.vacancies_worked_out w"""
# What follows is of one month, {{back}} before the last; {{key}} tells the rows of months apart.
_BILLS: Final = f"""
    insert into bills (id, number, status, meter_id, customer_id, tariff_version_id,
                       opening_reading_id, closing_reading_id, period_start, period_end, opening_wh,
                       closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
                       total_minor, amount_paid_minor, issued_at, issued_on, due_date,
                       overdue_since, agreement_id, multiplier_milli, created_at)
    select md5('b' || {{key}})::uuid,
           case when not {{draft}} then {{months_before}} * {{customers}} + n end,
           case when not {{draft}} then 'issued' else 'draft' end, pg_temp.id('m', n),
           pg_temp.id('c', n), md5('v' || ({_TARIFF_OF}))::uuid,
           pg_temp.read_id({{opens_at}}, n), pg_temp.read_id({{closes_at}}, n),
           d.period_start, d.period_end, {{opened_wh}} + {{opens_at}} * w.used_wh,
           {{opened_wh}} + {{closes_at}} * w.used_wh, w.used_wh,
           'INR', jsonb_build_array(jsonb_build_object('code', 'energy', 'description', 'Energy',
               'tax', false, 'quantity', '100', 'unit', 'kWh', 'rate', '2',
               'amount_minor', w.total)),
           w.total, 0, w.total, case when {{paid}} then w.total else 0 end,
           case when not {{draft}} then d.period_end + time '12:00' end,
           case when not {{draft}} then d.period_end + n % 28 end,
           case when not {{draft}} then d.period_end + 15 + n % 28 end,
           case when {{overdue}} then '2026-11-14'::date end, pg_temp.id('a', n), 1000,
           d.period_end + time '12:00'
    {_EACH}
    cross join lateral (select 100000 + n % 1000 * 100 as used_wh, {{amount}} as total) w
    cross join (select ('2026-09-01'::date - {{back}})::date as period_start,
                       ('2026-10-01'::date - {{back}})::date as period_end) d
    where n % 1000 <> 2"""
_BILLED: Final = f"{_EACH} where n % 1000 <> 2 and not {{draft}}"
_PAID: Final = f"{_BILLED} and {{paid}}"
_PAYMENTS: Final = f"""
    insert into payments (id, bill_id, customer_id, amount_minor, currency, method, reference,
                          received_at, received_on, provider_id)
    select md5('y' || {{key}})::uuid, md5('b' || {{key}})::uuid, pg_temp.id('c', n),
           {{amount}}, 'INR', 'bank', 'UTR' || lpad(({{back_months}} * 10000000 + n)::text, 9, '0'),
           '2026-10-02 12:00+00'::timestamptz - {{back}}, ({{paid_on}})::date,
           'pi_' || md5({{key}}::text)
    {_PAID}"""
# Every second of the last bills is paid, and all of those before.
_ENTRIES: Final = f"""
    insert into ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor,
                                balance_minor, bill_id, on_date, actor, created_at)
    select md5('d' || {{key}})::uuid, pg_temp.id('c', n), 'account', 'INR', {{entries_before}} + 1,
           'bill', {{amount}}, {{amount}}, md5('b' || {{key}})::uuid,
           ('2026-10-01'::date - {{back}})::date + n % 28, 'bench',
           ('2026-10-01'::date - {{back}})::date + n % 28 + time '06:00'
    {_BILLED};
    insert into ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor,
                                balance_minor, payment_id, on_date, actor, created_at)
    select md5('e' || {{key}})::uuid, pg_temp.id('c', n), 'account', 'INR', {{entries_before}} + 2,
           'payment', -({{amount}}), 0, md5('y' || {{key}})::uuid, ({{paid_on}})::date, 'bench',
           ({{paid_on}})::date + time '12:00'
    {_PAID};
    insert into open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor,
                            open_minor)
    select md5('d' || {{key}})::uuid, pg_temp.id('c', n), 'account', 'INR', {{entries_before}} + 1,
           ('2026-10-01'::date - {{back}})::date, {{amount}},
           case when {{paid}} then 0 else {{amount}} end
    {_BILLED};
    insert into open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor,
                            open_minor)
    select md5('e' || {{key}})::uuid, pg_temp.id('c', n), 'account', 'INR', {{entries_before}} + 2,
           ({{paid_on}})::date, -({{amount}}), 0
    {_PAID};
    insert into allocations (credit_entry_id, debit_entry_id, amount_minor, actor, created_at)
    select md5('e' || {{key}})::uuid, md5('d' || {{key}})::uuid, {{amount}}, 'bench',
           ({{paid_on}})::date + time '12:00'
    {_PAID}"""
_AUDIT_OF_BILLS: Final = f"""
    insert into audit_log (at, actor, action, table_name, row_id, customer_id, meter_id, after)
    select '2026-10-01'::timestamptz - {{back}} + n * interval '1 second', 'bench', 'insert',
           'bills', md5('b' || {{key}})::uuid, pg_temp.id('c', n), pg_temp.id('m', n),
           jsonb_build_object('amount_paid_minor', 0, 'total_minor', 20000, 'currency', 'INR',
                              'period_start', ('2026-09-01'::date - {{back}})::date,
                              'period_end', ('2026-10-01'::date - {{back}})::date) {_EACH}"""
_OF_A_MONTH: Final = (_READINGS, _BILLS, _PAYMENTS, _ENTRIES, _AUDIT_OF_BILLS)
_ACCOUNTS: Final = f"""
    insert into accounts (customer_id, book, currency, balance_minor, entries)
    select pg_temp.id('c', n), 'account', 'INR',
           case when n % 2 = 0 or n % 100 = 7 then 0 else 20000 + n % 50000 end,
           2 * ({{months}} - 1) + case when n % 2 = 0 then 2 when n % 100 = 7 then 0 else 1 end
    {_EACH} where n % 1000 <> 2 and (n % 100 <> 7 or {{months}} > 1)"""
_CURRENCIES: Final = "update customers set currency = 'INR' where currency is null"
_NUMBERS: Final = """
    update counters set last_number = {months} * {customers} where name = 'bill'"""
_AUDIT: Final = f"""
    insert into audit_log (at, actor, action, table_name, row_id, customer_id, after)
    select '{{effective_from}}'::timestamptz + n * interval '1 second', 'bench', 'insert',
           'customers', pg_temp.id('c', n), pg_temp.id('c', n),
           jsonb_build_object('account_no', 'A' || n, 'name', 'N' || n) {_EACH};
    insert into audit_log (at, actor, action, table_name, row_id, meter_id, after)
    select '2026-10-01'::timestamptz + n * interval '1 second', 'bench', 'insert', 'readings',
           pg_temp.read_id(1, n), pg_temp.id('m', n),
           jsonb_build_object('meter_id', pg_temp.id('m', n), 'read_on', '2026-10-01',
                              'register_wh', 1100000, 'source', 'field', 'status', 'accepted')
    {_EACH}"""
# A day is one of 500, whose hours have more in the evening.
_INTERVALS: Final = f"""
    create temporary table days_of_hours as
    select d as number, array(
        select (100 + (d * 37 + h * 61) % 300 + case when h between 18 and 21 then 300 else 0 end)
        from generate_series(0, 23) h order by h) as wh
    from generate_series(0, 499) d;
    insert into intervals (meter_id, day, minutes, wh, imported_by)
    select pg_temp.id('m', n), '2026-10-01'::date + d, 60, p.wh, 'bench'
    from generate_series(1, {{customers}}) n cross join generate_series(0, 30) d
    join days_of_hours p on p.number = (n * 31 + d) % 500
    where {_IS_HOURLY}"""  # noqa: S608  from this file alone
_FIRST: Final = (_TARIFF, _CUSTOMERS, _METERS, _INTERVALS, _PLACES, _LATEST)
_LAST: Final = (_VACANCIES, _ACCOUNTS, _CURRENCIES, _NUMBERS, _AUDIT)

# An index made over rows that are there is made in a fraction of the time; so is a key, for which
# those that refer to it go too. What refers is not looked at again: the rows are right.
_KEYS: Final = """
    with keys as (
        select k.oid, k.conrelid, k.conindid from pg_constraint k
        where k.contype in ('p', 'u') and k.conrelid = any (%s::regclass[]))
    select k.conrelid::regclass::text, k.conname,
           pg_get_constraintdef(k.oid) || case k.contype when 'f' then ' not valid' else '' end
    from pg_constraint k
    where k.oid in (select oid from keys)
       or (k.contype = 'f' and k.conindid in (select conindid from keys))
    order by k.contype"""
_KEYED: Final = (
    *("readings", "bills", "payments", "ledger_entries", "open_items", "allocations", "audit_log"),
)
_INDEXES: Final = """
    select c.relname, pg_get_indexdef(c.oid)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = 'public'::regnamespace and not exists (
        select 1 from pg_constraint k where k.conindid = c.oid)
    order by c.relname"""


def fill(
    connection: psycopg.Connection[Any],
    *,
    customers: int,
    months: int = 1,
    hourly_percent: int = 0,
) -> None:
    """Fill an empty database: of each customer a place, an agreement, a meter, reads and bills.

    Bills of so many months; the next month was read too, and is not billed yet. Of so many of a
    hundred it is there hour by hour, and priced by time of use. The connection is a superuser's
    and commits each statement.
    """
    connection.execute(_UNCHECKED)
    connection.execute(_READ_IDS)
    connection.execute(_IDS)
    indexes = _dropped_indexes(connection)
    since = _months_before(_FIRST_BILLED, months - 1)
    values: dict[str, Any] = {
        "customers": customers,
        "months": months,
        "hourly_percent": hourly_percent,
        "first": 1 - months,
        "since": since,
        "opened_wh": opened_wh(months),
        "effective_from": tariffs_from(months),
    }
    tariffs = definitions(effective_from=values["effective_from"])
    values["tariffs"] = json.dumps(tariffs).replace("'", "''")
    for step in _FIRST:
        connection.execute(step.format(**values).encode())
    for back in range(months - 1, -1, -1):
        month = values | _month(back, months)
        for step in _OF_A_MONTH:
            connection.execute(step.format(**month).encode())
    for step in _LAST:
        connection.execute(step.format(**values).encode())
    connection.execute("reset session_replication_role")
    connection.execute("set maintenance_work_mem = '512MB'")
    for index in indexes:
        connection.execute(index.encode())
    connection.execute("select private.make_totals()")
    connection.execute("vacuum analyze")


def tariffs_from(months: int) -> str:
    """The local date from which the tariffs hold, with bills of so many months."""
    return min(_months_before(_FIRST_BILLED, months - 1).isoformat(), EFFECTIVE_FROM)


def opened_wh(months: int) -> int:
    """Where the register of each meter stood as of 1 September 2026, in Wh, with such months."""
    # More than all of them use in the months before.
    return 1_000_000 + (months - 1) * 200_000


def _months_before(day: date, months: int) -> date:
    years, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return day.replace(year=years, month=month + 1)


def _month(back: int, months: int) -> dict[str, object]:
    """What the statements of a month say, as many months before the last one."""
    last = back == 0
    return {
        "back": f"interval '{back} month'",
        "back_months": back,
        "months_before": months - 1 - back,
        "entries_before": 2 * (months - 1 - back),
        "key": "n" if last else f"('{back}/' || n)",
        "opens_at": -back,
        "closes_at": 1 - back,
        # The first month brings its opening reads, the last one those that are not billed yet.
        "from_read": -back if back == months - 1 else 1 - back,
        "to_read": 2 if last else 1 - back,
        "draft": "(n % 100 = 7)" if last else "false",
        "paid": "(n % 2 = 0)" if last else "true",
        "overdue": "n % 20 = 1" if last else "false",
        "amount": f"20000 + (n + {back} * 1009) % 50000",
        "paid_on": f"'2026-10-02'::date - interval '{back} month' + interval '1 day' * (n % 40)",
    }


def _dropped_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop indexes, and keys of the tables of many rows; the statements that make them again."""
    keys = connection.execute(_KEYS.encode(), [list(_KEYED)]).fetchall()
    for table, name, _ in keys:
        connection.execute(f"alter table {table} drop constraint {name}".encode())
    found = connection.execute(_INDEXES.encode()).fetchall()
    for name, _ in found:
        connection.execute(f"drop index public.{name}".encode())
    return [
        *(f"alter table {table} add constraint {name} {made}" for table, name, made in keys[::-1]),
        *(statement for _, statement in found),
    ]
