-- The language of new customers that an import names none for is a setting.

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
               coalesce(language, p ->> 'default_language', 'en'), currency
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
    'Adds customers, or updates the contact details of known account numbers: {actor, dry_run, default_language?: of new ones without one, rows: [{row, id, account_no, name, email?, phone?, address?, language?, currency?}]}. What a row does not give stays; an empty text takes it away.';
