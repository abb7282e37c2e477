-- A reading is judged beside those that wait for review, and beside how other meters' use moved.

create function private.peer_moves(p_meter uuid, p_transformer uuid, p_tariff uuid, p_on date) returns jsonb
    language sql stable
    set search_path to ''
    as $$
    -- Each of up to 60 peers costs four steps in an index.
    select coalesce(jsonb_agg(jsonb_build_object(
               'before_milli', (w.second_wh * 1000 * w.first_days) / (w.first_wh * w.second_days),
               'now_milli', (w.third_wh * 1000 * w.second_days) / (w.second_wh * w.third_days))), '[]')
    from ((select i.meter_id, i.installed_at
           from public.service_points s
           join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
           where s.transformer_id = p_transformer and i.meter_id <> p_meter limit 60)
          union all
          (select i.meter_id, i.installed_at
           from (select t.agreement_id from public.agreement_tariffs t
                 where p_transformer is null and t.tariff_id = p_tariff order by t.id limit 60) m
           join public.service_agreements a on a.id = m.agreement_id
           join public.meter_installations i on i.service_point_id = a.service_point_id and i.removed_at is null
           where i.meter_id <> p_meter)) peer
    cross join lateral (select r.read_at, r.read_on, r.register_wh from public.readings r
                        where r.meter_id = peer.meter_id and r.status in ('accepted', 'needs_review') and r.read_on <= p_on
                          and r.read_at < p_on + interval '2 days' and r.read_on >= p_on - 10 and r.read_at > peer.installed_at
                        order by r.read_at desc limit 1) d
    cross join lateral (select r.read_at, r.read_on, r.register_wh from public.readings r
                        where r.meter_id = peer.meter_id and r.status = 'accepted' and r.read_at >= peer.installed_at
                          and r.read_at < d.read_at - interval '19 days' order by r.read_at desc limit 1) c
    cross join lateral (select r.read_at, r.read_on, r.register_wh from public.readings r
                        where r.meter_id = peer.meter_id and r.status = 'accepted' and r.read_at >= peer.installed_at
                          and r.read_at < c.read_at - interval '19 days' order by r.read_at desc limit 1) b
    cross join lateral (select r.read_at, r.read_on, r.register_wh from public.readings r
                        where r.meter_id = peer.meter_id and r.status = 'accepted' and r.read_at >= peer.installed_at
                          and r.read_at < b.read_at - interval '19 days' order by r.read_at desc limit 1) a
    cross join lateral (select b.register_wh - a.register_wh as first_wh, b.read_on - a.read_on as first_days,
                               c.register_wh - b.register_wh as second_wh, c.read_on - b.read_on as second_days,
                               d.register_wh - c.register_wh as third_wh, d.read_on - c.read_on as third_days) w
    where w.first_wh > 0 and w.second_wh > 0 and w.third_wh > 0
$$;

comment on function private.peer_moves(p_meter uuid, p_transformer uuid, p_tariff uuid, p_on date) is
    'How the daily use of up to 60 other meters of a transformer, or of a tariff where that is null, changed into the period that ends near a local date, and into the one before, in thousandths: [{before_milli, now_milli}].';
revoke all on function private.peer_moves(p_meter uuid, p_transformer uuid, p_tariff uuid, p_on date) from public;
grant all on function private.peer_moves(p_meter uuid, p_transformer uuid, p_tariff uuid, p_on date) to service_role;

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
    v_last public.readings;
    v_tariff uuid;
    v_since timestamptz;
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
    select * into v_last from public.readings
    where meter_id = v_meter.id and status = 'accepted' and read_at < v_at and read_at >= i.installed_at
    order by read_at desc limit 1;
    v_since := greatest(i.installed_at, v_last.read_at - interval '400 days');
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
        'last_read', private.reading_json(v_last.id),
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_at > v_at
                        and (i.removed_at is null or r.read_at <= i.removed_at)
                      order by r.read_at limit 1),
        'history', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = v_meter.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                      and h.read_at >= i.installed_at and h.read_at > v_last.read_at - interval '400 days'),
        'class_use', case when v_tariff is not null and not exists (
                              select 1 from public.readings h
                              where h.meter_id = v_meter.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                                and h.read_at >= i.installed_at
                                and h.read_at > v_last.read_at - interval '400 days' and h.read_on <> v_last.read_on)
                          then private.class_use(v_tariff) end,
        'waiting', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = v_meter.id and h.status = 'needs_review' and h.read_at < v_at and h.read_at > v_since),
        'peers', case when v_last.read_at - v_since > interval '80 days'
                      then private.peer_moves(v_meter.id, s.transformer_id, v_tariff, v_on) else '[]' end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_on = v_on),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(s.id, v_tail, v_at),
        'pricing', private.pricing_facts(
            a.id, array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = s.id),
            private.looks_back_along(a.id), v_tail, v_at, v_on));
end $$;
