-- Security: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    name text NOT NULL,
    key_hash text NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    expires_at timestamp with time zone,
    scope text DEFAULT 'all'::text NOT NULL,
    CONSTRAINT api_keys_name_check CHECK ((btrim(name) <> ''::text)),
    CONSTRAINT api_keys_role_check CHECK ((role = ANY (ARRAY['engineer'::text, 'cashier'::text, 'clerk'::text, 'manager'::text, 'auditor'::text, 'admin'::text]))),
    CONSTRAINT api_keys_scope_check CHECK ((scope = ANY (ARRAY['all'::text, 'submit_readings'::text, 'read_bills'::text, 'read_metrics'::text])))
);

COMMENT ON COLUMN public.api_keys.key_hash IS 'SHA-256 of the key in hex; the key itself is shown once and kept nowhere.';

COMMENT ON COLUMN public.api_keys.expires_at IS 'From then on it is refused; null: a key from before keys expired.';

COMMENT ON COLUMN public.api_keys.scope IS 'all: whatever its role may do.';

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_name_key UNIQUE (name);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.api_keys TO service_role;

CREATE TABLE public.sessions (
    id text NOT NULL,
    user_id text NOT NULL,
    role text,
    via text NOT NULL,
    address text DEFAULT ''::text NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    first_used_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    ended_by text,
    CONSTRAINT sessions_check CHECK (((ended_at IS NULL) = (ended_by IS NULL))),
    CONSTRAINT sessions_check1 CHECK (((via = 'link'::text) = (role IS NULL))),
    CONSTRAINT sessions_id_check CHECK ((id <> ''::text)),
    CONSTRAINT sessions_role_check CHECK ((role ~ '^(engineer|cashier|clerk|manager|auditor|admin)(,(engineer|cashier|clerk|manager|auditor|admin))*$'::text)),
    CONSTRAINT sessions_via_check CHECK ((via = ANY (ARRAY['token'::text, 'demo'::text, 'link'::text, 'password'::text])))
);

COMMENT ON TABLE public.sessions IS 'Each token that was used here: a sign-in in a browser, a token of the command line or of the sign-in service, or a browser''s right to choose a role.';

COMMENT ON COLUMN public.sessions.id IS 'The token''s own id (jti), or what stands for it; never the token.';

COMMENT ON COLUMN public.sessions.role IS 'The roles of the token by a comma; null of a browser that may choose one.';

COMMENT ON COLUMN public.sessions.via IS 'link: a right to choose a role; demo: a role chosen by it; password: a user of the system''s own.';

COMMENT ON COLUMN public.sessions.last_used_at IS 'To the minute.';

COMMENT ON COLUMN public.sessions.ended_at IS 'From then on the token is refused, however long it was made for.';

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

CREATE INDEX sessions_of_user ON public.sessions USING btree (user_id, first_used_at DESC, id DESC);

CREATE INDEX sessions_recent ON public.sessions USING btree (first_used_at DESC, id DESC);

ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.sessions TO service_role;

CREATE TABLE public.user_access (
    id text NOT NULL,
    sessions_end_before timestamp with time zone NOT NULL,
    dismissed_at timestamp with time zone,
    CONSTRAINT user_access_id_check CHECK ((id <> ''::text))
);

COMMENT ON TABLE public.user_access IS 'People whose sign-ins were ended together, by user id. Nobody else is here.';

COMMENT ON COLUMN public.user_access.sessions_end_before IS 'Tokens issued before are refused, seen here or not.';

COMMENT ON COLUMN public.user_access.dismissed_at IS 'Since when every token of this user is refused; null: may sign in.';

ALTER TABLE ONLY public.user_access
    ADD CONSTRAINT user_access_pkey PRIMARY KEY (id);

ALTER TABLE public.user_access ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.user_access TO service_role;

CREATE TABLE public.security_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    event text NOT NULL,
    who text DEFAULT ''::text NOT NULL,
    address text DEFAULT ''::text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    CONSTRAINT security_log_event_check CHECK ((event <> ''::text))
);

COMMENT ON TABLE public.security_log IS 'Sign-ins, sign-outs, refusals and the use of keys, without any secret. Often repeated refusals are one row a minute.';

ALTER TABLE ONLY public.security_log
    ADD CONSTRAINT security_log_pkey PRIMARY KEY (id);

CREATE INDEX security_log_at ON public.security_log USING brin (at);

CREATE INDEX security_log_event ON public.security_log USING btree (event, id DESC);

CREATE INDEX security_log_who ON public.security_log USING btree (who, id DESC);

ALTER TABLE public.security_log ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.security_log TO service_role;

ALTER TABLE public.security_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.security_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.security_log_id_seq TO service_role;

