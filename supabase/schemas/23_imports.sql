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

CREATE VIEW private.export_customers WITH (security_invoker='true') AS
 SELECT c.id,
    c.account_no,
    c.name,
    c.email,
    c.phone,
    c.address,
    c.currency,
    c.language,
    h.whatsapp_opt_in_at,
    c.tax_number
   FROM (public.customers c
     LEFT JOIN public.customer_channels h ON ((h.customer_id = c.id)));

GRANT SELECT ON TABLE private.export_customers TO service_role;

CREATE VIEW private.export_transformers WITH (security_invoker='true') AS
 SELECT t.id,
    t.code,
    t.name,
    f.code AS feeder_code,
    f.name AS feeder_name,
    t.rated_kva
   FROM (public.transformers t
     JOIN public.feeders f ON ((f.id = t.feeder_id)));

GRANT SELECT ON TABLE private.export_transformers TO service_role;

CREATE VIEW private.export_service_points WITH (security_invoker='true') AS
 SELECT s.id,
    s.code,
    s.address,
    t.code AS transformer_code,
    s.route,
    s.sequence,
    s.phases,
    s.connected_w,
    s.connected_va,
    s.access_note,
    ( SELECT max(m.moved_on) AS max
           FROM public.transformer_moves m
          WHERE (m.service_point_id = s.id)) AS transformer_since
   FROM (public.service_points s
     LEFT JOIN public.transformers t ON ((t.id = s.transformer_id)));

GRANT SELECT ON TABLE private.export_service_points TO service_role;

CREATE VIEW private.export_meters WITH (security_invoker='true') AS
 SELECT m.id,
    m.serial,
    m.kind,
    m.dials,
    m.registers,
    i.multiplier_milli,
    r.id AS opening_id,
    r.read_at,
    r.read_on,
    r.register_wh,
    r.registers AS opening_registers,
    s.id AS service_point_id,
    s.code AS service_point,
    c.account_no,
    t.code AS tariff_code,
    private.quality_of_reading(r.source, r.status, r.is_opening, r.supersedes_id, r.decided_at, r.validation) AS opening_quality,
    r.source AS opening_source
   FROM ((((((((public.meters m
     JOIN public.meter_installations i ON (((i.meter_id = m.id) AND (i.removed_at IS NULL))))
     JOIN public.service_points s ON ((s.id = i.service_point_id)))
     LEFT JOIN LATERAL ( SELECT b_1.closing_reading_id
           FROM ((public.service_agreements a_1
             JOIN public.bills b_1 ON (((b_1.agreement_id = a_1.id) AND (b_1.status = 'issued'::text) AND (b_1.meter_id = m.id))))
             JOIN public.readings x ON (((x.id = b_1.closing_reading_id) AND (x.read_at >= i.installed_at))))
          WHERE (a_1.service_point_id = s.id)
          ORDER BY x.read_at DESC
         LIMIT 1) b ON (true))
     JOIN public.readings r ON ((r.id = COALESCE(b.closing_reading_id, i.opening_reading_id))))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.starts_on <= r.read_on) AND (COALESCE(a.ends_on, 'infinity'::date) > r.read_on))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN LATERAL ( SELECT y_1.tariff_id
           FROM public.agreement_tariffs y_1
          WHERE (y_1.agreement_id = a.id)
          ORDER BY (y_1.starts_on <= r.read_on) DESC,
                CASE
                    WHEN (y_1.starts_on <= r.read_on) THEN y_1.starts_on
                    ELSE NULL::date
                END DESC, y_1.starts_on
         LIMIT 1) y ON (true))
     LEFT JOIN public.tariffs t ON ((t.id = y.tariff_id)));

COMMENT ON VIEW private.export_meters IS 'Meters that are installed, with the read from which billing goes on and who is supplied there that day: nobody where the place is vacant.';

GRANT SELECT ON TABLE private.export_meters TO service_role;

CREATE VIEW private.export_reads WITH (security_invoker='true') AS
 SELECT id,
    serial,
    COALESCE(( SELECT jsonb_agg(jsonb_build_object('read_at', x.read_at, 'register_wh', x.register_wh, 'registers', x.registers, 'source', x.source, 'quality',
                CASE x.status
                    WHEN 'accepted'::text THEN to_jsonb(private.quality_of_reading(x.source, x.status, x.is_opening, x.supersedes_id, x.decided_at, x.validation))
                    ELSE (x.validation -> 'quality'::text)
                END) ORDER BY x.read_at) AS jsonb_agg
           FROM public.readings x
          WHERE ((x.meter_id = m.id) AND (x.read_at > m.read_at) AND (x.read_on > m.read_on) AND (x.status = ANY (ARRAY['accepted'::text, 'needs_review'::text])))), '[]'::jsonb) AS reads
   FROM private.export_meters m;

GRANT SELECT ON TABLE private.export_reads TO service_role;

