-- Utility settings: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.utility_settings (
    version integer NOT NULL,
    id uuid NOT NULL,
    settings jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT utility_settings_settings_check CHECK ((jsonb_typeof(settings) = 'object'::text)),
    CONSTRAINT utility_settings_version_check CHECK ((version > 0))
);

COMMENT ON TABLE public.utility_settings IS 'The utility''s settings, each version whole: the last one holds. What an environment variable sets is not looked up here.';

COMMENT ON COLUMN public.utility_settings.id IS 'The change''s, made by its caller.';

COMMENT ON COLUMN public.utility_settings.settings IS 'By name, as the program checks them; one that is missing or null has its default.';

ALTER TABLE ONLY public.utility_settings
    ADD CONSTRAINT utility_settings_id_key UNIQUE (id);

ALTER TABLE ONLY public.utility_settings
    ADD CONSTRAINT utility_settings_pkey PRIMARY KEY (version);

ALTER TABLE public.utility_settings ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.utility_settings TO service_role;

CREATE TABLE public.utility_logos (
    sha256 text NOT NULL,
    image bytea NOT NULL,
    CONSTRAINT utility_logos_check CHECK ((encode(sha256(image), 'hex'::text) = sha256)),
    CONSTRAINT utility_logos_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON TABLE public.utility_logos IS 'Every logo that the settings ever named, as PNG.';

ALTER TABLE ONLY public.utility_logos
    ADD CONSTRAINT utility_logos_pkey PRIMARY KEY (sha256);

ALTER TABLE public.utility_logos ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.utility_logos TO service_role;

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_settings_version_fkey FOREIGN KEY (settings_version) REFERENCES public.utility_settings(version);

CREATE VIEW public.utility_settings_changes WITH (security_invoker='true') AS
 SELECT id,
    at,
    actor,
    before,
    after
   FROM public.audit_log a
  WHERE (table_name = 'utility_settings'::text);

COMMENT ON VIEW public.utility_settings_changes IS 'Who changed which settings when, from what to what.';

GRANT SELECT ON TABLE public.utility_settings_changes TO service_role;

CREATE FUNCTION private.audit_utility_settings() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_before jsonb;
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    select coalesce((select s.settings from public.utility_settings s where s.version = new.version - 1), '{}')
    into v_before;
    insert into public.audit_log (actor, action, table_name, row_id, before, after)
    values (v_actor, 'update', tg_table_name, new.version::text,
            private.changed_columns(new.settings, v_before), private.changed_columns(v_before, new.settings));
    return null;
end $$;

COMMENT ON FUNCTION private.audit_utility_settings() IS 'A version is audited as the change that it makes: only the settings that it changes, before and after.';

REVOKE ALL ON FUNCTION private.audit_utility_settings() FROM PUBLIC;

CREATE FUNCTION public.utility_settings_at(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select (select to_jsonb(s) from public.utility_settings s
            where s.changed_at <= coalesce(
                (select l.created_at from public.ledger_entries l
                 where l.bill_id = (p ->> 'bill_id')::uuid and l.kind = 'bill'), 'infinity')
            order by s.version desc limit 1)
$$;

COMMENT ON FUNCTION public.utility_settings_at(p jsonb) IS 'The settings that held when a bill was issued, without one those that hold now; null before the first: {bill_id?} -> {version, id, settings, changed_at}.';

REVOKE ALL ON FUNCTION public.utility_settings_at(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.utility_settings_at(p jsonb) TO service_role;

CREATE FUNCTION public.first_steps(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'tariffs', exists (select 1 from public.tariffs),
        'customers', exists (select 1 from public.customers),
        'meters', exists (select 1 from public.meters),
        -- Whoever has bills has read meters: no look through all opening reads for that.
        'readings', exists (select 1 from public.bills) or exists (select 1 from public.readings where not is_opening),
        'bills', exists (select 1 from public.bills where number is not null))
$$;

COMMENT ON FUNCTION public.first_steps(p jsonb) IS 'What of a new utility is there already: {} -> {tariffs, customers, meters, readings: beside those that meters open with, bills: with a number}.';

REVOKE ALL ON FUNCTION public.first_steps(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.first_steps(p jsonb) TO service_role;

CREATE FUNCTION public.save_utility_settings(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_last public.utility_settings;
    v_wanted constant jsonb := p -> 'settings';
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtext('utility_settings'));
    select * into v_last from public.utility_settings where id = (p ->> 'id')::uuid;
    if found then
        if not v_last.settings @> v_wanted then
            perform private.refuse('EB005', 'This form was stored already, with other values. Look at them as they are now.');
        end if;
        return to_jsonb(v_last);
    end if;
    select * into v_last from public.utility_settings order by version desc limit 1;
    if exists (select 1 from jsonb_each(v_wanted) w
               where v_last.settings -> w.key is distinct from p #> array['seen', w.key]
                 and v_last.settings -> w.key is distinct from w.value) then
        perform private.refuse('EB005', 'Somebody else changed these settings meanwhile. Look at them as they are now.');
    end if;
    if v_wanted ? 'first_bill_number' then
        -- Whoever issues a bill waits here, or was here before.
        perform 1 from public.counters where name = 'bill' for update;
        if exists (select 1 from public.bills where number is not null) then
            perform private.refuse('EB005', 'Bills have numbers already, so the first number stays as it is.');
        end if;
        update public.counters set last_number = coalesce((v_wanted ->> 'first_bill_number')::bigint, 1) - 1
        where name = 'bill';
    end if;
    if v_wanted ? 'first_credit_note_number' then
        -- Whoever voids a bill waits here, or was here before.
        perform 1 from public.counters where name = 'credit_note' for update;
        if exists (select 1 from public.credit_notes) then
            perform private.refuse('EB005', 'Credit notes have numbers already, so the first number stays as it is.');
        end if;
        update public.counters set last_number = coalesce((v_wanted ->> 'first_credit_note_number')::bigint, 1) - 1
        where name = 'credit_note';
    end if;
    if p ? 'logo' then
        insert into public.utility_logos (sha256, image)
        values (p #>> '{logo,sha256}', decode(p #>> '{logo,image}', 'base64'))
        on conflict do nothing;
    end if;
    insert into public.utility_settings (version, id, settings)
    values (coalesce(v_last.version, 0) + 1, (p ->> 'id')::uuid, coalesce(v_last.settings, '{}') || v_wanted)
    returning * into v_last;
    return to_jsonb(v_last);
end $$;

COMMENT ON FUNCTION public.save_utility_settings(p jsonb) IS 'Adds a version with some settings changed: {actor, id, settings, seen: those settings as they were, without the missing ones, logo?: {sha256, image in base64}} -> the version. With first_bill_number the next bill has that number, as long as none has one; with first_credit_note_number the next credit note. EB005 when somebody else changed one of them meanwhile.';

REVOKE ALL ON FUNCTION public.save_utility_settings(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.save_utility_settings(p jsonb) TO service_role;

CREATE FUNCTION public.utility_logo(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('image', (select encode(l.image, 'base64') from public.utility_logos l
                                        where l.sha256 = p ->> 'sha256'))
$$;

COMMENT ON FUNCTION public.utility_logo(p jsonb) IS 'A logo that the settings name, in base64, or null: {sha256} -> {image}.';

REVOKE ALL ON FUNCTION public.utility_logo(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.utility_logo(p jsonb) TO service_role;

CREATE FUNCTION public.utility_settings_of_month(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select (select to_jsonb(s) from public.utility_settings s
            where s.changed_at <= coalesce((select c.closed_at from public.month_closings c
                                            where c.month >= (p ->> 'month')::date order by c.month limit 1), 'infinity')
            order by s.version desc limit 1)
$$;

COMMENT ON FUNCTION public.utility_settings_of_month(p jsonb) IS 'The settings that held when a month was closed, of one that is open those that hold now; null before the first: {month: its 1st} -> {version, id, settings, changed_at}.';

REVOKE ALL ON FUNCTION public.utility_settings_of_month(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.utility_settings_of_month(p jsonb) TO service_role;

CREATE FUNCTION public.utility_settings_version(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select (select to_jsonb(s) from public.utility_settings s where s.version = (p ->> 'version')::integer)
$$;

COMMENT ON FUNCTION public.utility_settings_version(p jsonb) IS 'One version of the settings, or null: {version} -> {version, id, settings, changed_at}.';

REVOKE ALL ON FUNCTION public.utility_settings_version(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.utility_settings_version(p jsonb) TO service_role;

CREATE TRIGGER audit AFTER INSERT ON public.utility_settings FOR EACH ROW EXECUTE FUNCTION private.audit_utility_settings();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.utility_settings FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.utility_settings FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.utility_settings FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.utility_logos FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.utility_logos FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.utility_logos FOR EACH ROW EXECUTE FUNCTION private.refuse_change();
