-- People: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.users (
    id uuid NOT NULL,
    sign_in_name text NOT NULL,
    display_name text NOT NULL,
    roles text[] NOT NULL,
    activated_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT users_display_name_check CHECK ((display_name <> ''::text)),
    CONSTRAINT users_roles_check CHECK (((roles <> '{}'::text[]) AND (roles <@ ARRAY['engineer'::text, 'cashier'::text, 'clerk'::text, 'manager'::text, 'auditor'::text, 'admin'::text]))),
    CONSTRAINT users_sign_in_name_check CHECK (((sign_in_name <> ''::text) AND (sign_in_name = lower(sign_in_name))))
);

COMMENT ON TABLE public.users IS 'People who sign in with a password of their own. Who may not sign in stands in user_access; nobody is ever deleted.';

COMMENT ON COLUMN public.users.sign_in_name IS 'What they sign in with, and whom the audit trail names. It never changes and is never given to another.';

COMMENT ON COLUMN public.users.activated_at IS 'When they set their first password; null: invited.';

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_sign_in_name_key UNIQUE (sign_in_name);

ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.users TO service_role;

CREATE TABLE public.user_credentials (
    user_id uuid NOT NULL,
    password_hash text,
    password_set_at timestamp with time zone,
    totp_secret text,
    totp_on_at timestamp with time zone,
    totp_last_step bigint DEFAULT 0 NOT NULL,
    recovery_codes text[] DEFAULT '{}'::text[] NOT NULL,
    CONSTRAINT user_credentials_check CHECK (((totp_secret IS NULL) = (totp_on_at IS NULL)))
);

COMMENT ON TABLE public.user_credentials IS 'What proves who somebody is; apart from users, so that no list, export or audit row holds it.';

COMMENT ON COLUMN public.user_credentials.password_hash IS 'Argon2id with its parameters; null: a link to set one is out.';

COMMENT ON COLUMN public.user_credentials.totp_secret IS 'Encrypted by the application under a key that the database does not hold.';

COMMENT ON COLUMN public.user_credentials.totp_last_step IS 'The time step of the last code that was accepted: none up to it is accepted again.';

COMMENT ON COLUMN public.user_credentials.recovery_codes IS 'Hashes of the codes that have not been used.';

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_pkey PRIMARY KEY (user_id);

ALTER TABLE public.user_credentials ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.user_credentials TO service_role;

CREATE TABLE public.user_links (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    code_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    voided_at timestamp with time zone,
    CONSTRAINT user_links_kind_check CHECK ((kind = ANY (ARRAY['invitation'::text, 'reset'::text, 'recovery'::text])))
);

COMMENT ON TABLE public.user_links IS 'Links by which one user sets a password, once; only the hash of the code is kept.';

COMMENT ON COLUMN public.user_links.kind IS 'recovery: made on the machine itself for an administrator; it also takes the second factor away.';

COMMENT ON COLUMN public.user_links.voided_at IS 'Replaced by another link, or its user was disabled.';

ALTER TABLE ONLY public.user_links
    ADD CONSTRAINT user_links_code_hash_key UNIQUE (code_hash);

ALTER TABLE ONLY public.user_links
    ADD CONSTRAINT user_links_pkey PRIMARY KEY (id);

CREATE INDEX user_links_of_user ON public.user_links USING btree (user_id);

CREATE UNIQUE INDEX user_links_open ON public.user_links USING btree (user_id) WHERE ((used_at IS NULL) AND (voided_at IS NULL));

ALTER TABLE public.user_links ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.user_links TO service_role;

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.user_links
    ADD CONSTRAINT user_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

CREATE VIEW public.user_list WITH (security_invoker='true') AS
 SELECT u.id,
    u.sign_in_name,
    u.display_name,
    u.roles,
    u.created_at,
    u.activated_at,
    a.dismissed_at,
        CASE
            WHEN (a.dismissed_at IS NOT NULL) THEN 'disabled'::text
            WHEN (u.activated_at IS NULL) THEN 'invited'::text
            ELSE 'active'::text
        END AS state,
    (c.password_hash IS NOT NULL) AS has_password,
    c.password_set_at,
    c.totp_on_at,
    cardinality(c.recovery_codes) AS recovery_codes_left,
    ( SELECT max(s.last_used_at) AS max
           FROM public.sessions s
          WHERE (s.user_id = u.sign_in_name)) AS last_active_at,
    ( SELECT l.expires_at
           FROM public.user_links l
          WHERE ((l.user_id = u.id) AND (l.used_at IS NULL) AND (l.voided_at IS NULL))) AS link_expires_at
   FROM ((public.users u
     JOIN public.user_credentials c ON ((c.user_id = u.id)))
     LEFT JOIN public.user_access a ON ((a.id = u.sign_in_name)));