CREATE VIEW private.export_agreements WITH (security_invoker='true') AS
 SELECT y.id,
    m.service_point,
    c.account_no,
    t.code AS tariff_code,
    GREATEST(a.starts_on, m.read_on) AS starts_on,
    a.ends_on,
    a.billing_day,
    NULLIF(GREATEST(
        CASE
            WHEN f.first THEN a.starts_on
            ELSE y.starts_on
        END, m.read_on), GREATEST(a.starts_on, m.read_on)) AS tariff_from,
    ( SELECT jsonb_object_agg(e.period, e.wh) AS jsonb_object_agg
           FROM ( SELECT k.period,
                    sum(k.wh) AS wh
                   FROM public.kwh_bank_entries k
                  WHERE ((k.agreement_id = a.id) AND ((k.bill_id IS NULL) OR (NOT (EXISTS ( SELECT 1
                           FROM public.bills d
                          WHERE ((d.id = k.bill_id) AND (d.status = 'draft'::text)))))))
                  GROUP BY k.period
                 HAVING (sum(k.wh) <> (0)::numeric)) e) AS banked
   FROM ((((((public.agreement_tariffs y
     JOIN public.service_agreements a ON ((a.id = y.agreement_id)))
     JOIN public.meter_installations i ON (((i.service_point_id = a.service_point_id) AND (i.removed_at IS NULL))))
     JOIN private.export_meters m ON ((m.id = i.meter_id)))
     JOIN public.customers c ON ((c.id = a.customer_id)))
     JOIN public.tariffs t ON ((t.id = y.tariff_id)))
     CROSS JOIN LATERAL ( SELECT (NOT (EXISTS ( SELECT 1
                   FROM public.agreement_tariffs e
                  WHERE ((e.agreement_id = y.agreement_id) AND (e.starts_on < y.starts_on))))) AS first,
            ( SELECT min(e.starts_on) AS min
                   FROM public.agreement_tariffs e
                  WHERE ((e.agreement_id = y.agreement_id) AND (e.starts_on > y.starts_on))) AS next_on) f)
  WHERE ((COALESCE(a.ends_on, 'infinity'::date) > m.read_on) AND (COALESCE(f.next_on, 'infinity'::date) > GREATEST(a.starts_on, m.read_on)));

COMMENT ON VIEW private.export_agreements IS 'Who is supplied where from the day on which billing goes on, a row for each tariff.';

GRANT SELECT ON TABLE private.export_agreements TO service_role;

CREATE VIEW private.export_balances WITH (security_invoker='true') AS
 SELECT o.entry_id AS id,
    c.account_no,
    o.book,
    o.currency,
    o.open_minor,
    COALESCE(b.due_date, o.order_on) AS as_of,
        CASE
            WHEN (e.kind = 'bill'::text) THEN private.invoice_reference(b.number)
            ELSE ((((e.kind || ' '::text) || e.book) || ' '::text) || e.entry_no)
        END AS reference
   FROM (((public.open_items o
     JOIN public.ledger_entries e ON ((e.id = o.entry_id)))
     JOIN public.customers c ON ((c.id = o.customer_id)))
     LEFT JOIN public.bills b ON ((b.id = e.bill_id)))
  WHERE (o.open_minor <> 0);

GRANT SELECT ON TABLE private.export_balances TO service_role;

CREATE VIEW private.export_payments WITH (security_invoker='true') AS
 SELECT y.id,
    c.account_no,
    y.currency,
    y.method,
    y.reference,
    y.received_on,
    (y.amount_minor - (COALESCE(( SELECT sum(r.amount_minor) AS sum
           FROM public.payment_returns r
          WHERE ((r.payment_id = y.id) AND (r.status = 'done'::text))), (0)::numeric))::bigint) AS amount_minor
   FROM (public.payments y
     JOIN public.customers c ON ((c.id = y.customer_id)))
  WHERE ((y.amount_minor)::numeric > COALESCE(( SELECT sum(r.amount_minor) AS sum
           FROM public.payment_returns r
          WHERE ((r.payment_id = y.id) AND (r.status = 'done'::text))), (0)::numeric));

GRANT SELECT ON TABLE private.export_payments TO service_role;

CREATE VIEW private.export_past_payments WITH (security_invoker='true') AS
 SELECT y.id,
    c.account_no,
    y.currency,
    y.method,
    y.reference,
    y.received_on,
    y.amount_minor
   FROM (public.past_payments y
     JOIN public.customers c ON ((c.id = y.customer_id)));

GRANT SELECT ON TABLE private.export_past_payments TO service_role;

CREATE VIEW private.export_intervals WITH (security_invoker='true') AS
 SELECT i.id,
    m.serial,
    i.day,
    i.minutes,
    i.wh,
    private.each_quality(i.quality, cardinality(i.wh)) AS quality
   FROM (public.intervals i
     JOIN public.meters m ON ((m.id = i.meter_id)))
  WHERE ((array_position(i.wh, NULL::integer) IS NULL) AND (NOT (EXISTS ( SELECT 1
           FROM public.intervals n
          WHERE ((n.meter_id = i.meter_id) AND (n.day = i.day) AND (n.id > i.id) AND (array_position(n.wh, NULL::integer) IS NULL))))));

GRANT SELECT ON TABLE private.export_intervals TO service_role;

