"""What the office of a large utility has beside bills: messages, exceptions, visits in vain."""

from typing import Any, Final

import psycopg

_EACH: Final = "from generate_series(1, {customers}) n"
_BILLED: Final = " where n % 1000 <> 2 and n % 100 <> 7"
# The message of the last bill of each customer, of which the last thousandth is still being sent.
_MESSAGES: Final = """
    insert into notifications (id, bill_id, customer_id, kind, channel, status, recipient, body,
                               created_at, updated_at, attempts, message_id)
    select md5('n' || n)::uuid, md5('b' || n)::uuid, pg_temp.id('c', n), 'bill_issued', 'whatsapp',
           case when n % 1000 = 9 then 'failed' else 'sent' end, '+91 98' || lpad(n::text, 8, '0'),
           'Dear customer, your bill INV-' || n || ' for September is ready. Please pay it by the '
           || 'date on it: https://pay.example.org/' || md5(n::text),
           '2026-10-01 12:00+00'::timestamptz + n * interval '10 ms',
           '2026-10-01 12:00+00'::timestamptz + n * interval '10 ms', 1, 'wamid.' || md5(n::text)
    {billed};
    insert into outbox (id, bill_id, kind, steps, status, attempts, created_at, finished_at)
    select md5('o' || n)::uuid, md5('b' || n)::uuid, 'bill_issued',
           case n % 1000 when 9 then replace(s.done, '"13": {{"status": "done"',
                                                     '"13": {{"status": "failed"')::jsonb
               when 11 then replace(s.done, '"done"', '"pending"')::jsonb else s.done::jsonb end,
           case n % 1000 when 9 then 'given_up' when 11 then 'open' else 'finished' end, 1,
           '2026-10-01 12:00+00'::timestamptz + n * interval '10 ms',
           case when n % 1000 <> 11
               then '2026-10-01 12:01+00'::timestamptz + n * interval '10 ms' end
    {each}
    cross join (select (select jsonb_object_agg(step, '{{"status": "done"}}'::jsonb)::text
                        from generate_series(8, 13) step) as done) s
    where n % 1000 <> 2 and n % 100 <> 7"""
# Of every 200 reads one waits for a decision.
_EXCEPTIONS: Final = """
    insert into readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by,
                          validation, created_at)
    select md5('x' || n)::uuid, pg_temp.id('m', n), '2026-11-10 08:00+00', '2026-11-10',
           9000000 + n % 1000 * 100, 'field', 'needs_review', 'engineer ' || n % 40,
           jsonb_build_object('verdict', 'needs_review', 'rules', jsonb_build_array(
               jsonb_build_object('rule', 'high_use', 'outcome', 'review', 'message', 'High use',
                   'values', jsonb_build_object('used_wh', 900000 + n, 'usual_wh', 150000)))),
           '2026-11-10 08:00+00'::timestamptz + n * interval '1 ms'
    {each} where n % 200 = 9"""
_VISITS: Final = """
    insert into missed_reads (id, service_point_id, meter_id, missed_at, missed_on, reason,
                              submitted_by)
    select md5('v' || n)::uuid, pg_temp.id('p', n), pg_temp.id('m', n),
           '2026-11-12 06:00+00'::timestamptz + n % 1000 * interval '1 minute', '2026-11-12',
           'no_access', 'engineer ' || n % 40
    {each} where n % 100 = 19;
    insert into meter_collections (meter_id, run_started_at, tried_at, tries, outcome, reason)
    select pg_temp.id('m', n), '2026-11-14 20:00+00', '2026-11-14 20:01+00', 3, 'no_answer', ''
    {each} where n % 50 = 0"""
_MONEY_BACK: Final = """
    insert into payment_flags (payment_id, reason, raised_at)
    select md5('y' || n)::uuid, 'already_paid', '2026-11-01 00:00+00' {each} where n % 2000 = 12;
    insert into payment_returns (id, payment_id, customer_id, kind, amount_minor, currency, method,
                                 reason, status, on_date, created_by)
    select md5('z' || n)::uuid, md5('y' || n)::uuid, pg_temp.id('c', n), 'refund', 100, 'INR',
           'bank', 'Paid twice', 'failed', '2026-11-05', 'bench'
    {each} where n % 1000 = 14;
    insert into stripe_events (id, type, created_at, arrived_by, livemode, payment_intent, effect,
                               outcome, payment_id)
    select 'evt_' || n, 'checkout.session.completed',
           '2026-10-02 00:00+00'::timestamptz + n * interval '1 second', 'webhook', true,
           'pi_' || n, '{{}}', 'applied', md5('y' || n)::uuid
    {each} where n % 10 = 4"""
_RUNS: Final = """
    insert into job_runs (job, scheduled_on, owner, lease_until, status, started_by, done_count,
                          failed_count, started_at, finished_at, clock_at)
    select job, day, 'bench', day, 'done', 'schedule', 1000, 0, day + time '01:00',
           day + time '01:10', day + time '01:00'
    from unnest(array['monthly_bills', 'autopay', 'payment_reminders', 'overdue_marking', 'backup',
                      'meter_collection', 'ledger_check', 'retention']) job
    cross join (select generate_series('2025-11-15'::date, '2026-11-14', '1 day')::date as day) d;
    insert into job_set_aside (job, scheduled_on, subject, reason, ref, meter_id, agreement_id)
    select 'monthly_bills', '2026-11-01', 'M' || lpad(n::text, 7, '0'), 'No read',
           pg_temp.id('a', n), pg_temp.id('m', n), pg_temp.id('a', n)
    {each} where n % 500 = 21;
    insert into security_log (at, event, who)
    select '2026-01-01 00:00+00'::timestamptz + n * interval '1 minute', 'signed_in', 'u' || n % 90
    {each} where n % 10 = 1"""
_CREDIT_NOTES: Final = """
    insert into credit_notes (id, number, prefix, bill_id, entry_id, customer_id, on_date, reason,
                              currency, subtotal_minor, tax_minor, total_minor, customer_name,
                              address, tax_number, settings_version, created_by)
    select md5('k' || n)::uuid, n, 'CN-', md5('b' || n)::uuid, md5('ke' || n)::uuid,
           pg_temp.id('c', n), '2026-01-01'::date + n % 300, 'Misread', 'INR', 100, 0, 100,
           'Then Known As ' || n, '', '', 1, 'bench'
    {billed}"""
_STEPS: Final = (_MESSAGES, _EXCEPTIONS, _VISITS, _MONEY_BACK, _RUNS, _CREDIT_NOTES)


def fill_office(connection: psycopg.Connection[Any], *, customers: int) -> None:
    """Add it to what bench/large_utility.py made of so many customers."""
    connection.execute("set session_replication_role = replica")
    each = _EACH.format(customers=customers)
    for step in _STEPS:
        connection.execute(step.format(each=each, billed=each + _BILLED).encode())
    connection.execute("reset session_replication_role")
    connection.execute("analyze")
