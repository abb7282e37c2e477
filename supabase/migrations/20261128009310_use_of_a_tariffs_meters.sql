-- What meters on a tariff use, by which a meter without a past of its own is judged.
create function private.class_use(p_tariff_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    -- Ids are hashes, so the first ones are a sample; each costs one step in an index.
    select jsonb_build_object(
        'meters', count(*),
        'low_wh', coalesce(percentile_disc(0.1) within group (order by b.daily_wh), 0),
        'high_wh', coalesce(percentile_disc(0.9) within group (order by b.daily_wh), 0))
    from (select m.id from public.meters m where m.tariff_id = p_tariff_id limit 300) m
    cross join lateral (
        select x.consumption_wh / (x.period_end - x.period_start) as daily_wh from public.bills x
        where x.meter_id = m.id and x.status <> 'void' and x.period_end > x.period_start
        order by x.period_end desc limit 1) b
$$;
comment on function private.class_use is
    'Wh a day of the last bills of up to 300 meters on a tariff: {meters, low_wh, high_wh}, the lowest and highest tenths.';

-- As before, and with the use of its class where the meter has none of its own.
create or replace function public.reading_context(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    m public.meter_list;
    v_replay uuid;
    v_tail uuid;
    v_at timestamptz := (p ->> 'read_at')::timestamptz;
    v_last public.readings;
begin
    select * into m from public.meter_list where serial = p ->> 'meter_serial';
    if not found then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    if p ? 'register_wh' then
        v_replay := private.find_replay(p, m.id);
    end if;
    v_tail := private.chain_tail(m.id);
    select * into v_last from public.readings
    where meter_id = m.id and status = 'accepted' and read_at < v_at order by read_at desc limit 1;
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'tariffs', (select jsonb_agg(to_jsonb(v) order by v.effective_from)
                    from public.tariff_version_list v where v.tariff_id = m.tariff_id),
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'last_read', private.reading_json(v_last.id),
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = m.id and r.status = 'accepted' and r.read_at > v_at
                      order by r.read_at limit 1),
        'history', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = m.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                      and h.read_at > v_last.read_at - interval '400 days'),
        'class_use', case when not exists (
                              select 1 from public.readings h
                              where h.meter_id = m.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                                and h.read_at > v_last.read_at - interval '400 days' and h.read_on <> v_last.read_on)
                          then private.class_use(m.tariff_id) end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = m.id and r.status = 'accepted' and r.read_on = (p ->> 'read_on')::date),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(m.id, v_tail, v_at),
        'pricing', private.pricing_facts(m.id, m.registers, private.looks_back(m.tariff_id), v_tail, v_at,
                                         (p ->> 'read_on')::date));
end $$;

-- As before, and with what limits the use of a meter beside its own past.
create or replace function public.meter_reads(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with asked as (
        select m.*, (select count(*) from (
                         select distinct r.read_on from public.readings r
                         where r.meter_id = m.id and r.status = 'accepted' limit 2) d) < 2 as is_new
        from public.meters m
        where m.serial in (select jsonb_array_elements_text(p -> 'serials'))
    ), classes as materialized (
        select t.tariff_id, private.class_use(t.tariff_id) as class_use
        from (select distinct a.tariff_id from asked a where a.is_new) t
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'id', m.id, 'serial', m.serial, 'dials', m.dials, 'multiplier_milli', m.multiplier_milli,
        'tariff_id', m.tariff_id, 'registers', m.registers,
        'connected_w', m.connected_w, 'connected_va', m.connected_va,
        'class_use', case when m.is_new then k.class_use end,
        'reads', (select coalesce(jsonb_agg(jsonb_build_object(
                             'id', r.id, 'read_at', r.read_at, 'read_on', r.read_on,
                             'register_wh', r.register_wh, 'registers', r.registers,
                             'status', r.status) order by r.read_at), '[]')
                  from public.readings r
                  where r.meter_id = m.id
                    and (r.status in ('accepted', 'needs_review') or (p ->> 'every_status')::boolean)
                    and r.read_on >= coalesce((p ->> 'since')::date, '-infinity')))), '[]'))
    from asked m left join classes k on k.tariff_id = m.tariff_id
$$;

revoke all on function private.class_use from public, anon, authenticated;
grant execute on function private.class_use to service_role;
