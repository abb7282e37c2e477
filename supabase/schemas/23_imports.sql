-- Imports: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.import_headings (
    id uuid NOT NULL,
    kind text NOT NULL,
    heading_key text NOT NULL,
    heading text NOT NULL,
    field text NOT NULL,
    CONSTRAINT import_headings_field_check CHECK ((length(field) <= 100)),
    CONSTRAINT import_headings_heading_check CHECK ((length(heading) <= 200)),
    CONSTRAINT import_headings_heading_key_check CHECK (((heading_key <> ''::text) AND (length(heading_key) <= 200))),
    CONSTRAINT import_headings_kind_check CHECK ((kind = ANY (ARRAY['customers'::text, 'intervals'::text, 'meters'::text, 'readings'::text, 'supplies'::text, 'transformers'::text, 'service_points'::text, 'agreements'::text, 'balances'::text, 'past_payments'::text, 'bank_statements'::text])))
);

COMMENT ON TABLE public.import_headings IS 'Which column of an import is meant by a heading of somebody''s own, as a person said.';

COMMENT ON COLUMN public.import_headings.heading_key IS 'The heading''s letters and digits: what it has in common with itself in another spelling.';

COMMENT ON COLUMN public.import_headings.field IS 'Our column; empty where the file''s is to be left out.';

ALTER TABLE ONLY public.import_headings
    ADD CONSTRAINT import_headings_kind_heading_key_key UNIQUE (kind, heading_key);

ALTER TABLE ONLY public.import_headings
    ADD CONSTRAINT import_headings_pkey PRIMARY KEY (id);

ALTER TABLE public.import_headings ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN,UPDATE ON TABLE public.import_headings TO service_role;

