"""A utility of as many customers as asked, made in SQL as one who has billed for three months."""

from typing import Any, Final

import psycopg

# The local date on which its last reads were taken, and that of the run that bills them.
LAST_READ_ON: Final = "2026-11-01"
BILLED_ON: Final = "2026-11-15"
# Neither audited nor checked row by row: the rows are right, and not what is measured.
_UNCHECKED: Final = "set session_replication_role = replica"
_SURNAMES: Final = """array[
    'Nair', 'Menon', 'Pillai', 'Thomas', 'Iyer', 'Varma', 'Kurup', 'Das', 'Mathew', 'Panicker',
    'Warrier', 'Jacob', 'Shenoy', 'Rao', 'Bhat', 'Joseph', 'Nambiar', 'Kamath', 'Paul', 'George']"""
_STREETS: Final = """array[
    'Canal', 'Temple', 'Station', 'Market', 'Hill', 'Church', 'Beach', 'School', 'River',
    'Garden']"""
_EACH: Final = "from generate_series(1, {customers}) n"
_TARIFF: Final = """
    insert into tariffs (id, code, name, currency) values (md5('t')::uuid, 'T', 'Domestic', 'INR');
    insert into tariff_versions (id, tariff_id, effective_from, definition)
    values (md5('v')::uuid, md5('t')::uuid, '2026-01-01', '{{}}');
    insert into billing_cycles (billing_day, since)
    select d, '2026-01-01' from generate_series(1, 28) d on conflict do nothing"""
_CUSTOMERS: Final = f"""
    insert into customers (id, account_no, name, phone, email, address, currency)
    select md5('c' || n)::uuid, 'A' || lpad(n::text, 7, '0'),
           chr(65 + n % 26) || '. ' || ({_SURNAMES})[n / 26 % 20 + 1] || ' ' || n / 10,
           '+91 98' || lpad(n::text, 8, '0'), 'family' || n || '@example.org',
           n % 10000 || ' ' || ({_STREETS})[n % 10 + 1] || ' Road, Ward ' || n % 200, 'INR'
    {_EACH};
    insert into accounts (customer_id, book, currency, balance_minor, entries)
    select md5('c' || n)::uuid, 'account', 'INR', 20000 + n % 50000, 1 {_EACH}"""
_METERS: Final = f"""
    insert into meters (id, serial, kind, dials)
    select md5('m' || n)::uuid, 'M' || lpad(n::text, 7, '0'),
           case when n % 50 = 0 then 'smart' else 'manual' end, 5 {_EACH}"""
_READINGS: Final = """
    insert into readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening,
                          submitted_by)
    select md5('r' || m || '/' || n)::uuid, md5('m' || n)::uuid,
           '2026-08-31 18:30:00+00'::timestamptz + interval '1 month' * m,
           ('2026-09-01'::date + interval '1 month' * m)::date,
           1000000 + m * (100000 + n % 1000 * 100),
           case m when 0 then 'imported' else 'field' end, 'accepted', m = 0, 'bench'
    from generate_series(1, {customers}) n, generate_series(0, 2) m"""
# Of every 1,000 places one was left, one has had a meter only, and one has a cut supply.
_PLACES: Final = f"""
    insert into service_points (id, code, address, route, sequence)
    select md5('p' || n)::uuid, 'P' || lpad(n::text, 7, '0'),
           n % 10000 || ' ' || ({_STREETS})[n % 10 + 1] || ' Road, Ward ' || n % 200,
           'R' || n % 500, n / 500 {_EACH};
    insert into meter_installations (id, service_point_id, meter_id, installed_at, installed_on,
                                     multiplier_milli, opening_reading_id)
    select md5('i' || n)::uuid, md5('p' || n)::uuid, md5('m' || n)::uuid, '2026-08-31 18:30:00+00',
           '2026-09-01', 1000, md5('r0/' || n)::uuid {_EACH};
    insert into service_agreements (id, service_point_id, customer_id, starts_on, ends_on,
                                    opening_reading_id, closing_reading_id, billing_day)
    select md5('a' || n)::uuid, md5('p' || n)::uuid, md5('c' || n)::uuid, '2026-09-01',
           case when n % 1000 = 1 then '2026-10-01'::date end, md5('r0/' || n)::uuid,
           case when n % 1000 = 1 then md5('r1/' || n)::uuid end, n % 28 + 1
    {_EACH} where n % 1000 <> 2;
    insert into agreement_tariffs (id, agreement_id, starts_on, tariff_id)
    select md5('g' || n)::uuid, md5('a' || n)::uuid, '2026-09-01', md5('t')::uuid
    {_EACH} where n % 1000 <> 2;
    insert into disconnections (id, agreement_id, disconnected_on, disconnect_reading_id)
    select md5('d' || n)::uuid, md5('a' || n)::uuid, '2026-11-01', md5('r2/' || n)::uuid
    {_EACH} where n % 1000 = 3"""
_LATEST: Final = f"""
    insert into latest_reads (service_point_id, read_on, is_first)
    select md5('p' || n)::uuid, '2026-11-01', false {_EACH}"""
_VACANCIES: Final = """
    insert into vacancies (service_point_id, since, until, closing_reading_id, opening_reading_id)
    select w.service_point_id, w.since, w.until, w.closing_reading_id, w.opening_reading_id
    from private.vacancies_worked_out w"""
