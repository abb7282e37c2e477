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

create index missed_reads_by_day on public.missed_reads (missed_on, service_point_id);

create or replace function public.reading_rounds(p jsonb) returns jsonb
-- With the arrays' values known, a search in them is by hash.
language plpgsql stable set search_path = '' set plan_cache_mode = 'force_custom_plan' as $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_before constant date := (p ->> 'read_before')::date;
    v_after text := p ->> 'after';
    v_rounds jsonb := '[]';
    v_route text;
    v_round jsonb;
    -- Few of many meters, looked up once.
    v_asked constant uuid[] := array(select q.meter_id from public.reading_requests q where q.done_at is null);
    v_waits constant uuid[] := array(select r.meter_id from public.readings r where r.status = 'needs_review' and r.read_on > v_before);
    v_missed constant uuid[] := array(select x.service_point_id from public.missed_reads x where x.missed_on = v_today);
begin
    for n in 1 .. (p ->> 'limit')::integer loop
        -- One step of an index for each route, however many places there are.
        select s.route into v_route from public.service_points s
        where v_after is null or s.route > v_after order by s.route limit 1;
        exit when not found;
        select jsonb_build_object(
                   'route', v_route, 'meters', count(*),
                   'still', count(*) filter (where (x.asked or not x.was_read) and not x.missed),
                   'asked', count(*) filter (where x.asked),
                   'missed', count(*) filter (where (x.asked or not x.was_read) and x.missed))
        into v_round
        from (
            select i.meter_id = any (v_asked) as asked, s.id = any (v_missed) as missed,
                   -- The last accepted read of the place says of most of them all there is to know.
                   i.meter_id = any (v_waits) or (l.read_on > v_before and exists (
                       select 1 from public.readings r
                       where r.meter_id = i.meter_id and r.read_on > v_before and r.read_at >= i.installed_at
                         and r.status = 'accepted' and r.source <> 'estimated')) as was_read
            from (select y.id from public.service_points y where y.route = v_route
                  limit (p ->> 'counted_to')::integer) s
            cross join lateral (
                select z.meter_id, z.installed_at from public.meter_installations z
                where z.service_point_id = s.id and z.removed_at is null limit 1) i
            cross join lateral (
                select 1 from public.meters m where m.id = i.meter_id and m.kind = 'manual' limit 1) m
            left join lateral (
                select k.read_on from public.latest_reads k where k.service_point_id = s.id limit 1) l on true) x;
        v_rounds := v_rounds || v_round;
        v_after := v_route;
    end loop;
    return jsonb_build_object('rounds', v_rounds);
end $$;

drop function private.round_places(text, date, date);
