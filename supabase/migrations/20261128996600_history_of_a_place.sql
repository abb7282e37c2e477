-- What happened at a place of supply, over all its meters and customers, and what was read there.

create function private.meters_at_place(p_point uuid) returns table (meter_id uuid, days datemultirange)
language sql stable set search_path = '' as $$
    -- A meter that came back, or has another multiplier, has several installations.
    select i.meter_id, range_agg(daterange(i.installed_on, i.removed_on, '[]'))
    from public.meter_installations i where i.service_point_id = p_point
    group by i.meter_id
$$;
comment on function private.meters_at_place(uuid) is 'The meters that are or were installed at a place, with the local dates on which they were.';

create function public.reads_at_place(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_point constant uuid := (p ->> 'service_point_id')::uuid;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_at constant timestamptz := coalesce((p #>> '{after,0}')::timestamptz, 'infinity');
    v_id constant uuid := coalesce((p #>> '{after,1}')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    v_ids uuid[];
begin
    if not exists (select 1 from public.service_points where id = v_point) then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    -- Two rows more than asked for say that there are older ones, and where use since then began: where a meter was
    -- exchanged, the first read of the new one stands between two of the old one.
    v_ids := array(
        select y.id from (
            select distinct x.read_at, x.id
            from public.meter_installations i
            cross join lateral (
                select r.read_at, r.id from public.readings r
                where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
                  and r.read_at <= coalesce(i.removed_at, 'infinity') and r.read_at <= v_at and (r.read_at, r.id) < (v_at, v_id)
                order by r.read_at desc, r.id desc limit v_limit + 2) x
            where i.service_point_id = v_point) y
        order by y.read_at desc, y.id desc limit v_limit + 2);
    return jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.reading_list l where l.id = any (v_ids)));
end $$;
comment on function public.reads_at_place(jsonb) is 'The accepted reads of all meters while they were at a place, the newest first: {service_point_id, after: [read_at, id] or null, limit} -> {rows: up to two more than the limit where there are older ones}.';

revoke all on function private.meters_at_place(uuid), public.reads_at_place(jsonb) from public, anon, authenticated;
grant execute on function private.meters_at_place(uuid), public.reads_at_place(jsonb) to service_role;

create or replace function private.rows_about(p_of text, p_id uuid) RETURNS TABLE(table_name text, row_id text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
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
    -- Of a place everything that was agreed on there, and the bills of it; readings are said of its meters.
    select 'service_points', p_id::text where p_of = 'service_point'
    union
    select 'service_agreements', a.id::text from public.service_agreements a where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.service_agreements a join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'meter_installations', i.id::text from public.meter_installations i where p_of = 'service_point' and i.service_point_id = p_id
    union
    select 'bills', b.id::text
    from public.service_agreements a join public.bills b on b.agreement_id = a.id
    where p_of = 'service_point' and a.service_point_id = p_id
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

create or replace function private.recorded_beside_audit(p_of text, p_id uuid) RETURNS TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select 'l' || e.id, e.created_at, e.actor, 'insert',
           case e.kind when 'deposit_used' then 'deposit_uses' else 'adjustments' end, e.id::text, null::jsonb,
           jsonb_build_object('kind', e.kind, 'amount_minor', e.amount_minor, 'currency', e.currency, 'on_date', e.on_date, 'note', e.note)
    from public.ledger_entries e
    where p_of = 'customer' and e.customer_id = p_id and e.book = 'account'
      and e.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
    union all
    select 'n' || n.id, n.created_at, 'system:owed-work', 'insert', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id)
    from public.notifications n
    where n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    select 'c' || c.id, c.created_at, c.created_by, 'insert', 'corrections', c.id::text, null,
           jsonb_build_object('kind', c.kind, 'reason', c.reason, 'difference_minor', c.difference_minor, 'currency', c.currency,
                              'meter_id', c.meter_id, 'bills', (select count(*) from public.corrected_bills x where x.correction_id = c.id))
    from public.corrections c
    where c.id = any (array(
        select k.id from public.corrections k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.corrections k where p_of = 'meter' and k.meter_id = p_id
        union all
        select x.correction_id from public.corrected_bills x where p_of = 'bill' and (x.void_bill_id = p_id or x.new_bill_id = p_id)
        union all
        select x.correction_id
        from public.service_agreements g
        join public.bills b on b.agreement_id = g.id
        join public.corrected_bills x on b.id in (x.void_bill_id, x.new_bill_id)
        where p_of = 'service_point' and g.service_point_id = p_id))
    union all
    select 'f' || f.reason, f.raised_at, 'system:payments', 'insert', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'detail', f.detail)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id
    union all
    select 'g' || f.reason, f.resolved_at, f.resolved_by, 'update', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'resolution', f.resolution)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id and f.resolved_at is not null
    union all
    select 'p' || lpad(a.id::text, 19, '0'), a.created_at, a.actor, 'insert', 'allocations', a.id::text, null,
           jsonb_build_object('amount_minor', a.amount_minor, 'currency', c.currency, 'kind', d.kind, 'note', d.note, 'bill_id', d.bill_id)
    from public.ledger_entries c
    join public.allocations a on a.credit_entry_id = c.id
    join public.ledger_entries d on d.id = a.debit_entry_id
    where p_of = 'payment' and c.kind = 'payment' and c.payment_id = p_id
    union all
    select 's' || s.id, s.created_at, s.created_by, 'insert', 'supply_changes', s.id::text, null,
           jsonb_build_object('kind', s.kind, 'reason', s.reason, 'effective_on', s.effective_on, 'service_point_id', s.service_point_id)
    from public.supply_changes s
    where s.id = any (array(
        -- One that names an agreement is of its customer, another one of whoever was supplied there that day.
        select k.id from public.service_agreements g join public.supply_changes k on k.service_point_id = g.service_point_id
            and case when k.agreement_id is not null then k.agreement_id = g.id
                     else k.effective_on between g.starts_on and coalesce(g.ends_on, 'infinity') end
        where p_of = 'customer' and g.customer_id = p_id
        union all
        select k.id from public.meter_installations i join public.supply_changes k on k.service_point_id = i.service_point_id
            and k.effective_on between i.installed_on and coalesce(i.removed_on, 'infinity')
        where p_of = 'meter' and i.meter_id = p_id
        union all
        select k.id from public.supply_changes k where p_of = 'service_point' and k.service_point_id = p_id))
$$;

create or replace function public.timeline(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
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
              and m.days @> coalesce(
                  (a.after ->> 'read_on')::date, (a.after ->> 'removed_on')::date, (a.after ->> 'installed_on')::date,
                  case a.table_name when 'readings' then (select r.read_on from public.readings r where r.id = a.row_id::uuid) end,
                  (a.at at time zone 'UTC')::date)
              and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
            order by a.at desc, a.id desc limit v_limit + 1) x
        union all
        -- Of a place what was read there: of each meter while it was there.
        select x.* from private.meters_at_place(case v_of when 'service_point' then v_id end) m
        cross join lateral (
            select a.* from public.audit_log a
            where a.meter_id = m.meter_id and a.table_name = 'readings'
              and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
              and m.days @> coalesce((a.after ->> 'read_on')::date, (select r.read_on from public.readings r where r.id = a.row_id::uuid))
              and (v_tables is null or a.table_name = any (v_tables))
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
end $_$;

comment on function public.timeline(jsonb) is 'What happened to a customer, meter, service point, bill, payment or tariff, the newest first: {of: customer|meter|service_point|bill|payment|tariff, id, tables: [...] or null, after: [at, key] or null, limit} -> {changes: [{key, at, actor, action, table, row_id, before, after, inserted: an updated row as it once was inserted}], names: {id: name}, more}.';
