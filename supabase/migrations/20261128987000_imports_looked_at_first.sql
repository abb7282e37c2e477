-- What an import would do, shown before it does it; and the headings of people's own spreadsheets,
-- said once and remembered.

create table public.import_headings (
    id uuid primary key,
    kind text not null check (kind in ('customers', 'intervals', 'meters', 'readings', 'supplies', 'transformers')),
    heading_key text not null check (heading_key <> '' and length(heading_key) <= 200),
    heading text not null check (length(heading) <= 200),
    field text not null check (length(field) <= 100),
    unique (kind, heading_key)
);
comment on table public.import_headings is
    'Which column of an import is meant by a heading of somebody''s own, as a person said.';
comment on column public.import_headings.heading_key is
    'The heading''s letters and digits: what it has in common with itself in another spelling.';
comment on column public.import_headings.field is 'Our column; empty where the file''s is to be left out.';
alter table public.import_headings enable row level security;
revoke all on public.import_headings from public, anon, authenticated;
revoke delete, truncate on public.import_headings from service_role;
grant select, insert, update on public.import_headings to service_role;
select private.audit_table('public.import_headings');

create function public.import_headings(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('headings', coalesce(jsonb_agg(jsonb_build_object(
               'heading', h.heading, 'heading_key', h.heading_key, 'field', h.field) order by h.heading_key), '[]'))
    from public.import_headings h where h.kind = p ->> 'kind'
$$;
comment on function public.import_headings(jsonb) is
    'What was said of the headings of a kind of import: {kind} gives {headings: [{heading, heading_key, field}]}.';
revoke all on function public.import_headings(jsonb) from public;
grant execute on function public.import_headings(jsonb) to service_role;

create function public.set_import_headings(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    insert into public.import_headings as h (id, kind, heading_key, heading, field)
    select x.id, p ->> 'kind', x.heading_key, x.heading, x.field
    from jsonb_to_recordset(p -> 'headings') as x(id uuid, heading_key text, heading text, field text)
    order by x.heading_key
    on conflict (kind, heading_key) do update set heading = excluded.heading, field = excluded.field
    where (h.heading, h.field) is distinct from (excluded.heading, excluded.field);
    return '{}'::jsonb;
end $$;
comment on function public.set_import_headings(jsonb) is
    'Remembers what headings mean: {actor, kind, headings: [{id, heading_key, heading, field}]}; an empty field leaves the column out.';
revoke all on function public.set_import_headings(jsonb) from public;
grant execute on function public.set_import_headings(jsonb) to service_role;

create function private.import_value(p_column text, p_value jsonb) returns text
language sql stable set search_path = '' as $$
    select case when p_value is null or p_value = 'null' then ''
                when p_column = 'transformer_id' then
                    (select t.code from public.transformers t where t.id = (p_value #>> '{}')::uuid)
                when p_column = 'feeder_id' then
                    (select f.code from public.feeders f where f.id = (p_value #>> '{}')::uuid)
                else p_value #>> '{}' end
$$;
comment on function private.import_value(text, jsonb) is 'A value of the audit trail as people know it.';
revoke all on function private.import_value(text, jsonb) from public;
grant execute on function private.import_value(text, jsonb) to service_role;

create function private.import_differences(p_after bigint, p_most integer) returns jsonb
language sql stable set search_path = '' as $$
    with written as (
        select a.id, a.action, a.table_name, a.before, a.after,
               case a.table_name
                   when 'customers' then (select c.account_no from public.customers c where c.id = a.row_id::uuid)
                   when 'meters' then (select m.serial from public.meters m where m.id = a.row_id::uuid)
                   when 'transformers' then (select t.code from public.transformers t where t.id = a.row_id::uuid)
                   when 'feeders' then (select f.code from public.feeders f where f.id = a.row_id::uuid)
                   when 'service_points' then (
                       select min(m.serial) from public.meter_installations i join public.meters m on m.id = i.meter_id
                       where i.service_point_id = a.row_id::uuid and i.removed_at is null)
                   end as name
        from public.audit_log a
        -- Others write too; what this transaction wrote has its time.
        where a.id > p_after and a.at = now()),
    fields as (
        select w.id, w.table_name, w.name, n.key, w.before -> n.key as before, n.value as after
        from written w, jsonb_each(w.after) n
        where w.action = 'update' and w.name is not null)
    select jsonb_build_object(
        'new_names', coalesce((select jsonb_agg(distinct w.name) from written w
                               where w.action = 'insert' and w.table_name in ('customers', 'meters', 'transformers')), '[]'),
        'differences', coalesce((
            select jsonb_agg(jsonb_build_object('of', f.table_name, 'name', f.name, 'field', f.key,
                                                'before', private.import_value(f.key, f.before),
                                                'after', private.import_value(f.key, f.after)) order by f.id, f.key)
            from (select * from fields order by id, key limit p_most) f), '[]'))
$$;
comment on function private.import_differences(bigint, integer) is
    'What this transaction wrote to the audit trail after an entry: names added, and fields with their values before and after, at most so many.';
revoke all on function private.import_differences(bigint, integer) from public;
grant execute on function private.import_differences(bigint, integer) to service_role;

-- Between two parts of an import a table grows from nothing to many rows. A plan that was made and
-- kept when it was empty reads all of it for each row, until its statistics are renewed.
alter function public.identifier_keys(jsonb) set plan_cache_mode to force_custom_plan;
alter function public.import_customers(jsonb) set plan_cache_mode to force_custom_plan;
alter function public.import_transformers(jsonb) set plan_cache_mode to force_custom_plan;

create function public.preview_import(p jsonb) returns jsonb
language plpgsql set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
    v_last bigint;
    v_answer jsonb;
    v_differences jsonb;
begin
    if p ->> 'what' not in ('customers', 'intervals', 'meters', 'readings', 'supplies', 'tariffs', 'transformers') then
        perform private.refuse('EB400', 'There is no such import.');
    end if;
    select coalesce(max(id), 0) into v_last from public.audit_log;
    begin
        execute format('select public.%I($1)', 'import_' || (p ->> 'what'))
        into v_answer using p || '{"dry_run": false}';
        v_differences := private.import_differences(v_last, (p ->> 'most')::integer);
        raise exception using errcode = 'EB000', message = 'Undo what was written to be looked at.';
    exception when sqlstate 'EB000' then
        null;
    end;
    return v_answer || v_differences;
end $$;
comment on function public.preview_import(jsonb) is
    'What an import of these rows would do, found by doing it and undoing it: {what, actor, rows, most} gives the import''s own answer, {new_names: [...]} and {differences: [{of, name, field, before, after}]}, at most so many. Nothing stays written.';
revoke all on function public.preview_import(jsonb) from public;
grant execute on function public.preview_import(jsonb) to service_role;
