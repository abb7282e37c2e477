-- A restore ends every sign-in, also those that the backup never saw, of people whom it does not know.
alter table public.installation add column restored_at timestamptz;
comment on column public.installation.restored_at is 'When a backup was restored into it last: tokens issued before are refused.';

create or replace function private.end_restored_sign_ins() returns void
    language plpgsql
    set search_path to ''
    as $$
begin
    perform private.set_actor('{"actor": "system:restore"}');
    update public.user_links set voided_at = now() where used_at is null and voided_at is null;
    update public.installation set restored_at = greatest(restored_at, now()) where true;
    update public.sessions set ended_at = now(), ended_by = 'system:restore'
    where ended_at is null and expires_at > now();
end $$;

create or replace function public.use_session(p jsonb) returns jsonb
    language plpgsql
    set search_path to ''
    as $$
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
