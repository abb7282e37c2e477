-- What a customer is searched by is kept beside the row: to work it out for each row that has a common word takes longer
-- than to find them.
alter table public.customers add column search_text text generated always as
    (private.customer_search_text(account_no, name, phone, email, address)) stored;
comment on column public.customers.search_text is 'What searches and lists find a customer by; see private.customer_search_text.';
drop index if exists public.customers_search;
do $$
declare
    v_schema text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm');
begin
    -- Without the extension a search reads the table.
    if v_schema is not null then
        execute format('create index customers_search on public.customers using gin (search_text %I.gin_trgm_ops)', v_schema);
    end if;
end $$;

-- Neither the audit trail nor an export repeats what is made of other columns.
create or replace function private.audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET enable_nestloop TO 'off'
    AS $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    -- What a row is searched by is made of its other columns.
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, after)
        select v_actor, 'insert', tg_table_name, r.id,
               case when r.n ->> 'customer_id' is not null then (r.n ->> 'customer_id')::uuid
                    when tg_table_name = 'customers' then r.id::uuid
                    when r.n ?| array['bill_id', 'agreement_id'] then private.customer_behind(r.n) end,
               case when tg_table_name = 'meters' then r.id::uuid else (r.n ->> 'meter_id')::uuid end,
               r.n - 'lines'
        from (select n.id::text as id, to_jsonb(n) - 'search_text' as n from new_rows n offset 0) r;
    else
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, before, after)
        select v_actor, 'update', tg_table_name, r.id,
               case when r.n ->> 'customer_id' is not null then (r.n ->> 'customer_id')::uuid
                    when tg_table_name = 'customers' then r.id::uuid
                    when r.n ?| array['bill_id', 'agreement_id'] then private.customer_behind(r.n) end,
               case when tg_table_name = 'meters' then r.id::uuid else (r.n ->> 'meter_id')::uuid end,
               private.changed_columns(r.n, r.o), private.changed_columns(r.o, r.n)
        from (select n.id::text as id, to_jsonb(o) - 'search_text' as o, to_jsonb(n) - 'search_text' as n
              from new_rows n join old_rows o on o.id = n.id
              where o is distinct from n
              offset 0) r;
    end if;
    return null;
end $$;

create or replace function public.export_plan(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'registers', (select coalesce(jsonb_agg(distinct n order by n), '[]')
                      from public.meters m, jsonb_array_elements_text(m.registers) n),
        'tables', (select jsonb_agg(jsonb_build_object(
                       'name', n.name,
                       'columns', (select jsonb_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
                                   where a.attrelid = ('public.' || n.name)::regclass and a.attnum > 0 and not a.attisdropped
                                     and a.attgenerated = ''))
                       order by n.place)
                   from unnest(private.archived_tables()) with ordinality n(name, place)))
$$;

-- The first twenty of many that fit are soon met in the table itself; but where they are few it would be read to its end.
create or replace function private.customers_found(p_patterns text[], p_account_no text, p_limit integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $_$
declare
    v_found uuid[];
begin
    -- Each pattern as a condition of its own: all of them enter the index, which "like all" does not.
    execute 'select array(select c.id from public.customers c where c.account_no = $1 or '
        || coalesce((select string_agg(format('c.search_text like %L', x), ' and ')
                     from unnest(p_patterns) x), 'false')
        || ' limit $2)'
    into v_found using p_account_no, p_limit;
    return coalesce(v_found, '{}');
end $_$;

create or replace function private.meters_found(p_patterns text[], p_serial text, p_limit integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $_$
declare
    v_found uuid[];
begin
    execute 'select array(select m.id from public.meters m where m.serial = $1 or '
        || coalesce((select string_agg(format('lower(m.serial) like %L', x), ' and ') from unnest(p_patterns) x), 'false')
        || ' limit $2)'
    into v_found using p_serial, p_limit;
    return coalesce(v_found, '{}');
end $_$;

create or replace function private.points_found(p_patterns text[], p_text text, p_limit integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $_$
declare
    v_found uuid[];
begin
    -- As in customers_found each pattern is a condition of its own, so that all of them enter the index.
    execute 'select array(select s.id from public.service_points s where s.code = $1 or '
        || coalesce((select string_agg(format('private.point_search_text(s.code, s.address) like %L', x), ' and ')
                     from unnest(p_patterns) x), 'false')
        || ' limit $2)'
    into v_found using p_text, p_limit;
    if cardinality(v_found) < p_limit then
        v_found := array(
            select distinct x.id from (
                select unnest(v_found) as id
                union all
                select i.service_point_id from public.meter_installations i
                where i.meter_id = any (private.meters_found(p_patterns, p_text, p_limit))) x
            limit p_limit);
    end if;
    return v_found;
end $_$;
