-- Intervals are packed into texts: of a month of hours, JSON's numbers took most of the time of its bill.

create or replace function private.interval_days(p_meters uuid[], p_from date, p_until date) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'days', coalesce(string_agg(i.day::text, ' ' order by i.day), ''),
        'minutes', coalesce(string_agg(i.minutes::text, ' ' order by i.day), ''),
        'sizes', coalesce(string_agg(cardinality(i.wh)::text, ' ' order by i.day), ''),
        'wh', coalesce(string_agg(array_to_string(i.wh, ' '), ' ' order by i.day), ''),
        'quality', case when count(i.quality) > 0 then string_agg(coalesce(array_to_string(i.quality, ' '), ''), ',' order by i.day) end))
    from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh, d.quality from public.intervals d
          where d.meter_id = any (p_meters) and d.day >= p_from and d.day < p_until and array_position(d.wh, null) is null
          order by d.day, d.meter_id, d.id desc) i
$$;
comment on function private.interval_days(uuid[], date, date) is
    'The whole local days of meters'' interval series from a date to before another, each as a text with spaces between: {days, minutes, sizes: how many intervals each day has, wh: of all of them in order of time, quality?: of each day its codes, with commas between the days}.';

comment on function private.pricing_facts(uuid, uuid[], boolean, uuid, timestamptz, date) is
    'What pricing a bill of an agreement needs beside its reads, {} for most: {opening_registers, between: registers of the reads in between; past: its bills, the last first, where the tariff looks back; intervals of the period, packed by private.interval_days, where its meters have any; trued_up: {opening: the last actual read, bills since then, installations, between, pricing} where it opens at an estimate or a customer''s reading}.';

create or replace function public.monthly_bill_candidates(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is not null
        then $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$
        else $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
            || case when p ->> 'until' is null then '' else $s$ and a.id <= ($1 ->> 'until')::uuid$s$ end
            || case when p ->> 'billing_day' is null then '' else $s$ and a.billing_day = ($1 ->> 'billing_day')::smallint$s$ end end;
    v_found jsonb;
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$
    with page as materialized (
        select a.id, a.service_point_id, a.billing_day, a.starts_on, a.ends_on, a.opening_reading_id,
               private.cycle_end(($1 ->> 'on')::date, a.billing_day) as cycle_end
        from public.service_agreements a where %s
        order by a.id limit ($1 ->> 'limit')::integer
    ), chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, a.ends_on, a.cycle_end, o.id as opening_id,
               o.read_on as opened_on, o.read_at as opened_at, o.source as opening_source,
               jsonb_build_object('id', o.id, 'meter_id', o.meter_id, 'read_at', o.read_at, 'read_on', o.read_on,
                                  'register_wh', o.register_wh, 'registers', o.registers, 'source', o.source) as opening,
               to_jsonb(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id,
               (select count(*) from public.bills v where v.opening_reading_id = o.id and v.status = 'void') as reissue_no
        from page a
        -- The end of its chain. Billed for the cycle already, most of a repeated run end here.
        left join lateral (
            select b.closing_reading_id, b.period_end from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' order by b.period_end desc limit 1) t on true
        join public.readings o on o.id = coalesce(t.closing_reading_id, a.opening_reading_id)
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over, x.source from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(a.cycle_end, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < a.cycle_end
          and coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date + coalesce(($1 ->> 'cycle_end_days')::integer, 0), true)
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Billed beyond the cycle already (by a later field read): nothing of it is open.
          and o.read_on < a.cycle_end
          -- A bill that ends at a read somewhat after the billing day is that of the cycle before.
          and (k.id is not null or coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date, true))
    ), placed as materialized (
        -- With the meter that it closes at, or that is there; most places have had one.
        select c.*, m.id as meter_id, m.serial, m.dials, m.registers, i.multiplier_milli, s.connected_w, s.connected_va,
               i.installed_at > c.opened_at as exchanged, t.tariff_id, t.number as tariffs
        from chosen c
        join public.service_points s on s.id = c.service_point_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at from public.meter_installations x
            where x.service_point_id = c.service_point_id and (c.closing_id is null
                or (x.meter_id = c.closing_meter_id and x.installed_at < c.closed_at and c.closed_at <= coalesce(x.removed_at, 'infinity')))
            order by x.installed_at desc limit 1) i
        join public.meters m on m.id = i.meter_id
        cross join lateral (
            select count(*) as number, (array_agg(y.tariff_id order by y.starts_on desc))[1] as tariff_id
            from public.agreement_tariffs y where y.agreement_id = c.agreement_id) t
    ), back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
        where t.id in (select c.tariff_id from placed c)
    )
    select jsonb_build_object(
        'next', (select case when count(*) = ($1 ->> 'limit')::integer then (array_agg(a.id order by a.id desc))[1] end from page a),
        'agreements', coalesce((select jsonb_agg(
            jsonb_build_object(
                'agreement_id', c.agreement_id, 'billing_day', c.billing_day, 'ends_on', c.ends_on, 'cycle_end', c.cycle_end,
                'opening', c.opening, 'closing', c.closing, 'reissue_no', c.reissue_no, 'meter_id', c.meter_id,
                'serial', c.serial, 'dials', c.dials, 'registers', c.registers, 'multiplier_milli', c.multiplier_milli,
                'connected_w', c.connected_w, 'connected_va', c.connected_va, 'tariff_id', c.tariff_id,
                'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
                'installations', case when c.exchanged
                    then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
                -- Within a month nothing is split; but a person may have said that a register rolled over.
                'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                     or exists (select 1 from public.meter_installations i
                                                join public.readings r on r.meter_id = i.meter_id and r.rolled_over and r.status = 'accepted'
                                                where i.service_point_id = c.service_point_id
                                                  and r.read_at > c.opened_at and r.read_at < c.closed_at)
                    then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
                -- Most have nothing to ask for, or intervals alone: the call would be the dearest part of their row.
                'pricing', case when c.closing_id is null then '{}'
                    when private.is_actual(c.opening_source) and not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                    then case when exists (select 1 from public.intervals i where i.meter_id = c.meter_id)
                         then jsonb_build_object('intervals', private.interval_days(array[c.meter_id], c.opened_on, c.closed_on)) else '{}' end
                    else private.pricing_facts(
                        c.agreement_id,
                        array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                        private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
            order by c.agreement_id)
        from placed c join back b on b.id = c.tariff_id), '[]'))
    $q$, v_which) into v_found using p;
    return v_found;
end $_$;
