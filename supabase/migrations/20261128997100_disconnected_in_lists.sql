-- Lists and the customer's page say who is disconnected; one that began once they had moved out was none.

create or replace function public.list_service_points(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $_$
declare
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[] := array(
        select format(
            '(strpos(lower(concat_ws('' '', s.code, s.address, s.route)), %1$L) > 0'
            ' or s.id in (select i.service_point_id from public.meter_installations i join public.meters m on m.id = i.meter_id'
            ' where i.removed_at is null and strpos(lower(m.serial), %1$L) > 0)'
            ' or s.id in (select a.service_point_id from public.service_agreements a join public.customers c on c.id = a.customer_id'
            ' where a.ends_on is null and strpos(lower(concat_ws('' '', c.account_no, c.name)), %1$L) > 0))', w)
        from unnest(private.search_words(p ->> 'text')) w);
begin
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 's.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when coalesce((p ->> 'vacant_only')::boolean, false) then
            'not exists (select 1 from public.service_agreements a where a.service_point_id = s.id and a.ends_on is null)' end,
        case when coalesce((p ->> 'disconnected_only')::boolean, false) then
            's.id in (select a.service_point_id from public.disconnections d join public.service_agreements a on a.id = d.agreement_id'
            ' where d.reconnected_on is null and not d.withdrawn and a.ends_on is null)' end];
    v_page := private.page_by_key(p, 'public.service_points s', 's.id', 's.code', 'text', v_conditions);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.service_point_list l where l.id = any (v_ids)));
end $_$;

comment on function public.list_service_points is 'A page of the service points by code: {text?, vacant_only?, disconnected_only?, ids?, sort: code, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the code, the address, the route, the meter''s serial, or the account number or name of who is supplied now.';

create or replace function public.meters_of_customer(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(
        to_jsonb(m) - 'search' || jsonb_build_object('last_read_on', r.read_on, 'last_register_wh', r.register_wh, 'last_source', r.source,
                                            'disconnected_on', d.disconnected_on)
        order by m.serial), '[]'))
    from public.meter_list m
    left join lateral (
        select x.read_on, x.register_wh, x.source from public.readings x
        where x.meter_id = m.id and x.status = 'accepted' order by x.read_at desc limit 1) r on true
    left join public.disconnections d on d.agreement_id = m.agreement_id and d.reconnected_on is null and not d.withdrawn
    where m.id = any (array(select o.meter_id from private.meters_of_customer((p ->> 'customer_id')::uuid) o))
      and m.customer_id = (p ->> 'customer_id')::uuid
$$;

comment on function public.meters_of_customer is 'The meters that a customer has now, each with its last accepted read: {customer_id} -> {meters: rows of meter_list with last_read_on, last_register_wh, last_source, disconnected_on}.';

create or replace function public.supply_context(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    s public.service_points;
begin
    select * into s from public.service_points where id = (p ->> 'service_point_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    return jsonb_build_object(
        'point', (select to_jsonb(l) - 'search' from public.service_point_list l where l.id = s.id),
        'installations', (select coalesce(jsonb_agg(to_jsonb(i) || jsonb_build_object(
                'serial', m.serial, 'dials', m.dials, 'kind', m.kind, 'registers', m.registers,
                'opening', private.reading_json(i.opening_reading_id), 'closing', private.reading_json(i.closing_reading_id))
                order by i.installed_at desc), '[]')
            from public.meter_installations i join public.meters m on m.id = i.meter_id where i.service_point_id = s.id),
        'agreements', (select coalesce(jsonb_agg(to_jsonb(a) || jsonb_build_object(
                'account_no', c.account_no, 'customer_name', c.name, 'currency', c.currency,
                'opening', private.reading_json(a.opening_reading_id), 'closing', private.reading_json(a.closing_reading_id),
                'billed_until', (select max(b.period_end) from public.bills b where b.agreement_id = a.id and b.status <> 'void'),
                'tariffs', (select jsonb_agg(jsonb_build_object('starts_on', t.starts_on, 'code', r.code, 'name', r.name) order by t.starts_on)
                            from public.agreement_tariffs t join public.tariffs r on r.id = t.tariff_id where t.agreement_id = a.id))
                order by a.starts_on desc), '[]')
            from public.service_agreements a join public.customers c on c.id = a.customer_id where a.service_point_id = s.id),
        'disconnections', (select coalesce(jsonb_agg(to_jsonb(d) || jsonb_build_object(
                'disconnected', private.reading_json(d.disconnect_reading_id), 'reconnected', private.reading_json(d.reconnect_reading_id))
                order by d.disconnected_on desc, d.created_at desc), '[]')
            from public.service_agreements a join public.disconnections d on d.agreement_id = a.id
            where a.service_point_id = s.id and not d.withdrawn and d.disconnected_on < coalesce(a.ends_on, 'infinity')),
        'last_reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at desc), '[]')
            from (select x.* from public.meter_installations i join public.reading_list x on x.meter_id = i.meter_id
                  where i.service_point_id = s.id and x.status = 'accepted' and x.read_at >= i.installed_at
                    and (i.removed_at is null or x.read_at <= i.removed_at)
                    and (p ->> 'on' is null or x.read_on = (p ->> 'on')::date)
                  order by x.read_at desc limit 40) r),
        'changes', (select coalesce(jsonb_agg(to_jsonb(k) order by k.created_at desc), '[]')
                    from public.supply_changes k where k.service_point_id = s.id));
end $$;
