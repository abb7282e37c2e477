-- An audit record of a new bill said who made it and when, in 0.43 kB: the bill says that itself.

alter table public.bills add column created_by text check (created_by <> '');
alter table public.bills alter column created_by set default nullif(current_setting('billing.actor', true), '');
comment on column public.bills.created_by is 'Who made it. Null in bills from before, whose audit record says so.';
comment on table public.audit_log is 'Every change of a customer, meter, tariff, reading, bill, payment or API key: who, when, what before, what after. A new bill has no row here: it says itself who made it, and when (private.bills_made).';
comment on column public.audit_log.after is 'Of an insert: the row; of a reading only what may change later, of a bill from before nothing: the rest is in the row and in what its updates changed. Of an update: the columns that changed.';

drop trigger audit_insert on public.bills;
drop function private.audit_new_bills();
create function private.check_maker() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_relid <> 'public.bills'::regclass then
        raise exception using errcode = '42501', message = 'This trigger is of bills alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if exists (select 1 from new_rows n where n.created_by is distinct from v_actor) then
        raise exception using errcode = '42501', message = 'A bill says itself who made it: nobody says it for them.';
    end if;
    return null;
end $$;
comment on function private.check_maker() is 'A new bill names who makes it, which is who makes the changes of the transaction.';
revoke all on function private.check_maker() from public;
grant execute on function private.check_maker() to service_role;
create trigger bills_name_their_maker after insert on public.bills
    referencing new table as new_rows for each statement execute function private.check_maker();

create or replace function private.as_inserted(p_table_name text, p_row_id text, p_after jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case p_table_name
        when 'bills' then (
            select to_jsonb(b) - array['lines', 'created_by', 'number', 'issued_at', 'issued_on', 'due_date', 'overdue_since', 'payment_url', 'void_reason']
                || jsonb_strip_nulls(jsonb_build_object(
                       'number', b.number, 'issued_at', b.issued_at, 'issued_on', b.issued_on, 'due_date', b.due_date,
                       'overdue_since', b.overdue_since, 'payment_url', b.payment_url, 'void_reason', b.void_reason)
                       -- Of several changes of a column the first one has what was inserted.
                       || coalesce((select jsonb_object_agg(e.key, e.value order by u.id desc)
                                    from public.audit_log u cross join lateral jsonb_each(u.before) e
                                    where u.table_name = 'bills' and u.row_id = p_row_id and u.action = 'update'), '{}'))
            from public.bills b where b.id = p_row_id::uuid)
        when 'readings' then (
            select to_jsonb(r) - array['decided_by', 'decided_at', 'decision_reason']
            from public.readings r where r.id = p_row_id::uuid)
        else '{}' end || p_after
$$;

create function private.bills_made(p_of text, p_id uuid, p_at timestamptz, p_limit integer)
    returns table(key text, at timestamptz, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    language sql stable
    set search_path to ''
    as $$
    with of_it as (
        select b.id, b.created_at, b.created_by, b.period_end from public.bills b
        where p_of = 'customer' and b.customer_id = p_id and b.created_by is not null and b.created_at <= p_at
        union all
        select b.id, b.created_at, b.created_by, b.period_end from public.bills b
        where p_of = 'meter' and b.meter_id = p_id and b.created_by is not null and b.created_at <= p_at
        union all
        select b.id, b.created_at, b.created_by, b.period_end
        from private.bills_of_place(case p_of when 'service_point' then p_id end) i join public.bills b on b.id = i.id
        where b.created_by is not null and b.created_at <= p_at
        union all
        select b.id, b.created_at, b.created_by, b.period_end from public.bills b
        where p_of = 'bill' and b.id = p_id and b.created_by is not null and b.created_at <= p_at
    ), last as (
        -- Whole transactions: one makes many bills of a customer with many places.
        select * from of_it where created_at = p_at
        union all
        (select * from of_it where created_at < p_at order by created_at desc fetch first p_limit rows with ties)
    )
    -- After what the same transaction did before, and before what it changed of the bill.
    select coalesce((select 'a' || lpad((min(u.id) - 1)::text, 19, '0')
                     from public.audit_log u
                     where u.table_name = 'bills' and u.row_id = l.id::text and u.at = l.created_at), '')
               || 'b' || to_char(l.period_end, 'YYYYMMDD') || l.id,
           l.created_at, l.created_by, 'insert', 'bills', l.id::text, null::jsonb, '{}'::jsonb
    from last l
$$;
comment on function private.bills_made(p_of text, p_id uuid, p_at timestamptz, p_limit integer) is 'That the bills of a customer, meter, service point, or one bill, were made, as changes of the timeline: the last so many by an instant.';
revoke all on function private.bills_made(text, uuid, timestamptz, integer) from public;
grant execute on function private.bills_made(text, uuid, timestamptz, integer) to service_role;

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
        union all
        select m.* from private.bills_made(v_of, v_id, v_at, v_limit + 1) m
        where v_tables is null or 'bills' = any (v_tables)
    ), page as (
        select t.* from told t
        where t.at < v_at or (t.at = v_at and t.key < v_key collate "C")
        order by t.at desc, t.key collate "C" desc limit v_limit + 1
    )
    select coalesce(jsonb_agg(jsonb_build_object(
               'key', jsonb_build_array(g.at, g.key), 'at', g.at, 'actor', g.actor, 'action', g.action, 'table', g.table_name,
               'row_id', g.row_id, 'before', coalesce(g.before, '{}') - w.unsaid, 'after', case g.action when 'insert' then private.as_inserted(g.table_name, g.row_id, g.after) else g.after end - w.unsaid,
               'inserted', case when g.action = 'update' then (
                   select private.as_inserted(i.table_name, i.row_id, i.after) - w.unsaid
                   from (select x.table_name, x.row_id, x.after from public.audit_log x
                         where x.table_name = g.table_name and x.row_id = g.row_id and x.action = 'insert'
                         union all
                         select 'bills', b.id::text, '{}' from public.bills b
                         where b.id = case g.table_name when 'bills' then g.row_id::uuid end and b.created_by is not null) i
                   limit 1) end)
               order by g.at desc, g.key collate "C" desc), '[]')
    into v_changes
    from page g
    cross join (select array['lines', 'validation', 'definition', 'usage', 'second_opinion', 'priced_by', 'facts', 'steps', 'segments']) w (unsaid);
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
