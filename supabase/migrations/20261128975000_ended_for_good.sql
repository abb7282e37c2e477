-- What was ended stays ended, whoever asks: sign-ins, used rights of a sign-in link, revoked keys.
-- Nor may a row become another's, which would set the ended one free.

create function private.refuse_reopening() returns trigger
    language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'EB005',
        message = format('What was ended in %s is not opened again.', tg_table_name);
end $$;
comment on function private.refuse_reopening() is
    'A trigger''s refusal; the trigger''s own condition says what would open something again.';

create trigger ended_for_good before update on public.sessions for each row
    when ((old.id, old.user_id, old.role, old.via, old.issued_at, old.expires_at)
              is distinct from (new.id, new.user_id, new.role, new.via, new.issued_at, new.expires_at)
          or (old.ended_at is not null
              and (old.ended_at, old.ended_by) is distinct from (new.ended_at, new.ended_by)))
    execute function private.refuse_reopening();
create trigger ended_for_good before update on public.api_keys for each row
    when ((old.id, old.key_hash, old.role, old.scope, old.expires_at)
              is distinct from (new.id, new.key_hash, new.role, new.scope, new.expires_at)
          or (old.revoked_at is not null and old.revoked_at is distinct from new.revoked_at))
    execute function private.refuse_reopening();
create trigger ended_for_good before update on public.user_access for each row
    when (old.id <> new.id or new.sessions_end_before < old.sessions_end_before)
    execute function private.refuse_reopening();

-- A deleted row would be inserted again by the next use of its token.
select private.keep_rows('public.sessions');
select private.keep_rows('public.api_keys');

grant execute on all functions in schema private to service_role;
