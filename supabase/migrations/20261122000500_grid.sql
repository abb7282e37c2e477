-- The grid behind the meters: feeders, transformers, and the energy that went into each transformer.

create table public.feeders (
    id uuid primary key,
    code text not null unique check (code <> '' and code = btrim(code)),
    name text not null check (btrim(name) <> ''),
    created_at timestamptz not null default now()
);
comment on table public.feeders is 'The lines that leave a substation; transformers hang on them.';

create table public.transformers (
    id uuid primary key,
    code text not null unique check (code <> '' and code = btrim(code)),
    name text not null check (btrim(name) <> ''),
    feeder_id uuid not null references public.feeders,
    rated_kva integer check (rated_kva > 0),
    created_at timestamptz not null default now()
);
create index transformers_feeder on public.transformers (feeder_id);
comment on column public.transformers.rated_kva is 'Rated power in whole kVA; null when it is not known.';

alter table public.meters add column transformer_id uuid references public.transformers;
create index meters_transformer on public.meters (transformer_id);
comment on column public.meters.transformer_id is 'The transformer that feeds the meter; null when it is not known.';

create table public.supplies (
    id uuid primary key default gen_random_uuid(),
    transformer_id uuid not null references public.transformers,
    period_start date not null,
    period_end date not null check (period_end > period_start),
    energy_wh bigint not null check (energy_wh >= 0),
    created_at timestamptz not null default now(),
    -- Deferrable: a correction may move several periods of a transformer in one statement.
    unique (transformer_id, period_start) deferrable initially immediate
);
comment on table public.supplies is
    'Energy that went into a transformer, by the meter at its head, over local days; the periods of one transformer never overlap. A value is changed only by an import that says "correction", and the audit trail keeps what it was.';
comment on column public.supplies.period_end is 'Exclusive: the first local day that no longer belongs to the period.';

create function private.check_supplies() returns trigger
-- Transition tables have no statistics: left alone, the planner joins row by row.
language plpgsql set search_path = '' set enable_nestloop = off as $$
begin
    -- Not "for update": that would wait for the key share that a foreign key takes.
    perform 1 from public.transformers
    where id in (select n.transformer_id from new_rows n) order by id for no key update;
    if exists (
        select 1 from new_rows n
        join public.supplies s on s.transformer_id = n.transformer_id
        where s.id <> n.id and s.period_start < n.period_end and n.period_start < s.period_end
    ) then
        raise exception using errcode = 'EB005',
            message = 'Two periods of one transformer cannot overlap: its energy would count twice.';
    end if;
    return null;
end $$;
create trigger supplies_apart_insert after insert on public.supplies
    referencing new table as new_rows for each statement execute function private.check_supplies();
create trigger supplies_apart_update after update on public.supplies
    referencing new table as new_rows for each statement execute function private.check_supplies();

select private.keep_rows('public.supplies');
select private.audit_table('public.feeders');
select private.audit_table('public.transformers');
select private.audit_table('public.supplies');