CREATE VIEW private.export_supplies WITH (security_invoker='true') AS
 SELECT s.id,
    t.code AS transformer_code,
    s.period_start,
    s.period_end,
    s.energy_wh
   FROM (public.supplies s
     JOIN public.transformers t ON ((t.id = s.transformer_id)));

GRANT SELECT ON TABLE private.export_supplies TO service_role;

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

CREATE FUNCTION public.export_plan(p jsonb) RETURNS jsonb
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

COMMENT ON FUNCTION public.export_plan(p jsonb) IS 'What a full export consists of: {} gives {registers: the names of all further registers, tables: [{name, columns}]}.';

REVOKE ALL ON FUNCTION public.export_plan(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.export_plan(p jsonb) TO service_role;

CREATE FUNCTION public.export_rows(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    AS $$
declare
    v_what constant text := p ->> 'what';
    v_relation text;
    v_keys text[] := array['id'];
    v_beyond text := 'true';
    v_rows jsonb;
begin
    if p ->> 'from' = 'archive' and v_what = any (private.archived_tables()) then
        v_relation := format('public.%I', v_what);
        select array_agg(a.attname order by k.place) into v_keys
        from pg_catalog.pg_index x
        cross join lateral unnest(x.indkey::smallint[]) with ordinality k(attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
        where x.indrelid = v_relation::regclass and x.indisprimary;
    elsif p ->> 'from' = 'import' and to_regclass(format('private.%I', 'export_' || v_what)) is not null then
        v_relation := format('private.%I', 'export_' || v_what);
    else
        perform private.refuse('EB400', 'There is no such export.');
    end if;
    if jsonb_typeof(p -> 'after') = 'array' then
        v_beyond := format('(%s) > (%s)',
            (select string_agg(format('s.%I', k), ', ' order by n) from unnest(v_keys) with ordinality as u(k, n)),
            (select string_agg(format('%L', e), ', ' order by n) from jsonb_array_elements_text(p -> 'after') with ordinality as u(e, n)));
    end if;
    execute format(
        'select coalesce(jsonb_agg(to_jsonb(g)), ''[]'') from (select s.* from %s s where %s order by %s limit %s) g',
        v_relation, v_beyond, (select string_agg(format('s.%I', k), ', ' order by n) from unnest(v_keys) with ordinality as u(k, n)),
        (p ->> 'limit')::integer)
    into v_rows;
    return jsonb_build_object('rows', v_rows, 'after', (
        select jsonb_agg(v_rows -> -1 -> k order by n) from unnest(v_keys) with ordinality as u(k, n)));
end $$;

COMMENT ON FUNCTION public.export_rows(p jsonb) IS 'A page of a full export, in order of its key: {from: import|archive, what, after?, limit} gives {rows, after: the key of the last}.';

REVOKE ALL ON FUNCTION public.export_rows(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.export_rows(p jsonb) TO service_role;

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
        || case when p_what = 'intervals' then jsonb_build_object('differences', private.interval_differences(p_most)) else '{}' end
$$;

COMMENT ON FUNCTION private.import_differences(p_after bigint, p_most integer, p_what text) IS 'What this transaction wrote to the audit trail after an entry, for a kind of import: names added, and fields with their values before and after, at most so many.';

REVOKE ALL ON FUNCTION private.import_differences(p_after bigint, p_most integer, p_what text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.import_differences(p_after bigint, p_most integer, p_what text) TO service_role;

CREATE FUNCTION private.archived_tables() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    -- Not here: sign-ins, keys, passwords and addresses that are secrets, work owed to the outside, and documents, which are files.
    select array['customers', 'customer_notes', 'tariffs', 'tariff_versions', 'feeders', 'transformers', 'supplies',
                 'service_points', 'transformer_moves', 'meters', 'meter_installations', 'service_agreements', 'agreement_tariffs', 'billing_cycles',
                 'reading_routes', 'supply_changes', 'disconnections', 'readings', 'reading_requests', 'missed_reads', 'intervals', 'bills', 'kwh_bank_entries', 'notifications', 'accounts', 'ledger_entries',
                 'open_items', 'allocations', 'payments', 'payment_returns', 'payment_flags', 'past_payments', 'bank_lines',
                 'instalment_plans', 'plan_bills', 'instalments', 'spared_bills', 'customer_requests', 'stopped_numbers', 'letter_batches', 'letters', 'dunning_holds', 'dunning_policies', 'dunning_actions', 'autopay_policies', 'autopay_mandates', 'autopay_charges', 'autopay_charge_bills', 'autopay_attempts', 'work_orders', 'corrections', 'corrected_bills', 'credit_notes', 'month_closings', 'suspense_entries', 'cash_closings', 'cash_closing_items',
                 'utility_settings', 'users', 'audit_log']
$$;

COMMENT ON FUNCTION private.archived_tables() IS 'The tables of which a full export holds every row.';

REVOKE ALL ON FUNCTION private.archived_tables() FROM PUBLIC;
GRANT ALL ON FUNCTION private.archived_tables() TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.import_headings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.import_headings REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();
