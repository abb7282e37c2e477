-- A page of a round looks at the tariffs of its own agreements alone.

create or replace function public.round_meters(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with page as materialized (
        select s.id, i.meter_id, i.installed_at, i.multiplier_milli, coalesce(s.sequence, 2147483647) as "position", s.code
        from public.service_points s
        join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
        join public.meters m on m.id = i.meter_id and m.kind = 'manual'
        where s.route = p ->> 'route'
          and (p ->> 'after' is null
               or (coalesce(s.sequence, 2147483647), s.code) > ((p #>> '{after,0}')::integer, p #>> '{after,1}'))
        order by coalesce(s.sequence, 2147483647), s.code
        limit (p ->> 'limit')::integer
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'service_point_id', s.id, 'code', s.code, 'sequence', s.sequence, 'access_note', s.access_note,
        'address', coalesce(nullif(s.address, ''), c.address, ''), 'customer_name', c.name,
        'meter_id', m.id, 'serial', m.serial, 'dials', m.dials, 'registers', m.registers,
        'multiplier_milli', g.multiplier_milli, 'connected_w', s.connected_w, 'connected_va', s.connected_va,
        'tariff_id', t.tariff_id, 'last_read', l.last_read, 'history', coalesce(h.history, '[]'),
        'class_use', case when l.days > 1 then null else private.class_use(t.tariff_id) end,
        'request', (select to_jsonb(q) from public.reading_requests q where q.meter_id = m.id and q.done_at is null),
        'missed', (select to_jsonb(x) from public.missed_reads x
                   where x.service_point_id = s.id and x.missed_on = (p ->> 'today')::date
                   order by x.missed_at desc limit 1),
        'was_read_on', w.read_on, 'waits', coalesce(w.waits, false)) order by g."position", g.code), '[]'))
    from page g
    join public.service_points s on s.id = g.id
    join public.meters m on m.id = g.meter_id
    left join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null
    left join public.customers c on c.id = a.customer_id
    -- One by one, for the view of all spans would be made whole.
    left join lateral (
        select x.tariff_id from private.tariff_spans x
        where x.agreement_id = a.id and x.starts_on <= (p ->> 'today')::date and (p ->> 'today')::date < x.ends_on limit 1) t on true
    left join lateral (
        select jsonb_build_object('register_wh', r.register_wh, 'read_on', r.read_on, 'registers', r.registers) as last_read, r.read_at,
               (select count(distinct d.read_on) from public.readings d
                where d.meter_id = m.id and d.status = 'accepted' and d.read_at >= g.installed_at
                  and d.read_at <= r.read_at and d.read_at > r.read_at - interval '400 days') as days
        from public.readings r
        where r.meter_id = m.id and r.status = 'accepted' and r.read_at >= g.installed_at
        order by r.read_at desc limit 1) l on true
    left join lateral (
        select jsonb_agg(jsonb_build_object('register_wh', r.register_wh, 'read_on', r.read_on, 'registers', r.registers) order by r.read_at) as history
        from public.readings r
        where r.meter_id = m.id and r.status = 'accepted' and r.read_at >= g.installed_at
          and r.read_at <= l.read_at and r.read_at > l.read_at - interval '400 days') h on true
    left join lateral (
        select r.read_on, r.status = 'needs_review' as waits from public.readings r
        where r.meter_id = m.id and r.read_on > (p ->> 'read_before')::date and r.read_at >= g.installed_at
          and r.status in ('accepted', 'needs_review') and r.source <> 'estimated'
        order by r.read_on desc, r.read_at desc limit 1) w on true
$$;
