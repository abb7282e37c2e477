-- An estimate may roll a register over that then turns out not to have: what the next actual read says is a turn less.

create or replace function private.check_new_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Somebody moved, or a meter was exchanged, between pricing and storing.
    if exists (
        select 1 from new_rows b join public.service_agreements a on a.id = b.agreement_id
        where b.period_start < a.starts_on or b.period_end > coalesce(a.ends_on, 'infinity')
    ) then
        raise exception using errcode = 'EB001', message = 'The agreement changed meanwhile: the price must be computed again.';
    end if;
    if exists (
        with parts as (
            select b.id, a.service_point_id, s.*, lag(s.closing_id) over (partition by b.id order by s.place) as before,
                   s.place = count(*) over (partition by b.id) as is_last, b.opening_reading_id as opens_at
            from new_rows b
            join public.service_agreements a on a.id = b.agreement_id
            cross join lateral (
                select 1 as place, b.meter_id, b.opening_reading_id as opening_id, b.closing_reading_id as closing_id,
                       b.opening_wh, b.closing_wh, b.multiplier_milli, b.consumption_wh as wh
                where b.segments is null
                union all
                select x.place, x.meter_id, x.opening_reading_id, x.closing_reading_id, x.opening_wh, x.closing_wh,
                       x.multiplier_milli, x.consumption_wh
                from rows from (jsonb_to_recordset(b.segments) as (
                         meter_id uuid, opening_reading_id uuid, closing_reading_id uuid, opening_wh bigint,
                         closing_wh bigint, multiplier_milli integer, consumption_wh bigint)) with ordinality x(
                         meter_id, opening_reading_id, closing_reading_id, opening_wh, closing_wh, multiplier_milli,
                         consumption_wh, place)
                where b.segments is not null) s
        )
        select 1
        from new_rows b
        join public.service_agreements a on a.id = b.agreement_id
        join public.readings o on o.id = b.opening_reading_id
        join public.readings c on c.id = b.closing_reading_id
        where b.customer_id <> a.customer_id
           or b.period_start <> o.read_on or b.period_end <> c.read_on
           or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
           or not exists (select 1 from parts p where p.id = b.id and p.is_last and p.closing_id = c.id
                          and p.meter_id = b.meter_id and p.opening_wh = b.opening_wh and p.closing_wh = b.closing_wh
                          and p.multiplier_milli = b.multiplier_milli)
           or b.consumption_wh <> (select sum(p.wh) from parts p where p.id = b.id)
        union all
        select 1
        from parts p
        join public.meters m on m.id = p.meter_id
        join public.readings o on o.id = p.opening_id
        join public.readings c on c.id = p.closing_id
        left join lateral (
            -- The installation that measured it, and where the one before it at this place ended.
            select i.opening_reading_id,
                   (select e.closing_reading_id from public.meter_installations e
                    where e.service_point_id = i.service_point_id and e.removed_at <= i.installed_at
                    order by e.removed_at desc limit 1) as ended_at
            from public.meter_installations i
            where i.meter_id = p.meter_id and i.service_point_id = p.service_point_id
              and i.multiplier_milli = p.multiplier_milli
              and i.installed_at <= o.read_at and (i.removed_at is null or i.removed_at >= c.read_at)
            order by i.installed_at desc limit 1) i on true
        where i.opening_reading_id is null
           or o.meter_id <> p.meter_id or c.meter_id <> p.meter_id
           or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
           or p.opening_wh <> o.register_wh or p.closing_wh <> c.register_wh
           or not (case when p.before is null then o.id = p.opens_at or (o.id = i.opening_reading_id and i.ended_at = p.opens_at)
                        else o.id = i.opening_reading_id and i.ended_at = p.before end)
           or (p.wh <> (
                (c.register_wh - o.register_wh + private.register_span_wh(m.dials))
                    % private.register_span_wh(m.dials) * p.multiplier_milli + 500) / 1000
               -- A register that was estimated too high falls: the use is negative, a half away from zero.
               and not (o.id = p.opens_at and not private.is_actual(o.source) and private.is_actual(c.source)
                        and c.register_wh < o.register_wh
                        and -p.wh = ((o.register_wh - c.register_wh) * p.multiplier_milli + 500) / 1000)
               -- One that was estimated to roll over and did not yet is a turn below the estimate.
               and not (o.id = p.opens_at and not private.is_actual(o.source) and private.is_actual(c.source)
                        and -p.wh = ((o.register_wh + private.register_span_wh(m.dials) - c.register_wh) * p.multiplier_milli + 500) / 1000
                        and exists (select 1 from public.readings l
                                    where l.meter_id = o.meter_id and l.status = 'accepted' and private.is_actual(l.source)
                                      and l.read_at < o.read_at and l.register_wh > o.register_wh and l.register_wh <= c.register_wh)))
    ) then
        raise exception using errcode = 'EB005',
            message = 'A bill must run between two accepted reads of its meter and bill exactly the energy between them.';
    end if;
    -- Continuity: a bill opens at the agreement's opening read or where a live bill of it closed.
    if exists (
        select 1 from new_rows b join public.service_agreements a on a.id = b.agreement_id
        where a.opening_reading_id <> b.opening_reading_id and not exists (
            select 1 from public.bills prior
            where prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
              and prior.agreement_id = b.agreement_id)
    ) then
        raise exception using errcode = 'EB001', message = 'Another bill came between: the price must be computed again.';
    end if;
    return null;
end $$;
