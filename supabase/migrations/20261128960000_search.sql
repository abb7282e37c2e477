-- One search over customers, meters, bills and payments, by any part of what people know of them.

do $$
begin
    -- It comes with Postgres; one that was installed without its further modules searches without an index.
    if exists (select 1 from pg_available_extensions where name = 'pg_trgm') then
        if not exists (select 1 from pg_extension where extname = 'pg_trgm') then
            create extension pg_trgm with schema extensions;
        end if;
    end if;
end $$;

create function private.search_text(p_text text) returns text
language sql immutable strict set search_path = '' as $$
    -- Words as they are abbreviated, so that "Canal Rd." finds "Canal Road" and the other way round.
    select btrim(replace(replace(replace(replace(replace(
        ' ' || translate(lower(normalize(p_text, NFKC)), '.,;', '   ') || ' ',
        ' road ', ' rd '), ' street ', ' st '), ' avenue ', ' ave '), ' lane ', ' ln '), ' apartment ', ' apt '))
$$;
comment on function private.search_text is 'A text as it is searched and searched for: lower case, common words of addresses abbreviated.';
revoke all on function private.search_text from public;
grant execute on function private.search_text to service_role;

create function private.customer_search_text(
    p_account_no text, p_name text, p_phone text, p_email text, p_address text) returns text
language sql immutable set search_path = '' as $$
    -- The phone twice: as it is written, and its digits alone.
    select private.search_text(coalesce(p_account_no, '') || ' ' || coalesce(p_name, '') || ' ' || coalesce(p_phone, '') || ' '
        || regexp_replace(coalesce(p_phone, ''), '[^0-9]', '', 'g') || ' ' || coalesce(p_email, '') || ' ' || coalesce(p_address, ''))
$$;
revoke all on function private.customer_search_text from public;
grant execute on function private.customer_search_text to service_role;

do $$
declare
    v_schema text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm');
begin
    if v_schema is not null then
        execute format('create index customers_search on public.customers using gin '
                       '(private.customer_search_text(account_no, name, phone, email, address) %I.gin_trgm_ops)', v_schema);
        execute format('create index meters_search on public.meters using gin (lower(serial) %I.gin_trgm_ops)', v_schema);
    end if;
end $$;

create index payments_provider on public.payments (provider_id) where provider_id <> '';

create function private.customers_found(p_patterns text[], p_account_no text, p_limit integer) returns uuid[]
language plpgsql stable set search_path = '' as $$
declare
    v_found uuid[];
begin
    -- Each pattern as a condition of its own: all of them enter the index, which "like all" does not.
    execute 'select array(select c.id from public.customers c where c.account_no = $1 or '
        || coalesce((select string_agg(format(
               'private.customer_search_text(c.account_no, c.name, c.phone, c.email, c.address) like %L', x), ' and ')
                     from unnest(p_patterns) x), 'false')
        || ' limit $2)'
    into v_found using p_account_no, p_limit;
    return coalesce(v_found, '{}');
end $$;
comment on function private.customers_found is 'Customers whose search text fits all patterns, or whose account number it is; at most so many.';
revoke all on function private.customers_found from public;
grant execute on function private.customers_found to service_role;

create function private.meters_found(p_patterns text[], p_serial text, p_limit integer) returns uuid[]
language plpgsql stable set search_path = '' as $$
declare
    v_found uuid[];
begin
    execute 'select array(select m.id from public.meters m where m.serial = $1 or '
        || coalesce((select string_agg(format('lower(m.serial) like %L', x), ' and ') from unnest(p_patterns) x), 'false')
        || ' limit $2)'
    into v_found using p_serial, p_limit;
    return coalesce(v_found, '{}');
end $$;
comment on function private.meters_found is 'Meters whose serial fits all patterns, or is the one given; at most so many.';
revoke all on function private.meters_found from public;
grant execute on function private.meters_found to service_role;

create function public.search(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_words constant text[] := private.search_words(private.search_text(p ->> 'text'));
    v_patterns text[];
    v_limit constant integer := (p ->> 'limit')::integer;
    v_number constant bigint := (p ->> 'bill_number')::bigint;
    v_minor constant bigint := (p ->> 'amount_minor')::bigint;
    v_key constant text := private.reference_key(p ->> 'text');
begin
    select array_agg('%' || replace(replace(replace(w, '\', '\\'), '%', '\%'), '_', '\_') || '%') into v_patterns
    from unnest(v_words) w;
    -- The index knows nothing of words of less than three letters: alone they are looked up whole.
    if not exists (select 1 from unnest(v_words) w where length(w) >= 3) then
        v_patterns := null;
    end if;
    return jsonb_build_object(
        'customers', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', c.id, 'account_no', c.account_no, 'name', c.name, 'address', c.address, 'phone', c.phone)
                order by c.account_no <> p ->> 'text', lower(c.name), c.id), '[]')
            from public.customers c
            where c.id = any (private.customers_found(v_patterns, p ->> 'text', v_limit))),
        'meters', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', m.id, 'serial', m.serial, 'customer_id', m.customer_id, 'account_no', m.account_no,
                'customer_name', m.customer_name, 'address', m.address) order by m.serial), '[]')
            from public.meter_list m
            where m.id = any (private.meters_found(v_patterns, p ->> 'text', v_limit))),
        'bills', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', b.id, 'number', b.number, 'status', b.status, 'customer_name', b.customer_name,
                'period_start', b.period_start, 'period_end', b.period_end, 'total_minor', b.total_minor,
                'currency', b.currency) order by b.number is distinct from v_number, b.period_end desc, b.id), '[]')
            from public.bill_list b
            where b.id = any (array(
                select k.id from public.bills k where k.number = v_number
                union all
                (select k.id from public.bills k where k.total_minor = v_minor order by k.id desc limit v_limit)))),
        'payments', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', y.id, 'customer_name', y.customer_name, 'reference', y.reference, 'method', y.method,
                'received_on', y.received_on, 'amount_minor', y.amount_minor, 'currency', y.currency)
                order by y.received_on desc, y.id), '[]')
            from public.payment_list y
            where y.id = any (array(
                (select k.id from public.payments k
                 where v_key <> '' and k.reference <> '' and private.reference_key(k.reference) = v_key limit v_limit)
                union
                (select k.id from public.payments k where k.provider_id <> '' and k.provider_id = p ->> 'text' limit v_limit)
                union
                (select k.id from public.payments k where k.amount_minor = v_minor order by k.id desc limit v_limit)))));
end $$;
comment on function public.search is
    'What fits a text: {text, bill_number?, amount_minor?, limit} -> {customers, meters, bills, payments}, `limit` of each at most. Customers by parts of account, name, phone, e-mail and address, each word of the text, of which one must have three letters; meters by parts of the serial; bills by their number or total; payments by their reference, the provider''s id or the amount.';
revoke all on function public.search from public;
grant execute on function public.search to service_role;
