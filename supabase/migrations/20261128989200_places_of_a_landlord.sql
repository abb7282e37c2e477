-- The changes of a customer's places are joined to the agreements once: a landlord may have a thousand.

create or replace function private.rows_about(p_of text, p_id uuid) returns table (table_name text, row_id text)
language sql stable set search_path = '' as $$
    select p_of || 's', p_id::text where p_of in ('bill', 'payment', 'tariff')
    union
    -- A meter's own changes name it; who was supplied by it, and on which tariff, is said of its places.
    select 'service_agreements', a.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    where p_of = 'meter' and i.meter_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'meter' and i.meter_id = p_id
    union
    select 'service_points', i.service_point_id::text from public.meter_installations i where p_of = 'meter' and i.meter_id = p_id
    union
    select 'readings', r.id::text
    from public.bills b
    cross join lateral (
        select unnest(array[b.opening_reading_id, b.closing_reading_id])
        union
        select unnest(array[x ->> 'opening_reading_id', x ->> 'closing_reading_id'])::uuid from jsonb_array_elements(b.segments) x) r (id)
    where p_of = 'bill' and b.id = p_id
    union
    select 'payments', y.id::text from public.payments y where p_of = 'bill' and y.bill_id = p_id
    union
    select 'payments', c.payment_id::text
    from public.ledger_entries d
    join public.allocations a on a.debit_entry_id = d.id
    join public.ledger_entries c on c.id = a.credit_entry_id
    where p_of = 'bill' and d.bill_id = p_id and d.kind = 'bill' and c.payment_id is not null
    union
    select 'spared_bills', s.id::text from public.spared_bills s where p_of = 'bill' and s.bill_id = p_id
    union
    select 'payment_links', k.id from public.payment_links k where p_of = 'bill' and k.bill_id = p_id
    union
    select 'outbox', o.id::text from public.outbox o where p_of = 'bill' and o.bill_id = p_id
    union
    select 'instalment_plans', i.plan_id::text from public.plan_bills i where p_of = 'bill' and i.bill_id = p_id
    union
    select 'payment_returns', x.id::text from public.payment_returns x where p_of = 'payment' and x.payment_id = p_id
    union
    select 'tariff_versions', v.id::text from public.tariff_versions v where p_of = 'tariff' and v.tariff_id = p_id
$$;
comment on function private.rows_about is 'The audited rows that a timeline is made of beside those that name its customer or meter.';
revoke all on function private.rows_about from public;
grant execute on function private.rows_about to service_role;

create or replace function public.timeline(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_of constant text := p ->> 'of';
    v_id constant uuid := (p ->> 'id')::uuid;
    v_tables constant text[] := case when jsonb_typeof(p -> 'tables') = 'array' then array(select jsonb_array_elements_text(p -> 'tables')) end;
    v_deposits constant boolean := coalesce('deposits' = any (v_tables), false);
    v_at constant timestamptz := coalesce((p #>> '{after,0}')::timestamptz, 'infinity');
    v_key constant text := coalesce(p #>> '{after,1}', '~');
    v_limit constant integer := (p ->> 'limit')::integer;
    v_changes jsonb;
    v_ids uuid[];
begin
    with audited as (
        (select a.* from public.audit_log a
         where v_of = 'customer' and a.customer_id = v_id
           and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
           and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
         order by a.at desc, a.id desc limit v_limit + 1)
        union all
        select x.* from private.meters_of_customer(case v_of when 'customer' then v_id end) m
        cross join lateral (
            select a.* from public.audit_log a
            where a.meter_id = m.meter_id and a.customer_id is null
              and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
              and m.days @> coalesce((a.after ->> 'read_on')::date, (a.after ->> 'installed_on')::date, (a.at at time zone 'UTC')::date)
              and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
            order by a.at desc, a.id desc limit v_limit + 1) x
        union all
        (select a.* from public.audit_log a
         where v_of = 'meter' and a.meter_id = v_id
           and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
           and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
         order by a.at desc, a.id desc limit v_limit + 1)
        union all
        select a.* from private.rows_about(v_of, v_id) r
        join public.audit_log a on a.table_name = r.table_name and a.row_id = r.row_id
        where v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id))
        union all
        -- Of a place only what happened while it was the customer's.
        (select distinct on (a.id) a.*
         from public.service_agreements g
         join public.audit_log a on a.table_name = 'service_points' and a.row_id = g.service_point_id::text
         where v_of = 'customer' and g.customer_id = v_id and (v_tables is null or 'service_points' = any (v_tables))
           and (a.at at time zone 'UTC')::date between g.starts_on and coalesce(g.ends_on, 'infinity'))
    ), told as (
        select 'a' || lpad(a.id::text, 19, '0') as key, a.at, a.actor, a.action, a.table_name, a.row_id, a.before, a.after
        from audited a
        union all
        select b.* from private.recorded_beside_audit(v_of, v_id) b
        where v_tables is null or b.table_name = any (v_tables) or (v_deposits and b.table_name = 'payments' and private.is_deposit(b.row_id))
    ), page as (
        select t.* from told t
        where t.at < v_at or (t.at = v_at and t.key < v_key collate "C")
        order by t.at desc, t.key collate "C" desc limit v_limit + 1
    )
    select coalesce(jsonb_agg(jsonb_build_object(
               'key', jsonb_build_array(g.at, g.key), 'at', g.at, 'actor', g.actor, 'action', g.action, 'table', g.table_name,
               'row_id', g.row_id, 'before', coalesce(g.before, '{}') - w.unsaid, 'after', g.after - w.unsaid,
               'inserted', case when g.action = 'update' then (
                   select i.after - w.unsaid from public.audit_log i
                   where i.table_name = g.table_name and i.row_id = g.row_id and i.action = 'insert' limit 1) end)
               order by g.at desc, g.key collate "C" desc), '[]')
    into v_changes
    from page g
    cross join (select array['validation', 'definition', 'usage', 'second_opinion', 'priced_by', 'facts', 'steps', 'segments']) w (unsaid);
    v_ids := array(
        select distinct i.value::uuid
        from jsonb_array_elements(v_changes) c
        cross join lateral unnest(array[c -> 'before', c -> 'after', c -> 'inserted', jsonb_build_object('row_id', c -> 'row_id')]) o
        cross join lateral jsonb_each_text(case jsonb_typeof(o) when 'object' then o else '{}' end) i
        where i.key like '%\_id' and i.value ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');
    return jsonb_build_object(
        'changes', (select coalesce(jsonb_agg(c order by n), '[]') from jsonb_array_elements(v_changes) with ordinality x (c, n) where n <= v_limit),
        'names', private.names_of(v_ids),
        'more', jsonb_array_length(v_changes) > v_limit);
end $$;