CREATE FUNCTION public.set_import_headings(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.set_import_headings(p jsonb) IS 'Remembers what headings mean: {actor, kind, headings: [{id, heading_key, heading, field}]}; an empty field leaves the column out.';

REVOKE ALL ON FUNCTION public.set_import_headings(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_import_headings(p jsonb) TO service_role;

CREATE FUNCTION public.import_headings(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('headings', coalesce(jsonb_agg(jsonb_build_object(
               'heading', h.heading, 'heading_key', h.heading_key, 'field', h.field) order by h.heading_key), '[]'))
    from public.import_headings h where h.kind = p ->> 'kind'
$$;

COMMENT ON FUNCTION public.import_headings(p jsonb) IS 'What was said of the headings of a kind of import: {kind} gives {headings: [{heading, heading_key, field}]}.';

REVOKE ALL ON FUNCTION public.import_headings(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_headings(p jsonb) TO service_role;

CREATE FUNCTION private.import_value(p_column text, p_value jsonb) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case when p_value is null or p_value = 'null' then ''
                when p_column = 'transformer_id' then
                    (select t.code from public.transformers t where t.id = (p_value #>> '{}')::uuid)
                when p_column = 'feeder_id' then
                    (select f.code from public.feeders f where f.id = (p_value #>> '{}')::uuid)
                when p_column = 'tariff_id' then
                    (select t.code from public.tariffs t where t.id = (p_value #>> '{}')::uuid)
                else p_value #>> '{}' end
$$;

COMMENT ON FUNCTION private.import_value(p_column text, p_value jsonb) IS 'A value of the audit trail as people know it.';

REVOKE ALL ON FUNCTION private.import_value(p_column text, p_value jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.import_value(p_column text, p_value jsonb) TO service_role;

CREATE FUNCTION public.preview_import(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $_$
declare
    v_last bigint;
    v_answer jsonb;
    v_differences jsonb;
begin
    if p ->> 'what' not in ('customers', 'intervals', 'meters', 'readings', 'supplies', 'tariffs', 'transformers',
                            'service_points', 'agreements', 'balances', 'past_payments', 'bank_statements') then
        perform private.refuse('EB400', 'There is no such import.');
    end if;
    select coalesce(max(id), 0) into v_last from public.audit_log;
    begin
        execute format('select public.%I($1)', 'import_' || (p ->> 'what'))
        into v_answer using p || '{"dry_run": false}';
        v_differences := private.import_differences(v_last, (p ->> 'most')::integer, p ->> 'what');
        raise exception using errcode = 'EB000', message = 'Undo what was written to be looked at.';
    exception when sqlstate 'EB000' then
        null;
    end;
    return v_answer || v_differences;
end $_$;

COMMENT ON FUNCTION public.preview_import(p jsonb) IS 'What an import of these rows would do, found by doing it and undoing it: {what, actor, rows, most} gives the import''s own answer, {new_names: [...]} and {differences: [{of, name, field, before, after}]}, at most so many. Nothing stays written.';

REVOKE ALL ON FUNCTION public.preview_import(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.preview_import(p jsonb) TO service_role;

CREATE FUNCTION private.import_differences(p_after bigint, p_most integer, p_what text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with written as (
        select a.id, a.action, a.table_name, a.before, a.after,
               case a.table_name
                   when 'customers' then (select c.account_no from public.customers c where c.id = a.row_id::uuid)
                   when 'meters' then (select m.serial from public.meters m where m.id = a.row_id::uuid)
                   when 'transformers' then (select t.code from public.transformers t where t.id = a.row_id::uuid)
                   when 'feeders' then (select f.code from public.feeders f where f.id = a.row_id::uuid)
                   when 'service_points' then case
                       when p_what = 'meters' then (
                           select min(m.serial) from public.meter_installations i join public.meters m on m.id = i.meter_id
                           where i.service_point_id = a.row_id::uuid and i.removed_at is null)
                       else (select s.code from public.service_points s where s.id = a.row_id::uuid) end
                   when 'service_agreements' then (
                       select format('%s, %s from %s', s.code, c.account_no, g.starts_on)
                       from public.service_agreements g
                       join public.service_points s on s.id = g.service_point_id
                       join public.customers c on c.id = g.customer_id where g.id = a.row_id::uuid)
                   when 'agreement_tariffs' then (
                       select format('%s, %s from %s', s.code, c.account_no, y.starts_on)
                       from public.agreement_tariffs y
                       join public.service_agreements g on g.id = y.agreement_id and g.created_at < now()
                       join public.service_points s on s.id = g.service_point_id
                       join public.customers c on c.id = g.customer_id where y.id = a.row_id::uuid)
                   end as name
        from public.audit_log a
        -- Others write too; what this transaction wrote has its time.
        where a.id > p_after and a.at = now()),
    fields as (
        select w.id, w.table_name, w.name, n.key, w.before -> n.key as before, n.value as after
        from written w, jsonb_each(w.after) n
        where w.name is not null and case w.action
            -- What a new place, account … holds is no difference; another tariff of a known agreement is.
            when 'update' then n.key <> 'closing_reading_id'
                 and not (w.table_name = 'service_points' and p_what = 'service_points' and exists (
                     select 1 from public.service_points s where s.code = w.name and s.created_at = now()))
            else w.table_name = 'agreement_tariffs' and n.key = 'tariff_id' end)
    select jsonb_build_object(
        'new_names', coalesce((select jsonb_agg(distinct w.name) from written w
                               where w.action = 'insert' and w.table_name in ('customers', 'meters', 'transformers', 'service_points')), '[]'),
        'differences', coalesce((
            select jsonb_agg(jsonb_build_object('of', f.table_name, 'name', f.name, 'field', f.key,
                                                'before', private.import_value(f.key, f.before),
                                                'after', private.import_value(f.key, f.after)) order by f.id, f.key)
            from (select * from fields order by id, key limit p_most) f), '[]'))
$$;

COMMENT ON FUNCTION private.import_differences(p_after bigint, p_most integer, p_what text) IS 'What this transaction wrote to the audit trail after an entry, for a kind of import: names added, and fields with their values before and after, at most so many.';

REVOKE ALL ON FUNCTION private.import_differences(p_after bigint, p_most integer, p_what text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.import_differences(p_after bigint, p_most integer, p_what text) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.import_headings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.import_headings REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();
