-- A first reading is compared with others of its tariff in proportion to the connected load, where both are known.

create or replace function private.class_use(p_tariff_id uuid) returns jsonb
    language sql stable
    set search_path to ''
    as $$
    -- Ids are hashes, so the first ones are a sample; each costs some steps in an index.
    select jsonb_build_object(
        'meters', count(*),
        'low_wh', coalesce(percentile_disc(0.1) within group (order by b.daily_wh), 0),
        'high_wh', coalesce(percentile_disc(0.9) within group (order by b.daily_wh), 0),
        'loaded_meters', count(b.daily_wh_kw),
        'low_wh_kw', coalesce(percentile_disc(0.1) within group (order by b.daily_wh_kw), 0),
        'high_wh_kw', coalesce(percentile_disc(0.9) within group (order by b.daily_wh_kw), 0))
    from (select t.agreement_id as id from public.agreement_tariffs t where t.tariff_id = p_tariff_id order by t.id limit 300) m
    cross join lateral (
        select x.consumption_wh / (x.period_end - x.period_start) as daily_wh,
               x.consumption_wh * 1000 / (x.period_end - x.period_start) / coalesce(s.connected_w, s.connected_va) as daily_wh_kw
        from public.bills x
        join public.service_agreements a on a.id = x.agreement_id
        join public.service_points s on s.id = a.service_point_id
        where x.agreement_id = m.id and x.status <> 'void' and x.period_end > x.period_start
        order by x.period_end desc limit 1) b
$$;

comment on function private.class_use is
    'Wh a day of the last bills of up to 300 meters on a tariff, the lowest and highest tenths, and the same for each kW of connected load where that is known: {meters, low_wh, high_wh, loaded_meters, low_wh_kw, high_wh_kw}.';