_BILLS: Final = f"""
    insert into bills (id, number, status, meter_id, customer_id, tariff_version_id,
                       opening_reading_id, closing_reading_id, period_start, period_end, opening_wh,
                       closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
                       total_minor, amount_paid_minor, issued_at, issued_on, due_date,
           overdue_since,
                       agreement_id, multiplier_milli)
    select md5('b' || n)::uuid, case when n % 100 <> 7 then n end,
           case when n % 100 <> 7 then 'issued' else 'draft' end, md5('m' || n)::uuid,
           md5('c' || n)::uuid, md5('v')::uuid, md5('r0/' || n)::uuid, md5('r1/' || n)::uuid,
           '2026-09-01', '2026-10-01', 1000000, 1100000 + n % 1000 * 100, 100000 + n % 1000 * 100,
           'INR', jsonb_build_array(jsonb_build_object('code', 'energy', 'description', 'Energy',
               'tax', false, 'quantity', '100', 'unit', 'kWh', 'rate', '2',
               'amount_minor', 20000 + n % 50000)),
           20000 + n % 50000, 0, 20000 + n % 50000,
           case n % 2 when 0 then 20000 + n % 50000 else 0 end,
           case when n % 100 <> 7 then '2026-10-01 12:00+00'::timestamptz end,
           case when n % 100 <> 7 then '2026-10-01'::date + n % 28 end,
           case when n % 100 <> 7 then '2026-10-16'::date + n % 28 end,
           case when n % 20 = 1 then '2026-11-14'::date end, md5('a' || n)::uuid, 1000
    {_EACH} where n % 1000 <> 2"""
_PAYMENTS: Final = """
    insert into payments (id, bill_id, customer_id, amount_minor, currency, method, reference,
                          received_at, received_on, provider_id)
    select md5('y' || n)::uuid, md5('b' || n)::uuid, md5('c' || n)::uuid, 20000 + n % 50000, 'INR',
           'bank', 'UTR' || lpad(n::text, 9, '0'), '2026-10-02 12:00+00',
           '2026-10-02'::date + n % 40,
           'pi_' || md5(n::text)
    from generate_series(2, {customers}, 2) n;
    insert into ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor,
                                balance_minor, payment_id, on_date, actor)
    select md5('e' || n)::uuid, md5('c' || n)::uuid, 'account', 'INR', 2, 'payment',
           -20000 - n % 50000, 0, md5('y' || n)::uuid, '2026-10-02'::date + n % 40, 'bench'
    from generate_series(2, {customers}, 2) n;
    insert into open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor,
                            open_minor)
    select md5('e' || n)::uuid, md5('c' || n)::uuid, 'account', 'INR', 2,
           '2026-10-02'::date + n % 40, -20000 - n % 50000, 0
    from generate_series(2, {customers}, 2) n"""
_AUDIT: Final = f"""
    insert into audit_log (at, actor, action, table_name, row_id, customer_id, after)
    select '2026-09-01'::timestamptz + n * interval '1 second', 'bench', 'insert', 'customers',
           md5('c' || n)::uuid, md5('c' || n)::uuid,
           jsonb_build_object('account_no', 'A' || n, 'name', 'N' || n) {_EACH};
    insert into audit_log (at, actor, action, table_name, row_id, customer_id, meter_id, after)
    select '2026-10-01'::timestamptz + n * interval '1 second', 'bench', 'insert', 'bills',
           md5('b' || n)::uuid, md5('c' || n)::uuid, md5('m' || n)::uuid,
           jsonb_build_object('amount_paid_minor', 0, 'total_minor', 20000, 'currency', 'INR',
                              'period_start', '2026-09-01', 'period_end', '2026-10-01') {_EACH};
    insert into audit_log (at, actor, action, table_name, row_id, meter_id, after)
    select '2026-10-01'::timestamptz + n * interval '1 second', 'bench', 'insert', 'readings',
           md5('r1/' || n)::uuid, md5('m' || n)::uuid,
           jsonb_build_object('meter_id', md5('m' || n)::uuid, 'read_on', '2026-10-01',
                              'register_wh', 1100000, 'source', 'field', 'status', 'accepted')
    {_EACH}"""
_STEPS: Final = (
    *(
        _TARIFF,
        _CUSTOMERS,
        _METERS,
        _READINGS,
        _PLACES,
        _LATEST,
        _VACANCIES,
        _BILLS,
        _PAYMENTS,
        _AUDIT,
    ),
)

# An index made over rows that are there is made in a fraction of the time.
_INDEXES: Final = """
    select c.relname, pg_get_indexdef(c.oid)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = 'public'::regnamespace and not exists (
        select 1 from pg_constraint k where k.conindid = c.oid)
    order by c.relname"""


def fill(connection: psycopg.Connection[Any], *, customers: int) -> None:
    """Fill an empty database: of each customer a place, an agreement, a meter, reads and a bill.

    The connection is a superuser's and commits each statement.
    """
    connection.execute(_UNCHECKED)
    indexes = _dropped_indexes(connection)
    for step in _STEPS:
        connection.execute(step.format(customers=customers).encode())
    connection.execute("reset session_replication_role")
    connection.execute("set maintenance_work_mem = '512MB'")
    for index in indexes:
        connection.execute(index.encode())
    connection.execute("vacuum analyze")


def _dropped_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop those that no constraint needs; the statements that make them again."""
    found = connection.execute(_INDEXES).fetchall()
    for name, _ in found:
        connection.execute(f"drop index public.{name}".encode())
    return [statement for _, statement in found]
