-- Access: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM public, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM public, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON FUNCTIONS FROM public, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM public;

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extensions;

CREATE SCHEMA private;

COMMENT ON SCHEMA private IS 'Helpers of the functions in "public"; not exposed over REST.';

GRANT USAGE ON SCHEMA private TO service_role;

COMMENT ON SCHEMA public IS 'standard public schema';

GRANT USAGE ON SCHEMA public TO anon;
GRANT USAGE ON SCHEMA public TO authenticated;
GRANT USAGE ON SCHEMA public TO service_role;

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    table_name text NOT NULL,
    row_id text NOT NULL,
    before jsonb,
    after jsonb,
    customer_id uuid,
    meter_id uuid,
    CONSTRAINT audit_log_action_check CHECK ((action = ANY (ARRAY['insert'::text, 'update'::text, 'delete'::text]))),
    CONSTRAINT audit_log_actor_check CHECK ((actor <> ''::text))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.audit_log IS 'Every change of a customer, meter, tariff, reading, bill, payment or API key: who, when, what before, what after. A new bill has no row here: it says itself who made it, and when (private.bills_made).';

COMMENT ON COLUMN public.audit_log.before IS 'Of an update: the columns that changed, as they were.';

COMMENT ON COLUMN public.audit_log.after IS 'Of an insert: the row; of a reading only what may change later, of a bill from before nothing: the rest is in the row and in what its updates changed. Of an update: the columns that changed.';

COMMENT ON COLUMN public.audit_log.customer_id IS 'Whom the change concerns, where the row, its bill or its agreement names a customer.';

COMMENT ON COLUMN public.audit_log.meter_id IS 'The meter that the row names.';

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

CREATE INDEX audit_log_customer ON public.audit_log USING btree (customer_id, at DESC, id DESC) WHERE (customer_id IS NOT NULL);

CREATE INDEX audit_log_meter ON public.audit_log USING btree (meter_id, at DESC, id DESC) WHERE (meter_id IS NOT NULL);

CREATE INDEX audit_log_row ON public.audit_log USING btree (table_name, row_id);

ALTER TABLE public.audit_log ENABLE ROW LEVEL SECURITY;

GRANT SELECT,REFERENCES,MAINTAIN ON TABLE public.audit_log TO service_role;

ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.audit_log_id_seq TO service_role;

CREATE TABLE public.installation (
    only_row boolean DEFAULT true NOT NULL,
    installed_at timestamp with time zone DEFAULT now() NOT NULL,
    clock_doubted_at timestamp with time zone,
    clock_doubt text DEFAULT ''::text NOT NULL,
    clock_confirmed_at timestamp with time zone,
    clock_confirmed_by text,
    restored_at timestamp with time zone,
    CONSTRAINT installation_only_row_check CHECK (only_row)
);

COMMENT ON TABLE public.installation IS 'One row: when this database was made. Jobs due before it are nobody''s to catch up.';

COMMENT ON COLUMN public.installation.clock_doubted_at IS 'What the clock said when it was found to have jumped forward: the jobs wait until it is back before that, or a person confirms it.';

COMMENT ON COLUMN public.installation.restored_at IS 'When a backup was restored into it last: tokens issued before are refused.';

ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (only_row);

ALTER TABLE public.installation ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.installation TO service_role;

CREATE TABLE public.counters (
    name text NOT NULL,
    last_number bigint DEFAULT 0 NOT NULL,
    CONSTRAINT counters_last_number_check CHECK ((last_number >= 0))
);

COMMENT ON TABLE public.counters IS 'The last number given of each series. Always the last lock a transaction takes: meters (sorted), then this.';

ALTER TABLE ONLY public.counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (name);

ALTER TABLE public.counters ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.counters TO service_role;

CREATE FUNCTION private.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception using errcode = 'EB005', message = format('Rows of %s are never changed.', tg_table_name);
end $$;

REVOKE ALL ON FUNCTION private.refuse_change() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_change() TO service_role;

