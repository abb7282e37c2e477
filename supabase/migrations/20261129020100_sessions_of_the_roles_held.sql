-- Whoever signs in by password in the instant in which their roles change or their password is reset: what was
-- read before is in the token, and the token is of the same second.
create or replace function public.use_session(p jsonb) returns jsonb
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
