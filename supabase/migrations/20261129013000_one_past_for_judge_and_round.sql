-- What a reading is judged by is found in one place, for one meter and for a page of a round.

create function private.judged_by(p_meter uuid, p_installed_at timestamptz, p_before timestamptz)
returns table (last_id uuid, actual_id uuid, is_new boolean, is_settled boolean, history jsonb, waiting jsonb)
language sql stable set search_path = '' as $$
    select l.id,
           case when private.is_actual(l.source) then l.id else (
               select r.id from public.readings r
               where r.meter_id = p_meter and r.status = 'accepted' and r.read_at < p_before and r.read_at >= p_installed_at
                 and private.is_actual(r.source)
               order by r.read_at desc limit 1) end,
           not exists (select 1 from public.readings h
                       where h.meter_id = p_meter and h.status = 'accepted' and h.read_at <= l.read_at and h.read_at >= p_installed_at
                         and h.read_at > l.read_at - interval '500 days' and h.read_on <> l.read_on),
           coalesce(l.read_at - s.since > interval '80 days', false),
           (select coalesce(jsonb_agg(jsonb_build_object(
                       'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers) order by h.read_at), '[]')
            from public.readings h
            where h.meter_id = p_meter and h.status = 'accepted' and h.source <> 'estimated'
              and h.read_at <= l.read_at and h.read_at >= p_installed_at and h.read_at > l.read_at - interval '500 days'),
           (select coalesce(jsonb_agg(jsonb_build_object(
                       'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers) order by h.read_at), '[]')
            from public.readings h
            where h.meter_id = p_meter and h.status = 'needs_review' and h.read_at < p_before and h.read_at > s.since)
    from (select 1) one
    left join lateral (
        select r.id, r.read_at, r.read_on, r.source from public.readings r
        where r.meter_id = p_meter and r.status = 'accepted' and r.read_at < p_before and r.read_at >= p_installed_at
        order by r.read_at desc limit 1) l on true
    cross join lateral (select greatest(p_installed_at, l.read_at - interval '500 days') as since) s
$$;
comment on function private.judged_by(uuid, timestamptz, timestamptz) is
    'What of its own past a meter''s read before an instant is judged by: the last accepted read and the last actual one, whether all its reads are of one day, whether they span 80 days, those of up to 500 days before, and those that wait for review since.';

create function private.group_uses(p_transformer uuid, p_tariff uuid, p_on date) returns jsonb
language sql stable set search_path = '' as $$
    -- Each of up to 61 meters costs up to nine steps in an index.
    select coalesce(jsonb_agg(jsonb_build_object('meter_id', member.meter_id, 'daily_wh', u.daily_wh, 'doubted', d.doubted)), '[]')
    from ((select i.meter_id, i.installed_at
           from public.service_points s
           join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
           where s.transformer_id = p_transformer order by s.id limit 61)
          union all
          (select i.meter_id, i.installed_at
           from (select t.agreement_id from public.agreement_tariffs t
                 where p_transformer is null and t.tariff_id = p_tariff order by t.id limit 61) m
           join public.service_agreements a on a.id = m.agreement_id
           join public.meter_installations i on i.service_point_id = a.service_point_id and i.removed_at is null)) member
    cross join lateral (select 10::bigint ^ (m.dials + 3) as capacity from public.meters m where m.id = member.meter_id) k
    cross join lateral (select r.read_at, r.read_on, r.register_wh, r.status = 'needs_review' as doubted from public.readings r
                        where r.meter_id = member.meter_id and r.status in ('accepted', 'needs_review') and r.read_on <= p_on
                          and r.read_at < p_on + interval '2 days' and r.read_on >= p_on - 10 and r.read_at > member.installed_at
                          and r.source <> 'estimated'
                        order by r.read_at desc limit 1) d
    cross join lateral (
        -- Back from one read to the one about a month before it.
        with recursive walk as (
            select d.read_at, d.read_on, d.register_wh, 0 as back, null::bigint as daily_wh, false as fell
            union all
            select e.read_at, e.read_on, e.register_wh, w.back + 1,
                   (((w.register_wh - e.register_wh + k.capacity)::bigint % k.capacity::bigint) / (w.read_on - e.read_on))::bigint,
                   w.register_wh < e.register_wh and 2 * (w.register_wh - e.register_wh + k.capacity) > k.capacity
            from walk w
            cross join lateral (select r.read_at, r.read_on, r.register_wh from public.readings r
                                where r.meter_id = member.meter_id and r.status = 'accepted' and r.read_at >= member.installed_at
                                  and r.source <> 'estimated' and r.read_at < w.read_at - interval '19 days'
                                  and r.read_at >= d.read_at - interval '250 days'
                                order by r.read_at desc limit 1) e
            where w.back < 8 and not w.fell and w.read_on > e.read_on)
        select jsonb_agg(w.daily_wh order by w.back desc) as daily_wh, count(*) as periods
        from walk w where w.back > 0 and not w.fell) u
    where u.periods > 1
$$;
comment on function private.group_uses(uuid, uuid, date) is
    'What the first 61 meters of a transformer, or of a tariff where that is null, used a day in up to eight periods of about a month, the newest last, up to a read near a local date: [{meter_id, daily_wh: before the multiplier, doubted: whether that read waits for review}].';

create function private.uses_beside(p_uses jsonb, p_meter uuid) returns jsonb
language sql immutable set search_path = '' as $$
    select coalesce(jsonb_agg(m.use - 'meter_id'), '[]')
    from (select x.use from jsonb_array_elements(p_uses) x (use) where (x.use ->> 'meter_id')::uuid <> p_meter limit 60) m
$$;
comment on function private.uses_beside(jsonb, uuid) is 'Of the answer of private.group_uses what other meters than one used, up to 60 of them: [{daily_wh, doubted}].';

revoke all on function private.judged_by(uuid, timestamptz, timestamptz), private.group_uses(uuid, uuid, date),
    private.uses_beside(jsonb, uuid) from public, anon, authenticated;
grant execute on function private.judged_by(uuid, timestamptz, timestamptz), private.group_uses(uuid, uuid, date),
    private.uses_beside(jsonb, uuid) to service_role;

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
        'peers', case when v_past.is_settled
                      then private.uses_beside(private.group_uses(s.transformer_id, v_tariff, v_on), v_meter.id) else '[]' end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_on = v_on),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(s.id, v_tail, v_at),
        'pricing', private.pricing_facts(
            a.id, array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = s.id),
            private.looks_back_along(a.id), v_tail, v_at, v_on));
end $$;

create function private.read_point(p_reading uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('register_wh', r.register_wh, 'read_on', r.read_on, 'registers', r.registers)
    from public.readings r where r.id = p_reading
$$;
comment on function private.read_point(uuid) is 'What a meter showed at a reading: {register_wh, read_on, registers}.';
revoke all on function private.read_point(uuid) from public, anon, authenticated;
grant execute on function private.read_point(uuid) to service_role;

create or replace function public.round_meters(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with page as materialized (
        select s.id, i.meter_id, i.installed_at, i.multiplier_milli, coalesce(s.sequence, 2147483647) as "position", s.code, s.transformer_id
        from public.service_points s
        join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
        join public.meters m on m.id = i.meter_id and m.kind = 'manual'
        where s.route = p ->> 'route'
          and (p ->> 'after' is null
               or (coalesce(s.sequence, 2147483647), s.code) > ((p #>> '{after,0}')::integer, p #>> '{after,1}'))
        order by coalesce(s.sequence, 2147483647), s.code
        limit (p ->> 'limit')::integer
    ), judged as materialized (
        select g.id, j.*, a.customer_id, t.tariff_id,
               -- As the judge chooses peers: of the transformer, or of the tariff where that is not known.
               case when j.is_settled then coalesce(g.transformer_id, t.tariff_id) end as group_id
        from page g
        cross join lateral private.judged_by(g.meter_id, g.installed_at, 'infinity') j
        left join public.service_agreements a on a.service_point_id = g.id and a.ends_on is null
        -- One by one, for the view of all spans would be made whole.
        left join lateral (
            select x.tariff_id from private.tariff_spans x
            where x.agreement_id = a.id and x.starts_on <= (p ->> 'today')::date and (p ->> 'today')::date < x.ends_on limit 1) t on true
    ), uses as materialized (
        -- Once for all meters that are beside each other.
        select k.group_id, private.group_uses(k.transformer_id, k.tariff_id, (p ->> 'today')::date) as uses
        from (select distinct j.group_id, g.transformer_id, case when g.transformer_id is null then j.tariff_id end as tariff_id
              from judged j join page g on g.id = j.id where j.group_id is not null) k
    ), classes as materialized (
        select k.tariff_id, private.class_use(k.tariff_id) as class_use
        from (select distinct j.tariff_id from judged j where j.is_new and j.tariff_id is not null) k
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'service_point_id', s.id, 'code', s.code, 'sequence', s.sequence, 'access_note', s.access_note,
        'address', coalesce(nullif(s.address, ''), c.address, ''), 'customer_name', c.name,
        'meter_id', m.id, 'serial', m.serial, 'dials', m.dials, 'registers', m.registers,
        'multiplier_milli', g.multiplier_milli, 'connected_w', s.connected_w, 'connected_va', s.connected_va,
        'tariff_id', j.tariff_id, 'last_read', private.read_point(j.last_id),
        'last_actual', case when j.actual_id <> j.last_id then private.read_point(j.actual_id) end,
        'history', j.history, 'waiting', j.waiting,
        'class_use', case when j.is_new then u.class_use end,
        'peers', coalesce(private.uses_beside(v.uses, g.meter_id), '[]'),
        'request', (select to_jsonb(q) from public.reading_requests q where q.meter_id = m.id and q.done_at is null),
        'missed', (select to_jsonb(x) from public.missed_reads x
                   where x.service_point_id = s.id and x.missed_on = (p ->> 'today')::date
                   order by x.missed_at desc limit 1),
        'was_read_on', w.read_on, 'waits', coalesce(w.waits, false)) order by g."position", g.code), '[]'))
    from page g
    join public.service_points s on s.id = g.id
    join public.meters m on m.id = g.meter_id
    join judged j on j.id = g.id
    left join uses v on v.group_id = j.group_id
    left join classes u on u.tariff_id = j.tariff_id
    left join public.customers c on c.id = j.customer_id
    left join lateral (
        select r.read_on, r.status = 'needs_review' as waits from public.readings r
        where r.meter_id = m.id and r.read_on > (p ->> 'read_before')::date and r.read_at >= g.installed_at
          and r.status in ('accepted', 'needs_review') and r.source <> 'estimated'
        order by r.read_on desc, r.read_at desc limit 1) w on true
$$;

drop function private.peer_moves(uuid, uuid, uuid, date);
