-- Sign-ins that can be ended, people who may no longer sign in, keys that expire, and the security log.

create table public.sessions (
    id text primary key check (id <> ''),
    user_id text not null,
    role text check (role in ('engineer', 'admin')),
    via text not null check (via in ('token', 'demo', 'link')),
    address text not null default '',
    issued_at timestamptz not null,
    expires_at timestamptz not null,
    first_used_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    ended_at timestamptz,
    ended_by text,
    check ((ended_at is null) = (ended_by is null)),
    check ((via = 'link') = (role is null))
);
create index sessions_recent on public.sessions (first_used_at desc, id desc);
create index sessions_of_user on public.sessions (user_id, first_used_at desc, id desc);
comment on table public.sessions is
    'Each token that was used here: a sign-in in a browser, a token of the command line or of the sign-in service, or a browser''s right to choose a role.';
comment on column public.sessions.id is 'The token''s own id (jti), or what stands for it; never the token.';
comment on column public.sessions.last_used_at is 'To the minute.';
comment on column public.sessions.ended_at is 'From then on the token is refused, however long it was made for.';

create table public.user_access (
    id text primary key check (id <> ''),
    sessions_end_before timestamptz not null,
    dismissed_at timestamptz
);
comment on table public.user_access is 'People whose sign-ins were ended together, by user id. Nobody else is here.';
comment on column public.user_access.sessions_end_before is 'Tokens issued before are refused, seen here or not.';
comment on column public.user_access.dismissed_at is 'Since when every token of this user is refused; null: may sign in.';
select private.audit_table('public.user_access');
select private.keep_rows('public.user_access');

