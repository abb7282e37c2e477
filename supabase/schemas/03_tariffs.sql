-- Tariffs: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.tariffs (
    id uuid NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    currency text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tariffs_code_check CHECK (((code <> ''::text) AND (code = btrim(code)))),
    CONSTRAINT tariffs_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text))
);

ALTER TABLE ONLY public.tariffs
    ADD CONSTRAINT tariffs_code_key UNIQUE (code);

ALTER TABLE ONLY public.tariffs
    ADD CONSTRAINT tariffs_pkey PRIMARY KEY (id);

ALTER TABLE public.tariffs ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.tariffs TO service_role;

CREATE TABLE public.tariff_versions (
    id uuid NOT NULL,
    tariff_id uuid NOT NULL,
    effective_from date NOT NULL,
    definition jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    replaces_id uuid,
    correction_reason text DEFAULT ''::text NOT NULL,
    CONSTRAINT tariff_versions_check CHECK (((replaces_id IS NULL) = (correction_reason = ''::text))),
    CONSTRAINT tariff_versions_definition_check CHECK ((jsonb_typeof(definition) = 'object'::text))
);

COMMENT ON TABLE public.tariff_versions IS 'A tariff as it stands from a local date on, until the next version. A version never changes.';

COMMENT ON COLUMN public.tariff_versions.definition IS 'The project''s tariff format (services/domain/tariff.py); rates are decimal strings.';

COMMENT ON COLUMN public.tariff_versions.replaces_id IS 'The version that this one corrects, on the same date: it is no longer billed with. Each is replaced once at most, so one a date holds.';

ALTER TABLE ONLY public.tariff_versions
    ADD CONSTRAINT tariff_versions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tariff_versions
    ADD CONSTRAINT tariff_versions_replaces_id_key UNIQUE (replaces_id);

CREATE UNIQUE INDEX tariff_versions_one_a_date ON public.tariff_versions USING btree (tariff_id, effective_from) WHERE (replaces_id IS NULL);

ALTER TABLE public.tariff_versions ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.tariff_versions TO service_role;

ALTER TABLE ONLY public.tariff_versions
    ADD CONSTRAINT tariff_versions_replaces_id_fkey FOREIGN KEY (replaces_id) REFERENCES public.tariff_versions(id);

ALTER TABLE ONLY public.tariff_versions
    ADD CONSTRAINT tariff_versions_tariff_id_fkey FOREIGN KEY (tariff_id) REFERENCES public.tariffs(id);

CREATE VIEW public.tariff_version_list WITH (security_invoker='true') AS
 SELECT v.id,
    v.tariff_id,
    t.code,
    t.name,
    t.currency,
    v.effective_from,
    v.definition,
    v.created_at
   FROM (public.tariff_versions v
     JOIN public.tariffs t ON ((t.id = v.tariff_id)))
  WHERE (NOT (EXISTS ( SELECT 1
           FROM public.tariff_versions n
          WHERE (n.replaces_id = v.id))));

COMMENT ON VIEW public.tariff_version_list IS 'The versions that bills are made with: a corrected one is not among them.';

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.tariff_version_list TO service_role;

CREATE VIEW public.published_version_list WITH (security_invoker='true') AS
 SELECT v.id,
    v.tariff_id,
    t.code,
    t.name,
    t.currency,
    v.effective_from,
    v.definition,
    v.created_at AS published_at,
    ( SELECT a.actor
           FROM public.audit_log a
          WHERE ((a.table_name = 'tariff_versions'::text) AND (a.row_id = (v.id)::text) AND (a.action = 'insert'::text))
         LIMIT 1) AS published_by,
    v.replaces_id,
    v.correction_reason
   FROM (public.tariff_versions v
     JOIN public.tariffs t ON ((t.id = v.tariff_id)))
  WHERE (NOT (EXISTS ( SELECT 1
           FROM public.tariff_versions n
          WHERE (n.replaces_id = v.id))));

COMMENT ON VIEW public.published_version_list IS 'The versions of tariffs, with who published each and when.';

GRANT SELECT,INSERT,REFERENCES,DELETE,TRUNCATE,MAINTAIN,UPDATE ON TABLE public.published_version_list TO service_role;

CREATE FUNCTION private.refuse_tariff_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception using errcode = 'EB005',
        message = 'A tariff version never changes: publish a new one with a later date.';
end $$;

