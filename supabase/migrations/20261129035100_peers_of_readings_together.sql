-- Of readings that come together, the meters beside them are looked at once for each group of peers.

create or replace function public.reading_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_meter public.meters;
    i public.meter_installations;
    s public.service_points;
    a public.service_agreements;
    v_replay uuid;
    v_tail uuid;
    v_at timestamptz := (p ->> 'read_at')::timestamptz;
    v_on date := (p ->> 'read_on')::date;
    v_past record;
    v_tariff uuid;
begin
    select * into v_meter from public.meters where serial = p ->> 'meter_serial';
    if not found then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    if p ? 'register_wh' then
        v_replay := private.find_replay(p, v_meter.id);
    end if;
    -- Where it was at that time; of a read from before or between, where it came to next.
    select * into i from public.meter_installations x
    where x.meter_id = v_meter.id
    order by x.installed_at <= v_at and (x.removed_at is null or v_at <= x.removed_at) desc, x.installed_at > v_at desc,
             abs(extract(epoch from x.installed_at - v_at)) limit 1;
    select * into s from public.service_points where id = i.service_point_id;
    select * into a from public.service_agreements x
    where x.service_point_id = s.id and x.starts_on <= v_on and (x.ends_on is null or v_on <= x.ends_on)
    order by x.starts_on desc limit 1;
    if not found then
        -- Before the first: what it would have been billed to.
        select * into a from public.service_agreements x
        where x.service_point_id = s.id and v_on < x.starts_on and i.installed_on = x.starts_on
        order by x.starts_on limit 1;
    end if;
    v_tail := coalesce(private.chain_tail(a.id), i.opening_reading_id);
    v_tariff := (select t.tariff_id from private.tariff_spans t
                 where t.agreement_id = a.id and t.starts_on <= v_on and v_on < t.ends_on);
    select * into v_past from private.judged_by(v_meter.id, i.installed_at, v_at);
    return jsonb_build_object(
        'meter', (select to_jsonb(l) - 'search' from public.meter_list l where l.id = v_meter.id)
            || jsonb_build_object(
                'multiplier_milli', i.multiplier_milli, 'opened_on', i.installed_on, 'removed_on', i.removed_on,
                'address', coalesce(nullif(s.address, ''), (select c.address from public.customers c where c.id = a.customer_id)),
                'connected_w', s.connected_w, 'connected_va', s.connected_va, 'service_point_id', s.id,
                'service_point_code', s.code, 'agreement_id', a.id)
            || (select jsonb_build_object('customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name,
                                          'tariff_id', t.id, 'tariff_code', t.code, 'tariff_name', t.name, 'currency', t.currency)
                from (select 1) one
                left join public.customers c on c.id = a.customer_id
                left join public.tariffs t on t.id = v_tariff),
        'tariffs', private.versions_of(a.id),
        'spans', private.spans_of(a.id),
        'ends_on', a.ends_on,
        'billing_day', coalesce(a.billing_day, 1),
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'installations', private.installations_between(
            s.id, (select o.read_at from public.readings o where o.id = v_tail), v_at),
        'last_read', private.reading_json(v_past.last_id),
        'last_actual', case when v_past.actual_id <> v_past.last_id then private.reading_json(v_past.actual_id) end,
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_at > v_at
                        and (i.removed_at is null or r.read_at <= i.removed_at)
                      order by r.read_at limit 1),
        'history', v_past.history,
        'class_use', case when v_tariff is not null and v_past.is_new then private.class_use(v_tariff) end,
        'waiting', v_past.waiting,
        'peers', case when not v_past.is_settled then '[]'
                      when (p ->> 'peers_later')::boolean
                      then jsonb_build_object('transformer_id', s.transformer_id, 'tariff_id', v_tariff, 'on', v_on)
                      else private.uses_beside(private.group_uses(s.transformer_id, v_tariff, v_on), v_meter.id) end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_on = v_on),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(s.id, v_tail, v_at),
        'pricing', private.pricing_facts(
            a.id, array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = s.id),
            private.looks_back_along(a.id), v_tail, v_at, v_on));
end $$;
comment on function public.reading_context(jsonb) is 'Everything that validating and pricing a read of {meter_serial, read_at, read_on} needs, of the place where the meter was then and of who was supplied there; with {register_wh, registers?, caller, idempotency_key, body_hash} also the reading it repeats. With peers_later it names the group of its peers instead of what they used.';

create or replace function public.reading_contexts(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_row jsonb;
    v_one jsonb;
    v_group jsonb;
    v_uses jsonb := '{}';
    v_found jsonb[] := '{}';
    v_code text;
    v_message text;
begin
    for v_row in select x from jsonb_array_elements(p -> 'rows') x loop
        begin
            v_one := public.reading_context(v_row || '{"peers_later": true}');
            v_group := v_one -> 'peers';
            if jsonb_typeof(v_group) = 'object' then
                if not v_uses ? v_group::text then
                    v_uses := v_uses || jsonb_build_object(v_group::text, private.group_uses(
                        (v_group ->> 'transformer_id')::uuid, (v_group ->> 'tariff_id')::uuid, (v_group ->> 'on')::date));
                end if;
                v_one := v_one || jsonb_build_object(
                    'peers', private.uses_beside(v_uses -> (v_group::text), (v_one #>> '{meter,id}')::uuid));
            end if;
        exception when others then
            get stacked diagnostics v_code = returned_sqlstate, v_message = message_text;
            -- A refusal of ours is about this reading alone; anything else is about all.
            if v_code not like 'EB%' then
                raise;
            end if;
            v_one := jsonb_build_object('refused', jsonb_build_object('code', v_code, 'message', v_message));
        end;
        v_found := v_found || v_one;
    end loop;
    return jsonb_build_object('contexts', to_jsonb(v_found));
end $$;
