-- The search over everything finds places of supply: by address, by code, by any meter that was ever there.

create function private.point_search_text(p_code text, p_address text) returns text
language sql immutable set search_path = '' as $$
    select private.search_text(p_code || ' ' || p_address)
$$;
revoke all on function private.point_search_text(text, text) from public, anon, authenticated;
grant execute on function private.point_search_text(text, text) to service_role;
do $$
declare
    v_schema text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm');
begin
    -- Without the extension a search reads the table.
    if v_schema is not null then
        execute format('create index service_points_found on public.service_points using gin (private.point_search_text(code, address) %I.gin_trgm_ops)', v_schema);
    end if;
end $$;

create function private.points_found(p_patterns text[], p_text text, p_limit integer) returns uuid[]
language plpgsql stable set search_path = '' as $$
declare
    v_found uuid[];
begin
    -- As in customers_found each pattern is a condition of its own, so that all of them enter the index.
    execute 'select array(select s.id from public.service_points s where s.code = $1 or '
        || coalesce((select string_agg(format('private.point_search_text(s.code, s.address) like %L', x), ' and ')
                     from unnest(p_patterns) x), 'false')
        || ' limit $2)'
    into v_found using p_text, p_limit;
    if cardinality(v_found) < p_limit then
        v_found := array(
            select distinct x.id from (
                select unnest(v_found) as id
                union all
                select i.service_point_id from public.meter_installations i
                where i.meter_id = any (private.meters_found(p_patterns, p_text, p_limit))) x
            limit p_limit);
    end if;
    return v_found;
end $$;
comment on function private.points_found(text[], text, integer) is 'Places whose code and address fit all patterns, whose code it is, or where a meter with such a serial is or was; at most so many.';
revoke all on function private.points_found(text[], text, integer) from public, anon, authenticated;
grant execute on function private.points_found(text[], text, integer) to service_role;

create or replace function public.search(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
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
                'customer_name', m.customer_name, 'address', m.address, 'removed_on', m.removed_on,
                'service_point_code', m.service_point_code) order by m.serial), '[]')
            from public.meter_list m
            where m.id = any (private.meters_found(v_patterns, p ->> 'text', v_limit))),
        'service_points', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', s.id, 'code', s.code, 'address', s.address, 'meter_serial', s.meter_serial,
                'account_no', s.account_no, 'customer_name', s.customer_name) order by s.code <> p ->> 'text', s.code, s.id), '[]')
            from public.service_point_list s
            where s.id = any (private.points_found(v_patterns, p ->> 'text', v_limit))),
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

comment on function public.search(jsonb) is 'What fits a text: {text, bill_number?, amount_minor?, limit} -> {customers, meters, service_points, bills, payments}, `limit` of each at most. Customers by parts of account, name, phone, e-mail and address, each word of the text, of which one must have three letters; meters by parts of the serial, also those that were taken out; service points by parts of code and address, or the serial of a meter that is or was there; bills by their number or total; payments by their reference, the provider''s id or the amount.';
