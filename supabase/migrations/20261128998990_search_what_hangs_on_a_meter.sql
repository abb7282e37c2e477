-- Whoever searches for the whole serial of a meter wants all that hangs on it, also when it was taken out long ago: who was
-- supplied by it, and the bills of what it measured.

create function private.customers_of_meters(p_meters uuid[], p_limit integer) returns uuid[]
language sql stable set search_path = '' as $$
    select array(
        select a.customer_id
        from public.meter_installations i
        join public.service_agreements a on a.service_point_id = i.service_point_id
        where i.meter_id = any (p_meters)
          and case when i.removed_at is null then a.ends_on is null
                   else a.starts_on < i.removed_on and (a.ends_on is null or a.ends_on >= i.removed_on) end
        order by i.installed_at desc
        limit p_limit)
$$;
comment on function private.customers_of_meters(uuid[], integer) is 'Who is supplied by the meters, and of those that were removed who was at the end; at most so many.';
revoke all on function private.customers_of_meters(uuid[], integer) from public, anon, authenticated;
grant execute on function private.customers_of_meters(uuid[], integer) to service_role;

create function private.bills_of_meters(p_meters uuid[], p_limit integer) returns uuid[]
language sql stable set search_path = '' as $$
    select array(
        select x.id
        from (
            (select b.id, b.period_end from public.bills b
             where b.meter_id = any (p_meters) order by b.period_end desc limit p_limit)
            union
            -- A bill over an exchange carries the meter that came after.
            select b.id, b.period_end
            from public.meter_installations i
            join public.service_agreements a on a.service_point_id = i.service_point_id
            join public.bills b on b.agreement_id = a.id and b.status <> 'void'
                and b.period_start <= i.removed_on and b.period_end >= i.removed_on
            where i.meter_id = any (p_meters) and i.removed_on is not null
              and b.segments @> jsonb_build_array(jsonb_build_object('meter_id', i.meter_id))
        ) x
        order by x.period_end desc
        limit p_limit)
$$;
comment on function private.bills_of_meters(uuid[], integer) is 'The latest bills of what the meters measured, with those over their exchange; at most so many.';
revoke all on function private.bills_of_meters(uuid[], integer) from public, anon, authenticated;
grant execute on function private.bills_of_meters(uuid[], integer) to service_role;

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
    v_named uuid[];
begin
    select array_agg('%' || replace(replace(replace(w, '\', '\\'), '%', '\%'), '_', '\_') || '%') into v_patterns
    from unnest(v_words) w;
    -- The index knows nothing of words of less than three letters: alone they are looked up whole.
    if not exists (select 1 from unnest(v_words) w where length(w) >= 3) then
        v_patterns := null;
    end if;
    v_named := array(select m.id from public.meters m
                     where private.identifier_key(m.serial) = private.identifier_key(p ->> 'text') limit v_limit);
    return jsonb_build_object(
        'customers', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', c.id, 'account_no', c.account_no, 'name', c.name, 'address', c.address, 'phone', c.phone)
                order by c.account_no <> p ->> 'text', lower(c.name), c.id), '[]')
            from public.customers c
            where c.id = any (private.customers_found(v_patterns, p ->> 'text', v_limit)
                              || private.customers_of_meters(v_named, v_limit))),
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
                (select k.id from public.bills k where k.total_minor = v_minor order by k.id desc limit v_limit)
                union all
                select unnest(private.bills_of_meters(v_named, v_limit))))),
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

comment on function public.search(jsonb) is 'What fits a text: {text, bill_number?, amount_minor?, limit} -> {customers, meters, service_points, bills, payments}, `limit` of each way at most. Customers by parts of account, name, phone, e-mail and address, each word of the text, of which one must have three letters; meters by parts of the serial, also those that were taken out; service points by parts of code and address, or the serial of a meter that is or was there; bills by their number or total; payments by their reference, the provider''s id or the amount. The whole serial of a meter also finds who is supplied by it, or was at its end, and its latest bills.';