REVOKE ALL ON FUNCTION private.refuse_tariff_change() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_tariff_change() TO service_role;

CREATE FUNCTION private.lock_tariffs(p_codes text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- By name, for there may be no row yet; in one order, so that two never wait for each other.
    perform pg_advisory_xact_lock(k.key)
    from (select distinct hashtextextended('tariff ' || c.code, 0) as key from unnest(p_codes) c(code) order by 1) k;
    -- Waits for bills that are just being stored with these versions, and lets later ones wait.
    perform 1 from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id
    where t.code = any (p_codes) order by v.id for update of v;
end $$;

COMMENT ON FUNCTION private.lock_tariffs(p_codes text[]) IS 'One publication of a tariff at a time, and none beside a bill of it.';

REVOKE ALL ON FUNCTION private.lock_tariffs(p_codes text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.lock_tariffs(p_codes text[]) TO service_role;

CREATE FUNCTION public.publish_tariff(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_from date := (p ->> 'effective_from')::date;
    v_refused text;
begin
    perform private.set_actor(p);
    perform private.lock_tariffs(array[p ->> 'code']);
    select message into v_refused
    from private.refusal_of_version(p ->> 'code', p ->> 'currency', v_from, p -> 'definition');
    if v_refused is not null then
        raise exception using errcode = 'EB005', message = v_refused;
    end if;
    insert into public.tariffs (id, code, name, currency)
    values ((p ->> 'tariff_id')::uuid, p ->> 'code', p ->> 'name', p ->> 'currency')
    on conflict do nothing;
    insert into public.tariff_versions (id, tariff_id, effective_from, definition)
    select (p ->> 'id')::uuid, t.id, v_from, p -> 'definition'
    from public.tariffs t where t.code = p ->> 'code'
    on conflict do nothing;
    return jsonb_build_object('added', found);
end $$;

COMMENT ON FUNCTION public.publish_tariff(p jsonb) IS 'Adds a version of a tariff, or the tariff with its first: {actor, id, tariff_id, code, name, currency, effective_from, definition}. The same version again changes nothing.';

REVOKE ALL ON FUNCTION public.publish_tariff(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.publish_tariff(p jsonb) TO service_role;

CREATE FUNCTION public.import_tariffs(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
begin
    perform private.set_actor(p);
    perform private.lock_tariffs(array(
        select distinct x.code from jsonb_to_recordset(p -> 'rows') as x(code text)));
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', r.field, 'message', r.message))
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, code text, currency text, effective_from date, definition jsonb)
    cross join lateral private.refusal_of_version(x.code, x.currency, x.effective_from, x.definition) r;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.tariffs (id, code, name, currency)
        select distinct on (x.code) x.tariff_id, x.code, x.name, x.currency
        from jsonb_to_recordset(p -> 'rows') as x(tariff_id uuid, code text, name text, currency text)
        order by x.code
        on conflict do nothing;
        insert into public.tariff_versions (id, tariff_id, effective_from, definition)
        select x.id, t.id, x.effective_from, x.definition
        from jsonb_to_recordset(p -> 'rows') as x(id uuid, code text, effective_from date, definition jsonb)
        join public.tariffs t on t.code = x.code
        on conflict do nothing;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;

COMMENT ON FUNCTION public.import_tariffs(p jsonb) IS 'Adds tariff versions: {actor, dry_run, rows: [{row, id, tariff_id, code, name, currency, effective_from, definition}]}.';

REVOKE ALL ON FUNCTION public.import_tariffs(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_tariffs(p jsonb) TO service_role;

CREATE FUNCTION private.versions_in_force(p_tariff_id uuid) RETURNS SETOF public.tariff_versions
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select v.* from public.tariff_versions v
    where v.tariff_id = p_tariff_id and not exists (select 1 from public.tariff_versions n where n.replaces_id = v.id)
$$;

COMMENT ON FUNCTION private.versions_in_force(p_tariff_id uuid) IS 'The versions of a tariff without those that were corrected.';

REVOKE ALL ON FUNCTION private.versions_in_force(p_tariff_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.versions_in_force(p_tariff_id uuid) TO service_role;

CREATE FUNCTION private.refusal_of_version(p_code text, p_currency text, p_from date, p_definition jsonb) RETURNS TABLE(field text, message text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case when t.currency <> p_currency then 'currency' else 'effective_from' end,
           case
           when t.currency <> p_currency then format(
               'Tariff %s is in %s; its currency cannot change.', p_code, t.currency)
           when v.id is not null then format(
               'Tariff %s already has another version from %s; a version never changes: give the new one a later date.',
               p_code, p_from)
           when b.period_end > p_from then format(
               'Tariff %s is billed up to %s (meter %s): a new version must begin on that day or later.',
               p_code, to_char(b.period_end, 'FMDD Mon YYYY'), m.serial)
           else format(
               'A bill up to %s left kWh in the bank (meter %s), which the last bill under net metering settles: a version without net metering must begin a day later.',
               to_char(p_from, 'FMDD Mon YYYY'), k.serial)
           end
    from public.tariffs t
    left join private.versions_in_force(t.id) v on v.effective_from = p_from
    left join public.bills b on b.id = private.last_bill_with(t.id)
    left join public.meters m on m.id = b.meter_id
    left join public.meters k on k.id = private.version_leaves_kwh_bank(t.id, p_from, p_definition) and v.id is null
    where t.code = p_code
      and (t.currency <> p_currency
           or v.definition <> p_definition
           or (v.id is null and b.period_end > p_from)
           or k.id is not null)
$$;

COMMENT ON FUNCTION private.refusal_of_version(p_code text, p_currency text, p_from date, p_definition jsonb) IS 'Why a version of a tariff may not be added: no row where it may. The version that is there already is no reason.';

REVOKE ALL ON FUNCTION private.refusal_of_version(p_code text, p_currency text, p_from date, p_definition jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.refusal_of_version(p_code text, p_currency text, p_from date, p_definition jsonb) TO service_role;

CREATE FUNCTION private.refuse_replaced_version() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Who corrects a version waits for the bills that are being stored with it, and they for who does.
    perform 1 from public.tariff_versions v
    where v.id = any (array(select distinct b.tariff_version_id from new_rows b)) order by v.id for key share;
    if exists (
        with agreed as materialized (
            select b.agreement_id, b.period_start, b.period_end, b.priced_by, t.tariff_id, t.number
            from new_rows b
            cross join lateral (select count(*) as number, (array_agg(y.tariff_id))[1] as tariff_id
                                from public.agreement_tariffs y where y.agreement_id = b.agreement_id) t)
        -- Most bills of a batch are of the same days and tariff, which is their agreement's only one.
        select 1 from (select distinct a.tariff_id, a.period_start, a.period_end, a.priced_by from agreed a where a.number = 1) b
        where b.priced_by is distinct from array(
            select v.id
            from (select w.id, w.effective_from,
                         coalesce(lead(w.effective_from) over (order by w.effective_from), 'infinity') as until
                  from public.tariff_versions w
                  where w.tariff_id = b.tariff_id
                    and not exists (select 1 from public.tariff_versions n where n.replaces_id = w.id)) v
            where greatest(v.effective_from, b.period_start) < least(v.until, b.period_end)
            order by v.effective_from)
        union all
        select 1 from agreed b
        where b.number <> 1 and b.priced_by is distinct from array(
            select v.id
            from private.tariff_spans s
            join (select w.id, w.tariff_id, w.effective_from,
                         coalesce(lead(w.effective_from) over (partition by w.tariff_id order by w.effective_from), 'infinity') as until
                  from public.tariff_versions w
                  where w.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = b.agreement_id)
                    and not exists (select 1 from public.tariff_versions n where n.replaces_id = w.id)) v
                on v.tariff_id = s.tariff_id
            where s.agreement_id = b.agreement_id
              and greatest(v.effective_from, s.starts_on, b.period_start) < least(v.until, s.ends_on, b.period_end)
            order by greatest(v.effective_from, s.starts_on))
    ) then
        raise exception using errcode = 'EB001',
            message = 'A new version of the tariff came between: the price must be computed again.';
    end if;
    if exists (select 1 from new_rows b where b.tariff_version_id <> all (b.priced_by)) then
        raise exception using errcode = '23503', message = 'The tariff version of a bill must be one that it was priced by.';
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.refuse_replaced_version() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_replaced_version() TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.tariffs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.tariffs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_insert AFTER INSERT ON public.tariff_versions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.tariff_versions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.tariff_versions FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.tariff_versions FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER tariff_versions_fixed BEFORE UPDATE ON public.tariff_versions FOR EACH ROW EXECUTE FUNCTION private.refuse_tariff_change();
