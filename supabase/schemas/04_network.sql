-- Network: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.feeders (
    id uuid NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT feeders_code_check CHECK (((code <> ''::text) AND (code = btrim(code)))),
    CONSTRAINT feeders_name_check CHECK ((btrim(name) <> ''::text))
);

COMMENT ON TABLE public.feeders IS 'The lines that leave a substation; transformers hang on them.';

ALTER TABLE ONLY public.feeders
    ADD CONSTRAINT feeders_code_key UNIQUE (code);

ALTER TABLE ONLY public.feeders
    ADD CONSTRAINT feeders_pkey PRIMARY KEY (id);

ALTER TABLE public.feeders ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.feeders TO service_role;

CREATE TABLE public.transformers (
    id uuid NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    feeder_id uuid NOT NULL,
    rated_kva integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT transformers_code_check CHECK (((code <> ''::text) AND (code = btrim(code)))),
    CONSTRAINT transformers_name_check CHECK ((btrim(name) <> ''::text)),
    CONSTRAINT transformers_rated_kva_check CHECK ((rated_kva > 0))
);

COMMENT ON COLUMN public.transformers.rated_kva IS 'Rated power in whole kVA; null when it is not known.';

ALTER TABLE ONLY public.transformers
    ADD CONSTRAINT transformers_code_key UNIQUE (code);

ALTER TABLE ONLY public.transformers
    ADD CONSTRAINT transformers_pkey PRIMARY KEY (id);

CREATE INDEX transformers_feeder ON public.transformers USING btree (feeder_id);

CREATE INDEX transformers_like ON public.transformers USING btree (private.identifier_key(code));

ALTER TABLE public.transformers ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.transformers TO service_role;

CREATE TABLE public.supplies (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    transformer_id uuid NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL,
    energy_wh bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT supplies_check CHECK ((period_end > period_start)),
    CONSTRAINT supplies_energy_wh_check CHECK ((energy_wh >= 0))
);

COMMENT ON TABLE public.supplies IS 'Energy that went into a transformer, by the meter at its head, over local days; the periods of one transformer never overlap. A value is changed only by an import that says "correction", and the audit trail keeps what it was.';

COMMENT ON COLUMN public.supplies.period_end IS 'Exclusive: the first local day that no longer belongs to the period.';

ALTER TABLE ONLY public.supplies
    ADD CONSTRAINT supplies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.supplies
    ADD CONSTRAINT supplies_transformer_id_period_start_key UNIQUE (transformer_id, period_start) DEFERRABLE;

ALTER TABLE public.supplies ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.supplies TO service_role;

ALTER TABLE ONLY public.transformers
    ADD CONSTRAINT transformers_feeder_id_fkey FOREIGN KEY (feeder_id) REFERENCES public.feeders(id);

ALTER TABLE ONLY public.supplies
    ADD CONSTRAINT supplies_transformer_id_fkey FOREIGN KEY (transformer_id) REFERENCES public.transformers(id);

CREATE FUNCTION public.import_transformers(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
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

COMMENT ON FUNCTION public.import_transformers(p jsonb) IS 'Adds transformers with their feeders, or updates known codes: {actor, dry_run, rows: [{row, id, code, name, feeder_id, feeder_code, feeder_name?, rated_kva?}]}. What a row does not say stays as it is.';

REVOKE ALL ON FUNCTION public.import_transformers(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_transformers(p jsonb) TO service_role;

CREATE FUNCTION private.check_supplies() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_nestloop TO 'off'
    AS $$
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

REVOKE ALL ON FUNCTION private.check_supplies() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_supplies() TO service_role;

CREATE FUNCTION public.import_supplies(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.import_supplies(p jsonb) IS 'Adds what went into transformers, or corrects a stored period where a row says so: {actor, dry_run, rows: [{row, transformer_code, period_start, period_end, energy_wh, correction?}]}. Rows that repeat what is stored change nothing.';

REVOKE ALL ON FUNCTION public.import_supplies(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_supplies(p jsonb) TO service_role;

CREATE FUNCTION private.supply_problems(p_rows jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
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

REVOKE ALL ON FUNCTION private.supply_problems(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.supply_problems(p_rows jsonb) TO service_role;

CREATE FUNCTION private.match_supplies(p_rows jsonb) RETURNS TABLE("row" integer, transformer_code text, transformer_id uuid, period_start date, period_end date, energy_wh bigint, correction boolean, stored_id uuid, stored_wh bigint, same_period boolean)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.match_supplies(p_rows jsonb) IS 'The rows of a file, each with the stored supply that it repeats or would correct: of those that it overlaps the one with the same start, else the same end, else the first.';

REVOKE ALL ON FUNCTION private.match_supplies(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.match_supplies(p_rows jsonb) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.feeders REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.feeders REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_insert AFTER INSERT ON public.transformers REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.transformers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_insert AFTER INSERT ON public.supplies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.supplies REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.supplies FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.supplies FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER supplies_apart_insert AFTER INSERT ON public.supplies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_supplies();

CREATE TRIGGER supplies_apart_update AFTER UPDATE ON public.supplies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_supplies();
