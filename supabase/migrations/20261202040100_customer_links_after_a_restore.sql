-- A restored backup does not know which links were ended since: like sign-ins, those of before are of no use.

create or replace function public.customer_page(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := (p ->> 'customer_id')::uuid;
begin
    -- Each by its own index.
    if v_id is null then
        select c.id into v_id from public.customers c where c.account_no = p ->> 'account_no';
    end if;
    return jsonb_build_object('page', (
        select jsonb_build_object('customer_id', c.id, 'account_no', c.account_no, 'generation', private.page_generation(c.id),
                                  'restored_at', (select i.restored_at from public.installation i))
        from public.customers c where c.id = v_id));
end $$;
comment on function public.customer_page(p jsonb) is 'Whose page it is and which links are good: {customer_id or account_no} -> {page: {customer_id, account_no, generation, restored_at} or null}. Links made before a backup was restored are not.';

create or replace function public.customer_session(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('session', (
        select jsonb_build_object(
            'id', s.id, 'customer_id', c.id, 'account_no', c.account_no, 'name', c.name, 'language', c.language,
            'currency', c.currency, 'confirmed', s.confirmed_at is not null, 'expires_at', s.expires_at, 'generation', s.generation)
        from public.customer_sessions s join public.customers c on c.id = s.customer_id
        where s.token_hash = p ->> 'token_hash' and s.ended_at is null and s.expires_at > (p ->> 'at')::timestamptz
          and s.generation = private.page_generation(s.customer_id)
          and not exists (select 1 from public.installation i where i.restored_at > s.opened_at)))
$$;
