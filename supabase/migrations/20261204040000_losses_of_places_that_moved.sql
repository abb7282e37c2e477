-- A place that was moved to another transformer took its bills of before along, so that the losses of both transformers
-- were wrong for good. The day of a move is kept now, and what was billed before it stays where it was used.
-- What a settled estimate was too high or too low counts on the days that it was of, and what places export counts as
-- fed in.

create table public.transformer_moves (
    id uuid primary key default private.ordered_id(),
    service_point_id uuid not null references public.service_points (id),
    moved_on date not null,
    from_transformer_id uuid references public.transformers (id),
    created_at timestamptz not null default now(),
    unique (service_point_id, moved_on)
);
comment on table public.transformer_moves is 'From which day on a place hangs on another transformer than before. Never changed: what it hangs on since the last is in service_points.';
comment on column public.transformer_moves.from_transformer_id is 'What it hung on until then, since the move before; null where that is not known.';
create index transformer_moves_from on public.transformer_moves (from_transformer_id);
alter table public.transformer_moves enable row level security;
revoke all on public.transformer_moves from public, anon, authenticated, service_role;
grant select, insert on public.transformer_moves to service_role;
create trigger refuse_update before update on public.transformer_moves for each row execute function private.refuse_change();
create trigger refuse_delete before delete on public.transformer_moves for each row execute function private.refuse_delete();
create trigger refuse_truncate before truncate on public.transformer_moves for each statement execute function private.refuse_delete();

create or replace function private.archived_tables() returns text[]
    language sql immutable set search_path to ''
as $$
    -- Not here: sign-ins, keys, passwords and addresses that are secrets, work owed to the outside, and documents, which are files.
    select array['customers', 'customer_notes', 'tariffs', 'tariff_versions', 'feeders', 'transformers', 'supplies',
                 'service_points', 'transformer_moves', 'meters', 'meter_installations', 'service_agreements', 'agreement_tariffs', 'billing_cycles',
                 'reading_routes', 'supply_changes', 'disconnections', 'readings', 'reading_requests', 'missed_reads', 'intervals', 'bills', 'kwh_bank_entries', 'notifications', 'accounts', 'ledger_entries',
                 'open_items', 'allocations', 'payments', 'payment_returns', 'payment_flags', 'past_payments', 'bank_lines',
                 'instalment_plans', 'plan_bills', 'instalments', 'spared_bills', 'customer_requests', 'stopped_numbers', 'letter_batches', 'letters', 'dunning_holds', 'dunning_policies', 'dunning_actions', 'autopay_policies', 'autopay_mandates', 'autopay_charges', 'autopay_charge_bills', 'autopay_attempts', 'work_orders', 'corrections', 'corrected_bills', 'credit_notes', 'month_closings', 'suspense_entries', 'cash_closings', 'cash_closing_items',
                 'utility_settings', 'users', 'audit_log']
$$;

-- Moving a place -------------------------------------------------------------------------------------------------------------

create or replace function public.change_service_point(p jsonb) returns jsonb
    language plpgsql set search_path to ''
as $$
declare
    v_point public.service_points;
    v_is jsonb;
    v_transformer uuid;
    v_moved_on constant date := (p ->> 'moved_on')::date;
    v_last date;
