-- Keys for machines: listed without their hashes, and revoked.

create view public.api_key_list with (security_invoker = true) as
select k.id, k.name, k.role, k.created_at, k.revoked_at,
       (select a.actor from public.audit_log a
        where a.table_name = 'api_keys' and a.row_id = k.id::text and a.action = 'insert'
        limit 1) as created_by,
       (select a.actor from public.audit_log a
        where a.table_name = 'api_keys' and a.row_id = k.id::text and a.action = 'update'
          and a.after ? 'revoked_at'
        limit 1) as revoked_by
from public.api_keys k;
comment on view public.api_key_list is 'The keys without their hashes, with who made and who revoked each.';

create function public.revoke_api_key(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.api_keys set revoked_at = now()
    where id = (p ->> 'id')::uuid and revoked_at is null;
    if not found and not exists (select 1 from public.api_keys where id = (p ->> 'id')::uuid) then
        raise exception using errcode = 'EB404', message = 'There is no such API key.';
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.revoke_api_key is
    'Ends a key for good: {actor, id}. Of a key that is revoked already nothing changes.';

revoke all on public.api_key_list from public, anon, authenticated;
revoke all on function public.revoke_api_key from public, anon, authenticated;
grant select on public.api_key_list to service_role;
grant execute on function public.revoke_api_key to service_role;