-- What `use_session` answers: whether the token still opens anything.
create function public.use_session(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.use_session is
    'Notes that a verified token is used, and says whether it still holds: {id, user, role, via, address, issued_at, expires_at} -> {state: new|good|ended|dismissed}.';

create function public.end_session(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.sessions set ended_at = now(), ended_by = p ->> 'actor'
    where id = p ->> 'id' and ended_at is null;
    if not found and not exists (select 1 from public.sessions where id = p ->> 'id') then
        perform private.refuse('EB404', 'There is no such sign-in.');
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.end_session is
    'Ends a sign-in for good: {actor, id}. Of one that has ended already nothing changes.';

create function public.end_sessions_of(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_ended integer;
begin
    perform private.set_actor(p);
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
comment on function public.end_sessions_of is
    'Ends every sign-in of a user, also those that were never used here, and with dismiss refuses new ones: {actor, user, at, dismiss} -> {ended}.';

create function public.readmit_user(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.user_access set dismissed_at = null where id = p ->> 'user' and dismissed_at is not null;
    return '{}'::jsonb;
end $$;
comment on function public.readmit_user is
    'Lets a dismissed user sign in again, with a new token: {actor, user}.';

create view public.session_list with (security_invoker = true) as
select s.id, s.user_id, s.role, s.via, s.address, s.issued_at, s.expires_at, s.first_used_at, s.last_used_at,
       s.ended_at, s.ended_by, a.dismissed_at
from public.sessions s left join public.user_access a on a.id = s.user_id;
comment on view public.session_list is 'Sign-ins, with since when their user is dismissed.';

create function public.sessions_page(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('sessions', coalesce(jsonb_agg(to_jsonb(s) order by s.first_used_at desc, s.id desc), '[]'))
    from (select l.* from public.session_list l
          where (p ->> 'user' is null or l.user_id = p ->> 'user')
            and (not (p ->> 'open')::boolean or (l.ended_at is null and l.expires_at > now()))
            and (p ->> 'after' is null or (l.first_used_at, l.id) <
                 (select o.first_used_at, o.id from public.sessions o where o.id = p ->> 'after'))
          order by l.first_used_at desc, l.id desc limit (p ->> 'limit')::integer) s
$$;
comment on function public.sessions_page is
    'Sign-ins, the latest first, after one of them: {user?, open, after?, limit} -> {sessions}.';

-- The security log: rows are only added. The owner of the database may delete the oldest by time.
create table public.security_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    event text not null check (event <> ''),
    who text not null default '',
    address text not null default '',
    detail text not null default ''
);
create index security_log_at on public.security_log using brin (at);
create index security_log_event on public.security_log (event, id desc);
create index security_log_who on public.security_log (who, id desc);
comment on table public.security_log is
    'Sign-ins, sign-outs, refusals and the use of keys, without any secret. Often repeated refusals are one row a minute.';

create function public.note_security_event(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    insert into public.security_log (event, who, address, detail)
    values (p ->> 'event', left(p ->> 'who', 200), left(p ->> 'address', 100), left(p ->> 'detail', 500));
    return '{}'::jsonb;
end $$;
comment on function public.note_security_event is 'Adds a row to the security log: {event, who, address, detail}.';

-- Keys for programs: until when, and what for.
alter table public.api_keys
    add column expires_at timestamptz,
    add column scope text not null default 'all' check (scope in ('all', 'submit_readings', 'read_bills'));
comment on column public.api_keys.expires_at is 'From then on it is refused; null: a key from before keys expired.';
comment on column public.api_keys.scope is 'all: whatever its role may do.';

create table public.api_key_uses (
    key_id uuid primary key references public.api_keys,
    first_used_at timestamptz not null default now(),
    last_used_at timestamptz not null default now()
);
comment on table public.api_key_uses is 'When each key was first and last used, to the minute.';

create function public.use_api_key(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_first boolean;
begin
    insert into public.api_key_uses as u (key_id) values ((p ->> 'id')::uuid)
    on conflict (key_id) do update set last_used_at = now()
    returning u.first_used_at = now() into v_first;
    return jsonb_build_object('first', v_first);
end $$;
comment on function public.use_api_key is
    'Notes that a key is used: {id} -> {first: whether it was never used before}.';

create or replace function public.add_api_key(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
comment on function public.add_api_key is
    'Keeps the hash of a new key: {actor, id, name, key_hash, role, scope, expires_at}.';

create or replace view public.api_key_list with (security_invoker = true) as
select k.id, k.name, k.role, k.created_at, k.revoked_at,
       (select a.actor from public.audit_log a
        where a.table_name = 'api_keys' and a.row_id = k.id::text and a.action = 'insert'
        limit 1) as created_by,
       (select a.actor from public.audit_log a
        where a.table_name = 'api_keys' and a.row_id = k.id::text and a.action = 'update'
          and a.after ? 'revoked_at'
        limit 1) as revoked_by,
       k.scope, k.expires_at, u.last_used_at
from public.api_keys k left join public.api_key_uses u on u.key_id = k.id;

-- An engineer sees the bills of meters that they read: of one reader if `reader` is given.
create or replace function public.customer_bills(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_customer uuid;
    v_after public.bills;
    v_bills jsonb;
    v_limit integer := (p ->> 'limit')::integer;
begin
    select id into v_customer from public.customers
    where id::text = lower(p ->> 'customer') or account_no = p ->> 'customer'
    order by id::text = lower(p ->> 'customer') desc limit 1;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    if p ->> 'after' is not null then
        select * into v_after from public.bills
        where id::text = lower(p ->> 'after') and customer_id = v_customer;
        if not found then
            perform private.refuse('EB404', 'This customer has no such bill to go on after.');
        end if;
    end if;
    select jsonb_agg(to_jsonb(b) - 'search' order by b.period_end desc, b.id desc) into v_bills
    from (select * from public.bill_list l
          where l.customer_id = v_customer and l.status <> 'draft'
            and (v_after.id is null or (l.period_end, l.id) < (v_after.period_end, v_after.id))
            and (p ->> 'reader' is null or exists (
                 select 1 from public.readings r
                 where r.meter_id = l.meter_id and r.submitted_by = p ->> 'reader'
                   and r.status in ('accepted', 'superseded')))
          order by l.period_end desc, l.id desc limit v_limit + 1) b;
    return jsonb_build_object('bills', coalesce(v_bills, '[]'));
end $$;
comment on function public.customer_bills is
    'Bills of a customer (id or account number), newest period first, after a bill, with reader only those of meters that they read: {customer, reader?, after?, limit} -> {bills: up to limit + 1}.';

-- The audit trail is written by its triggers alone. They run as their owner, so that nobody else
-- needs the right to insert; on a table of somebody's own, such as a temporary one, they refuse.
create or replace function private.audit() returns trigger
-- Transition tables have no statistics: left alone, the planner joins a thousand rows row by row.
language plpgsql security definer set search_path = '' set enable_nestloop = off as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, after)
        select v_actor, 'insert', tg_table_name, n.id::text, to_jsonb(n) - 'lines'
        from new_rows n;
    else
        insert into public.audit_log (actor, action, table_name, row_id, before, after)
        select v_actor, 'update', tg_table_name, r.id::text,
               private.changed_columns(r.n, r.o), private.changed_columns(r.o, r.n)
        from (select n.id, to_jsonb(o) as o, to_jsonb(n) as n
              from new_rows n join old_rows o on o.id = n.id
              where o is distinct from n
              offset 0) r;
    end if;
    return null;
end $$;

create or replace function private.audit_customer_channels() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_after jsonb := to_jsonb(new) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(new.discord_webhook_url));
    v_before jsonb;
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, after)
        values (v_actor, 'insert', tg_table_name, new.customer_id::text, v_after);
        return null;
    end if;
    v_before := to_jsonb(old) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(old.discord_webhook_url));
    if v_before <> v_after then
        insert into public.audit_log (actor, action, table_name, row_id, before, after)
        values (v_actor, 'update', tg_table_name, new.customer_id::text,
                private.changed_columns(v_after, v_before), private.changed_columns(v_before, v_after));
    end if;
    return null;
end $$;

create function private.audit_reopened_work() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, before, after)
    values (v_actor, 'update', tg_table_name, new.id::text,
            jsonb_build_object('status', old.status, 'steps', old.steps),
            jsonb_build_object('status', new.status, 'steps', new.steps));
    return null;
end $$;
comment on function private.audit_reopened_work is 'Of the outbox only this is audited: a person takes finished work up again.';
create trigger audit_reopened after update on public.outbox
    for each row when (old.status <> 'open' and new.status = 'open')
    execute function private.audit_reopened_work();

create or replace function public.retry_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.outbox;
    v_unsent boolean;
    v_steps jsonb;
begin
    perform private.set_actor(p);
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such work.');
    end if;
    if v_row.status = 'open' then
        return '{}'::jsonb;
    end if;
    update public.notifications set status = 'waiting', updated_at = now()
    where bill_id = v_row.bill_id and kind = v_row.kind and occasion = v_row.occasion and status in ('failed', 'waiting');
    v_unsent := found;
    v_steps := private.to_try_again(v_row.steps, v_unsent);
    if v_steps = v_row.steps then
        perform private.refuse('EB005', 'Nothing of this can be tried again.');
    end if;
    update public.outbox
    set steps = v_steps, status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null,
        lease_owner = null, lease_until = null
    where id = v_row.id;
    return '{}'::jsonb;
end $$;

create function private.refuse_audit_by_hand() returns trigger
language plpgsql set search_path = '' as $$
begin
    -- 1 is this trigger; an audit trigger's insert comes from inside another one.
    if pg_trigger_depth() < 2 then
        raise exception using errcode = '42501', message = 'The audit trail is written by its triggers alone.';
    end if;
    return null;
end $$;
comment on function private.refuse_audit_by_hand is 'Holds for the owner of the tables too.';
create trigger by_triggers_alone before insert on public.audit_log
    for each statement execute function private.refuse_audit_by_hand();

alter table public.sessions enable row level security;
alter table public.user_access enable row level security;
alter table public.security_log enable row level security;
alter table public.api_key_uses enable row level security;
revoke all on public.sessions, public.user_access, public.security_log, public.api_key_uses, public.session_list
    from public, anon, authenticated, service_role;
grant select, insert, update on public.sessions, public.user_access, public.api_key_uses to service_role;
grant select, insert on public.security_log to service_role;
grant select on public.session_list to service_role;
grant usage on all sequences in schema public to service_role;
revoke insert on public.audit_log from service_role;
revoke trigger on all tables in schema public from service_role;
revoke all on function public.use_session, public.end_session, public.end_sessions_of, public.readmit_user,
    public.sessions_page, public.note_security_event, public.use_api_key from public, anon, authenticated;
grant execute on function public.use_session, public.end_session, public.end_sessions_of, public.readmit_user,
    public.sessions_page, public.note_security_event, public.use_api_key to service_role;
revoke all on function private.audit, private.audit_customer_channels, private.audit_reopened_work,
    private.refuse_audit_by_hand from public, anon, authenticated, service_role;
