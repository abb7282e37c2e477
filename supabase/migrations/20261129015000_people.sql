-- People of the system's own: users, their passwords and second factors, one-time links.

create table public.users (
    id uuid primary key,
    sign_in_name text not null unique check (sign_in_name <> '' and sign_in_name = lower(sign_in_name)),
    display_name text not null check (display_name <> ''),
    roles text[] not null check (roles <> '{}' and roles <@ array['engineer', 'cashier', 'clerk', 'manager', 'auditor', 'admin']),
    activated_at timestamptz,
    created_at timestamptz not null default now()
);
comment on table public.users is 'People who sign in with a password of their own. Who may not sign in stands in user_access; nobody is ever deleted.';
comment on column public.users.sign_in_name is 'What they sign in with, and whom the audit trail names. It never changes and is never given to another.';
comment on column public.users.activated_at is 'When they set their first password; null: invited.';
select private.audit_table('public.users');
select private.keep_rows('public.users');

create table public.user_credentials (
    user_id uuid primary key references public.users,
    password_hash text,
    password_set_at timestamptz,
    totp_secret text,
    totp_on_at timestamptz,
    totp_last_step bigint not null default 0,
    recovery_codes text[] not null default '{}',
    check ((totp_secret is null) = (totp_on_at is null))
);
comment on table public.user_credentials is 'What proves who somebody is; apart from users, so that no list, export or audit row holds it.';
comment on column public.user_credentials.password_hash is 'Argon2id with its parameters; null: a link to set one is out.';
comment on column public.user_credentials.totp_secret is 'Encrypted by the application under a key that the database does not hold.';
comment on column public.user_credentials.totp_last_step is 'The time step of the last code that was accepted: none up to it is accepted again.';
comment on column public.user_credentials.recovery_codes is 'Hashes of the codes that have not been used.';
select private.keep_rows('public.user_credentials');

create table public.user_links (
    id uuid primary key,
    user_id uuid not null references public.users,
    kind text not null check (kind in ('invitation', 'reset', 'recovery')),
    code_hash text not null unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    voided_at timestamptz
);
create unique index user_links_open on public.user_links (user_id) where used_at is null and voided_at is null;
create index user_links_of_user on public.user_links (user_id);
comment on table public.user_links is 'Links by which one user sets a password, once; only the hash of the code is kept.';
comment on column public.user_links.kind is 'recovery: made on the machine itself for an administrator; it also takes the second factor away.';
comment on column public.user_links.voided_at is 'Replaced by another link, or its user was disabled.';
select private.keep_rows('public.user_links');

create function private.audit_user_secrets() returns trigger
language plpgsql security definer set search_path = '' as $$
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
comment on function private.audit_user_secrets is 'What of a user''s credentials or links changed, without a hash or a secret.';

create function private.without_secrets(p_row jsonb) returns jsonb
language sql immutable set search_path = '' as $$
    select p_row - 'password_hash' - 'totp_secret' - 'totp_last_step' - 'code_hash'
        || case when p_row ? 'recovery_codes' then
               jsonb_build_object('recovery_codes', jsonb_array_length(p_row -> 'recovery_codes'),
                                  'has_password', p_row ->> 'password_hash' is not null)
           else '{}' end
$$;
comment on function private.without_secrets is 'A row of user_credentials or user_links for the audit trail: of recovery codes only how many there are.';
create trigger audit_secrets after insert or update on public.user_credentials
    for each row execute function private.audit_user_secrets();
create trigger audit_secrets after insert or update on public.user_links
    for each row execute function private.audit_user_secrets();

create trigger ended_for_good before update on public.user_links for each row
    when ((old.id, old.user_id, old.kind, old.code_hash, old.expires_at)
              is distinct from (new.id, new.user_id, new.kind, new.code_hash, new.expires_at)
          or (old.used_at is not null and old.used_at is distinct from new.used_at)
          or (old.voided_at is not null and old.voided_at is distinct from new.voided_at))
    execute function private.refuse_reopening();

create function private.refuse_renaming() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'EB005', message = 'A sign-in name never changes: the audit trail names people by it.';
end $$;
create trigger never_renamed before update on public.users for each row
    when ((old.id, old.sign_in_name) is distinct from (new.id, new.sign_in_name))
    execute function private.refuse_renaming();

-- The last administrator.

create function private.keep_an_administrator() returns trigger
language plpgsql set search_path = '' as $$
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
comment on function private.keep_an_administrator is 'Once there are people, one of them is an administrator who can sign in.';
create trigger keep_an_administrator after update of roles, activated_at on public.users
    for each statement execute function private.keep_an_administrator();
create trigger keep_an_administrator after insert or update on public.user_access
    for each statement execute function private.keep_an_administrator();

create function private.void_links_of_dismissed() returns trigger
language plpgsql set search_path = '' as $$
begin
    update public.user_links l set voided_at = now()
    from public.users u
    where u.sign_in_name = new.id and l.user_id = u.id and l.used_at is null and l.voided_at is null;
    return null;
