-- A backup knows nothing of what was taken away since: sign-ins that were ended and links that were used would hold again.
create function private.end_restored_sign_ins() returns void
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor('{"actor": "system:restore"}');
    update public.user_links set voided_at = now() where used_at is null and voided_at is null;
    insert into public.user_access as a (id, sessions_end_before)
    select u.sign_in_name, now() from public.users u order by u.sign_in_name
    on conflict (id) do update set sessions_end_before = greatest(a.sessions_end_before, excluded.sessions_end_before);
    update public.sessions set ended_at = now(), ended_by = 'system:restore'
    where ended_at is null and expires_at > now();
end $$;
comment on function private.end_restored_sign_ins is
    'After a restore: whoever was signed in signs in again, and links to set a password are made anew.';
revoke all on function private.end_restored_sign_ins from public;
grant execute on function private.end_restored_sign_ins to service_role;