begin
    perform private.set_actor(p);
    select * into v_point from public.service_points where id = (p ->> 'service_point_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    v_is := jsonb_build_object(
        'code', v_point.code, 'address', v_point.address, 'route', v_point.route, 'sequence', v_point.sequence,
        'phases', v_point.phases, 'connected_w', v_point.connected_w, 'connected_va', v_point.connected_va,
        'access_note', v_point.access_note,
        'transformer_code', (select t.code from public.transformers t where t.id = v_point.transformer_id));
    -- A repeat of this very change finds what it wrote.
    if v_is <> p -> 'seen' and v_is <> p -> 'details' then
        perform private.refuse('EB005', 'Somebody else changed this place meanwhile. Look at it as it is now.');
    end if;
    if p #>> '{details,transformer_code}' is not null then
        select t.id into v_transformer from public.transformers t where t.code = p #>> '{details,transformer_code}';
        if not found then
            perform private.refuse('EB005', format('No transformer has the code %s.', p #>> '{details,transformer_code}'));
        end if;
    end if;
    if v_moved_on is not null and v_transformer is distinct from v_point.transformer_id then
        select max(m.moved_on) into v_last from public.transformer_moves m where m.service_point_id = v_point.id;
        if v_last > v_moved_on then
            perform private.refuse('EB005', format('This place was moved to another transformer on %s already: it can only be moved on from there on a later day.', v_last));
        end if;
        -- Moved twice on one day, it never hung on the first of the two.
        insert into public.transformer_moves (service_point_id, moved_on, from_transformer_id)
        values (v_point.id, v_moved_on, v_point.transformer_id)
        on conflict (service_point_id, moved_on) do nothing;
    end if;
    update public.service_points s
    set code = x.code, address = x.address, route = x.route, sequence = x.sequence, phases = x.phases,
        connected_w = x.connected_w, connected_va = x.connected_va, access_note = x.access_note, transformer_id = v_transformer
    from jsonb_to_record(p -> 'details') as x(
        code text, address text, route text, sequence integer, phases smallint, connected_w integer, connected_va integer,
        access_note text)
    where s.id = v_point.id and v_is <> p -> 'details';
    return '{}'::jsonb;
exception when unique_violation then
    raise exception using errcode = 'EB005', message = format('Another service point has the code %s already.', p #>> '{details,code}');
end $$;
comment on function public.change_service_point(p jsonb) is 'Changes the details of a place: {actor, service_point_id, seen: {code, address, route, sequence, phases, connected_w, connected_va, access_note, transformer_code} as they were, details: the same as they are to be, moved_on?: from when on it hangs on another transformer; without it the transformer is corrected for as long as it was said to hang on it}. EB005 when somebody else changed them meanwhile, the code is taken, or it was moved later than that day.';

create or replace function public.import_service_points(p jsonb) returns jsonb
    language plpgsql set search_path to ''
    set plan_cache_mode to 'force_custom_plan'
    set enable_seqscan to 'off'
as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_moved uuid[];
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', z."row", 'column', z."column", 'message', z.message) order by z."row")
    into v_errors
    from (
        select x."row", 'transformer_code' as "column", format('No transformer has the code %s.', x.transformer_code) as message
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, transformer_code text)
        where x.transformer_code <> '' and not exists (select 1 from public.transformers t where t.code = x.transformer_code)
        union all
        select x."row", 'transformer_since', format('This place was moved to another transformer on %s already: it can only be moved on from there on a later day.', m.last)
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, code text, transformer_code text, moved_on date)
        join public.service_points s on s.code = x.code
        left join public.transformers t on t.code = x.transformer_code
        cross join lateral (select max(y.moved_on) as last from public.transformer_moves y where y.service_point_id = s.id) m
        where x.moved_on is not null and (m.last > x.moved_on or (m.last < x.moved_on and s.transformer_id is not distinct from t.id))) z;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.service_points (id, code) select x.id, x.code
        from jsonb_to_recordset(p -> 'rows') as x(id uuid, code text)
        -- A place that came with its meter has another id, and its serial for a code.
        where not exists (select 1 from public.service_points s where s.code = x.code)
        on conflict do nothing;
        get diagnostics v_added = row_count;
        -- Where it hangs on that transformer already, what it hung on before is not known.
        with moved as (
            insert into public.transformer_moves (service_point_id, moved_on, from_transformer_id)
            select s.id, x.moved_on, case when s.transformer_id is distinct from t.id then s.transformer_id end
            from jsonb_to_recordset(p -> 'rows') as x(code text, transformer_code text, moved_on date)
            join public.service_points s on s.code = x.code
            left join public.transformers t on t.code = x.transformer_code
            where x.moved_on is not null
            on conflict (service_point_id, moved_on) do nothing
            returning service_point_id
        )
        select coalesce(array_agg(m.service_point_id), '{}') into v_moved from moved m;
        with wanted as materialized (
            select s.id, s.created_at = now() as is_new, coalesce(e ->> 'address', s.address) as address,
                   case when e ? 'transformer_code' then t.id else s.transformer_id end as transformer_id,
                   coalesce(e ->> 'route', s.route) as route,
                   case when e ? 'sequence' then (e ->> 'sequence')::integer else s.sequence end as sequence,
                   case when e ? 'phases' then (e ->> 'phases')::smallint else s.phases end as phases,
                   case when e ? 'connected_w' then (e ->> 'connected_w')::integer else s.connected_w end as connected_w,
                   case when e ? 'connected_va' then (e ->> 'connected_va')::integer else s.connected_va end as connected_va,
                   coalesce(e ->> 'access_note', s.access_note) as access_note
            from jsonb_array_elements(p -> 'rows') e
            join public.service_points s on s.code = e ->> 'code'
            left join public.transformers t on t.code = e ->> 'transformer_code'
        ), written as (
            update public.service_points s
            set address = w.address, transformer_id = w.transformer_id, route = w.route, sequence = w.sequence, phases = w.phases,
                connected_w = w.connected_w, connected_va = w.connected_va, access_note = w.access_note
            from wanted w
            where s.id = w.id and (s.address, s.transformer_id, s.route, s.sequence, s.phases, s.connected_w, s.connected_va, s.access_note)
                is distinct from (w.address, w.transformer_id, w.route, w.sequence, w.phases, w.connected_w, w.connected_va, w.access_note)
            returning s.id
        )
        select count(*) into v_changed from wanted w
        where not w.is_new and (w.id = any (v_moved) or w.id in (select x.id from written x));
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_service_points(p jsonb) is 'Adds places of supply, or changes what is known of those with these codes: {actor, dry_run, rows: [{row, id, code, address?, transformer_code?, moved_on?: from when on it hangs on that transformer, route?, sequence?, phases?, connected_w?, connected_va?, access_note?}]}. What a row does not give stays; an empty text or null takes it away. Without moved_on the transformer is corrected for as long as it was said to hang on it.';

create or replace view private.export_service_points with (security_invoker = true) as
select s.id, s.code, s.address, t.code as transformer_code, s.route, s.sequence, s.phases, s.connected_w, s.connected_va, s.access_note,
       (select max(m.moved_on) from public.transformer_moves m where m.service_point_id = s.id) as transformer_since
from public.service_points s
left join public.transformers t on t.id = s.transformer_id;

-- What the graph is made of --------------------------------------------------------------------------------------------------

create or replace view private.graph_service_points with (security_invoker = true) as
select s.id, s.code, s.transformer_id,
       case when i.still then 'active' else 'closed' end as status,
       i.opened_on,
       -- Where it hung before, in order: on what, and from which day up to which other, as days since 1970-01-01.
       w.connected_on, coalesce(w.ids, '[]') as earlier_transformer_ids, w.was_on, w.was_from, w.was_until
from public.service_points s
left join lateral (
    select min(x.installed_on) as opened_on, bool_or(x.removed_at is null) as still
    from public.meter_installations x where x.service_point_id = s.id) i on true
left join lateral (
    select max(y.moved_on) as connected_on,
           jsonb_agg(distinct y.from_transformer_id) filter (where y.from_transformer_id is not null) as ids,
           jsonb_agg(coalesce(y.from_transformer_id::text, '') order by y.moved_on) as was_on,
           jsonb_agg(coalesce(y.before - date '1970-01-01', -1000000) order by y.moved_on) as was_from,
           jsonb_agg(y.moved_on - date '1970-01-01' order by y.moved_on) as was_until
    from (select m.moved_on, m.from_transformer_id, lag(m.moved_on) over (order by m.moved_on) as before
          from public.transformer_moves m where m.service_point_id = s.id) y) w on true;

create or replace view private.graph_bills with (security_invoker = true) as
select b.id, b.number, l.status, b.meter_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id, b.period_start, b.period_end,
       b.consumption_wh, b.currency, b.total_minor, b.agreement_id,
       case when b.segments is null then '[]'::jsonb
            else (select coalesce(jsonb_agg(distinct x.value ->> 'meter_id'), '[]')
                  from jsonb_array_elements(b.segments) x
                  where (x.value ->> 'meter_id')::uuid <> b.meter_id) end as earlier_meter_ids,
       case when b.segments is null then '[]'::jsonb
            else (select coalesce(jsonb_agg(distinct r.id), '[]')
                  from jsonb_array_elements(b.segments) x
                  cross join lateral (values (x.value ->> 'opening_reading_id'), (x.value ->> 'closing_reading_id')) r (id)
                  where r.id::uuid <> all (array[b.opening_reading_id, b.closing_reading_id])) end as inner_reading_ids,
       coalesce((b.usage ->> 'export_wh')::bigint,
                (select sum((x.value ->> 'export_wh')::bigint)::bigint from jsonb_array_elements(b.usage -> 'parts') x)) as exported_wh,
       -- What settles estimates: all that was used since then, less what was billed of it before, each with its days since 1970-01-01.
       (b.usage #>> '{trued_up,start}')::date as settled_from, w.piece_starts, w.piece_ends, w.piece_wh
from public.bills b
join public.bill_list l on l.id = b.id
left join lateral (
    select jsonb_agg(x.starts order by x.starts, x.ends, x.wh) as piece_starts, jsonb_agg(x.ends order by x.starts, x.ends, x.wh) as piece_ends,
           jsonb_agg(x.wh order by x.starts, x.ends, x.wh) as piece_wh
    from (select (b.usage #>> '{trued_up,start}')::date - date '1970-01-01' as starts, b.period_end - date '1970-01-01' as ends,
                 (b.usage #>> '{trued_up,wh}')::bigint as wh
          union all
          select s.period_start - date '1970-01-01', s.period_end - date '1970-01-01', -s.consumption_wh
          from public.bills s
          where s.agreement_id = b.agreement_id and s.status <> 'void' and s.period_end <= b.period_start
            and s.period_start >= (b.usage #>> '{trued_up,start}')::date) x) w on b.usage ? 'trued_up';

create or replace function private.graph_rows_of(p_bills uuid[]) returns jsonb
    language plpgsql stable set search_path to ''
    set plan_cache_mode to 'force_custom_plan'
as $$
declare
    v_bills jsonb;
    v_points uuid[];
    v_meters uuid[];
    v_fed_by uuid[];
    v_agreements jsonb;
    v_meter_rows jsonb;
    v_point_rows jsonb;
begin
    -- Ids in arrays, found step by step, let each view be entered by its key, however many rows it has.
    select coalesce(jsonb_agg(to_jsonb(b)), '[]') into v_bills from private.graph_bills b where b.id = any (p_bills);
    v_points := array(select distinct a.service_point_id from public.bills b join public.service_agreements a on a.id = b.agreement_id
                      where b.id = any (p_bills));
    v_meters := array(select i.meter_id from public.meter_installations i where i.service_point_id = any (v_points)
                      union select b.meter_id from public.bills b where b.id = any (p_bills));
    select coalesce(jsonb_agg(to_jsonb(s)), '[]') into v_point_rows from private.graph_service_points s where s.id = any (v_points);
    select coalesce(jsonb_agg(to_jsonb(a)), '[]') into v_agreements from private.graph_agreements a where a.service_point_id = any (v_points);
    select coalesce(jsonb_agg(to_jsonb(m)), '[]') into v_meter_rows from private.graph_meters m where m.id = any (v_meters);
    v_fed_by := array(select (x ->> 'transformer_id')::uuid from jsonb_array_elements(v_point_rows || v_meter_rows) x
                      where x ->> 'transformer_id' is not null
                      union
                      select e.id::uuid from jsonb_array_elements(v_point_rows) x
                      cross join lateral jsonb_array_elements_text(x -> 'earlier_transformer_ids') e (id));
    return jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]') from private.graph_feeders f
                    where f.id in (select t.feeder_id from public.transformers t where t.id = any (v_fed_by))),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.graph_transformers t where t.id = any (v_fed_by)),
        'customers', (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from private.graph_customers c
                      where c.id = any (array(select (x ->> 'customer_id')::uuid from jsonb_array_elements(v_meter_rows || v_agreements) x
                                              where x ->> 'customer_id' is not null group by 1))),
        'service_points', v_point_rows,
        'agreements', v_agreements,
        'meters', v_meter_rows,
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(v)), '[]') from private.graph_tariffs v
                    where v.id in (select (x ->> 'tariff_version_id')::uuid from jsonb_array_elements(v_bills) x)),
        'readings', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from private.graph_readings r
                     where r.id = any (array(
                         select (x ->> 'opening_reading_id')::uuid from jsonb_array_elements(v_bills) x
                         union select (x ->> 'closing_reading_id')::uuid from jsonb_array_elements(v_bills) x
                         union select e.id::uuid from jsonb_array_elements(v_bills) x
                         cross join lateral jsonb_array_elements_text(x -> 'inner_reading_ids') e (id)))),
        'bills', v_bills,
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]') from private.graph_payments y where y.bill_id = any (p_bills)));
end $$;