CREATE FUNCTION private.fingerprint(p_secret text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select 'kept, fingerprint ' || left(encode(sha256(convert_to(p_secret, 'UTF8')), 'hex'), 8)
$$;

COMMENT ON FUNCTION private.fingerprint(p_secret text) IS 'Says that a secret is there, and whether it is another one, without saying what it is.';

REVOKE ALL ON FUNCTION private.fingerprint(p_secret text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.fingerprint(p_secret text) TO service_role;

CREATE FUNCTION public.schema_version(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('versions', coalesce(jsonb_agg(m.version order by m.version), '[]'))
    from supabase_migrations.schema_migrations m
$$;

COMMENT ON FUNCTION public.schema_version(p jsonb) IS 'The versions of the migrations that `supabase db push` or the program itself applied here: {}.';

REVOKE ALL ON FUNCTION public.schema_version(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.schema_version(p jsonb) TO service_role;

CREATE FUNCTION private.import_answer(p_errors jsonb, p_added integer, p_changed integer, p_unchanged integer) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('errors', coalesce(p_errors, '[]'), 'added', p_added, 'changed', p_changed,
                              'unchanged', p_unchanged)
$$;

REVOKE ALL ON FUNCTION private.import_answer(p_errors jsonb, p_added integer, p_changed integer, p_unchanged integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.import_answer(p_errors jsonb, p_added integer, p_changed integer, p_unchanged integer) TO service_role;

CREATE FUNCTION private.refuse(p_code text, p_message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception using errcode = p_code, message = p_message;
end $$;

REVOKE ALL ON FUNCTION private.refuse(p_code text, p_message text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse(p_code text, p_message text) TO service_role;

CREATE FUNCTION private.identifier_key(p_identifier text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $_$
    select case when k.key = '' and p_identifier <> '' then '0' else k.key end
    from (select ltrim(regexp_replace(upper(regexp_replace(translate(normalize(p_identifier, NFKC), U&'\2010\2012\2013\2014\2015\2212', '------'),
                                                           '\s', '', 'g')),
                                      '^([0-9]+)\.0+$', '\1'), '0') as key) k
$_$;

COMMENT ON FUNCTION private.identifier_key(p_identifier text) IS 'What two identifiers have in common that differ only by what a spreadsheet or a hurried hand changes: leading zeros, case, spaces, dashes, wide letters, a .0 at the end.';

REVOKE ALL ON FUNCTION private.identifier_key(p_identifier text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.identifier_key(p_identifier text) TO service_role;

CREATE FUNCTION private.keep_rows(p_table regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    execute format(
        'create trigger refuse_delete before delete on %s
         for each row execute function private.refuse_delete()', p_table);
    execute format(
        'create trigger refuse_truncate before truncate on %s
         for each statement execute function private.refuse_delete()', p_table);
end $$;

REVOKE ALL ON FUNCTION private.keep_rows(p_table regclass) FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_rows(p_table regclass) TO service_role;

CREATE FUNCTION private.audit_table(p_table regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    execute format(
        'create trigger audit_insert after insert on %s
         referencing new table as new_rows
         for each statement execute function private.audit()', p_table);
    execute format(
        'create trigger audit_update after update on %s
         referencing old table as old_rows new table as new_rows
         for each statement execute function private.audit()', p_table);
end $$;

REVOKE ALL ON FUNCTION private.audit_table(p_table regclass) FROM PUBLIC;
GRANT ALL ON FUNCTION private.audit_table(p_table regclass) TO service_role;

CREATE FUNCTION private.changed_columns(p_old jsonb, p_new jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_object_agg(n.key, n.value), '{}'::jsonb)
    from jsonb_each(p_new) n
    where p_old -> n.key is distinct from n.value
$$;

REVOKE ALL ON FUNCTION private.changed_columns(p_old jsonb, p_new jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.changed_columns(p_old jsonb, p_new jsonb) TO service_role;

CREATE FUNCTION private.refuse_reopening() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception using errcode = 'EB005',
        message = format('What was ended in %s is not opened again.', tg_table_name);
end $$;

COMMENT ON FUNCTION private.refuse_reopening() IS 'A trigger''s refusal; the trigger''s own condition says what would open something again.';

REVOKE ALL ON FUNCTION private.refuse_reopening() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_reopening() TO service_role;

CREATE FUNCTION private.refuse_delete() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception using errcode = 'EB005',
        message = format('Rows of %s are never deleted: a correction is a new row.', tg_table_name);
end $$;

REVOKE ALL ON FUNCTION private.refuse_delete() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_delete() TO service_role;

CREATE FUNCTION private.set_actor(p jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if coalesce(p ->> 'actor', '') = '' then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    perform set_config('billing.actor', p ->> 'actor', true);
end $$;

COMMENT ON FUNCTION private.set_actor(p jsonb) IS 'Says who makes the changes of this transaction; the audit triggers read it.';

REVOKE ALL ON FUNCTION private.set_actor(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.set_actor(p jsonb) TO service_role;

CREATE FUNCTION private.audit() RETURNS trigger
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
               coalesce(c.before, '{}'), coalesce(c.after, '{}')
        from (select n.id::text as id, to_jsonb(o) - 'search_text' as o, to_jsonb(n) - 'search_text' as n
              from new_rows n join old_rows o on o.id = n.id
              where o is distinct from n
              offset 0) r
        cross join lateral (
            select jsonb_object_agg(e.key, r.o -> e.key) as before, jsonb_object_agg(e.key, e.value) as after
            from jsonb_each(r.n) e where r.o -> e.key is distinct from e.value) c;
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.audit() IS 'Statement trigger over transition tables: one insert a statement, so that bulk writes stay fast.';

REVOKE ALL ON FUNCTION private.audit() FROM PUBLIC;
GRANT ALL ON FUNCTION private.audit() TO service_role;

CREATE FUNCTION private.refuse_audit_by_hand() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- 1 is this trigger; an audit trigger's insert comes from inside another one.
    if pg_trigger_depth() < 2 then
        raise exception using errcode = '42501', message = 'The audit trail is written by its triggers alone.';
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.refuse_audit_by_hand() IS 'Holds for the owner of the tables too.';

REVOKE ALL ON FUNCTION private.refuse_audit_by_hand() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_audit_by_hand() TO service_role;

CREATE FUNCTION private.audit_reopened_work() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, customer_id, before, after)
    values (v_actor, 'update', tg_table_name, new.id::text, private.customer_behind(to_jsonb(new)),
            jsonb_build_object('status', old.status, 'steps', old.steps),
            jsonb_build_object('status', new.status, 'steps', new.steps));
    return null;
end $$;

COMMENT ON FUNCTION private.audit_reopened_work() IS 'Of the outbox only this is audited: a person takes finished work up again.';

REVOKE ALL ON FUNCTION private.audit_reopened_work() FROM PUBLIC;
GRANT ALL ON FUNCTION private.audit_reopened_work() TO service_role;

CREATE FUNCTION private.never_changed(p_table regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.keep_rows(p_table);
    execute format('create trigger refuse_update before update on %s for each row execute function private.refuse_change()', p_table);
end $$;

REVOKE ALL ON FUNCTION private.never_changed(p_table regclass) FROM PUBLIC;
GRANT ALL ON FUNCTION private.never_changed(p_table regclass) TO service_role;

CREATE FUNCTION public.identifier_keys(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    v_found jsonb;
begin
    case p ->> 'kind'
        when 'customers' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(c.account_no order by c.account_no = i desc, c.account_no))[1] as known
                from public.customers c
                where private.identifier_key(c.account_no) = private.identifier_key(i)) k on true;
        when 'meters' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(m.serial order by m.serial = i desc, m.serial))[1] as known
                from public.meters m
                where private.identifier_key(m.serial) = private.identifier_key(i)) k on true;
        when 'transformers' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(t.code order by t.code = i desc, t.code))[1] as known
                from public.transformers t
                where private.identifier_key(t.code) = private.identifier_key(i)) k on true;
        when 'service_points' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(s.code order by s.code = i desc, s.code))[1] as known
                from public.service_points s
                where private.identifier_key(s.code) = private.identifier_key(i)) k on true;
    end case;
    return jsonb_build_object('found', coalesce(v_found, '[]'));
end $$;

COMMENT ON FUNCTION public.identifier_keys(p jsonb) IS 'Of each identifier its key, and what is stored with the same key (the identifier itself first, else null): {kind: customers|meters|transformers|service_points, identifiers: [...]} gives {found: [{identifier, key, known}]}.';

REVOKE ALL ON FUNCTION public.identifier_keys(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.identifier_keys(p jsonb) TO service_role;

CREATE FUNCTION private.customer_behind(p_row jsonb) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if p_row ->> 'bill_id' is not null then
        return (select b.customer_id from public.bills b where b.id = (p_row ->> 'bill_id')::uuid);
    elsif p_row ->> 'agreement_id' is not null then
        return (select a.customer_id from public.service_agreements a where a.id = (p_row ->> 'agreement_id')::uuid);
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.customer_behind(p_row jsonb) IS 'The customer of the bill or the agreement that a row names.';

REVOKE ALL ON FUNCTION private.customer_behind(p_row jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.customer_behind(p_row jsonb) TO service_role;

CREATE FUNCTION private.refuse_delete_unless_undone() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if current_setting('billing.undoing', true) = coalesce(to_jsonb(old) ->> 'agreement_id', old.id::text) then
        return old;
    end if;
    raise exception using errcode = 'EB005',
        message = format('Rows of %s are never deleted: undo the change that made them.', tg_table_name);
end $$;

COMMENT ON FUNCTION private.refuse_delete_unless_undone() IS 'Only private.undo_rows takes a row away, one that nothing was billed by.';

REVOKE ALL ON FUNCTION private.refuse_delete_unless_undone() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_delete_unless_undone() TO service_role;

CREATE FUNCTION private.audit_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, before, after)
    select current_setting('billing.actor', true), 'delete', tg_table_name, r.o ->> 'id',
           coalesce((r.o ->> 'customer_id')::uuid, case when r.o ? 'agreement_id' then private.customer_behind(r.o) end),
           (r.o ->> 'meter_id')::uuid, r.o, '{}'
    from (select to_jsonb(o) as o from old_rows o offset 0) r;
    return null;
end $$;

COMMENT ON FUNCTION private.audit_delete() IS 'Keeps a row that is taken back in the audit trail.';

REVOKE ALL ON FUNCTION private.audit_delete() FROM PUBLIC;
GRANT ALL ON FUNCTION private.audit_delete() TO service_role;

CREATE FUNCTION private.audit_new_readings() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_relid <> 'public.readings'::regclass then
        raise exception using errcode = '42501', message = 'This trigger is of readings alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, meter_id, after)
    select v_actor, 'insert', 'readings', n.id::text, n.meter_id,
           jsonb_strip_nulls(jsonb_build_object(
               'status', n.status, 'is_opening', n.is_opening, 'rolled_over', n.rolled_over,
               'decided_by', n.decided_by, 'decided_at', n.decided_at, 'decision_reason', n.decision_reason))
    from new_rows n;
    return null;
end $$;

COMMENT ON FUNCTION private.audit_new_readings() IS 'Audits new readings by the columns that private.guard_reading lets change later: the others stay in the row as they are.';

REVOKE ALL ON FUNCTION private.audit_new_readings() FROM PUBLIC;
GRANT ALL ON FUNCTION private.audit_new_readings() TO service_role;

CREATE FUNCTION private.as_inserted(p_table_name text, p_row_id text, p_after jsonb) RETURNS jsonb
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

COMMENT ON FUNCTION private.as_inserted(p_table_name text, p_row_id text, p_after jsonb) IS 'A row as it was inserted, from what the audit trail kept of it and what never changes.';

REVOKE ALL ON FUNCTION private.as_inserted(p_table_name text, p_row_id text, p_after jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.as_inserted(p_table_name text, p_row_id text, p_after jsonb) TO service_role;

CREATE FUNCTION private.check_maker() RETURNS trigger
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

COMMENT ON FUNCTION private.check_maker() IS 'A new bill names who makes it, which is who makes the changes of the transaction.';

REVOKE ALL ON FUNCTION private.check_maker() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_maker() TO service_role;

CREATE FUNCTION private.ordered_id() RETURNS uuid
    LANGUAGE sql PARALLEL SAFE
    RETURN (encode(set_bit(set_bit(OVERLAY(uuid_send(gen_random_uuid()) PLACING SUBSTRING(int8send(((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric))::bigint) FROM 3) FROM 1), (52)::bigint, 1), (53)::bigint, 1), 'hex'::text))::uuid;

COMMENT ON FUNCTION private.ordered_id() IS 'A new id that begins with the time to the millisecond (RFC 9562, version 7), so that indexes by id grow at their end.';


SET default_tablespace = '';

SET default_table_access_method = heap;

REVOKE ALL ON FUNCTION private.ordered_id() FROM PUBLIC;
GRANT ALL ON FUNCTION private.ordered_id() TO service_role;

CREATE TRIGGER by_triggers_alone BEFORE INSERT ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_audit_by_hand();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.audit_log FOR EACH ROW WHEN ((old.at > (now() - '5 years'::interval))) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();
