-- The report of reads named the place where a meter is now, not the one where it was estimated: a meter that was taken
-- out and put in elsewhere since took its estimates along.

create or replace function public.report_reads(p jsonb) returns jsonb
    language sql stable set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
as $$
    with asked as (
        select coalesce((p #>> '{after,on}')::date, (p ->> 'from')::date) as after_on,
               coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000') as after_id,
               (p ->> 'to')::date as to_on, (p ->> 'limit')::integer as most
    ), found as materialized (
        select x.* from asked s cross join lateral (
            (select r.read_on as on_date, r.id, 'estimated' as kind, r.meter_id, null::uuid as service_point_id, r.register_wh, r.submitted_by as by,
                    '' as why
             from public.readings r
             where r.source = 'estimated' and r.status = 'accepted' and (r.read_on, r.id) > (s.after_on, s.after_id) and r.read_on < s.to_on
             order by r.read_on, r.id limit s.most)
            union all
            (select m.missed_on, m.id, 'not read', m.meter_id, m.service_point_id, null, m.submitted_by,
                    m.reason || case when m.note = '' then '' else ': ' || m.note end
             from public.missed_reads m
             where (m.missed_on, m.id) > (s.after_on, s.after_id) and m.missed_on < s.to_on
             order by m.missed_on, m.id limit s.most)) x
        order by x.on_date, x.id limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object('on_date', f.on_date, 'kind', f.kind, 'meter_serial', m.serial, 'place', t.code,
                     'address', t.address, 'register_wh', f.register_wh, 'entered_by', f.by, 'reason', f.why) order by f.on_date, f.id), '[]')
                 from found f
                 join public.meters m on m.id = f.meter_id
                 left join lateral (
                     select s.code, s.address from public.meter_installations i
                     join public.service_points s on s.id = i.service_point_id
                     where i.meter_id = f.meter_id and (f.service_point_id is null or i.service_point_id = f.service_point_id)
                     -- Where the meter was on that day, wherever it is now.
                     order by (i.installed_on <= f.on_date) desc, i.installed_at desc limit 1) t on true),
        'after', (select case when count(*) = (p ->> 'limit')::integer then (
                      select jsonb_build_object('on', z.on_date, 'id', z.id) from found z order by z.on_date desc, z.id desc limit 1) end
                  from found))
$$;
