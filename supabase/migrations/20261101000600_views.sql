-- What lists and functions read. Views run with the caller's rights.

create view public.tariff_version_list with (security_invoker = true) as
select v.id, v.tariff_id, t.code, t.name, t.currency, v.effective_from, v.definition, v.created_at
from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id;

create view public.reading_list with (security_invoker = true) as
select r.id, r.meter_id, m.serial as meter_serial, m.customer_id, c.account_no, c.name as customer_name,
       c.address, r.read_at, r.read_on, r.register_wh, r.source, r.status, r.is_opening, r.submitted_by,
       r.validation, r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason, r.created_at,
       b.id as bill_id, b.number as bill_number, b.total_minor as bill_total_minor,
       b.currency as bill_currency
from public.readings r
join public.meters m on m.id = r.meter_id
join public.customers c on c.id = m.customer_id
left join public.bills b on b.closing_reading_id = r.id and b.status <> 'void';
comment on view public.reading_list is 'Readings with their meter and customer, and the live bill that each closes.';

create view public.meter_list with (security_invoker = true) as
select m.id, m.serial, m.kind, m.dials, m.multiplier_milli, m.status, m.opened_on,
       m.customer_id, c.account_no, c.name as customer_name, c.address,
       m.tariff_id, t.code as tariff_code, t.name as tariff_name, t.currency,
       lower(concat_ws(' ', m.serial, c.account_no, c.name, c.address)) as search
from public.meters m
join public.customers c on c.id = m.customer_id
join public.tariffs t on t.id = m.tariff_id;
comment on column public.meter_list.search is 'Lower case: what an engineer may look a meter up by.';

create function private.invoice_reference(p_number bigint) returns text
language sql immutable set search_path = '' as $$
    select 'INV-' || repeat('0', greatest(0, 6 - length(p_number::text))) || p_number
$$;
comment on function private.invoice_reference is
    'A bill''s number as people write it, which is also the reference for paying at the office.';

create view public.bill_list with (security_invoker = true) as
select b.id, b.number, b.meter_id, m.serial as meter_serial, b.customer_id, c.account_no,
       c.name as customer_name, c.address, b.tariff_version_id, t.code as tariff_code, t.name as tariff_name,
       b.opening_reading_id, b.closing_reading_id, b.period_start, b.period_end,
       b.opening_wh, b.closing_wh, b.consumption_wh, m.multiplier_milli, b.currency, b.lines,
       b.subtotal_minor, b.tax_minor, b.total_minor, b.amount_paid_minor,
       case when b.status = 'void' then 0 else b.total_minor - b.amount_paid_minor end as balance_minor,
       case
           when b.status = 'void' then 'void'
           when b.status = 'draft' then 'draft'
           when b.amount_paid_minor >= b.total_minor then 'paid'
           when b.overdue_since is not null then 'overdue'
           when b.amount_paid_minor > 0 then 'partially_paid'
           else 'issued'
       end as status,
       b.issued_at, b.issued_on, b.due_date, b.overdue_since, b.payment_url, b.reissue_no, b.void_reason,
       b.created_at,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no, c.name, m.serial)) as search
from public.bills b
join public.meters m on m.id = b.meter_id
join public.customers c on c.id = b.customer_id
join public.tariff_versions v on v.id = b.tariff_version_id
join public.tariffs t on t.id = v.tariff_id;
comment on column public.bill_list.status is
    'The status people see, derived: void, draft, paid (nothing left to pay), overdue, partially_paid, issued.';

create view public.bill_lines with (security_invoker = true) as
select b.id as bill_id, b.number, b.status as bill_status, b.currency, l.position::integer as position,
       l.line ->> 'code' as code, l.line ->> 'description' as description,
       (l.line ->> 'tax')::boolean as tax, l.line ->> 'quantity' as quantity, l.line ->> 'unit' as unit,
       l.line ->> 'rate' as rate, (l.line ->> 'amount_minor')::bigint as amount_minor
from public.bills b
cross join lateral jsonb_array_elements(b.lines) with ordinality l(line, position);
comment on view public.bill_lines is 'Every line of every bill as a row, for reports.';

create view public.job_run_list with (security_invoker = true) as
select r.job, r.scheduled_on, r.attempt, r.owner, r.started_by,
       case when r.status = 'running' and r.lease_until < now() then 'interrupted' else r.status end as status,
       r.done_count, r.failed_count, r.detail, r.started_at, r.finished_at
from public.job_runs r;
comment on column public.job_run_list.status is
    '"interrupted": its process is gone; the next tick takes the run over.';

create view public.owed_work_list with (security_invoker = true) as
select o.id, o.bill_id, b.number as bill_number, o.kind, o.steps, o.status, o.attempts,
       o.next_attempt_at, o.lease_until, o.created_at, o.finished_at
from public.outbox o join public.bills b on b.id = o.bill_id;