COMMENT ON VIEW public.user_list IS 'Users as administrators see them: no hash and no secret.';

GRANT SELECT ON TABLE public.user_list TO service_role;

CREATE FUNCTION public.users_exist(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('exist', exists (select 1 from public.users))
$$;

COMMENT ON FUNCTION public.users_exist(p jsonb) IS 'Whether anybody has been made a user: {} -> {exist}.';

REVOKE ALL ON FUNCTION public.users_exist(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.users_exist(p jsonb) TO service_role;

CREATE FUNCTION public.list_users(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_key constant text := case p ->> 'sort' when 'display_name' then 'lower(u.display_name)' else 'u.sign_in_name' end;
    v_page jsonb;
    v_ids uuid[];
begin
    v_page := private.page_by_key(p, 'public.users u', 'u.id', v_key, 'text', array[
        case when p ->> 'ids' is not null then 'u.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'role' is not null then 'u.roles @> array[$1 ->> ''role'']' end,
        case when p ->> 'state' is not null then
            'u.id in (select l.id from public.user_list l where l.state = $1 ->> ''state'')' end,
        case when coalesce(p ->> 'text', '') <> '' then
            'not exists (select 1 from unnest(string_to_array(lower($1 ->> ''text''), '' '')) w'
            ' where strpos(lower(u.sign_in_name || '' '' || u.display_name), w) = 0)' end]);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.user_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_users(p jsonb) IS 'A page of the users: {text?, role?, state?, ids?, sort: sign_in_name|display_name, and what private.page_by_key takes} -> {keys, more, total, rows: of user_list}.';

REVOKE ALL ON FUNCTION public.list_users(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_users(p jsonb) TO service_role;

CREATE FUNCTION public.user_to_sign_in(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('user', (
        select jsonb_build_object(
            'id', u.id, 'sign_in_name', u.sign_in_name, 'display_name', u.display_name, 'roles', to_jsonb(u.roles),
            'disabled', a.dismissed_at is not null, 'password_hash', c.password_hash, 'password_set_at', c.password_set_at,
            'totp_secret', c.totp_secret, 'recovery_codes_left', cardinality(c.recovery_codes))
        from public.users u
        join public.user_credentials c on c.user_id = u.id
        left join public.user_access a on a.id = u.sign_in_name
        where u.sign_in_name = p ->> 'sign_in_name'))
$$;

COMMENT ON FUNCTION public.user_to_sign_in(p jsonb) IS 'What a sign-in is checked against: {sign_in_name} -> {user: null or with password_hash and totp_secret (encrypted)}.';

REVOKE ALL ON FUNCTION public.user_to_sign_in(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.user_to_sign_in(p jsonb) TO service_role;

CREATE FUNCTION public.create_first_administrator(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtextextended('users', 0));
    if exists (select 1 from public.users where id = (p ->> 'user_id')::uuid) then
        return '{}'::jsonb;
    end if;
    if exists (select 1 from public.users) then
        perform private.refuse('EB005', 'There is an administrator already. Sign in, or ask to be invited.');
    end if;
    perform private.add_user(p || '{"roles": ["admin"]}', (p ->> 'at')::timestamptz, p ->> 'password_hash');
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.create_first_administrator(p jsonb) IS 'The first user: {actor, user_id, sign_in_name, display_name, password_hash, at}. EB005 when there is one already.';

REVOKE ALL ON FUNCTION public.create_first_administrator(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_first_administrator(p jsonb) TO service_role;

CREATE FUNCTION public.invite_user(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    if exists (select 1 from public.users where id = (p ->> 'user_id')::uuid) then
        return '{}'::jsonb;
    end if;
    if not exists (select 1 from public.users) then
        perform private.refuse('EB005', 'The first user is an administrator. Create that one first.');
    end if;
    perform private.add_user(p, null, null);
    perform private.add_user_link(p -> 'link', (p ->> 'user_id')::uuid);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.invite_user(p jsonb) IS 'A new user who sets a password by a link: {actor, user_id, sign_in_name, display_name, roles, link: {id, kind: invitation, code_hash, expires_at}}.';

REVOKE ALL ON FUNCTION public.invite_user(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.invite_user(p jsonb) TO service_role;

CREATE FUNCTION public.change_user(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_user public.users;
    v_roles text[] := array(select jsonb_array_elements_text(p -> 'roles'));
begin
    perform private.set_actor(p);
    v_user := private.user_of(p);
    if v_user.display_name = p ->> 'display_name' and v_user.roles = v_roles then
        return '{}'::jsonb;
    end if;
    update public.users set display_name = p ->> 'display_name', roles = v_roles where id = v_user.id;
    if not (v_user.roles @> v_roles and v_user.roles <@ v_roles) then
        perform private.end_sessions_until(p, v_user);
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.change_user(p jsonb) IS 'Another name or other roles: {actor, user_id, display_name, roles, at}. With other roles every sign-in ends, so that none goes on with the old ones.';

REVOKE ALL ON FUNCTION public.change_user(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_user(p jsonb) TO service_role;

CREATE FUNCTION public.make_user_link(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_user public.users;
    v_kind text := p -> 'link' ->> 'kind';
begin
    perform private.set_actor(p);
    v_user := private.user_of(p);
    if exists (select 1 from public.user_links where id = (p -> 'link' ->> 'id')::uuid) then
        return '{}'::jsonb;
    end if;
    if exists (select 1 from public.user_access where id = v_user.sign_in_name and dismissed_at is not null) then
        perform private.refuse('EB005', 'This user is disabled. Enable them first.');
    end if;
    if (v_kind = 'invitation') <> (v_user.activated_at is null) then
        perform private.refuse('EB005', case when v_user.activated_at is null
            then 'This user has not set a password yet. Make a new invitation link.'
            else 'This user has accepted the invitation already.' end);
    end if;
    if v_kind = 'recovery' and not 'admin' = any (v_user.roles) then
        perform private.refuse('EB005', 'A recovery link is for administrators. They reset other people''s passwords.');
    end if;
    if v_kind = 'reset' then
        update public.user_credentials set password_hash = null where user_id = v_user.id;
        perform private.end_sessions_until(p, v_user);
    end if;
    perform private.add_user_link(p -> 'link', v_user.id);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.make_user_link(p jsonb) IS 'Another link for a user, in place of the one before: {actor, user_id, at, link: {id, kind, code_hash, expires_at}}. With a reset the password and every sign-in end at once.';

REVOKE ALL ON FUNCTION public.make_user_link(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_user_link(p jsonb) TO service_role;

CREATE FUNCTION public.use_recovery_code(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.user_credentials set recovery_codes = array_remove(recovery_codes, p ->> 'code_hash')
    where user_id = (p ->> 'user_id')::uuid and totp_secret is not null and recovery_codes @> array[p ->> 'code_hash'];
    return jsonb_build_object('used', found);
end $$;

COMMENT ON FUNCTION public.use_recovery_code(p jsonb) IS 'Uses a recovery code up: {actor, user_id, code_hash} -> {used: false when it is not one, or was used}.';

REVOKE ALL ON FUNCTION public.use_recovery_code(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_recovery_code(p jsonb) TO service_role;

CREATE FUNCTION public.user_link(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('link', (
        select jsonb_build_object('kind', l.kind, 'state', private.link_state(l, u, (p ->> 'at')::timestamptz),
                                  'sign_in_name', u.sign_in_name, 'display_name', u.display_name)
        from public.user_links l join public.users u on u.id = l.user_id
        where l.code_hash = p ->> 'code_hash'))
$$;

COMMENT ON FUNCTION public.user_link(p jsonb) IS 'Whom a link is for and whether it can be used: {code_hash, at} -> {link: null or {kind, state: good|used|void|expired|disabled, sign_in_name, display_name}}.';

REVOKE ALL ON FUNCTION public.user_link(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.user_link(p jsonb) TO service_role;

CREATE FUNCTION public.change_password(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_user public.users;
begin
    perform private.set_actor(p);
    v_user := private.user_of(p);
    update public.user_credentials
    set password_hash = p ->> 'password_hash', password_set_at = (p ->> 'at')::timestamptz
    where user_id = v_user.id and password_hash = p ->> 'old_hash';
    if not found then
        if exists (select 1 from public.user_credentials where user_id = v_user.id and password_hash = p ->> 'password_hash') then
            return '{}'::jsonb;
        end if;
        perform private.refuse('EB005', 'The password was changed meanwhile.');
    end if;
    update public.sessions set ended_at = now(), ended_by = p ->> 'actor'
    where user_id = v_user.sign_in_name and id <> p ->> 'session' and ended_at is null and expires_at > now();
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.change_password(p jsonb) IS 'Somebody changes their own password, once the old one was verified: {actor, user_id, old_hash, password_hash, session, at}. Their other sign-ins end.';

REVOKE ALL ON FUNCTION public.change_password(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_password(p jsonb) TO service_role;

CREATE FUNCTION public.rehash_password(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.user_credentials set password_hash = p ->> 'password_hash'
    where user_id = (p ->> 'user_id')::uuid and password_hash = p ->> 'old_hash';
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.rehash_password(p jsonb) IS 'The same password under the parameters of today: {user_id, old_hash, password_hash}.';

REVOKE ALL ON FUNCTION public.rehash_password(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rehash_password(p jsonb) TO service_role;

CREATE FUNCTION public.set_totp(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_user public.users;
begin
    perform private.set_actor(p);
    v_user := private.user_of(p);
    update public.user_credentials
    set totp_secret = p ->> 'secret', totp_on_at = (p ->> 'at')::timestamptz, totp_last_step = (p ->> 'step')::bigint,
        recovery_codes = array(select jsonb_array_elements_text(p -> 'recovery_codes'))
    where user_id = v_user.id;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.set_totp(p jsonb) IS 'A second factor from now on: {actor, user_id, secret: encrypted, step: of the code that confirmed it, recovery_codes: hashes, at}.';

REVOKE ALL ON FUNCTION public.set_totp(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_totp(p jsonb) TO service_role;

CREATE FUNCTION public.clear_totp(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_user public.users;
begin
    perform private.set_actor(p);
    v_user := private.user_of(p);
    update public.user_credentials set totp_secret = null, totp_on_at = null, recovery_codes = '{}'
    where user_id = v_user.id;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.clear_totp(p jsonb) IS 'No second factor any more: {actor, user_id}.';

REVOKE ALL ON FUNCTION public.clear_totp(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.clear_totp(p jsonb) TO service_role;

CREATE FUNCTION public.use_totp_step(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.user_credentials set totp_last_step = (p ->> 'step')::bigint
    where user_id = (p ->> 'user_id')::uuid and totp_secret is not null and totp_last_step < (p ->> 'step')::bigint;
    return jsonb_build_object('used', found);
end $$;

COMMENT ON FUNCTION public.use_totp_step(p jsonb) IS 'Uses the code of a time step up: {user_id, step} -> {used: false when it or a later one was used before}.';

REVOKE ALL ON FUNCTION public.use_totp_step(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_totp_step(p jsonb) TO service_role;

CREATE FUNCTION private.audit_user_secrets() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_after jsonb := private.without_secrets(to_jsonb(new));
    v_before jsonb := case when tg_op = 'UPDATE' then private.without_secrets(to_jsonb(old)) end;
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_before = v_after then
        return null;
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, before, after)
    values (v_actor, lower(tg_op), tg_table_name, v_after ->> 'user_id',
            private.changed_columns(v_after, v_before), case when v_before is null then v_after else private.changed_columns(v_before, v_after) end);
    return null;
end $$;

COMMENT ON FUNCTION private.audit_user_secrets() IS 'What of a user''s credentials or links changed, without a hash or a secret.';

REVOKE ALL ON FUNCTION private.audit_user_secrets() FROM PUBLIC;

CREATE FUNCTION private.keep_an_administrator() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- One change at a time: of two administrators who demote each other, the second is refused.
    perform pg_advisory_xact_lock(hashtextextended('users', 0));
    if exists (select 1 from public.users where activated_at is not null)
        and not exists (
            select 1 from public.users u left join public.user_access a on a.id = u.sign_in_name
            where u.activated_at is not null and 'admin' = any (u.roles) and a.dismissed_at is null)
    then
        perform private.refuse('EB005', 'This is the last administrator. Make somebody else an administrator first.');
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_an_administrator() IS 'Once there are people, one of them is an administrator who can sign in.';

REVOKE ALL ON FUNCTION private.keep_an_administrator() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_an_administrator() TO service_role;

CREATE FUNCTION private.void_links_of_dismissed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.user_links l set voided_at = now()
    from public.users u
    where u.sign_in_name = new.id and l.user_id = u.id and l.used_at is null and l.voided_at is null;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.void_links_of_dismissed() FROM PUBLIC;
GRANT ALL ON FUNCTION private.void_links_of_dismissed() TO service_role;

CREATE FUNCTION private.user_of(p jsonb) RETURNS public.users
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_user public.users;
begin
    select * into v_user from public.users where id = (p ->> 'user_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'There is no such user.');
    end if;
    return v_user;
end $$;

COMMENT ON FUNCTION private.user_of(p jsonb) IS 'The user of {user_id}, locked; EB404 when there is none.';

REVOKE ALL ON FUNCTION private.user_of(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.user_of(p jsonb) TO service_role;

CREATE FUNCTION private.without_secrets(p_row jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select p_row - 'password_hash' - 'totp_secret' - 'totp_last_step' - 'code_hash'
        || case when p_row ? 'recovery_codes' then
               jsonb_build_object('recovery_codes', jsonb_array_length(p_row -> 'recovery_codes'),
                                  'has_password', p_row ->> 'password_hash' is not null)
           else '{}' end
$$;

COMMENT ON FUNCTION private.without_secrets(p_row jsonb) IS 'A row of user_credentials or user_links for the audit trail: of recovery codes only how many there are.';

REVOKE ALL ON FUNCTION private.without_secrets(p_row jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.without_secrets(p_row jsonb) TO service_role;

CREATE FUNCTION private.refuse_renaming() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception using errcode = 'EB005', message = 'A sign-in name never changes: the audit trail names people by it.';
end $$;

REVOKE ALL ON FUNCTION private.refuse_renaming() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_renaming() TO service_role;

CREATE FUNCTION private.end_sessions_until(p jsonb, p_user public.users) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Tokens are issued to the second: one of this very second is the one that follows.
    perform public.end_sessions_of(jsonb_build_object(
        'actor', p ->> 'actor', 'user', p_user.sign_in_name,
        'at', date_trunc('second', (p ->> 'at')::timestamptz), 'dismiss', false));
end $$;

COMMENT ON FUNCTION private.end_sessions_until(p jsonb, p_user public.users) IS 'Ends every sign-in of a user that was made before {at}.';

REVOKE ALL ON FUNCTION private.end_sessions_until(p jsonb, p_user public.users) FROM PUBLIC;
GRANT ALL ON FUNCTION private.end_sessions_until(p jsonb, p_user public.users) TO service_role;

CREATE FUNCTION private.add_user(p jsonb, p_activated timestamp with time zone, p_password_hash text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.users (id, sign_in_name, display_name, roles, activated_at)
    values ((p ->> 'user_id')::uuid, p ->> 'sign_in_name', p ->> 'display_name',
            array(select jsonb_array_elements_text(p -> 'roles')), p_activated);
    insert into public.user_credentials (user_id, password_hash, password_set_at)
    values ((p ->> 'user_id')::uuid, p_password_hash, p_activated);
exception when unique_violation then
    perform private.refuse('EB005', format('There is already a user with the sign-in name %s.', p ->> 'sign_in_name'));
end $$;

COMMENT ON FUNCTION private.add_user(p jsonb, p_activated timestamp with time zone, p_password_hash text) IS 'A user of {user_id, sign_in_name, display_name, roles} with credentials; EB005 when the name is taken.';

REVOKE ALL ON FUNCTION private.add_user(p jsonb, p_activated timestamp with time zone, p_password_hash text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.add_user(p jsonb, p_activated timestamp with time zone, p_password_hash text) TO service_role;

CREATE FUNCTION private.add_user_link(p jsonb, p_user_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.user_links set voided_at = now()
    where user_id = p_user_id and used_at is null and voided_at is null;
    insert into public.user_links (id, user_id, kind, code_hash, expires_at)
    values ((p ->> 'id')::uuid, p_user_id, p ->> 'kind', p ->> 'code_hash', (p ->> 'expires_at')::timestamptz);
end $$;

COMMENT ON FUNCTION private.add_user_link(p jsonb, p_user_id uuid) IS 'A link of {id, kind, code_hash, expires_at} for a user, in place of the one before.';

REVOKE ALL ON FUNCTION private.add_user_link(p jsonb, p_user_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.add_user_link(p jsonb, p_user_id uuid) TO service_role;

CREATE FUNCTION private.link_state(p_link public.user_links, p_user public.users, p_at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case
        when exists (select 1 from public.user_access a where a.id = p_user.sign_in_name and a.dismissed_at is not null) then 'disabled'
        when p_link.used_at is not null then 'used'
        when p_link.voided_at is not null then 'void'
        when p_link.expires_at <= p_at then 'expired'
        else 'good' end
$$;

REVOKE ALL ON FUNCTION private.link_state(p_link public.user_links, p_user public.users, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.link_state(p_link public.user_links, p_user public.users, p_at timestamp with time zone) TO service_role;

CREATE FUNCTION public.use_user_link(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_link public.user_links;
    v_user public.users;
    v_state text;
begin
    perform private.set_actor(p);
    select * into v_link from public.user_links where code_hash = p ->> 'code_hash';
    if not found then
        perform private.refuse('EB404', 'There is no such link.');
    end if;
    v_user := private.user_of(jsonb_build_object('user_id', v_link.user_id));
    select * into v_link from public.user_links where id = v_link.id for update;
    v_state := private.link_state(v_link, v_user, (p ->> 'at')::timestamptz);
    if v_state = 'used' and exists (
        select 1 from public.user_credentials where user_id = v_user.id and password_hash = p ->> 'password_hash') then
        -- This very call, repeated: nobody else makes the same hash.
        return '{}'::jsonb;
    end if;
    if v_state <> 'good' then
        perform private.refuse('EB005', case v_state
            when 'used' then 'This link has been used already.'
            when 'expired' then 'This link is too old.'
            else 'This link is no longer good.' end);
    end if;
    update public.user_links set used_at = (p ->> 'at')::timestamptz where id = v_link.id;
    update public.user_credentials
    set password_hash = p ->> 'password_hash', password_set_at = (p ->> 'at')::timestamptz,
        totp_secret = case when v_link.kind <> 'recovery' then totp_secret end,
        totp_on_at = case when v_link.kind <> 'recovery' then totp_on_at end,
        recovery_codes = case when v_link.kind <> 'recovery' then recovery_codes else '{}' end
    where user_id = v_user.id;
    update public.users set activated_at = coalesce(activated_at, (p ->> 'at')::timestamptz) where id = v_user.id;
    perform private.end_sessions_until(p, v_user);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.use_user_link(p jsonb) IS 'A password set by a link, which is used up: {actor, code_hash, password_hash, at}. Every sign-in from before ends.';

REVOKE ALL ON FUNCTION public.use_user_link(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_user_link(p jsonb) TO service_role;

CREATE TRIGGER keep_an_administrator AFTER INSERT OR UPDATE ON public.user_access FOR EACH STATEMENT EXECUTE FUNCTION private.keep_an_administrator();

CREATE TRIGGER void_links_of_dismissed AFTER INSERT OR UPDATE ON public.user_access FOR EACH ROW WHEN ((new.dismissed_at IS NOT NULL)) EXECUTE FUNCTION private.void_links_of_dismissed();

CREATE TRIGGER audit_insert AFTER INSERT ON public.users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER keep_an_administrator AFTER UPDATE OF roles, activated_at ON public.users FOR EACH STATEMENT EXECUTE FUNCTION private.keep_an_administrator();

CREATE TRIGGER never_renamed BEFORE UPDATE ON public.users FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.sign_in_name IS DISTINCT FROM new.sign_in_name))) EXECUTE FUNCTION private.refuse_renaming();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.users FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER audit_secrets AFTER INSERT OR UPDATE ON public.user_credentials FOR EACH ROW EXECUTE FUNCTION private.audit_user_secrets();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.user_credentials FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.user_credentials FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER audit_secrets AFTER INSERT OR UPDATE ON public.user_links FOR EACH ROW EXECUTE FUNCTION private.audit_user_secrets();

CREATE TRIGGER ended_for_good BEFORE UPDATE ON public.user_links FOR EACH ROW WHEN (((((((old.id IS DISTINCT FROM new.id) OR (old.user_id IS DISTINCT FROM new.user_id)) OR (old.kind IS DISTINCT FROM new.kind)) OR (old.code_hash IS DISTINCT FROM new.code_hash)) OR (old.expires_at IS DISTINCT FROM new.expires_at)) OR ((old.used_at IS NOT NULL) AND (old.used_at IS DISTINCT FROM new.used_at)) OR ((old.voided_at IS NOT NULL) AND (old.voided_at IS DISTINCT FROM new.voided_at)))) EXECUTE FUNCTION private.refuse_reopening();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.user_links FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.user_links FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();