CREATE TABLE public.api_key_uses (
    key_id uuid NOT NULL,
    first_used_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.api_key_uses IS 'When each key was first and last used, to the minute.';

ALTER TABLE ONLY public.api_key_uses
    ADD CONSTRAINT api_key_uses_pkey PRIMARY KEY (key_id);

ALTER TABLE public.api_key_uses ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.api_key_uses TO service_role;

CREATE TABLE public.user_languages (
    user_id text NOT NULL,
    language text NOT NULL,
    CONSTRAINT user_languages_language_check CHECK ((language ~ '^[a-z]{2,3}$'::text)),
    CONSTRAINT user_languages_user_id_check CHECK ((user_id <> ''::text))
);

COMMENT ON TABLE public.user_languages IS 'In which language people read the pages, by user id: those who chose one.';

COMMENT ON COLUMN public.user_languages.language IS 'An IETF tag of a language alone.';

ALTER TABLE ONLY public.user_languages
    ADD CONSTRAINT user_languages_pkey PRIMARY KEY (user_id);

ALTER TABLE public.user_languages ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.user_languages TO service_role;

ALTER TABLE ONLY public.api_key_uses
    ADD CONSTRAINT api_key_uses_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_keys(id);

CREATE VIEW public.api_key_list WITH (security_invoker='true') AS
 SELECT k.id,
    k.name,
    k.role,
    k.created_at,
    k.revoked_at,
    ( SELECT a.actor
           FROM public.audit_log a
          WHERE ((a.table_name = 'api_keys'::text) AND (a.row_id = (k.id)::text) AND (a.action = 'insert'::text))
         LIMIT 1) AS created_by,
    ( SELECT a.actor
           FROM public.audit_log a
          WHERE ((a.table_name = 'api_keys'::text) AND (a.row_id = (k.id)::text) AND (a.action = 'update'::text) AND (a.after ? 'revoked_at'::text))
         LIMIT 1) AS revoked_by,
    k.scope,
    k.expires_at,
    u.last_used_at
   FROM (public.api_keys k
     LEFT JOIN public.api_key_uses u ON ((u.key_id = k.id)));

COMMENT ON VIEW public.api_key_list IS 'The keys without their hashes, with who made and who revoked each.';

GRANT SELECT,INSERT,REFERENCES,DELETE,TRUNCATE,MAINTAIN,UPDATE ON TABLE public.api_key_list TO service_role;

CREATE VIEW public.session_list WITH (security_invoker='true') AS
 SELECT s.id,
    s.user_id,
    s.role,
    s.via,
    s.address,
    s.issued_at,
    s.expires_at,
    s.first_used_at,
    s.last_used_at,
    s.ended_at,
    s.ended_by,
    a.dismissed_at
   FROM (public.sessions s
     LEFT JOIN public.user_access a ON ((a.id = s.user_id)));

COMMENT ON VIEW public.session_list IS 'Sign-ins, with since when their user is dismissed.';

GRANT SELECT ON TABLE public.session_list TO service_role;

CREATE FUNCTION public.revoke_api_key(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.api_keys set revoked_at = now()
    where id = (p ->> 'id')::uuid and revoked_at is null;
    if not found and not exists (select 1 from public.api_keys where id = (p ->> 'id')::uuid) then
        raise exception using errcode = 'EB404', message = 'There is no such API key.';
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.revoke_api_key(p jsonb) IS 'Ends a key for good: {actor, id}. Of a key that is revoked already nothing changes.';

REVOKE ALL ON FUNCTION public.revoke_api_key(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.revoke_api_key(p jsonb) TO service_role;

CREATE FUNCTION public.add_api_key(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    insert into public.api_keys (id, name, key_hash, role, scope, expires_at)
    values ((p ->> 'id')::uuid, p ->> 'name', p ->> 'key_hash', p ->> 'role',
            coalesce(p ->> 'scope', 'all'), (p ->> 'expires_at')::timestamptz)
    on conflict (id) do nothing;
    return '{}'::jsonb;
exception when unique_violation then
    raise exception using errcode = 'EB005', message = format('There is already a key named %s.', p ->> 'name');
end $$;

COMMENT ON FUNCTION public.add_api_key(p jsonb) IS 'Keeps the hash of a new key: {actor, id, name, key_hash, role, scope, expires_at}.';

REVOKE ALL ON FUNCTION public.add_api_key(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_api_key(p jsonb) TO service_role;

CREATE FUNCTION public.readmit_user(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    perform 1 from public.users where sign_in_name = p ->> 'user' for update;
    update public.user_access set dismissed_at = null where id = p ->> 'user' and dismissed_at is not null;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.readmit_user(p jsonb) IS 'Lets a dismissed user sign in again, with a new token: {actor, user}.';

REVOKE ALL ON FUNCTION public.readmit_user(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.readmit_user(p jsonb) TO service_role;

CREATE FUNCTION public.note_security_event(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.security_log (event, who, address, detail)
    values (p ->> 'event', left(p ->> 'who', 200), left(p ->> 'address', 100), left(p ->> 'detail', 500));
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.note_security_event(p jsonb) IS 'Adds a row to the security log: {event, who, address, detail}.';

REVOKE ALL ON FUNCTION public.note_security_event(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_security_event(p jsonb) TO service_role;

CREATE FUNCTION public.sessions_page(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('sessions', coalesce(jsonb_agg(to_jsonb(s) order by s.first_used_at desc, s.id desc), '[]'))
    from (select l.* from public.session_list l
          where (p ->> 'user' is null or l.user_id = p ->> 'user')
            and (not (p ->> 'open')::boolean or (l.ended_at is null and l.expires_at > now()))
            and (p ->> 'after' is null or (l.first_used_at, l.id) <
                 (select o.first_used_at, o.id from public.sessions o where o.id = p ->> 'after'))
          order by l.first_used_at desc, l.id desc limit (p ->> 'limit')::integer) s
$$;

COMMENT ON FUNCTION public.sessions_page(p jsonb) IS 'Sign-ins, the latest first, after one of them: {user?, open, after?, limit} -> {sessions}.';

REVOKE ALL ON FUNCTION public.sessions_page(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.sessions_page(p jsonb) TO service_role;

CREATE FUNCTION public.end_session(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.sessions set ended_at = now(), ended_by = p ->> 'actor'
    where id = p ->> 'id' and ended_at is null;
    if not found and not exists (select 1 from public.sessions where id = p ->> 'id') then
        perform private.refuse('EB404', 'There is no such sign-in.');
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.end_session(p jsonb) IS 'Ends a sign-in for good: {actor, id}. Of one that has ended already nothing changes.';

REVOKE ALL ON FUNCTION public.end_session(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_session(p jsonb) TO service_role;

CREATE FUNCTION public.use_api_key(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_first boolean;
begin
    insert into public.api_key_uses as u (key_id) values ((p ->> 'id')::uuid)
    on conflict (key_id) do update set last_used_at = now()
    returning u.first_used_at = now() into v_first;
    return jsonb_build_object('first', v_first);
end $$;

COMMENT ON FUNCTION public.use_api_key(p jsonb) IS 'Notes that a key is used: {id} -> {first: whether it was never used before}.';

REVOKE ALL ON FUNCTION public.use_api_key(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_api_key(p jsonb) TO service_role;

CREATE FUNCTION public.end_sessions_of(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_ended integer;
begin
    perform private.set_actor(p);
    perform 1 from public.users where sign_in_name = p ->> 'user' for update;
    insert into public.user_access as a (id, sessions_end_before, dismissed_at)
    values (p ->> 'user', (p ->> 'at')::timestamptz,
            case when (p ->> 'dismiss')::boolean then (p ->> 'at')::timestamptz end)
    on conflict (id) do update
    set sessions_end_before = greatest(a.sessions_end_before, excluded.sessions_end_before),
        dismissed_at = coalesce(a.dismissed_at, excluded.dismissed_at);
    update public.sessions set ended_at = now(), ended_by = p ->> 'actor'
    where user_id = p ->> 'user' and ended_at is null and expires_at > now();
    get diagnostics v_ended = row_count;
    return jsonb_build_object('ended', v_ended);
end $$;

COMMENT ON FUNCTION public.end_sessions_of(p jsonb) IS 'Ends every sign-in of a user, also those that were never used here, and with dismiss refuses new ones: {actor, user, at, dismiss} -> {ended}.';

REVOKE ALL ON FUNCTION public.end_sessions_of(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_sessions_of(p jsonb) TO service_role;

CREATE FUNCTION public.use_session(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_session public.sessions;
    v_access public.user_access;
    v_new boolean := false;
begin
    select * into v_access from public.user_access where id = p ->> 'user';
    if v_access.dismissed_at is not null then
        return jsonb_build_object('state', 'dismissed');
    end if;
    select * into v_session from public.sessions where id = p ->> 'id';
    if v_session.ended_at is not null
        or (p ->> 'issued_at')::timestamptz < v_access.sessions_end_before
        or (p ->> 'issued_at')::timestamptz < (select i.restored_at from public.installation i)
        or p ->> 'via' = 'password' and not exists (
            select 1 from public.users u join public.user_credentials c on c.user_id = u.id
            where u.sign_in_name = p ->> 'user' and array_to_string(u.roles, ',') = p ->> 'role' and c.password_hash is not null)
    then
        return jsonb_build_object('state', 'ended');
    end if;
    if v_session.id is null then
        insert into public.sessions (id, user_id, role, via, address, issued_at, expires_at)
        values (p ->> 'id', p ->> 'user', p ->> 'role', p ->> 'via', coalesce(p ->> 'address', ''),
                (p ->> 'issued_at')::timestamptz, (p ->> 'expires_at')::timestamptz)
        on conflict (id) do nothing;
        v_new := found;
    elsif v_session.last_used_at < now() - interval '1 minute' then
        update public.sessions set last_used_at = now() where id = v_session.id;
    end if;
    return jsonb_build_object('state', case when v_new then 'new' else 'good' end);
end $$;

COMMENT ON FUNCTION public.use_session(p jsonb) IS 'Notes that a verified token is used, and says whether it still holds: {id, user, role, via, address, issued_at, expires_at} -> {state: new|good|ended|dismissed}.';

REVOKE ALL ON FUNCTION public.use_session(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_session(p jsonb) TO service_role;

CREATE FUNCTION private.end_restored_sign_ins() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor('{"actor": "system:restore"}');
    update public.user_links set voided_at = now() where used_at is null and voided_at is null;
    update public.installation set restored_at = greatest(restored_at, now()) where true;
    update public.sessions set ended_at = now(), ended_by = 'system:restore'
    where ended_at is null and expires_at > now();
end $$;

COMMENT ON FUNCTION private.end_restored_sign_ins() IS 'After a restore: whoever was signed in signs in again, and links to set a password are made anew.';

REVOKE ALL ON FUNCTION private.end_restored_sign_ins() FROM PUBLIC;
GRANT ALL ON FUNCTION private.end_restored_sign_ins() TO service_role;

CREATE FUNCTION public.user_language(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('language', (select l.language from public.user_languages l where l.user_id = p ->> 'user'))
$$;

COMMENT ON FUNCTION public.user_language(p jsonb) IS 'The language that somebody chose: {user} -> {language}, null where none.';

REVOKE ALL ON FUNCTION public.user_language(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.user_language(p jsonb) TO service_role;

CREATE FUNCTION public.choose_user_language(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    insert into public.user_languages as l (user_id, language) values (p ->> 'actor', p ->> 'language')
    on conflict (user_id) do update set language = excluded.language where l.language <> excluded.language;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.choose_user_language(p jsonb) IS 'Keeps the language that somebody chose for themselves: {actor, language}.';

REVOKE ALL ON FUNCTION public.choose_user_language(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.choose_user_language(p jsonb) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.api_keys REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.api_keys REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER ended_for_good BEFORE UPDATE ON public.api_keys FOR EACH ROW WHEN (((((((old.id IS DISTINCT FROM new.id) OR (old.key_hash IS DISTINCT FROM new.key_hash)) OR (old.role IS DISTINCT FROM new.role)) OR (old.scope IS DISTINCT FROM new.scope)) OR (old.expires_at IS DISTINCT FROM new.expires_at)) OR ((old.revoked_at IS NOT NULL) AND (old.revoked_at IS DISTINCT FROM new.revoked_at)))) EXECUTE FUNCTION private.refuse_reopening();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.api_keys FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.api_keys FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER ended_for_good BEFORE UPDATE ON public.sessions FOR EACH ROW WHEN ((((((((old.id IS DISTINCT FROM new.id) OR (old.user_id IS DISTINCT FROM new.user_id)) OR (old.role IS DISTINCT FROM new.role)) OR (old.via IS DISTINCT FROM new.via)) OR (old.issued_at IS DISTINCT FROM new.issued_at)) OR (old.expires_at IS DISTINCT FROM new.expires_at)) OR ((old.ended_at IS NOT NULL) AND ((old.ended_at IS DISTINCT FROM new.ended_at) OR (old.ended_by IS DISTINCT FROM new.ended_by))))) EXECUTE FUNCTION private.refuse_reopening();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.sessions FOR EACH ROW WHEN ((old.expires_at > (now() - '28 days'::interval))) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.sessions FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.user_access REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.user_access REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER ended_for_good BEFORE UPDATE ON public.user_access FOR EACH ROW WHEN (((old.id <> new.id) OR (new.sessions_end_before < old.sessions_end_before))) EXECUTE FUNCTION private.refuse_reopening();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.user_access FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.user_access FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.security_log FOR EACH ROW WHEN ((old.at > (now() - '28 days'::interval))) EXECUTE FUNCTION private.refuse_delete();
