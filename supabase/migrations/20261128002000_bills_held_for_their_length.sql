-- A bill of a length that its tariff is not made for is a draft until a person issues it, and says so.

alter table public.bills add column held_because text check (held_because <> '');
comment on column public.bills.held_because is
    'Why a person was to look at it before its issue, such as a period longer than its tariff is made for.';

-- As before, and with why a draft is held and the facts for its message.
create or replace function private.insert_bills(p_bills jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_issued integer;
    v_base bigint;
begin
    perform private.lock_customers(array(
        select m.customer_id from public.meters m
        where m.id in (select (b ->> 'meter_id')::uuid from jsonb_array_elements(p_bills) b)));
    select count(*) into v_issued from jsonb_array_elements(p_bills) b where b ->> 'status' = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage,
        replaces_id, priced_by, held_because)
    select b.id,
           case when b.status = 'issued'
                then v_base + row_number() over (partition by b.status = 'issued' order by b.position) end,
           b.status, b.meter_id, m.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no,
           nullif(b.second_opinion, 'null'::jsonb), nullif(b.usage, 'null'::jsonb), b.replaces_id, b.priced_by,
           b.held_because
    from rows from (jsonb_to_recordset(p_bills) as (
             id uuid, status text, meter_id uuid, tariff_version_id uuid, opening_reading_id uuid,
             closing_reading_id uuid, period_start date, period_end date, opening_wh bigint, closing_wh bigint,
             consumption_wh bigint, currency text, lines jsonb, subtotal_minor bigint, tax_minor bigint,
             total_minor bigint, issued_at timestamptz, issued_on date, due_date date, reissue_no integer,
             second_opinion jsonb, usage jsonb, replaces_id uuid, priced_by uuid[],
             held_because text)
         ) with ordinality as b(
             id, status, meter_id, tariff_version_id, opening_reading_id, closing_reading_id, period_start,
             period_end, opening_wh, closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
             total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage, replaces_id, priced_by,
             held_because, position)
    join public.meters m on m.id = b.meter_id;
    insert into public.outbox (id, bill_id, kind, steps, facts, status, finished_at, lease_owner, lease_until)
    select o.id, b.id, 'bill_issued', o.steps, coalesce(o.facts, '{}'), o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed jsonb)
    cross join lateral jsonb_to_record(b.owed) as o(
        id uuid, steps jsonb, facts jsonb, status text, lease_owner text, lease_seconds integer)
    where b.owed is not null and b.owed <> 'null'::jsonb;
end $$;

-- As before, and with why each is held.
create or replace view public.bill_list with (security_invoker = true) as
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
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no, c.name, m.serial)) as search,
       b.usage, b.replaces_id,
       (select r.id from public.bills r where r.replaces_id = b.id) as replaced_by_id,
       b.held_because
from public.bills b
join public.meters m on m.id = b.meter_id
join public.customers c on c.id = b.customer_id
join public.tariff_versions v on v.id = b.tariff_version_id
join public.tariffs t on t.id = v.tariff_id;

-- As before; a held draft is marked.
create or replace view public.draft_list with (security_invoker = true) as
select d.id, d.meter_id, d.meter_serial, d.customer_id, d.account_no, d.customer_name, d.tariff_code, d.period_start,
       d.period_end, d.consumption_wh, d.currency, d.subtotal_minor, d.tax_minor, d.total_minor, d.created_at,
       d.estimated, d.tariff_changes, d.opinion_differs, d.past_use,
       private.is_outlier(d.past_use, d.consumption_wh, d.period_end - d.period_start, d.total_minor,
                          d.estimated or d.tariff_changes or d.opinion_differs or d.held_because is not null) as outlier,
       d.search, d.held_because
from (
    select b.id, b.meter_id, m.serial as meter_serial, b.customer_id, c.account_no, c.name as customer_name,
           t.code as tariff_code, b.period_start, b.period_end, b.consumption_wh, b.currency, b.subtotal_minor,
           b.tax_minor, b.total_minor, b.created_at, b.held_because,
           'estimated' in (opening.source, closing.source) as estimated,
           b.lines @> '[{"part": {}}]' as tariff_changes,
           coalesce(b.second_opinion ->> 'agrees' = 'false', false) as opinion_differs,
           (select array[z.number, coalesce(z.q[1], 0), coalesce(z.q[2], 0), coalesce(z.q[3], 0)]
            from (select count(*) as number, percentile_disc(array[0.25, 0.5, 0.75]) within group (order by x.use) as q
                  from (select y.consumption_wh / (y.period_end - y.period_start) as use
                        from public.bills y
                        where y.meter_id = b.meter_id and y.status = 'issued' and y.period_end <= b.period_start
                        order by y.period_end desc limit 12) x) z) as past_use,
           lower(concat_ws(' ', c.account_no, c.name, m.serial)) as search
    from public.bills b
    join public.meters m on m.id = b.meter_id
    join public.customers c on c.id = b.customer_id
    join public.tariff_versions v on v.id = b.tariff_version_id
    join public.tariffs t on t.id = v.tariff_id
    join public.readings opening on opening.id = b.opening_reading_id
    join public.readings closing on closing.id = b.closing_reading_id
    where b.status = 'draft'
) d;
