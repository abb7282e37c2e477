-- What estimating reads needs, for a batch of agreements in one call.

create function private.is_actual(p_source text) returns boolean
    language sql immutable set search_path = '' as $$
    select p_source not in ('estimated', 'customer')
$$;
comment on function private.is_actual(text) is
    'Whether the utility read the meter: it is no estimate and not the customer''s own reading. The next actual read settles what was billed up to another one.';
revoke all on function private.is_actual(text) from public;
grant execute on function private.is_actual(text) to service_role;

create function private.season_use(p_tariff_id uuid, p_on date) returns jsonb
    language sql stable set search_path = '' as $$
    -- Ids are hashes, so the first ones are a sample; each costs one step in an index.
    select jsonb_build_object(
        'meters', count(*), 'wh', coalesce(sum(b.wh), 0), 'days', coalesce(sum(b.days), 0),
        'loaded_meters', count(*) filter (where s.connected_w > 0),
        'loaded_wh', coalesce(sum(b.wh) filter (where s.connected_w > 0), 0),
        'loaded_w_days', coalesce(sum(b.days * s.connected_w) filter (where s.connected_w > 0), 0))
    from (select distinct t.agreement_id as id from public.agreement_tariffs t where t.tariff_id = p_tariff_id
          order by 1 limit 300) m
    join public.service_agreements a on a.id = m.id
    join public.service_points s on s.id = a.service_point_id
    cross join lateral (
        select sum(x.consumption_wh)::bigint as wh, sum(x.period_end - x.period_start)::bigint as days
        from public.bills x
        join public.readings o on o.id = x.opening_reading_id
        join public.readings c on c.id = x.closing_reading_id
        where x.agreement_id = m.id and x.status <> 'void' and private.is_actual(o.source) and private.is_actual(c.source)
          and (x.period_end between p_on - 45 and p_on + 45
               or x.period_end between (p_on - interval '1 year')::date - 45 and (p_on - interval '1 year')::date + 45)) b
    where b.days > 0
$$;
comment on function private.season_use(uuid, date) is
    'What up to 300 agreements on a tariff used at a time of the year, by their bills that end within 45 days of a local date or of the one a year before, between actual reads: {meters, wh, days, and of those whose connected load is known loaded_meters, loaded_wh, loaded_w_days}.';
revoke all on function private.season_use(uuid, date) from public;
grant execute on function private.season_use(uuid, date) to service_role;

create function public.estimate_facts(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with wanted as materialized (
        select a.id, a.service_point_id, a.starts_on, w."on", i.meter_id, i.multiplier_milli, i.installed_at, i.removed_at,
               (select t.tariff_id from private.tariff_spans t
                where t.agreement_id = a.id and t.starts_on <= w."on" and w."on" <= t.ends_on
                order by t.starts_on limit 1) as tariff_id
        from jsonb_to_recordset(p -> 'rows') as w(agreement_id uuid, "on" date)
        join public.service_agreements a on a.id = w.agreement_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at, x.removed_at from public.meter_installations x
            where x.service_point_id = a.service_point_id and x.installed_on < w."on"
              and (x.removed_on is null or x.removed_on >= w."on")
            order by x.installed_at desc limit 1) i
        where a.starts_on < w."on" and (a.ends_on is null or w."on" <= a.ends_on)
    ), known as materialized (
        select w.*, to_jsonb(l) as last, l.read_at as last_at,
               (select max(r.read_at) from public.readings r
                where r.meter_id = w.meter_id and r.status = 'accepted' and r.read_at >= w.installed_at and r.read_on < w."on"
                  and private.is_actual(r.source)) as actual_at,
               (select coalesce(jsonb_agg(jsonb_build_object('register_wh', h.register_wh, 'read_on', h.read_on) order by h.read_on), '[]')
                from (
                    -- Of a meter that is read each day, three reads a month say as much.
                    select distinct on (date_trunc('month', r.read_on), least((extract(day from r.read_on)::integer - 1) / 10, 2))
                           r.register_wh, r.read_on
                    from public.readings r
                    where r.meter_id = w.meter_id and r.status = 'accepted' and private.is_actual(r.source)
                      and r.read_at >= w.installed_at and r.read_on >= w.starts_on and r.read_on < w."on"
                      and r.read_on > w."on" - 520
                    order by date_trunc('month', r.read_on), least((extract(day from r.read_on)::integer - 1) / 10, 2), r.read_at desc) h) as reads
        from wanted w
        cross join lateral (
            select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over, r.source
            from public.readings r
            where r.meter_id = w.meter_id and r.status = 'accepted' and r.read_at >= w.installed_at and r.read_on < w."on"
            order by r.read_at desc limit 1) l
    ), classes as materialized (
        select c.tariff_id, c."on", private.season_use(c.tariff_id, c."on") as class_use
        from (select distinct k.tariff_id, k."on" from known k where jsonb_array_length(k.reads) < 2) c
    )
    select jsonb_build_object('agreements', coalesce(jsonb_agg(jsonb_build_object(
        'agreement_id', k.id, 'meter_id', m.id, 'serial', m.serial, 'dials', m.dials, 'multiplier_milli', k.multiplier_milli,
        'registers', m.registers, 'connected_w', s.connected_w, 'last', k.last, 'reads', k.reads,
        'in_a_row', (select count(*) from public.readings r
                     where r.meter_id = k.meter_id and r.status = 'accepted' and not private.is_actual(r.source)
                       and r.read_at > coalesce(k.actual_at, k.installed_at) and r.read_on < k."on"),
        'waiting_on', (select min(r.read_on) from public.readings r
                       where r.meter_id = k.meter_id and r.status = 'needs_review' and r.read_at > k.last_at and r.read_on <= k."on"),
        'later_on', (select min(r.read_on) from public.readings r
                     where r.meter_id = k.meter_id and r.status = 'accepted' and r.read_at > k.last_at and r.read_on >= k."on"
                       and (k.removed_at is null or r.read_at <= k.removed_at)),
        'disconnected', private.is_disconnected(k.id, k."on"),
        'class_use', (select c.class_use from classes c where c.tariff_id = k.tariff_id and c."on" = k."on"))), '[]'))
    from known k
    join public.meters m on m.id = k.meter_id
    join public.service_points s on s.id = k.service_point_id
$$;
comment on function public.estimate_facts(jsonb) is
    'What estimating reads of agreements needs: {rows: [{agreement_id, on: local date}]} -> {agreements: [{agreement_id, meter_id, serial, dials, multiplier_milli, registers, connected_w, last: the last accepted read before the date, reads: actual ones since the agreement began, about three a month, in_a_row: reads after the last actual one, waiting_on, later_on, disconnected, class_use: where the meter has no two reads}]}. One without a meter on that date is left out.';
revoke all on function public.estimate_facts(jsonb) from public;
grant execute on function public.estimate_facts(jsonb) to service_role;