create function public.import_transformers(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    if not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.feeders (id, code, name)
        select distinct on (x.feeder_code) x.feeder_id, x.feeder_code, coalesce(x.feeder_name, x.feeder_code)
        from jsonb_to_recordset(p -> 'rows') as x(feeder_id uuid, feeder_code text, feeder_name text)
        order by x.feeder_code, x.feeder_name
        on conflict do nothing;
        select count(*) into v_changed
        from jsonb_to_recordset(p -> 'rows') as x(
            code text, name text, feeder_code text, feeder_name text, rated_kva integer)
        join public.transformers t on t.code = x.code
        join public.feeders f on f.code = x.feeder_code
        where (t.name, t.feeder_id, t.rated_kva, f.name) is distinct from
              (x.name, f.id, coalesce(x.rated_kva, t.rated_kva), coalesce(x.feeder_name, f.name));
        update public.feeders f set name = x.feeder_name
        from (select distinct y.feeder_code, y.feeder_name
              from jsonb_to_recordset(p -> 'rows') as y(feeder_code text, feeder_name text)
              where y.feeder_name is not null) x
        where f.code = x.feeder_code and f.name <> x.feeder_name;
        update public.transformers t
        set name = x.name, feeder_id = f.id, rated_kva = coalesce(x.rated_kva, t.rated_kva)
        from jsonb_to_recordset(p -> 'rows') as x(code text, name text, feeder_code text, rated_kva integer)
        join public.feeders f on f.code = x.feeder_code
        where t.code = x.code
          and (t.name, t.feeder_id, t.rated_kva) is distinct from
              (x.name, f.id, coalesce(x.rated_kva, t.rated_kva));
        insert into public.transformers (id, code, name, feeder_id, rated_kva)
        select x.id, x.code, x.name, f.id, x.rated_kva
        from jsonb_to_recordset(p -> 'rows') as x(
            id uuid, code text, name text, feeder_code text, rated_kva integer)
        join public.feeders f on f.code = x.feeder_code
        on conflict do nothing;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(null, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_transformers is
    'Adds transformers with their feeders, or updates known codes: {actor, dry_run, rows: [{row, id, code, name, feeder_id, feeder_code, feeder_name?, rated_kva?}]}. What a row does not say stays as it is.';

create function private.match_supplies(p_rows jsonb)
returns table ("row" integer, transformer_code text, transformer_id uuid, period_start date, period_end date,
               energy_wh bigint, correction boolean, stored_id uuid, stored_wh bigint, same_period boolean)
language sql stable set search_path = '' as $$
    select x."row", x.transformer_code, t.id, x.period_start, x.period_end, x.energy_wh,
           coalesce(x.correction, false), s.id, s.energy_wh,
           (s.period_start, s.period_end) = (x.period_start, x.period_end)
    from jsonb_to_recordset(p_rows) as x(
        "row" integer, transformer_code text, period_start date, period_end date, energy_wh bigint,
        correction boolean)
    left join public.transformers t on t.code = x.transformer_code
    left join lateral (
        select s.id, s.period_start, s.period_end, s.energy_wh
        from public.supplies s
        where s.transformer_id = t.id and s.period_start < x.period_end and x.period_start < s.period_end
        order by s.period_start = x.period_start desc, s.period_end = x.period_end desc, s.period_start
        limit 1
    ) s on true
$$;
comment on function private.match_supplies is
    'The rows of a file, each with the stored supply that it repeats or would correct: of those that it overlaps the one with the same start, else the same end, else the first.';

create function private.supply_problems(p_rows jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with m as (
        select *, count(*) filter (where correction) over (partition by stored_id) as claims
        from private.match_supplies(p_rows)
    ), problems as (
        select m."row", case
            when m.transformer_id is null then array['transformer_code', format('No transformer has the code %s.', m.transformer_code)]
            when m.same_period and m.stored_wh = m.energy_wh then null
            when m.correction and m.stored_id is null then array['correction', format(
                'Nothing is stored for transformer %s in this period that could be corrected.', m.transformer_code)]
            when m.correction and m.claims > 1 then array['correction', 'Another row of the file corrects the same stored period.']
            when m.same_period and not m.correction then array['energy_kwh', format(
                'Transformer %s has another value for this period, %s kWh. If that one is wrong, add a column named correction with yes in this row.',
                m.transformer_code, trim_scale(m.stored_wh / 1000.0))]
            -- In the way: a stored period that no row of the file moves.
            else (select array['period_start', format(
                      'The period overlaps that from %s up to %s, which is stored for transformer %s.',
                      min(s.period_start), min(s.period_end), m.transformer_code)]
                  from public.supplies s
                  where s.transformer_id = m.transformer_id
                    and s.period_start < m.period_end and m.period_start < s.period_end
                    and s.id not in (select o.stored_id from m o where o.correction and o.stored_id is not null)
                  having count(*) > 0)
            end as problem
        from m
    )
    select jsonb_agg(jsonb_build_object('row', q."row", 'column', q.problem[1], 'message', q.problem[2]) order by q."row")
    from problems q where q.problem is not null
$$;

create function public.import_supplies(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    perform 1 from public.transformers
    where code in (select x ->> 'transformer_code' from jsonb_array_elements(p -> 'rows') x)
    order by id for no key update;
    v_errors := private.supply_problems(p -> 'rows');
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        update public.supplies s
        set period_start = m.period_start, period_end = m.period_end, energy_wh = m.energy_wh
        from private.match_supplies(p -> 'rows') m
        where m.correction and s.id = m.stored_id and not (m.same_period and m.stored_wh = m.energy_wh);
        get diagnostics v_changed = row_count;
        insert into public.supplies (transformer_id, period_start, period_end, energy_wh)
        select m.transformer_id, m.period_start, m.period_end, m.energy_wh
        from private.match_supplies(p -> 'rows') m
        where m.stored_id is null;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_supplies is
    'Adds what went into transformers, or corrects a stored period where a row says so: {actor, dry_run, rows: [{row, transformer_code, period_start, period_end, energy_wh, correction?}]}. Rows that repeat what is stored change nothing.';

-- What the graph is made of. No name, phone or address of a person is among it.
create view private.graph_feeders with (security_invoker = true) as
select f.id, f.code, f.name from public.feeders f;
create view private.graph_transformers with (security_invoker = true) as
select t.id, t.code, t.name, t.rated_kva, t.feeder_id from public.transformers t;
create view private.graph_customers with (security_invoker = true) as
select c.id, c.account_no from public.customers c;
create view private.graph_meters with (security_invoker = true) as
select m.id, m.serial, m.status, m.opened_on, m.customer_id, m.transformer_id from public.meters m;
create view private.graph_tariffs with (security_invoker = true) as
select v.id, t.code, v.effective_from
from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id;
create view private.graph_readings with (security_invoker = true) as
select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.status, r.source from public.readings r;
create view private.graph_bills with (security_invoker = true) as
select b.id, b.number, b.status, b.meter_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
       b.period_start, b.period_end, b.consumption_wh, b.currency, b.total_minor
from public.bills b;
create view private.graph_payments with (security_invoker = true) as
select y.id, y.bill_id, y.amount_minor, y.currency, y.received_on from public.payments y;
create view private.graph_supplies with (security_invoker = true) as
select s.id, s.transformer_id, s.period_start, s.period_end, s.energy_wh from public.supplies s;

create function public.graph_rows(p jsonb) returns jsonb
-- Sorting would read the whole table for a page of it; the primary key is in order already.
language plpgsql stable set search_path = '' set enable_sort = off set enable_seqscan = off as $$
declare
    v_rows jsonb;
begin
    -- As text for this page's values, so that the planner knows how small the page is.
    execute format(
        'select coalesce(jsonb_agg(to_jsonb(g) order by g.id), ''[]'')
         from (select * from private.%I where id > %L order by id limit %s) g',
        'graph_' || (p ->> 'what'),
        coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000'),
        (p ->> 'limit')::integer)
    into v_rows;
    return jsonb_build_object('rows', v_rows);
end $$;
comment on function public.graph_rows is
    'A page of what the graph is made of, in order of id: {what: feeders | transformers | customers | meters | tariffs | readings | bills | payments | supplies, after?, limit}.';

create function public.graph_rows_of_bill(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_bill public.bills;
    v_meter public.meters;
begin
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    select * into v_meter from public.meters where id = v_bill.meter_id;
    return jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]')
                    from private.graph_feeders f join public.transformers t on t.feeder_id = f.id
                    where t.id = v_meter.transformer_id),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]')
                         from private.graph_transformers t where t.id = v_meter.transformer_id),
        'customers', (select jsonb_agg(to_jsonb(c)) from private.graph_customers c
                      where c.id in (v_meter.customer_id, v_bill.customer_id)),
        'meters', (select jsonb_agg(to_jsonb(m)) from private.graph_meters m where m.id = v_meter.id),
        'tariffs', (select jsonb_agg(to_jsonb(v)) from private.graph_tariffs v where v.id = v_bill.tariff_version_id),
        'readings', (select jsonb_agg(to_jsonb(r)) from private.graph_readings r
                     where r.id in (v_bill.opening_reading_id, v_bill.closing_reading_id)),
        'bills', (select jsonb_agg(to_jsonb(b)) from private.graph_bills b where b.id = v_bill.id),
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]')
                     from private.graph_payments y where y.bill_id = v_bill.id));
end $$;
comment on function public.graph_rows_of_bill is
    'What the graph needs for one bill, by kind and in the shapes of graph_rows: {bill_id}.';

alter table public.feeders enable row level security;
alter table public.transformers enable row level security;
alter table public.supplies enable row level security;
revoke all on public.feeders, public.transformers, public.supplies from public, anon, authenticated;
revoke delete, truncate on public.feeders, public.transformers, public.supplies from service_role;
grant select, insert, update on public.feeders, public.transformers, public.supplies to service_role;
revoke all on all tables in schema private from public, anon, authenticated;
grant select on private.graph_feeders, private.graph_transformers, private.graph_customers, private.graph_meters,
    private.graph_tariffs, private.graph_readings, private.graph_bills, private.graph_payments,
    private.graph_supplies to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;
