-- Identifiers that a spreadsheet damaged make no second customer or meter, and a row that leaves a
-- cell empty takes nothing away.

create function private.identifier_key(p_identifier text) returns text
language sql immutable strict set search_path = '' as $$
    select case when k.key = '' and p_identifier <> '' then '0' else k.key end
    from (select ltrim(regexp_replace(upper(regexp_replace(normalize(p_identifier, NFKC), '\s', '', 'g')),
                                      '^([0-9]+)\.0+$', '\1'), '0') as key) k
$$;
comment on function private.identifier_key is
    'What two identifiers have in common that differ only by what a spreadsheet or a hurried hand changes: leading zeros, case, spaces, wide letters, a .0 at the end.';

create index customers_like on public.customers (private.identifier_key(account_no));
create index meters_like on public.meters (private.identifier_key(serial));
create index transformers_like on public.transformers (private.identifier_key(code));

create function public.identifier_keys(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_found jsonb;
begin
    case p ->> 'kind'
        when 'customers' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(c.account_no order by c.account_no = i desc, c.account_no))[1] as known
                from public.customers c
                where private.identifier_key(c.account_no) = private.identifier_key(i)) k on true;
        when 'meters' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(m.serial order by m.serial = i desc, m.serial))[1] as known
                from public.meters m
                where private.identifier_key(m.serial) = private.identifier_key(i)) k on true;
        when 'transformers' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(t.code order by t.code = i desc, t.code))[1] as known
                from public.transformers t
                where private.identifier_key(t.code) = private.identifier_key(i)) k on true;
    end case;
    return jsonb_build_object('found', coalesce(v_found, '[]'));
end $$;
comment on function public.identifier_keys is
    'Of each identifier its key, and what is stored with the same key (the identifier itself first, else null): {kind: customers|meters|transformers, identifiers: [...]} gives {found: [{identifier, key, known}]}.';

-- A value that a row does not give stays; an empty text takes it away.
create or replace function public.import_customers(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_total integer := jsonb_array_length(p -> 'rows');
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', 'currency', 'message',
               format('Account %s is in %s; its currency cannot change to %s.', x.account_no, c.currency, x.currency)))
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, currency text)
    join public.customers c on c.account_no = x.account_no
    where x.currency is not null and c.currency is not null and c.currency <> x.currency;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.customers (id, account_no, name, email, phone, address, language, currency)
        select id, account_no, name, coalesce(email, ''), coalesce(phone, ''), coalesce(address, ''),
               coalesce(language, 'en'), currency
        from jsonb_to_recordset(p -> 'rows') as x(
            id uuid, account_no text, name text, email text, phone text, address text, language text, currency text)
        on conflict do nothing;
        get diagnostics v_added = row_count;
        update public.customers c
        set name = x.name, email = coalesce(x.email, c.email), phone = coalesce(x.phone, c.phone),
            address = coalesce(x.address, c.address), language = coalesce(x.language, c.language),
            currency = coalesce(c.currency, x.currency)
        from jsonb_to_recordset(p -> 'rows') as x(
            account_no text, name text, email text, phone text, address text, language text, currency text)
        where c.account_no = x.account_no
          and (c.name, c.email, c.phone, c.address, c.language, c.currency) is distinct from
              (x.name, coalesce(x.email, c.email), coalesce(x.phone, c.phone), coalesce(x.address, c.address),
               coalesce(x.language, c.language), coalesce(c.currency, x.currency));
        get diagnostics v_changed = row_count;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, v_total - v_added - v_changed);
end $$;
comment on function public.import_customers is
    'Adds customers, or updates the contact details of known account numbers: {actor, dry_run, rows: [{row, id, account_no, name, email?, phone?, address?, language?, currency?}]}. What a row does not give stays; an empty text takes it away.';

revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;