end $$;
create trigger void_links_of_dismissed after insert or update on public.user_access
    for each row when (new.dismissed_at is not null) execute function private.void_links_of_dismissed();

-- Whom there are.

create view public.user_list with (security_invoker = true) as
select u.id, u.sign_in_name, u.display_name, u.roles, u.created_at, u.activated_at, a.dismissed_at,
       case when a.dismissed_at is not null then 'disabled' when u.activated_at is null then 'invited' else 'active' end as state,
       c.password_hash is not null as has_password, c.password_set_at,
       c.totp_on_at, cardinality(c.recovery_codes) as recovery_codes_left,
       (select max(s.last_used_at) from public.sessions s where s.user_id = u.sign_in_name) as last_active_at,
       (select l.expires_at from public.user_links l where l.user_id = u.id and l.used_at is null and l.voided_at is null) as link_expires_at
from public.users u
join public.user_credentials c on c.user_id = u.id
left join public.user_access a on a.id = u.sign_in_name;
comment on view public.user_list is 'Users as administrators see them: no hash and no secret.';

create function public.users_exist(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('exist', exists (select 1 from public.users))
$$;
comment on function public.users_exist is 'Whether anybody has been made a user: {} -> {exist}.';

create function public.list_users(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
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
end $$;
comment on function public.list_users is 'A page of the users: {text?, role?, state?, ids?, sort: sign_in_name|display_name, and what private.page_by_key takes} -> {keys, more, total, rows: of user_list}.';

create function public.user_to_sign_in(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
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
comment on function public.user_to_sign_in is 'What a sign-in is checked against: {sign_in_name} -> {user: null or with password_hash and totp_secret (encrypted)}.';

-- Changes.

create function private.user_of(p jsonb) returns public.users
language plpgsql set search_path = '' as $$
declare
    v_user public.users;
begin
    select * into v_user from public.users where id = (p ->> 'user_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'There is no such user.');
    end if;
    return v_user;
end $$;
comment on function private.user_of is 'The user of {user_id}, locked; EB404 when there is none.';

create function private.end_sessions_until(p jsonb, p_user public.users) returns void
language plpgsql set search_path = '' as $$
begin
    -- Tokens are issued to the second: one of this very second is the one that follows.
    perform public.end_sessions_of(jsonb_build_object(
        'actor', p ->> 'actor', 'user', p_user.sign_in_name,
        'at', date_trunc('second', (p ->> 'at')::timestamptz), 'dismiss', false));
end $$;
comment on function private.end_sessions_until is 'Ends every sign-in of a user that was made before {at}.';

create function private.add_user(p jsonb, p_activated timestamptz, p_password_hash text) returns void
language plpgsql set search_path = '' as $$
begin
    insert into public.users (id, sign_in_name, display_name, roles, activated_at)
    values ((p ->> 'user_id')::uuid, p ->> 'sign_in_name', p ->> 'display_name',
            array(select jsonb_array_elements_text(p -> 'roles')), p_activated);
    insert into public.user_credentials (user_id, password_hash, password_set_at)
    values ((p ->> 'user_id')::uuid, p_password_hash, p_activated);
exception when unique_violation then
    perform private.refuse('EB005', format('There is already a user with the sign-in name %s.', p ->> 'sign_in_name'));
end $$;
comment on function private.add_user is 'A user of {user_id, sign_in_name, display_name, roles} with credentials; EB005 when the name is taken.';

create function private.add_user_link(p jsonb, p_user_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    update public.user_links set voided_at = now()
    where user_id = p_user_id and used_at is null and voided_at is null;
    insert into public.user_links (id, user_id, kind, code_hash, expires_at)
    values ((p ->> 'id')::uuid, p_user_id, p ->> 'kind', p ->> 'code_hash', (p ->> 'expires_at')::timestamptz);
end $$;
comment on function private.add_user_link is 'A link of {id, kind, code_hash, expires_at} for a user, in place of the one before.';

create function public.create_first_administrator(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.create_first_administrator is 'The first user: {actor, user_id, sign_in_name, display_name, password_hash, at}. EB005 when there is one already.';

create function public.invite_user(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.invite_user is 'A new user who sets a password by a link: {actor, user_id, sign_in_name, display_name, roles, link: {id, kind: invitation, code_hash, expires_at}}.';

create function public.change_user(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.change_user is 'Another name or other roles: {actor, user_id, display_name, roles, at}. With other roles every sign-in ends, so that none goes on with the old ones.';

create function public.make_user_link(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.make_user_link is 'Another link for a user, in place of the one before: {actor, user_id, at, link: {id, kind, code_hash, expires_at}}. With a reset the password and every sign-in end at once.';

create function private.link_state(p_link public.user_links, p_user public.users, p_at timestamptz) returns text
language sql stable set search_path = '' as $$
    select case
        when exists (select 1 from public.user_access a where a.id = p_user.sign_in_name and a.dismissed_at is not null) then 'disabled'
        when p_link.used_at is not null then 'used'
        when p_link.voided_at is not null then 'void'
        when p_link.expires_at <= p_at then 'expired'
        else 'good' end
$$;

create function public.user_link(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('link', (
        select jsonb_build_object('kind', l.kind, 'state', private.link_state(l, u, (p ->> 'at')::timestamptz),
                                  'sign_in_name', u.sign_in_name, 'display_name', u.display_name)
        from public.user_links l join public.users u on u.id = l.user_id
        where l.code_hash = p ->> 'code_hash'))
$$;
comment on function public.user_link is 'Whom a link is for and whether it can be used: {code_hash, at} -> {link: null or {kind, state: good|used|void|expired|disabled, sign_in_name, display_name}}.';

create function public.use_user_link(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_link public.user_links;
    v_user public.users;
    v_state text;
begin
    perform private.set_actor(p);
    select * into v_link from public.user_links where code_hash = p ->> 'code_hash' for update;
    if not found then
        perform private.refuse('EB404', 'There is no such link.');
    end if;
    v_user := private.user_of(jsonb_build_object('user_id', v_link.user_id));
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
comment on function public.use_user_link is 'A password set by a link, which is used up: {actor, code_hash, password_hash, at}. Every sign-in from before ends.';

create function public.change_password(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.change_password is 'Somebody changes their own password, once the old one was verified: {actor, user_id, old_hash, password_hash, session, at}. Their other sign-ins end.';

create function public.rehash_password(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    update public.user_credentials set password_hash = p ->> 'password_hash'
    where user_id = (p ->> 'user_id')::uuid and password_hash = p ->> 'old_hash';
    return '{}'::jsonb;
end $$;
comment on function public.rehash_password is 'The same password under the parameters of today: {user_id, old_hash, password_hash}.';

create function public.set_totp(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.set_totp is 'A second factor from now on: {actor, user_id, secret: encrypted, step: of the code that confirmed it, recovery_codes: hashes, at}.';

create function public.clear_totp(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_user public.users;
begin
    perform private.set_actor(p);
    v_user := private.user_of(p);
    update public.user_credentials set totp_secret = null, totp_on_at = null, recovery_codes = '{}'
    where user_id = v_user.id;
    return '{}'::jsonb;
end $$;
comment on function public.clear_totp is 'No second factor any more: {actor, user_id}.';

create function public.use_totp_step(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    update public.user_credentials set totp_last_step = (p ->> 'step')::bigint
    where user_id = (p ->> 'user_id')::uuid and totp_secret is not null and totp_last_step < (p ->> 'step')::bigint;
    return jsonb_build_object('used', found);
end $$;
comment on function public.use_totp_step is 'Uses the code of a time step up: {user_id, step} -> {used: false when it or a later one was used before}.';

create function public.use_recovery_code(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.user_credentials set recovery_codes = array_remove(recovery_codes, p ->> 'code_hash')
    where user_id = (p ->> 'user_id')::uuid and totp_secret is not null and recovery_codes @> array[p ->> 'code_hash'];
    return jsonb_build_object('used', found);
end $$;
comment on function public.use_recovery_code is 'Uses a recovery code up: {actor, user_id, code_hash} -> {used: false when it is not one, or was used}.';

-- Sign-ins by password.

alter table public.sessions drop constraint sessions_via_check;
alter table public.sessions add constraint sessions_via_check check (via in ('token', 'demo', 'link', 'password'));
comment on column public.sessions.via is 'link: a right to choose a role; demo: a role chosen by it; password: a user of the system''s own.';

alter table public.users enable row level security;
alter table public.user_credentials enable row level security;
alter table public.user_links enable row level security;
revoke all on public.users, public.user_credentials, public.user_links, public.user_list
    from public, anon, authenticated, service_role;
grant select, insert, update on public.users, public.user_credentials, public.user_links to service_role;
grant select on public.user_list to service_role;
revoke all on function public.users_exist, public.list_users, public.user_to_sign_in, public.create_first_administrator,
    public.invite_user, public.change_user, public.make_user_link, public.user_link, public.use_user_link, public.change_password,
    public.rehash_password, public.set_totp, public.clear_totp, public.use_totp_step, public.use_recovery_code
    from public, anon, authenticated;
grant execute on function public.users_exist, public.list_users, public.user_to_sign_in, public.create_first_administrator,
    public.invite_user, public.change_user, public.make_user_link, public.user_link, public.use_user_link, public.change_password,
    public.rehash_password, public.set_totp, public.clear_totp, public.use_totp_step, public.use_recovery_code
    to service_role;
revoke all on function private.audit_user_secrets, private.without_secrets, private.refuse_renaming, private.keep_an_administrator,
    private.void_links_of_dismissed, private.user_of, private.end_sessions_until, private.add_user, private.add_user_link,
    private.link_state from public, anon, authenticated, service_role;
grant execute on function private.without_secrets, private.refuse_renaming, private.keep_an_administrator,
    private.void_links_of_dismissed, private.user_of, private.end_sessions_until, private.add_user, private.add_user_link,
    private.link_state to service_role;
